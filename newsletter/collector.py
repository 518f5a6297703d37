"""Ask the feeds that are due, read what they hold, and keep it in the pool; and find the feed of a site.

Use case: nothing is printed. Feeds are asked by several threads, one host by one at a time; what they hold is read by
child processes; the store is written by the caller's thread alone. One broken feed costs itself.
"""

import datetime as dt
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from newsletter import __version__
from newsletter.amounts import parse_duration
from newsletter.config import Project
from newsletter.errors import FeedError, TryLaterError
from newsletter.feed import Feed, NewEntry, NewFeed, ParsedFeed, is_due, next_fetch
from newsletter.feedchild import FeedReaders
from newsletter.feedlinks import common_places, find_feed_links
from newsletter.fetcher import Answer, Fetcher, Policy
from newsletter.store import Store

_READERS = 2
"""Child processes that read feeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """Say what came of asking one feed.

    ``outcome`` is ``read``, ``unchanged``, ``retired`` or ``failed``, with ``error`` in words. ``found`` counts the
    entries that it holds and that are young enough; ``new`` those that the pool did not have.
    """

    feed: Feed
    outcome: str
    error: str = ""
    moved_to: str = ""
    found: int = 0
    new: int = 0
    changed: int = 0
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` shows."""
        return {
            "feed": self.feed.url,
            "title": self.feed.title,
            "outcome": self.outcome,
            "error": self.error,
            "moved_to": self.moved_to,
            "found": self.found,
            "new": self.new,
            "changed": self.changed,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class _Reply:
    """Hold what a thread found out about one feed."""

    feed: Feed
    answer: Answer | None = None
    parsed: ParsedFeed | None = None
    error: str = ""
    retry_after: dt.timedelta | None = None


def policy_of(project: Project) -> Policy:
    """Return what the configuration lets be asked, under the newsletter's name."""
    feeds, url = project.config.feeds, project.config.newsletter.url
    return Policy(
        agent=f"newsletter/{__version__}" + (f" (+{url})" if url else ""),
        timeout_s=feeds.timeout,
        ports=frozenset(map(int, feeds.ports)),
        private_hosts=frozenset(host.lower() for host in feeds.private_hosts),
    )


def due_feeds(feeds: Iterable[Feed], now: dt.datetime) -> tuple[Feed, ...]:
    """Return the feeds that may be asked now."""
    return tuple(feed for feed in feeds if is_due(feed, now))


def collect(
    project: Project,
    store: Store,
    feeds: Sequence[Feed],
    now: dt.datetime,
    *,
    since: dt.datetime | None = None,
    is_dry: bool = False,
) -> Iterator[FeedResult]:
    """Ask ``feeds``, keep what they hold, and yield what came of each as it comes; at last prune the pool.

    Entries published before ``since`` (as long ago as ``[feeds] keep`` says, where it is None) are left out. Where it
    ``is_dry`` nothing is kept, not even that a feed was asked.
    """
    kept, every = parse_duration(project.config.feeds.keep), parse_duration(project.config.feeds.every)
    assert kept is not None
    assert every is not None
    keeper = _Keeper(store, now, every, since or now - kept, is_dry)
    for reply in _replies(policy_of(project), feeds, project.config.feeds.connections):
        yield keeper.keep(reply)
    if not is_dry:
        store.feeds.prune_entries(now - kept)


# ---------------------------------------------------------------------------------------------------------------------
# Asking, by threads
# ---------------------------------------------------------------------------------------------------------------------


def _replies(policy: Policy, feeds: Sequence[Feed], connections: int) -> Iterator[_Reply]:
    """Yield what each feed answered, as it comes; the threads end when the caller has enough."""
    hosts: defaultdict[str, list[Feed]] = defaultdict(list)
    for feed in feeds:
        hosts[urlsplit(feed.url).netloc.lower()].append(feed)
    waiting = deque(hosts.values())
    answers: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
    stopped = threading.Event()
    with FeedReaders(min(_READERS, len(feeds) or 1)) as readers:
        fetcher = Fetcher(policy)

        def work() -> None:
            while not stopped.is_set():
                try:
                    own = waiting.popleft()
                except IndexError:
                    return
                for feed in own:
                    if stopped.is_set():
                        return
                    answers.put(_ask(fetcher, readers.parse, feed))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(connections, len(hosts)))]
        for thread in threads:
            thread.start()
        try:
            for _ in feeds:
                yield answers.get()
        finally:
            stopped.set()
            for thread in threads:
                thread.join(timeout=policy.timeout_s)


def _ask(fetcher: Fetcher, parse: Callable[[bytes, str, str], ParsedFeed], feed: Feed) -> _Reply:
    """Ask one feed and read it; whatever goes wrong is news of that feed."""
    try:
        answer = fetcher.get(feed.url, etag=feed.etag, last_modified=feed.last_modified)
        if answer.status != 200:
            return _Reply(feed, answer)
        return _Reply(feed, answer, parse(answer.content, answer.content_type, answer.url))
    except TryLaterError as error:
        return _Reply(feed, error=str(error), retry_after=error.retry_after)
    except FeedError as error:
        return _Reply(feed, error=str(error))
    except Exception as error:  # one feed must not end the run of the others
        return _Reply(feed, error=f"cannot be read: {type(error).__name__}: {error}"[:300])


# ---------------------------------------------------------------------------------------------------------------------
# Keeping, by the caller
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keep what feeds answered."""

    store: Store
    now: dt.datetime
    every: dt.timedelta
    since: dt.datetime
    is_dry: bool

    def keep(self, reply: _Reply) -> FeedResult:
        """Keep one answer and say what came of it."""
        feed, answer, feeds = reply.feed, reply.answer, self.store.feeds
        if answer is None:
            if not self.is_dry:
                again = next_fetch(self.every, feed.failures + 1, self.now, reply.retry_after)
                feeds.record_failure(feed.feed_id, reply.error, self.now, again)
            return FeedResult(feed=feed, outcome="failed", error=reply.error)
        if answer.status == 410:
            error = "its publisher took it down (410)"
            if not self.is_dry:
                feeds.retire_feed(feed.feed_id, error, self.now)
            return FeedResult(feed=feed, outcome="retired", error=error)
        moved_to = answer.moved_to
        if moved_to and not self.is_dry and not feeds.move_feed(feed.feed_id, moved_to):
            moved_to = ""
        again = next_fetch(self.every, 0, self.now)
        if reply.parsed is None:
            if not self.is_dry:
                feeds.record_unchanged(feed.feed_id, self.now, again)
            return FeedResult(feed=feed, outcome="unchanged", moved_to=moved_to)
        return replace(self._read(feed, answer, reply.parsed, again), moved_to=moved_to)

    def _read(self, feed: Feed, answer: Answer, parsed: ParsedFeed, again: dt.datetime) -> FeedResult:
        entries = [entry for entry in parsed.entries if self._is_young(entry)]
        result = FeedResult(
            feed=replace(feed, title=feed.title or parsed.title),
            outcome="read",
            found=len(entries),
            warnings=parsed.warnings,
        )
        if self.is_dry:
            return result
        saved = self.store.feeds.record_read(
            feed,
            NewFeed(url=feed.url, title=parsed.title, site=parsed.site),
            entries,
            self.now,
            again,
            language=parsed.language,
            validators=(answer.etag, answer.last_modified),
        )
        return replace(result, new=saved.new, changed=saved.changed)

    def _is_young(self, entry: NewEntry) -> bool:
        return entry.published_at is None or entry.published_at >= self.since


# ---------------------------------------------------------------------------------------------------------------------
# Finding
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundFeed:
    """Hold a feed that was found at an address, or named by the page there."""

    url: str
    parsed: ParsedFeed


def find_feed(project: Project, url: str) -> FoundFeed:
    """Return the feed at ``url``, else the first one that the page there names, else one where feeds commonly stand.

    Raises FeedError where there is none.
    """
    url = url if "://" in url else f"https://{url}"
    fetcher = Fetcher(policy_of(project))
    with FeedReaders(1) as readers:
        answer = _content_of(fetcher, url)
        try:
            return FoundFeed(answer.moved_to or url, readers.parse(answer.content, answer.content_type, answer.url))
        except FeedError as error:
            problem = error
        page = answer.content.decode("utf-8", "replace")
        named = [link.url for link in find_feed_links(page, answer.url)]
        for candidate in (*named[:5], *(common_places(answer.url) if not named else ())):
            try:
                found = _content_of(fetcher, candidate)
                return FoundFeed(
                    found.moved_to or candidate, readers.parse(found.content, found.content_type, found.url)
                )
            except FeedError:
                continue
    if "page" in str(problem):
        raise FeedError("is a web page that names no feed; look for one in your browser, and give its own address")
    raise problem


def _content_of(fetcher: Fetcher, url: str) -> Answer:
    answer = fetcher.get(url)
    if answer.status != 200:
        raise FeedError("is gone for good (410)" if answer.status == 410 else f"answers {answer.status}")
    return answer
