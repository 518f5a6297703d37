"""A newsletter by its commands, on each kind of store: import, approve, send, account, and nothing twice."""

import datetime as dt

import pytest
from newsroom import Newsroom, assert_told

from newsletter.receiver import Receiver

PEOPLE = ("ann@a.example", "bob@b.example", "cyd@c.example")


@pytest.fixture
def room(kind, tmp_path) -> Newsroom:
    room = Newsroom(tmp_path / "weekly")
    room.environ["NEWSLETTER_STORE__URL"] = kind.bare()
    return room


@pytest.fixture
def receiver(room):
    with Receiver() as receiver:
        room.relay(receiver)
        yield receiver


def mailed(receiver: Receiver) -> list[str]:
    return sorted(message.envelope.rcpt_to for message in receiver.messages)


def test_an_issue_is_sent_once(room, receiver):
    room.issue()
    assert_told(room.run("status", "2026-11-25"), 65, "2026-11-25")
    room.subscribers(*PEOPLE)
    assert room.run("approve", "2026-11-25").code == 0
    assert room.run("send", "2026-11-25", "--json").json["open"] == 3, "the plan"
    assert mailed(receiver) == []
    sent = room.spawn("send", "2026-11-25", "--yes", "--json")
    assert sent.code == 0, sent
    assert (sent.json["planned"], sent.json["sent"], sent.json["open"]) == (3, 3, 0)
    assert mailed(receiver) == list(PEOPLE)
    again = room.spawn("send", "2026-11-25", "--yes", "--json")
    assert (again.code, again.json["sent"]) == (0, 3), again
    assert mailed(receiver) == list(PEOPLE), "nobody twice"
    status = room.run("status", "2026-11-25", "--json")
    assert (status.json["planned"], status.json["sent"]) == (3, 3), status
    assert room.run("migrate").code == 0


def test_cron_is_silent_while_nothing_is_due_and_goes_on_with_what_is(room, receiver):
    now = dt.datetime.now(dt.UTC)
    for arguments in (("send", "--due"), ("send", "--due", "--json")):
        answer = room.spawn(*arguments)
        assert (answer.code, answer.out, answer.err) == (0, "", ""), "no store yet"
    room.timed_issue("2026-11-25", now - dt.timedelta(minutes=5))
    room.timed_issue("2026-12-02", now + dt.timedelta(days=7))
    room.subscribers(*PEOPLE)
    assert room.run("approve", "2026-11-25").code == 0
    receiver.defer("bob@b.example")
    first = room.spawn("send", "--due", "--json")
    assert first.code == 0, first
    assert (first.json["sent"], first.json["open"]) == (2, 1)
    for _ in range(2):
        answer = room.spawn("send", "--due")
        assert (answer.code, answer.out, answer.err) == (0, "", ""), "bob is not due yet"
    assert mailed(receiver) == ["ann@a.example", "cyd@c.example"]
