"""Kill a sending process at each thing it does, let another go on, and check what the promise says of every row.

Run as ``python -m proof.failpoints``, it reads one JSON line of ``Sweep`` and prints one of what it found. The process
has a single thread, which is relay, witness and parent: it forks the run that dies, answers its SMTP, looks into the
database at each dot, and forks the run that goes on. Points are counted in one run first, then died at, one run a
point: before and after each statement of the database (commits are statements), before, amid and after each write to
a socket, before and after each read of one, and connecting.
"""

import contextlib
import functools
import json
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from newsletter.delivery import State
from newsletter.reports import Ending
from newsletter.store import Recovery, Store
from newsletter.store.ledger import Ledger
from proof.nursery import in_child, warm_up
from proof.relay import HANG_UP, Dot, Relay
from proof.scene import (
    Clock,
    connector,
    fill_store,
    leave,
    make_setup,
    open_scene,
    rows_of,
    run_free,
    run_to_end,
    violations,
)
from proof.stores import Ground, open_ground

CAST = ("ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")
"""ann, bob, hal: accepted. cyd: deferred once. dan: refused. eve: the relay hangs up after the dot. fay: leaves while
her envelope is on the wire. gus: deferred after the dot, once."""
ACCEPTED, REFUSED, LEAVER = ("ann", "bob", "hal"), "dan@example.org", "fay@example.org"
DROPPED = "eve@example.org"


@dataclass(frozen=True)
class Sweep:
    """Say what to sweep: every ``step``-th point from ``first`` on, of a send over so many connections.

    ``harm`` breaks the sender on purpose (``HARMS``), to show that the sweep sees it.
    """

    store: str
    folder: str
    connections: int = 1
    doubt: str = "resend"
    first: int = 0
    step: int = 1
    last: int = -1
    harm: str = ""


@dataclass
class Findings:
    """Say what a sweep found; ``violations`` is empty where the promise holds."""

    points: int = 0
    deaths: int = 0
    mailed_twice: int = 0
    doubted_by_crash: int = 0
    most_connections: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


# ---------------------------------------------------------------------------------------------------------------------
# The points, in the process that dies
# ---------------------------------------------------------------------------------------------------------------------


class Points:
    """Count what the process does, and kill it at number ``deadly``; ``report`` gets the labels of a counting run."""

    def __init__(self, deadly: int) -> None:
        self.deadly = deadly
        self.labels: list[str] = []
        self._lock = threading.Lock()

    def reach(self, label: str) -> None:
        """Pass a point, or die there as by ``kill -9``."""
        with self._lock:
            if len(self.labels) == self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            self.labels.append(label)


def arm(points: Points) -> None:
    """Put points around everything that this process says to a database or a socket from now on."""
    _arm_sqlite(points)
    if "psycopg" in sys.modules:
        _arm_psycopg(points)
    _arm_sockets(points)


def _mark_nothing(ledger: Any) -> None:
    advance = ledger.advance_deliveries

    def lie(self: Any, send_id: int, owner: str, results: Any, marks: Any, now: Any, **_: Any) -> Any:
        answer = advance(self, send_id, owner, results, (), now)
        return replace(answer, marked=frozenset(delivery.subscriber_id for delivery in marks))

    ledger.advance_deliveries = lie


def _repair_nothing(ledger: Any) -> None:
    ledger.recover_deliveries = lambda *_: Recovery()


HARMS = {"mark nothing": _mark_nothing, "repair nothing": _repair_nothing}


def _words(sql: object) -> str:
    return " ".join(str(sql).split()[:2]).lower()


def _arm_sqlite(points: Points) -> None:
    class Mined(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            points.reach(f"before {_words(sql)}")
            cursor = super().execute(sql, *values)
            points.reach(f"after {_words(sql)}")
            return cursor

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            points.reach(f"before {_words(sql)}")
            cursor = super().executemany(sql, *values)
            points.reach(f"after {_words(sql)}")
            return cursor

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **values: connect(*args, **values | {"factory": Mined})  # type: ignore[assignment]


def _arm_psycopg(points: Points) -> None:
    import psycopg
    from psycopg import Connection, Cursor

    from newsletter.store.batches import Batches

    connect = psycopg.connect

    def mined_connect(*args: Any, **values: Any) -> Any:
        points.reach("before login")
        connection = connect(*args, **values)
        points.reach("after login")
        return connection

    psycopg.connect = mined_connect
    for kind, name in (
        (Cursor, "execute"),
        (Cursor, "executemany"),
        (Cursor, "copy"),
        (Batches, "run"),
        (Batches, "_await_answers"),
        (Connection, "commit"),
        (Connection, "rollback"),
    ):
        setattr(kind, name, _mined(points, getattr(kind, name), name))


def _mined(points: Points, method: Any, name: str) -> Any:
    def call(self: Any, *args: Any, **values: Any) -> Any:
        label = _words(args[0]) if args else name
        points.reach(f"before {label}")
        answer = method(self, *args, **values)
        points.reach(f"after {label}")
        return answer

    return call


def _arm_sockets(points: Points) -> None:
    send, recv, connect = socket.socket.send, socket.socket.recv, socket.socket.connect

    def mined_send(self: socket.socket, octets: bytes, *flags: int) -> int:
        points.reach("before write")
        half = len(octets) // 2
        sent = send(self, octets[:half], *flags)
        points.reach("amid write")
        if sent == half:
            with contextlib.suppress(BlockingIOError):  # the first half has gone all the same
                sent += send(self, octets[half:], *flags)
        points.reach("after write")
        return sent

    def mined_recv(self: socket.socket, *args: int) -> bytes:
        points.reach("before read")
        octets = recv(self, *args)
        points.reach("after read")
        return octets

    def mined_connect(self: socket.socket, address: Any) -> None:
        points.reach("before connect")
        connect(self, address)
        points.reach("after connect")

    socket.socket.send = mined_send  # type: ignore[method-assign, assignment]
    socket.socket.recv = mined_recv  # type: ignore[method-assign, assignment]
    socket.socket.connect = mined_connect  # type: ignore[method-assign]


# ---------------------------------------------------------------------------------------------------------------------
# The sweep, in the process that watches
# ---------------------------------------------------------------------------------------------------------------------


class Sweeper:
    """Hold the ground, the relay and what was found."""

    def __init__(self, sweep: Sweep, ground: Ground) -> None:
        self.sweep = sweep
        self.ground = ground
        self.relay = Relay(on_rcpt=self._at_recipient, on_dot=self._at_dot)
        self.found = Findings()
        self.point = -1
        self.label = "?"
        self.send_id = 0
        self.url = ""
        self._store: Store | None = None
        self._numbers: dict[str, int] = {}

    def run(self) -> Findings:
        """Count the points, then die at each that the sweep asks for."""
        self.ground.prepare(lambda url: fill_store(url, [f"{name}@example.org" for name in CAST]))
        self._begin(-1)
        labels = self._dying_run()
        self._end()
        self.found.points = len(labels)
        last = len(labels) if self.sweep.last < 0 else min(self.sweep.last, len(labels))
        for number in range(self.sweep.first, last, self.sweep.step):
            self.label = labels[number]
            self._begin(number)
            self._dying_run()
            self._end()
        self.found.labels = dict(Counter(labels))
        return self.found

    def _begin(self, number: int) -> None:
        self.point = number
        self.url, self.send_id = self.ground.fresh()
        relay = self.relay
        relay.reset()
        relay.rcpt = {"cyd@example.org": ["451 4.7.1 greylisted"], REFUSED: ["550 5.1.1 no such user"] * 9}
        relay.dot = {DROPPED: [HANG_UP], "gus@example.org": ["452 4.3.1 no space"]}

    def _dying_run(self) -> list[str]:
        """Run the send in a child that dies at the point; return the labels of one that did not."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            in_child(lambda: self._send_and_die(writing))
        os.close(writing)
        status = self._watch(pid, reading)
        labels = b""
        while chunk := os.read(reading, 65536):
            labels += chunk
        os.close(reading)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.found.deaths += 1
        elif status:
            self._accuse(f"the run ended with status {status} instead of being killed")
        return json.loads(labels) if labels else []

    def _send_and_die(self, writing: int) -> None:
        self.relay.close_child()
        self._harm()
        points = Points(self.point)
        arm(points)
        clock = Clock()
        with open_scene(self.url) as store:
            setup = make_setup(connector(self.relay.port), clock, self.sweep.connections, doubt=self.sweep.doubt)
            run_free(store, self.send_id, setup)
        os.write(writing, json.dumps(points.labels).encode())

    def _harm(self) -> None:
        if self.sweep.harm:
            HARMS[self.sweep.harm](Ledger)

    def _end(self) -> None:
        """Let another process go on to the end, and check the account."""
        crash = self._look()
        self._close()
        pid = os.fork()
        if pid == 0:
            in_child(self._send_to_end)
        if status := self._watch(pid):
            self._accuse(f"the run after it ended with status {status}")
        self._check(crash)
        self._close()

    def _send_to_end(self) -> None:
        self.relay.close_child()
        self._harm()
        clock = Clock()
        clock.forward(minutes=10)
        with open_scene(self.url) as store:
            setup = make_setup(connector(self.relay.port), clock, self.sweep.connections, doubt=self.sweep.doubt)
            run_to_end(store, self.send_id, setup, clock)

    def _watch(self, pid: int, reading: int = -1) -> int:
        """Be the relay until the child is dead; return how it ended."""
        watched = os.pidfd_open(pid)
        self.relay.register(watched)
        while not self.relay.serve(5):
            pass
        self.relay.unregister(watched)
        os.close(watched)
        _, status = os.waitpid(pid, 0)
        self.relay.drain()
        self.found.most_connections = max(self.found.most_connections, self.relay.most_open)
        return status

    # -- the witness --------------------------------------------------------------------------------------------------

    def _look(self) -> int:
        """Return how many rows the dead run left as transmitting."""
        rows = rows_of(self._open(), self.send_id)
        left = sum(row.state is State.TRANSMITTING for row in rows.values())
        if left > self.sweep.connections:
            self._accuse(f"{left} rows were transmitting over {self.sweep.connections} connections")
        self.found.doubted_by_crash += left
        return left

    def _open(self) -> Store:
        # SQLite's is opened after a fork and closed before the next; PostgreSQL's is one that no child touches.
        if self._store is None:
            self._store = open_scene(self.url)
        return self._store

    def _close(self) -> None:
        if self._store is not None and self.sweep.store == "sqlite":
            self._store.close()
            self._store = None

    def _at_recipient(self, address: str) -> None:
        if address == LEAVER:
            state = rows_of(self._open(), self.send_id)[address].state
            if leave(self._open(), address) and state is State.TRANSMITTING:
                self._accuse("a row was marked before its envelope was on the wire")

    def _at_dot(self, dot: Dot) -> None:
        row = rows_of(self._open(), self.send_id)[dot.address]
        if row.state is not State.TRANSMITTING and not self._was_left(dot, row.state, row.doubts):
            self._accuse(f"{dot.address}'s dot came, and its row is {row.state}")

    def _was_left(self, dot: Dot, state: State, doubts: int) -> bool:
        """Tell whether the dot is one that a dead run left in the socket, and that another has repaired meanwhile."""
        return doubts > 0 and state in (State.IN_DOUBT, State.PENDING, State.CLAIMED)

    def _check(self, crash: int) -> None:
        store = self._open()
        rows, account = rows_of(store, self.send_id), store.sends.account(self.send_id)
        flagged = [row.address or "" for row in store.ledger.list_failures(self.send_id) if row.doubts]
        mailed = self.relay.mailed
        for words in violations(rows, mailed, flagged, refused=[REFUSED]):
            self._accuse(words)
        if not account.closes or account.open or account.planned != len(CAST):
            self._accuse(f"the account does not close: {account}")
        if store.sends.load_send(self.send_id).state != Ending.FINISHED:
            self._accuse("the send is not finished")
        if rows[LEAVER].state is not State.SKIPPED or mailed[LEAVER]:
            self._accuse(f"who left is {rows[LEAVER].state} and was mailed {mailed[LEAVER]} times")
        self._check_doubts(rows, crash)
        for name in ACCEPTED:
            ids = {dot.message_id for dot in self.relay.dots if dot.address == f"{name}@example.org"}
            if len(ids) > 1:
                self._accuse(f"{name} was mailed under {len(ids)} Message-IDs")
        self.found.mailed_twice += sum(count > 1 for address, count in mailed.items() if address != DROPPED)

    def _check_doubts(self, rows: dict[str, Any], crash: int) -> None:
        """Check that no more was doubted or mailed twice than the crash and eve's lost answer explain."""
        lost = 1 + (self.sweep.doubt == "resend")  # eve's answer; under resend, her second doubt keeps her
        doubts = sum(row.doubts for row in rows.values())
        if doubts > crash + lost:
            self._accuse(f"{doubts} doubts where {crash} rows were transmitting")
        extra = sum(max(0, count - 1) for count in self.relay.mailed.values())
        if extra > (crash + 1 if self.sweep.doubt == "resend" else 0):
            self._accuse(f"{extra} messages more than once where {crash} rows were transmitting")
        for name in ACCEPTED:
            row = rows[f"{name}@example.org"]
            if self.sweep.doubt == "resend" and row.state is not State.SENT:
                self._accuse(f"{name} is {row.state} at the end")

    def _accuse(self, words: str) -> None:
        sweep = self.sweep
        where = f"{sweep.store}, {sweep.connections} connections, {sweep.doubt}, point {self.point} ({self.label})"
        self.found.violations.append(f"{where}: {words}")


def make_quick() -> None:
    """Leave out of every child what touches neither database nor socket, and takes a third of its time."""
    for module in [each for name, each in sys.modules.items() if name.startswith("newsletter.")]:
        if hasattr(module, "load_queries"):  # the same files each time
            module.load_queries = functools.cache(module.load_queries)  # type: ignore[attr-defined]
        if hasattr(module, "verify_message"):
            module.verify_message = lambda *_args, **_values: ()  # type: ignore[attr-defined]


def main() -> None:
    sweep = Sweep(**json.loads(sys.stdin.readline()))
    with open_ground(sweep.store, Path(sweep.folder)) as ground:
        warm_up(sweep.store)
        make_quick()
        found = Sweeper(sweep, ground).run()
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
