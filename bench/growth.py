"""Measure how time, memory and the ledger grow from 1,000 recipients to 1,000,000, through the command that people run.

Each size is a project of its own, whose subscribers are taken in first; then ``newsletter send SLUG --yes`` plans and
sends what ``newsletter approve`` compiled, to Postfix's smtp-sink. Messages are small: what is measured is the ledger
and the memory, which do not depend on how long a text is. ``plot.py`` draws the figures.
"""

import datetime as dt
import json
from pathlib import Path

from corpus import make_project, plain_issue
from mailing import recipients
from measure import Figure, Report, Sample, Samples, Target, newsletter_command, output_of, time_figure, timed
from memory import compiled_bytes, edition_bytes, run_at_peak, store_bytes
from sink import sinking

from newsletter.config import Project
from newsletter.secretfile import load_keys
from newsletter.store import NewSubscriber, open_store
from newsletter.subscriptions import default_list

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SLUG = "issue"
_DAY = dt.date(2026, 11, 25)
_PLANNED, _MEMORY = Target(15), Target(57e6)


def measure_growth(folder: Path, quick: bool) -> Report:
    """Send to each number of recipients, and return rates, peaks of memory and bytes of the ledger."""
    figures: list[Figure] = []
    with sinking() as (port, far_end):
        for count in (100, 400) if quick else SIZES:
            figures += _measure(folder / str(count), count, port, is_largest=count == SIZES[-1])
    note = (
        f"The far end is {far_end}; each size was sent to once. Memory is resident memory of our own processes, the"
        " receiver's not among them."
    )
    return Report(title="From 1,000 recipients to 1,000,000", figures=tuple(figures), notes=(note,))


def _measure(folder: Path, count: int, port: int, *, is_largest: bool) -> list[Figure]:
    project = make_project(folder, {_SLUG: plain_issue(1, _DAY)})
    imported = _take_in(project, count)
    newsletter = [*newsletter_command(), "--project", str(project.root)]
    output_of([*newsletter, "approve", _SLUG], folder)
    before = store_bytes(project) - compiled_bytes(project)
    smtp = {"HOST": "127.0.0.1", "PORT": str(port), "SECURITY": "none", "HELO": "client"}
    environ = {f"NEWSLETTER_SMTP__{key}": value for key, value in smtp.items()}
    peak = run_at_peak(project, folder, ["send", _SLUG, "--yes", "--late", "--json"], environ)
    report = json.loads(peak.said)
    if report["sent"] != count:
        raise SystemExit(f"{count} messages were to be sent, {report['sent']} were")
    started, ended = (dt.datetime.fromisoformat(report[name]) for name in ("started_at", "ended_at"))
    seconds = (ended - started).total_seconds()
    left = store_bytes(project) - before - edition_bytes(project)
    name = f"growth.{count}"
    target = {"plan": _PLANNED, "memory": _MEMORY} if is_largest else {}
    planned = Samples((Sample(peak.planning_s),))

    def plain(key: str, text: str, value: float, unit: str) -> Figure:
        return Figure(name=f"{name}.{key}", text=f"{count:,} recipients: {text}", value=value, unit=unit)

    return [
        time_figure(f"{name}.import", f"{count:,} subscribers taken in", Samples((imported,))),
        time_figure(f"{name}.plan", f"{count:,} recipients: planned", planned, target.get("plan")),
        plain("rate", "messages", count / seconds, "/s"),
        Figure(
            name=f"{name}.memory",
            text=f"{count:,} recipients: peak of the process that sends",
            value=peak.own,
            unit="B",
        ),
        plain("memory.child", "peak of its largest child process, 0 where it had none", peak.children, "B"),
        Figure(
            name=f"{name}.memory.together",
            text=f"{count:,} recipients: the most that all of our processes had at one time",
            value=peak.together,
            unit="B",
            target=target.get("memory"),
        ),
        plain("ledger", "bytes of the ledger for each", left / count, "B"),
    ]


def _take_in(project: Project, count: int) -> Sample:
    """Put people on the list, as an import does, without the file."""
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        now = dt.datetime.now(dt.UTC)
        list_id = default_list(store, now).list_id
        people = (NewSubscriber(address=person.address, name=person.name) for person in recipients(count))

        def take_in() -> None:
            for _ in store.subscribers.import_subscribers(list_id, people, now, origin="bench"):
                pass

        return timed(take_in)
