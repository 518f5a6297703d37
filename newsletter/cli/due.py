"""What ``newsletter send --due`` does, and so ``send.py``: every job that is due, whatever becomes of the others."""

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from newsletter.beacon import heartbeat_lines, last_success, refresh_textfile, send_ping, store_mark, write_textfile
from newsletter.cli.context import App, in_zone, utc_now
from newsletter.cli.exits import BUG, DONE, FINDINGS, TRY_LATER, exit_code_of
from newsletter.errors import BusyError, NewsletterError, RelayUnavailableError, StoreError
from newsletter.glance import may_be_due, watch_of

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.launch import Telling
    from newsletter.opening import Decision, OpeningRules
    from newsletter.reports import SendReport
    from newsletter.store import Send, Store
    from newsletter.worker import DueIssue, Shipment

_PASSING = (BusyError, RelayUnavailableError, StoreError)
"""Errors that are not the issue's: told in each run, since each run meets them anew."""
_STEPS_MAX = 10
"""Steps that one run takes with one send: it tells the editors, begins, notes that its first share is out."""


def send_due(app: App, late: bool, as_json: bool) -> int:
    """Send every approved issue whose time has come, and go on with sends that are not finished.

    Returns the worst exit code of all jobs. Says nothing and returns 0 where there is nothing to do.
    """
    now = utc_now()
    if not late and not may_be_due(str(app.root), os.environ, now) and _beat_idle(str(app.root), now):
        return DONE
    project = app.project()
    code = BUG
    try:
        code = _look(app, project, now, late, as_json)
    except NewsletterError as error:
        code = exit_code_of(error)
        raise
    finally:
        _beat(app, project, code)
    return code


def _beat_idle(root: str, now: dt.datetime) -> bool:
    """Tell who watches that cron ran with nothing to do; False where that takes a full look."""
    textfile, ping, path, is_paused = watch_of(root, os.environ)
    if textfile and (path is None or not refresh_textfile(textfile, store_mark(path), now.timestamp())):
        return False
    if ping:
        send_ping(ping, is_well=not is_paused)  # one that fails is not told: the watchdog will
    return True


def _beat(app: App, project: "Project", code: int) -> None:
    """Tell who watches what the run came to, with every send's account; no trouble here changes the exit code."""
    from newsletter.metrics import has_paused, metric_lines
    from newsletter.worker import open_known_store

    monitoring, is_paused, lines = project.config.monitoring, False, ""
    if not (monitoring.textfile or monitoring.ping):
        return
    try:
        with open_known_store(project) as store:
            is_paused, lines = has_paused(store), metric_lines(store, utc_now())
    except NewsletterError:
        code = code or FINDINGS  # the run itself has told what is wrong with the store
    troubles, now_s = [], utc_now().timestamp()
    if monitoring.textfile:
        path = str(project.root / monitoring.textfile)
        is_sqlite = project.store_url.startswith("sqlite:///")
        mark = store_mark(project.store_url.removeprefix("sqlite:///") if is_sqlite else None)
        beat = heartbeat_lines(now_s, last_success(path) if code else now_s)
        troubles.append(write_textfile(path, f"{beat}# store {mark}\n{lines}"))
    if monitoring.ping:
        troubles.append(send_ping(monitoring.ping, is_well=code == DONE and not is_paused))
    for trouble in filter(None, troubles):
        app.warn(trouble)


def _look(app: App, project: "Project", now: dt.datetime, late: bool, as_json: bool) -> int:
    from newsletter.opening import opening_rules
    from newsletter.worker import find_due, find_unfinished, open_known_store

    rules = opening_rules(project.config.send)
    with open_known_store(project) as known:
        is_any = bool(find_due(project, known, now, late, lead=rules.veto))
        is_any = is_any or (known is not None and bool(find_unfinished(known, rules, now, late)))
    return _run(app, project, now, late, as_json) if is_any else DONE


def _run(app: App, project: "Project", now: dt.datetime, late: bool, as_json: bool) -> int:
    from newsletter.cli.sending import shipment, stop_on_signals
    from newsletter.consent import Limits, forget_requests
    from newsletter.opening import opening_rules
    from newsletter.worker import find_due, find_unfinished

    keys, rules = app.keys(project), opening_rules(project.config.send)
    with app.open_store(project, keys) as store, stop_on_signals() as stop:
        round_ = _Round(
            app, store, shipment(project, store, keys, stop, announce=app.warn), rules, late, started_at=now
        )
        for send in find_unfinished(store, rules, now, late):
            round_.go_on(send)
        for issue in find_due(project, store, now, late, lead=rules.veto):
            round_.take(issue)
        forget_requests(store, now, Limits(pending_days=project.config.web.pending_days))
        round_.report(as_json)
    return round_.code


@dataclass
class _Round:
    """Work off one job after the other; keep the reports, what was done and told, and the worst exit code."""

    app: App
    store: "Store"
    shipment: "Shipment"
    rules: "OpeningRules"
    late: bool
    started_at: dt.datetime
    reports: "dict[int, SendReport]" = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    code: int = DONE

    def take(self, issue: "DueIssue") -> None:
        """Freeze one issue and begin its send, or tell once why it cannot be sent."""
        from newsletter.worker import freeze_due

        if issue.trouble is not None:
            self.complain_once(issue.path.stem, issue.trouble)
            return
        freeze = partial(freeze_due, self.shipment, issue.path, self.started_at, late=self.late)
        send = self.attempt(freeze, issue.path.stem)
        if send is not None:
            self.go_on(send)

    def go_on(self, send: "Send") -> None:
        """Take every step that is due with a send, until it waits or is over."""
        from newsletter.launch import next_step
        from newsletter.opening import Step

        for _ in range(_STEPS_MAX):
            current, now = self.store.sends.load_send(send.send_id), self.shipment.setup.clock()
            decision = next_step(self.store, current, self.rules, now, late=self.late)
            if decision.step is Step.WAIT:
                return
            is_done = self.attempt(partial(self._step, current, decision, now), current.issue)
            if not is_done or decision.step in (Step.START, Step.EXPIRE, Step.PAUSE) or self.shipment.stop.is_set():
                return
            if decision.step is Step.CARRY and str(current.state) != "canary":
                return

    def _step(self, send: "Send", decision: "Decision", now: dt.datetime) -> bool:
        """Take one step; tell whether another may follow."""
        from newsletter.opening import Step
        from newsletter.store import owner_name
        from newsletter.worker import continue_send, hold_expired

        store, send_id = self.store, send.send_id
        if self.shipment.setup.guard and decision.step not in (Step.EXPIRE, Step.PAUSE):
            # Before editors are told and the send starts, not only where it is carried on. Another run that counts its
            # epoch amid the look would make this store seem a copy, so under the lock.
            with store.run_lock(owner_name(now)):
                self.shipment.setup.guard.admit(store)
        if decision.step is Step.EXPIRE:
            self.complain(hold_expired(store, send, now), FINDINGS)
        elif decision.step is Step.PAUSE:
            self._pause(send, decision.reason, now)
        elif decision.step is Step.TELL:
            return self._tell(send)
        elif decision.step is Step.REST:
            store.openings.rest_canary(send_id, now)
        else:
            if decision.step is Step.TRY:
                store.openings.begin_canary(send_id, decision.size, now)
            elif decision.step is Step.START:
                store.sends.start_send(send_id, now)
            return self._keep(continue_send(self.shipment, send_id))
        return True

    def _tell(self, send: "Send") -> bool:
        """Tell the editors what was frozen; nothing follows in this run where nobody could be told."""
        from newsletter.errors import NotAllowedError
        from newsletter.launch import tell_editors

        telling = tell_editors(self.shipment.project, self.store, self.shipment.setup, send)
        if telling.told:
            when = in_zone(telling.goes_at, self.shipment.project)
            self.say(f"{send.issue}: frozen; {', '.join(telling.told)} told; it goes out at {when}")
        if troubles := _untold(telling):
            words = f"{send.issue}: not told: {'; '.join(troubles)}"
            self.complain_once(
                send.issue,
                NotAllowedError(
                    f"{words}; until an editor is, it does not go out" if telling.goes_at is None else words
                ),
            )
        return bool(telling.told)

    def _pause(self, send: "Send", reason: str, now: dt.datetime) -> None:
        self.store.sends.pause_send(send.send_id, reason, now)
        self.complain(
            f"{send.issue} is paused: {reason}; 'newsletter status {send.issue}' names the replies, "
            f"'newsletter release {send.issue}' lets the others have it",
            FINDINGS,
        )

    def _keep(self, report: "SendReport") -> bool:
        """Keep the latest report of a send; tell whether the run may go on with it."""
        from newsletter.cli.sending import exit_code

        self.reports[report.send.send_id] = report
        self.code = max(self.code, exit_code(report))
        return str(report.send.state) == "canary" and exit_code(report) in (DONE, FINDINGS)

    def attempt(self, job: "Callable[[], Any]", issue: str) -> Any:
        """Run a job and return what it does; None where the run is to stop, another is at it, or it failed."""
        if self.shipment.stop.is_set():
            self.code = max(self.code, TRY_LATER)
            return None
        try:
            return job()
        except BusyError:
            return None  # another run is at it
        except NewsletterError as error:
            if isinstance(error, _PASSING):
                self.complain(str(error), exit_code_of(error))
            else:
                self.complain_once(issue, error)
            return None

    def complain_once(self, issue: str, error: NewsletterError) -> None:
        """Tell a trouble of an issue unless the last run told it in the same words."""
        from newsletter.worker import tell_once

        path = self.shipment.project.issues_dir / f"{issue}.md"
        if tell_once(self.store, path, str(error)):
            self.complain(str(error), exit_code_of(error))

    def complain(self, words: str, code: int) -> None:
        """Tell a problem, and remember its exit code."""
        self.app.complain(words)
        self.problems.append(words)
        self.code = max(self.code, code)

    def say(self, words: str) -> None:
        """Keep what was done, to be told at the end."""
        self.events.append(words)

    def report(self, as_json: bool) -> None:
        """Say what became of each send; with ``--json`` one line holds all of it, with the sums."""
        import click

        from newsletter.cli.sending import say_report
        from newsletter.config import placeholder_warning

        if self.reports and (words := placeholder_warning(self.shipment.project)):
            self.app.warn(words)
        if as_json:
            if self.reports or self.events or self.problems:
                click.echo(self._as_line())
            return
        for event in self.events:
            self.app.say(event)
        for report in self.reports.values():
            say_report(self.app, report)

    def _as_line(self) -> str:
        import json

        from newsletter.delivery import Account
        from newsletter.model import FORMAT

        accounts = [report.account.as_json() for report in self.reports.values()]
        content = {
            "format": FORMAT,
            "code": self.code,
            "started_at": self.started_at.isoformat(),
            "ended_at": self.shipment.setup.clock().isoformat(),
            **{name: sum(account[name] for account in accounts) for name in Account(0).as_json()},
            "sends": [report.as_json() for report in self.reports.values()],
            "events": self.events,
            "problems": self.problems,
        }
        return json.dumps(content, ensure_ascii=False)


def _untold(telling: "Telling") -> list[str]:
    return [*telling.refused, *(f"{words} (tried again)" for words in telling.waiting)]
