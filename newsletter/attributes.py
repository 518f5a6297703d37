"""Read attributes in braces: what ``{kind=video date=2026-11-20}`` at the end of a heading or item says.

A value with spaces stands in quotes, as a reason does: ``{waive=links.tracking reason="a partner's link"}``.

Where braces may stand, and what their values change, is decided in ``articles``.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from newsletter.errors import IssueError, Place, Problem

_BRACES = re.compile(r"\{([^{}]*)\}$")
_WORD = re.compile(r'(?:[^\s"]|"[^"]*"|")+')
_ATTRIBUTE = re.compile(r"([a-z][a-z-]*)=(.*)")
_SLUG = re.compile(r"[\w.-]+")


def split_attributes(text: str) -> tuple[str, str]:
    """Return ``text`` without the attributes at its end, and these with their braces, or ``""``.

    Braces are text where their first word is no attribute.
    """
    stripped = text.rstrip()
    match = _BRACES.search(stripped)
    words = _WORD.findall(match[1]) if match else []
    if match is None or not words or words[0].partition("=")[0] not in ATTRIBUTES or not _ATTRIBUTE.fullmatch(words[0]):
        return text, ""
    return stripped[: match.start()].rstrip(), match[0]


def read_attributes(braces: str, allowed: tuple[str, ...], kinds: tuple[str, ...], place: Place) -> dict[str, Any]:
    """Return the values in ``braces`` by attribute: only those of ``allowed`` may stand, and a kind of ``kinds``.

    Raises IssueError with ``place`` for any other, and for a value that cannot be read.
    """
    found = {}
    for word in _WORD.findall(braces[1:-1]):
        key, _, value = word.partition("=")
        if key not in allowed:
            hint = f"here may stand: {', '.join(allowed)}" if allowed else "no attributes may stand on this heading"
            raise IssueError([Problem(f"{{{word}}}: unknown attribute '{key}'", place, hint)])
        if key == "kind" and value not in kinds:
            raise IssueError([Problem(f"{{{word}}}: unknown kind", place, f"kinds here: {', '.join(kinds)}")])
        read, example = _READERS[key]
        try:
            found[key] = read(value)
        except ValueError:
            raise IssueError([Problem(f"{{{word}}} cannot be read", place, f"write it like {example}")]) from None
    return found


def _names(value: str) -> tuple[str, ...]:
    names = tuple(name for name in value.split(",") if name)
    if not names:
        raise ValueError
    return names


def _quoted(value: str) -> str:
    text = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if not text.strip() or '"' in text:
        raise ValueError
    return " ".join(text.split())


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError
    return value


def _wall_time(value: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(value)
    if time.tzinfo:
        raise ValueError
    return time


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "kind": (str, ""),
    "topics": (_names, "topics=beauty,retail"),
    "date": (dt.date.fromisoformat, "date=2026-11-20"),
    "follow-up": (_slug, "follow-up=2026-11-18"),
    "embargo": (_wall_time, "embargo=2026-11-25T09:00, in the newsletter's time zone"),
    "waive": (_names, "waive=CHECK-ID"),
    "reason": (_quoted, 'waive=CHECK-ID reason="why"'),
}
ATTRIBUTES = tuple(_READERS)
"""Every attribute that may stand in braces."""
