"""What ``newsletter send ISSUE --only-failed`` does: show which failed rows can be sent again, and take them back."""

from typing import TYPE_CHECKING, Any

from newsletter.cli.context import App, echo_json, utc_now
from newsletter.cli.sending import equation, known_send
from newsletter.cli.tables import Cell, Column, Table, number, show_table
from newsletter.errors import NotAllowedError

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.delivery import Account
    from newsletter.store import FailedTally, Send


def show_failed(app: App, project: "Project", issue: str, as_json: bool) -> None:
    """Show what sending to the failed rows of ``issue`` once more would do."""
    with known_send(project, issue) as (store, send):
        account = store.sends.account(send.send_id)
        failed = store.tallies.failed(send.send_id, utc_now())
    if as_json:
        echo_json(_as_json(send, account, failed))
    else:
        _say(app, send, account, failed)


def take_back_failed(project: "Project", issue: str) -> int:
    """Take the failed rows back whose recipients may be mailed; return how many. They are open then, and due.

    Raises NotAllowedError for a send that was cancelled: nothing of it goes out any more.
    """
    with known_send(project, issue) as (store, send):
        if str(send.state) == "cancelled":
            raise NotAllowedError(f"{send.issue} was cancelled: {send.reason}; nothing of it can be sent any more")
        return store.ledger.resend_failed(send.send_id, utc_now())


def _say(app: App, send: "Send", account: "Account", failed: "tuple[FailedTally, ...]") -> None:
    app.say(f"{send.issue}: {send.state}")
    app.say(f"  {equation(account)}")
    if not failed:
        app.say("Nothing failed.")
        return
    app.say()
    columns = (Column("failed", "right"), Column("again", "right"), Column("code"), Column("in words", wraps=True))
    rows = [
        [number(each.count), number(each.resendable), Cell(_code(each)), Cell(_words(each, send))] for each in failed
    ]
    show_table(app, Table("", columns, rows))
    again = sum(each.resendable for each in failed)
    kept = account.failed - again
    app.say()
    if kept:
        app.say(f"{kept:,} stay as they are: suppressed as bad for good, or no longer on the list.")
    app.say(f"Nothing was sent. 'newsletter send {send.issue} --only-failed --yes' sends to {again:,} once more.")


def _code(tally: "FailedTally") -> str:
    return f"{tally.reply.code} {tally.reply.enhanced}".strip() if tally.reply else ""


def _words(tally: "FailedTally", send: "Send") -> str:
    from newsletter.replywords import explain

    if tally.reply is None:
        return f"without an answer: 'newsletter status {send.issue}' says why"
    told = explain(tally.reply)
    given_up = told.kind == "deferred"
    return f"{told.words}; put off until it was given up" if given_up else f"{told.words}; {told.outcome}"


def _as_json(send: "Send", account: "Account", failed: "tuple[FailedTally, ...]") -> dict[str, Any]:
    return {
        "issue": send.issue,
        "state": str(send.state),
        **account.as_json(),
        "again": sum(each.resendable for each in failed),
        "failures": [
            {
                "code": each.reply.code if each.reply else None,
                "enhanced": each.reply.enhanced if each.reply else "",
                "count": each.count,
                "again": each.resendable,
                "words": _words(each, send),
            }
            for each in failed
        ],
    }
