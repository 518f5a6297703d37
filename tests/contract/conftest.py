"""One store of each kind, and the shortcuts that tests share; every move of a delivery is checked against the table."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from postgres_server import missing_reason, shared_server

from newsletter.delivery import About, Delivery, Event, Outcome, State, classify, moves
from newsletter.edition import freeze
from newsletter.model import Edition, Reply, Stage
from newsletter.store import NewSubscriber, Result, Send, SendPlan, Store, open_store
from newsletter.store.dialect import POSTGRESQL, SQLITE

from .kinds import Kind, Postgres, Sqlite

KINDS = (SQLITE, POSTGRESQL)
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
    kind: Kind
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Yield this worker's databases on the server that all workers share; skip where no server can run."""
    if reason := missing_reason():
        pytest.skip(reason)
    with shared_server() as server:
        postgres = Postgres(server)
        yield postgres
        postgres.close()


@pytest.fixture(params=KINDS)
def kind(request, tmp_path: Path) -> Iterator[Kind]:
    if request.param == SQLITE:
        yield Sqlite(tmp_path)
        return
    postgres = request.getfixturevalue("postgres")
    yield postgres
    postgres.drop_bare()


@pytest.fixture
def url(kind: Kind) -> str:
    return kind.fresh()


@pytest.fixture
def world(kind, url):
    with open_store(url, address_key=KEY, timeout_s=0.2) as store:
        world = make_world(kind, store, url)
        yield world
        if world.is_checked:
            check_moves(world)
            check_accounts(store)


def make_world(kind: Kind, store: Store, url: str) -> World:
    list_id = store.subscribers.ensure_list("main", NOW).list_id
    kind.watch_moves(store)
    return World(store, url, kind, list_id, store.editions.save_edition(edition(), NOW))


def check_moves(world: World) -> None:
    seen = world.kind.seen_moves(world.store)
    assert seen <= MOVES, f"moves that the table does not know: {seen - MOVES}"


def check_accounts(store: Store) -> None:
    for send in store.sends.load_sends():
        account = store.sends.account(send.send_id)
        assert account.closes, account
        if send.state == "finished":
            assert account.open == 0, account


__all__ = ["KEY", "KINDS", "MOVES", "NOW", "OK", "State", "World", "edition", "later", "make_world", "result"]
