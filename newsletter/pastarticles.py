"""Know what past issues told, and find a story among it: by its page, its headline, or its headline and text; pure.

Where past articles come from is ``pool``'s. Their texts are those of the issue, which an editor may have rewritten, so
a text alone tells less than headline and text together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from newsletter.likeness import Collection
from newsletter.weburls import url_key

TITLES_SEEN = 0.6
"""Likeness of headlines from which on a story was in a past issue."""
TEXTS_SEEN = 0.45
"""The same of headlines and texts together, where one of the two has a text (docs/notes/stories.md)."""
_RAREST, _SHARED = 16, 3
_COMMON = 60
"""Past articles that may share a piece before it finds none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastArticle:
    """Name an article of a past issue; ``text`` is its summary there, plain and as far as it counts."""

    slug: str
    url: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Hold what is looked for: a page with its headline and its summary, of which all but one may be ``""``."""

    url: str
    title: str = ""
    text: str = ""


class Memory:
    """Hold the articles of past issues; ``redirects`` leads from the keys of addresses to the addresses behind them."""

    def __init__(self, past: Iterable[PastArticle], redirects: Mapping[str, str] | None = None) -> None:
        self._past = sorted(past, key=lambda article: article.slug)
        self._redirects = redirects or {}
        self._pages = {key: article.slug for article in self._past for key in self._keys_of(article.url)}
        self._titles = _Index([article.title for article in self._past], TITLES_SEEN)
        self._texts = _Index([f"{article.title} {article.text}" for article in self._past], TEXTS_SEEN)

    def find(self, story: Iterable[Told]) -> str:
        """Return the slug of the latest issue that had the story, by any of its tellings; ``""`` where none had.

        Pages go before words: where one of the pages was in an issue, that issue is meant.
        """
        told = tuple(story)
        pages = [self._pages[key] for each in told for key in self._keys_of(each.url) if key in self._pages]
        return max(pages) if pages else max(map(self._find_words, told), default="")

    def _find_words(self, told: Told) -> str:
        texts = (
            position
            for position in self._texts.alike(f"{told.title} {told.text}")
            if told.text or self._past[position].text
        )
        found = (*self._titles.alike(told.title), *texts)
        return max((self._past[position].slug for position in found), default="")

    def _keys_of(self, url: str) -> Iterator[str]:
        """Yield the key of an address, and that of the address behind it where one is known."""
        key = url_key(url)
        if key:
            yield key
        if key in self._redirects:
            yield url_key(self._redirects[key])


class _Index:
    """Find the texts of a collection that are alike to another."""

    def __init__(self, texts: Sequence[str], bound: float) -> None:
        self._bound = bound
        self._collection = Collection(texts)
        self._holders: defaultdict[int, list[int]] = defaultdict(list)
        for position, fingerprint in enumerate(self._collection.fingerprints):
            for piece in fingerprint.pieces:
                self._holders[piece].append(position)

    def alike(self, text: str) -> list[int]:
        """Return the positions of the texts that are as alike to ``text`` as the bound asks for."""
        one = self._collection.fingerprint(text)
        found = (holders for piece in one.pieces if (holders := self._holders.get(piece)) and len(holders) <= _COMMON)
        shared = Counter(chain.from_iterable(sorted(found, key=len)[:_RAREST]))
        least = max(min(_SHARED, len(one.pieces)), 2)
        near = [position for position, count in shared.items() if count >= least]
        fingerprints = self._collection.fingerprints
        likenesses = self._collection.likenesses(one, [fingerprints[position] for position in near])
        return [position for position, likeness in zip(near, likenesses, strict=True) if likeness >= self._bound]
