"""Measure how long whole commands take as fresh processes, in turns with ``python -c "import click"``.

What is old and settled must cost cron nothing: ``send.py`` is run in folders with 500 issues that were sent long ago,
with a store that knows the sends, without one, and with one issue more that is due tomorrow.
"""

import datetime as dt
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from corpus import LONG_PAST, illustrated_issue, make_project, plain_issue
from measure import (
    REPOSITORY,
    Report,
    Sample,
    Target,
    in_turns,
    newsletter_command,
    output_of,
    ratio_figure,
    run_command,
    time_figure,
)

from newsletter.config import Project
from newsletter.edition import freeze
from newsletter.model import Edition
from newsletter.store import SendPlan, Store, open_store
from newsletter.subscriptions import default_list

_BUILD, _SMALL = Target(10), Target(2.5)
_CLICK = "import click"
_ADDRESS_KEY = bytes(32)
_CASES = {
    "help": ("newsletter --help", _SMALL),
    "send.store": ("send.py, {count} old issues, a store that knows their sends", _SMALL),
    "send.no-store": ("send.py, {count} old issues, no store", _SMALL),
    "send.tomorrow": ("send.py, the same with a store, and one approved issue due tomorrow", _SMALL),
    "build": ("newsletter build, the sample issue (18 articles)", _BUILD),
    "build.25": ("newsletter build, 25 illustrated articles", _BUILD),
}


def measure_startup(folder: Path, quick: bool) -> Report:
    """Run every command in turns with the import of click, and return times and ratios."""
    count = 12 if quick else 500
    newsletter = newsletter_command()
    send = [sys.executable, str(REPOSITORY / "send.py")]
    old = old_issues(count)
    now = dt.datetime.now(dt.UTC)
    with_store, without, tomorrow = folder / "store", folder / "no-store", folder / "tomorrow"
    make_project(without, old)
    for each, issues in ((with_store, old), (tomorrow, old | due_tomorrow(now))):
        remember_sends(make_project(each, issues), sorted(old), now)
    compiled = make_project(folder / "compiled", {"issue": illustrated_issue(25)}).root
    out = str(folder / "out")
    commands = {
        _CLICK: ([sys.executable, "-c", "import click"], folder),
        "help": ([*newsletter, "--help"], folder),
        "send.store": (send, with_store),
        "send.no-store": (send, without),
        "send.tomorrow": (send, tomorrow),
        "build": ([*newsletter, "build", "2026-11-25", "--out", out], REPOSITORY),
        "build.25": ([*newsletter, "build", "issue", "--out", out], compiled),
    }
    for name in ("send.store", "send.no-store", "send.tomorrow"):
        if said := output_of(*commands[name]):
            raise SystemExit(f"{name} is not idle, it says: {said}")
    sides = {name: _runner(command, cwd) for name, (command, cwd) in commands.items()}
    samples = in_turns(sides, 2 if quick else 25)
    figures = [time_figure("startup.click", 'python -c "import click"', samples[_CLICK])]
    for name, (words, target) in _CASES.items():
        text = words.format(count=count)
        figures.append(time_figure(f"startup.{name}", text, samples[name]))
        figures.append(
            ratio_figure(
                f"startup.ratio.{name}", f"{text}, over the import of click", samples[name], samples[_CLICK], target
            )
        )
    return Report(title="Fresh processes", figures=tuple(figures))


def _runner(command: list[str], cwd: Path) -> Callable[[], Sample]:
    return lambda: run_command(command, cwd)


def old_issues(count: int) -> dict[str, str]:
    """Return weekly issues of years ago by their slugs, each with a ``send_at`` and an approval."""
    issues = {}
    for number in range(count):
        day = LONG_PAST + dt.timedelta(weeks=number)
        issues[day.isoformat()] = _approved(plain_issue(number + 1, day), day)
    return issues


def due_tomorrow(now: dt.datetime) -> dict[str, str]:
    """Return an issue that is approved and due in a day."""
    day = (now + dt.timedelta(days=1)).date()
    return {day.isoformat(): _approved(plain_issue(999, day), day)}


def _approved(text: str, day: dt.date) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace("---\n", f"---\napproved: {digest} by bench {day}\n", 1)


def remember_sends(project: Project, slugs: list[str], now: dt.datetime) -> None:
    """Make a store that has sent every issue, and in which one run of cron has looked at the files."""
    with open_store(project.store_url, address_key=_ADDRESS_KEY) as store, store.database.transaction():
        list_id = default_list(store, now).list_id
        for slug in slugs:
            _remember_send(store, slug, list_id, now)
    output_of([sys.executable, str(REPOSITORY / "send.py"), "--late"], project.root)


def _remember_send(store: Store, slug: str, list_id: int, now: dt.datetime) -> None:
    edition = freeze(
        Edition(
            issue=slug,
            subject=(slug,),
            preheader="",
            html=("<p>sent</p>",),
            text=("sent",),
            date=dt.date.fromisoformat(slug),
            language="en",
        )
    )
    edition_id = store.editions.save_edition(edition, now)
    plan = SendPlan(issue=slug, list_ids=(list_id,), editions={"": edition_id}, source_digest="")
    send = store.sends.plan_send(plan, now)
    store.sends.start_send(send.send_id, now)
    store.sends.finish_send(send.send_id, now)
