"""One store of each kind, and the shortcuts that tests share; every move of a delivery is checked against the table."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest

from newsletter.delivery import About, Delivery, Event, Outcome, State, classify, moves
from newsletter.edition import freeze
from newsletter.model import Edition, Reply, Stage
from newsletter.store import NewSubscriber, Result, Send, SendPlan, Store, open_store

KINDS = ("sqlite",)
NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
KEY = b"a key of thirty-two bytes, or so"
OK = Reply(250, "2.0.0", "Ok: queued as 4AbC", Stage.DOT)
MOVES = {(str(start), str(end)) for event in Event for start, end in moves(event)}


def later(**parts: float) -> dt.datetime:
    return NOW + dt.timedelta(**parts)


def edition(language: str = "en", subject: str = "Hello") -> Edition:
    return freeze(
        Edition(
            issue="2026-11-25",
            subject=(subject,),
            preheader="",
            html=("<p>Hello</p>",),
            text=("Hello",),
            date=dt.date(2026, 11, 25),
            language=language,
        )
    )


@dataclass
class World:
    """A store with a list, an edition and the shortcuts that tests share."""

    store: Store
    url: str
    list_id: int = 0
    edition_id: int = 0
    is_checked: bool = True

    def join(self, *names: str, **values: object) -> list[int]:
        """Add one active subscriber for each name, and return their numbers."""
        numbers = []
        for name in names:
            address = f"{name}@{name[0]}.example"
            new = NewSubscriber(address=address, name=name.title(), **values)
            self.store.subscribers.add_subscriber(self.list_id, new, NOW, origin="test")
            numbers.append(self.store.subscribers.find_subscriber(self.list_id, address).subscriber_id)
        return numbers

    def plan(self, issue: str = "2026-11-25", **values: object) -> Send:
        values = {"list_ids": (self.list_id,), "editions": {"": self.edition_id}, "source_digest": "s"} | values
        return self.store.sends.plan_send(SendPlan(issue=issue, **values), NOW)

    def sending(self, *names: str) -> int:
        """Plan a send to people of these names, start it, and return its number."""
        self.join(*names)
        return self.store.sends.start_send(self.plan().send_id, NOW).send_id

    def claim(self, send_id: int, owner: str = "me", limit: int = 100, now: dt.datetime = NOW):
        return self.store.ledger.claim_deliveries(send_id, owner, limit, now)

    def mark(self, send_id: int, deliveries, owner: str = "me", now: dt.datetime = NOW) -> frozenset[int]:
        return self.store.ledger.mark_transmitting(send_id, owner, deliveries, now)

    def record(self, send_id: int, *results: Result, owner: str = "me", now: dt.datetime = NOW):
        return self.store.ledger.record_results(send_id, owner, results, now)

    def states(self, send_id: int) -> list[str]:
        """Return the states of the rows in the order of their subscribers."""
        return [str(row.state) for row in self.store.ledger.list_deliveries(send_id)]

    def row(self, send_id: int, subscriber_id: int):
        return next(row for row in self.store.ledger.list_deliveries(send_id) if row.subscriber_id == subscriber_id)


def result(delivery: Delivery, line: str = "", stage: Stage = Stage.DOT, **values: object) -> Result:
    """Make the result of a reply written as ``550 5.1.1 text``; of no reply (LOSE) for an empty line."""
    if not line:
        return Result(delivery, Outcome(Event.LOSE, About.CONNECTION), None, **values)
    code, enhanced, text = line.split(" ", 2)
    reply = Reply(int(code), enhanced, text, stage)
    return Result(delivery, classify(reply), reply, **values)


@pytest.fixture(params=KINDS)
def url(request, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'newsletter.db'}"


@pytest.fixture
def world(url):
    with open_store(url, address_key=KEY, timeout_s=0.2) as store:
        list_id = store.subscribers.ensure_list("main", NOW).list_id
        world = World(store, url, list_id, store.editions.save_edition(edition(), NOW))
        watch_moves(store)
        yield world
        if world.is_checked:
            check_moves(store)
            check_accounts(store)


def watch_moves(store: Store) -> None:
    """Let the database itself write down every change of a delivery's state."""
    connection = store.database._connection
    connection.execute("CREATE TEMP TABLE seen (start TEXT, finish TEXT)")
    connection.execute(
        "CREATE TEMP TRIGGER watch AFTER UPDATE OF state ON main.deliveries WHEN old.state <> new.state "
        "BEGIN INSERT INTO seen VALUES (old.state, new.state); END"
    )


def check_moves(store: Store) -> None:
    seen = set(store.database._connection.execute("SELECT DISTINCT start, finish FROM seen"))
    assert seen <= MOVES, f"moves that the table does not know: {seen - MOVES}"


def check_accounts(store: Store) -> None:
    for send in store.sends.load_sends():
        account = store.sends.account(send.send_id)
        assert account.closes, account
        if send.state == "finished":
            assert account.open == 0, account


__all__ = ["KEY", "KINDS", "MOVES", "NOW", "OK", "State", "World", "edition", "later", "result"]
