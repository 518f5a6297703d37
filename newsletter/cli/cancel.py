"""``newsletter cancel``: end a send for good; without --yes, say what that would do."""

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.sending import equation, known_send
from newsletter.delivery import Account, SendState
from newsletter.errors import NotAllowedError
from newsletter.store import Send


@click.command("cancel")
@click.argument("issue")
@click.option("--yes", is_flag=True, help="Really cancel; without it nothing happens.")
@click.option(
    "--reason", default="cancelled by an operator", show_default=True, help="Why; 'newsletter status' shows it."
)
@json_option
@click.pass_obj
def command(app: App, issue: str, yes: bool, reason: str, as_json: bool) -> None:
    """Cancel the send of ISSUE for good: who did not get it, will not.

    What the relay has taken cannot be called back. To stop a send for a while, use 'newsletter pause'.
    """
    with known_send(app.project(), issue) as (store, send):
        if send.state in (SendState.FINISHED, SendState.CANCELLED):
            raise NotAllowedError(f"{send.issue} is {send.state}; nothing of it is left to cancel")
        after = store.sends.cancel_send(send.send_id, reason, utc_now()) if yes else send
        account = store.sends.account(send.send_id)
    if as_json:
        echo_json({"issue": after.issue, "state": str(after.state), "reason": after.reason, **account.as_json()})
    else:
        _say(app, after, account, yes)


def _say(app: App, send: Send, account: Account, yes: bool) -> None:
    app.say(f"{send.issue}: {send.state}" + (f": {send.reason}" if send.reason else ""))
    app.say(f"  {equation(account)}")
    if not yes:
        app.say(
            f"Nothing happened. 'newsletter cancel {send.issue} --yes' skips the {account.open:,} that are open, for "
            f"good; the {account.sent:,} that were sent stay sent."
        )
    elif account.open:
        app.say(f"  {account.open:,} are in the hands of a run, which gives them up as it ends")
