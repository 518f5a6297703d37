"""``newsletter send``: show the plan, send an issue, mail a proof, or do what cron does."""

from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, in_zone, json_option, utc_now
from newsletter.cli.due import send_due
from newsletter.cli.exits import DONE, FINDINGS, UNAVAILABLE

if TYPE_CHECKING:
    from pathlib import Path

    from newsletter.config import Project
    from newsletter.delivery import Account
    from newsletter.freezer import FrozenIssue
    from newsletter.mailer import Mailed
    from newsletter.reports import PlanReport


@click.command("send")
@click.argument("issue", required=False)
@click.option("--yes", is_flag=True, help="Really send; without it the plan is shown and nothing happens.")
@click.option("--to", "proof_to", metavar="ADDRESS", help="Mail one proof, marked as such, to ADDRESS only.")
@click.option("--due", is_flag=True, help="Send every approved issue whose time has come: what cron runs.")
@click.option("--only-failed", is_flag=True, help="Send ISSUE again to those for whom it failed; with --yes, really.")
@click.option("--late", is_flag=True, help="Send an issue although its time has passed.")
@json_option
@click.pass_obj
def command(
    app: App,
    issue: str | None,
    yes: bool,
    proof_to: str | None,
    due: bool,
    only_failed: bool,
    late: bool,
    as_json: bool,
) -> int:
    """Show the plan for sending ISSUE; with --yes, send it.

    A second run sends nothing twice: it goes on where the first one stopped.
    """
    is_proof = proof_to is not None
    if due == (issue is not None) or (due and (yes or is_proof)) or (yes and is_proof):
        raise click.UsageError("give one of: ISSUE, ISSUE --yes, ISSUE --to ADDRESS, --due")
    if only_failed and (issue is None or is_proof):
        raise click.UsageError("--only-failed goes with ISSUE or ISSUE --yes")
    if issue is None:
        return send_due(app, late, as_json)
    from newsletter.config import find_issue, placeholder_warning

    project = app.project()
    path = find_issue(project, issue)
    if words := placeholder_warning(project):
        app.warn(words)
    if proof_to is not None:
        return _send_proof(app, project, path, proof_to, as_json)
    if only_failed and not _prepare_failed(app, project, issue, yes, as_json):
        return DONE
    if yes:
        return _send_one(app, project, path, late, as_json)
    return _show_plan(app, project, path, as_json)


# ---------------------------------------------------------------------------------------------------------------------
# The plan
# ---------------------------------------------------------------------------------------------------------------------


def _show_plan(app: App, project: "Project", path: "Path", as_json: bool) -> int:
    from newsletter.freezer import freeze_issue
    from newsletter.reports import plan_report
    from newsletter.unapproved import explain_change
    from newsletter.worker import count_variants

    frozen = freeze_issue(project, path, approved_only=False)
    with app.open_store(project, app.keys(project)) as store:
        counts = count_variants(store, frozen.audience, frozen.sections, utc_now())
        plan = plan_report(store, frozen.edition, counts)
        change = "" if frozen.approved else explain_change(project, store.issues.latest_approval(plan.issue), path)
    if as_json:
        echo_json({**_account_of(plan).as_json(), **plan.as_json(), "approved": frozen.approved, "change": change})
        return DONE
    _say_plan(app, project, frozen, plan, change)
    return DONE


def _account_of(plan: "PlanReport") -> "Account":
    """Return the account of an issue: the ledger's, or what it would be at first."""
    from newsletter.delivery import Account

    return plan.account or Account(planned=plan.audience, open=plan.audience)


def _say_plan(app: App, project: "Project", frozen: "FrozenIssue", plan: "PlanReport", change: str) -> None:
    from newsletter.cli.sending import equation, say_audience

    app.say(f"issue      {plan.issue}" + ("" if frozen.approved else "  (NOT APPROVED as it stands)"))
    if change:
        app.say(f"           {change}")
    app.say(f"subject    {plan.editions[0].subject}")
    app.say(f"edition    {frozen.edition.digest[:12]}")
    app.say(f"send at    {in_zone(frozen.send_at, project)}")
    if plan.send:
        app.say(f"audience   {plan.audience:,} recipients")
    else:
        say_audience(app, frozen.audience, {each.variant: each.recipients for each in plan.editions})
    relays = project.config.relays
    for relay in relays:
        share = f" ({relay.name}: {relay.weight} of {sum(each.weight for each in relays)})" if len(relays) > 1 else ""
        app.say(f"relay      {relay.host}, {relay.security}{share}")
    if plan.send and plan.account:
        app.say(f"so far     {plan.send.state}: {equation(plan.account)}")
        if plan.send.source_digest != frozen.source_digest:
            app.say("           the file changed since; what was frozen then is what is sent")
    app.say(f"Nothing was sent. 'newsletter send {plan.issue} --yes' sends it; '--to ADDRESS' mails a proof.")


# ---------------------------------------------------------------------------------------------------------------------
# A proof
# ---------------------------------------------------------------------------------------------------------------------


def _send_proof(app: App, project: "Project", path: "Path", address: str, as_json: bool) -> int:
    from newsletter.addresses import parse_address
    from newsletter.cli.sending import connector, dkim_signer
    from newsletter.freezer import freeze_issue
    from newsletter.identity import identity_of
    from newsletter.mailer import send_proof
    from newsletter.model import Recipient

    recipient = Recipient(subscriber_id=0, list_id=0, address=parse_address(address))
    frozen = freeze_issue(project, path, approved_only=False)
    mailed = send_proof(
        frozen.edition,
        recipient,
        identity=identity_of(project.config.newsletter),
        keys=app.keys(project),
        connect=connector(project),
        date=utc_now(),
        dkim=dkim_signer(project, app.warn),
    )
    if as_json:
        echo_json(_proof_json(frozen, recipient.address, mailed))
    elif mailed.is_accepted:
        app.say(f"proof of {frozen.edition.issue} to {recipient.address}: {mailed.answer}")
    else:
        app.complain(f"the proof to {recipient.address} was not accepted: {mailed.answer}")
    return _proof_code(mailed)


def _proof_code(mailed: "Mailed") -> int:
    from newsletter.model import Reply

    if mailed.is_accepted:
        return DONE
    return FINDINGS if isinstance(mailed.answer, Reply) else UNAVAILABLE


def _proof_json(frozen: "FrozenIssue", address: str, mailed: "Mailed") -> dict[str, object]:
    from newsletter.delivery import Account

    account = Account(planned=1, sent=int(mailed.is_accepted), failed=int(not mailed.is_accepted))
    return {
        "issue": frozen.edition.issue,
        "to": address,
        **account.as_json(),
        "accepted": mailed.is_accepted,
        "answer": str(mailed.answer),
        "bytes": len(mailed.message.content),
    }


# ---------------------------------------------------------------------------------------------------------------------
# The send
# ---------------------------------------------------------------------------------------------------------------------


def _prepare_failed(app: App, project: "Project", issue: str, yes: bool, as_json: bool) -> bool:
    """Take the failed rows back that may be mailed; without ``yes`` or such a row, show them, and return False."""
    from newsletter.cli.again import show_failed, take_back_failed

    count = take_back_failed(project, issue) if yes else 0
    if count:
        app.note(f"note: {count:,} failed rows are sent once more")
    else:
        show_failed(app, project, issue, as_json)
    return count > 0


def _send_one(app: App, project: "Project", path: "Path", late: bool, as_json: bool) -> int:
    from newsletter.cli.sending import exit_code, progress_bar, say_report, shipment, stop_on_signals
    from newsletter.worker import send_issue

    keys = app.keys(project)
    with (
        app.open_store(project, keys) as store,
        stop_on_signals() as stop,
        progress_bar(app, as_json) as progress,
    ):
        report = send_issue(shipment(project, store, keys, stop, progress, app.warn), path, utc_now(), late=late)
    if as_json:
        echo_json(report.as_json())
    else:
        say_report(app, report)
    return exit_code(report)
