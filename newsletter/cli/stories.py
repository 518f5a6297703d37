"""``newsletter stories``: list what the pool tells, ranked, each story with its reasons in words."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.instants import parse_since, start_of
from newsletter.cli.tables import FAINT, GOOD, ODD, Cell, show_line

if TYPE_CHECKING:
    from newsletter.stories import Story


@click.command("stories")
@click.option(
    "--since",
    type=parse_since,
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="From when on: 7d, 36h, or a date.",
)
@click.option("--topic", metavar="TOPIC", help="Only stories that match this topic of [ranking.topics].")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="Show so many, the first.")
@json_option
@click.pass_obj
def command(app: App, since: dt.timedelta | dt.date, topic: str | None, limit: int, as_json: bool) -> None:
    """List the stories that the feeds tell, ranked: how many sources and which, how old, which topic, seen before.

    Entries of several sources that tell the same are one story. The points behind each reason come from [ranking] in
    newsletter.toml. 'newsletter fetch' fills the pool.
    """
    from newsletter.pool import load_memory, load_stories

    project, now = app.project(), utc_now()
    if topic is not None and topic not in project.config.ranking.topics:
        known = ", ".join(project.config.ranking.topics) or "none yet"
        raise click.UsageError(f"no topic '{topic}' in [ranking.topics]; there are: {known}")
    with app.open_store(project, app.keys(project)) as store:
        memory = load_memory(project, store)
        stories = load_stories(project, store, start_of(since, project.zone, now), now, memory=memory)
        has_feeds = bool(store.feeds.load_feeds())
    found = [story for story in stories if topic is None or topic in story.topics]
    if as_json:
        echo_json({"stories": [story_json(story) for story in found[:limit]], "count": len(found)})
        return
    for rank, story in enumerate(found[:limit], 1):
        _show(app, rank, story)
    if not found:
        app.say("no stories; " + ("'newsletter fetch' asks the feeds" if has_feeds else "'newsletter feeds add URL'"))
    elif len(found) > limit:
        app.say(f"{limit} of {len(found)} stories; --limit shows more")


def _show(app: App, rank: int, story: "Story") -> None:
    best = story.best
    show_line(app, Cell(f"{rank:>3}. "), Cell(best.title or best.url, GOOD if not story.seen_in else FAINT))
    show_line(app, Cell(f"     {best.source} · {best.published_at:%Y-%m-%d} · {best.url}", FAINT))
    told = "; ".join(f"{reason.words} ({reason.points:+.1f})" for reason in story.reasons)
    show_line(app, Cell("     "), Cell(f"{story.points:.1f}", ODD), Cell(f" = {told}"))


def story_json(story: "Story") -> dict[str, Any]:
    """Return a story as ``--json`` shows it: the best entry first among its entries."""
    return {
        "points": round(story.points, 3),
        "reasons": [{"words": reason.words, "points": round(reason.points, 3)} for reason in story.reasons],
        "topics": list(story.topics),
        "seen_in": story.seen_in,
        "sources": list(story.sources),
        "entries": [
            {
                "title": entry.title,
                "url": entry.url,
                "source": entry.source,
                "author": entry.author,
                "published_at": entry.published_at.isoformat(),
                "summary": entry.summary,
                "image": entry.image,
                "language": entry.language,
                "tags": list(entry.tags),
                "feed": entry.feed,
            }
            for entry in story.entries
        ],
    }
