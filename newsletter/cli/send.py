"""``newsletter send``: show the plan, send an issue, mail a proof, or do what cron does."""

import datetime as dt
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.errors import BusyError, NewsletterError
from newsletter.glance import may_be_due

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.reports import SendReport
    from newsletter.sender import SenderSetup
    from newsletter.store import Result, Store
    from newsletter.tokens import Keys
    from newsletter.worker import Shipment

    Job = Callable[[Shipment], SendReport]


@click.command("send")
@click.argument("issue", required=False)
@click.option("--yes", is_flag=True, help="Really send; without it the plan is shown and nothing happens.")
@click.option("--to", "proof_to", metavar="ADDRESS", help="Mail one proof, marked as such, to ADDRESS only.")
@click.option("--due", is_flag=True, help="Send every approved issue whose time has come: what cron runs.")
@click.option("--late", is_flag=True, help="Send an issue although its time has passed.")
@json_option
@click.pass_obj
def command(app: App, issue: str | None, yes: bool, proof_to: str | None, due: bool, late: bool, as_json: bool) -> int:
    """Show the plan for sending ISSUE; with --yes, send it.

    A second run sends nothing twice: it goes on where the first one stopped.
    """
    if due == bool(issue) or (due and (yes or proof_to)) or (yes and proof_to):
        raise click.UsageError("give one of: ISSUE, ISSUE --yes, ISSUE --to ADDRESS, --due")
    if issue is None:
        return _send_due(app, late, as_json)
    if proof_to:
        return _send_proof(app, issue, proof_to, as_json)
    if yes:
        return _send_one(app, issue, late, as_json)
    return _show_plan(app, issue, as_json)


# ---------------------------------------------------------------------------------------------------------------------
# One issue
# ---------------------------------------------------------------------------------------------------------------------


def _show_plan(app: App, issue: str, as_json: bool) -> int:
    from newsletter.config import find_issue
    from newsletter.reports import plan_report
    from newsletter.worker import audience_lists, freeze_issue

    project = app.project()
    frozen = freeze_issue(project, find_issue(project, issue), approved_only=False)
    with app.open_store(project, app.keys(project)) as store:
        lists = audience_lists(store, frozen.audience, utc_now())
        plan = plan_report(store, frozen.edition.issue, lists, {"": frozen.edition})
    if as_json:
        echo_json({**plan.as_json(), "approved": frozen.approved})
        return 0
    smtp = project.config.smtp
    app.say(f"issue      {plan.issue}" + ("" if frozen.approved else "  (NOT APPROVED as it stands)"))
    app.say(f"subject    {plan.editions[0].subject}")
    app.say(f"edition    {frozen.edition.digest[:12]}")
    app.say(f"audience   {plan.audience:,} recipients")
    app.say(f"relay      {smtp.host}, {smtp.security}")
    if plan.send and plan.account:
        from newsletter.cli.status import equation

        app.say(f"so far     {plan.send.state}: {equation(plan.account)}")
    app.say(f"Nothing was sent. 'newsletter send {plan.issue} --yes' sends it; '--to ADDRESS' mails a proof.")
    return 0


def _send_proof(app: App, issue: str, address: str, as_json: bool) -> int:
    from newsletter.addresses import parse_address
    from newsletter.config import find_issue
    from newsletter.identity import identity_of
    from newsletter.mailer import send_proof
    from newsletter.model import Recipient
    from newsletter.smtp import open_transport
    from newsletter.worker import freeze_issue

    project = app.project()
    recipient = Recipient(subscriber_id=0, list_id=0, address=parse_address(address))
    frozen = freeze_issue(project, find_issue(project, issue), approved_only=False)
    mailed = send_proof(
        frozen.edition,
        recipient,
        identity=identity_of(project.config.newsletter),
        keys=app.keys(project),
        connect=lambda: open_transport(project.config.smtp, folder=project.root),
        date=utc_now(),
    )
    if as_json:
        echo_json(
            {
                "issue": frozen.edition.issue,
                "to": recipient.address,
                "accepted": mailed.is_accepted,
                "answer": str(mailed.answer),
                "bytes": len(mailed.message.content),
            }
        )
    elif mailed.is_accepted:
        app.say(f"proof of {frozen.edition.issue} to {recipient.address}: {mailed.answer}")
    else:
        click.echo(f"error: the proof to {recipient.address} was not accepted: {mailed.answer}", err=True)
    return int(not mailed.is_accepted)


def _send_one(app: App, issue: str, late: bool, as_json: bool) -> int:
    from newsletter.config import find_issue
    from newsletter.worker import send_issue

    project = app.project()
    path = find_issue(project, issue)
    keys = app.keys(project)
    with app.open_store(project, keys) as store, _progress(app, as_json) as progress:
        report = send_issue(_shipment(project, store, keys, progress), path, utc_now(), late=late)
    if as_json:
        echo_json(report.as_json())
    else:
        _say_report(app, report)
    return exit_code(report)


# ---------------------------------------------------------------------------------------------------------------------
# What is due
# ---------------------------------------------------------------------------------------------------------------------


def _send_due(app: App, late: bool, as_json: bool) -> int:
    """Do what is due, one issue after the other; say nothing and return 0 where nothing is."""
    now = utc_now()
    if not late and not may_be_due(str(app.root), os.environ, now):
        return 0
    from newsletter.worker import find_due, open_known_store

    project = app.project()
    with open_known_store(project) as known:
        due = find_due(project, known, now, late)
        unfinished = known.sends.unfinished_sends(now) if known else ()
    if not due and not unfinished:
        return 0
    codes = [_report_trouble(each.trouble) for each in due if each.trouble]
    jobs = [_continuing(send.send_id) for send in unfinished]
    jobs += [_sending(each.path, now, late) for each in due if not each.trouble]
    return max([*codes, _run_jobs(app, project, jobs, as_json)], default=0)


def _continuing(send_id: int) -> "Job":
    from newsletter.worker import continue_send

    return lambda shipment: continue_send(shipment, send_id)


def _sending(path: Path, now: dt.datetime, late: bool) -> "Job":
    from newsletter.worker import send_issue

    return lambda shipment: send_issue(shipment, path, now, late=late)


def _report_trouble(trouble: str) -> int:
    click.echo(f"error: {trouble}", err=True)
    return 1


def _run_jobs(app: App, project: "Project", jobs: "list[Job]", as_json: bool) -> int:
    """Run each job whatever becomes of the others; return the worst exit code."""
    from newsletter.cli import exit_code_of, in_lines

    if not jobs:
        return 0
    keys = app.keys(project)
    worst = 0
    with app.open_store(project, keys) as store:
        for job in jobs:
            try:
                report = job(_shipment(project, store, keys, None))
            except BusyError:
                continue  # another run is at it
            except NewsletterError as error:
                click.echo(in_lines(error), err=True)
                worst = max(worst, exit_code_of(error))
                continue
            if as_json:
                echo_json(report.as_json())
            else:
                _say_report(app, report)
            worst = max(worst, exit_code(report))
    return worst


# ---------------------------------------------------------------------------------------------------------------------
# Shared
# ---------------------------------------------------------------------------------------------------------------------


def _shipment(
    project: "Project", store: "Store", keys: "Keys", progress: "Callable[[Result], None] | None"
) -> "Shipment":
    from newsletter.worker import Shipment

    return Shipment(project, store, sender_setup(project, keys), _stop_on_signals(), progress)


def sender_setup(project: "Project", keys: "Keys") -> "SenderSetup":
    """Return what a run needs, from the configuration."""
    from newsletter.identity import identity_of
    from newsletter.sender import SenderSetup
    from newsletter.smtp import open_transport

    return SenderSetup(
        identity=identity_of(project.config.newsletter),
        keys=keys,
        connect=lambda: open_transport(project.config.smtp, folder=project.root),
        clock=utc_now,
        doubt=project.config.send.doubt,
        postal_address=project.config.newsletter.postal_address,
    )


def _stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set: the message in hand is finished, and the run ends in order."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _progress(app: App, as_json: bool) -> "AbstractContextManager[Callable[[Result], None] | None]":
    """Return a progress bar on a terminal, and nothing elsewhere."""
    if as_json or app.quiet or not sys.stderr.isatty():
        return nullcontext(None)
    from newsletter.cli.progress import ProgressBar

    return ProgressBar()


def _say_report(app: App, report: "SendReport") -> None:
    from newsletter.cli.status import equation

    app.say(f"{report.send.issue}: {report.ending}" + (f": {report.reason}" if report.reason else ""))
    app.say(f"  {equation(report.account)}")
    if report.next_due_at:
        app.say(
            f"  next attempt at {report.next_due_at:%Y-%m-%d %H:%M} UTC, by the next run of 'newsletter send --due'"
        )


def exit_code(report: "SendReport") -> int:
    """Return 69 where the relay was unavailable, 1 for a send that is paused or has rows in doubt, else 0."""
    from newsletter.reports import Ending

    if report.ending is Ending.UNAVAILABLE:
        return 69
    return int(report.ending is Ending.PAUSED or bool(report.account.in_doubt) or not report.account.closes)
