"""What ``newsletter send --due`` does, and so ``send.py``: every job that is due, whatever becomes of the others."""

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from newsletter.cli.context import App, echo_json, utc_now
from newsletter.cli.exits import DONE, FINDINGS, TRY_LATER, exit_code_of
from newsletter.errors import BusyError, NewsletterError, RelayUnavailableError, StoreError
from newsletter.glance import may_be_due

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.reports import SendReport
    from newsletter.store import Store
    from newsletter.worker import DueIssue, Shipment

_PASSING = (BusyError, RelayUnavailableError, StoreError)
"""Errors that are not the issue's: told in each run, since each run meets them anew."""


def send_due(app: App, late: bool, as_json: bool) -> int:
    """Send every approved issue whose time has come, and go on with sends that are not finished.

    Returns the worst exit code of all jobs. Says nothing and returns 0 where there is nothing to do.
    """
    now = utc_now()
    if not late and not may_be_due(str(app.root), os.environ, now):
        return DONE
    from newsletter.worker import find_due, open_known_store

    project = app.project()
    with open_known_store(project) as known:
        is_any = find_due(project, known, now, late) or (known and known.sends.unfinished_sends(now))
    return _run(app, project, now, late, as_json) if is_any else DONE


def _run(app: App, project: "Project", now: dt.datetime, late: bool, as_json: bool) -> int:
    from newsletter.cli.sending import shipment, stop_on_signals
    from newsletter.worker import continue_send, find_due, find_unfinished

    keys = app.keys(project)
    with app.open_store(project, keys) as store, stop_on_signals() as stop:
        round_ = _Round(app, store, shipment(project, store, keys, stop, announce=app.warn))
        unfinished, held = find_unfinished(store, now, late)
        for words in held:
            round_.complain(words, FINDINGS)
        for send in unfinished:
            round_.attempt(partial(continue_send, round_.shipment, send.send_id))
        for issue in find_due(project, store, now, late):
            round_.take(issue, now, late)
    round_.report(project, as_json)
    return round_.code


@dataclass
class _Round:
    """Work off one job after the other; keep the reports, what was told, and the worst exit code."""

    app: App
    store: "Store"
    shipment: "Shipment"
    reports: "list[SendReport]" = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    code: int = DONE

    def take(self, issue: "DueIssue", now: dt.datetime, late: bool) -> None:
        """Send one issue, or tell once why it cannot be sent."""
        from newsletter.worker import send_issue, tell_once

        send = partial(send_issue, self.shipment, issue.path, now, late=late)
        trouble = issue.trouble or self.attempt(send)
        if trouble is not None and tell_once(self.store, issue.path, str(trouble)):
            self.complain(str(trouble), exit_code_of(trouble))

    def attempt(self, job: "Callable[[], SendReport]") -> NewsletterError | None:
        """Run a job; return the error where it is the issue's own, which the caller tells."""
        from newsletter.cli.sending import exit_code

        if self.shipment.stop.is_set():
            self.code = max(self.code, TRY_LATER)
            return None
        try:
            report = job()
        except BusyError:
            return None  # another run is at it
        except NewsletterError as error:
            if not isinstance(error, _PASSING):
                return error
            self.complain(str(error), exit_code_of(error))
            return None
        self.reports.append(report)
        self.code = max(self.code, exit_code(report))
        return None

    def complain(self, words: str, code: int) -> None:
        """Tell a problem, and remember its exit code."""
        self.app.complain(words)
        self.problems.append(words)
        self.code = max(self.code, code)

    def report(self, project: "Project", as_json: bool) -> None:
        """Say what became of each send; one JSON object holds them all, with their sums."""
        from newsletter.cli.sending import say_report
        from newsletter.config import placeholder_warning

        if self.reports and (words := placeholder_warning(project)):
            self.app.warn(words)
        if as_json and (self.reports or self.problems):
            echo_json(self._as_json())
        for report in self.reports:
            if not as_json:
                say_report(self.app, report)

    def _as_json(self) -> dict[str, Any]:
        from newsletter.delivery import Account

        accounts = [report.account.as_json() for report in self.reports]
        sums = {name: sum(account[name] for account in accounts) for name in Account(0).as_json()}
        return {**sums, "sends": [report.as_json() for report in self.reports], "problems": self.problems}
