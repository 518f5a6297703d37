"""``newsletter status``: account for each recipient of a send, or show every issue at a glance."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.sending import equation, known_send
from newsletter.cli.tables import BAD, FAINT, GOOD, ODD, Cell, Column, Table, is_terminal, number, show_line, show_table

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.delivery import Account
    from newsletter.overview import Overview
    from newsletter.store import Send, Store, Trouble
    from newsletter.upcoming import Upcoming

_LATEST = 12
_BAR_WIDTH = 60
_DOUBTS_SHOWN = 10
_STATES = {"finished": GOOD, "sending": "cyan", "canary": "cyan", "paused": BAD, "held": ODD, "cancelled": ODD}
_COUNTS = ("planned", "sent", "failed", "skipped", "bounced", "in_doubt", "open")
_COUNT_STYLES = {"sent": GOOD, "failed": BAD, "bounced": BAD, "in_doubt": ODD}
_COUNT_COLUMNS = tuple(Column(name.replace("_", " "), "right") for name in _COUNTS)


@click.command("status")
@click.argument("issue", required=False)
@click.option(
    "--failed",
    "failed",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write who did not get it, and why, to a CSV file.",
)
@click.option("--all", "everything", is_flag=True, help=f"Without ISSUE: all issues, not the latest {_LATEST} alone.")
@json_option
@click.pass_obj
def command(app: App, issue: str | None, failed: Path | None, everything: bool, as_json: bool) -> int:
    """Account for the send of ISSUE; without one, show every issue at a glance.

    Every report closes: planned = sent + failed + skipped + bounced + in doubt + open. The exit code is 1 where a send
    is paused, has rows in doubt, or does not close.
    """
    project = app.project()
    if issue is None:
        if failed is not None:
            raise click.UsageError("--failed goes with an ISSUE")
        return _show_all(app, project, everything, as_json)
    from newsletter.overview import take_overview

    with known_send(project, issue) as (store, send):
        overview = take_overview(store, send.send_id, utc_now())
        written = _write_failures(store, send.send_id, failed) if failed else 0
    if as_json:
        echo_json({**overview.as_json(), **({"failed_rows": written} if failed else {})})
    else:
        _show(app, project, overview)
        if failed:
            app.say(f"{failed}: {written:,} rows")
    return _code(overview.send, overview.account)


def _code(send: "Send", account: "Account") -> int:
    return FINDINGS if account.in_doubt or not account.closes or str(send.state) == "paused" else DONE


def _write_failures(store: "Store", send_id: int, path: Path) -> int:
    from newsletter.failures import write_failures

    return write_failures(store, send_id, path)


# ---------------------------------------------------------------------------------------------------------------------
# One send
# ---------------------------------------------------------------------------------------------------------------------


def _show(app: App, project: "Project", overview: "Overview") -> None:
    send, account = overview.send, overview.account
    reason = f": {send.reason}" if send.reason else ""
    show_line(app, Cell(f"{send.issue}: "), Cell(str(send.state), _STATES.get(str(send.state), "")), Cell(reason))
    app.say(f"  {equation(account)}")
    if is_terminal() and account.planned:
        show_line(app, Cell("  "), *_bar(account))
    app.say()
    for label, words in _facts(project, overview):
        show_line(app, Cell(f"  {label:<10}", FAINT), Cell(words))
    for table in _tables(project, overview):
        app.say()
        show_table(app, table)
    if ways := tuple(_ways(overview)):
        app.say()
        for way, words in ways:
            show_line(app, Cell(f"  {way:<52}"), Cell(words, FAINT))


def _bar(account: "Account") -> Iterator[Cell]:
    """Yield a bar of the account: every kind of row that there is takes one mark at least."""
    styles = {name: _COUNT_STYLES.get(name, FAINT) for name in _COUNTS[1:]}
    for name, style in styles.items():
        count = getattr(account, name)
        if count:
            yield Cell(("░" if name == "open" else "█") * max(round(_BAR_WIDTH * count / account.planned), 1), style)


def _facts(project: "Project", overview: "Overview") -> Iterator[tuple[str, str]]:
    send, pace = overview.send, overview.pace
    yield "planned", _instant(send.planned_at, project)
    if send.started_at:
        yield "started", _instant(send.started_at, project)
    if send.finished_at:
        took = _span(send.finished_at - send.started_at) if send.started_at else ""
        yield "ended", _instant(send.finished_at, project) + (f", after {took}" if took else "")
    rate = overview.rate_per_s
    if rate is not None:
        yield "rate", f"{_rate(rate)} in the last minute; {pace.best:,} in the best one"
    elif pace.best and pace.last_sent_at:
        yield "rate", f"{pace.best:,} in the best minute; the last message went {_instant(pace.last_sent_at, project)}"
    yield from _what_is_left(project, overview)


def _what_is_left(project: "Project", overview: "Overview") -> Iterator[tuple[str, str]]:
    pace, left = overview.pace, overview.time_left
    if pace.due:
        when = f", {_span(left)} at this rate" if left is not None else ", with the next run"
        yield "left", f"{pace.due:,} to go{when}"
    if pace.waiting and overview.next_due_at and pace.waits_until:
        until = pace.waits_until.astimezone(project.zone)
        last = f"; the last of them at {until:%Y-%m-%d %H:%M}" if pace.waiting > 1 else ""
        away = max(overview.next_due_at - overview.now, dt.timedelta(0))
        at = _instant(overview.next_due_at, project)
        yield "waiting", f"{pace.waiting:,} for a later attempt: next attempt at {at}, in {_span(away)}{last}"


def _tables(project: "Project", overview: "Overview") -> Iterator[Table]:
    domains = [[Cell(each.domain or "(erased)"), *_counts(each.account)] for each in overview.domains]
    if overview.rest.planned:
        domains.append([Cell("all others", FAINT), *_counts(overview.rest)])
    yield Table("By domain", (Column("domain"), *_COUNT_COLUMNS), domains)
    if len(overview.editions) > 1:
        editions = [
            [
                Cell(" ".join(filter(None, (each.language, each.variant)))),
                Cell(each.digest[:12]),
                *_counts(each.account),
            ]
            for each in overview.editions
        ]
        yield Table("By edition", (Column("edition"), Column("digest"), *_COUNT_COLUMNS), editions)
    if overview.replies:
        yield _replies(overview)
    if overview.reasons:
        rows = [[number(each.count), Cell(str(each.state)), Cell(each.reason)] for each in overview.reasons]
        yield Table("For another reason", (Column("rows", "right"), Column("state"), Column("why", wraps=True)), rows)
    if overview.doubts:
        yield _doubts(project, overview)
    if overview.troubles:
        rows = [_trouble(each, project) for each in overview.troubles]
        yield Table("The latest trouble", (Column("when"), Column("who"), Column("what", wraps=True)), rows)


def _counts(account: "Account") -> list[Cell]:
    return [number(getattr(account, name), _COUNT_STYLES.get(name, "")) for name in _COUNTS]


def _replies(overview: "Overview") -> Table:
    from newsletter.replywords import explain

    styles = {"deferred": ODD, "refused": BAD}
    accepted = (Cell("accepted", GOOD), Cell("2yz"), Cell("dot"), Cell("the relay took the message"))
    rows = [[number(overview.account.sent), *accepted]]
    for each in overview.replies:
        told = explain(each.reply)
        code = f"{each.reply.code} {each.reply.enhanced}".strip()
        words = told.words + (f"; {told.outcome}" if told.outcome else "")
        rows.append(
            [
                number(each.count),
                Cell(told.kind, styles.get(told.kind, "")),
                Cell(code),
                Cell(each.reply.stage),
                Cell(words),
            ]
        )
    columns = (Column("rows", "right"), Column("answer"), Column("code"), Column("to"), Column("in words", wraps=True))
    return Table("By last reply", columns, rows)


def _doubts(project: "Project", overview: "Overview") -> Table:
    rows = [
        [
            Cell(f"{each.marked_at.astimezone(project.zone):%d %b %H:%M:%S}", FAINT),
            Cell(each.address or "(erased)"),
            Cell(each.state.replace("_", " "), _COUNT_STYLES.get(each.state, "")),
            number(each.doubts),
            Cell(each.via),
        ]
        for each in overview.doubts[:_DOUBTS_SHOWN]
    ]
    if overview.pace.doubted > len(rows):
        rows.append([Cell(""), Cell(f"and {overview.pace.doubted - len(rows):,} more", FAINT), *[Cell("")] * 3])
    title = "In doubt, now or once: they may have it twice, or not at all"
    columns = (Column("final dot"), Column("who"), Column("state"), Column("times", "right"), Column("by"))
    return Table(title, columns, rows)


def _trouble(trouble: "Trouble", project: "Project") -> list[Cell]:
    from newsletter.overview import words_of

    said = f" ({trouble.reply})" if trouble.reply else ""
    when = f"{trouble.at.astimezone(project.zone):%d %b %H:%M:%S}"
    return [Cell(when, FAINT), Cell(trouble.address or "(erased)"), Cell(f"{words_of(trouble)}{said}")]


def _ways(overview: "Overview") -> Iterator[tuple[str, str]]:
    """Yield what an operator can do next, and why."""
    issue, account, state = overview.send.issue, overview.account, str(overview.send.state)
    if state == "paused":
        yield f"newsletter send {issue} --yes", "goes on, once the cause is mended"
        yield f"newsletter cancel {issue}", "ends it for good"
    if account.in_doubt:
        yield f"newsletter resolve {issue}", "names the rows in doubt, and settles them"
    if account.failed or account.bounced or account.skipped:
        yield f"newsletter status {issue} --failed failed.csv", "names everybody who did not get it, and why"
    if account.failed and state in {"sending", "finished"}:
        yield f"newsletter send {issue} --only-failed", "tries the failed ones once more"


# ---------------------------------------------------------------------------------------------------------------------
# All issues
# ---------------------------------------------------------------------------------------------------------------------


def _show_all(app: App, project: "Project", everything: bool, as_json: bool) -> int:
    from newsletter.overview import summary_json
    from newsletter.upcoming import find_upcoming
    from newsletter.worker import open_known_store

    with open_known_store(project) as store:
        sends = store.sends.load_sends() if store else ()
        upcoming = find_upcoming(project, {send.issue for send in sends})
        shown = sends if everything else sends[:_LATEST]
        rows = [(send, store.sends.account(send.send_id)) for send in shown] if store else []
    if as_json:
        more = {"more": len(sends) - len(shown)} if len(sends) > len(shown) else {}
        sent = [summary_json(send, account) for send, account in rows]
        echo_json({"sends": sent, "upcoming": [_upcoming_json(each) for each in upcoming], **more})
    else:
        if not rows:
            app.say("nothing was sent yet")
        if rows or upcoming:
            show_table(app, _glance(project, upcoming, rows))
        if len(sends) > len(shown):
            app.say(f"  and {len(sends) - len(shown):,} older; --all shows them")
    return max((_code(send, account) for send, account in rows), default=DONE)


def _glance(project: "Project", upcoming: "tuple[Upcoming, ...]", rows: "list[tuple[Send, Account]]") -> Table:
    cells = []
    for each in upcoming:
        when = f"{each.send_at.astimezone(project.zone):%Y-%m-%d %H:%M}" if each.send_at else ""
        style = BAD if each.state == "unreadable" else FAINT
        cells.append([Cell(each.issue), Cell(each.state, style), Cell(when, FAINT), *[Cell("")] * len(_COUNTS)])
    for send, account in rows:
        state = str(send.state) if account.closes else f"{send.state} (DOES NOT CLOSE)"
        style = _STATES.get(str(send.state), "") if account.closes else BAD
        name = send.issue if send.kind == "issue" else f"{send.issue} ({send.kind})"
        cells.append([Cell(name), Cell(state, style), Cell(_when(send, project), FAINT), *_counts(account)])
    return Table("", (Column("issue"), Column("state"), Column("when"), *_COUNT_COLUMNS), cells)


def _upcoming_json(each: "Upcoming") -> dict[str, object]:
    return {
        "issue": each.issue,
        "state": each.state,
        "send_at": each.send_at.isoformat() if each.send_at else None,
    }


def _when(send: "Send", project: "Project") -> str:
    at = send.finished_at or send.started_at or send.send_at or send.planned_at
    return f"{at.astimezone(project.zone):%Y-%m-%d %H:%M}"


# ---------------------------------------------------------------------------------------------------------------------
# Words
# ---------------------------------------------------------------------------------------------------------------------


def _instant(instant: dt.datetime, project: "Project") -> str:
    return f"{instant.astimezone(project.zone):%Y-%m-%d %H:%M} {project.zone.key}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f} a second" if per_s >= 10 else f"{per_s * 60:,.0f} a minute"


def _span(span: dt.timedelta) -> str:
    """Return a length of time in the two units that matter: ``12 s``, ``3 min``, ``4 h 10 min``, ``4 days 2 h``."""
    seconds = round(span.total_seconds())
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"
