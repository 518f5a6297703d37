"""``newsletter fill``: complete bare addresses, and let the rules of ``select:`` choose stories."""

from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.sources import STORIES_SINCE, load_sources, offline_option, summarize_option

if TYPE_CHECKING:
    from newsletter.filling import Filled


@click.command("fill")
@click.argument("issue")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and leave the file as it is.")
@summarize_option
@offline_option
@json_option
@click.pass_obj
def command(app: App, issue: str, dry_run: bool, program: str, offline: bool, as_json: bool) -> int:
    """Complete the bare addresses of ISSUE, and fill its empty sections by the rules of its 'select:'.

    An address gets headline, source and summary from the pool of entries, else from its own page. What is written is
    yours to change: an article is never touched again, and a section with articles is never filled again.
    """
    from newsletter.config import find_issue
    from newsletter.filling import fill_issue
    from newsletter.issuefile import open_issue, save_issue
    from newsletter.pool import load_stories
    from newsletter.selecting import read_rules

    project, now = app.project(), utc_now()
    file = open_issue(project, find_issue(project, issue))
    slug = file.page.grammar.slug
    rules = read_rules(file.page.issue.select, file.page.grammar.file)
    since = now - max((rule.since for rule in rules.values()), default=STORIES_SINCE)
    with app.open_store(project, app.keys(project)) as store:
        sources = load_sources(app, project, store, slug, program, offline=offline)
        stories = load_stories(project, store, since, now, memory=sources.memory) if rules else ()
        filled = fill_issue(file.page, stories, sources, now)
    if not dry_run:
        save_issue(file, filled.page)
    if as_json:
        parts = {"done": filled.done, "troubles": filled.troubles, "missing": filled.missing}
        echo_json({"issue": slug, "dry_run": dry_run, **{name: list(lines) for name, lines in parts.items()}})
    else:
        _show(app, slug, filled, dry_run)
    return FINDINGS if filled.troubles or filled.missing else DONE


def _show(app: App, slug: str, filled: "Filled", dry_run: bool) -> None:
    for line in filled.done:
        app.say(f"{'would add' if dry_run else 'added'}  {line}")
    for line in filled.troubles:
        app.complain(line)
    for heading in filled.missing:
        app.complain(f"{heading}: no story fits its rule; loosen it, or add 'skip_if_empty: true'")
    count = len(filled.done)
    if not count:
        app.say(f"{slug}: nothing to fill")
    elif not dry_run:
        app.say(f"{slug}: {count} {'article' if count == 1 else 'articles'}; 'newsletter build {slug}' shows the mail")
