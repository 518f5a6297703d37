"""``newsletter status``: account for each recipient of a send."""

from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.sending import equation
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.delivery import Account
    from newsletter.store import Send, Store


@click.command("status")
@click.argument("issue", required=False)
@json_option
@click.pass_obj
def command(app: App, issue: str | None, as_json: bool) -> int:
    """Account for the send of ISSUE, or of every issue.

    Every report closes: planned = sent + failed + skipped + bounced + in doubt + open.
    """
    from newsletter.worker import open_known_store

    with open_known_store(app.project()) as store:
        if issue is None:
            return _show_all(app, store, as_json)
        slug = PurePath(issue).name.removesuffix(".md")
        send = store.sends.find_send(slug) if store else None
        if store is None or send is None:
            raise InputError(f"{slug} was never sent; 'newsletter send {slug}' shows the plan")
        account = store.sends.account(send.send_id)
        if as_json:
            echo_json(_as_json(send, account))
        else:
            _show(app, store, send, account)
    return FINDINGS if account.in_doubt or not account.closes or str(send.state) == "paused" else DONE


def _show_all(app: App, store: "Store | None", as_json: bool) -> int:
    sends = store.sends.load_sends() if store else ()
    rows = [(send, store.sends.account(send.send_id)) for send in sends] if store else []
    if as_json:
        echo_json({"sends": [_as_json(send, account) for send, account in rows]})
        return DONE
    if not rows:
        app.say("nothing was sent yet")
    for send, account in rows:
        app.say(f"{send.issue:<24} {send.state!s:<10} {equation(account)}")
    return DONE


def _show(app: App, store: "Store", send: "Send", account: "Account") -> None:
    app.say(f"{send.issue}: {send.state}" + (f", {send.reason}" if send.reason else ""))
    app.say(f"  {equation(account)}")
    for row in store.ledger.list_failures(send.send_id):
        who = row.address or "(erased)"
        why = str(row.reply) if row.reply else row.reason
        app.say(f"  {row.state!s:<12} {who}: {why}")
    next_at = store.sends.next_due_at(send.send_id)
    if next_at:
        minutes = max(round((next_at - utc_now()).total_seconds() / 60), 0)
        app.say(f"  next attempt at {next_at:%Y-%m-%d %H:%M} UTC, in {minutes} min")


def _as_json(send: "Send", account: "Account") -> dict[str, object]:
    return {
        "issue": send.issue,
        "state": str(send.state),
        "reason": send.reason,
        **account.as_json(),
        "closes": account.closes,
        "planned_at": send.planned_at.isoformat(),
        "finished_at": send.finished_at.isoformat() if send.finished_at else None,
    }
