"""Set an issue as plain text: 72 columns by display width, from the Issue itself and never from the mail's HTML.

Links inside text become numbered references under their section, the link of an article stands under it as it is. All
words are the editor's or the catalog's: nothing is shortened, nothing changes its case. Merge fields stay markers until
the end, where the text becomes a ``Part``.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from newsletter.cjk import is_spaceless
from newsletter.model import (
    BRIEF,
    LEAD,
    MARKER,
    SPONSOR,
    Article,
    Group,
    Issue,
    Part,
    RichText,
    Section,
    Slot,
    marker,
    marker_number,
    part_of,
)

COLUMNS = 72
"""Columns of a line; Chinese, Japanese and Korean characters take two (UAX #11)."""

_NO_LINE_START = set("、。，．：；！？）】」』〕〉》〗…—～,.:;!?)]}%’”")
_NO_LINE_END = set("（【「『〔〈《〖([{‘“")
_BLOCKS = frozenset("p h3 h4 h5 h6 ul ol li blockquote pre hr table dl dt dd".split())
_SPACE = re.compile(r"[ \t\n\r\f]+")

Translate = Callable[..., str]


@dataclass(frozen=True, slots=True)
class TextFrame:
    """Hold what stands around the issue, in its language: lines of the masthead, the byline, and the footer's lines.

    A footer line is text and the merge field whose value follows on the next line, or ``""`` for none.
    """

    title: str
    tagline: str
    dateline: str
    byline: str
    footer: tuple[tuple[str, str], ...]


def render_text(issue: Issue, frame: TextFrame, translate: Translate) -> Part:
    """Return the text part of ``issue`` with its slots; ``translate`` gives the catalog's word for a msgid."""
    slots = list(issue.slots)
    setter = _Setter(slots, translate)
    blocks = [*setter.masthead(frame), *setter.editorial(issue, frame.byline)]
    for section in issue.sections:
        blocks.extend(setter.section(section))
    blocks.extend(setter.footer(frame))
    return part_of("\n\n".join(block for block in blocks if block) + "\n", tuple(slots))


class _Setter:
    """Set one issue; holds the slots, which grow by those of the footer, and the references of the section at hand."""

    def __init__(self, slots: list[Slot], translate: Translate) -> None:
        self._slots = slots
        self._translate = translate
        self._urls: dict[str, int] = {}
        self._shown = 0

    def masthead(self, frame: TextFrame) -> list[str]:
        lines = [frame.title, frame.tagline, frame.dateline]
        head = "\n".join(line for text in lines if text for line in wrap(text, self._width))
        return [f"{head}\n{'=' * COLUMNS}"]

    def editorial(self, issue: Issue, byline: str) -> list[str]:
        if issue.editorial is None:
            return []
        return [self._rich(issue.editorial), byline, self._references()]

    def section(self, section: Section) -> list[str]:
        heading = self._underlined(section.title, "=" if section.level == 1 else "-")
        blocks = [heading] if heading else []
        if section.kind == SPONSOR:
            blocks.append(f"({self._translate('Sponsored')})")
        run: list[str] = []
        for item in section.items:
            if isinstance(item, Article) and section.kind == BRIEF and not item.summary:
                run.append(self._article(item, "- "))
                continue
            blocks.extend(["\n".join(run)] if run else [])
            run = []
            blocks.append(self._item(item, section.kind))
        blocks.extend(["\n".join(run)] if run else [])
        return [*blocks, self._references()]

    def footer(self, frame: TextFrame) -> list[str]:
        lines = ["-" * COLUMNS]
        for text, name in frame.footer:
            lines.extend(wrap(text, self._width))
            lines.extend([self._field(name)] if name else [])
            lines.append("")
        return ["\n".join(lines).rstrip()]

    def _field(self, name: str) -> str:
        self._slots.append(Slot(name))
        return marker(len(self._slots) - 1)

    def _underlined(self, title: RichText, rule: str) -> str:
        lines = self._inline_lines(title)
        longest = max((self._width(line) for line in lines), default=0)
        return "\n".join([*lines, rule * min(longest, COLUMNS)]) if lines else ""

    def _item(self, item: Article | Group | RichText, kind: str) -> str:
        if isinstance(item, RichText):
            return self._rich(item)
        if isinstance(item, Group):
            return "\n".join([self._underlined(item.title, "~"), *([item.url] if item.url else [])])
        return self._article(item, f"{item.rank}. " if kind == LEAD else "- " if kind == BRIEF else "")

    def _article(self, article: Article, bullet: str) -> str:
        indent = " " * len(bullet)
        labels = [f"[{label}]" for label in article.labels]
        if article.kind and not any(label.casefold() == article.kind for label in article.labels):
            labels.append(f"[{self._translate(article.kind)}]")
        headline = " ".join([*labels, self._inline(article.headline)])
        lines = wrap(headline, self._width, bullet, indent)
        byline = self._inline(article.byline) if article.byline else ""
        credit = " · ".join(piece for piece in (byline, article.source) if piece)
        lines.extend(wrap(credit, self._width, indent, indent) if credit else [])
        if article.image and article.image.alt:
            lines.extend(wrap(f"[{article.image.alt}]", self._width, indent, indent))
        if article.summary:
            lines.extend(indent + line if line else "" for line in self._rich(article.summary, len(indent)).split("\n"))
        return "\n".join([*lines, indent + article.url])

    # -----------------------------------------------------------------------------------------------------------------
    # Rich text and references
    # -----------------------------------------------------------------------------------------------------------------

    def _rich(self, text: RichText, indent: int = 0) -> str:
        return "\n".join(_BlockSetter(self._reference, self._width, COLUMNS - indent).lines(text.html))

    def _inline(self, text: RichText) -> str:
        from lxml import html

        element = html.fragment_fromstring(text.html, create_parent="p")
        return _SPACE.sub(" ", _inline_text(element, self._reference)).replace("\v", " ").strip()

    def _inline_lines(self, text: RichText) -> list[str]:
        return wrap(self._inline(text), self._width) if text else []

    def _reference(self, url: str) -> str:
        return f"[{self._urls.setdefault(url, len(self._urls) + 1)}]"

    def _references(self) -> str:
        """Return the references that were made since the last call, one a line."""
        new = [(number, url) for url, number in self._urls.items() if number > self._shown]
        self._shown = len(self._urls)
        return "\n".join(f"[{number}] {url}" for number, url in new)

    def _width(self, text: str) -> int:
        return display_width(MARKER.sub(lambda match: self._slots[marker_number(match[1])].default or "x" * 8, text))


def display_width(text: str) -> int:
    """Return the columns that ``text`` takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)


def wrap(
    text: str, width_of: Callable[[str], int], first: str = "", rest: str = "", columns: int = COLUMNS
) -> list[str]:
    """Break ``text`` into lines of at most ``columns`` columns; ``first`` and ``rest`` are the lines' beginnings.

    Lines break at spaces, and between Chinese or Japanese characters save before closing and after opening
    punctuation; a word longer than a line, such as a URL, stays whole on a line of its own.
    """
    lines: list[str] = []
    line, used = first, width_of(first)
    empty = True
    for chunk, spaced in _chunks(text):
        gap = " " if spaced and not empty else ""
        width = width_of(chunk)
        if not empty and used + len(gap) + width > columns:
            lines.append(line)
            line, used, gap = rest, width_of(rest), ""
        line += gap + chunk
        used += len(gap) + width
        empty = False
    return [*lines, line.rstrip()] if not empty else ([first.rstrip()] if first.strip() else [])


def _chunks(text: str) -> Iterable[tuple[str, bool]]:
    """Yield the pieces of ``text`` that a line break must not split, each with whether a space stood before it."""
    for word in _SPACE.split(text.strip()):
        start = 0
        spaced = True
        for index in range(1, len(word) + 1):
            if index < len(word) and not _may_break(word[index - 1], word[index]):
                continue
            if index > start:
                yield word[start:index], spaced
            start, spaced = index, False


def _may_break(before: str, after: str) -> bool:
    if not is_spaceless(before) and not is_spaceless(after):
        return False
    return before not in _NO_LINE_END and after not in _NO_LINE_START


# ---------------------------------------------------------------------------------------------------------------------
# Clean HTML to lines
# ---------------------------------------------------------------------------------------------------------------------


@dataclass
class _BlockSetter:
    """Set clean HTML as lines of at most ``columns`` columns."""

    reference: Callable[[str], str]
    width_of: Callable[[str], int]
    columns: int = COLUMNS
    _out: list[str] = field(default_factory=list)

    def lines(self, content: str) -> list[str]:
        """Return the lines of a fragment, blocks parted by an empty line."""
        from lxml import html

        return self._children(html.fragment_fromstring(content, create_parent="div"))

    def _children(self, element: Any, tight: bool = False) -> list[str]:
        """Set the blocks inside ``element``; inline content between them is a paragraph of its own."""
        groups: list[list[str]] = []
        loose = element.text or ""
        for child in element:
            if child.tag in _BLOCKS:
                groups.extend([self._paragraph(loose), self._block(child)])
                loose = ""
            else:
                loose += _inline_text(child, self.reference, whole=True)
            loose += child.tail or ""
        groups.append(self._paragraph(loose))
        return _joined([group for group in groups if group], tight)

    def _paragraph(self, text: str) -> list[str]:
        lines = []
        for line in text.split("\v"):
            lines.extend(wrap(_SPACE.sub(" ", line), self.width_of, columns=self.columns))
        return lines

    def _block(self, element: Any) -> list[str]:
        setters = {
            "hr": lambda _: ["* * *"],
            "pre": self._code,
            "ul": self._list,
            "ol": self._list,
            "blockquote": lambda quote: self._indented(quote, "> ", "> "),
            "dd": lambda item: self._indented(item, "  ", "  "),
            "table": self._table,
        }
        setter = setters.get(element.tag)
        return setter(element) if setter else self._children(element)

    def _code(self, element: Any) -> list[str]:
        return [f"    {line}".rstrip() for line in element.text_content().rstrip("\n").split("\n")]

    def _list(self, element: Any) -> list[str]:
        number = int(element.get("start") or 1)
        groups = []
        for item in element:
            bullet = f"{number}. " if element.tag == "ol" else "- "
            groups.append(self._indented(item, bullet, " " * len(bullet), tight=item.find("p") is None))
            number += 1
        tight = all(item.find("p") is None for item in element)
        return _joined([group for group in groups if group], tight)

    def _indented(self, element: Any, first: str, rest: str, tight: bool = False) -> list[str]:
        inner = _BlockSetter(self.reference, self.width_of, max(self.columns - len(rest), 24))
        lines = inner._children(element, tight)
        return [((rest if index else first) + line).rstrip() for index, line in enumerate(lines)] or [first.rstrip()]

    def _table(self, element: Any) -> list[str]:
        rows = []
        for row in element.iter("tr"):
            cells = [_SPACE.sub(" ", _inline_text(cell, self.reference)).replace("\v", " ").strip() for cell in row]
            rows.extend(wrap(" | ".join(cells), self.width_of, columns=self.columns))
        return rows


def _joined(groups: Sequence[list[str]], tight: bool) -> list[str]:
    lines: list[str] = []
    for group in groups:
        lines.extend([""] if lines and not tight else [])
        lines.extend(group)
    return lines


def _inline_text(element: Any, reference: Callable[[str], str], whole: bool = False) -> str:
    r"""Return the text of inline content, ``\v`` for a hard line break; ``whole`` includes the element itself."""
    if whole and element.tag == "br":
        return "\v"
    if whole and element.tag == "img":
        return f"[{element.get('alt')}]" if element.get("alt") else ""
    text = element.text or ""
    for child in element:
        text += _inline_text(child, reference, whole=True) + (child.tail or "")
    if whole and element.tag == "a" and element.get("href"):
        return _with_reference(text, element.get("href"), reference)
    return text


def _with_reference(text: str, url: str, reference: Callable[[str], str]) -> str:
    if _SPACE.sub("", text) == url:
        return text
    return f"{text.rstrip()} {reference(url)}" if text.strip() else reference(url)
