"""Make Markdown work in Chinese, Japanese and Korean text: emphasis beside full-width punctuation, joined lines.

The one published plugin for this refuses markdown-it-py 4, hence these few rules of our own (docs/notes/markdown.md).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from newsletter.model import RESERVED_CHARACTERS

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.parser_inline import ParserInline
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

JOINED = "joined"
"""Key in the ``meta`` of a token that was a line break and shows nothing now."""
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3]")
_QUOTES = frozenset("“”‘’")
"""Quotes of Chinese and of English alike; what stands on their other side tells which."""
_IMAGE_OR_BREAK = re.compile(r"<(?:img|br|hr)\b", re.IGNORECASE)


def is_cjk(character: str) -> bool:
    """Tell whether ``character`` is Chinese, Japanese or Korean: East Asian width W, F or H, but no emoji (UAX #11)."""
    if RESERVED_CHARACTERS.match(character):  # a merge field; Python 3.11 calls what is unassigned full-width
        return False
    wide = bool(character) and unicodedata.east_asian_width(character) in "WFH"
    return wide and unicodedata.category(character) != "So"


def is_spaceless(character: str) -> bool:
    """Tell whether ``character`` belongs to a script that puts no spaces between words: CJK but Korean.

    Full-width and half-width letters and digits do not count: a run of them is one word.
    """
    if not is_cjk(character) or _HANGUL.match(character):
        return False
    return unicodedata.east_asian_width(character) == "W" or unicodedata.category(character)[0] not in "LN"


def join_lines(children: "Sequence[Token]") -> None:
    """Drop the line breaks inside Chinese and Japanese text of one paragraph: HTML would show each as a space.

    What counts is the characters that a reader sees on both sides of the break, also inside emphasis or a link.
    """
    for index, part in enumerate(children):
        if part.type != "softbreak":
            continue
        before = _shown(children, range(index - 1, -1, -1))[-1:]
        after = _shown(children, range(index + 1, len(children)))[:1]
        if _may_join(before, after):
            part.type, part.content, part.meta = "text", "", {JOINED: True}


def _shown(children: "Sequence[Token]", indexes: Iterable[int]) -> str:
    """Return the first text at ``indexes`` that is not empty, marks such as ``**`` aside; ``""`` at anything else."""
    for child in (children[index] for index in indexes):
        is_tag = child.type == "html_inline" and not _IMAGE_OR_BREAK.match(child.content)
        if child.nesting or is_tag or (child.type == "text" and not child.content):
            continue
        return child.content if child.type in ("text", "code_inline") else ""
    return ""


def _may_join(before: str, after: str) -> bool:
    if before in _QUOTES or after in _QUOTES:
        return is_spaceless(before) or is_spaceless(after)
    return is_spaceless(before) and is_spaceless(after)


def inline_parser(original: "ParserInline") -> "ParserInline":
    """Return an inline parser with the rules of ``original`` whose emphasis works beside CJK punctuation.

    CommonMark's flanking rules (section 6.2) take ``「`` and ``。`` for punctuation that wants a space outside, which
    these languages do not write: ``**「重要」**です`` stays literal. By the CommonMark CJK-friendly amendment, CJK
    punctuation counts as a letter, and a CJK character outside does what a space would. Korean particles right behind
    ``**…)**`` work by the same rule.
    """
    from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
    from markdown_it.parser_inline import ParserInline
    from markdown_it.rules_inline.state_inline import Scanned, StateInline

    def is_space(character: str) -> bool:
        return not character or isWhiteSpace(ord(character))

    def is_punctuation(character: str) -> bool:
        return bool(character) and (isMdAsciiPunct(ord(character)) or isPunctChar(character))

    class CjkState(StateInline):
        def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
            end = start
            while end < self.posMax and self.src[end] == self.src[start]:
                end += 1
            before, after = self.src[max(start - 1, 0) : start], self.src[end : self.posMax][:1]
            punct_before = is_punctuation(before) and not is_cjk(before)
            punct_after = is_punctuation(after) and not is_cjk(after)
            open_before = is_space(before) or punct_before or is_cjk(before)
            open_after = is_space(after) or punct_after or is_cjk(after)
            left = not is_space(after) and (not punct_after or open_before)
            right = not is_space(before) and (not punct_before or open_after)
            can_open = left and (canSplitWord or not right or is_punctuation(before))
            can_close = right and (canSplitWord or not left or is_punctuation(after))
            return Scanned(can_open, can_close, end - start)

    class CjkInline(ParserInline):
        def parse(self, src: str, md: "MarkdownIt", env: "EnvType", tokens: "list[Token]") -> "list[Token]":
            state = CjkState(src, md, env, tokens)
            self.tokenize(state)
            for rule in self.ruler2.getRules(""):
                rule(state)
            return state.tokens

    parser = CjkInline()
    parser.ruler, parser.ruler2 = original.ruler, original.ruler2
    return parser
