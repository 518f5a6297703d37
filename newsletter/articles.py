"""Find the sections, groups and articles in an issue's Markdown: which heading or list means what.

Works on the tokens of ``markup``; every piece of content leaves as clean HTML. Front matter, images and merge fields
of the whole issue are the business of ``issue``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from newsletter.attributes import read_attributes, split_attributes
from newsletter.cjk import JOINED
from newsletter.cleanhtml import build_cleaner, clean_html, is_visible, restore_code, unknown_tags
from newsletter.config import SectionsSection
from newsletter.errors import IssueError, Place, Problem
from newsletter.markup import Source, build_parser, parse_blocks
from newsletter.model import (
    ARTICLE_KINDS,
    ARTICLES,
    LEAD,
    QUOTE,
    SECTION_KINDS,
    TEXT,
    Article,
    Group,
    Image,
    Item,
    RichText,
    Section,
)

if TYPE_CHECKING:
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

BYLINE_MAX = 100
"""Characters up to which what stands behind an article's link is its byline; longer text is its summary."""
_LABELS = re.compile(r"\s*(?:\[[^\[\]\n]{1,24}\]\s*)*")
_LABEL = re.compile(r"\[([^\[\]]+)\]")
_BARE_URL = re.compile(r"https?://[^\s<>]+")
_BLANKS = re.compile(r"^\s+")
_SEPARATORS = re.compile(r"^(?:[\s:,;|·–—，：。；、]|[.-]+(?=\s|$))+")
_END_OF_HEADLINE = re.compile(r"[?!？！]+|['’]?[A-Za-z0-9À-ɏ]+")
"""Match what follows a link without a space and belongs to its last word."""
_ALIGNED = re.compile(r"text-align:(left|center|right)")
"""Match the style of a cell below ``--:`` and the like."""
_EMPTY_PARAGRAPH = re.compile(r"<p>\s*</p>\s*")
_TEXT_TOKENS = ("text", "code_inline", "softbreak", "hardbreak")


def heading_key(heading: str) -> str:
    """Return ``heading`` as headings are compared: without case, outer space and end punctuation."""
    return " ".join(heading.split()).casefold().rstrip(".:!?…。：！？ ")


@dataclass(frozen=True, slots=True)
class _Block:
    """Hold the tokens of one top-level block, or of one item of a list."""

    tokens: "list[Token]"
    line: int

    @property
    def type(self) -> str:
        return self.tokens[0].type

    @property
    def heading(self) -> str:
        """Return ``h1`` … ``h6``, or ``""`` for what is no heading."""
        return self.tokens[0].tag if self.type == "heading_open" else ""

    @property
    def children(self) -> "list[Token]":
        """Return the inline tokens of a heading or paragraph."""
        return self.tokens[1].children or []


@dataclass(frozen=True, slots=True)
class _Link:
    """Hold what an article begins with: its prefixes, the tokens inside its link, and what follows the link."""

    labels: tuple[str, ...]
    inner: "list[Token]"
    url: str
    title: str
    rest: "list[Token]"
    bare: bool = False


class SectionReader:
    """Read one body; made anew for each.

    After ``read``, ``unknown_tags`` holds the tags that HTML does not know, such as ``<T>``, each with its place.
    """

    def __init__(self, source: Source, settings: SectionsSection) -> None:
        self._source = source
        self._lines = source.text.split("\n")
        self.unknown_tags: list[tuple[str, Place]] = []
        self._parser = build_parser()
        self._renderer = cast("RendererHTML", self._parser.renderer)
        self._cleaner = build_cleaner()
        self._lead = heading_key(settings.lead)
        self._kinds = {heading_key(heading): kind for heading, kind in settings.kinds.items()}

    def read(self) -> tuple[RichText | None, tuple[Section, ...]]:
        """Return the editorial, or None, and the sections; raise IssueError with the first mistake of each section."""
        tokens = parse_blocks(self._parser, self._source)
        self.unknown_tags = list(self._find_unknown_tags(tokens))
        blocks = list(_split_blocks(tokens))
        heads = [index for index, block in enumerate(blocks) if block.heading in ("h1", "h2")]
        if not heads:
            return self._read_untitled(blocks)
        problems: list[Problem] = []
        sections = []
        for start, end in zip(heads, [*heads[1:], len(blocks)], strict=True):
            try:
                sections.append(self._read_section(blocks[start], blocks[start + 1 : end]))
            except IssueError as error:
                problems.extend(error.problems)
        if problems:
            raise IssueError(problems)
        return self._rich(blocks[: heads[0]]), tuple(sections)

    def _find_unknown_tags(self, tokens: "Sequence[Token]") -> Iterator[tuple[str, Place]]:
        for token in tokens:
            raw = (part for part in (token, *(token.children or ())) if part.type in ("html_block", "html_inline"))
            for tag in (tag for part in raw for tag in unknown_tags(part.content)):
                yield tag, self._source.place_of(tag, self._place(token.map[0] if token.map else 0))

    def _read_untitled(self, blocks: list[_Block]) -> tuple[RichText | None, tuple[Section, ...]]:
        """Read a body without section headings: from its first article on, it is one untitled section."""
        first = next((index for index, block in enumerate(blocks) if self._begins_articles(block)), None)
        if first is None:
            return self._rich(blocks), ()
        if first and blocks[first - 1].heading == "h3":
            first -= 1  # it heads the list as a group
        place = self._place(blocks[first].line)
        items = tuple(self._read_items(blocks[first:], ARTICLES))
        section = Section(title=RichText("", place), name="", kind=ARTICLES, items=items, place=place)
        return self._rich(blocks[:first]), (section,)

    # -----------------------------------------------------------------------------------------------------------------
    # Sections and their items
    # -----------------------------------------------------------------------------------------------------------------

    def _read_section(self, head: _Block, blocks: list[_Block]) -> Section:
        place = self._place(head.line)
        children, attributes = self._take_attributes(
            head.children, place, ("kind", "topics", "waive", "reason"), SECTION_KINDS
        )
        title = self._inline(children, place)
        name = _plain_text(children)
        kind = attributes.get("kind") or (
            LEAD if heading_key(name) == self._lead else self._kinds.get(heading_key(name))
        )
        items = self._read_body(blocks, kind)
        holds_articles = any(isinstance(item, Article) for item in items)
        return Section(
            title=title,
            name=name,
            kind=kind or (ARTICLES if holds_articles else TEXT),
            items=tuple(items),
            place=place,
            level=int(head.heading[1]),
            topics=attributes.get("topics", ()),
            waive=attributes.get("waive", ()),
            waive_reason=attributes.get("reason", ""),
        )

    def _read_body(self, blocks: list[_Block], kind: str | None) -> list[Item]:
        if kind in (TEXT, QUOTE):
            text = self._rich(blocks)
            return [text] if text else []
        items = list(self._read_items(blocks, kind or ARTICLES))
        return list(_ranked(items)) if kind == LEAD else items

    def _read_items(self, blocks: list[_Block], kind: str) -> Iterator[Item]:
        index = 0
        loose: list[_Block] = []
        while index < len(blocks):
            block = blocks[index]
            if block.heading != "h3" and not self._holds_articles(block):
                loose.append(block)
                index += 1
                continue
            yield from self._flush(loose)
            if block.heading == "h3":
                following = _until_heading(blocks[index + 1 :])
                item, used = self._read_heading(block, following, kind)
                yield item
                index += 1 + used
            else:
                yield from self._read_list(block)
                index += 1
        yield from self._flush(loose)

    def _flush(self, loose: list[_Block]) -> Iterator[RichText]:
        text = self._rich(loose)
        loose.clear()
        if text:
            yield text

    def _read_heading(self, block: _Block, following: list[_Block], kind: str) -> tuple[Item, int]:
        """Read a ``###`` heading: an article with what follows it, or the heading of a group.

        A list with articles ends what follows. In the lead section only a heading right above such a list is a group's.
        """
        place = self._place(block.line)
        link = _leading_link(block.children)
        lists = (index for index, later in enumerate(following) if self._holds_articles(later))
        end = next(lists, len(following))
        over_list = end < len(following) and (kind != LEAD or not end)
        if link and not link.bare and not over_list and not _has_link(link.rest):
            return self._article(link, following[:end], place), end
        children, _ = self._take_attributes(block.children, place, (), ())
        rest = self._take_attributes(link.rest, place, (), ())[0] if link else []
        if link and not (link.bare or link.labels or _plain_text(rest)):
            return Group(self._inline(link.inner, place), place, link.url), 0
        return Group(self._inline(children, place), place), 0

    def _read_list(self, block: _Block) -> Iterator[Item]:
        """Read a list: items that begin with a link are articles, the others stay a list."""
        opening, closing = block.tokens[0], block.tokens[-1]
        first = opening.attrGet("start")
        start = 1 if first is None else int(first)
        others: list[Token] = []
        for offset, item in enumerate(_split_blocks(block.tokens[1:-1])):
            blocks = list(_split_blocks(item.tokens[1:-1]))
            link = _leading_link(blocks[0].children) if blocks and blocks[0].type == "paragraph_open" else None
            if link is None:
                others.extend([] if others else [_opening_at(opening, start + offset)])
                others.extend(item.tokens)
                continue
            if others:
                yield from self._flush([_Block([*others, closing], block.line)])
                others = []
            yield self._article(link, blocks[1:], self._place(item.line))
        if others:
            yield from self._flush([_Block([*others, closing], block.line)])

    def _begins_articles(self, block: _Block) -> bool:
        link = _leading_link(block.children) if block.heading == "h3" else None
        return self._holds_articles(block) or bool(link and not link.bare and not _has_link(link.rest))

    def _holds_articles(self, block: _Block) -> bool:
        if block.type not in ("bullet_list_open", "ordered_list_open"):
            return False
        for item in _split_blocks(block.tokens[1:-1]):
            inner = item.tokens[1:-1]
            if inner and inner[0].type == "paragraph_open" and _leading_link(inner[1].children or []):
                return True
        return False

    # -----------------------------------------------------------------------------------------------------------------
    # Articles
    # -----------------------------------------------------------------------------------------------------------------

    def _article(self, link: _Link, blocks: list[_Block], place: Place) -> Article:
        allowed = ("kind", "topics", "date", "embargo", "follow-up", "waive", "reason")
        byline, more = _split_at_break(link.rest)
        byline, attributes = self._take_attributes(byline, place, allowed, ARTICLE_KINDS)
        if not attributes:
            more, attributes = self._take_attributes(more, place, allowed, ARTICLE_KINDS)
        byline, more = _split_rest(byline, more)
        image, more = self._take_image(more, place)
        if image is None and not more and blocks and blocks[0].type == "paragraph_open":
            image, left = self._take_image(blocks[0].children, self._place(blocks[0].line))
            blocks = [*([_paragraph(left, blocks[0].line)] if left else []), *blocks[1:]] if image else blocks
        summary = [*([_paragraph(more, blocks[0].line if blocks else 0)] if more else []), *blocks]
        label_kinds = [label.casefold() for label in link.labels if label.casefold() in ARTICLE_KINDS]
        credit = self._inline(byline, place)
        return Article(
            headline=RichText(escape(_host(link.url)), place) if link.bare else self._inline(link.inner, place),
            url=link.url,
            source=link.title,
            place=place,
            byline=credit if is_visible(credit.html) else None,
            summary=self._rich(summary, place if more else None),
            image=image,
            kind=attributes.get("kind") or next(iter(label_kinds), ""),
            labels=link.labels,
            bare=link.bare,
            topics=attributes.get("topics", ()),
            date=attributes.get("date"),
            embargo=attributes.get("embargo"),
            follow_up=attributes.get("follow-up", ""),
            waive=attributes.get("waive", ()),
            waive_reason=attributes.get("reason", ""),
        )

    def _take_image(self, children: "list[Token]", place: Place) -> "tuple[Image | None, list[Token]]":
        """Take an image that stands on a line of its own at the start of ``children``."""
        content = [child for child in children if not _is_blank(child)]
        if not content or content[0].type != "image" or (len(content) > 1 and "break" not in content[1].type):
            return None, children
        src = str(content[0].attrGet("src") or "")
        if re.match(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]*:", src):
            return None, children
        alt = self._renderer.renderInlineAsText(content[0].children, self._parser.options, {})
        return Image(src, alt, self._source.place_of(src, place)), content[2:]

    # -----------------------------------------------------------------------------------------------------------------
    # Attributes in braces
    # -----------------------------------------------------------------------------------------------------------------

    def _take_attributes(
        self, children: "list[Token]", place: Place, allowed: tuple[str, ...], kinds: tuple[str, ...]
    ) -> "tuple[list[Token], dict[str, Any]]":
        """Take ``{key=value …}`` off the end of a heading or item; braces that hold anything else are text."""
        text = children[-1].content if children and children[-1].type == "text" else ""
        before, braces = split_attributes(text)
        if not braces:
            return children, {}
        found = read_attributes(braces, allowed, kinds, self._source.place_of(braces, place))
        return [*children[:-1], *([_text_token(before)] if before else [])], found

    # -----------------------------------------------------------------------------------------------------------------
    # Content
    # -----------------------------------------------------------------------------------------------------------------

    def _rich(self, blocks: Sequence[_Block], place: Place | None = None) -> RichText | None:
        tokens = [_fit(token) for block in blocks for token in block.tokens]
        if not tokens:
            return None
        where = place or self._place(blocks[0].line)
        html = self._clean(self._renderer.render(tokens, self._parser.options, {}), where)
        shown = _EMPTY_PARAGRAPH.sub("", html).strip()
        return RichText(shown, where) if is_visible(shown) else None

    def _inline(self, children: "list[Token]", place: Place) -> RichText:
        html = self._renderer.renderInline(children, self._parser.options, {})
        return RichText(self._clean(html, place), place)

    def _clean(self, html: str, place: Place) -> str:
        written = [field.text for field in self._source.fields]
        return restore_code(clean_html(self._cleaner, html, place), written)

    def _place(self, line: int) -> Place:
        text = self._lines[line] if line < len(self._lines) else ""
        return Place(self._source.file, self._source.first_line + line, len(text) - len(text.lstrip()) + 1)


# ---------------------------------------------------------------------------------------------------------------------
# Tokens
# ---------------------------------------------------------------------------------------------------------------------


def _split_blocks(tokens: "Sequence[Token]") -> Iterator[_Block]:
    """Cut a run of tokens where the nesting comes back to its start."""
    depth = start = line = 0
    for index, token in enumerate(tokens):
        if index == start and token.map:
            line = token.map[0]
        depth += token.nesting
        if depth == 0:
            yield _Block(list(tokens[start : index + 1]), line)
            start = index + 1


def _until_heading(blocks: list[_Block]) -> list[_Block]:
    """Return the blocks before the next ``###`` heading or rule."""
    stops = (index for index, block in enumerate(blocks) if block.heading == "h3" or block.type == "hr")
    return blocks[: next(stops, len(blocks))]


def _leading_link(children: "list[Token]") -> _Link | None:
    """Return the link that a heading or item begins with, prefixes such as ``[video]`` aside, or None."""
    content = [child for child in children if not _is_comment(child)]
    labels: tuple[str, ...] = ()
    if content and content[0].type == "text" and _LABELS.fullmatch(content[0].content):
        labels = tuple(_LABEL.findall(content[0].content))
        content = content[1:]
    if not content:
        return None
    if content[0].type == "text" and not labels and _host(_without_attributes(content[0].content)):
        return _bare_link(content)
    end = next((index for index, child in enumerate(content) if child.type == "link_close"), 0)
    if content[0].type != "link_open" or not _plain_text(content[1:end]).strip():
        return None
    url = str(content[0].attrGet("href") or "")
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        return None
    inner, rest = content[1:end], content[end + 1 :]
    ending = _END_OF_HEADLINE.match(rest[0].content) if rest and rest[0].type == "text" else None
    if ending:
        inner = [*inner, _text_token(ending[0])]
        rest = [_text_token(rest[0].content[ending.end() :]), *rest[1:]]
    return _Link(labels, inner, url, str(content[0].attrGet("title") or ""), rest)


def _bare_link(content: "list[Token]") -> _Link:
    from markdown_it.common.normalize_url import normalizeLink

    url = _without_attributes(content[0].content)
    rest = _text_token(content[0].content.lstrip()[len(url) :])
    return _Link((), [], normalizeLink(url), "", [rest, *content[1:]] if rest.content else content[1:], bare=True)


def _host(url: str) -> str:
    """Return the host of a web address that stands alone, ``""`` for any other text."""
    try:
        return urlsplit(url).hostname or "" if _BARE_URL.fullmatch(url) else ""
    except ValueError:  # brackets that hold no IPv6 address
        return ""


def _without_attributes(text: str) -> str:
    return split_attributes(text)[0].strip()


def _has_link(children: "list[Token]") -> bool:
    return any(child.type == "link_open" for child in children)


def _split_at_break(children: "list[Token]") -> "tuple[list[Token], list[Token]]":
    """Split inline tokens at their first line break that stands in no link or emphasis."""
    depth = 0
    for index, child in enumerate(children):
        depth += child.nesting
        if depth == 0 and (child.type in ("softbreak", "hardbreak") or JOINED in child.meta):
            return children[:index], children[index:]
    return children, []


def _split_rest(first: "list[Token]", more: "list[Token]") -> "tuple[list[Token], list[Token]]":
    """Tell the byline from the summary, where ``first`` stands behind a link and ``more`` on the lines below.

    The byline is ``first``, but for prose that was broken into lines, and for what is too long for one.
    """
    begins, goes_on = _plain_text(first).strip(), _plain_text(more).lstrip()
    is_prose = begins.startswith((". ", "。")) or goes_on[:1].islower()
    if begins and goes_on and is_prose and more[0].type != "hardbreak":
        first, more = [*first, *more], []
    if len(_plain_text(first).strip()) > BYLINE_MAX:
        first, more = [], [*first, *more]
        return [], _from_text(more, _SEPARATORS)
    return _from_text(first, _SEPARATORS), _from_text(more, _BLANKS)


def _from_text(children: "list[Token]", dropped: re.Pattern[str]) -> "list[Token]":
    """Drop line breaks in front of ``children``, and what ``dropped`` matches."""
    for index, child in enumerate(children):
        text = dropped.sub("", child.content) if child.type == "text" else ""
        if text:
            return [_text_token(text), *children[index + 1 :]]
        if child.type not in ("text", "softbreak", "hardbreak"):
            return children[index:]
    return []


def _plain_text(children: "list[Token]") -> str:
    return "".join(" " if "break" in child.type else child.content for child in children if child.type in _TEXT_TOKENS)


def _is_comment(child: "Token") -> bool:
    return child.type == "html_inline" and child.content.startswith("<!--")


def _is_blank(child: "Token") -> bool:
    return _is_comment(child) or (child.type == "text" and not child.content.strip())


def _text_token(content: str) -> "Token":
    from markdown_it.token import Token

    return Token("text", "", 0, content=content)


def _paragraph(children: "list[Token]", line: int) -> _Block:
    from markdown_it.token import Token

    inline = Token("inline", "", 0, children=children)
    opening, closing = Token("paragraph_open", "p", 1, block=True), Token("paragraph_close", "p", -1, block=True)
    return _Block([opening, inline, closing], line)


def _opening_at(opening: "Token", start: int) -> "Token":
    if opening.type != "ordered_list_open" or start == 1:
        return opening
    return opening.copy(attrs={"start": start})


def _fit(token: "Token") -> "Token":
    """Lower headings inside quotes and lists below the issue's own; align a cell as mail does, by its attribute."""
    if token.tag in ("h1", "h2"):
        return token.copy(tag="h3")
    aligned = _ALIGNED.fullmatch(str(token.attrs.get("style", "")))
    return token.copy(attrs={"align": aligned[1]}) if aligned else token


def _ranked(items: list[Item]) -> Iterator[Item]:
    rank = 0
    for item in items:
        if isinstance(item, Article):
            rank += 1
            yield replace(item, rank=rank)
        else:
            yield item
