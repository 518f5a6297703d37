"""Tell how alike two short texts are, in any script: pieces of a few characters, weighed by how rare they are; pure.

Words of alphabets are cut into runs of four characters, Chinese, Japanese and Korean text into pairs, so no dictionary
and no language is needed, and a changed ending costs little. A piece that many texts of the collection share (a
newspaper's name, *China* in news of China) weighs next to nothing.
"""

import math
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_CJK}]+|[0-9]+|[^\\W_0-9{_CJK}]+")
_IDEOGRAPHIC = re.compile(f"[{_CJK}]")
_PIECE = 4
_TEXT_LIMIT = 300
"""Characters that are looked at: the first sentences tell a story, and the rest of a page tells everything."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hold the pieces of a text that its collection knows, by their numbers, and the length of their vector of weights.

    The length counts the pieces that are not known as well.
    """

    pieces: frozenset[int]
    length: float


class _Words(dict[str, tuple[int, ...]]):
    """Number the pieces of words as they come; ``numbers`` has those of all so far."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, int] = {}

    def __missing__(self, word: str) -> tuple[int, ...]:
        numbers = self.numbers
        found = self[word] = tuple(numbers.setdefault(piece, len(numbers)) for piece in _pieces_of_word(word))
        return found


class Collection:
    """Weigh pieces by how many texts of a collection hold them; ``fingerprints`` are those of its texts, in order."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._words = words = _Words()
        sets = [frozenset(chain.from_iterable(map(words.__getitem__, _words_of(text)))) for text in texts]
        self._numbers = words.numbers
        self._holders = Counter(chain.from_iterable(sets))
        of_count = {count: self._square_of(len(sets), count) for count in {0, *self._holders.values()}}
        self._squares = [of_count[self._holders[number]] for number in self._numbers.values()]
        self._unknown = of_count[0]
        self.fingerprints = [self._fingerprint(pieces) for pieces in sets]

    def fingerprint(self, text: str) -> Fingerprint:
        """Return the fingerprint of a text that need not be of the collection."""
        known: set[int] = set()
        unknown: set[str] = set()
        for word in _words_of(text):
            numbers = self._words.get(word)
            if numbers is None:
                pieces = _pieces_of_word(word)
                known.update(self._numbers[piece] for piece in pieces if piece in self._numbers)
                unknown.update(piece for piece in pieces if piece not in self._numbers)
            else:
                known.update(numbers)
        return self._fingerprint(frozenset(known), len(unknown))

    def likeness(self, one: Fingerprint, other: Fingerprint) -> float:
        """Return the cosine between two fingerprints of this collection: 0 nothing in common, 1 all."""
        return self.likenesses(one, (other,))[0]

    def likenesses(self, one: Fingerprint, others: Iterable[Fingerprint]) -> list[float]:
        """Return the cosine between a fingerprint of this collection and each of ``others``."""
        square, pieces, length = self._squares.__getitem__, one.pieces, one.length
        return [
            sum(map(square, common)) / (length * other.length) if (common := pieces & other.pieces) else 0.0
            for other in others
        ]

    def rarest(self, fingerprint: Fingerprint, count: int) -> Sequence[int]:
        """Return the ``count`` pieces of a fingerprint that fewest texts hold, though more than one does.

        Each is told by its rank in the whole collection, the rarest first.
        """
        ranks, shared = self._ranks
        found = sorted(map(ranks.__getitem__, fingerprint.pieces))[:count]
        return found[: bisect_left(found, shared)]

    @cached_property
    def _ranks(self) -> tuple[list[int], int]:
        """Hold the rank of each piece by its number, and how many pieces several texts hold, which come first."""
        holders = self._holders
        ordered = sorted(self._numbers.items(), key=lambda one: (holders[one[1]] == 1, holders[one[1]], one[0]))
        ranks = [0] * len(ordered)
        for rank, (_, number) in enumerate(ordered):
            ranks[number] = rank
        return ranks, sum(count > 1 for count in holders.values())

    def _fingerprint(self, pieces: frozenset[int], unknown: int = 0) -> Fingerprint:
        square = sum(map(self._squares.__getitem__, pieces)) + unknown * self._unknown
        return Fingerprint(pieces, math.sqrt(square))

    @staticmethod
    def _square_of(count: int, holders: int) -> float:
        """Return the square of a piece's weight: the less, the more texts hold it, and never nothing at all."""
        return (math.log((1 + count) / (1 + holders)) + 0.1) ** 2


def pieces_of(text: str) -> Iterator[str]:
    """Yield the pieces of a text: pairs of ideographs, and runs of four characters of other words, short ones whole."""
    return chain.from_iterable(map(_pieces_of_word, _words_of(text)))


def _words_of(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text[:_TEXT_LIMIT]).casefold())


def _pieces_of_word(word: str) -> tuple[str, ...]:
    if _IDEOGRAPHIC.match(word):
        return tuple(word[start : start + 2] for start in range(max(len(word) - 1, 1)))
    if len(word) <= _PIECE:
        return (f" {word} ",)
    bounded = f" {word}"
    return tuple(bounded[start : start + _PIECE] for start in range(len(bounded) - _PIECE + 1))
