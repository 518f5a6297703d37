"""``newsletter rehearse``: practise a send with made-up people and a receiver that fails on purpose."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS

if TYPE_CHECKING:
    import datetime as dt
    from fractions import Fraction

    from newsletter.faults import Fault
    from newsletter.rehearsal import Rehearsal, Run

_RUNS_SHOWN, _NAMES_SHOWN, _REASON_MAX = 6, 10, 60
_PAUSES = "refusals or doubts piled up; you would look into the cause, then send again"


def _read_share(_context: click.Context, _parameter: click.Parameter, value: str) -> "Fraction":
    from newsletter.faults import parse_share

    try:
        return parse_share(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("rehearse")
@click.argument("issue")
@click.option(
    "--recipients", type=click.IntRange(1, 200_000), default=2000, show_default=True, help="How many made-up people."
)
@click.option(
    "--faults", "share", callback=_read_share, metavar="N%", default="5%", show_default=True, help="How many meet one."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Deal the faults by this number, ever the same.")
@json_option
@click.pass_obj
def command(app: App, issue: str, recipients: int, share: "Fraction", seed: int, as_json: bool) -> int:
    """Rehearse the send of ISSUE: the real sender, and a receiver on this machine that fails on purpose.

    It greylists, refuses, hangs up before and after the final dot, is slow, and goes away for a while. Your list and
    your store are not touched, and nothing leaves this machine; waits are not waited for. At the end the ledger is held
    against what the receiver really took. The exit code is 0 where nobody was missed, and nobody mailed twice but
    those who are named.
    """
    from newsletter.cli.sending import dkim_signer, progress_bar, stop_on_signals
    from newsletter.config import find_issue
    from newsletter.rehearsal import Play, rehearse

    project = app.project()
    path = find_issue(project, issue)
    play = Play(recipients=recipients, share=share, seed=seed, dkim=dkim_signer(project, app.warn))
    with stop_on_signals() as stop, progress_bar(app, as_json) as progress:
        done = rehearse(project, path, play, utc_now, stop=stop, progress=progress)
    if as_json:
        echo_json(_as_json(done))
    else:
        for line in _lines(done, project.config.send.doubt):
            app.say(line)
    return DONE if done.holds else FINDINGS


# ---------------------------------------------------------------------------------------------------------------------
# For people
# ---------------------------------------------------------------------------------------------------------------------


def _lines(done: "Rehearsal", doubt: str) -> Iterator[str]:
    yield f"Rehearsal of {done.issue}: {done.subject}"
    people = f"{done.play.recipients:,} made-up people"
    yield f"{people}; your list and your store stay untouched, and nothing leaves this machine."
    for part in (_faults(done), _runs(done), _account(done, doubt), _comparison(done), _ways_on(done.issue)):
        yield ""
        yield from part


def _faults(done: "Rehearsal") -> Iterator[str]:
    from newsletter.faults import AWAY_MINUTES, DEEDS

    total = sum(done.dealt.values())
    yield f"What the receiver did to {total:,} of them (--seed {done.play.seed}), and what came of it"
    for fault, deed in DEEDS.items():
        if count := done.dealt.get(fault):
            yield f"  {fault:<17}{count:>6,}  {deed.deed:<25}{_ends(done, fault):<15}{deed.lesson}"
    if total:
        ended = f"{'a run ended':<15}the next run went on"
        yield f"  {'away':<17}{'all':>6}  {f'421 for {AWAY_MINUTES} minutes':<25}{ended}"


def _ends(done: "Rehearsal", fault: "Fault") -> str:
    """Return in which states the rows of a fault ended: ``30 sent``."""
    return ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in done.ends.get(fault, {}).items())


def _runs(done: "Rehearsal") -> Iterator[str]:
    runs = done.runs
    lasted = f"in {len(runs)} runs over {_span(done.lasted)} h, as if cron came every 5 minutes"
    yield f"What the sender did over {_counted(done.connections, 'connection')}, {lasted}"
    yield f"  {'run':>5}  {'at':<12}{'answered':>9}{'open':>8}  ended"
    first, rest = runs[:_RUNS_SHOWN], runs[_RUNS_SHOWN:]
    for number, run in enumerate(first, 1):
        yield _run(number, run)
    if len(rest) > 1:
        yield f"  {'…':>5}  {f'{len(rest) - 1} more':<12}{sum(run.recorded for run in rest[:-1]):>9,}"
    if rest:
        yield _run(len(runs), rest[-1])


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _run(number: int, run: "Run") -> str:
    # The whole reason names host and port first, which say nothing here.
    why = f": {run.reason.partition(': ')[2] or run.reason}" if run.reason else ""
    ended = f"{run.ending}{why}"
    return f"  {number:>5}  {f'+{_span(run.after)}':<12}{run.recorded:>9,}{run.open:>8,}  {_cut(ended)}"


def _cut(text: str) -> str:
    return text if len(text) <= _REASON_MAX else f"{text[: _REASON_MAX - 1]}…"


def _span(span: "dt.timedelta") -> str:
    """Return a length of time as ``0:05`` or ``4 d 2:10``, in hours and minutes."""
    days, minutes = divmod(round(span.total_seconds() / 60), 24 * 60)
    return (f"{days} d " if days else "") + f"{minutes // 60}:{minutes % 60:02}"


def _account(done: "Rehearsal", doubt: str) -> Iterator[str]:
    from newsletter.cli.sending import equation

    answers = done.answers
    for_good, otherwise = answers.get("refused for good", 0), answers.get("refused", 0)
    again = "sent once more, under the same Message-ID" if doubt == "resend" else "kept for you: newsletter resolve"
    yield "The account"
    yield f"  {equation(done.account)}"
    for count, name, words in (
        (answers.get("accepted", 0), "accepted", ""),
        (answers.get("deferred", 0), "deferred", "tried again after 5 and 30 minutes, 1, 2 and then every 4 hours"),
        (for_good + otherwise, "refused", f"{for_good:,} are suppressed now, {otherwise:,} stay on the list"),
        (answers.get("in doubt", 0), "in doubt", f'{again} ([send] doubt = "{doubt}")'),
        (answers.get("nothing mailed", 0), "lost unsent", "the connection ended before the dot; charged to nobody"),
        (sum(str(run.ending) == "paused" for run in done.runs), "pauses", _PAUSES),
    ):
        if count:
            yield f"  {count:>7,}  {name:<13}{words}".rstrip()


def _comparison(done: "Rehearsal") -> Iterator[str]:
    found, sent = done.comparison, done.account.sent
    but = f" but {len(found.repeated):,} who are named below" if found.repeated else ""
    yield "Held against what the receiver really has"
    for holds, words, names_of in (
        (
            not found.missed,
            f"nobody is missed: it has mail for each of the {sent:,} that the ledger calls sent",
            found.missed,
        ),
        (not found.unnamed, f"nobody was mailed twice{but}", tuple(each.address for each in found.unnamed)),
        (not found.unowned, "nobody was mailed whom the ledger calls failed", found.unowned),
        (not found.strangers, "nobody was mailed who is in no row", found.strangers),
        (done.account.closes and done.is_finished, "the account closes, and no row is left open", ()),
    ):
        yield f"  {'yes' if holds else 'NO':<5}{words}" + (
            f": not so for {', '.join(names_of[:_NAMES_SHOWN])}" if names_of else ""
        )
    if done.account.in_doubt:
        of, have = done.account.in_doubt, found.doubtful_taken
        yield f"  of the {of:,} in doubt, {have:,} have their mail and {of - have:,} have not: no sender can know which"
    yield f"  {found.taken:,} messages in {done.seconds:.1f} s, {found.taken / max(done.seconds, 0.001):,.0f} a second"
    if found.repeated:
        yield ""
        yield "Twice, with the same bytes: the answer to the dot never came, and what it was to be nobody can know"
        for each in found.repeated[:_NAMES_SHOWN]:
            yield f"  {each.address:<34} {each.message_id}"
        if len(found.repeated) > _NAMES_SHOWN:
            yield f"  and {len(found.repeated) - _NAMES_SHOWN:,} more; --json names them all"


def _ways_on(issue: str) -> Iterator[str]:
    yield "Before the first list"
    for command, words in (
        ("newsletter doctor", "what receivers will think of your mail"),
        (f"newsletter send {issue} --to ADDRESS", "a proof to yourself"),
        (f"newsletter status {issue}", "this account, of a real send"),
        ('[send] doubt = "hold"', "to keep rows in doubt rather than send them again"),
    ):
        yield f"  {command:<42}{words}"


# ---------------------------------------------------------------------------------------------------------------------
# For programs
# ---------------------------------------------------------------------------------------------------------------------


def _as_json(done: "Rehearsal") -> dict[str, Any]:
    found = done.comparison
    return {
        "issue": done.issue,
        **done.account.as_json(),
        "holds": done.holds,
        "finished": done.is_finished,
        "recipients": done.play.recipients,
        "faults": float(done.play.share),
        "seed": done.play.seed,
        "dealt": {
            str(fault): {"count": count, "ends": {str(state): number for state, number in done.ends[fault].items()}}
            for fault, count in done.dealt.items()
        },
        "answers": dict(done.answers),
        "suppressed": done.suppressed,
        "connections": done.connections,
        "taken": found.taken,
        "doubtful_taken": found.doubtful_taken,
        "people": found.people,
        "twice": [
            {"address": each.address, "message_id": each.message_id, "times": each.times, "named": each.is_named}
            for each in found.repeated
        ],
        "missed": list(found.missed),
        "unowned": list(found.unowned),
        "strangers": list(found.strangers),
        "runs": [
            {
                "after_s": round(run.after.total_seconds()),
                "ending": str(run.ending),
                "reason": run.reason,
                "recorded": run.recorded,
                "open": run.open,
            }
            for run in done.runs
        ],
        "seconds": round(done.seconds, 3),
        "lasted_s": round(done.lasted.total_seconds()),
    }
