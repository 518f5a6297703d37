"""Turn Markdown into tokens and tokens into clean HTML: the only door through which content enters an issue.

CommonMark with tables and strikethrough, emphasis and line breaks that work in Chinese, Japanese and Korean text, and
the editor's own HTML as far as ``ALLOWED_TAGS`` goes; nh3 is the last step on every fragment. Merge fields are found in
the source before Markdown sees it, and become markers (``model.marker``) of the same length, so that places stay true.
What a heading or a list *means* in an issue is decided in ``issue``, not here.
"""

import html as html_entities
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from newsletter.cjk import inline_parser, join_lines
from newsletter.errors import IssueError, Place, Problem
from newsletter.model import (
    MARKER,
    MERGE_FIELDS,
    RESERVED_CHARACTERS,
    Slot,
    clean_characters,
    clean_controls,
    marker,
    marker_number,
)

if TYPE_CHECKING:
    import nh3
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

NESTING_LIMIT = 50
"""Block elements inside one another that an issue may have; the mail's tools lose content at about 255."""
DEPTH_LIMIT = 100
"""HTML elements inside one another that one fragment may have, before nh3 sees it."""
TEXT_LIMIT = 32_768
"""Characters that one paragraph, heading or cell may have: Markdown's cost can grow with the square of a field."""
BRACKET_LIMIT = 100
"""Opening brackets that may wait for their closing one: Markdown looks for it from each of them anew."""
REOPENED_LIMIT = 100_000
"""Elements that an HTML parser may have to open again because ``<b>`` and the like were left open before a block."""

ALLOWED_TAGS = frozenset(
    "p a em strong code pre ul ol li blockquote br hr h3 h4 h5 h6 s u sub sup b i del ins mark small kbd abbr"
    " dl dt dd table thead tbody tr th td img div".split()
)
_ALLOWED_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    "abbr": {"title"},
}
_URL_SCHEMES = {"http", "https", "mailto"}
_DROPPED_WITH_CONTENT = {"script", "style"}

_FIELD = re.compile(r"(?<!\\)((?:\\\\)*)\{\{([^{}`\n]*)\}\}")
_FIELD_BODY = re.compile(r"""\s*([A-Za-z_][\w.-]*)\s*(?:\|\s*default\(\s*("[^"]*"|'[^']*')\s*\)\s*)?""")
_ATTRIBUTE_FIELD = re.compile(r"attributes\.([\w-]+)")

_TAG = re.compile(r"""<(/?)([A-Za-z][A-Za-z0-9]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
_VOID_TAGS = frozenset("br img hr wbr input meta link source col area base embed track param".split())
_CLOSED_BY = {
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "tr": ("td", "th", "tr"),
    "thead": ("td", "th", "tr", "thead", "tbody"),
    "tbody": ("td", "th", "tr", "thead", "tbody"),
}
"""Innermost open elements that HTML closes by itself where an element begins; any block closes a ``p`` as well."""
_TABLE_TAGS = frozenset("table thead tbody tr td th".split())
_FORMATTING_TAGS = frozenset("a b big code em font i nobr s small strike strong tt u".split())
"""Elements that HTML opens again behind a block that they were left open in (HTML standard, section 13.2.4.3)."""
_RENAMED_TAGS = {
    **dict.fromkeys(("h1", "h2"), "h3"),
    "tfoot": "tbody",
    # Blocks whose tags would go and let the words of two of them run together; and what hides its text from a parser.
    **dict.fromkeys(
        "address article aside canvas caption center details dialog dir fieldset figcaption figure footer form header"
        " hgroup iframe legend main math menu nav noembed noframes noscript object option plaintext search section"
        " select summary svg template textarea title video xmp".split(),
        "div",
    ),
}
_KNOWN_TAGS = (
    ALLOWED_TAGS
    | _DROPPED_WITH_CONTENT
    | _VOID_TAGS
    | _RENAMED_TAGS.keys()
    | frozenset(
        "acronym applet audio basefont bdi bdo bgsound big blink body button cite col colgroup data datalist dfn font"
        " frame frameset head html label map marquee meter nobr optgroup output picture progress q rb rp rt rtc ruby"
        " samp slot span strike time tt var".split()
    )
)
"""Every element of HTML, old and new; what else stands in angle brackets was hardly meant for a tag."""
_RENAMED = re.compile(rf"<(/?)({'|'.join(_RENAMED_TAGS)})(?=[\s/>])", re.IGNORECASE)
_BLOCK_TAGS = _TABLE_TAGS | frozenset("p div pre ul ol li blockquote hr h3 h4 h5 h6 dl dt dd".split())
_BLOCK_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_BLOCK_TAGS))})\b[^>]*>")
_CELL = re.compile(r"(?=<(?:td|th)[\s/>])", re.IGNORECASE)
_NUMERIC_REFERENCE = re.compile(r"&#(?:[xX]0*([0-9a-fA-F]{1,8})|0*([0-9]{1,8}));?")
_CODE = re.compile(r"<(pre|code)>.*?</\1>", re.DOTALL)
"""Match code in clean HTML; neither tag keeps an attribute."""
_TAGS = re.compile("<[^>]*>")
IMG_TAG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
"""Match an image in clean HTML; nh3 always quotes with ``"`` and escapes that quote inside values."""
_LINK_TAG = re.compile(r'<a((?: [a-z]+="[^"]*")*)>')
ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
"""Match one attribute in clean HTML: its name and its escaped value."""


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Hold a merge field as it stands in the source: the text with its braces, and its place."""

    text: str
    place: Place


@dataclass(frozen=True)
class Source:
    """Hold Markdown in which markers stand for merge fields; marker ``n`` stands for ``fields[n]``.

    It begins at column 1 of ``first_line`` of ``file``.
    """

    text: str
    fields: tuple[FieldSource, ...]
    file: str = ""
    first_line: int = 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place_of(self, words: str, near: Place) -> Place:
        """Return where ``words`` stand first on the line of ``near`` or below; ``near`` where they do not stand so."""
        start = self._line_starts[near.line - self.first_line]
        found = self.text.find(words, start, start + TEXT_LIMIT) if words else -1
        if found < 0:
            return near
        line = near.line + self.text.count("\n", start, found)
        return Place(self.file, line, found - self._line_starts[line - self.first_line] + 1)


def mark_fields(text: str, file: str, first_line: int = 1, offset: int = 0) -> Source:
    r"""Replace each ``{{ … }}`` in ``text`` by a marker of the same length; ``\{{`` stays as it is.

    ``first_line`` is the line of the file on which ``text`` begins, ``offset`` the number of the first marker.
    """
    text = RESERVED_CHARACTERS.sub("\ufffd", text)
    fields: list[FieldSource] = []
    pieces: list[str] = []
    end, line = 0, first_line
    for match in _FIELD.finditer(text):
        start = match.end(1)
        line += text.count("\n", end, start)
        found = text[start : match.end()]
        fields.append(FieldSource(found, Place(file, line, start - text.rfind("\n", 0, start))))
        pieces += [text[end:start], marker(offset + len(fields) - 1, len(found))]
        end = match.end()
    return Source("".join([*pieces, text[end:]]), tuple(fields), file, first_line)


def parse_field(source: FieldSource) -> Slot:
    """Return the slot that ``{{ name | default("reader") }}`` asks for; raise IssueError for anything else.

    ``attributes.city`` asks for the slot ``city``: a recipient's attributes have their own names.
    """
    match = _FIELD_BODY.fullmatch(source.text[2:-2])
    attribute = _ATTRIBUTE_FIELD.fullmatch(match[1]) if match else None
    if match and (attribute or match[1] in MERGE_FIELDS):
        return Slot(attribute[1] if attribute else match[1], (match[2] or "")[1:-1])
    message = f"unknown merge field {source.text}"
    hint = (
        f'write {{{{ FIELD }}}} or {{{{ FIELD | default("…") }}}} with one of {", ".join(MERGE_FIELDS)}, '
        "attributes.COLUMN; or \\{{ for two braces as they are"
    )
    raise IssueError([Problem(message, source.place, hint)])


def fields_used(fragment: str) -> list[int]:
    """Return the numbers of the merge fields whose markers stand in ``fragment``, in order."""
    return [marker_number(match[1]) for match in MARKER.finditer(fragment)]


def fields_in_tags(fragment: str) -> list[int]:
    """Return the numbers of merge fields that stand in an attribute of clean HTML, where no value may ever go."""
    return [number for tag in _TAG.finditer(fragment) for number in fields_in_url(html_entities.unescape(tag[3]))]


def fields_in_url(url: str) -> list[int]:
    """Return the numbers of merge fields that stand in ``url``, also where it was percent-encoded."""
    return fields_used(unquote(url))


# ---------------------------------------------------------------------------------------------------------------------
# Markdown
# ---------------------------------------------------------------------------------------------------------------------


def build_parser() -> "MarkdownIt":
    """Return a Markdown parser; it holds no state between calls and may be reused."""
    from markdown_it import MarkdownIt

    class Parser(MarkdownIt):
        def validateLink(self, url: str) -> bool:  # noqa: N802
            """Take every link for one: nh3 drops the address that may not stand, and the text stays."""
            return True

        def normalizeLinkText(self, link: str) -> str:  # noqa: N802
            """Decode no address in which a marker is encoded: it would become one."""
            return link if fields_in_url(link) else super().normalizeLinkText(link)

    parser = Parser("commonmark", {"html": True, "maxNesting": NESTING_LIMIT * 2})
    parser.enable(["table", "strikethrough"])
    parser.inline = inline_parser(parser.inline)
    parser.core.ruler.before("inline", "refuse", _refuse_what_would_be_lost)
    return parser


def parse_blocks(parser: "MarkdownIt", source: Source) -> "list[Token]":
    """Return the tokens of ``source``.

    Raises IssueError where Markdown would lose content without a word, or take too long over it: nesting deeper than
    ``NESTING_LIMIT``, a paragraph longer than ``TEXT_LIMIT``, table rows with more cells than the head.
    """
    try:
        tokens = parser.parse(source.text, {"file": source.file, "first_line": source.first_line})
    except RecursionError:
        raise IssueError([Problem("nested too deeply to be read", Place(source.file, source.first_line))]) from None
    for token in tokens:
        _clean_tokens(token.children or [])
        join_lines(token.children or [])
    return tokens


def _clean_tokens(children: "Sequence[Token]") -> None:
    """Clean what references such as ``&#12;`` brought in."""
    for child in children:
        child.content = clean_controls(child.content)
        child.attrs = {
            name: clean_controls(value) if isinstance(value, str) else value for name, value in child.attrs.items()
        }
        _clean_tokens(child.children or [])


def unknown_tags(tokens: "Sequence[Token]") -> list[tuple[str, int]]:
    """Return each tag that HTML does not know, such as ``<T>``, and the line of ``tokens``' source that it is on.

    Nothing shows in their place. The line is that of the paragraph, counted from 0.
    """
    found = []
    for token in tokens:
        for part in (token, *(token.children or ())):
            if part.type in ("html_block", "html_inline"):
                tags = (tag[0] for tag in _TAG.finditer(part.content) if not tag[1])
                line = token.map[0] if token.map else 0
                found.extend((tag, line) for tag in tags if _name(tag) not in _KNOWN_TAGS)
    return found


def _name(tag: str) -> str:
    return re.split(r"[\s/>]", tag[1:], maxsplit=1)[0].lower()


def _refuse_what_would_be_lost(state: "StateCore") -> None:
    """Check the blocks before their text is parsed, whose cost may grow with the square of its length."""
    lines = state.src.split("\n")
    line = 0
    for token in state.tokens:
        line = token.map[0] if token.map else line
        if problem := _token_problem(token, lines):
            place = Place(state.env["file"], state.env["first_line"] + line)
            raise IssueError([Problem(problem[0], place, problem[1])])


def _token_problem(token: "Token", lines: Sequence[str]) -> tuple[str, str] | None:
    if token.level > NESTING_LIMIT:
        return f"lists or quotes are nested more than {NESTING_LIMIT} deep", "take some of the '>' or indentation away"
    if len(token.content) > TEXT_LIMIT:
        message = f"a paragraph of {len(token.content):,} characters; {TEXT_LIMIT:,} may stand"
        return message, "split it with blank lines"
    if token.type == "inline" and _open_brackets(token.content) > BRACKET_LIMIT:
        return (
            f"more than {BRACKET_LIMIT} brackets '[' are left open",
            "close them, or write \\[ for a bracket as it is",
        )
    if token.type == "table_open" and token.map:
        return _table_problem(lines[token.map[0] : token.map[1]], nested=token.level > 0)
    return None


def _open_brackets(text: str) -> int:
    """Return how many brackets of ``text`` wait for their closing one at the most."""
    deepest = depth = 0
    for bracket in re.findall(r"\\.|[\[\]]", text, re.DOTALL):
        depth = max(depth + {"[": 1, "]": -1}.get(bracket, 0), 0)
        deepest = max(deepest, depth)
    return deepest


def _table_problem(rows: Sequence[str], *, nested: bool) -> tuple[str, str] | None:
    """Find a row with more cells than the head: Markdown drops the rest of it silently."""
    from markdown_it.rules_block.table import escapedSplit

    counts = []
    for row in rows:
        # In a quote or list the marks of these stand before the row.
        bare = re.sub(r"^(?:\s|>|[-*+]\s|\d+[.)]\s)+", "", row) if nested else row.strip()
        cells = escapedSplit(bare.rstrip())
        counts.append(len(cells) - (not cells[0]) - (len(cells) > 1 and not cells[-1]))
    if any(count > counts[0] for count in counts[2:]):
        return f"a table row has {max(counts[2:])} cells, its head {counts[0]}", "give the head as many cells"
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Clean HTML
# ---------------------------------------------------------------------------------------------------------------------


def build_cleaner() -> "nh3.Cleaner":
    """Return the cleaner that is the last step on every fragment; it may be reused."""
    import nh3

    return nh3.Cleaner(
        tags=set(ALLOWED_TAGS),
        attributes=_ALLOWED_ATTRIBUTES,
        url_schemes=_URL_SCHEMES,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        strip_comments=True,
        link_rel=None,
    )


def clean_html(cleaner: "nh3.Cleaner", html: str, place: Place) -> str:
    """Return ``html`` with nothing in it but the allowed tags; raise IssueError where it nests too deeply."""
    renamed = _RENAMED.sub(lambda tag: f"<{tag[1]}{_RENAMED_TAGS[tag[2].lower()]}", _without_forged_characters(html))
    _refuse_deep(renamed, place)
    cleaned = cleaner.clean(_CELL.sub(" ", renamed)).strip()
    _refuse_deep(cleaned, place)
    return cleaned


def _without_forged_characters(html: str) -> str:
    """Replace numeric references to what ``clean_characters`` keeps out; else HTML could write a marker by them."""

    def checked(reference: re.Match[str]) -> str:
        code = int(reference[1], 16) if reference[1] else int(reference[2])
        fit = code <= 0x10FFFF and clean_characters(chr(code)) == chr(code)
        return reference[0] if fit else "\ufffd"

    return _NUMERIC_REFERENCE.sub(checked, html)


def _refuse_deep(html: str, place: Place) -> None:
    """Raise IssueError where ``html`` nests too deeply, or leaves so much open that its tree would be huge.

    Follows the HTML standard's tree construction closely enough never to find less depth than there is.
    """
    stack: list[str] = []
    formatting = reopened = 0
    for closing, written, _ in _TAG.findall(html):
        name = written.lower()
        if name in _FORMATTING_TAGS:
            formatting = max(formatting - 1, 0) if closing else formatting + 1
        if closing:
            _close(stack, name)
        elif name not in _VOID_TAGS:
            reopened += formatting
            _open(stack, name)
        if len(stack) > DEPTH_LIMIT or reopened > REOPENED_LIMIT:
            message = f"HTML tags or emphasis are nested more than {DEPTH_LIMIT} deep"
            raise IssueError([Problem(message, place, "close the tags that are left open")])


def _open(stack: list[str], name: str) -> None:
    if name in _BLOCK_TAGS and stack[-1:] == ["p"]:
        stack.pop()
    while stack and stack[-1] in _CLOSED_BY.get(name, ()):
        stack.pop()
    stack.append(name)


def _close(stack: list[str], name: str) -> None:
    """Take ``name`` and all inside it off the stack, unless the element that is to be closed lies beyond a barrier."""
    barriers = _BLOCK_TAGS if name not in _BLOCK_TAGS else set() if name in _TABLE_TAGS else _TABLE_TAGS
    for index in reversed(range(len(stack))):
        if stack[index] == name:
            del stack[index:]
            return
        if stack[index] in barriers:
            return


def restore_code(html: str, fields: Sequence[FieldSource]) -> str:
    """Return clean HTML with the merge fields in its code as they were written: there they show, and are not filled."""

    def written(match: re.Match[str]) -> str:
        return html_entities.escape(fields[marker_number(match[1])].text, quote=False)

    return _CODE.sub(lambda code: MARKER.sub(written, code[0]), html)


def prose_of(html: str) -> str:
    """Return the text of clean HTML without its tags and its code; an empty line parts its blocks."""
    blocks = _BLOCK_TAG.sub("\n\n", _CODE.sub(" ", html))
    return html_entities.unescape(_TAGS.sub("", blocks))


def image_sources(html: str) -> list[tuple[str, str]]:
    """Return (src, alt) of each image in clean HTML, unescaped, in order."""
    found = []
    for tag in IMG_TAG.finditer(html):
        attributes = {name: html_entities.unescape(value) for name, value in ATTRIBUTE.findall(tag[1])}
        found.append((attributes.get("src", ""), attributes.get("alt", "")))
    return found


def link_targets(html: str) -> list[str | None]:
    """Return the target of each link in clean HTML, unescaped, in order; None for one that was dropped."""
    found: list[str | None] = []
    for tag in _LINK_TAG.finditer(html):
        attributes = dict(ATTRIBUTE.findall(tag[1]))
        found.append(html_entities.unescape(attributes["href"]) if "href" in attributes else None)
    return found


def escape_markdown(text: str) -> str:
    """Return foreign plain text as Markdown that shows just that text: for what ``fill`` and ``pick`` bring in.

    Every character that Markdown, HTML or the merge fields give a meaning is escaped, line breaks become spaces.
    """
    flat = " ".join(clean_characters(text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&=:\"'])", r"\\\1", flat)
