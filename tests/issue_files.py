"""Issues for tests, from their text: parsed, and set as either part, in a project whose words are known."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from newsletter.catalogs import load_catalog
from newsletter.config import SectionsSection
from newsletter.errors import IssueError
from newsletter.issue import decode_issue, parse_issue
from newsletter.model import Issue, Part
from newsletter.plaintext import TextFrame, render_text

FILE = "issues/2026-11-25.md"
FRONT = "---\nsubject: A subject\npreheader: A preheader\ndate: 2026-11-25\n---\n"
BODY_LINE = FRONT.count("\n") + 1
"""The line of the file on which what ``parse`` is given begins."""
SECTIONS = SectionsSection(
    kinds={"In brief": "brief", "Sources": "text", "The line": "quote", "From our sponsor": "sponsor"}
)
ZONE = ZoneInfo("Europe/Paris")
FRAME = TextFrame("The Weekly", "", "25 November 2026", "", (("Unsubscribe:", "unsubscribe_url"),))


def parse_text(text: str, slug: str = "2026-11-25") -> Issue:
    """Return the issue that a whole file holds."""
    return parse_bytes(text.encode("utf-8", "surrogatepass"), slug)


def parse_bytes(content: bytes, slug: str = "2026-11-25") -> Issue:
    text = decode_issue(content, FILE)
    return parse_issue(text, slug=slug, file=FILE, sections=SECTIONS, zone=ZONE)


def parse(body: str) -> Issue:
    """Return the issue that ``FRONT`` and ``body`` make."""
    return parse_text(FRONT + body)


def errors_of(text: str | bytes, slug: str = "2026-11-25") -> list[str]:
    """Return what the IssueError says that a whole file must bring."""
    with pytest.raises(IssueError) as caught:
        parse_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), slug)
    return [str(problem) for problem in caught.value.problems]


def text_part(issue: Issue, frame: TextFrame = FRAME, language: str = "en") -> str:
    """Return the text part with each slot as ``<field>``."""
    return shown(render_text(issue, frame, load_catalog(language).text))


def text_body(body: str) -> str:
    """Return what the text part has between masthead, with the subject, and footer."""
    text = text_part(parse(body))
    _, _, rest = text.partition("A subject\n")
    return rest.partition("-" * 72)[0].strip("\n")


def shown(part: Part) -> str:
    return "".join(piece if isinstance(piece, str) else f"<{piece.field}>" for piece in part)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
