"""G3 to G8 and G12: whatever a relay does wrong, at whatever stage, each row ends as the rules of sending say.

One fault strikes once, amid a send to a few people over TLS with a login, and the run goes on, again if need be, until
nothing is open. ``TABLE`` says how it must end. It is made from the rules, not from what the code does:

``.``  nothing comes of it: everybody is sent to once.
``A``  again: proven unsent, so the message goes out on another connection; charged to nobody (G4, G6).
``D``  deferred: a 4yz to the message waits five minutes, and is charged (G5).
``H``  a hard bounce: refused at RCPT by 5.1.1, failed, suppressed, never mailed (G8).
``U``  refused because of us: failed, and the address stays (G7).
``?``  in doubt: the dot was written, or may have been, and no answer came. Sent once more under the same Message-ID,
       and named in the report (G3).
``a``  ``A`` or ``?``: the relay is gone when only the dot is missing. Whether the mark was durable by then is a matter
       of microseconds; if it was, nobody can say that the dot did not go.
"""

import datetime as dt
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from certificates import make_certificate
from impatience import end_waits

from newsletter.delivery import State
from newsletter.model import Stage
from proof.chaos import FAULTS, STAGES, ChaosRelay
from proof.figures import keep_figures
from proof.scene import (
    Clock,
    connector,
    fill_store,
    make_edition,
    make_setup,
    open_scene,
    people,
    rows_of,
    run_free,
    run_to_end,
    supports,
)
from proof.stores import KINDS, open_ground, skip_missing

TABLE = {
    #              reset, close, stall, 4xx, 421, 5xx, garbage, split, drip
    "connect":     "A      A      A      A    A    A    A        .      A",
    "banner":      "A      A      A      A    A    A    A        .      A",
    "ehlo":        "A      A      A      A    A    A    A        .      A",
    "starttls":    "A      A      A      A    A    A    A        .      A",
    "handshake":   "A      A      A      A    A    A    A        .      A",
    "auth":        "A      A      A      A    A    A    A        .      A",
    "mail":        "A      A      A      D    A    U    A        .      A",
    "rcpt":        "A      A      A      D    A    H    A        .      A",
    "data":        "A      A      A      D    A    U    A        .      A",
    "body":        "A      A      A      D    A    U    A        .      A",
    "before dot":  "a      a      ?      D    A    U    a        .      a",
    "dot":         "?      ?      ?      D    A    U    ?        .      ?",
    "next mail":   "A      A      A      D    A    U    A        .      A",
    "quit":        ".      .      .      .    .    .    .        .      .",
}  # fmt: skip
PLAIN = ("SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES")
PIPELINED = ("PIPELINING", *PLAIN)
HANDSHAKE_S = 0.7
"""How long a handshake may take that never ends; none but it, for there the client waits by other means."""
CELLS = [(stage, fault) for stage in STAGES for fault in FAULTS]


def test_the_table_has_every_cell():
    assert tuple(TABLE) == STAGES
    assert all(len(line.split()) == len(FAULTS) for line in TABLE.values())
    assert len(CELLS) * 2 == 252


def test_the_docs_show_the_same_table():
    text = (Path(__file__).parents[2] / "docs" / "proof.md").read_text(encoding="utf-8")
    lines = [line.strip("|").split("|") for line in text.partition("## The table of ends")[2].splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == 1 + len(FAULTS)]
    assert tuple(cells[0][1:]) == FAULTS
    assert [line[1:] for line in cells[2:]] == [line.split() for line in TABLE.values()]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    """Open a ground of each kind of store when it is first asked for."""
    opened = {}

    def ground(kind, count):
        if (kind, count) not in opened:
            manager = open_ground(kind, tmp_path_factory.mktemp("ground"))
            opened[kind, count] = (manager, manager.__enter__())
            # Big enough that the client cannot be done writing before the relay has read some of it.
            edition = make_edition("The week in China and beyond, told in full.\n" * 2_000)
            opened[kind, count][1].prepare(lambda url: fill_store(url, people(count), edition))
        return opened[kind, count][1]

    yield ground
    for manager, _ in opened.values():
        manager.__exit__(None, None, None)


def play(ground, certificate, stage, fault, *, connections=1, features=PIPELINED):
    """Send to everybody with one fault; return the relay, and the rows after the first run and at last."""
    url, send_id = ground.fresh()
    clock = Clock()
    with (
        ChaosRelay(stage, fault, certificate, features) as relay,
        open_scene(url) as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        if fault in ("stall", "drip"):
            end_waits(patch, lambda: relay.struck)

        def connect():
            is_endless = stage == "handshake" and fault in ("stall", "drip") and not relay.has_struck
            patience = HANDSHAKE_S if is_endless else 30.0
            values = {"security": "starttls", "ca_file": str(certificate.ca_file), "username": "u", "password": "p"}
            return connector(relay.port, timeout=patience, **values)()

        setup = make_setup(connect, clock, connections)
        run_free(store, send_id, setup)
        first = rows_of(store, send_id)
        clock.forward(minutes=10)
        report = run_to_end(store, send_id, setup, clock)
        last = rows_of(store, send_id)
        named = [row.address for row in store.ledger.list_failures(send_id) if row.doubts]
        suppressed = [address for address in last if store.subscribers.find_suppression(address)]
    assert report.account.closes
    assert report.account.open == 0
    return relay, first, last, named, suppressed


def check_cell(relay, first, last, named, suppressed):
    """Hold the end state against the table's letter; return the letter that it turned out to be."""
    letter = TABLE[relay.stage].split()[FAULTS.index(relay.fault)]
    assert relay.has_struck
    mailed = Counter(address for address, _ in relay.taken)
    odd = [address for address, row in last.items() if (row.state, row.doubts) != (State.SENT, 0) or row.attempts != 1]
    assert len(odd) <= 1, odd
    victim = odd[0] if odd else ""
    assert victim in ("", relay.victim) or not relay.victim
    others = set(last) - {victim}
    assert {address: mailed[address] for address in others} == dict.fromkeys(others, 1)
    if letter == "a":
        letter = "?" if victim else "A"
    if letter in ".A":
        assert not victim
        assert not named
        # What struck nobody has cost no connection, and what cut a session another one.
        assert letter == "A" or len({row.attempts for row in last.values()}) == 1
    else:
        END[letter](first[victim], last[victim], mailed[victim])
        assert named == ([victim] if letter == "?" else [])
    assert suppressed == ([victim] if letter == "H" else [])
    assert len(set(relay.taken)) == len(mailed), "one Message-ID for each recipient"
    return letter


def end_deferred(first, last, mailed):
    wait = first.next_attempt_at - first.changed_at
    assert first.state is State.PENDING
    assert dt.timedelta(minutes=4) <= wait <= dt.timedelta(minutes=6)
    assert (first.attempts, last.attempts, last.state, last.doubts, mailed) == (1, 2, State.SENT, 0, 1)


def end_refused(first, last, mailed):
    assert (first.state, last.state, last.attempts, last.doubts, mailed) == (State.FAILED, State.FAILED, 1, 0, 0)
    assert last.reply.code // 100 == 5


def end_hard(first, last, mailed):
    end_refused(first, last, mailed)
    assert (last.reply.stage, last.reply.enhanced) == (Stage.RCPT, "5.1.1")


def end_in_doubt(first, last, mailed):
    assert first.doubts == 1
    assert (last.state, last.doubts, last.attempts) == (State.SENT, 1, 2)
    assert mailed in (1, 2)


END = {"D": end_deferred, "U": end_refused, "H": end_hard, "?": end_in_doubt}


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch):
    """Let the client wait amid a message for the relay to read it."""
    connect = socket.create_connection

    def connect_small(*args, **values):
        sock = connect(*args, **values)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return sock

    monkeypatch.setattr(socket, "create_connection", connect_small)


# In the normal run, every cell on SQLite, and a fifth of them on PostgreSQL, which meets every stage and fault.
SHORT = [(store, *cell) for store in KINDS for number, cell in enumerate(CELLS) if store == "sqlite" or number % 5 == 0]


@pytest.mark.parametrize(("store", "stage", "fault"), SHORT, ids=["-".join(each).replace(" ", "_") for each in SHORT])
def test_cell(store, stage, fault, grounds, certificate):
    skip_missing(store)
    check_cell(*play(grounds(store, 3), certificate, stage, fault))


@pytest.mark.proof
@pytest.mark.parametrize("store", KINDS)
@pytest.mark.parametrize(("connections", "features"), [(1, PIPELINED), (1, PLAIN), (4, PIPELINED), (4, PLAIN)])
def test_every_cell(store, connections, features, grounds, certificate):
    skip_missing(store)
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    started, letters, wrong = time.monotonic(), Counter(), []
    for stage, fault in CELLS:
        try:
            people_count = 3 if connections == 1 else 12
            played = play(
                grounds(store, people_count), certificate, stage, fault, connections=connections, features=features
            )
            letters[check_cell(*played)] += 1
        except AssertionError as error:
            wrong.append(f"{stage}, {fault}: {error}")
    assert not wrong, "\n".join(wrong)
    keep_figures(
        "chaos",
        store=store,
        connections=connections,
        pipelining="PIPELINING" in features,
        cells=len(CELLS),
        ends=dict(letters),
        seconds=round(time.monotonic() - started),
    )
