"""``newsletter pick``: send stories to the sections of an issue, on a screen or one by one."""

from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.instants import parse_since, start_of
from newsletter.cli.sources import load_sources, offline_option, summarize_option

if TYPE_CHECKING:
    import datetime as dt

    from newsletter.config import Project
    from newsletter.filling import Sources
    from newsletter.picking import Picking
    from newsletter.store import Store


@click.command("pick")
@click.argument("issue")
@click.option("--add", "url", metavar="URL", help="Add this article, and open no screen.")
@click.option("--section", metavar="HEADING", help="Where it goes.  [default: the lead section]")
@click.option("--rank", type=click.IntRange(1), help="Its place in the section.  [default: the last]")
@click.option("--headline", default="", help="Its headline.  [default: that of the pool, or of its page]")
@click.option("--source", default="", help="Its source.  [default: that of the pool, or of its page]")
@click.option("--summary", default="", help="Its summary.  [default: the first sentences]")
@click.option("--follow-up", "follow_up", metavar="SLUG", default="", help="The past issue whose story goes on.")
@click.option(
    "--since", type=parse_since, metavar="WHEN", default="7d", show_default=True, help="Which stories the screen shows."
)
@summarize_option
@offline_option
@json_option
@click.pass_obj
def command(
    app: App,
    /,
    issue: str,
    url: str | None,
    section: str | None,
    rank: int | None,
    since: "dt.timedelta | dt.date",
    program: str,
    offline: bool,
    as_json: bool,
    **said: str,
) -> None:
    """Send stories to the sections of ISSUE: on a screen, by keyboard; with --add one article, for scripts.

    Each step is written into the Markdown file at once, as you would have written it; everything else in it stays.
    """
    from newsletter.config import find_issue
    from newsletter.picking import Picking

    project = app.project()
    path = find_issue(project, issue)
    picking = Picking(project, path)
    heading = section or project.config.sections.lead
    with app.open_store(project, app.keys(project)) as store:
        sources = load_sources(app, project, store, path.stem, program, offline=offline)
        if url is None:
            _screen(app, project, picking, store, sources, since)
            return
        from newsletter.issueedit import Draft
        from newsletter.picking import add_url

        draft = add_url(
            picking,
            Draft(
                url=url,
                headline=said["headline"],
                source=said["source"],
                summary=said["summary"],
                follow_up=said["follow_up"],
            ),
            sources,
            section=heading,
            rank=rank,
        )
    if as_json:
        echo_json({"issue": path.stem, "section": heading, "headline": draft.headline, "url": draft.url})
    else:
        app.say(f"{path.stem}: added to {heading}: {draft.headline}")


def _screen(
    app: App,
    project: "Project",
    picking: "Picking",
    store: "Store",
    sources: "Sources",
    since: "dt.timedelta | dt.date",
) -> None:
    """Show the screen; raise InputError where there is no terminal for it."""
    import sys

    from newsletter.cli.pickscreen import edit_in_editor, show_board
    from newsletter.errors import InputError
    from newsletter.pickboard import Board
    from newsletter.pool import load_stories

    slug = picking.page.grammar.slug
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"the screen needs a terminal; 'newsletter pick {slug} --add URL' needs none")
    now = utc_now()
    stories = load_stories(project, store, start_of(since, project.zone, now), now, memory=sources.memory)
    before = len(picking.page.issue.articles)
    show_board(Board(picking, stories, sources, edit_in_editor))
    after = len(picking.page.issue.articles)
    app.say(f"{slug}: {after} articles ({after - before:+d}); 'newsletter build {slug}' shows the mail")
