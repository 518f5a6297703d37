"""Let several processes send, leave and die at once, as cron, the web and the kernel would have it.

Run as ``python -m proof.herd``, it reads one JSON line of ``Task``, and prints one of what it found. The process has a
single thread, which is the relay and the parent of all others (``proof.nursery``). What is random comes from ``seed``
and from when the machine schedules whom; a violation therefore names the seed, but may need several tries to come back.
"""

import hashlib
import json
import os
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from newsletter.delivery import State
from newsletter.errors import BusyError
from newsletter.sender import run_send
from newsletter.store import Store
from newsletter.store.records import SubscriptionState
from proof.nursery import Nursery, warm_up
from proof.relay import HANG_UP, Relay
from proof.scene import Clock, connector, fill_store, make_setup, open_scene, people, rows_of, violations
from proof.stores import Ground, open_ground

SPOKE = 40
"""The status of a run that reported a send; one with nothing to do says nothing."""
DOMAINS = tuple(f"d{number}.example" for number in range(40))


@dataclass(frozen=True)
class Task:
    """Say what to do: ``scene`` is ``kills``, ``races`` or ``leaves``; ``count`` people, races, or people who leave."""

    scene: str
    store: str
    folder: str
    count: int
    connections: int = 1
    processes: int = 3
    seed: int = 1


@dataclass
class Found:
    """Say what came of it; ``violations`` is empty where the promise holds."""

    figures: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def share(address: str, kind: str) -> float:
    """Return a number from 0 to 1 that depends on the address and ``kind`` alone."""
    return int.from_bytes(hashlib.sha256(f"{kind} {address}".encode()).digest()[:4]) / 2**32


def send_until_done(url: str, send_id: int, port: int, connections: int, clock: Clock) -> int:
    """Send as a run of cron each minute would: 0 when no row is open, and hours later each time that some wait."""
    setup = make_setup(connector(port), clock, connections)
    with open_scene(url) as store:
        while True:
            try:
                report = run_send(store, send_id, setup)
            except BusyError:
                time.sleep(0.01)
                continue
            if not report.account.open:
                return 0
            clock.forward(hours=6)


# ---------------------------------------------------------------------------------------------------------------------
# Kills
# ---------------------------------------------------------------------------------------------------------------------


def kills(task: Task, ground: Ground) -> Found:
    """Let processes compete for one send, and kill one of them again and again until the send is over."""
    addresses = [f"r{number}@{DOMAINS[number % len(DOMAINS)]}" for number in range(task.count)]
    ground.prepare(lambda url: fill_store(url, addresses))
    url, send_id = ground.fresh()
    relay, dice = Relay(), random.Random(task.seed)
    refused = script_answers(relay, addresses)
    nursery, generation, killed = Nursery(relay), 0, 0
    started = time.monotonic()

    def bear() -> None:
        nonlocal generation
        clock = Clock()
        clock.forward(days=generation)
        generation += 1
        nursery.bear(lambda: send_until_done(url, send_id, relay.port, task.connections, clock))

    for _ in range(task.processes):
        bear()
    deaths = max(10, task.count // 60)
    while nursery.living and not nursery.statuses:
        goal = len(relay.dots) + dice.randrange(1, max(2, 2 * task.count // deaths))
        delay = time.monotonic() + dice.random() * 2
        while len(relay.dots) < goal and time.monotonic() < delay and not nursery.statuses:
            nursery.serve(0.02)
        for _ in range(dice.randrange(20)):
            nursery.serve(0)
        if killed < 5 * deaths and not nursery.statuses:
            nursery.kill(dice.choice(list(nursery.living)))
            killed += 1
            while not nursery.serve(1):
                pass
            bear()
    nursery.wait()
    with open_scene(url) as store:
        found = account_for(store, send_id, relay, refused, killed * task.connections)
    found.violations += [f"a process ended with {code}" for code in nursery.statuses if code]
    found.figures |= {"kills": killed, "seconds": round(time.monotonic() - started)}
    return found


def script_answers(relay: Relay, addresses: list[str]) -> list[str]:
    """Let the relay defer some, refuse some for good, drop after some dots and put others off; return the refused."""
    refused = [address for address in addresses if share(address, "refuse") < 0.02]
    relay.rcpt = {address: ["451 4.7.1 greylisted"] for address in addresses if share(address, "defer") < 0.05}
    relay.rcpt |= {address: ["550 5.1.1 no such user"] * 99 for address in refused}
    relay.dot = {address: [HANG_UP] for address in addresses if share(address, "drop") < 0.01}
    relay.dot |= {address: ["452 4.3.1 no space"] for address in addresses if share(address, "put off") < 0.01}
    return refused


def account_for(store: Store, send_id: int, relay: Relay, refused: list[str], crashes: int) -> Found:
    """Check the end of a send; ``crashes`` bounds how many rows dead connections may have left in doubt."""
    rows, account = rows_of(store, send_id), store.sends.account(send_id)
    flagged = [row.address or "" for row in store.ledger.list_failures(send_id) if row.doubts]
    mailed = relay.mailed
    found = Found(violations=violations(rows, mailed, flagged, refused=refused))
    if not account.closes or account.open:
        found.violations.append(f"the account does not close: {account}")
    drops = sum(not dot.is_answered for dot in relay.dots)
    doubts = sum(row.doubts for row in rows.values())
    extra = sum(count - 1 for count in mailed.values() if count > 1)
    if doubts > crashes + drops:
        found.violations.append(f"{doubts} doubts after {crashes} connections died and {drops} answers were dropped")
    if extra > crashes + drops:
        found.violations.append(f"{extra} messages too many after {crashes} connections died")
    ids = {(dot.address, dot.message_id) for dot in relay.dots}
    if len(ids) != len({address for address, _ in ids}):
        found.violations.append("somebody was mailed under two Message-IDs")
    lost = sum(row.state is State.SENT and not mailed[address] for address, row in rows.items())
    found.figures = account.as_json() | {"lost": lost, "mailed_twice": extra, "doubts": doubts}
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Races
# ---------------------------------------------------------------------------------------------------------------------


def races(task: Task, ground: Ground) -> Found:
    """Start ``newsletter send --due`` twice at once, on a fresh store each time."""
    from newsroom import Newsroom

    import newsletter.compiler
    import newsletter.freezer
    import newsletter.worker

    _ = (newsletter.compiler, newsletter.freezer, newsletter.worker)
    relay, dice, found = Relay(), random.Random(task.seed), Found()
    nursery, addresses = Nursery(relay), people(5)
    room = Newsroom(Path(task.folder) / "room")
    room.environ |= {
        "NEWSLETTER_SMTP__HOST": "127.0.0.1",
        "NEWSLETTER_SMTP__PORT": str(relay.port),
        "NEWSLETTER_SMTP__SECURITY": "none",
        "NEWSLETTER_SMTP__HELO": "client",
    }

    def fill(url: str) -> int:
        import datetime as dt

        room.environ["NEWSLETTER_STORE__URL"] = url
        room.subscribers(*addresses)
        room.timed_issue("2026-11-25", dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5), "not_after: 2099-01-01 08:00")
        answer = room.run("approve", "2026-11-25", "--by", "mark")
        assert answer.code == 0, answer
        answer = room.run("build", "2026-11-25")  # so that no child has to load what compiles
        assert answer.code == 0, answer
        return 0

    ground.prepare(fill)

    def cron(delay: float) -> int:
        time.sleep(delay)
        answer = room.run("send", "--due")
        return SPOKE if answer.code == 0 and answer.out else answer.code

    started = time.monotonic()
    for number in range(task.count):
        room.environ["NEWSLETTER_STORE__URL"], _ = ground.fresh()
        relay.reset()
        for delay in (0.0, dice.choice([0.0, dice.random() * 0.05])):
            nursery.bear(lambda delay=delay: cron(delay))
        nursery.wait()
        mailed = relay.mailed
        if mailed != Counter(addresses):
            found.violations.append(f"race {number} (seed {task.seed}): mailed {dict(mailed)}")
    codes = Counter(nursery.statuses)
    found.violations += [f"{codes[code]} runs ended with {code}" for code in codes.keys() - {0, SPOKE}]
    lines = sum("mailed" in line for line in found.violations)
    found.figures = {"races": task.count, "silent_runs": codes[0], "wrong": lines}
    found.figures["seconds"] = round(time.monotonic() - started)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Leaves
# ---------------------------------------------------------------------------------------------------------------------


def leaves(task: Task, ground: Ground) -> Found:
    """Let people leave while the send is at them: right before their mark, while others wait for their turn.

    The relay waits for those who leave, else a fast send is over before all of them have left.
    """
    addresses = [f"r{number}@{DOMAINS[number % len(DOMAINS)]}" for number in range(2 * task.count)]
    ground.prepare(lambda url: fill_store(url, addresses))
    url, send_id = ground.fresh()
    reading, writing = os.pipe()
    leavers = Leavers(reading, goal=task.count // 2 * 2)
    relay = Relay()
    relay.on_dot = lambda _: leavers.wait_for(len(relay.dots))
    nursery, started = Nursery(relay), time.monotonic()
    clock = Clock()
    nursery.bear(lambda: send_until_done(url, send_id, relay.port, task.connections, clock))
    goal = task.count // 2
    for seed in (2 * task.seed, 2 * task.seed + 1):
        nursery.bear(lambda seed=seed: let_leave(url, send_id, goal, seed, writing))
    os.close(writing)
    while nursery.living:
        nursery.serve(0.05)
        leavers.read()
    relay.drain()
    with open_scene(url) as store:
        rows = rows_of(store, send_id)
        found = account_for(store, send_id, relay, [], 0)
    left = [json.loads(line) for line in leavers.lines.splitlines()]
    found.violations += broken_leaves(rows, relay, left)
    found.violations += [f"a process ended with {code}" for code in nursery.statuses if code]
    states = Counter(state for _, state, _ in left)
    found.figures |= {"left": len(left), "left_before_the_mark": states["pending"] + states["claimed"]}
    found.figures |= {"dots_after_leaving": 0, "seconds": round(time.monotonic() - started)}
    return found


class Leavers:
    """Read what those processes write down that let ``goal`` people leave, a line each."""

    def __init__(self, descriptor: int, goal: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._goal = goal
        self.lines = b""

    def read(self) -> int:
        """Return how many have left by now."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._descriptor, 65536):
                self.lines += chunk
        return self.lines.count(b"\n")

    def wait_for(self, dots: int) -> None:
        """Wait until nearly as many have left as messages were taken, or a second."""
        deadline = time.monotonic() + 1
        while dots - 20 > (left := self.read()) and left < self._goal and time.monotonic() < deadline:
            time.sleep(0.001)


def let_leave(url: str, send_id: int, count: int, seed: int, writing: int) -> int:
    """Unsubscribe people, most of them right where the send is; write down each, and where their row was by then."""
    dice, left = random.Random(seed), 0
    with open_scene(url) as store:
        list_id = store.subscribers.load_lists()[0].list_id
        deadline = time.monotonic() + 600
        while left < count and time.monotonic() < deadline:
            state = "claimed" if dice.random() < 0.8 else "pending"
            number = choose(store, send_id, state, dice)
            if number is None:
                if not store.database.rows("list_deliveries_in_state", send=send_id, state="pending", after=0, limit=1):
                    break
                continue
            with store.database.transaction():  # so that what is read is where the row was when they left
                row = store.database.rows("list_deliveries", send=send_id, after=number - 1, limit=1)[0]
                has_left = store.subscribers.change_subscription(
                    list_id, number, SubscriptionState.UNSUBSCRIBED, Clock()()
                )
            if has_left:
                at = time.monotonic()
                os.write(writing, json.dumps([row[3], row[5], at]).encode() + b"\n")
                left += 1
    return 0


def choose(store: Store, send_id: int, state: str, dice: random.Random) -> int | None:
    """Return the number of somebody whose row is in this state."""
    after = 0 if state == "claimed" else dice.randrange(10_000)
    rows = store.database.rows("list_deliveries_in_state", send=send_id, state=state, after=after, limit=6)
    return int(dice.choice(rows)[1]) if rows else None


def broken_leaves(rows: dict[str, Any], relay: Relay, left: list[tuple[str, str, float]]) -> list[str]:
    """Return who got a dot although they had left before the mark."""
    found, dots = [], {dot.address: dot for dot in relay.dots}
    for address, state, at in left:
        if state not in ("pending", "claimed"):
            continue  # the mark was first; the message was on its way
        if address in dots:
            found.append(f"{address} left when {state}, and {dots[address].at - at:.6f} s later their dot came")
        if rows[address].state is not State.SKIPPED:
            found.append(f"{address} left when {state}, and is {rows[address].state}")
    return found


SCENES = {"kills": kills, "races": races, "leaves": leaves}


def main() -> None:
    task = Task(**json.loads(sys.stdin.readline()))
    with open_ground(task.store, Path(task.folder)) as ground:
        warm_up(task.store)
        found = SCENES[task.scene](task, ground)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
