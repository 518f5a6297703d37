"""Find on which lines of an issue's file its sections and articles stand: what an edit must know; pure.

The text is kept as it was written, byte order mark and line ends included. What the lines mean is read by ``issue``;
how they are changed is decided in ``issueedit``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from newsletter.config import SectionsSection
from newsletter.frontmatter import read_front_matter
from newsletter.issue import decode_issue, heading_key, parse_issue
from newsletter.markup import build_parser, mark_fields, parse_blocks
from newsletter.model import Article, Group, Issue, Part, RichText, Section, Slot, part_of

if TYPE_CHECKING:
    from markdown_it.token import Token

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")


@dataclass(frozen=True, slots=True)
class Grammar:
    """Hold what the text of an issue is read by; ``zone`` is the newsletter's."""

    slug: str
    file: str
    sections: SectionsSection
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Located:
    """Name the lines of an article: those from ``start`` up to ``end`` without it, counted from 0.

    ``section`` is the number of its section in the issue. ``indent`` is how far the text of a list's item is indented,
    0 for an article that is a heading.
    """

    article: Article
    section: int
    start: int
    end: int
    indent: int


@dataclass(frozen=True)
class IssueText:
    """Hold an issue with the text that it was read from, exactly as that stands in its file."""

    text: str
    grammar: Grammar
    issue: Issue

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines with their ends, as they stand in the file."""
        return _LINE.findall(self.text)

    @property
    def line_end(self) -> str:
        """Return the line end that the file is written with."""
        return "\r\n" if "\r\n" in self.text else "\n" if "\n" in self.text else "\r"

    @cached_property
    def _blocks(self) -> "list[_Block]":
        return list(_blocks(self))

    @property
    def lists(self) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        """Return the top-level lists: for each of their items its first line, the one behind it, and its indent."""
        return tuple(block.items for block in self._blocks if block.items)

    @cached_property
    def articles(self) -> tuple[Located, ...]:
        """Return where each article stands, in reading order."""
        lines = [article.place.line - 1 for article in self.issue.articles]
        found = []
        for number, section in enumerate(self.issue.sections):
            for article in section.articles:
                start, end, indent = _extent(self._blocks, article.place.line - 1, lines)
                found.append(Located(article, number, start, end, indent))
        return tuple(found)

    def articles_of(self, section: int) -> tuple[Located, ...]:
        """Return where the articles of one section stand."""
        return tuple(located for located in self.articles if located.section == section)

    def section_lines(self, section: int) -> tuple[int, int]:
        """Return the line of a section's heading, and that of the next one or of the end."""
        places = [one.place.line - 1 for one in self.issue.sections]
        return places[section], places[section + 1] if section + 1 < len(places) else len(self.lines)

    def find_section(self, heading: str) -> int | None:
        """Return the number of the first section with this heading, compared as headings are, or None."""
        key = heading_key(heading)
        names = [heading_key(section.name) for section in self.issue.sections]
        return names.index(key) if key in names else None

    def written(self, index: int) -> str:
        r"""Return the Markdown of an article as if it stood alone: an item's indentation is taken off; ends are \n."""
        located = self.articles[index]
        lines = (line.rstrip("\r\n") for line in self.lines[located.start : located.end])
        return "".join(f"{line[indent_of(line, located.indent) :] if n else line}\n" for n, line in enumerate(lines))


def read_issue_text(text: str, grammar: Grammar) -> IssueText:
    """Read the text of an issue's file, decoded as it is; raise IssueError with its mistakes."""
    plain = decode_issue(text.encode("utf-8", "surrogatepass"), grammar.file)
    issue = parse_issue(plain, slug=grammar.slug, file=grammar.file, sections=grammar.sections, zone=grammar.zone)
    return IssueText(text, grammar, issue)


def indent_of(line: str, most: int) -> int:
    """Return how many spaces ``line`` begins with, up to ``most``."""
    return min(len(line) - len(line.lstrip(" ")), most)


# ---------------------------------------------------------------------------------------------------------------------
# What an edit must leave alone
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Content:
    """Hold what an article says, wherever it stands: merge fields as slots, no places, no rank."""

    article: tuple[object, ...]
    texts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SectionContent:
    """Hold what a section says: its heading, its other items, and its articles, each with the group that it is in."""

    heading: tuple[object, ...]
    others: tuple[Part, ...]
    articles: tuple[tuple[Part, Content], ...]


def content_of(article: Article, slots: tuple[Slot, ...]) -> Content:
    """Return what an article of an issue with these slots says."""
    texts = (article.headline, article.byline, article.summary)
    image = (article.image.src, article.image.alt) if article.image else None
    facts = (article.url, article.source, image, article.kind, article.labels, article.bare)
    more = (article.topics, article.date, article.embargo, article.follow_up, article.waive, article.waive_reason)
    return Content((*facts, *more), tuple(part_of(text.html if text else "", slots) for text in texts))


def contents_of(issue: Issue) -> tuple[Part, tuple[SectionContent, ...]]:
    """Return what the whole body of an issue says: the editorial, and section by section the rest."""
    editorial = part_of(issue.editorial.html if issue.editorial else "", issue.slots)
    return editorial, tuple(_section_content(section, issue.slots) for section in issue.sections)


def _section_content(section: Section, slots: tuple[Slot, ...]) -> SectionContent:
    group: Part = ()
    others: list[Part] = []
    articles: list[tuple[Part, Content]] = []
    for item in section.items:
        if isinstance(item, Article):
            articles.append((group, content_of(item, slots)))
        elif isinstance(item, Group):
            group = part_of(f"{item.title.html} {item.url}", slots)
            others.append(group)
        elif isinstance(item, RichText):
            others.append(part_of(item.html, slots))
    heading = (part_of(section.title.html, slots), section.level, section.topics, section.waive, section.waive_reason)
    return SectionContent(heading, tuple(others), tuple(articles))


# ---------------------------------------------------------------------------------------------------------------------
# Blocks
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """Hold a top-level block of Markdown: its tag, its lines in the file, and those of its items with their indent."""

    tag: str
    start: int
    end: int
    items: tuple[tuple[int, int, int], ...] = ()


def _blocks(page: IssueText) -> Iterator[_Block]:
    plain = decode_issue(page.text.encode("utf-8", "surrogatepass"), page.grammar.file)
    front = read_front_matter(plain, page.grammar.file)
    source = mark_fields(front.body, page.grammar.file, front.body_line)
    lines = plain.split("\n")
    first = front.body_line - 1
    tokens = parse_blocks(build_parser(), source)
    for position, token in enumerate(tokens):
        if token.level == 0 and token.nesting >= 0 and token.map:
            start, end = _trimmed(lines, first + token.map[0], first + token.map[1])
            items = tuple(_items(tokens[position + 1 :], lines, first)) if token.type.endswith("list_open") else ()
            yield _Block(token.tag, start, end, items)


def _items(tokens: "Sequence[Token]", lines: Sequence[str], first: int) -> Iterator[tuple[int, int, int]]:
    for token in tokens:
        if token.level == 0:
            return
        if token.type == "list_item_open" and token.level == 1 and token.map:
            start, end = _trimmed(lines, first + token.map[0], first + token.map[1])
            marker = re.match(r" *(?:[-+*]|\d{1,9}[.)]) *", lines[start])
            yield start, end, len(marker[0]) if marker else 0


def _trimmed(lines: Sequence[str], start: int, end: int) -> tuple[int, int]:
    end = min(end, len(lines))
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return start, end


def _extent(blocks: Sequence[_Block], line: int, articles: Sequence[int]) -> tuple[int, int, int]:
    """Return the lines of the article that begins on ``line``, and its indent; ``articles`` are the lines of all."""
    position = next(index for index, block in enumerate(blocks) if block.start <= line < block.end)
    block = blocks[position]
    for item in block.items:
        if item[0] == line:
            return item
    end = block.end
    for later in blocks[position + 1 :]:
        if later.tag in ("h1", "h2", "h3", "hr"):
            break
        if later.items and any(later.start <= other < later.end for other in articles):
            break
        end = later.end
    return block.start, end, 0
