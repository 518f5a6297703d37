"""Set an issue as plain text: 72 columns by display width, from the Issue itself and never from the mail's HTML.

Links inside text become numbered references under their section, the link of an article stands under it as it is. All
words are the editor's or the catalog's: nothing is shortened, nothing changes its case. Merge fields stay markers until
the end, where the text becomes a ``Part``.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
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
NARROWEST = 24
"""Columns that text keeps however deep it is nested; what is nested deeper is not indented further."""

_NO_LINE_START = set(
    "、。，．：；！？）】」』〕〉》〗…—～·・々ー゛゜ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.:;!?)]}%’”"
)
_NO_LINE_END = set("（【「『〔〈《〖([{‘“")
_BLOCKS = frozenset("p div h3 h4 h5 h6 ul ol li blockquote pre hr table dl dt dd".split())
_RULES = {"h3": "~", "h4": ".", "h5": ".", "h6": "."}
_STRUCK = frozenset(("s", "del"))
_SPACE = re.compile(r"[ \t\n\r\f]+")
_WORD_END = re.compile(r"['’]?[A-Za-z0-9À-ɏ]+")
"""Match what follows a link without a space and belongs to its last word."""
_QUOTE = re.compile(r"<blockquote>((?:(?!</?blockquote>).)*)</blockquote>", re.DOTALL)
"""Match a text that is one quote, as editors write summaries."""
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_GLUE, _JOIN, _BREAK = "\x1d", "\x1e", "\v"
"""A space and a place at which no line ends, and a place at which one does; no content holds control characters."""

Translate = Callable[..., str]


@dataclass(frozen=True, slots=True)
class TextFrame:
    """Hold what stands around the issue, in its language: lines of the masthead, the byline, and the footer's lines.

    A footer line is text and the merge field whose value follows on the next line, or ``""`` for none. ``date`` writes
    the day of an article.
    """

    title: str
    tagline: str
    dateline: str
    byline: str
    footer: tuple[tuple[str, str], ...]
    date: Callable[[dt.date], str] = dt.date.isoformat


def render_text(issue: Issue, frame: TextFrame, translate: Translate) -> Part:
    """Return the text part of ``issue`` with its slots; ``translate`` gives the catalog's word for a msgid."""
    setter = _Setter(list(issue.slots), frame, translate)
    blocks = [*setter.masthead(), *setter.opening(issue)]
    for section in issue.sections:
        blocks.extend(setter.section(section))
    blocks.extend(setter.footer())
    return part_of("\n\n".join(block for block in blocks if block) + "\n", tuple(setter.slots))


class _Setter:
    """Set one issue; holds the slots, which grow by those of the footer, and the references of the section at hand."""

    def __init__(self, slots: list[Slot], frame: TextFrame, translate: Translate) -> None:
        self.slots = slots
        self._frame = frame
        self._translate = translate
        self._urls: dict[str, int] = {}
        self._shown = 0

    def masthead(self) -> list[str]:
        lines = [self._frame.title, self._frame.tagline, self._frame.dateline]
        head = "\n".join(line for text in lines if text for line in wrap(text, self.width))
        return [f"{head}\n{'=' * COLUMNS}"]

    def opening(self, issue: Issue) -> list[str]:
        head = [line for text in (issue.subject, self._frame.byline) for line in wrap(text, self.width)]
        editorial = self._rich(issue.editorial) if issue.editorial else ""
        return ["\n".join(head), editorial, self._references()]

    def section(self, section: Section) -> list[str]:
        heading = self._underlined(section.title, "=" if section.level == 1 else "-")
        blocks = [heading] if heading else []
        if section.kind == SPONSOR:
            blocks.append(f"({self._translate('Sponsored')})")
        run: list[str] = []
        for item in section.items:
            if isinstance(item, Article) and not item.summary and not item.image:
                run.append(self._article(item, section.kind))
                continue
            blocks.extend(["\n".join(run), self._item(item, section.kind)])
            run = []
        return [*blocks, "\n".join(run), self._references()]

    def footer(self) -> list[str]:
        lines = ["-" * COLUMNS]
        for text, name in self._frame.footer:
            lines.extend(wrap(text, self.width))
            lines.extend([self._field(name)] if name else [])
            lines.append("")
        return ["\n".join(lines).rstrip()]

    def _field(self, name: str) -> str:
        self.slots.append(Slot(name))
        return marker(len(self.slots) - 1)

    def _underlined(self, title: RichText, rule: str) -> str:
        return "\n".join(underline(wrap(self._inline(title), self.width), rule, self.width))

    def _item(self, item: Article | Group | RichText, kind: str) -> str:
        if isinstance(item, RichText):
            return self._rich(item)
        if isinstance(item, Group):
            return "\n".join([self._underlined(item.title, "~"), *([item.url] if item.url else [])])
        return self._article(item, kind)

    def _article(self, article: Article, kind: str) -> str:
        bullet = f"{article.rank}. " if kind == LEAD else "- "
        indent = " " * len(bullet)
        lines = wrap(" ".join([*self._labels(article), self._inline(article.headline)]), self.width, bullet, indent)
        date = self._frame.date(article.date) if article.date else ""
        byline = self._inline(article.byline) if article.byline else ""
        credit = " · ".join(piece for piece in (article.source, date, byline) if piece)
        lines.extend(wrap(credit, self.width, indent, indent))
        if article.image:
            lines.extend(wrap(self.image(article.image.src, article.image.alt), self.width, indent, indent))
        if article.summary:
            summary = self._rich(article.summary, len(indent), whole_quote=False).split("\n")
            lines.extend((indent + line).rstrip() for line in summary)
            lines.extend([""] if "" in summary else [])
        return "\n".join([*lines, indent + article.url])

    def _labels(self, article: Article) -> list[str]:
        """Return the article's labels as written, and its kind as a word where it says more than its place does."""
        labels = [f"[{label}]" for label in article.labels]
        said = {"", "article", BRIEF, *(label.casefold() for label in article.labels)}
        word = self._translate("Sponsored" if article.kind == SPONSOR else article.kind)
        return labels if article.kind in said else [f"[{word}]", *labels]

    # -----------------------------------------------------------------------------------------------------------------
    # Rich text and references
    # -----------------------------------------------------------------------------------------------------------------

    def _rich(self, text: RichText, indent: int = 0, *, whole_quote: bool = True) -> str:
        """Return rich text as lines; without ``whole_quote``, one that is all a quote loses its marks, as in HTML."""
        quote = None if whole_quote else _QUOTE.fullmatch(text.html)
        return "\n".join(_BlockSetter(self, COLUMNS - indent).lines(quote[1] if quote else text.html))

    def _inline(self, text: RichText) -> str:
        from lxml import html

        element = html.fragment_fromstring(text.html, create_parent="p")
        return _one_line(self.inline(element))

    def inline(self, element: Any) -> str:
        r"""Return the text of what is in ``element``, references behind its links, ``\v`` for a hard line break."""
        text = element.text or ""
        for child in element:
            gap = " " if child.tag in _BLOCKS else ""
            text += gap + self.inline_run(child, gap)
        return text

    def inline_run(self, element: Any, gap: str = "") -> str:
        """Return the text of an inline element and of what follows it in its parent; ``gap`` stands between them."""
        tail = element.tail or ""
        if element.tag == "br":
            return _BREAK + tail
        if element.tag == "img":
            return self.image(element.get("src", ""), element.get("alt", "")) + tail
        text = self.inline(element)
        if element.tag in _STRUCK and text.strip():
            text = f"~~{text}~~"
        url = element.get("href", "") if element.tag == "a" else ""
        if not url or (_SPACE.sub("", text) == url and url.isascii()):
            return text + gap + tail
        ending = None if text[-1:].isspace() else _WORD_END.match(tail)
        end = ending.end() if ending else 0
        return self._with_reference(text + tail[:end], url) + tail[end:]

    def image(self, src: str, alt: str) -> str:
        """Return what stands for an image: its description, and a reference to it where it can be looked up."""
        words = " ".join(alt.split())
        label = self._translate("Image: {alt}", alt=words) if words else self._translate("Image")
        if _REMOTE.match(src):
            return self._with_reference(f"[{label}]", src)
        return f"[{label}]" if words else ""

    def _with_reference(self, text: str, url: str) -> str:
        """Return ``text`` with the number of ``url`` behind it, where no line ends between the two."""
        reference = f"[{self._urls.setdefault(url, len(self._urls) + 1)}]"
        shown = text.rstrip()
        if not shown:
            return reference
        return shown + (_JOIN if is_spaceless(shown[-1]) else _GLUE) + reference + text[len(shown) :]

    def _references(self) -> str:
        """Return the references that were made since the last call, one a line."""
        new = [(number, url) for url, number in self._urls.items() if number > self._shown]
        self._shown = len(self._urls)
        return "\n".join(f"[{number}] {url}" for number, url in new)

    def width(self, text: str) -> int:
        """Return the columns of ``text``; a merge field counts as its default, or as a name of eight letters."""
        if text.isascii():  # so no marker
            return len(text)
        return display_width(MARKER.sub(lambda match: self.slots[marker_number(match[1])].default or "x" * 8, text))


# ---------------------------------------------------------------------------------------------------------------------
# Lines
# ---------------------------------------------------------------------------------------------------------------------

Width = Callable[[str], int]


def display_width(text: str) -> int:
    """Return the columns that ``text`` takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    width = wcswidth(text)
    return width if width >= 0 else len(text)


def wrap(text: str, width_of: Width, first: str = "", rest: str = "", columns: int = COLUMNS) -> list[str]:
    """Break ``text`` into lines of at most ``columns`` columns; ``first`` and ``rest`` are the lines' beginnings.

    Lines break at spaces, and between Chinese or Japanese characters save before closing and after opening
    punctuation; a word longer than a line, such as a URL, stays whole on a line of its own.
    """
    lines: list[str] = []
    line, used = first, width_of(first)
    empty = True
    for chunk, spaced in _fitting(_chunks(text), width_of, columns - width_of(rest)):
        gap = " " if spaced and not empty else ""
        width = width_of(chunk)
        if not empty and used + len(gap) + width > columns:
            lines.append(line.rstrip())
            line, used, gap = rest, width_of(rest), ""
        line += gap + chunk
        used += len(gap) + width
        empty = False
    return [] if empty else [*lines, line.rstrip()]


def _fitting(chunks: Iterable[tuple[str, bool]], width_of: Width, room: int) -> Iterator[tuple[str, bool]]:
    """Yield ``chunks`` as they are printed; one that is wider than ``room`` falls apart where it was glued."""
    for chunk, spaced in chunks:
        shown = _unglued(chunk)
        if shown == chunk or width_of(shown) <= room:
            yield shown, spaced
            continue
        for index, piece in enumerate(re.split(f"([{_GLUE}{_JOIN}])", chunk)[::2]):
            yield piece, spaced if not index else True


def _chunks(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of ``text`` that a line break must not split, each with whether a space stood before it."""
    for word in _SPACE.split(text.strip()):
        if word.isascii():
            yield from [(word, True)] if word else []
            continue
        start = 0
        spaced = True
        for index in range(1, len(word) + 1):
            if index < len(word) and not _may_break(word[index - 1], word[index]):
                continue
            yield word[start:index], spaced
            start, spaced = index, False


def _may_break(before: str, after: str) -> bool:
    if not is_spaceless(before) and not is_spaceless(after):
        return False
    if before in _NO_LINE_END or after in _NO_LINE_START or {before, after} & {_GLUE, _JOIN}:
        return False
    return unicodedata.category(after)[0] != "M"  # a mark belongs to the character before it


def underline(lines: Sequence[str], rule: str, width_of: Width) -> list[str]:
    """Return ``lines`` with a rule below as wide as the widest of them."""
    return [*lines, rule * min(max(map(width_of, lines)), COLUMNS)] if lines else []


# ---------------------------------------------------------------------------------------------------------------------
# Clean HTML to lines
# ---------------------------------------------------------------------------------------------------------------------


class _BlockSetter:
    """Set clean HTML as lines of at most ``columns`` columns."""

    def __init__(self, setter: _Setter, columns: int) -> None:
        self._setter = setter
        self._columns = columns

    def lines(self, content: str) -> list[str]:
        """Return the lines of a fragment, blocks parted by an empty line."""
        from lxml import html

        return self._children(html.fragment_fromstring(content, create_parent="div"))

    def _children(self, element: Any, bullets: Iterator[str] | None = None, *, tight: bool = False) -> list[str]:
        """Set the blocks inside ``element``; inline content between them is a paragraph of its own."""
        groups: list[list[str]] = []
        loose = element.text or ""
        for child in element:
            if child.tag in _BLOCKS:
                groups.extend([self._paragraph(loose), self._block(child, bullets)])
                loose = child.tail or ""
            else:
                loose += self._setter.inline_run(child)
        groups.append(self._paragraph(loose))
        return _joined([group for group in groups if group], tight=tight)

    def _paragraph(self, text: str) -> list[str]:
        return [line for part in text.split(_BREAK) for line in wrap(part, self._setter.width, columns=self._columns)]

    def _block(self, element: Any, bullets: Iterator[str] | None) -> list[str]:
        if element.tag == "li":
            bullet = next(bullets) if bullets else "- "
            return self._indented(element, bullet, " " * len(bullet), tight=element.find("p") is None)
        setters: dict[str, Callable[[Any], list[str]]] = {
            "hr": lambda _: ["* * *"],
            "pre": self._code,
            "ul": self._list,
            "ol": self._list,
            "table": self._table,
            "blockquote": lambda quote: self._indented(quote, "> ", "> "),
            "dd": lambda item: self._indented(item, "  ", "  "),
        }
        return setters.get(element.tag, self._plain_block)(element)

    def _plain_block(self, element: Any) -> list[str]:
        lines, rule = self._children(element), _RULES.get(element.tag)
        return underline(lines, rule, self._setter.width) if rule else lines

    def _list(self, element: Any) -> list[str]:
        start = element.get("start", "")
        first = int(start) if re.fullmatch(r"-?[0-9]{1,9}", start) else 1
        bullets = (f"{number}. " for number in count(first)) if element.tag == "ol" else None
        tight = all(item.find("p") is None for item in element)
        return self._children(element, bullets, tight=tight)

    def _indented(self, element: Any, first: str, rest: str, *, tight: bool = False) -> list[str]:
        if self._columns - len(rest) < NARROWEST:
            first = rest = ""
        lines = _BlockSetter(self._setter, self._columns - len(rest))._children(element, tight=tight)  # noqa: SLF001
        return [((rest if index else first) + line).rstrip() for index, line in enumerate(lines)] or [first.rstrip()]

    def _code(self, element: Any) -> list[str]:
        """Set code indented; a line that is too long goes on below, deeper."""
        indent = "    " if self._columns > 2 * NARROWEST else ""
        text = _unglued(self._setter.inline(element)).replace(_BREAK, "\n").strip("\n")
        return [part for line in text.expandtabs(4).split("\n") for part in self._code_lines(line.rstrip(), indent)]

    def _code_lines(self, line: str, indent: str) -> Iterator[str]:
        lead = indent
        while (cut := self._cut(line, self._columns - len(lead))) is not None:
            yield lead + line[:cut].rstrip()
            line, lead = line[cut:].lstrip(), indent * 2
        yield (lead + line).rstrip()

    def _cut(self, line: str, room: int) -> int | None:
        """Return the last space at which ``line`` can be cut to fit into ``room`` columns, or else the first one."""
        if self._setter.width(line) <= room:
            return None
        begin = len(line) - len(line.lstrip())
        fitting = (end for end in range(min(room, len(line) - 1), begin, -1) if line[end] == " ")
        cut = next((end for end in fitting if self._setter.width(line[:end]) <= room), None)
        return cut or (found if (found := line.find(" ", begin)) > 0 else None)

    def _table(self, element: Any) -> list[str]:
        """Set a table with its columns aligned where all of it fits, row by row otherwise."""
        rows = [(row, [self._cell(cell) for cell in row if cell.tag in ("td", "th")]) for row in _rows(element)]
        rows = [(row, cells) for row, cells in rows if any(cells)]
        columns = max((len(cells) for _, cells in rows), default=0)
        widths = [max(self._width_at(cells, index) for _, cells in rows) for index in range(columns)]
        if sum(widths) + 3 * (columns - 1) > self._columns:
            return [
                part for _, cells in rows for part in wrap(" | ".join(cells), self._setter.width, columns=self._columns)
            ]
        lines = [self._aligned(cells, widths) for _, cells in rows]
        if len(lines) > 1 and all(cell.tag == "th" for cell in rows[0][0]):
            lines.insert(1, "-+-".join("-" * width for width in widths))
        return lines

    def _cell(self, cell: Any) -> str:
        return _unglued(_one_line(self._setter.inline(cell)))

    def _width_at(self, row: Sequence[str], index: int) -> int:
        return self._setter.width(row[index]) if index < len(row) else 0

    def _aligned(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (cell + " " * (width - self._setter.width(cell)) for cell, width in zip(row, widths, strict=False))
        return " | ".join(cells).rstrip()


def _rows(table: Any) -> Iterator[Any]:
    """Yield the rows of ``table`` itself, not of a table within one of its cells; nh3 puts each into a ``tbody``."""
    for part in table.iterchildren("thead", "tbody"):
        yield from part.iterchildren("tr")


def _one_line(text: str) -> str:
    return " ".join(_SPACE.split(text.replace(_BREAK, " "))).strip()


def _unglued(text: str) -> str:
    return text.replace(_GLUE, " ").replace(_JOIN, "")


def _joined(groups: Sequence[list[str]], *, tight: bool) -> list[str]:
    lines: list[str] = []
    for group in groups:
        lines.extend([""] if lines and not tight else [])
        lines.extend(group)
    return lines
