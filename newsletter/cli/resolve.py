"""``newsletter resolve``: list the rows in doubt, and settle them by a relay's log or by an operator's word."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.sending import equation, known_send
from newsletter.errors import InputError

if TYPE_CHECKING:
    import datetime as dt

    from newsletter.config import Project
    from newsletter.postfixlog import PostfixLog
    from newsletter.resolution import Doubt, Resolution, Way
    from newsletter.store import Send, Store


@click.command("resolve")
@click.argument("issue")
@click.option("--resend", is_flag=True, help="Send the rows in doubt again, under the same Message-ID.")
@click.option("--assume-sent", is_flag=True, help="Take the rows in doubt as sent.")
@click.option(
    "--from-log",
    "logs",
    metavar="FILE",
    multiple=True,
    help="Settle them by the log of the relay (Postfix's format; gzip, bzip2, xz; - for standard input). May be given "
    "several times. With --resend or --assume-sent, that is done with those of which the log knows nothing.",
)
@click.option(
    "--only", "only", metavar="ADDRESS", multiple=True, help="Settle this row alone; may be given several times."
)
@click.option("--ever", is_flag=True, help="List those as well that were in doubt once and are settled.")
@json_option
@click.pass_obj
def command(
    app: App,
    issue: str,
    resend: bool,
    assume_sent: bool,
    logs: tuple[str, ...],
    only: tuple[str, ...],
    ever: bool,
    as_json: bool,
) -> int:
    """List the rows of ISSUE that are in doubt, and settle them.

    A row is in doubt where its message was sent to the final dot and no answer came: the relay may have it, or not. Its
    Message-ID stands beside it, to be looked for in the relay's log. Without an option that settles, nothing changes.
    The exit code is 1 while rows stay in doubt.
    """
    from newsletter.addresses import parse_address
    from newsletter.resolution import Way

    if resend and assume_sent:
        raise click.UsageError("give --resend or --assume-sent, not both")
    settles = bool(resend or assume_sent or logs)
    if settles and ever:
        raise click.UsageError("--ever lists; leave it out to settle")
    way = Way.RESEND if resend else Way.ASSUME_SENT if assume_sent else None
    project = app.project()
    addresses = tuple(parse_address(address) for address in only)
    with known_send(project, issue) as (store, send):
        is_running = _repair(app, store, send)
        doubts = _doubts(app, project, store, send, addresses, ever)
        if settles:
            return _settle(app, store, send, doubts, _follow(logs, doubts), way, as_json)
        return _list(app, project, store, send, doubts, is_running, as_json)


def _repair(app: App, store: "Store", send: "Send") -> bool:
    from newsletter.resolution import repair

    is_running = repair(store, send.send_id, utc_now())
    if is_running:
        app.note("note: a run is going on; what it has in hand is not listed yet")
    return is_running


def _doubts(
    app: App, project: "Project", store: "Store", send: "Send", addresses: tuple[str, ...], ever: bool
) -> "tuple[Doubt, ...]":
    from newsletter.identity import identity_of
    from newsletter.resolution import choose, list_doubts

    domain = identity_of(project.config.newsletter).domain
    return choose(list_doubts(store, send.send_id, app.keys(project), domain, ever=ever), addresses)


def _follow(logs: tuple[str, ...], doubts: "tuple[Doubt, ...]") -> "PostfixLog | None":
    """Return what the logs tell of the rows, None without a log; the files are read in the order of their times."""
    from newsletter.logfile import in_order, read_log
    from newsletter.postfixlog import PostfixLog, stamp_of

    if not logs:
        return None
    now = utc_now().astimezone()
    followed = PostfixLog((doubt.message_id for doubt in doubts), now)
    for name in in_order(logs, lambda line: stamp_of(line, now)):
        followed.feed(read_log(name))
    if not followed.lines:
        raise InputError(f"{', '.join(logs)}: no line of Postfix's log in it; name the mail log of the relay")
    return followed


# ---------------------------------------------------------------------------------------------------------------------
# Listing
# ---------------------------------------------------------------------------------------------------------------------


def _list(
    app: App,
    project: "Project",
    store: "Store",
    send: "Send",
    doubts: "tuple[Doubt, ...]",
    is_running: bool,
    as_json: bool,
) -> int:
    account = store.sends.account(send.send_id)
    policy = project.config.send.doubt
    if as_json:
        echo_json(
            {
                "issue": send.issue,
                "state": str(send.state),
                **account.as_json(),
                "policy": policy,
                "running": is_running,
                "rows": [_row_json(doubt) for doubt in doubts],
            }
        )
        return FINDINGS if account.in_doubt else DONE
    app.say(f"{send.issue}: {send.state}")
    app.say(f"  {equation(account)}")
    if not doubts:
        app.say("No row is in doubt.")
        return FINDINGS if account.in_doubt else DONE
    for doubt in doubts:
        app.say()
        for line in _entry(doubt, project):
            app.say(line)
    app.say()
    for line in _ways(send.issue, policy, doubts):
        app.say(line)
    return FINDINGS if account.in_doubt else DONE


def _entry(doubt: "Doubt", project: "Project") -> Iterator[str]:
    row = doubt.row
    again = "" if row.doubts == 1 else f", in doubt {row.doubts} times"
    who = row.address or "(erased)"
    yield f"{who}  {row.state.replace('_', ' ')}{again}"
    yield f"  Message-ID  {doubt.message_id}"
    yield f"  final dot   {_instant(row.marked_at, project)}"
    yield f"  given up    {_instant(row.lost_at, project)}" + (f": {row.reason}" if row.reason else "")
    if row.via:
        yield f"  relay       {row.via}"
    if row.owner:
        yield f"  run         {row.owner}"


def _instant(instant: "dt.datetime", project: "Project") -> str:
    """Return an instant to the second in the newsletter's zone, and in UTC: logs have one or the other."""
    local = instant.astimezone(project.zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {project.zone.key} ({instant:%H:%M:%S} UTC)"


def _ways(issue: str, policy: str, doubts: "tuple[Doubt, ...]") -> Iterator[str]:
    if not any(doubt.row.state == "in_doubt" for doubt in doubts):
        return
    once = sum(doubt.row.doubts == 1 and doubt.row.state == "in_doubt" for doubt in doubts)
    if policy == "resend" and once:
        yield f'The next run sends {once:,} of them again, once ([send] doubt = "resend"). To settle them before:'
    else:
        yield "They stay so until you settle them:"
    for options, words in (
        ("--from-log /var/log/mail.log", "by what the relay's log says"),
        ("--assume-sent", "they have arrived"),
        ("--resend", "they have not, or twice is better than never"),
        ("--only ADDRESS …", "one row alone"),
    ):
        yield f"  {f'newsletter resolve {issue} {options}':<62}{words}"


def _row_json(doubt: "Doubt") -> dict[str, Any]:
    row = doubt.row
    return {
        "address": row.address,
        "message_id": doubt.message_id,
        "state": str(row.state),
        "doubts": row.doubts,
        "attempts": row.attempts,
        "marked_at": row.marked_at.isoformat(),
        "lost_at": row.lost_at.isoformat(),
        "via": row.via,
        "run": row.owner,
        "reason": row.reason,
    }


# ---------------------------------------------------------------------------------------------------------------------
# Settling
# ---------------------------------------------------------------------------------------------------------------------


def _settle(
    app: App,
    store: "Store",
    send: "Send",
    doubts: "tuple[Doubt, ...]",
    log: "PostfixLog | None",
    way: "Way | None",
    as_json: bool,
) -> int:
    from newsletter.resolution import decide, settle

    done = settle(store, send.send_id, (decide(doubt, log, way) for doubt in doubts), utc_now)
    if as_json:
        echo_json(_resolution_json(done, log))
    else:
        for line in _told(done, log):
            app.say(line)
    return FINDINGS if done.account.in_doubt else DONE


def _told(done: "Resolution", log: "PostfixLog | None") -> Iterator[str]:
    """Yield the account of what was settled, and what stays."""
    from newsletter.delivery import RUNNING
    from newsletter.resolution import Settlement

    if log and log.first_at and log.last_at:
        yield f"The log has {log.lines:,} lines, from {log.first_at:%Y-%m-%d %H:%M:%S%z} to {log.last_at:%H:%M:%S%z}"
    counts = Counter(each.settlement for each in done.decisions)
    told = ", ".join(f"{count:,} {settlement}" for settlement, count in counts.items())
    yield f"{done.send.issue}: {told}" if told else f"{done.send.issue}: no row was in doubt"
    for each in done.decisions:
        yield f"  {each.settlement:<17} {each.doubt.row.address or '(erased)'}  {each.doubt.message_id}"
        yield f"  {'':<17} {each.why}"
    yield f"  {equation(done.account)}"
    if counts[Settlement.RESENT] and done.send.state in RUNNING:
        yield f"  the next run of cron sends them again, and so does 'newsletter send {done.send.issue} --yes'"


def _resolution_json(done: "Resolution", log: "PostfixLog | None") -> dict[str, Any]:
    first, last = (log.first_at, log.last_at) if log else (None, None)
    return {
        "issue": done.send.issue,
        "state": str(done.send.state),
        **done.account.as_json(),
        "rows": [
            {**_row_json(each.doubt), "settlement": str(each.settlement), "why": each.why} for each in done.decisions
        ],
        "log": {
            "lines": log.lines,
            "from": first.isoformat() if first else None,
            "to": last.isoformat() if last else None,
        }
        if log
        else None,
    }
