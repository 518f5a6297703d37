"""Turn Markdown into tokens, with its merge fields as markers; refuse what would be lost, or take too long.

CommonMark with tables, strikethrough and the editor's own HTML, which ``cleanhtml`` cleans; emphasis and line breaks
work in Chinese, Japanese and Korean text. Merge fields are found in the source before Markdown sees it, and become
markers (``model.marker``) of the same length, so that places stay true. What a heading or a list *means* in an issue is
decided in ``articles``, not here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from newsletter.cjk import inline_parser, join_lines
from newsletter.cleanhtml import fields_in_url, unclosed_markup
from newsletter.errors import IssueError, Place, Problem
from newsletter.model import MERGE_FIELDS, RESERVED_CHARACTERS, Slot, clean_characters, clean_controls, marker

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

NESTING_LIMIT = 50
"""Block elements inside one another that an issue may have; the mail's tools lose content at about 255."""
TEXT_LIMIT = 32_768
"""Characters that one paragraph, heading or cell may have: Markdown's cost can grow with the square of a field."""
TARGETS_LIMIT = 2_000_000
"""Characters of all addresses and titles together, each counted as often as it is referred to."""
BRACKET_LIMIT = 100
"""Opening brackets that may wait for their closing one: Markdown looks for it from each of them anew."""
_COMMENT = re.compile(r"<!--(?:-?>|.*?-->)", re.DOTALL)
_FIELD = re.compile(r"(?<!\\)((?:\\\\)*)\{\{([^{}`\n]*)\}\}")
_FIELD_BODY = re.compile(r"""\s*([A-Za-z_][\w.-]*)\s*(?:\|\s*default\(\s*("[^"]*"|'[^']*')\s*\)\s*)?""")
_PLAIN_URL = re.compile(r"https?://[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,3}(?:/[\w/.~-]*)?(?:\?[\w=&.~-]*)?", re.ASCII)
_MEANING = re.compile(
    r"[\\`*\[\]<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)|(?<=~)~|&(?=#?\w+;)|\{(?=\{)|(?<=\{)\{|\}(?=\})|(?<=\})\}"
)
"""Match what means something to Markdown wherever it stands; an underscore inside a word does not."""
_MEANING_FIRST = re.compile(r"^[#>+=|~-]")
_ORDERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_ATTRIBUTE_FIELD = re.compile(r"attributes\.([\w-]+)")


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

    def find(self, words: str, near: Place) -> Place | None:
        """Return where ``words`` stand first from ``near`` on, or None where they do not stand so."""
        start = self._line_starts[near.line - self.first_line] + near.column - 1
        found = self.text.find(words, start, start + TEXT_LIMIT) if words else -1
        if found < 0:
            return None
        line = near.line + self.text.count("\n", start, found)
        return Place(self.file, line, found - self._line_starts[line - self.first_line] + 1)

    def place_of(self, words: str, near: Place) -> Place:
        """Return where ``words`` stand first from ``near`` on; ``near`` where they do not stand so."""
        return self.find(words, near) or near


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

        def normalizeLink(self, url: str) -> str:  # noqa: N802
            """Return what is plain already as it is, at a hundredth of the cost."""
            return url if _PLAIN_URL.fullmatch(url) else super().normalizeLink(url)

        def normalizeLinkText(self, link: str) -> str:  # noqa: N802
            """Decode no address in which a marker is encoded: it would become one."""
            return link if fields_in_url(link) else super().normalizeLinkText(link)

    parser = Parser("commonmark", {"html": True, "maxNesting": NESTING_LIMIT * 2})
    parser.enable(["table", "strikethrough"])
    parser.inline = inline_parser(parser.inline)
    parser.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.core.ruler.before("inline", "refuse", _refuse_what_would_be_lost)
    return parser


def _html_block(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """Take a block of HTML, but for a comment with text behind it: CommonMark would show the rest of its line raw."""
    from markdown_it.rules_block import html_block

    comment = _COMMENT.match(state.src, state.bMarks[start] + state.tShift[start], state.eMarks[end - 1])
    if comment and not re.search(r"\n\s*\n", comment[0]) and re.compile(r"[^\S\n]*\S").match(state.src, comment.end()):
        return False
    return html_block(state, start, end, silent)


def parse_blocks(parser: "MarkdownIt", source: Source) -> "list[Token]":
    """Return the tokens of ``source``.

    Raises IssueError where Markdown would lose content without a word, or take too long over it: nesting deeper than
    ``NESTING_LIMIT``, a paragraph longer than ``TEXT_LIMIT``, table rows with more cells than the head.
    """
    try:
        tokens = parser.parse(source.text, {"file": source.file, "first_line": source.first_line})
    except RecursionError:
        raise IssueError([Problem("nested too deeply to be read", Place(source.file, source.first_line))]) from None
    _refuse_long_targets(tokens, source)
    for token in tokens:
        _clean_tokens(token.children or [])
        join_lines(token.children or [])
    return tokens


def _refuse_long_targets(tokens: "Sequence[Token]", source: Source) -> None:
    """Raise IssueError where one long reference is used so often that its copies would fill the memory."""
    length = 0
    for token in tokens:
        for child in token.children or ():
            length += sum(len(value) for value in child.attrs.values() if isinstance(value, str))
    if length > TARGETS_LIMIT:
        message = f"the addresses of all links have {length:,} characters together; {TARGETS_LIMIT:,} may stand"
        raise IssueError([Problem(message, Place(source.file, source.first_line), "use shorter ones, or fewer links")])


def _clean_tokens(children: "Sequence[Token]") -> None:
    """Clean what references such as ``&#12;`` brought in."""
    for child in children:
        child.content = clean_controls(child.content)
        child.attrs = {
            name: clean_controls(value) if isinstance(value, str) else value for name, value in child.attrs.items()
        }
        _clean_tokens(child.children or [])


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
    if token.type == "html_block" and (start := unclosed_markup(token.content)):
        return f"'{start}' is not closed, and would hide what follows", "close it, or write it as code"
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


def escape_markdown(text: str) -> str:
    """Return foreign plain text as Markdown that shows just that text: for what ``fill`` and ``pick`` bring in.

    What Markdown, HTML or the merge fields give a meaning is escaped, and only that, so that an editor can read and
    change it; line breaks become spaces. It may stand as a paragraph or in a link's text.
    """
    flat = " ".join(clean_characters(text).split())
    return _ORDERED.sub(r"\1\\\2", _MEANING_FIRST.sub(r"\\\g<0>", _MEANING.sub(r"\\\g<0>", flat)))
