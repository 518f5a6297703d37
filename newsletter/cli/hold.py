"""``newsletter hold``: stop a send that waits or is under way."""

import click

from newsletter.cli.context import App, echo_json, json_option, login_name, utc_now


@click.command("hold")
@click.argument("issue")
@click.option("--reason", default="", help="Why; it stands in every report.")
@click.option("--by", help="Who holds it.  [default: your login name]")
@json_option
@click.pass_obj
def command(app: App, issue: str, reason: str, by: str | None, as_json: bool) -> None:
    """Stop ISSUE: hold it before it goes out, or pause it while it does.

    Nothing is lost: 'newsletter release ISSUE' lets it go on where it stopped.
    """
    from newsletter.config import find_issue
    from newsletter.holding import hold_issue
    from newsletter.worker import HELD_BY

    project = app.project()
    words = f"{HELD_BY} {by or login_name()}" + (f": {reason}" if reason.strip() else "")
    with app.open_store(project, app.keys(project)) as store:
        stopped = hold_issue(project, store, find_issue(project, issue), words, utc_now())
        account = store.sends.account(stopped.send.send_id)
    send = stopped.send
    if as_json:
        echo_json({"issue": send.issue, "state": str(send.state), "reason": send.reason, **account.as_json()})
        return
    app.say(f"{send.issue} is {send.state}: {send.reason}")
    if send.started_at is None:
        app.say("  nobody has it; nothing goes out")
        app.say(f"  'newsletter release {send.issue}' lets it go as it is; to correct it, edit and approve the file,")
        app.say(f"  then 'newsletter release {send.issue} --corrected'")
    else:
        app.say(f"  {account.sent:,} of {account.planned:,} have it; a message in hand may still go out")
        app.say(
            f"  'newsletter release {send.issue}' lets cron go on, 'newsletter send {send.issue} --yes' goes on now,"
        )
        app.say(f"  'newsletter cancel {send.issue} --yes' ends it for good")
