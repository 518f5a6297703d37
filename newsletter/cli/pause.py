"""``newsletter pause``: stop a send that is going on, until an operator lets it go on."""

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.sending import equation, known_send
from newsletter.errors import NotAllowedError


@click.command("pause")
@click.argument("issue")
@click.option("--reason", default="paused by an operator", show_default=True, help="Why; 'newsletter status' shows it.")
@json_option
@click.pass_obj
def command(app: App, issue: str, reason: str, as_json: bool) -> None:
    """Pause the send of ISSUE: no further message is begun, whatever run is at it.

    The message in hand is finished. Nobody is missed: 'newsletter send ISSUE --yes' goes on where it stopped. Cron does
    not.
    """
    with known_send(app.project(), issue) as (store, send):
        try:
            paused = store.sends.pause_send(send.send_id, reason, utc_now())
        except NotAllowedError:
            raise NotAllowedError(
                f"{send.issue} is {send.state}, and only a send that is going on can be paused"
                + (f"; 'newsletter hold {send.issue}' keeps it from beginning" if str(send.state) == "frozen" else "")
            ) from None
        account = store.sends.account(send.send_id)
    if as_json:
        echo_json({"issue": paused.issue, "state": str(paused.state), "reason": paused.reason, **account.as_json()})
        return
    app.say(f"{paused.issue}: {paused.state}: {paused.reason}")
    app.say(f"  {equation(account)}")
    app.say(f"'newsletter send {send.issue} --yes' goes on; 'newsletter cancel {send.issue}' ends it for good.")
