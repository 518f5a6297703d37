"""Turn Markdown into tokens and tokens into clean HTML: the only door through which content enters an issue.

CommonMark with tables and strikethrough, emphasis and line breaks that work in Chinese, Japanese and Korean text, and
the editor's own HTML as far as ``ALLOWED_TAGS`` goes; nh3 is the last step on every fragment. Merge fields are found in
the source before Markdown sees it, and become markers (``model.marker``) of the same length, so that places stay true.
What a heading or a list *means* in an issue is decided in ``issue``, not here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from newsletter.cjk import inline_parser, join_lines
from newsletter.errors import IssueError, Place, Problem
from newsletter.model import MARKER, RESERVED_CHARACTERS, Slot, marker, marker_number

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

ALLOWED_TAGS = frozenset(
    "p a em strong code pre ul ol li blockquote br hr h3 h4 h5 h6 s u sub sup b i del ins mark small kbd abbr"
    " dl dt dd table thead tbody tr th td img".split()
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

MERGE_FIELDS = ("name", "email", "unsubscribe_url", "browser_url")
"""Fields that a text may use, beside ``attributes.KEY`` for a column of the subscriber list."""
_FIELD = re.compile(r"(?<!\\)((?:\\\\)*)\{\{([^{}`\n]*)\}\}")
_FIELD_BODY = re.compile(r"""\s*([A-Za-z_][\w.-]*)\s*(?:\|\s*default\(\s*("[^"]*"|'[^']*')\s*\)\s*)?""")
_ATTRIBUTE_FIELD = re.compile(r"attributes\.[\w-]+")

_TAG = re.compile(r"""<(/?)([A-Za-z][A-Za-z0-9]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>""")
_UNCLOSED_TAGS = frozenset("br img hr wbr input meta link source col area base embed track param p li dt dd".split())
_PERCENT_ENCODED_MARKER = re.compile(r"%EF%B7%9[01]", re.IGNORECASE)
IMG_TAG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
"""Match an image in clean HTML; nh3 always quotes with ``"`` and escapes that quote inside values."""
ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
"""Match one attribute in clean HTML: its name and its escaped value."""


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Hold a merge field as it stands in the source: the text with its braces, and its place."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Source:
    """Hold Markdown in which markers stand for merge fields; marker ``n`` stands for ``fields[n]``."""

    text: str
    fields: tuple[FieldSource, ...]


def mark_fields(text: str, file: str, first_line: int = 1, offset: int = 0) -> Source:
    r"""Replace each ``{{ … }}`` in ``text`` by a marker of the same length; ``\{{`` stays as it is.

    ``first_line`` is the line of the file on which ``text`` begins, ``offset`` the number of the first marker.
    """
    fields: list[FieldSource] = []

    def replace(match: re.Match[str]) -> str:
        start = match.end(1)
        line = first_line + text.count("\n", 0, start)
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        found = text[start : match.end()]
        fields.append(FieldSource(found, Place(file, line, column)))
        return match[1] + marker(offset + len(fields) - 1, len(found))

    return Source(_FIELD.sub(replace, text), tuple(fields))


def parse_field(source: FieldSource) -> Slot:
    """Return the slot that ``{{ name | default("reader") }}`` asks for; raise IssueError for anything else."""
    match = _FIELD_BODY.fullmatch(source.text[2:-2])
    known = match and (match[1] in MERGE_FIELDS or _ATTRIBUTE_FIELD.fullmatch(match[1]))
    if match and known:
        return Slot(match[1], (match[2] or "")[1:-1])
    message = f"unknown merge field {source.text}"
    hint = (
        f'write {{{{ FIELD }}}} or {{{{ FIELD | default("…") }}}} with one of {", ".join(MERGE_FIELDS)}, '
        "attributes.COLUMN; or \\{{ for two braces as they are"
    )
    raise IssueError([Problem(message, source.place, hint)])


def fields_used(fragment: str) -> list[int]:
    """Return the numbers of the merge fields whose markers stand in ``fragment``, in order."""
    return [marker_number(match[1]) for match in MARKER.finditer(fragment)]


def has_field_in_tag(fragment: str) -> bool:
    """Tell whether a merge field stands in an attribute of clean HTML, where no value may ever go."""
    return any(holds_field(tag[3]) for tag in _TAG.finditer(fragment))


def holds_field(text: str) -> bool:
    """Tell whether a merge field stands in ``text``, also where a URL has percent-encoded it."""
    return bool(MARKER.search(text) or _PERCENT_ENCODED_MARKER.search(text))


def clean_characters(text: str) -> str:
    """Replace what no part of a mail may hold (control characters, noncharacters, surrogates) by spaces or U+FFFD."""
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]", " ", text)
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", RESERVED_CHARACTERS.sub("\ufffd", text))


# ---------------------------------------------------------------------------------------------------------------------
# Markdown
# ---------------------------------------------------------------------------------------------------------------------


def build_parser() -> "MarkdownIt":
    """Return a Markdown parser; it holds no state between calls and may be reused."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": NESTING_LIMIT * 2})
    parser.enable(["table", "strikethrough"])
    parser.inline = inline_parser(parser.inline)
    parser.core.ruler.before("inline", "refuse", _refuse_what_would_be_lost)
    return parser


def parse_blocks(parser: "MarkdownIt", source: Source, file: str, first_line: int) -> "list[Token]":
    """Return the tokens of ``source``, with merge fields in code put back as they were written.

    Raises IssueError where Markdown would lose content without a word: nesting deeper than ``NESTING_LIMIT``, a
    paragraph longer than ``TEXT_LIMIT``, table rows with more cells than the head.
    """
    try:
        tokens = parser.parse(source.text, {"file": file, "first_line": first_line})
    except RecursionError:
        raise IssueError([Problem("nested too deeply to be read", Place(file, first_line))]) from None
    for token in tokens:
        _restore_code(token, source.fields)
        join_lines(token.children or [])
    return tokens


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
        return (
            f"a paragraph of {len(token.content):,} characters; {TEXT_LIMIT:,} may stand",
            "split it with blank lines",
        )
    if token.type == "table_open" and token.map:
        return _table_problem(lines[token.map[0] : token.map[1]])
    return None


def _table_problem(rows: Sequence[str]) -> tuple[str, str] | None:
    """Find a row with more cells than the head: Markdown drops the rest of it silently."""
    counts = [len(re.findall(r"(?<!\\)\|", row.strip().strip("|"))) + 1 for row in rows]
    if any(count > counts[0] for count in counts[2:]):
        return f"a table row has {max(counts[2:])} cells, its head {counts[0]}", "give the head as many cells"
    return None


def _restore_code(token: "Token", fields: Sequence[FieldSource]) -> None:
    def text_of(match: re.Match[str]) -> str:
        number = marker_number(match[1])
        return fields[number].text if number < len(fields) else match[0]

    for part in (token, *(token.children or ())):
        if part.type in ("fence", "code_block", "code_inline"):
            part.content = MARKER.sub(text_of, part.content)


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
    if _depth(html) > DEPTH_LIMIT:
        message = f"HTML tags or emphasis are nested more than {DEPTH_LIMIT} deep"
        raise IssueError([Problem(message, place, "close the tags that are left open")])
    lowered = re.sub(r"<(/?)[hH][12]\b", r"<\1h3", html)
    return cleaner.clean(lowered).strip()


def _depth(html: str) -> int:
    """Return how deep the tags of ``html`` nest at the most, taking each tag at its word."""
    deepest = depth = 0
    for closing, name, rest in _TAG.findall(html):
        if name.lower() in _UNCLOSED_TAGS or rest.endswith("/"):
            continue
        depth = max(depth - 1, 0) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def image_sources(html: str) -> list[tuple[str, str]]:
    """Return (src, alt) of each image in clean HTML, unescaped, in order."""
    from html import unescape

    found = []
    for tag in IMG_TAG.finditer(html):
        attributes = {name: unescape(value) for name, value in ATTRIBUTE.findall(tag[1])}
        found.append((attributes.get("src", ""), attributes.get("alt", "")))
    return found


def escape_markdown(text: str) -> str:
    """Return foreign plain text as Markdown that shows just that text: for what ``fill`` and ``pick`` bring in.

    Every character that Markdown, HTML or the merge fields give a meaning is escaped, line breaks become spaces.
    """
    flat = " ".join(clean_characters(text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&=:\"'])", r"\\\1", flat)
