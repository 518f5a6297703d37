"""Copies of a store do not send: what gives them away, what does not, and how an operator adopts one (G15)."""

import datetime as dt
import shutil

import pytest
from newsroom import CONFIG, Newsroom
from sender_world import START, World, mailed, people
from smtp_server import SmtpServer

from newsletter.belonging import ADOPTED, WITNESS_NAME, HostGuard, Witness, find_host_id, judge
from newsletter.delivery import SendState
from newsletter.errors import NotAllowedError
from newsletter.reports import Ending
from newsletter.store import Identity


@pytest.fixture
def server():
    with SmtpServer() as server:
        yield server


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


def guard(root, host="host-a", *, is_shared=False) -> HostGuard:
    return HostGuard(root=root, host_id=host, is_shared=is_shared)


@pytest.mark.parametrize(
    ("identity", "witness", "host", "is_shared", "words"),
    [
        (Identity("s", "", 1), None, "a", False, ""),  # it never sent
        (Identity("s", "", 1), Witness("s", 3), "", False, "older than its latest run"),
        (Identity("s", "", 1), Witness("other", 3), "a", False, ""),
        (Identity("s", "a", 5), Witness("s", 5), "a", False, ""),
        (Identity("s", "a", 6), Witness("s", 5), "a", False, ""),  # a run died before it wrote its witness
        (Identity("s", "a", 4), Witness("s", 5), "a", False, "older than its latest run"),
        (Identity("s", "", 4), Witness("s", 5), "", True, "older than its latest run"),
        (Identity("s", "a", 5), Witness("s", 5), "b", False, "another host"),
        (Identity("s", "a", 5), None, "b", True, "another host"),
        (Identity("s", "a b", 5), None, "b", True, ""),  # a server's database, used from two hosts
        (Identity("s", "a", 5), None, "a", False, "copied to this folder"),
        (Identity("s", "a", 5), Witness("other", 9), "a", False, "copied to this folder"),
        (Identity("s", "a", 5), None, "", True, ""),  # a container without an identity, that keeps no file
        (Identity("s", "a", 5), Witness("s", 5), "", False, ""),
    ],
)
def test_what_gives_a_copy_away(identity, witness, host, is_shared, words):
    found = judge(identity, witness, host, is_shared=is_shared)
    assert words in found if words else not found


def run(world, server, root, host="host-a", **values):
    return world.run(server, guard=guard(root, host), **values)


def test_each_run_that_sends_is_counted_and_seen(home, server):
    with (world := World(home / "newsletter.db")).store:
        world.plan(*people(3))
        assert run(world, server, home).account.sent == 3
        identity = world.store.identity.load_identity()
        assert (identity.host_id, identity.epoch) == ("host-a", 3)  # at its start, and at its end
        assert guard(home).read_witness() == Witness(identity.store_id, 3)
        assert run(world, server, home).ending is Ending.FINISHED
        assert world.store.identity.load_identity().epoch == 3


def refused(path, home, server, host="host-a"):
    """Try to send from a store, and return the words with which that is refused."""
    with (world := World(path)).store:
        world.send_id = 1
        before = len(server.dotted)
        with pytest.raises(NotAllowedError) as error:
            run(world, server, home, host)
        assert len(server.dotted) == before
    return str(error.value)


def half_sent(home, server):
    """Leave a send of which some rows are deferred."""
    with (world := World(home / "newsletter.db")).store:
        world.plan(*people(4))
        server.defer("r3@example.org")
        run(world, server, home)


def test_copy_on_another_host_does_not_send(home, server):
    half_sent(home, server)
    words = refused(home / "newsletter.db", home, server, "host-b")
    assert "belongs to another host" in words
    assert "newsletter migrate --adopt" in words


def test_copy_in_another_folder_does_not_send(home, tmp_path, server):
    half_sent(home, server)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(home / "newsletter.db", copy)
    assert "copied to this folder" in refused(copy / "newsletter.db", copy, server)


def test_backup_amid_a_send_is_told_from_the_store_that_went_on(home, server):
    half_sent(home, server)
    shutil.copy(home / "newsletter.db", home / "backup.db")
    with (world := World(home / "newsletter.db")).store:
        world.send_id = 1
        world.clock.forward(minutes=10)
        run(world, server, home)
    for end in ("", "-wal", "-shm"):
        (home / f"newsletter.db{end}").unlink(missing_ok=True)
    shutil.copy(home / "backup.db", home / "newsletter.db")
    assert "older than its latest run" in refused(home / "newsletter.db", home, server)


def test_adopted_copy_sends_once_an_operator_says_so(home, tmp_path, server):
    half_sent(home, server)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(home / "newsletter.db", copy)
    with (world := World(copy / "newsletter.db")).store:
        world.send_id = 1
        world.clock.forward(minutes=10)
        (waiting,) = guard(copy, "host-b").adopt(world.store, world.clock())
        assert (waiting.state, waiting.reason) == (SendState.PAUSED, ADOPTED)
        assert world.store.identity.load_identity().host_id == "host-a host-b"
        assert run(world, server, copy, "host-b").ending is Ending.PAUSED
        world.store.sends.resume_send(1, world.clock())
        with SmtpServer() as other:
            report = world.run(other, guard=guard(copy, "host-b"))
            assert mailed(other) == {"r3@example.org": 1}
        assert report.ending is Ending.FINISHED


def test_send_that_had_not_begun_is_held_by_adopting(home, server):
    with (world := World(home / "newsletter.db")).store:
        world.plan(*people(2))
        (waiting,) = guard(home).adopt(world.store, START)
        assert (waiting.state, waiting.reason) == (SendState.HELD, ADOPTED)
        assert run(world, server, home).ending is Ending.NOT_RUNNING
    assert server.dotted == []


def test_witness_that_is_no_witness_counts_as_none(home):
    for content in ("", "{}", "[1]", '{"store": "s"}', '{"store": "s", "epoch": "x"}', "\0\xff"):
        (home / WITNESS_NAME).write_text(content, encoding="latin-1")
        assert guard(home).read_witness() is None


def test_host_without_an_id_has_none(tmp_path):
    assert find_host_id(tmp_path / "nothing") == ""
    (tmp_path / "machine-id").write_text("\n")
    assert find_host_id(tmp_path / "machine-id") == ""
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    found = find_host_id(tmp_path / "machine-id")
    assert len(found) == 24
    assert "0123456789" not in found


def test_copy_of_a_newsletter_on_the_command_line(tmp_path):
    home = Newsroom(tmp_path / "home")
    home.issue()
    with SmtpServer() as server:
        home.relay(server)
        home.subscribers("ann@example.org", "bob@example.org")
        server.defer("bob@example.org")
        assert home.run("approve", "2026-11-25").code == 0
        assert home.run("send", "2026-11-25", "--yes").code == 0
        shutil.copytree(home.root, tmp_path / "copy", ignore=shutil.ignore_patterns(WITNESS_NAME))
        copy = Newsroom(tmp_path / "copy")
        copy.relay(server)
        answer = copy.run("send", "2026-11-25", "--yes")
        assert answer.code == 1
        assert "newsletter migrate --adopt" in answer.err
        adopted = copy.run("migrate", "--adopt", "--json").json
        assert (adopted["adopted"], adopted["waiting"]) == (True, ["2026-11-25"])
        assert copy.run("status", "2026-11-25", "--json").json["state"] == "paused"
        assert copy.run("send", "2026-11-25", "--yes").code == 0
        assert home.run("send", "2026-11-25", "--yes").code == 0
    assert len(server.dotted) == 1  # ann's; bob waits for his time in both


VETO = """
[send]
veto = "1 minute"
editors = ["editor@example.org"]
"""


def test_cron_on_a_copy_tells_no_editor_and_starts_nothing(tmp_path):
    home = Newsroom(tmp_path / "home", config=CONFIG + VETO)
    home.issue()
    with SmtpServer() as server:
        home.relay(server)
        home.subscribers("ann@example.org")
        assert home.run("approve", "2026-11-25").code == 0
        assert home.run("send", "2026-11-25", "--yes").code == 0
        server.defer("editor@example.org")
        home.timed_issue("2026-12-02", dt.datetime.now(dt.UTC))
        assert home.run("approve", "2026-12-02").code == 0
        assert "editor@example.org" in home.run("send", "--due").err
        shutil.copytree(home.root, tmp_path / "copy", ignore=shutil.ignore_patterns(WITNESS_NAME))
        copy = Newsroom(tmp_path / "copy", config=CONFIG + VETO)
        copy.relay(server)
        said = len(server.commands)
        answer = copy.run("send", "--due")
        assert (answer.code, "migrate --adopt" in answer.err) == (1, True), answer
        assert copy.run("status", "2026-12-02", "--json").json["state"] == "frozen"
    assert len(server.commands) == said
