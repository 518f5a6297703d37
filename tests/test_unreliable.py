"""The receiver that fails on purpose: each fault as a client meets it, and what the receiver has afterwards."""

import datetime as dt
import hashlib
import smtplib

import pytest

from newsletter.errors import RelayUnavailableError
from newsletter.faults import Fault
from newsletter.model import Envelope, Message, Reply, Stage
from newsletter.smtp import Lost, open_transport
from newsletter.unreliable import Taken, UnreliableReceiver

START = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
CONTENT = b"Message-ID: <1@example.org>\r\nSubject: hello\r\n\r\nGood morning.\r\n"
ANN = "ann@example.com"


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def send(receiver, *addresses, content=CONTENT, connection=None):
    with connection or open_transport(receiver.section) as open_:
        return [
            open_.transact(Message(Envelope("me@example.org", to), "<1>", content), lambda: True) for to in addresses
        ]


def codes(answers):
    return [f"{answer.code} {answer.enhanced}" if isinstance(answer, Reply) else answer for answer in answers]


def test_whoever_meets_no_fault_is_served(clock):
    with UnreliableReceiver({}, clock) as receiver:
        assert codes(send(receiver, ANN, "bob@example.com", ANN)) == ["250 2.0.0"] * 3
    taken = Taken("<1@example.org>", hashlib.sha256(CONTENT).digest())
    assert receiver.taken == {ANN: [taken, taken], "bob@example.com": [taken]}
    assert receiver.sessions == 1


def test_it_offers_pipelining_and_takes_it(clock):
    with UnreliableReceiver({}, clock) as receiver, open_transport(receiver.section) as connection:
        assert connection._pipelines
        messages = [Message(Envelope("me@example.org", f"r{n}@example.com"), "<1>", CONTENT) for n in range(5)]
        for message, following in zip(messages, [*messages[1:], None], strict=True):
            answer = connection.transact(message, lambda: True, lambda following=following: following)
            assert answer.code == 250
    assert len(receiver.taken) == 5


def test_big_message_arrives_whole_and_dots_are_unstuffed(clock):
    content = CONTENT + b"x" * 900 + (b"\r\n" + b"y" * 900) * 1000 + b"\r\n"
    with UnreliableReceiver({}, clock) as receiver:
        send(receiver, ANN, content=content)
    assert receiver.taken[ANN][0].digest == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("fault", "code", "minutes"),
    [(Fault.GREYLISTED, "451 4.7.1", 5), (Fault.FULL, "452 4.2.2", 120)],
)
def test_what_passes_by_the_clock(clock, fault, code, minutes):
    with UnreliableReceiver({ANN: fault}, clock) as receiver:
        assert codes(send(receiver, ANN)) == [code]
        clock.now += dt.timedelta(minutes=minutes, seconds=-1)
        assert codes(send(receiver, ANN)) == [code]
        clock.now += dt.timedelta(seconds=1)
        assert codes(send(receiver, ANN)) == ["250 2.0.0"]
    assert len(receiver.taken[ANN]) == 1


@pytest.mark.parametrize(
    ("fault", "code", "stage"),
    [
        (Fault.DEFERRED, "451 4.4.1", Stage.RCPT),
        (Fault.UNKNOWN, "550 5.1.1", Stage.RCPT),
        (Fault.POLICY, "550 5.7.1", Stage.DOT),
    ],
)
def test_what_never_passes(clock, fault, code, stage):
    with UnreliableReceiver({ANN: fault}, clock) as receiver:
        answers = send(receiver, ANN, "bob@example.com", ANN)
        clock.now += dt.timedelta(days=5)
        answers += send(receiver, ANN)
    assert codes(answers) == [code, "250 2.0.0", code, code]
    assert answers[0].stage is stage
    assert set(receiver.taken) == {"bob@example.com"}


@pytest.mark.parametrize(
    ("fault", "in_doubt", "taken"), [(Fault.SWALLOWED, True, 2), (Fault.LOST, True, 1), (Fault.CUT, False, 1)]
)
def test_hanging_up_once(clock, fault, in_doubt, taken):
    with UnreliableReceiver({ANN: fault}, clock) as receiver:
        [answer] = send(receiver, ANN)
        assert isinstance(answer, Lost)
        assert answer.in_doubt is in_doubt
        assert codes(send(receiver, ANN)) == ["250 2.0.0"]
    assert len(receiver.taken[ANN]) == taken
    assert len(set(receiver.taken[ANN])) == 1


def test_421_once(clock):
    with UnreliableReceiver({ANN: Fault.BUSY}, clock) as receiver:
        [answer] = send(receiver, ANN)
        assert isinstance(answer, Lost) or answer.code == 421
        assert codes(send(receiver, ANN)) == ["250 2.0.0"]
    assert len(receiver.taken[ANN]) == 1


def test_slow_answer_comes(clock):
    with UnreliableReceiver({ANN: Fault.SLOW}, clock) as receiver:
        assert codes(send(receiver, ANN, ANN)) == ["250 2.0.0"] * 2


def test_away_for_ten_minutes(clock):
    with UnreliableReceiver({}, clock, away_after=2) as receiver:
        first, second = send(receiver, ANN, "bob@example.com")
        assert first.code == 250
        assert isinstance(second, Lost) or second.code == 421
        with pytest.raises(RelayUnavailableError, match="421"):
            send(receiver, ANN)
        assert receiver.turned_away == 1
        clock.now += dt.timedelta(minutes=10)
        assert codes(send(receiver, "bob@example.com", ANN)) == ["250 2.0.0"] * 2
    assert {address: len(messages) for address, messages in receiver.taken.items()} == {ANN: 2, "bob@example.com": 1}


def test_message_for_nobody_is_refused(clock):
    with UnreliableReceiver({}, clock) as receiver, smtplib.SMTP(receiver.host, receiver.port, "localhost") as client:
        client.ehlo()
        assert client.docmd("DATA")[0] == 503
        client.docmd("MAIL", "FROM:<me@example.org>")
        assert client.docmd("DATA")[0] == 503


def test_message_without_an_id_is_taken_all_the_same(clock):
    with UnreliableReceiver({}, clock) as receiver:
        send(receiver, ANN, content=b"Subject: hello\r\n\r\nGood morning.\r\n")
    assert receiver.taken[ANN][0].message_id == ""
