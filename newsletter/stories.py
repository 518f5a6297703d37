"""Group entries of many sources into stories, and rank stories with a reason for every point; pure.

Two entries tell one story where they have the same page, or where their headlines (or headlines and first sentences)
are alike and they came within a few days of each other. Likeness is counted in pieces of characters, so scripts do not
matter; two languages are matched only as far as they share words and names. How good that is, and on what the bounds
were chosen, is measured by ``tests/stories`` (docs/notes/stories.md).

The rank is a sum of few terms, each with a weight in ``[ranking]`` and a reason in words. Nothing is learned, nothing
is hidden: whoever disagrees with an order reads why, and changes a weight.
"""

import datetime as dt
import math
import operator
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from newsletter.likeness import Collection
from newsletter.pastarticles import Memory, Told
from newsletter.weburls import url_key

WINDOW = dt.timedelta(days=4)
"""Entries further apart tell two stories, however alike their words are: last year's festival is not this one."""
TITLES_ALIKE = 0.4
"""Likeness of headlines from which on two entries tell one story."""
FEED_ALIKE = 0.75
"""The same within one feed: a source seldom tells a story twice, and its columns have headlines of one pattern."""
TEXTS_ALIKE = 0.25
"""Likeness of headlines and summaries together that is enough where the headlines have at least half of it."""
SEED_ALIKE = 0.1
"""Likeness to the first entry of a story below which an entry does not join it: chains must not drift."""
_RAREST, _SHARED, _CANDIDATES = 16, 3, 20
_COMMON = 60
"""Entries that may share a piece before it finds no candidates any more."""
_likeness = operator.itemgetter(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Hold one item of a feed as an editor may select it; texts are plain, ``url`` is canonical.

    ``published_at`` is when it was first seen where its feed names no instant. ``weight`` is its source's.
    """

    entry_id: int
    feed: str
    source: str
    title: str
    url: str
    published_at: dt.datetime
    summary: str = ""
    author: str = ""
    image: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Hold the weights of ``[ranking]``; ``half_life`` halves the term of recency.

    ``topics`` maps a topic to the words that tell of it, matched without case in headline, summary and tags.
    """

    sources: float = 3.0
    recency: float = 2.0
    source_weight: float = 1.0
    topic: float = 1.5
    seen: float = -10.0
    half_life: dt.timedelta = dt.timedelta(hours=36)
    topics: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Say in words what a story gets points for, and how many."""

    words: str
    points: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Hold the entries that tell one story, the one to select first, and why it has its rank.

    ``topics`` are those it matches; ``seen_in`` is the slug of a past issue that had it, or ``""``.
    """

    entries: tuple[Entry, ...]
    reasons: tuple[Reason, ...] = ()
    topics: tuple[str, ...] = ()
    seen_in: str = ""

    @property
    def best(self) -> Entry:
        """Return the entry to select."""
        return self.entries[0]

    @property
    def points(self) -> float:
        """Return the sum by which stories are ranked."""
        return sum(reason.points for reason in self.reasons)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the sources that tell the story, each once, the best first."""
        return tuple(dict.fromkeys(entry.source for entry in self.entries))


# ---------------------------------------------------------------------------------------------------------------------
# Grouping
# ---------------------------------------------------------------------------------------------------------------------


def group_entries(entries: Iterable[Entry]) -> tuple[Story, ...]:
    """Return the stories that ``entries`` tell, in the order of their first entry; no rank is given yet.

    The order of ``entries`` does not count. Grouping 20,000 takes seconds.
    """
    ordered = sorted(entries, key=lambda entry: (entry.published_at, entry.entry_id))
    grouper = _Grouper(ordered)
    for position in range(len(ordered)):
        grouper.place(position)
    return tuple(
        Story(entries=tuple(sorted((ordered[member] for member in members), key=_preference)))
        for members in grouper.stories
    )


def _preference(entry: Entry) -> tuple[float, bool, dt.datetime, int]:
    """Order the entries of a story: the weightier source, one with words of its own, the earlier."""
    return (-entry.weight, not entry.summary, entry.published_at, entry.entry_id)


class _Grouper:
    """Put one entry after the other, oldest first, to the story it tells or to a new one."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._titles = Collection(entry.title for entry in entries)
        self._texts = Collection(f"{entry.title} {entry.summary}" for entry in entries)
        self._rarest = [self._texts.rarest(fingerprint, _RAREST) for fingerprint in self._texts.fingerprints]
        self._holders: defaultdict[int, list[int]] = defaultdict(list)
        self._story_of: list[int] = []
        self._pages: dict[str, int] = {}
        self._first = 0
        self.stories: list[list[int]] = []

    def place(self, position: int) -> None:
        """Give the entry at ``position`` its story, and let later ones find it."""
        key = url_key(self._entries[position].url)
        story = self._pages.get(key) if key else None
        if story is None:
            story = self._nearest(position)
        if story is None:
            story = len(self.stories)
            self.stories.append([])
        self.stories[story].append(position)
        self._story_of.append(story)
        if key:
            self._pages.setdefault(key, story)
        for piece in self._rarest[position]:
            self._holders[piece].append(position)

    def _nearest(self, position: int) -> int | None:
        """Return the story with the entry most alike to that at ``position``, None where none is alike enough.

        Alike headlines go before alike texts, however alike those are.
        """
        others = self._candidates(position)
        titles = self._likenesses(self._titles, position, others)
        by_title = sorted(zip(titles, others, strict=True), key=_likeness, reverse=True)
        weak = []
        for likeness, other in by_title:
            if likeness < TEXTS_ALIKE / 2:
                break
            own = self._entries[position].feed == self._entries[other].feed
            if likeness < (FEED_ALIKE if own else TITLES_ALIKE):
                weak += [] if own else [other]
            elif self._is_near_seed(position, self._story_of[other]):
                return self._story_of[other]
        texts = self._likenesses(self._texts, position, weak)
        by_text = sorted(zip(texts, weak, strict=True), key=_likeness, reverse=True)
        near = (self._story_of[other] for likeness, other in by_text if likeness >= TEXTS_ALIKE)
        return next((story for story in near if self._is_near_seed(position, story)), None)

    def _candidates(self, position: int) -> Sequence[int]:
        """Return earlier entries of the last days that share rare pieces with that at ``position``, the most first."""
        first = self._first_of_window(position)
        known = [holders for piece in self._rarest[position] if (holders := self._holders.get(piece))]
        shared = Counter(chain.from_iterable(_from(holders, first) for holders in known if len(holders) <= _COMMON))
        found = [other for other, count in shared.items() if count >= _SHARED]
        return sorted(found, key=shared.__getitem__, reverse=True)[:_CANDIDATES]

    def _first_of_window(self, position: int) -> int:
        """Return the first entry of the last days; asked of one position after the other."""
        since = self._entries[position].published_at - WINDOW
        while self._entries[self._first].published_at < since:
            self._first += 1
        return self._first

    def _is_near_seed(self, position: int, story: int) -> bool:
        prints = self._texts.fingerprints
        return self._texts.likeness(prints[position], prints[self.stories[story][0]]) >= SEED_ALIKE

    @staticmethod
    def _likenesses(collection: Collection, one: int, others: Iterable[int]) -> list[float]:
        prints = collection.fingerprints
        return collection.likenesses(prints[one], map(prints.__getitem__, others))


def _from(positions: list[int], first: int) -> Sequence[int]:
    """Return the ascending ``positions`` that are ``first`` or later."""
    return positions if positions[0] >= first else positions[bisect_left(positions, first) :]


# ---------------------------------------------------------------------------------------------------------------------
# Ranking
# ---------------------------------------------------------------------------------------------------------------------


def rank_stories(stories: Iterable[Story], ranking: Ranking, now: dt.datetime, memory: Memory) -> tuple[Story, ...]:
    """Return the stories with their reasons, the one with most points first; equal ones by their newest entry.

    ``memory`` knows which of them past issues had.
    """
    ranked = [_ranked(story, ranking, now, memory) for story in stories]
    return tuple(sorted(ranked, key=lambda story: (-round(story.points, 6), _age(story, now), story.best.entry_id)))


def _ranked(story: Story, ranking: Ranking, now: dt.datetime, memory: Memory) -> Story:
    topics = tuple(topic for topic, words in ranking.topics.items() if _matches(story, words))
    seen_in = memory.find(Told(entry.url, entry.title, entry.summary) for entry in story.entries)
    reasons = [_sources_reason(story, ranking), _recency_reason(story, ranking, now), *_weight_reasons(story, ranking)]
    reasons += [Reason(f"topic {topic}", ranking.topic) for topic in topics]
    if seen_in:
        reasons.append(Reason(f"was in {seen_in}", ranking.seen))
    return Story(entries=story.entries, reasons=tuple(reasons), topics=topics, seen_in=seen_in)


def _sources_reason(story: Story, ranking: Ranking) -> Reason:
    sources = story.sources
    named = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if len(sources) > 4 else "")
    words = f"{len(sources)} sources: {named}" if len(sources) > 1 else f"1 source: {named}"
    return Reason(words, ranking.sources * math.log2(len(sources)))


def _recency_reason(story: Story, ranking: Ranking, now: dt.datetime) -> Reason:
    age = max(_age(story, now), dt.timedelta())
    hours = age // dt.timedelta(hours=1)
    words = f"{hours} h old" if hours < 48 else f"{hours // 24} days old"
    return Reason(words, ranking.recency * 0.5 ** (age / ranking.half_life))


def _age(story: Story, now: dt.datetime) -> dt.timedelta:
    return now - max(entry.published_at for entry in story.entries)


def _weight_reasons(story: Story, ranking: Ranking) -> Iterator[Reason]:
    heaviest = max(story.entries, key=lambda entry: entry.weight)
    if heaviest.weight != 1:
        words = f"{heaviest.source} weighs {heaviest.weight:g}"
        yield Reason(words, ranking.source_weight * (heaviest.weight - 1))


def _matches(story: Story, words: Sequence[str]) -> bool:
    texts = [f"{entry.title}\n{entry.summary}\n{' '.join(entry.tags)}".casefold() for entry in story.entries]
    return any(word.casefold() in text for word in words for text in texts)
