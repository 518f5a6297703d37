"""``newsletter new``: write an empty issue for the next date."""

import datetime as dt

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now


@click.command("new")
@click.argument("slug", required=False)
@click.option("--subject", default="", help="The subject of the mail.")
@json_option
@click.pass_obj
def command(app: App, slug: str | None, subject: str, as_json: bool) -> None:
    """Write an empty issue SLUG; without it, for the week after the newest issue, with the next number."""
    from newsletter.scaffold import write_issue

    project = app.project()
    today: dt.date = utc_now().astimezone(project.zone).date()
    path = write_issue(project, slug, subject, today)
    if as_json:
        echo_json({"issue": path.stem, "file": str(path)})
    else:
        app.say(f"{path}: write it, then 'newsletter build {path.stem}'")
