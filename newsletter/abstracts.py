"""Take the first sentences of a text for its summary, in any language; pure.

What an editor's own program makes of a text is asked in ``summarizer``.
"""

import re
import unicodedata

LIMIT = 320
"""Columns that a summary may fill: about two sentences; a Chinese character fills two."""
_END = re.compile(
    r"""(?:[.!?…]+["'”’»)\]]*(?=\s+["'“‘«(\[]?[^\Wa-z_]|\s*$)|[。！？…]+[”’」』）]*)""",
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|Jr|Sr|Inc|Ltd|Co|Corp|Gen|Sen|Gov|M|Mme|Nr|ca|cf|etc|approx|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.$"
)


def lead_of(text: str, limit: int = LIMIT) -> str:
    """Return the first sentences of ``text`` that fit into ``limit`` columns, at the most two paragraphs' worth.

    A first sentence that does not fit is cut at a word, and ends in ``…``. Line breaks become spaces.
    """
    kept = ""
    for sentence in sentences_of(text):
        longer = f"{kept}{'' if not kept or _is_wide(kept[-1]) else ' '}{sentence}"
        if _columns(longer) > limit:
            break
        kept = longer
    return kept or _cut(" ".join(text.split()), limit)


def sentences_of(text: str) -> list[str]:
    """Return the sentences of ``text``; a full stop behind an abbreviation or an initial ends none."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        flat = " ".join(paragraph.split())
        start = 0
        for end in _END.finditer(flat):
            candidate = flat[start : end.end()].strip()
            if not _ABBREVIATION.search(candidate) or end.end() == len(flat):
                found.append(candidate)
                start = end.end()
        if rest := flat[start:].strip():
            found.append(rest)
    return [sentence for sentence in found if sentence]


def _cut(text: str, limit: int) -> str:
    if _columns(text) <= limit:
        return text
    kept = text
    while _columns(kept) > limit - 1:
        kept = kept[: max(len(kept) - max((_columns(kept) - limit) // 2, 1), 0)]
    word = kept.rfind(" ")
    if word > len(kept) // 2:
        kept = kept[:word]
    return kept.rstrip(" ,;:，、；：-–—") + "…"


def _columns(text: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
