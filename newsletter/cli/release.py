"""``newsletter release``: let a send go on that was held or paused."""

import click

from newsletter.cli.context import App, echo_json, in_zone, json_option, utc_now


@click.command("release")
@click.argument("issue")
@click.option("--as-frozen", is_flag=True, help="Send what was frozen, although the file changed since.")
@click.option("--corrected", is_flag=True, help="Freeze what is approved now in its place; editors are told anew.")
@json_option
@click.pass_obj
def command(app: App, issue: str, as_frozen: bool, corrected: bool, as_json: bool) -> None:
    """Let ISSUE go on: cron sends it at its time, or goes on where it was paused.

    Nothing is sent by this command itself.
    """
    from newsletter.config import find_issue
    from newsletter.holding import Release, release_issue

    if as_frozen and corrected:
        raise click.UsageError("give one of: --as-frozen, --corrected")
    release = Release.AS_FROZEN if as_frozen else Release.CORRECTED if corrected else Release.EITHER
    project = app.project()
    with app.open_store(project, app.keys(project)) as store:
        send = release_issue(project, store, find_issue(project, issue), release, utc_now())
    if as_json:
        echo_json({"issue": send.issue, "state": str(send.state), "planned": send.planned})
        return
    app.say(f"{send.issue} is {send.state}: the next run of 'newsletter send --due' goes on with it")
    if send.started_at is None and send.send_at is not None:
        told = "; the editors are told first" if corrected and project.config.send.veto else ""
        app.say(f"  not before {in_zone(send.send_at, project)}{told}")
