"""``newsletter fetch``: ask the feeds that are due, and put what is new into the pool."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE
from newsletter.cli.instants import parse_since, start_of

if TYPE_CHECKING:
    from newsletter.collector import FeedResult


@click.command("fetch")
@click.option("--feed", "names", multiple=True, metavar="FEED", help="Only this feed, due or not; repeatable.")
@click.option("--all", "is_all", is_flag=True, help="Every active feed, due or not.")
@click.option(
    "--since",
    type=parse_since,
    metavar="WHEN",
    help="Leave out older entries: 7d, 36h, or a date.  [default: as [feeds] keep says]",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Ask and read, and keep nothing.")
@json_option
@click.pass_obj
def command(
    app: App,
    names: tuple[str, ...],
    is_all: bool,
    since: dt.timedelta | dt.date | None,
    is_dry: bool,
    as_json: bool,
) -> int:
    """Ask the feeds that are due, and put what is new into the pool.

    A feed that is broken costs itself alone: it is told of, and asked again later and later. A feed is left alone for
    as long as [feeds] every says, and as long as its server wants. Run it from cron, say hourly.
    """
    from newsletter.cli.feeds import find_one
    from newsletter.collector import collect, due_feeds
    from newsletter.feed import FeedState

    project, now = app.project(), utc_now()
    start = None if since is None else start_of(since, project.zone, now)
    with app.open_store(project, app.keys(project)) as store:
        known = store.feeds.load_feeds()
        active = [feed for feed in known if feed.state is FeedState.ACTIVE]
        chosen = [find_one(known, name) for name in names] or (active if is_all else due_feeds(known, now))
        found = collect(project, store, chosen, now, since=start, is_dry=is_dry)
        with _progress(app, len(chosen), as_json) as advance:
            results = [advance(result) for result in found]
    if as_json:
        counts = Counter(result.outcome for result in results)
        echo_json({"counts": dict(sorted(counts.items())), "feeds": [result.as_json() for result in results]})
        return DONE
    _tell(app, results, len(known), is_dry=is_dry)
    return DONE


def _tell(app: App, results: "Iterable[FeedResult]", known: int, *, is_dry: bool) -> None:
    counts: Counter[str] = Counter()
    new = changed = found = 0
    for result in results:
        counts[result.outcome] += 1
        new, changed, found = new + result.new, changed + result.changed, found + result.found
        if result.error:
            app.warn(f"{result.feed.name}: {result.error}")
        elif result.moved_to:
            app.say(f"{result.feed.name}: moved to {result.moved_to}")
        if result.warnings and not result.error:
            more = f" (and {len(result.warnings) - 1} more)" if len(result.warnings) > 1 else ""
            app.warn(f"{result.feed.name}: {result.warnings[0]}{more}")
    if not counts:
        app.say("no feed is due" if known else "no feeds yet; 'newsletter feeds add URL' adds one")
        return
    asked = sum(counts.values())
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    kept = f"{found} entries found, nothing kept" if is_dry else f"{new} new entries, {changed} changed"
    app.say(f"{asked} feed{'s' * (asked != 1)} asked: {told}; {kept}")


@contextmanager
def _progress(app: App, total: int, as_json: bool) -> "Iterator[Callable[[FeedResult], FeedResult]]":
    """Show a bar on a terminal while the feeds are asked."""
    import sys

    if app.quiet or as_json or not sys.stderr.isatty():
        yield _same
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("feeds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with bar:
        task = bar.add_task("feeds", total=total)

        def advance(result: "FeedResult") -> "FeedResult":
            bar.advance(task)
            return result

        yield advance


def _same(result: "FeedResult") -> "FeedResult":
    return result
