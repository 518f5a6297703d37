"""Keep the feeds, their health, and the pool: the entries that were found in them.

An entry is known by its feed and its guid; reading it again changes what its publisher changed, and neither when it
was seen first nor when it was published. Not here: what a server says (``fetcher``), what a feed holds (``feedparse``),
and which entries tell one story (``stories``).
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from newsletter.feed import Feed, FeedState, NewEntry, NewFeed
from newsletter.store.database import (
    Database,
    Row,
    from_micros,
    from_micros_or_none,
    storable,
    to_micros,
)

if TYPE_CHECKING:
    from newsletter.stories import Entry


@dataclass(frozen=True, slots=True)
class Saved:
    """Count what reading a feed brought: entries that are new, and entries that say something else than before."""

    new: int = 0
    changed: int = 0


class Feeds:
    """Read and write feeds and entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- feeds --------------------------------------------------------------------------------------------------------

    def add_feed(self, new: NewFeed, now: dt.datetime) -> bool:
        """Add a feed; tell whether it was not there yet. Nothing changes in one that was."""
        return (
            self._database.change(
                "insert_feed",
                url=storable(new.url),
                title=storable(new.title),
                site=storable(new.site),
                weight=float(new.weight),
                tags=_joined(new.tags),
                now=to_micros(now),
            )
            > 0
        )

    def load_feeds(self) -> tuple[Feed, ...]:
        """Return every feed, in the order in which they were added."""
        return tuple(map(_feed, self._database.rows("load_feeds")))

    def remove_feed(self, feed_id: int) -> bool:
        """Remove a feed with its entries; tell whether it was there."""
        with self._database.transaction():
            self._database.change("delete_feed_entries", feed=feed_id)
            return self._database.change("delete_feed", feed=feed_id) > 0

    def set_state(self, feed_id: int, state: FeedState, now: dt.datetime) -> bool:
        """Pause a feed, or let it be asked again from ``now`` on; tell whether that is new."""
        return self._database.change("set_feed_state", feed=feed_id, state=state, now=to_micros(now)) > 0

    def change_feed(self, feed_id: int, *, title: str, weight: float, tags: Sequence[str]) -> None:
        """Give a feed another title, weight and tags."""
        self._database.change(
            "change_feed", feed=feed_id, title=storable(title), weight=float(weight), tags=_joined(tags)
        )

    # -- what came of asking ------------------------------------------------------------------------------------------

    def record_read(
        self,
        feed: Feed,
        head: NewFeed,
        entries: Iterable[NewEntry],
        now: dt.datetime,
        next_fetch_at: dt.datetime,
        *,
        language: str = "",
        validators: tuple[str, str] = ("", ""),
    ) -> Saved:
        """Keep what was read of a feed; ``head`` has its title and site, ``validators`` are its ETag and Last-Modified.

        All of it is kept, or nothing.
        """
        with self._database.transaction():
            self._database.change(
                "record_feed_read",
                feed=feed.feed_id,
                title=storable(head.title),
                site=storable(head.site),
                language=storable(language),
                etag=storable(validators[0]),
                last_modified=storable(validators[1]),
                now=to_micros(now),
                next=to_micros(next_fetch_at),
            )
            return self._save_entries(feed.feed_id, entries, now)

    def record_unchanged(self, feed_id: int, now: dt.datetime, next_fetch_at: dt.datetime) -> None:
        """Remember that a feed has nothing new (304)."""
        self._database.change("record_feed_unchanged", feed=feed_id, now=to_micros(now), next=to_micros(next_fetch_at))

    def record_failure(self, feed_id: int, error: str, now: dt.datetime, next_fetch_at: dt.datetime) -> None:
        """Remember what went wrong, in words, and when to ask again."""
        self._database.change(
            "record_feed_failure",
            feed=feed_id,
            error=storable(error),
            now=to_micros(now),
            next=to_micros(next_fetch_at),
        )

    def retire_feed(self, feed_id: int, error: str, now: dt.datetime) -> None:
        """Ask a feed no more: its publisher took it down. What it held stays in the pool."""
        self._database.change("retire_feed", feed=feed_id, error=storable(error), now=to_micros(now))

    def move_feed(self, feed_id: int, url: str) -> bool:
        """Remember that a feed moved for good; tell whether it did: another feed may have that address already."""
        return self._database.change("move_feed", feed=feed_id, url=storable(url)) > 0

    # -- the pool -----------------------------------------------------------------------------------------------------

    def _save_entries(self, feed_id: int, entries: Iterable[NewEntry], now: dt.datetime) -> Saved:
        rows = [_values(feed_id, entry, now) for entry in entries]
        is_new = self._database.change_each("insert_entry", rows)
        known = [row for row, new in zip(rows, is_new, strict=True) if not new]
        written = ("published", "now")
        changed = self._database.change_each(
            "update_entry", ({name: value for name, value in row.items() if name not in written} for row in known)
        )
        listed = [{name: row[name] for name in ("feed", "guid", "now")} for row in known]
        self._database.change_each("list_entry", listed)
        return Saved(sum(is_new), sum(changed))

    def load_entries(self, since: dt.datetime, until: dt.datetime) -> "tuple[Entry, ...]":
        """Return the entries that were published in this time, the oldest first."""
        rows = self._database.rows("pool_entries", since=to_micros(since), until=to_micros(until))
        return tuple(map(_entry, rows))

    def find_page(self, url: str) -> "tuple[Entry, ...]":
        """Return the entries whose page ``url`` leads to, however it is written; the weightiest source's first."""
        from newsletter.weburls import url_key

        key = url_key(url)
        return tuple(map(_entry, self._database.rows("page_entries", url_key=key))) if key else ()

    def record_redirect(self, url: str, target: str) -> None:
        """Remember that the address ``url`` led to ``target``, another page; nothing where it is the same one."""
        from newsletter.weburls import url_key

        key = url_key(url)
        if key and key != url_key(target):
            self._database.change("put_redirect", url_key=storable(key), target=storable(target))

    def load_redirects(self) -> dict[str, str]:
        """Return where addresses led, by the keys that ``url_key`` gives them."""
        return {row[0]: row[1] for row in self._database.rows("load_redirects")}

    def count_entries(self, since: dt.datetime) -> dict[int, tuple[int, int]]:
        """Return, for each feed that has entries, how many there are, and how many were published since."""
        rows = self._database.rows("count_entries", since=to_micros(since))
        return {row[0]: (int(row[1]), int(row[2])) for row in rows}

    def prune_entries(self, before: dt.datetime) -> int:
        """Remove entries that were seen first, and listed by their feed last, before that; return how many.

        What a feed still listed when it was read last stays: it would come back as new.
        """
        return self._database.change("prune_entries", before=to_micros(before))


def _joined(words: Iterable[str]) -> str:
    return "\n".join(storable(" ".join(word.split())) for word in words if word.strip())


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


def _values(feed_id: int, entry: NewEntry, now: dt.datetime) -> dict[str, object]:
    from newsletter.weburls import url_key

    published = min(entry.published_at or now, now)
    return {
        "feed": feed_id,
        "guid": storable(entry.guid),
        "url": storable(entry.url),
        "url_key": storable(url_key(entry.url)),
        "source": storable(entry.source),
        "title": storable(entry.title),
        "summary": storable(entry.summary),
        "author": storable(entry.author),
        "image": storable(entry.image),
        "language": storable(entry.language),
        "tags": _joined(entry.tags),
        "published": to_micros(published),
        "now": to_micros(now),
    }


def _feed(row: Row) -> Feed:
    return Feed(
        feed_id=row[0],
        url=row[1],
        title=row[2],
        site=row[3],
        language=row[4],
        weight=float(row[5]),
        tags=_split(row[6]),
        state=FeedState(row[7]),
        etag=row[8],
        last_modified=row[9],
        added_at=from_micros(row[10]),
        asked_at=from_micros_or_none(row[11]),
        succeeded_at=from_micros_or_none(row[12]),
        read_at=from_micros_or_none(row[13]),
        error=row[14],
        failures=row[15],
        next_fetch_at=from_micros(row[16]),
    )


def _entry(row: Row) -> "Entry":
    """Return an entry of the pool; what its feed alone says stands for what it does not say itself."""
    from newsletter.stories import Entry  # here: a run of cron opens the store, and has no use for stories

    feed_url, feed_title, feed_language, weight, feed_tags = row[10:15]
    return Entry(
        entry_id=row[0],
        feed=feed_url,
        source=row[2] or feed_title or feed_url,
        title=row[3],
        url=row[1],
        published_at=from_micros(row[9]),
        summary=row[4],
        author=row[5],
        image=row[6],
        language=row[7] or feed_language,
        tags=tuple(dict.fromkeys((*_split(row[8]), *_split(feed_tags)))),
        weight=float(weight),
    )
