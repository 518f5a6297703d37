"""The values that travel through the package: one frozen type for each step.

``Issue → Edition → Message → Delivery → Reply → Outcome``. Nothing here reads, writes, or decides; whoever needs a
decision about these values finds it in the pure module of the same name (``issue``, ``message``, ``delivery``).
"""

import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from newsletter.errors import Place, Problem

FORMAT = 1
"""Version of every JSON answer and of ``edition.json``."""

# ---------------------------------------------------------------------------------------------------------------------
# Merge fields. In text that is still to be rendered a field is a *marker*: a run of Unicode noncharacters, which no
# Markdown, HTML, CSS or XML parser takes for syntax, and which input cannot hold because the parser replaces them.
# ---------------------------------------------------------------------------------------------------------------------

_MARKER_START, _MARKER_END = "\ufdd0", "\ufdd1"
_MARKER_DIGITS = "".join(chr(code) for code in range(0xFDD2, 0xFDF0))
MARKER = re.compile(f"{_MARKER_START}([{_MARKER_DIGITS}]+){_MARKER_END}")
"""Match one marker; group 1 holds its number in digits of base 30."""
RESERVED_CHARACTERS = re.compile("[\ufdd0-\ufdef]")
"""Match the noncharacters that only markers may hold."""


def marker(number: int, width: int = 3) -> str:
    """Return the marker of merge field ``number``, ``width`` characters long at the least (three or more)."""
    digits = ""
    while number:
        number, rest = divmod(number, len(_MARKER_DIGITS))
        digits = _MARKER_DIGITS[rest] + digits
    return _MARKER_START + digits.rjust(max(width - 2, 1), _MARKER_DIGITS[0]) + _MARKER_END


def marker_number(digits: str) -> int:
    """Return the number that a marker's digits (group 1 of ``MARKER``) stand for."""
    number = 0
    for digit in digits:
        number = number * len(_MARKER_DIGITS) + _MARKER_DIGITS.index(digit)
    return number


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Match control characters but TAB and LF, and the line separators that Markdown takes for text and YAML does not."""


def clean_controls(text: str) -> str:
    """Replace each control character by a space; what is left may hold markers."""
    return _CONTROLS.sub(" ", text)


def clean_characters(text: str) -> str:
    """Replace what no part of a mail may hold: control characters by spaces, noncharacters and surrogates by U+FFFD."""
    return clean_controls(re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", RESERVED_CHARACTERS.sub("\ufffd", text)))


MERGE_FIELDS = ("name", "email", "unsubscribe_url", "preferences_url", "browser_url")
"""Merge fields that every recipient has; ``attributes.KEY`` asks for the column KEY of the subscriber list."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Hold the place of a merge field: a value of the recipient, or ``default`` where the recipient has none.

    ``field`` is one of ``MERGE_FIELDS`` or the name of a recipient's attribute.
    """

    field: str
    default: str = ""


Part = tuple["str | Slot", ...]
"""Text of an edition with its slots: static strings and slots in reading order."""


def part_of(text: str, slots: tuple[Slot, ...]) -> Part:
    """Split ``text`` at its markers into static strings and the slots they number; empty strings are left out."""
    pieces = MARKER.split(text)
    return tuple(
        slots[marker_number(piece)] if index % 2 else piece for index, piece in enumerate(pieces) if index % 2 or piece
    )


# ---------------------------------------------------------------------------------------------------------------------
# The issue: what an editor wrote
# ---------------------------------------------------------------------------------------------------------------------

LEAD, ARTICLES, BRIEF, SPONSOR, QUOTE, TEXT = "lead", "articles", "brief", "sponsor", "quote", "text"
SECTION_KINDS = (LEAD, ARTICLES, BRIEF, SPONSOR, QUOTE, TEXT)
ARTICLE_KINDS = (
    "article",
    "audio",
    "event",
    "gallery",
    "infographic",
    "interview",
    "job",
    "paper",
    "podcast",
    "report",
    "tool",
    "video",
    BRIEF,
    SPONSOR,
)
"""What an article may be, by ``{kind=…}`` or by a prefix such as ``[video]``; any other prefix is a label."""


@dataclass(frozen=True, slots=True)
class RichText:
    """Hold content as clean HTML: only the tags that ``markup`` allows, images as written, merge fields as markers."""

    html: str
    place: Place

    def __bool__(self) -> bool:
        return bool(self.html)


@dataclass(frozen=True, slots=True)
class Image:
    """Name an image as the editor wrote it: a path beside the issue or an absolute URL, and what it shows."""

    src: str
    alt: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """Describe one selected story.

    ``headline`` and ``byline`` (what follows the link in its own paragraph) are inline content without a block around
    them; ``summary`` is block content. ``labels`` are the bracketed prefixes as written (``video``, ``ZH``); ``kind``
    is the article's kind in lower case, or ``""``. ``bare`` says that the editor gave only the URL.
    ``embargo`` is a time without a zone, the newsletter's, before which the story may not go out; ``waive`` names
    checks that it need not pass, for ``waive_reason``.
    """

    headline: RichText
    url: str
    source: str
    place: Place
    byline: RichText | None = None
    summary: RichText | None = None
    image: Image | None = None
    kind: str = ""
    labels: tuple[str, ...] = ()
    rank: int | None = None
    bare: bool = False
    topics: tuple[str, ...] = ()
    date: dt.date | None = None
    embargo: dt.datetime | None = None
    follow_up: str = ""
    waive: tuple[str, ...] = ()
    waive_reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Head the items that follow, up to the next group, within a section; ``url`` where the heading is a link."""

    title: RichText
    place: Place
    url: str = ""


Item = Article | Group | RichText


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Hold a titled group of items in the order the editor wrote them; ``level`` is 1 for ``#`` and 2 for ``##``."""

    title: RichText
    name: str
    kind: str
    items: tuple[Item, ...]
    place: Place
    level: int = 2
    topics: tuple[str, ...] = ()
    waive: tuple[str, ...] = ()
    waive_reason: str = ""

    @property
    def articles(self) -> tuple[Article, ...]:
        """Return the section's articles, in order."""
        return tuple(item for item in self.items if isinstance(item, Article))


@dataclass(frozen=True, slots=True)
class Approval:
    """Record who approved which source digest, and on which day."""

    digest: str
    by: str
    on: dt.date


@dataclass(frozen=True, slots=True)
class Correction:
    """Say what was wrong in an issue that had gone out, and the day on which that was told."""

    on: dt.date
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Hold one issue as its editor wrote it.

    ``subject``, ``preheader`` and all rich text may hold markers; marker ``n`` stands for ``slots[n]``. ``send_at`` and
    ``not_after`` are aware instants; ``lang`` is a BCP 47 tag, or ``""`` for the newsletter's own language.
    ``waive`` maps the checks that the issue need not pass to the reasons.
    ``warnings`` say what is odd in the text and yet no error.
    """

    slug: str
    file: str
    subject: str
    date: dt.date
    number: str = ""
    preheader: str = ""
    author: str = ""
    lang: str = ""
    send_at: dt.datetime | None = None
    not_after: dt.datetime | None = None
    audience: str = ""
    topics: tuple[str, ...] = ()
    waive: Mapping[str, str] = field(default_factory=dict)
    select: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    approved: Approval | None = None
    corrections: tuple[Correction, ...] = ()
    editorial: RichText | None = None
    sections: tuple[Section, ...] = ()
    slots: tuple[Slot, ...] = ()
    images: tuple[Image, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def articles(self) -> tuple[Article, ...]:
        """Return every article of the issue, in reading order."""
        return tuple(article for section in self.sections for article in section.articles)


# ---------------------------------------------------------------------------------------------------------------------
# The edition: what is frozen and sent
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resource:
    """Carry an image inside the message: ``cid`` is its Content-ID without angle brackets (RFC 2392)."""

    cid: str
    filename: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Freeze one issue in one language and variant: the unit that is sent.

    ``digest`` is the SHA-256 of all the rest in hexadecimal, as ``edition.edition_digest`` computes it.
    """

    issue: str
    subject: Part
    preheader: str
    html: Part
    text: Part
    date: dt.date
    language: str
    kind: str = "issue"
    variant: str = ""
    revision: int = 1
    number: str = ""
    resources: tuple[Resource, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Address one subscriber of one list with one edition; ``name`` is ``""`` where it is not known."""

    subscriber_id: int
    list_id: int
    address: str
    name: str = ""
    language: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Hold MAIL FROM and RCPT TO, apart from the headers (RFC 5321 section 2.3.1)."""

    mail_from: str
    rcpt_to: str


@dataclass(frozen=True, slots=True)
class Message:
    """Hold the RFC 5322 bytes for one recipient, CRLF line ends, dots not stuffed, and their envelope.

    ``is_dotless`` says that whoever made the content knows that no line of it starts with a dot, so that nobody needs
    to look through it again.
    """

    envelope: Envelope
    message_id: str
    content: bytes
    is_dotless: bool = False


# ---------------------------------------------------------------------------------------------------------------------
# The transaction: what the relay answered
# ---------------------------------------------------------------------------------------------------------------------


class Stage(enum.StrEnum):
    """Name the command that a reply answers."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    RSET = "rset"


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold a server's answer: three-digit code, enhanced status (RFC 3463) or ``""``, text, stage."""

    code: int
    enhanced: str
    text: str
    stage: Stage

    def __str__(self) -> str:
        return " ".join(str(piece) for piece in (self.code, self.enhanced, self.text) if piece)
