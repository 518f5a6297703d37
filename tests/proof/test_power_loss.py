"""G2: after a power cut at any moment the store opens, adds up, and knows every message whose dot was ever seen.

A send runs on a disk that writes everything down (``proof.disk``); each image is what that disk may hold after a cut at
a random step. On each, the store is opened and compared with what the world saw before the cut, and the send goes on.
PostgreSQL is not here: it stands on its own log, and the store demands ``synchronous_commit``.
"""

import random
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from newsletter.delivery import Event, State
from newsletter.store import Store
from proof.disk import Journal, apsw_connections
from proof.figures import keep_figures
from proof.relay import HANG_UP, Dot, Relay
from proof.scene import (
    Clock,
    connector,
    fill_store,
    leave,
    make_setup,
    open_scene,
    people,
    rows_of,
    run_free,
    run_to_end,
    supports,
    violations,
)

SEED = 20261125
PEOPLE = people(24)
DEFERRED, REFUSED, DROPPED, PUT_OFF, LEAVER = PEOPLE[3], PEOPLE[7], PEOPLE[11], PEOPLE[15], PEOPLE[19]
CHECKPOINTS = {"synchronous=FULL": "synchronous=FULL; PRAGMA wal_autocheckpoint=12"}
"""Let the log be written back to the database often, so that cuts hit that as well."""
WEAKER = {"synchronous=FULL": "synchronous=NORMAL; PRAGMA wal_autocheckpoint=12"}


@dataclass
class Recording:
    """A send that ran to its end on the disk that was watched."""

    journal: Journal
    start: dict[str, bytes]
    send_id: int


def scripted_relay(**hooks) -> Relay:
    relay = Relay(**hooks)
    relay.rcpt = {DEFERRED: ["451 4.7.1 greylisted"], REFUSED: ["550 5.1.1 no such user"] * 9}
    relay.dot = {DROPPED: [HANG_UP], PUT_OFF: ["452 4.3.1 no space"]}
    return relay


def record(folder: Path, connections: int, pragmas: dict[str, str] | None = None) -> Recording:
    """Run a send in which every kind of answer comes, and write down the disk, the dots and what was recorded."""
    path = folder / "store.db"
    send_id = fill_store(f"sqlite:///{path}", PEOPLE)
    journal, clock = Journal(), Clock()
    start = {path.name: path.read_bytes()}
    lock = threading.Lock()

    def recorded(result):
        with lock:
            journal.note(("recorded", result.delivery.recipient.address, result.outcome.event))

    def see(dot: Dot):
        journal.note(("dot", dot.address, dot.is_mail))

    with apsw_connections(journal, pragmas or CHECKPOINTS), open_scene(f"sqlite:///{path}") as store:

        def let_go(address):
            if address == LEAVER and leave(store, address):
                journal.note(("left", address, None))

        with scripted_relay(on_dot=see, on_rcpt=let_go) as relay:
            setup = make_setup(connector(relay.port), clock, connections)
            run_free(store, send_id, setup, progress=recorded)
            clock.forward(minutes=10)
            run_to_end(store, send_id, setup, clock)
    return Recording(journal, start, send_id)


def lay_image(recording: Recording, number: int, folder: Path) -> tuple[str, int, random.Random]:
    """Put the image of one cut into ``folder``; return the store's URL and the step of the cut."""
    dice = random.Random(f"{SEED}-{number}")
    end = dice.randrange(1, len(recording.journal.steps) + 1)
    for path in folder.iterdir():
        path.unlink()
    for name, content in recording.journal.image(end, dice, recording.start).items():
        (folder / name).write_bytes(content)
    return f"sqlite:///{folder / 'store.db'}", end, dice


def faults_of(store: Store, recording: Recording, end: int) -> list[str]:
    """Return what the image does not know of what the world saw before the cut."""
    rows, account = rows_of(store, recording.send_id), store.sends.account(recording.send_id)
    found = [] if account.closes and account.planned == len(PEOPLE) else [f"the account does not close: {account}"]
    for kind, address, more in recording.journal.notes(end):
        row = rows[address]
        is_untouched = row.state in (State.PENDING, State.CLAIMED) and not row.attempts and not row.doubts
        if kind == "dot" and is_untouched:
            found.append(f"{address}'s dot was seen, and its row is {row.state}: the mark is lost")
        if kind == "recorded" and more is Event.ACCEPT and row.state is not State.SENT:
            found.append(f"{address} was recorded as sent, and is {row.state}")
        if kind == "recorded" and more is not Event.ACCEPT and is_untouched:
            found.append(f"{address}'s {more} was recorded, and its row is {row.state}")
        if kind == "left" and not is_gone(store, address):
            found.append(f"{address} left, and is back on the list")
    return found


def is_gone(store: Store, address: str) -> bool:
    person = store.subscribers.find_subscriber(store.subscribers.ensure_list("weekly", Clock()()).list_id, address)
    return person.state != "active"


def go_on(url: str, recording: Recording, end: int, connections: int) -> tuple[list[str], int, int]:
    """Open the image, look, and send the rest; return what is wrong, how many were mailed twice, and are in doubt."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as plain:
        sound = plain.execute("PRAGMA integrity_check").fetchall()
    plain.close()
    found = [] if sound == [("ok",)] else [f"the database is damaged: {sound[:3]}"]
    before = Counter(note[1] for note in recording.journal.notes(end) if note[0] == "dot" and note[2])
    with scripted_relay() as relay, open_scene(url) as store:
        found += faults_of(store, recording, end)
        clock = Clock()
        clock.forward(hours=1)
        report = run_to_end(store, recording.send_id, make_setup(connector(relay.port), clock, connections), clock)
        rows = rows_of(store, recording.send_id)
        flagged = [row.address for row in store.ledger.list_failures(recording.send_id) if row.doubts]
        mailed = before + relay.mailed
        found += violations(rows, mailed, flagged, refused=[REFUSED])
        if report.account.open or not report.account.closes:
            found.append(f"the account after it: {report.account}")
        if report.recovery.doubted > connections:
            found.append(f"{report.recovery.doubted} rows in doubt over {connections} connections")
    twice = sum(count > 1 for address, count in mailed.items() if address != DROPPED)
    return found, twice, len(flagged)


def cut_often(folder: Path, connections: int, images: range, pragmas=None) -> tuple[list[str], Counter[str]]:
    """Cut the power once for each number in ``images``; return every fault, and the sums."""
    (folder / "image").mkdir()
    recording = record(folder, connections, pragmas)
    faults, sums = [], Counter()
    for number in images:
        url, end, _ = lay_image(recording, number, folder / "image")
        try:
            found, twice, doubted = go_on(url, recording, end, connections)
        except Exception as error:
            found, twice, doubted = [f"{type(error).__name__}: {error}"], 0, 0
        sums += Counter(images=1, bad_images=bool(found), mailed_twice=twice, in_doubt=doubted)
        where = f"seed {SEED}-{number}, {connections} connections, cut at {end} of {len(recording.journal.steps)}"
        faults += [f"{where}: {words}" for words in found]
    return faults, sums


@pytest.mark.parametrize("connections", [1, 4])
def test_power_cut_at_any_moment(connections, tmp_path):
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    faults, sums = cut_often(tmp_path, connections, range(30))
    assert not faults, "\n".join(faults)
    assert sums["images"] == 30


@pytest.mark.proof
@pytest.mark.parametrize("connections", [1, 4])
def test_many_power_cuts(connections, tmp_path):
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    started = time.monotonic()
    faults, sums = cut_often(tmp_path, connections, range(1000, 1400))
    assert not faults, "\n".join(faults)
    keep_figures("power loss", connections=connections, **sums, lost=0, seconds=round(time.monotonic() - started))


def test_a_weaker_sync_is_seen_to_lose_marks(tmp_path):
    """A proof that cannot fail proves nothing: what SQLite does without FULL, the images show."""
    faults, _ = cut_often(tmp_path, 1, range(30), WEAKER)
    assert any("the mark is lost" in line or "was recorded" in line for line in faults), faults


def test_power_cut_while_a_send_is_planned(tmp_path):
    """What was cut amid setting up the store or planning a send is done anew, and comes to the same."""
    journal = Journal()
    with apsw_connections(journal):
        fill_store(f"sqlite:///{tmp_path / 'store.db'}", PEOPLE)
    recording = Recording(journal, {}, 1)
    (tmp_path / "image").mkdir()
    for number in range(20):
        url, end, _ = lay_image(recording, number, tmp_path / "image")
        send_id = fill_store(url, PEOPLE)
        with open_scene(url) as store:
            account = store.sends.account(send_id)
            assert (account.planned, account.open, account.closes) == (len(PEOPLE), len(PEOPLE), True), (number, end)
