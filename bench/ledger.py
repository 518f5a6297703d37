"""Measure what it costs to take in and to plan for 100,000 recipients: time, and bytes of the store."""

import datetime as dt
import hashlib
from pathlib import Path

from corpus import make_project
from measure import Figure, Report, Sample, Samples, time_figure, timed
from memory import store_bytes

from newsletter.edition import freeze
from newsletter.model import Edition
from newsletter.store import NewSubscriber, SendPlan, Store, open_store
from newsletter.subscriptions import default_list

_NOW = dt.datetime(2026, 11, 25, 7, 0, tzinfo=dt.UTC)
_ROUNDS = 5


def measure_ledger(folder: Path, quick: bool) -> Report:
    """Import the subscribers once, and plan several sends to all of them; each plan is one transaction."""
    count = 300 if quick else 100_000
    project = make_project(folder / "ledger", {})
    key = hashlib.sha256(b"bench").digest()
    with open_store(project.store_url, address_key=key) as store:
        list_id = default_list(store, _NOW).list_id
        empty = store_bytes(project)
        imported = timed(lambda: _import(store, list_id, count))
        listed = store_bytes(project)
        plans: list[Sample] = []
        for number in range(_ROUNDS):
            plan = _plan(store, list_id, number)
            plans.append(timed(lambda plan=plan: store.sends.plan_send(plan, _NOW)))  # type: ignore[misc]
        planned = store_bytes(project)
        account = store.sends.account(1)
    if account.planned != count:
        raise SystemExit(f"{count} recipients were to be planned, {account.planned} were")
    figures = (
        time_figure("ledger.import", f"take in {count:,} subscribers", Samples((imported,))),
        time_figure("ledger.plan", f"plan a send to {count:,} recipients", Samples(tuple(plans))),
        _each("ledger.subscriber.bytes", "bytes of the store for each subscriber", (listed - empty) / count),
        _each(
            "ledger.row.bytes", "bytes of the ledger for each planned recipient", (planned - listed) / count / _ROUNDS
        ),
    )
    return Report(title="The ledger", figures=figures)


def _import(store: Store, list_id: int, count: int) -> None:
    people = (
        NewSubscriber(address=f"reader{number:06}@example.org", name=f"Reader {number}") for number in range(count)
    )
    for _ in store.subscribers.import_subscribers(list_id, people, _NOW, origin="bench"):
        pass


def _plan(store: Store, list_id: int, number: int) -> SendPlan:
    edition = Edition(
        issue=f"issue-{number}",
        subject=("x",),
        preheader="",
        html=("<p>x</p>",),
        text=("x",),
        date=_NOW.date(),
        language="en",
    )
    edition_id = store.editions.save_edition(freeze(edition), _NOW)
    return SendPlan(issue=edition.issue, list_ids=(list_id,), editions={"": edition_id}, source_digest="")


def _each(name: str, text: str, value: float) -> Figure:
    return Figure(name=name, text=text, value=value, unit="B")
