"""Read attributes in braces: what ``{kind=video date=2026-11-20}`` at the end of a heading or item says.

Where braces may stand, and what their values change, is decided in ``articles``.
"""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from newsletter.errors import IssueError, Place, Problem

_BRACES = re.compile(r"\{([^{}]*)\}$")
_ATTRIBUTE = re.compile(r"([a-z][a-z-]*)=(\S*)")
_SLUG = re.compile(r"[\w.-]+")


def split_attributes(text: str) -> tuple[str, str]:
    """Return ``text`` without the attributes at its end, and these with their braces, or ``""``.

    Braces are text where their first word is no attribute.
    """
    stripped = text.rstrip()
    match = _BRACES.search(stripped)
    words = match[1].split() if match else []
    if match is None or not words or words[0].partition("=")[0] not in ATTRIBUTES or not _ATTRIBUTE.fullmatch(words[0]):
        return text, ""
    return stripped[: match.start()].rstrip(), match[0]


def read_attributes(braces: str, allowed: tuple[str, ...], kinds: tuple[str, ...], place: Place) -> dict[str, Any]:
    """Return the values in ``braces`` by attribute: only those of ``allowed`` may stand, and a kind of ``kinds``.

    Raises IssueError with ``place`` for any other, and for a value that cannot be read.
    """
    found = {}
    for word in braces[1:-1].split():
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


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise ValueError
    return value


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "kind": (str, ""),
    "topics": (_names, "topics=beauty,retail"),
    "date": (dt.date.fromisoformat, "date=2026-11-20"),
    "follow-up": (_slug, "follow-up=2026-11-18"),
    "waive": (_names, "waive=CHECK-ID"),
}
ATTRIBUTES = tuple(_READERS)
"""Every attribute that may stand in braces."""
