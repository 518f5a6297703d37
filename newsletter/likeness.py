"""Tell how alike two short texts are, in any script: pieces of a few characters, weighed by how rare they are; pure.

Words of alphabets are cut into runs of four characters, Chinese, Japanese and Korean text into pairs, so no dictionary
and no language is needed, and a changed ending costs little. A piece that many texts of the collection share (a
newspaper's name, *China* in news of China) weighs next to nothing.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_CJK}]+|[0-9]+|[^\\W_0-9{_CJK}]+")
_IDEOGRAPHIC = re.compile(f"[{_CJK}]")
_PIECE = 4
_TEXT_LIMIT = 300
"""Characters that are looked at: the first sentences tell a story, and the rest of a page tells everything."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hold the pieces of a text, and the length of their vector of weights in one collection."""

    pieces: frozenset[str]
    length: float


class _Squares(dict[str, float]):
    """Hold the square of each piece's weight; a piece that no text holds weighs the most."""

    unknown = 0.0

    def __missing__(self, piece: str) -> float:
        return self.unknown


class Collection:
    """Weigh pieces by how many texts of a collection hold them; ``fingerprints`` are those of its texts, in order."""

    def __init__(self, texts: Iterable[str]) -> None:
        sets = [frozenset(pieces_of(text)) for text in texts]
        self._holders = Counter(chain.from_iterable(sets))
        of_count = {count: self._square_of(len(sets), count) for count in {0, *self._holders.values()}}
        self._squares = _Squares({piece: of_count[count] for piece, count in self._holders.items()})
        self._squares.unknown = of_count[0]
        self.fingerprints = [self._fingerprint(pieces) for pieces in sets]

    def fingerprint(self, text: str) -> Fingerprint:
        """Return the fingerprint of a text that need not be of the collection."""
        return self._fingerprint(frozenset(pieces_of(text)))

    def likeness(self, one: Fingerprint, other: Fingerprint) -> float:
        """Return the cosine between two fingerprints of this collection: 0 nothing in common, 1 all."""
        common = one.pieces & other.pieces
        if not common:
            return 0.0
        return sum(map(self._squares.__getitem__, common)) / (one.length * other.length)

    def rarest(self, fingerprint: Fingerprint, count: int) -> Sequence[str]:
        """Return the ``count`` pieces of a fingerprint that fewest texts hold, though more than one does."""
        ranks, ordered = self._ranks, self._ordered
        shared = sorted([ranks[piece] for piece in fingerprint.pieces if piece in ranks])
        return [ordered[rank] for rank in shared[:count]]

    @cached_property
    def _ordered(self) -> list[str]:
        """Hold the pieces that more than one text has, the rarest first."""
        holders = self._holders
        return sorted((piece for piece, count in holders.items() if count > 1), key=lambda one: (holders[one], one))

    @cached_property
    def _ranks(self) -> dict[str, int]:
        return {piece: rank for rank, piece in enumerate(self._ordered)}

    def _fingerprint(self, pieces: frozenset[str]) -> Fingerprint:
        return Fingerprint(pieces, math.sqrt(sum(map(self._squares.__getitem__, pieces))))

    @staticmethod
    def _square_of(count: int, holders: int) -> float:
        """Return the square of a piece's weight: the less, the more texts hold it, and never nothing at all."""
        return (math.log((1 + count) / (1 + holders)) + 0.1) ** 2


def pieces_of(text: str) -> Iterator[str]:
    """Yield the pieces of a text: pairs of ideographs, and runs of four characters of other words, short ones whole."""
    plain = unicodedata.normalize("NFKC", text[:_TEXT_LIMIT]).casefold()
    return chain.from_iterable(map(_pieces_of_word, _WORD.findall(plain)))


@lru_cache(maxsize=50_000)
def _pieces_of_word(word: str) -> tuple[str, ...]:
    if _IDEOGRAPHIC.match(word):
        return tuple(word[start : start + 2] for start in range(max(len(word) - 1, 1)))
    if len(word) <= _PIECE:
        return (f" {word} ",)
    bounded = f" {word}"
    return tuple(bounded[start : start + _PIECE] for start in range(len(bounded) - _PIECE + 1))
