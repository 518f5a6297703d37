"""``newsletter feeds``: which feeds are asked, how they are doing, and lists of them in and out."""

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.tables import BAD, FAINT, GOOD, ODD, Cell, Column, Table, show_table
from newsletter.errors import FeedError, InputError

if TYPE_CHECKING:
    from newsletter.feed import Feed
    from newsletter.store import Store

_WEEKS = 4
"""Weeks over which the entries a week are counted."""
_weight_option = click.option(
    "--weight", type=click.FloatRange(0, 100), help="What its stories weigh; 1 is like any other.  [default: 1]"
)
_tag_option = click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag of all its entries; repeatable.")


@click.group("feeds")
def command() -> None:
    """Say which feeds are asked, and see how they are doing."""


# ---------------------------------------------------------------------------------------------------------------------
# add, remove, pause, resume
# ---------------------------------------------------------------------------------------------------------------------


@command.command("add")
@click.argument("url")
@click.option("--title", default="", help="What to call it.  [default: as the feed says]")
@_weight_option
@_tag_option
@click.option("--unseen", is_flag=True, help="Add the address as it is, without asking it.")
@json_option
@click.pass_obj
def add(
    app: App, url: str, title: str, weight: float | None, tags: tuple[str, ...], unseen: bool, as_json: bool
) -> None:
    """Add the feed at URL; where URL is a site, the feed that it names.

    A feed that is there already takes the title, weight and tags that are given.
    """
    from newsletter.feed import NewFeed

    project, url = app.project(), url.strip()
    shown, site, count = title, "", None
    if not unseen:
        from newsletter.collector import find_feed

        try:
            found = find_feed(project, url)
        except FeedError as error:
            raise FeedError(f"{url}: {error}; --unseen adds it all the same") from None
        url, site, count = found.url, found.parsed.site, len(found.parsed.entries)
        shown = title or found.parsed.title
    with _open(app) as store:
        new = NewFeed(url=url, title=shown, site=site, weight=1.0 if weight is None else weight, tags=tags)
        is_new = store.feeds.add_feed(new, utc_now())
        if not is_new:
            _change(store, url, title, weight, tags)
    if as_json:
        echo_json({"feed": url, "title": shown, "new": is_new, "entries": count})
        return
    holds = "" if count is None else f", {count} entr{'y' if count == 1 else 'ies'}"
    app.say(f"{shown or url}: {'added' if is_new else 'was there already'} ({url}{holds})")
    if is_new:
        app.say("'newsletter fetch' asks it")


def _change(store: "Store", url: str, title: str, weight: float | None, tags: tuple[str, ...]) -> None:
    feed = next(known for known in store.feeds.load_feeds() if known.url == url)
    store.feeds.change_feed(
        feed.feed_id,
        title=title or feed.title,
        weight=feed.weight if weight is None else weight,
        tags=tags or feed.tags,
    )


@command.command("remove")
@click.argument("feed")
@json_option
@click.pass_obj
def remove(app: App, feed: str, as_json: bool) -> None:
    """Remove FEED and its entries; FEED is an address, or a part of it or of the title that no other has."""
    with _open(app) as store:
        found = find_one(store.feeds.load_feeds(), feed)
        store.feeds.remove_feed(found.feed_id)
    _told(app, found, "removed, with its entries", as_json)


@command.command("pause")
@click.argument("feed")
@json_option
@click.pass_obj
def pause(app: App, feed: str, as_json: bool) -> None:
    """Ask FEED no more until it is resumed; its entries stay."""
    _set_state(app, feed, "paused", as_json)


@command.command("resume")
@click.argument("feed")
@json_option
@click.pass_obj
def resume(app: App, feed: str, as_json: bool) -> None:
    """Ask FEED again, with the next fetch: one that was paused, retired, or that fails and waits."""
    _set_state(app, feed, "active", as_json)


def _set_state(app: App, name: str, word: str, as_json: bool) -> None:
    from newsletter.feed import FeedState

    with _open(app) as store:
        found = find_one(store.feeds.load_feeds(), name)
        store.feeds.set_state(found.feed_id, FeedState(word), utc_now())
    _told(app, found, word, as_json)


def _told(app: App, feed: "Feed", done: str, as_json: bool) -> None:
    if as_json:
        echo_json({"feed": feed.url, "title": feed.title, "done": done})
    else:
        app.say(f"{feed.name}: {done}")


def find_one(feeds: "Sequence[Feed]", text: str) -> "Feed":
    """Return the feed that ``text`` names; raise InputError where none or several fit."""
    wanted = text.strip().casefold()
    for found in (
        [feed for feed in feeds if feed.url.casefold() == wanted],
        [feed for feed in feeds if wanted in feed.url.casefold() or wanted in feed.title.casefold()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"{text!r} fits {len(found)} feeds: {', '.join(feed.url for feed in found[:5])}; say more")
    raise InputError(f"no feed {text!r}; 'newsletter feeds list' shows those that there are")


# ---------------------------------------------------------------------------------------------------------------------
# list, check
# ---------------------------------------------------------------------------------------------------------------------


@command.command("list")
@json_option
@click.pass_obj
def list_(app: App, as_json: bool) -> None:
    """List the feeds and how they are doing: last success, entries a week, last error in words."""
    project, now = app.project(), utc_now()
    with _open(app) as store:
        feeds = store.feeds.load_feeds()
        counts = store.feeds.count_entries(now - dt.timedelta(weeks=_WEEKS))
    rows = [(feed, counts.get(feed.feed_id, (0, 0))) for feed in feeds]
    if as_json:
        echo_json({"feeds": [_as_json(feed, *counted) for feed, counted in rows]})
        return
    if not feeds:
        app.say("no feeds yet; 'newsletter feeds add URL' adds one, 'newsletter feeds import FILE.opml' many")
        return
    columns = (
        Column("feed", wraps=True),
        Column("weight", "right"),
        Column("a week", "right"),
        Column("last success"),
        Column("health", wraps=True),
    )
    table = [
        (
            Cell(feed.name[:60]),
            Cell(f"{feed.weight:g}", FAINT if feed.weight == 1 else ""),
            Cell(f"{recent / _WEEKS:.1f}", "" if recent else FAINT),
            Cell(f"{feed.succeeded_at.astimezone(project.zone):%Y-%m-%d %H:%M}" if feed.succeeded_at else "never"),
            _health(feed),
        )
        for feed, (_, recent) in rows
    ]
    show_table(app, Table("", columns, table))
    failing = sum(bool(feed.error) for feed in feeds)
    app.say(f"{len(feeds)} feed{'s' * (len(feeds) != 1)}, {failing} in trouble" if failing else f"{len(feeds)} feeds")


def _health(feed: "Feed") -> Cell:
    if feed.state == "paused":
        return Cell("paused", FAINT)
    if feed.state == "retired":
        return Cell(f"retired: {feed.error}", BAD)
    if feed.error:
        times = f" ({feed.failures} times)" if feed.failures > 1 else ""
        return Cell(f"{feed.error}{times}", BAD if feed.failures > 3 else ODD)
    return Cell("well", GOOD) if feed.succeeded_at else Cell("not asked yet", FAINT)


def _as_json(feed: "Feed", entries: int, recent: int) -> dict[str, Any]:
    def told(instant: dt.datetime | None) -> str | None:
        return instant.isoformat() if instant else None

    return {
        "feed": feed.url,
        "title": feed.title,
        "site": feed.site,
        "language": feed.language,
        "weight": feed.weight,
        "tags": list(feed.tags),
        "state": str(feed.state),
        "entries": entries,
        "entries_a_week": round(recent / _WEEKS, 2),
        "asked_at": told(feed.asked_at),
        "succeeded_at": told(feed.succeeded_at),
        "error": feed.error,
        "failures": feed.failures,
        "next_fetch_at": told(feed.next_fetch_at),
    }


@command.command("check")
@click.argument("feed", required=False)
@json_option
@click.pass_obj
def check(app: App, feed: str | None, as_json: bool) -> int:
    """Ask each feed, or FEED, and say what is wrong; nothing is kept. Ends with 1 where one is in trouble."""
    from dataclasses import replace

    from newsletter.collector import collect

    project, now = app.project(), utc_now()
    with _open(app) as store:
        known = store.feeds.load_feeds()
        asked = [find_one(known, feed)] if feed else [one for one in known if one.state != "paused"]
        fresh = [replace(one, etag="", last_modified="") for one in asked]  # the whole feed, not 304
        everything = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        results = list(collect(project, store, fresh, now, since=everything, is_dry=True))
    if as_json:
        echo_json({"feeds": [result.as_json() for result in results]})
    else:
        for result in results:
            told = result.error or f"{result.found} entries"
            moved = f"; moved to {result.moved_to}" if result.moved_to else ""
            app.say(f"{result.feed.name}: {told}{moved}")
            for warning in result.warnings:
                app.say(f"    {warning}")
    return FINDINGS if any(result.error for result in results) else DONE


# ---------------------------------------------------------------------------------------------------------------------
# import, export
# ---------------------------------------------------------------------------------------------------------------------


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@json_option
@click.pass_obj
def import_(app: App, file: Path, as_json: bool) -> None:
    """Add the feeds of FILE, a list in OPML as every reader of feeds exports it; folders become tags."""
    from newsletter.fetcher import checked_target
    from newsletter.opml import read_opml

    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}; name a file in OPML") from None
    feeds, refused, added = read_opml(content, str(file)), [], 0
    from newsletter.collector import policy_of

    policy, now = policy_of(app.project()), utc_now()
    with _open(app) as store, store.transaction():
        for feed in feeds:
            try:
                checked_target(feed.url, policy)
            except FeedError as error:
                refused.append({"feed": feed.url, "error": str(error)})
                continue
            added += store.feeds.add_feed(feed, now)
    known = len(feeds) - added - len(refused)
    if as_json:
        echo_json({"added": added, "known": known, "refused": refused})
        return
    for one in refused:
        app.warn(f"{one['feed'][:200]}: {one['error']}")
    app.say(f"{file}: {added} feeds added, {known} were there, {len(refused)} cannot be asked")


@command.command("export")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export(app: App, file: Path | None) -> None:
    """Write the feeds as OPML to FILE; without it, to standard output."""
    from newsletter.opml import write_opml

    with _open(app) as store:
        feeds = store.feeds.load_feeds()
    content = write_opml(feeds, app.project().config.newsletter.title)
    if file is None:
        click.echo(content, nl=False)
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
    app.say(f"{file}: {len(feeds)} feeds")


@contextmanager
def _open(app: App) -> "Iterator[Store]":
    project = app.project()
    with app.open_store(project, app.keys(project)) as store:
        yield store
