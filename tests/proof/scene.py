"""Make the scene of a proof: a store with people and a planned send, the sender's setup, and the account afterwards.

Everything that the proofs need of ``newsletter`` is here, so that they are written against ``run_send`` and
``open_store`` alone, for every kind of store and any number of connections.
"""

import dataclasses
import datetime as dt
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from newsletter.config import NewsletterSection, SmtpSection
from newsletter.delivery import State
from newsletter.edition import edition_digest
from newsletter.errors import BusyError
from newsletter.identity import identity_of
from newsletter.model import Edition, Slot
from newsletter.reports import SendReport
from newsletter.sender import SenderSetup, run_send
from newsletter.smtp import open_transport
from newsletter.store import NewSubscriber, SendPlan, Store, open_store
from newsletter.store.records import LedgerRow, SubscriptionState
from newsletter.tokens import SAMPLE_KEYS

START = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
ISSUE = "2026-11-25"
IDENTITY = identity_of(
    NewsletterSection(
        title="China Market Weekly",
        from_="China Market Weekly <editor@news.example.org>",
        url="https://news.example.org",
    )
)
MAILED_ONCE = frozenset({State.SENT, State.BOUNCED})


def make_edition(filler: str = "") -> Edition:
    """Return an edition that keeps every rule of a message, small but for ``filler`` in its text part."""
    edition = Edition(
        issue=ISSUE,
        subject=("This week's most important news",),
        preheader="Five stories",
        html=(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Weekly</title></head><body><p>Hello ',
            Slot("name", "reader"),
            '.</p><p><a href="',
            Slot("unsubscribe_url"),
            '">Unsubscribe</a> - 1 Main Street, Springfield</p></body></html>\n',
        ),
        text=(
            "Hello ",
            Slot("name", "reader"),
            ".\n\nUnsubscribe: ",
            Slot("unsubscribe_url"),
            f"\n1 Main Street\n{filler}",
        ),
        date=dt.date(2026, 11, 25),
        language="en",
    )
    return dataclasses.replace(edition, digest=edition_digest(edition))


class Clock:
    """Stand at ``now`` until it is put; each look is a microsecond later than the last."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(microseconds=1)
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += dt.timedelta(**delta)


def open_scene(url: str, timeout_s: float = 10.0) -> Store:
    """Open the store of a scene with the key that finds people by address."""
    return open_store(url, address_key=SAMPLE_KEYS.address_key, timeout_s=timeout_s)


def fill_store(url: str, addresses: Iterable[str], edition: Edition | None = None) -> int:
    """Put people on the list of an empty store, plan a send to them, and return its number."""
    with open_scene(url) as store:
        list_id = store.subscribers.ensure_list("weekly", START).list_id
        people = (NewSubscriber(address=address) for address in addresses)
        for _ in store.subscribers.import_subscribers(list_id, people, START, origin="proof"):
            pass
        edition_id = store.editions.save_edition(edition or make_edition(), START)
        plan = SendPlan(issue=ISSUE, list_ids=(list_id,), editions={"": edition_id}, source_digest="0" * 64)
        return store.sends.plan_send(plan, START).send_id


def leave(store: Store, address: str, now: dt.datetime = START) -> bool:
    """Unsubscribe the person with this address; tell whether that changed anything."""
    list_id = store.subscribers.ensure_list("weekly", START).list_id
    person = store.subscribers.find_subscriber(list_id, address)
    assert person is not None, address
    return store.subscribers.change_subscription(list_id, person.subscriber_id, SubscriptionState.UNSUBSCRIBED, now)


def connector(
    port: int, *, timeout: float = 20.0, dot_timeout: float | None = None, **section: object
) -> Callable[[], object]:
    """Return what opens a connection to a relay on this machine."""
    values = {"security": "none", "helo": "client"} | section
    smtp = SmtpSection(host="127.0.0.1", port=port, timeout=timeout, **values)  # type: ignore[arg-type]
    return lambda: open_transport(smtp, dot_timeout=timeout if dot_timeout is None else dot_timeout)


def supports(connections: int) -> bool:
    """Tell whether this version's sender can hold so many connections."""
    return connections == 1 or "connections" in SenderSetup.__dataclass_fields__


def make_setup(
    connect: Callable[[], object], clock: Callable[[], dt.datetime], connections: int = 1, **changes: object
) -> SenderSetup:
    """Return the setup of a run over ``connections`` connections, which waits for nothing between them."""
    values: dict[str, object] = {"identity": IDENTITY, "keys": SAMPLE_KEYS, "connect": connect, "clock": clock}
    values["reconnect_waits_s"] = (0.0, 0.0, 0.0)
    if connections > 1:
        values["connections"] = connections
    return SenderSetup(**values | changes)  # type: ignore[arg-type]


def run_free(store: Store, send_id: int, setup: SenderSetup, **values: object) -> SendReport:
    """Run the send; where a killed run's lock is not free yet, wait for it as the next minute's cron would."""
    for _ in range(200):
        try:
            return run_send(store, send_id, setup, **values)  # type: ignore[arg-type]
        except BusyError:
            time.sleep(0.02)
    return run_send(store, send_id, setup, **values)  # type: ignore[arg-type]


def run_to_end(store: Store, send_id: int, setup: SenderSetup, clock: Clock, runs: int = 12) -> SendReport:
    """Run again and again, hours apart, until no row is open or ``runs`` are over, as cron does."""
    report = run_free(store, send_id, setup)
    while report.account.open and runs > 1:
        clock.forward(hours=6)
        report = run_free(store, send_id, setup)
        runs -= 1
    return report


def rows_of(store: Store, send_id: int) -> dict[str, LedgerRow]:
    """Return the rows of a send by address."""
    return {row.address or "": row for row in store.ledger.list_deliveries(send_id)}


def state_of(store: Store, send_id: int, subscriber_id: int) -> State:
    """Return where one row stands, in one small query."""
    rows = store.database.rows("list_deliveries", send=send_id, after=subscriber_id - 1, limit=1)
    assert rows, subscriber_id
    assert rows[0][1] == subscriber_id
    return State(rows[0][5])


def people(count: int, domain: str = "example.org") -> list[str]:
    """Return the addresses of ``count`` people."""
    return [f"r{number}@{domain}" for number in range(count)]


# ---------------------------------------------------------------------------------------------------------------------
# Stores
# ---------------------------------------------------------------------------------------------------------------------


def copy_sqlite(template: Path, target: Path) -> str:
    """Put a copy of a closed SQLite store at ``target`` in place of what was there, and return its URL."""
    for path in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm", "-send.lock"))):
        path.unlink(missing_ok=True)
    shutil.copyfile(template, target)
    return f"sqlite:///{target}"


def scratch_folder(default: Path) -> Path:
    """Return a folder in memory where the machine has one, for proofs that kill processes and never the machine."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else default


# ---------------------------------------------------------------------------------------------------------------------
# The account
# ---------------------------------------------------------------------------------------------------------------------


def violations(
    rows: dict[str, LedgerRow], mailed: dict[str, int], flagged: Sequence[str], *, refused: Sequence[str] = ()
) -> list[str]:
    """Return what breaks the promise: somebody missed, mailed twice without a flag, or mailed though refused.

    ``mailed`` counts for each address the messages that came complete with their dot and were not refused there.
    """
    found = []
    for address, row in rows.items():
        count, state = mailed.get(address, 0), row.state
        if state is State.SENT and count == 0:
            found.append(f"{address} is down as sent, and no dot was ever seen: missed")
        if count > row.doubts + (state in MAILED_ONCE):
            found.append(f"{address} was mailed {count} times with {row.doubts} doubts in state {state}")
        if count > 1 and address not in flagged:
            found.append(f"{address} was mailed {count} times and is not named in the report")
        if address in refused and (state is not State.FAILED or count):
            found.append(f"{address} was refused, and is {state}, mailed {count} times")
        if state is State.PENDING and count > row.doubts:
            found.append(f"{address} was mailed {count} times, and waits to be sent again with {row.doubts} doubts")
    found += [f"{address} was mailed and has no row" for address in mailed if address not in rows]
    return found
