"""Hold what is known of a feed and what was read from one, and decide when it is asked again; pure.

Reading bytes is ``feedparse``'s, asking servers ``fetcher``'s, and keeping all this the store's.
"""

import datetime as dt
import enum
from dataclasses import dataclass

_BACKOFF_MAX = dt.timedelta(days=1)
_RETRY_AFTER_MAX = dt.timedelta(days=7)


class FeedState(enum.StrEnum):
    """Say whether a feed is asked: ``PAUSED`` by an editor, ``RETIRED`` where its publisher took it down (410)."""

    ACTIVE = "active"
    PAUSED = "paused"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """Describe a feed to add; ``title`` ``""`` is learned from the feed. ``weight`` 1 is a source like any other."""

    url: str
    title: str = ""
    site: str = ""
    weight: float = 1.0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Show one feed and its health.

    ``asked_at`` is when its server was asked last, ``succeeded_at`` when that went well, ``read_at`` when there was
    something new to read. ``error`` says what went wrong since, ``failures`` how often in a row.
    """

    feed_id: int
    url: str
    title: str
    site: str
    language: str
    weight: float
    tags: tuple[str, ...]
    state: FeedState
    etag: str
    last_modified: str
    added_at: dt.datetime
    asked_at: dt.datetime | None
    succeeded_at: dt.datetime | None
    read_at: dt.datetime | None
    error: str
    failures: int
    next_fetch_at: dt.datetime

    @property
    def name(self) -> str:
        """Return what people call the feed."""
        return self.title or self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """Hold one entry as a feed has it: texts are plain, ``url`` is canonical, ``guid`` tells it from its feed's others.

    ``published_at`` is None where the feed names no instant; ``source`` is ``""`` unless its feed gathers several.
    """

    guid: str
    url: str
    title: str
    published_at: dt.datetime | None = None
    summary: str = ""
    author: str = ""
    source: str = ""
    image: str = ""
    language: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    """Hold what could be read of a feed, and in ``warnings`` what could not; ``kind`` is a name like ``rss20``."""

    kind: str
    title: str = ""
    site: str = ""
    language: str = ""
    entries: tuple[NewEntry, ...] = ()
    warnings: tuple[str, ...] = ()


def is_due(feed: Feed, now: dt.datetime) -> bool:
    """Tell whether the feed may be asked now."""
    return feed.state is FeedState.ACTIVE and feed.next_fetch_at <= now


def next_fetch(
    every: dt.timedelta, failures: int, now: dt.datetime, retry_after: dt.timedelta | None = None
) -> dt.datetime:
    """Return when to ask a feed again: twice as long after each failure, up to a day; never before its server says."""
    wait = every if not failures else min(every * 2 ** min(failures, 20), max(_BACKOFF_MAX, every))
    if retry_after is not None:
        wait = max(wait, min(retry_after, _RETRY_AFTER_MAX))
    return now + wait
