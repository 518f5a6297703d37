"""The words of the frame, in the language of an issue: labels, the unsubscribe line, dates, the direction of script.

The catalogs are gettext PO files in ``locale/``, read as they are (no compiled twin that could differ). Every msgid of
an issue stands in ``WORDS``; those of web pages and single mails are found in their code and templates. Words that an
editor wrote are never translated, nor is anything looked up by them.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CATALOGS = ("en", "fr", "zh_Hans")
"""Languages that have a catalog, as Babel names them; the first is the fallback."""

KINDS = (
    "article",
    "audio",
    "brief",
    "event",
    "gallery",
    "infographic",
    "interview",
    "job",
    "paper",
    "podcast",
    "report",
    "sponsor",
    "tool",
    "video",
)
"""Kinds of an article that have a word; any other kind is shown as the editor wrote it."""

WORDS = (
    *KINDS,
    "Most important news",
    "Issue {number}",
    "by {author}",
    "Sponsored",
    "Sources",
    "Links",
    "Image",
    "Image: {alt}",
    "View in browser",
    "Unsubscribe",
    "Preferences",
    "You receive this mail because you subscribed to {title}.",
    # The archive
    "All issues",
    "Search",
    "Feed",
    "Subscribe",
    "Skip to the text",
    "Draft",
    "Correction",
    "Correction: {subject}",
    "Read the corrected issue",
    "Older",
    "Newer",
    "No issue has been published yet.",
    "Words to look for",
    "Searching needs JavaScript. Every issue is listed without it:",
    "Nothing was found.",
    "1 found",
    "{count} found",
    "The first {count} are shown.",
)
"""Every msgid of the frame; values in braces are filled by ``Catalog.text``."""

_RTL_LANGUAGES = frozenset(
    {"ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ku", "ps", "sd", "syr", "ug", "ur", "yi"}
)
_RTL_SCRIPTS = frozenset({"adlm", "arab", "aran", "hebr", "mand", "nkoo", "rohg", "samr", "syrc", "thaa"})
_CHINESE_REGIONS = frozenset({"tw", "hk", "mo"})


@dataclass(frozen=True, slots=True)
class Catalog:
    """Hold the words of one language; ``tag`` is the BCP 47 tag that was asked for, ``name`` the catalog's."""

    tag: str
    name: str
    messages: Mapping[str, str]

    def text(self, msgid: str, **values: object) -> str:
        """Return the words for ``msgid``, with each ``{name}`` filled from ``values``; an unknown msgid is returned."""
        words = self.messages.get(msgid) or msgid
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), words)

    def kind(self, kind: str) -> str:
        """Return the word for an article's kind, or the kind itself where the catalogs have none."""
        return self.text(kind) if kind in KINDS else kind

    def date(self, day: dt.date, width: Literal["short", "medium", "long", "full"] = "long") -> str:
        """Return ``day`` as the language writes it (CLDR widths); English where CLDR does not know the language."""
        from babel.dates import format_date

        return format_date(day, format=width, locale=_locale_name(self.tag))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Return the direction of the language's script."""
        return direction(self.tag)


def load_catalog(tag: str, domain: Literal["newsletter", "web"] = "newsletter") -> Catalog:
    """Read the catalog that fits the BCP 47 ``tag`` best; English where none does.

    The domain ``newsletter`` has the words of issues, ``web`` those of the web pages and of single mails.
    """
    from babel.messages.pofile import read_po

    name = match_catalog(tag)
    path = Path(__file__).parent / "locale" / name / "LC_MESSAGES" / f"{domain}.po"
    with path.open("rb") as file:
        entries = read_po(file, locale=name)
    messages = {entry.id: entry.string for entry in entries if isinstance(entry.id, str) and entry.id and entry.string}
    return Catalog(tag, name, {msgid: str(string) for msgid, string in messages.items()})


def match_catalog(tag: str) -> str:
    """Return the name of the catalog for the BCP 47 ``tag``: ``zh``, ``zh-CN`` → ``zh_Hans``; ``fr-CA`` → ``fr``.

    Traditional Chinese has no catalog: it falls back to English rather than to the other script.
    """
    subtags = tag.replace("_", "-").lower().split("-")
    if subtags[0] == "zh":
        traditional = "hant" in subtags or ("hans" not in subtags and not _CHINESE_REGIONS.isdisjoint(subtags))
        return CATALOGS[0] if traditional else "zh_Hans"
    return subtags[0] if subtags[0] in CATALOGS else CATALOGS[0]


def direction(tag: str) -> Literal["ltr", "rtl"]:
    """Return ``rtl`` for a BCP 47 ``tag`` whose script (named, or usual for the language) runs right to left."""
    subtags = tag.replace("_", "-").lower().split("-")
    scripts = [subtag for subtag in subtags[1:] if re.fullmatch("[a-z]{4}", subtag)]
    if scripts:
        return "rtl" if scripts[0] in _RTL_SCRIPTS else "ltr"
    return "rtl" if subtags[0] in _RTL_LANGUAGES else "ltr"


def _locale_name(tag: str) -> str:
    """Return the CLDR locale for ``tag``, without the subtags that CLDR does not know."""
    from babel import Locale, UnknownLocaleError

    subtags = tag.replace("_", "-").split("-")
    while subtags:
        try:
            return str(Locale.parse("-".join(subtags), sep="-"))
        except (UnknownLocaleError, ValueError):
            subtags.pop()
    return CATALOGS[0]
