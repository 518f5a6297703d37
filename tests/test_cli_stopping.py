"""``newsletter pause``, ``cancel`` and ``send --only-failed``: stop a send, end it, and try again what failed."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from newsroom import Newsroom, assert_told
from smtp_server import SmtpServer

from newsletter.store import open_store

SLUG = "2026-11-25"
PEOPLE = ("ada@example.org", "bob@example.org", "cho@example.net", "dov@example.net")
SEVEN = ("planned", "sent", "failed", "skipped", "bounced", "in_doubt", "open")


@pytest.fixture(scope="module")
def sent_once(tmp_path_factory) -> Path:
    """Send an issue: ada accepted, bob unknown, cho deferred, dov against policy."""
    room = Newsroom(tmp_path_factory.mktemp("room") / "weekly")
    room.issue(SLUG)
    room.issue("2026-12-02")
    room.subscribers(*PEOPLE)
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    with SmtpServer() as server:
        room.relay(server)
        server.refuse("bob@example.org")
        server.defer("cho@example.net")
        server.refuse("dov@example.net", text="5.7.1 against our policy")
        assert room.run("send", SLUG, "--yes").code == 0
    return room.root


@pytest.fixture
def room(sent_once, tmp_path) -> Newsroom:
    root = tmp_path / "weekly"
    shutil.copytree(sent_once, root)
    return Newsroom(root)


@pytest.fixture
def server(room):
    with SmtpServer() as server:
        room.relay(server)
        yield server


def seven(room: Newsroom) -> tuple[int, ...]:
    found = room.run("status", SLUG, "--json").json
    return tuple(found[name] for name in SEVEN)


def make_due(room: Newsroom) -> None:
    """Let the time of every deferred row come."""
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}") as store:
        store.database._connection.execute("UPDATE deliveries SET next_attempt_at = 1 WHERE state = 'pending'")


# -- pause ------------------------------------------------------------------------------------------------------------


def test_a_paused_send_waits_for_its_operator_and_not_for_cron(room, server):
    make_due(room)
    answer = room.run("pause", SLUG, "--reason", "the relay moves")
    assert answer.code == 0
    assert answer.out.startswith(f"{SLUG}: paused: the relay moves\n")
    assert "+ 1 open" in answer.out
    assert room.run("send", "--due").code == 0
    assert server.dotted == [], "cron leaves it alone"
    assert room.run("status", SLUG).code == 1
    assert room.run("send", SLUG, "--yes").code == 0
    assert [address for message in server.dotted for address in message.rcpt_to] == ["cho@example.net"]
    assert room.run("status", SLUG, "--json").json["state"] == "finished"


def test_pausing_twice_changes_nothing(room):
    room.run("pause", SLUG, "--reason", "first")
    answer = room.run("pause", SLUG, "--reason", "second", "--json")
    assert (answer.code, answer.json["state"], answer.json["reason"]) == (0, "paused", "first")


def test_what_does_not_go_on_cannot_be_paused(room):
    room.run("cancel", SLUG, "--yes")
    assert_told(room.run("pause", SLUG), 1, f"{SLUG} is cancelled, and only a send that is going on can be paused")
    assert_told(room.run("pause", "2026-12-02"), 65, "was never sent")


# -- cancel -----------------------------------------------------------------------------------------------------------


def test_cancelling_shows_first_and_then_skips_what_is_open(room, server):
    before = room.run("cancel", SLUG)
    assert before.code == 0
    assert "Nothing happened." in before.out
    assert "skips the 1 that are open" in before.out
    assert seven(room) == (4, 1, 2, 0, 0, 0, 1)
    answer = room.run("cancel", SLUG, "--yes", "--reason", "wrong mail", "--json")
    assert (answer.code, answer.json["state"], answer.json["reason"]) == (0, "cancelled", "wrong mail")
    assert seven(room) == (4, 1, 2, 1, 0, 0, 0)
    make_due(room)
    room.run("send", "--due")
    assert server.dotted == []


def test_what_is_over_cannot_be_cancelled(room):
    assert room.run("cancel", SLUG, "--yes").code == 0
    assert_told(room.run("cancel", SLUG, "--yes"), 1, "cancelled; nothing of it is left to cancel")
    assert_told(room.run("send", SLUG, "--only-failed", "--yes"), 1, "cancelled", "nothing of it can be sent any more")


def test_a_row_in_the_hands_of_a_run_is_told(room):
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}") as store:
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        store.ledger.claim_deliveries(store.sends.find_send(SLUG).send_id, "a run", 1, now)
        assert "1 are in the hands of a run" in room.run("cancel", SLUG, "--yes").out


# -- again ------------------------------------------------------------------------------------------------------------


def test_the_plan_says_who_can_be_tried_again_and_mails_nobody(room, server):
    answer = room.run("send", SLUG, "--only-failed")
    assert answer.code == 0
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "1 0 550 5.1.1 there is no such mailbox; suppressed: never mailed again" in lines
    assert (
        "1 1 550 5.7.1 a policy of the receiver's is against it; about us, not the reader; stays on the list" in lines
    )
    assert "1 stay as they are: suppressed as bad for good, or no longer on the list." in lines
    assert f"Nothing was sent. 'newsletter send {SLUG} --only-failed --yes' sends to 1 once more." in lines
    assert server.dotted == []
    found = room.run("send", SLUG, "--only-failed", "--json").json
    assert (found["failed"], found["again"], [each["again"] for each in found["failures"]]) == (2, 1, [0, 1])


def test_the_failed_are_tried_again_but_for_addresses_that_are_bad_for_good(room, server):
    answer = room.run("send", SLUG, "--only-failed", "--yes")
    assert answer.code == 0
    assert "1 failed rows are sent once more" in answer.err
    assert [address for message in server.dotted for address in message.rcpt_to] == ["dov@example.net"]
    assert seven(room) == (4, 2, 1, 0, 0, 0, 1)
    again = room.run("send", SLUG, "--only-failed", "--yes")
    assert (again.code, "sends to 0 once more" in again.out) == (0, True)
    assert len(server.dotted) == 1


def test_a_finished_send_is_reopened_for_them(room, server):
    make_due(room)
    server.refuse("cho@example.net", text="5.7.1 no")
    assert room.run("send", SLUG, "--yes").code == 0
    assert room.run("status", SLUG, "--json").json["state"] == "finished"
    server._recipients.clear()
    assert room.run("send", SLUG, "--only-failed", "--yes").code == 0
    assert seven(room) == (4, 3, 1, 0, 0, 0, 0)


def test_only_failed_needs_an_issue_that_was_sent(room):
    assert_told(room.run("send", "--due", "--only-failed"), 2, "--only-failed goes with ISSUE")
    assert_told(room.run("send", SLUG, "--only-failed", "--to", "a@b.example"), 2, "--only-failed goes with ISSUE")
    assert_told(room.run("send", "2026-12-02", "--only-failed"), 65, "was never sent")
