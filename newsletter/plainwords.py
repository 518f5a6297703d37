"""Turn foreign HTML or text into one line of plain words; nh3 is the last step on any HTML.

Limits stand before it: what is longer is cut, and what nests too deeply loses its tags without a tree being built.
"""

import html as entities
import re

from newsletter.model import clean_characters

FIELD_MAX = 64_000
"""Characters of one field that are looked at."""
_DEPTH_MAX = 100
_BLOCK = re.compile(
    r"<(?=/?(?:p|div|br|hr|li|ul|ol|dl|dt|dd|h[1-6]|t[rdh]|table|blockquote|pre|section|article|figure|figcaption)\b)",
    re.IGNORECASE,
)
_OPENING = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_ANY_TAG = re.compile(r"<[^<>]*>?")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_REFERENCE_END = re.compile(r"&#?[A-Za-z0-9]{0,10}$")


def plain_words(html: str, most: int = FIELD_MAX) -> str:
    """Return the words of HTML in one line, at most ``most`` characters, cut behind a word; scripts and styles go."""
    text = html[:FIELD_MAX]
    if "<" in text:
        text = _without_tags(_BLOCK.sub(" <", text))
    text = entities.unescape(_REFERENCE_END.sub("", text) if len(html) > FIELD_MAX else text)
    return cut_words(" ".join(clean_characters(text).replace("\u200b", "").split()), most)


def cut_words(text: str, most: int) -> str:
    """Return ``text``, or its first words and ``…`` where it has more than ``most`` characters."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    space = head.rfind(" ")
    return f"{head[:space] if space > most // 2 else head}…"


def _without_tags(html: str) -> str:
    import nh3

    if _is_deep(html):
        return _ANY_TAG.sub(" ", html)
    return nh3.clean(html, tags=set(), clean_content_tags={"script", "style"}, link_rel=None)


def _is_deep(html: str) -> bool:
    """Tell whether so much may be open at once that a tree would cost too much; rather too often than too seldom."""
    depth = 0
    for closing, name in _OPENING.findall(html):
        if closing:
            depth = max(depth - 1, 0)
        elif name.lower() not in _VOID:
            depth += 1
            if depth > _DEPTH_MAX:
                return True
    return False
