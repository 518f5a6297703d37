"""G13: no mark, no dot. A disk that is full, slow to be had, read-only or broken, and a database that is gone.

Where the mark cannot be made durable, the dot is never sent; where a result cannot be recorded after the 250, its row
stays transmitting and is in doubt in the next run; in each case the run stops, says what to do, and the next one, with
the trouble mended, loses nobody.
"""

import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from newsletter.delivery import State
from newsletter.errors import StoreError
from proof.disk import Journal, apsw_connections
from proof.figures import keep_figures
from proof.relay import Dot, Relay
from proof.scene import (
    Clock,
    connector,
    fill_store,
    make_setup,
    open_scene,
    people,
    rows_of,
    run_free,
    run_to_end,
    supports,
    violations,
)
from proof.stores import KINDS, open_ground, skip_missing

PEOPLE = people(8)
TROUBLES = {"full": apsw.FullError, "failing": apsw.IOError, "read-only": apsw.ReadOnlyError}


def mend_and_go_on(url: str, send_id: int, relay: Relay, connections: int, doubt: str = "resend") -> list[str]:
    """Send the rest on a healthy store, and return what is wrong at the end."""
    clock = Clock()
    clock.forward(hours=1)
    with open_scene(url) as store:
        setup = make_setup(connector(relay.port), clock, connections, doubt=doubt)
        report = run_to_end(store, send_id, setup, clock)
        rows = rows_of(store, send_id)
        flagged = [row.address for row in store.ledger.list_failures(send_id) if row.doubts]
    found = violations(rows, relay.mailed, flagged)
    if not report.account.closes or report.account.open:
        found.append(f"the account at the end: {report.account}")
    if report.recovery.doubted > connections:
        found.append(f"{report.recovery.doubted} rows in doubt over {connections} connections")
    return found


# --- the disk, write by write ----------------------------------------------------------------------------------------


def fail_from(journal: Journal, number: int, error: type[Exception]) -> None:
    """Let every write and sync from the ``number``-th on fail."""
    count = iter(range(10**9))

    def check(_kind: str, _file: str) -> None:
        if next(count) >= number:
            raise error("the proof's disk says so")

    journal.before_step = check


def break_disk(folder: Path, trouble: str, number: int, connections: int) -> tuple[list[str], bool, bool]:
    """Send on a disk that breaks at one write; return what is wrong, whether it broke, and whether it lost a result."""
    path = folder / "store.db"
    for old in folder.iterdir():
        old.unlink()
    send_id = fill_store(f"sqlite:///{path}", PEOPLE)
    journal, has_broken, found = Journal(), False, []
    with Relay() as relay:
        with apsw_connections(journal), contextlib.ExitStack() as stack:
            store = stack.enter_context(open_scene(f"sqlite:///{path}"))
            stack.callback(setattr, journal, "before_step", None)
            fail_from(journal, number, TROUBLES[trouble])
            relay.on_dot = lambda dot: look(journal, path, dot, found)
            try:
                run_free(store, send_id, make_setup(connector(relay.port), Clock(), connections))
            except StoreError as error:
                has_broken = True
                if not str(error).startswith(str(path)):
                    found.append(f"the error does not say where: {error}")
        relay.on_dot = None
        dots = len(relay.dots)
        with open_scene(f"sqlite:///{path}") as healthy:
            left = [row for row in rows_of(healthy, send_id).values() if row.state is State.TRANSMITTING]
        unrecorded = sum(dot.address in {row.address for row in left} for dot in relay.dots)
        if len(left) > connections:
            found.append(f"{len(left)} rows transmitting over {connections} connections")
        found += mend_and_go_on(f"sqlite:///{path}", send_id, relay, connections, "hold")
        if len(relay.dots) < dots:
            found.append("dots were lost")
    return [f"{trouble} from write {number} on: {words}" for words in found], has_broken, bool(unrecorded)


def look(journal: Journal, path: Path, dot: Dot, found: list[str]) -> None:
    """Read the row of a dot on the disk that breaks; a reader writes nothing."""
    before, journal.before_step = journal.before_step, None
    try:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
        query = "SELECT d.state FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id WHERE s.address = ?"
        state = connection.execute(query, (dot.address,)).fetchone()[0]
        connection.close()
    finally:
        journal.before_step = before
    if state != State.TRANSMITTING:
        found.append(f"{dot.address}'s dot came, and its row is {state}")


def sweep_disk(folder: Path, trouble: str, connections: int, step: int) -> tuple[int, int]:
    """Break the disk at every ``step``-th write of a send; return how often it broke, and lost a result."""
    broken = unrecorded = 0
    for number in range(0, 10_000, step):
        faults, has_broken, has_lost = break_disk(folder, trouble, number, connections)
        assert not faults, "\n".join(faults)
        broken, unrecorded = broken + has_broken, unrecorded + has_lost
        if not has_broken:
            break
    return broken, unrecorded


@pytest.mark.parametrize("trouble", TROUBLES)
def test_disk_that_breaks_stops_the_dots(trouble, tmp_path):
    broken, unrecorded = sweep_disk(tmp_path, trouble, 1, 5)
    assert broken >= 5
    assert unrecorded or trouble != "full"


@pytest.mark.proof
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_disk_that_breaks_at_any_write(trouble, connections, tmp_path):
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    started = time.monotonic()
    broken, unrecorded = sweep_disk(tmp_path, trouble, connections, 1)
    assert unrecorded
    figures = {"broken": broken, "results_in_doubt": unrecorded, "dots_without_mark": 0, "lost": 0}
    keep_figures("disk", trouble=trouble, connections=connections, **figures, seconds=round(time.monotonic() - started))


# --- a real file system that is full ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Mount a file system of 1 MiB, where this machine lets us."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("full_at", [0, 1, 4])
def test_file_system_that_is_full(small_disk, full_at):
    """Fill it up at one of the dots; the run stops, and goes on when there is space again."""
    url, filler = f"sqlite:///{small_disk / 'store.db'}", small_disk / "filler"
    send_id = fill_store(url, PEOPLE)

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(512))

    with Relay() as relay:
        relay.on_dot = lambda _: fill() if len(relay.dots) > full_at else None
        with open_scene(url) as store:
            setup = make_setup(connector(relay.port), Clock())
            with pytest.raises(StoreError, match="the disk is full; free some space"):
                run_free(store, send_id, setup)
        dots = len(relay.dots)
        assert dots < len(PEOPLE)
        filler.unlink()
        relay.on_dot = None
        assert not mend_and_go_on(url, send_id, relay, 1)
        assert len(relay.dots) > dots


# --- a store that others hold, or that is gone -----------------------------------------------------------------------


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("held_at", [0, 1, 3])
@pytest.mark.parametrize("store", KINDS)
def test_store_that_another_holds_too_long(store, held_at, connections, tmp_path):
    """Another command keeps a transaction open from one of the dots on, longer than the run will wait."""
    skip_missing(store)
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    with open_ground(store, tmp_path) as ground:
        ground.prepare(lambda url: fill_store(url, PEOPLE))
        url, send_id = ground.fresh()
        is_held, is_over = threading.Event(), threading.Event()

        def hold() -> None:
            with open_scene(url) as other, other.database.transaction():
                is_held.set()
                is_over.wait(60)

        holder, held = threading.Thread(target=hold), []

        def see(_dot: Dot) -> None:
            if len(relay.dots) > held_at and not held:
                holder.start()
                is_held.wait(60)
                held.append(len(relay.dots))

        with Relay(on_dot=see) as relay:
            with open_scene(url, timeout_s=0.1) as mine, pytest.raises(StoreError, match="held by another"):
                run_free(mine, send_id, make_setup(connector(relay.port), Clock(), connections))
            is_over.set()
            holder.join()
            # Those that were marked with it may still have come; none was marked after it.
            assert len(relay.dots) <= held[0] + connections - 1
            relay.on_dot = None
            assert not mend_and_go_on(url, send_id, relay, connections)


@pytest.mark.parametrize("killed_at", [0, 3])
def test_database_server_that_is_killed(killed_at):
    """Every process of PostgreSQL dies at one of the dots; the run ends, and another goes on when it is back."""
    skip_missing("postgresql")
    from postgres_server import PostgresServer

    folder = Path(tempfile.mkdtemp(prefix="proof"))  # not pytest's, into which the server's user may not look
    folder.chmod(0o755)
    server = PostgresServer(folder / "server")
    server.start()
    try:
        url = server.url(server.make_database())
        send_id = fill_store(url, PEOPLE)
        has_died = threading.Event()

        def kill(_dot: Dot) -> None:
            if len(relay.dots) > killed_at and not has_died.is_set():
                has_died.set()
                server.kill()

        with Relay() as relay:
            relay.on_dot = kill
            with open_scene(url) as store, pytest.raises(StoreError):
                run_free(store, send_id, make_setup(connector(relay.port), Clock()))
            assert len(relay.dots) == killed_at + 1
            server.start()
            relay.on_dot = None
            assert not mend_and_go_on(url, send_id, relay, 1)
            assert Counter(relay.mailed).most_common(1)[0][1] <= 2
    finally:
        server.stop()
        shutil.rmtree(folder)
