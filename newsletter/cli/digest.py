"""``newsletter digest``: what cron runs for a newsletter that fills itself: fetch, make, approve, send."""

import datetime as dt
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, utc_now
from newsletter.cli.due import send_due
from newsletter.cli.exits import DONE, exit_code_of
from newsletter.cli.sources import load_sources
from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.store import Store


@click.command("digest")
@click.option("--no-fetch", is_flag=True, help="Ask no feeds: a line of cron does, with 'newsletter fetch'.")
@click.pass_obj
def command(app: App, no_fetch: bool) -> int:
    """Make the issue that is due by [schedule] from the template of [digest], approve it, and send what is due.

    One line in cron is enough: run it every ten minutes. An issue for which there is nothing new is skipped, no story
    is told twice, and a file that is there already is left to its editor. It also does all that 'send.py' does.
    """
    from newsletter.digests import missing_digest

    project, now = app.project(), utc_now()
    code = DONE
    day = missing_digest(project, now)
    if day is not None:
        try:
            _make(app, project, day, now, no_fetch)
        except NewsletterError as error:  # what is due must go out all the same
            app.complain(str(error))
            code = exit_code_of(error)
    return max(code, send_due(app, False, False))


def _make(app: App, project: "Project", day: dt.date, now: dt.datetime, no_fetch: bool) -> None:
    from newsletter.digests import make_digest, read_template, stories_since
    from newsletter.pool import load_stories

    page = read_template(project, day)
    slug = page.grammar.slug
    with app.open_store(project, app.keys(project)) as store:
        if not no_fetch:
            _fetch(app, project, store, now)
        sources = load_sources(app, project, store, slug, "", offline=True)
        stories = load_stories(project, store, stories_since(page, now), now, memory=sources.memory)
        made = make_digest(project, store, page, stories, sources=sources, now=now)
    for problem in made.warnings:
        app.warn(problem)
    for trouble in made.troubles:
        app.warn(trouble)
    app.say(made.words)


def _fetch(app: App, project: "Project", store: "Store", now: dt.datetime) -> None:
    """Ask the feeds that are due; a broken one is told, and stops nothing."""
    from newsletter.collector import collect, due_feeds

    for result in collect(project, store, due_feeds(store.feeds.load_feeds(), now), now):
        if result.error:
            app.warn(f"{result.feed.name}: {result.error}")
