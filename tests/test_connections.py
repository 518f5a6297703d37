"""Sends over several connections: shared claims and commits, what each fault costs, and when the connections end."""

import re
import threading
import time
from collections import Counter

import dkim
import pytest
from sender_world import IDENTITY, World, mailed, make_edition, message_id, people
from smtp_server import FEATURES, SmtpServer

from newsletter.config import DkimSection
from newsletter.delivery import State
from newsletter.dkim import dns_record
from newsletter.dkimkeys import load_signer
from newsletter.errors import ProblemsError, StoreUnavailableError
from newsletter.reports import Ending
from newsletter.sender import run_send
from newsletter.store import NewSubscriber, open_store
from newsletter.transports import Line, Transport

PLAIN = tuple(feature for feature in FEATURES if feature != "PIPELINING")


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "newsletter.db")
    with world.store:
        yield world


@pytest.fixture
def server():
    with SmtpServer() as server:
        yield server


@pytest.mark.parametrize("features", [FEATURES, PLAIN], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("connections", [2, 5])
def test_everyone_is_mailed_once_over_several_connections(world, connections, features):
    world.plan(*people(60))
    with SmtpServer(features=features) as server:
        report = world.run(server, connections=connections)
        assert (report.ending, report.account.sent, report.recorded) == (Ending.FINISHED, 60, 60)
        assert mailed(server) == Counter(people(60))
        assert 1 <= world.connections <= connections
        assert world.run(server, connections=connections).recorded == 0


def test_connections_share_commits(world, server, monkeypatch):
    """While one commit waits for the disk, the others' marks gather, and go into the next together."""
    world.plan(*people(80))
    advance = world.store.ledger.advance_deliveries
    sizes = []

    def slow(send_id, owner, results, marks, now, **values):
        sizes.append(len(marks))
        deadline = time.monotonic() + 20
        while len(sizes) == 1 and server.commands.count("DATA") < 4 and time.monotonic() < deadline:
            time.sleep(0.01)  # the first commit ends when every connection stands before its first mark
        time.sleep(0.01)
        return advance(send_id, owner, results, marks, now, **values)

    monkeypatch.setattr(world.store.ledger, "advance_deliveries", slow)
    assert world.run(server, connections=4).account.sent == 80
    assert sum(sizes) == 80
    assert max(sizes) > 1
    assert len(sizes) < 80


def test_no_connection_has_two_rows_transmitting(world, server):
    """At each dot its own row is marked, and never more rows than connections are."""
    world.plan(*people(60))
    seen = []
    watcher = open_store(f"sqlite:///{world.path}")

    def look(_result):
        rows = watcher.ledger.list_deliveries(world.send_id, [State.TRANSMITTING])
        seen.append(sum(1 for _ in rows))

    with watcher:
        world.run(server, connections=3, progress=look)
    assert len(seen) == 60
    assert max(seen) <= 3


def test_envelope_of_the_next_message_travels_behind_the_dot(world, server):
    world.plan(*people(3))
    server.stall_at("dot", after=1)
    stop = threading.Event()

    def end():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(server.dotted) < 2:
            time.sleep(0.01)
        stop.set()
        server.stop()

    thread = threading.Thread(target=end)
    thread.start()
    report = world.run(server, stop=stop, doubt="hold")
    thread.join()
    assert (report.account.sent, report.account.in_doubt, report.account.open) == (1, 1, 1)
    assert len(server.dotted) == 2


@pytest.mark.parametrize("features", [FEATURES, PLAIN], ids=["pipelined", "one by one"])
def test_connection_ends_after_its_share_of_messages(world, features):
    world.plan(*people(10))
    with SmtpServer(features=features) as server:
        assert world.run(server, per_connection=4).account.sent == 10
        assert world.connections == 3
        assert server.commands.count("QUIT") == 3
        # Nothing was begun behind the last message of a connection.
        assert sum(command.startswith("MAIL") for command in server.commands) == 10


def test_connections_that_end_together_are_one_trouble():
    line = Line(Transport(name="relay", connect=lambda: None, connections=3), (1.0, 5.0))
    seen = line.troubles
    assert [line.note_trouble(seen) for _ in range(3)] == [1.0, 0.0, 0.0]
    assert line.note_trouble(line.troubles) == 5.0
    line.note_success()
    assert line.note_trouble(line.troubles) == 1.0
    assert line.note_trouble(line.troubles) == 5.0
    assert not line.is_closed
    assert line.note_trouble(line.troubles) is None
    assert line.is_closed


def test_relay_that_is_down_ends_the_run_after_as_many_tries_as_one_connection_has(world, server):
    world.plan(*people(20))
    server.stop()
    report = world.run(server, connections=5)
    assert report.ending is Ending.UNAVAILABLE
    assert (report.account.open, world.connections) == (20, 4)


def test_stop_finishes_the_messages_in_hand(world, server):
    world.plan(*people(100))
    stop = threading.Event()
    report = world.run(server, connections=3, stop=stop, progress=lambda _: stop.set())
    assert report.ending is Ending.STOPPED
    assert report.account.sent == len(server.dotted) <= 6
    assert world.run(server, connections=3).ending is Ending.FINISHED
    assert mailed(server) == Counter(people(100))


def test_pause_amid_the_send_stops_all_connections(world, server):
    world.plan(*people(120))
    paused = []

    def progress(_result):
        if not paused:
            paused.append(True)
            world.store.sends.pause_send(world.send_id, "the editor found a mistake", world.clock())

    report = world.run(server, connections=3, progress=progress)
    assert (report.ending, report.reason) == (Ending.PAUSED, "the editor found a mistake")
    assert report.account.sent == len(server.dotted) <= 6
    # One look tells that the send does not run: the rows in hand are not tried one by one.
    assert sum(command.startswith("MAIL") for command in server.commands) <= 15


def test_refusals_about_us_pause_over_several_connections(world, server):
    world.plan(*people(100))
    server.say("rcpt", "550 5.7.1 your policy is not ours", times=None)
    report = world.run(server, connections=4)
    assert report.ending is Ending.PAUSED
    assert 10 <= report.account.failed <= 14


def test_who_leaves_gets_no_dot(world, server):
    world.plan(*people(60))
    leavers = [f"r{number}@example.org" for number in range(40, 60)]
    left = []

    def progress(_result):
        if not left:
            left.extend(leavers)
            for address in leavers:
                world.leave(address)

    report = world.run(server, connections=3, progress=progress)
    assert (report.account.sent, report.account.skipped) == (40, 20)
    assert not mailed(server) & Counter(leavers)


def test_store_that_fails_stops_every_connection(world, server, monkeypatch):
    world.plan(*people(50))
    advance = world.store.ledger.advance_deliveries
    calls = []

    def full(send_id, owner, results, marks, now, **values):
        calls.append(len(marks))
        if len(calls) > 5:
            raise StoreUnavailableError("the disk is full")
        return advance(send_id, owner, results, marks, now, **values)

    with monkeypatch.context() as patch:
        patch.setattr(world.store.ledger, "advance_deliveries", full)
        with pytest.raises(StoreUnavailableError, match="full"):
            run_send(world.store, world.send_id, world.setup(server, connections=3))
    dotted = len(server.dotted)
    assert dotted <= sum(calls[:5])
    assert set(world.states().values()) <= {State.PENDING, State.TRANSMITTING, State.SENT}
    report = world.run(server, connections=3, doubt="hold")
    assert report.recovery.doubted <= 3
    assert report.account.sent + report.account.in_doubt == 50


def test_message_that_breaks_a_rule_stops_every_connection_before_a_dot(world, server):
    world.plan(*people(30), edition=make_edition(html=("<p>no way to leave</p>",)))
    with pytest.raises(ProblemsError, match="unsubscribe"):
        world.run(server, connections=3)
    assert server.dotted == []
    assert set(world.states().values()) == {State.PENDING}


def test_rows_that_cannot_be_rendered_are_skipped_amid_others(world, server):
    odd = [NewSubscriber(address=f"odd{number}@example.org", name="x" * 70_000) for number in range(3)]
    world.plan(*people(10), *odd)
    report = world.run(server, connections=3)
    assert (report.account.sent, report.account.skipped) == (10, 3)


def test_row_in_doubt_says_by_which_relay_and_connection(world, server):
    world.plan(*people(3))
    server.drop_after_dot(after=1)
    world.run(server, doubt="hold")
    (row,) = world.store.ledger.list_doubtful(world.send_id)
    assert row.via == f"{server.host}:{server.port} #1"
    assert row.reason


# --- signatures ----------------------------------------------------------------------------------------------------


@pytest.fixture
def signer(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    keys = {"r": rsa.generate_private_key(65537, 2048), "e": ed25519.Ed25519PrivateKey.generate()}
    for name, key in keys.items():
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / f"{name}.pem").write_bytes(pem)
    section = DkimSection(keys={name: f"{name}.pem" for name in keys})
    return load_signer(section, tmp_path, from_domain=IDENTITY.domain)


def test_what_a_receiver_got_is_verified_by_dkimpy(world, server, signer):
    people = [NewSubscriber(address="ann@example.org", name="Ann  Lee"), NewSubscriber(address="bob@example.org")]
    people.append(NewSubscriber(address="wang@example.org", name=". 王小明 "))
    world.plan(*people)
    assert world.run(server, connections=2, dkim=signer).account.sent == 3
    records = dict(dns_record(key, signer.domain) for key in signer.keys)
    for message in server.accepted:
        verifier = dkim.DKIM(message.content)
        for index in range(2):
            assert verifier.verify(idx=index, dnsfunc=lambda name, timeout=0: records[name.decode()[:-1]].encode())
        forged = dkim.DKIM(message.content.replace(b"Unsubscribe", b"Subscribe"))
        with pytest.raises(dkim.ValidationError, match="body hash"):
            forged.verify(idx=0, dnsfunc=lambda name, timeout=0: records[name.decode()[:-1]].encode())


def test_every_attempt_of_a_message_has_the_same_signature(world, server, signer):
    world.plan("ann@example.org")
    server.drop_after_dot()
    world.run(server, dkim=signer)
    world.clock.forward(minutes=6)
    assert world.run(server, dkim=signer).account.sent == 1
    first, second = server.dotted
    assert message_id(first) == message_id(second)
    assert first.content == second.content
    assert len(re.findall(rb"(?m)^DKIM-Signature:", first.content)) == 2
