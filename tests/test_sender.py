"""Sends against a real relay that misbehaves by name, on a real store: what the ledger holds afterwards.

Each test ends with the closing equation, and with a second run that sends nothing twice.
"""

import datetime as dt
import quopri
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter

import pytest
from impatience import end_waits
from sender_world import START, World, mailed, make_edition, message_id, people
from smtp_server import FEATURES, SmtpServer

from newsletter.delivery import SendState, State
from newsletter.errors import BusyError, ConfigError, ProblemsError, StoreUnavailableError
from newsletter.model import Slot
from newsletter.receiver import Receiver
from newsletter.reports import Ending, plan_report
from newsletter.sender import run_send
from newsletter.store import NewSubscriber, open_store, owner_name


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "newsletter.db")
    with world.store:
        yield world


@pytest.fixture
def server():
    with SmtpServer() as server:
        yield server


# --- a send that goes well -----------------------------------------------------------------------------------------


def test_everyone_is_mailed_once_and_a_second_run_sends_nothing(world, server):
    world.plan(*people(25))
    report = world.run(server)
    assert report.ending is Ending.FINISHED
    assert report.send.state is SendState.FINISHED
    assert (report.account.planned, report.account.sent, report.recorded) == (25, 25, 25)
    assert mailed(server) == Counter(people(25))
    assert world.connections == 1
    again = world.run(server)
    assert (again.ending, again.recorded, world.connections) == (Ending.FINISHED, 0, 1)
    assert len(server.dotted) == 25


def test_each_message_is_its_recipients_own(world, server):
    world.plan(NewSubscriber(address="ann@example.org", name="Ann Lee"), "bob@example.org")
    world.run(server)
    ann, bob = server.accepted
    texts = [quopri.decodestring(message.content) for message in (ann, bob)]
    assert b"Hello Ann Lee." in texts[0]
    assert b"Hello reader." in texts[1]
    assert message_id(ann) != message_id(bob)
    assert ann.mail_from != bob.mail_from
    assert ann.mail_from.startswith("bounces+")
    assert b"Subject: This week's most important news\r\n" in ann.content


def test_more_rows_than_one_claim_takes(world, server, monkeypatch):
    monkeypatch.setattr("newsletter.claims.BATCH", 3)
    world.plan(*people(10))
    assert world.run(server).account.sent == 10
    assert mailed(server) == Counter(people(10))


def test_nothing_due_opens_no_connection(world, server):
    world.plan()
    report = world.run(server)
    assert (report.ending, report.account.planned, world.connections) == (Ending.FINISHED, 0, 0)


def test_progress_hears_of_each_result_once_it_is_durable(world, server):
    world.plan(*people(3))
    server.refuse("r1@example.org")
    seen = []

    def progress(result):
        seen.append((result.delivery.recipient.address, str(result.outcome.event), world.states()))

    world.run(server, progress=progress)
    assert [(address, event) for address, event, _ in seen] == [
        ("r0@example.org", "accept"),
        ("r1@example.org", "refuse"),
        ("r2@example.org", "accept"),
    ]
    assert all(
        states[address] is (State.SENT if event == "accept" else State.FAILED) for address, event, states in seen
    )


def test_one_commit_records_a_reply_and_marks_the_next(world, server):
    """While a dot waits for its answer, its row alone is transmitting, and the one before it is recorded."""
    world.plan(*people(3))
    server.stall_at("dot", after=1)
    seen = []
    stop = threading.Event()

    def look():
        deadline = time.monotonic() + 60
        with open_store(f"sqlite:///{world.path}") as store:
            while time.monotonic() < deadline and len(server.dotted) < 2:
                time.sleep(0.01)
            seen.extend(row.state for row in store.ledger.list_deliveries(world.send_id))
        stop.set()
        server.stop()

    thread = threading.Thread(target=look)
    thread.start()
    world.run(server, stop=stop)
    thread.join()
    assert seen == [State.SENT, State.TRANSMITTING, State.CLAIMED]


# --- refusals and deferrals ----------------------------------------------------------------------------------------


def test_refused_for_good_is_failed_and_suppressed(world, server):
    world.plan(*people(3))
    server.refuse("r1@example.org", 550, "5.1.1 no such user")
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.failed) == (Ending.FINISHED, 2, 1)
    row = world.rows()["r1@example.org"]
    assert (row.state, row.reply.code, row.reply.enhanced) == (State.FAILED, 550, "5.1.1")
    assert world.store.subscribers.find_suppression("r1@example.org") is not None
    assert world.run(server).recorded == 0
    assert len(server.dotted) == 2


def test_deferred_waits_for_its_turn_and_is_sent_then(world, server):
    world.plan(*people(3))
    server.defer("r1@example.org", 451, "4.7.1 greylisted", times=1)
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.open) == (Ending.WAITING, 2, 1)
    assert report.send.state is SendState.SENDING
    assert dt.timedelta(minutes=4) <= report.next_due_at - START <= dt.timedelta(minutes=6, seconds=1)
    assert world.rows()["r1@example.org"].attempts == 1
    assert world.run(server).recorded == 0
    world.clock.forward(minutes=7)
    assert world.run(server).ending is Ending.FINISHED
    assert mailed(server) == Counter(people(3))


def test_deferred_for_four_days_is_given_up(world, server):
    world.plan("eve@example.org")
    server.defer("eve@example.org")
    runs = 0
    while world.run(server).account.open:
        world.clock.forward(hours=5)
        runs += 1
    assert world.rows()["eve@example.org"].state is State.FAILED
    assert dt.timedelta(days=4) <= world.clock.now - START <= dt.timedelta(days=6)
    assert server.dotted == []


def test_refusal_after_the_dot_is_recorded(world, server):
    world.plan(*people(2))
    server.say("dot", "554 5.6.0 we do not like it")
    report = world.run(server)
    assert (report.account.sent, report.account.failed) == (1, 1)
    assert world.run(server).recorded == 0


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_refusals_about_us_pause_the_send_and_bounce_nobody(world, server, stage):
    world.plan(*people(30))
    server.say(stage, "550 5.7.1 your policy is not ours", times=None)
    report = world.run(server)
    assert report.ending is Ending.PAUSED
    assert report.send.state is SendState.PAUSED
    assert "5.7.1 your policy is not ours" in report.reason
    assert (report.account.failed, report.account.open) == (10, 20)
    assert world.store.subscribers.count_suppressions() == 0
    before = len(server.commands)
    assert world.run(server).ending is Ending.PAUSED
    assert len(server.commands) == before


def test_ten_equal_refusals_of_one_domain_pause_a_send_of_any_size(world, server):
    world.plan(*people(600))
    server.say("rcpt", "550 5.7.26 unauthenticated", times=None)
    report = world.run(server)
    assert (report.ending, report.account.failed) == (Ending.PAUSED, 10)
    assert "10 times example.org refused us" in report.reason


def test_two_percent_of_refusals_about_us_pause_the_send(world, server):
    domains = [f"d{number}.example" for number in range(600)]
    world.plan(*(f"r@{domain}" for domain in domains))
    server.say("rcpt", "550 5.7.26 unauthenticated", times=None)
    report = world.run(server)
    assert (report.ending, report.account.failed) == (Ending.PAUSED, 12)
    assert "12 refusals are about us" in report.reason


def test_unknown_recipients_never_pause_the_send(world, server):
    world.plan(*people(30))
    server.say("rcpt", "550 5.1.1 no such user", times=None)
    report = world.run(server)
    assert (report.ending, report.account.failed) == (Ending.FINISHED, 30)


def test_relay_that_puts_everybody_off_is_not_pressed(world, server):
    world.plan(*people(30))
    server.say("mail", "452 4.3.1 insufficient system storage", times=None)
    report = world.run(server)
    assert report.ending is Ending.UNAVAILABLE
    assert "4.3.1 insufficient system storage" in report.reason
    assert (report.account.open, report.send.state) == (30, SendState.SENDING)
    assert sum(command.startswith("MAIL") for command in server.commands) == 10


def test_no_address_of_a_recipient_gets_into_the_reason(world, server):
    world.plan(*people(12), NewSubscriber(address="bob smith@example.org"))
    for address in people(12):
        server.refuse(address, 550, f"5.7.1 <{address}> is not for you")
    report = world.run(server)
    assert report.ending is Ending.PAUSED
    assert "…@example.org" in report.send.reason
    assert not re.search(r"r\d@", report.send.reason)
    world.store.sends.resume_send(world.send_id, world.clock())
    world.run(server)
    row = world.rows()["bob smith@example.org"]
    assert row.state is State.SKIPPED
    assert "smith@" not in row.reason


def test_addresses_beyond_ascii_do_not_pause_the_send(world):
    world.plan(*(f"zoë{number}@example.org" for number in range(15)), "ann@example.org")
    with SmtpServer(features=("8BITMIME",)) as plain:
        report = world.run(plain)
        assert (report.ending, report.account.sent, report.account.failed) == (Ending.FINISHED, 1, 15)


def test_address_beyond_ascii_needs_smtputf8(world):
    world.plan("zoë@example.org", "ann@example.org")
    with SmtpServer(features=("8BITMIME",)) as plain:
        report = world.run(plain)
        assert (report.account.sent, report.account.failed) == (1, 1)
        assert "SMTPUTF8" in world.rows()["zoë@example.org"].reply.text
        assert world.store.subscribers.count_suppressions() == 0


# --- the connection is lost ----------------------------------------------------------------------------------------

PLAIN = tuple(feature for feature in FEATURES if feature != "PIPELINING")


@pytest.mark.parametrize("features", [FEATURES, PLAIN], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "quit"])
@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at", "shut_at"])
def test_fault_before_the_dot_is_charged_to_nobody(world, features, stage, fault, monkeypatch):
    with SmtpServer(features=features) as server:
        end_waits(monkeypatch, lambda: server.struck)
        world.plan(*people(3))
        getattr(server, fault)(stage, after=1 if stage in ("mail", "rcpt", "data") else 0)
        report = world.run(server)
        assert (report.ending, report.account.sent) == (Ending.FINISHED, 3)
        assert {row.attempts for row in world.rows().values()} == {1}
        assert {row.doubts for row in world.rows().values()} == {0}
        assert mailed(server) == Counter(people(3))
        assert world.run(server).recorded == 0


def test_lost_amid_the_message_reaches_everyone_once(world, server):
    """Whether the loss is noticed before the mark or after it is for the network to say; see test_smtp.py for each."""
    world.plan(*people(3))
    server.drop_before_dot(after=1)
    world.run(server)
    world.clock.forward(minutes=5)
    report = world.run(server)
    assert (report.ending, report.account.sent) == (Ending.FINISHED, 3)
    assert mailed(server) == Counter(people(3))
    assert len(server.dotted) == 3


@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at"])
def test_lost_after_the_dot_is_in_doubt_and_sent_once_more(world, server, fault, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    world.plan(*people(3))
    getattr(server, fault)("dot", after=1)
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.open) == (Ending.WAITING, 2, 1)
    assert world.run(server).recorded == 0
    world.clock.forward(minutes=5)
    assert world.run(server).ending is Ending.FINISHED
    row = world.rows()["r1@example.org"]
    assert (row.state, row.doubts) == (State.SENT, 1)
    first, second = [message for message in server.dotted if message.rcpt_to == ("r1@example.org",)]
    assert first.content == second.content
    assert Counter(each.rcpt_to[0] for each in server.dotted) == Counter([*people(3), "r1@example.org"])


def test_in_doubt_a_second_time_stays_so(world, server):
    world.plan("ann@example.org")
    server.drop_after_dot(times=2)
    assert world.run(server).account.open == 1
    world.clock.forward(minutes=5)
    report = world.run(server)
    assert (report.ending, report.account.in_doubt) == (Ending.FINISHED, 1)
    world.clock.forward(days=1)
    assert world.run(server).recorded == 0
    assert len(server.dotted) == 2


def test_doubt_is_held_where_an_operator_wants_it(world, server):
    world.plan(*people(2))
    server.drop_after_dot()
    report = world.run(server, doubt="hold")
    assert (report.ending, report.account.sent, report.account.in_doubt) == (Ending.FINISHED, 1, 1)
    world.clock.forward(days=1)
    assert world.run(server, doubt="hold").recorded == 0
    assert len(server.dotted) == 2


def test_relay_that_swallows_every_answer_is_left_alone(world, server):
    world.plan(*people(40))
    server.drop_after_dot(times=None)
    report = world.run(server)
    assert report.ending is Ending.UNAVAILABLE
    assert (report.account.in_doubt, report.account.open) == (4, 36)
    assert len(server.dotted) == 4


def test_answers_that_get_lost_now_and_then_pause_the_send_when_they_pile_up(world, server):
    world.plan(*people(60))
    server.drop_after_dot(times=None, after=1, every=2)
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.in_doubt) == (Ending.PAUSED, 10, 10)
    assert "10 messages were sent to the final dot and never answered" in report.reason
    assert world.run(server).recorded == 0


def test_first_reason_to_end_a_run_stands(world, server):
    world.plan(*people(40))
    server.drop_after_dot(times=None)
    report = world.run(server, reconnect_waits_s=(0.0,) * 9)
    assert (report.ending, report.account.in_doubt) == (Ending.PAUSED, 10)
    assert report.reason == report.send.reason


def test_relay_that_bounds_its_sessions_is_no_trouble(world, server):
    world.plan(*people(10))
    server.limit_sessions(3)
    report = world.run(server, reconnect_waits_s=())
    assert (report.ending, report.account.sent) == (Ending.FINISHED, 10)
    assert server.sessions == 4
    assert {row.attempts for row in world.rows().values()} == {1}


def test_message_at_which_the_relay_hangs_up_keeps_nobody_else_from_theirs(world, server):
    world.plan(*people(6))
    server.hang_up_on("r2@example.org")
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.open) == (Ending.WAITING, 5, 1)
    assert world.rows()["r2@example.org"].attempts == 0
    assert report.next_due_at - world.clock.now < dt.timedelta(minutes=5)
    assert mailed(server) == Counter(each for each in people(6) if each != "r2@example.org")


def test_relay_that_is_down_charges_nobody(world, server):
    world.plan(*people(3))
    server.stop()
    report = world.run(server)
    assert report.ending is Ending.UNAVAILABLE
    assert "cannot connect" in report.reason
    assert report.send.state is SendState.SENDING
    assert report.account.open == 3
    assert {row.attempts for row in world.rows().values()} == {0}
    assert world.connections == 4
    with SmtpServer() as healthy:
        assert world.run(healthy).ending is Ending.FINISHED
        assert mailed(healthy) == Counter(people(3))


def test_relay_that_vanishes_amid_a_send_charges_nobody(world, server):
    world.plan(*people(10))
    report = world.run(server, progress=lambda _: server.stop() if len(server.accepted) >= 3 else None)
    assert report.ending is Ending.UNAVAILABLE
    assert report.account.open + report.account.sent + report.account.in_doubt == 10
    with SmtpServer() as healthy:
        world.clock.forward(minutes=10)
        world.run(healthy)
        together = mailed(server) + mailed(healthy)
        doubted = [address for address, row in world.rows().items() if row.doubts]
        assert set(together) == set(people(10))
        assert all(count == 1 or address in doubted for address, count in together.items())


@pytest.mark.parametrize("fault", ["close_at", "stall_at", "shut_at"])
@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data"])
def test_relay_that_always_fails_ends_the_run(world, server, stage, fault, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    world.plan(*people(20))
    getattr(server, fault)(stage, times=None)
    report = world.run(server)
    assert report.ending is Ending.UNAVAILABLE
    assert report.reason
    assert (report.account.open, server.dotted) == (20, [])
    assert {row.attempts for row in world.rows().values()} == {0}


class RecordingStop(threading.Event):
    """Remember how long somebody wanted to wait, and do not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return False


def test_relay_that_takes_no_mail_at_all_is_no_fault_of_the_recipient(world, server):
    world.plan(*people(2))
    server.say("rcpt", "521 5.3.2 takes no mail")
    assert world.run(server).account.sent == 2
    assert {row.attempts for row in world.rows().values()} == {1}


def test_waits_before_each_new_connection(world, server):
    world.plan("ann@example.org")
    server.stop()
    stop = RecordingStop()
    world.run(server, stop=stop, reconnect_waits_s=(1.0, 5.0))
    assert stop.waits == [1.0, 5.0]


def test_answer_that_got_lost_makes_careful_even_on_a_connection_that_served(world, server):
    world.plan(*people(4))
    server.drop_after_dot(after=2)
    stop = RecordingStop()
    assert world.run(server, stop=stop, reconnect_waits_s=(1.0, 5.0)).account.sent == 3
    assert stop.waits == [1.0]


# --- stop, leave, pause --------------------------------------------------------------------------------------------


def test_stop_finishes_the_message_in_hand_and_gives_the_rest_back(world, server):
    world.plan(*people(10))
    stop = threading.Event()
    report = world.run(server, stop=stop, progress=lambda _: stop.set())
    assert report.ending is Ending.STOPPED
    assert report.account.sent == len(server.dotted) == 2  # the first was heard of when the second was marked
    assert report.account.open == 8
    assert world.run(server).ending is Ending.FINISHED
    assert mailed(server) == Counter(people(10))


def test_stop_before_the_first_message(world, server):
    world.plan(*people(3))
    stop = threading.Event()
    stop.set()
    assert world.run(server, stop=stop).ending is Ending.STOPPED
    assert world.connections == 0


def test_who_leaves_amid_the_send_gets_no_dot(world, server):
    world.plan(*people(5))
    left = []

    def progress(_result):
        if not left:
            left.append("r3@example.org")
            world.leave("r3@example.org")

    report = world.run(server, progress=progress)
    assert (report.ending, report.account.sent, report.account.skipped) == (Ending.FINISHED, 4, 1)
    assert world.states()["r3@example.org"] is State.SKIPPED
    assert Counter(each.rcpt_to[0] for each in server.dotted) == Counter(
        each for each in people(5) if each != "r3@example.org"
    )


def test_who_left_before_is_not_even_claimed(world, server):
    world.plan(*people(2))
    world.leave("r0@example.org")
    report = world.run(server)
    assert (report.account.sent, report.account.skipped) == (1, 1)
    assert not any("r0@" in command for command in server.commands)


def test_pause_amid_the_send_stops_the_next_dot(world, server):
    world.plan(*people(5))

    def progress(_result):
        if world.store.sends.load_send(world.send_id).state is SendState.SENDING:
            world.store.sends.pause_send(world.send_id, "the editor found a mistake", world.clock())

    report = world.run(server, progress=progress)
    assert (report.ending, report.reason) == (Ending.PAUSED, "the editor found a mistake")
    assert report.account.sent == len(server.dotted) == 2  # the second was marked before the pause
    world.store.sends.resume_send(world.send_id, world.clock())
    assert world.run(server).ending is Ending.FINISHED
    assert mailed(server) == Counter(people(5))


@pytest.mark.parametrize(("move", "ending"), [("hold_send", Ending.NOT_RUNNING), ("cancel_send", Ending.NOT_RUNNING)])
def test_held_or_cancelled_send_mails_nobody(world, server, move, ending):
    world.plan(*people(2))
    getattr(world.store.sends, move)(world.send_id, "a veto", world.clock())
    report = world.run(server)
    assert (report.ending, report.reason) == (ending, "a veto")
    assert world.connections == 0


# --- messages that cannot be made ----------------------------------------------------------------------------------


def test_row_that_cannot_be_rendered_is_reported_and_the_run_goes_on(world, server):
    world.plan(
        "ann@example.org",
        NewSubscriber(address="bob@example.org", name="x" * 70_000),
        "eve@example.org",
    )
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.skipped) == (Ending.FINISHED, 2, 1)
    row = world.rows()["bob@example.org"]
    assert row.state is State.SKIPPED
    assert row.reason
    assert mailed(server) == Counter(["ann@example.org", "eve@example.org"])
    assert world.run(server).recorded == 0


def test_name_that_breaks_a_rule_keeps_nobody_else_from_theirs(world, server):
    world.plan(NewSubscriber(address="bob@example.org", name="{{ unsubscribe_url }}"), *people(2))
    report = world.run(server)
    assert (report.ending, report.account.sent, report.account.skipped) == (Ending.FINISHED, 2, 1)
    assert world.rows()["bob@example.org"].reason == "the recipient's values break the rule unresolved-field"
    assert mailed(server) == Counter(people(2))


def test_message_that_breaks_a_rule_is_caught_before_the_first_dot(world, server):
    world.plan(*people(3), edition=make_edition(html=("<p>no way to leave</p>",)))
    with pytest.raises(ProblemsError, match="unsubscribe"):
        world.run(server)
    assert server.dotted == []
    assert set(world.states().values()) == {State.PENDING}
    assert world.store.sends.account(world.send_id).closes


def test_edition_that_no_message_can_hold_is_no_fault_of_the_recipients(world, server):
    world.plan(*people(2), edition=make_edition(subject=("Hello\r\nBcc: eve@example.org",)))
    with pytest.raises(ProblemsError, match="edition"):
        world.run(server)
    assert server.dotted == []
    assert set(world.states().values()) == {State.PENDING}


def test_configuration_that_can_never_connect_gives_the_rows_back(world, server):
    world.plan(*people(3))

    def connect():
        raise ConfigError("[smtp] password_file: cannot be read")

    with pytest.raises(ConfigError):
        world.run(server, connect=connect)
    assert set(world.states().values()) == {State.PENDING}
    assert world.run(server).ending is Ending.FINISHED


# --- the store fails -----------------------------------------------------------------------------------------------


def test_no_mark_no_dot(world, server, monkeypatch):
    world.plan(*people(3))
    advance = world.store.ledger.advance_deliveries

    def full(send_id, owner, results, marks, now, **values):
        if marks:
            raise StoreUnavailableError("the disk is full")
        return advance(send_id, owner, results, marks, now, **values)

    with monkeypatch.context() as patch:
        patch.setattr(world.store.ledger, "advance_deliveries", full)
        with pytest.raises(StoreUnavailableError, match="full"):
            run_send(world.store, world.send_id, world.setup(server))
    assert server.dotted == []
    assert set(world.states().values()) == {State.PENDING}
    assert world.run(server).account.sent == 3


def test_answer_that_cannot_be_recorded_leaves_its_row_in_doubt_and_stops_the_run(world, server, monkeypatch):
    world.plan(*people(3))
    advance = world.store.ledger.advance_deliveries

    def full(send_id, owner, results, marks, now, **values):
        if results:
            raise StoreUnavailableError("the disk is full")
        return advance(send_id, owner, results, marks, now, **values)

    with monkeypatch.context() as patch:
        patch.setattr(world.store.ledger, "advance_deliveries", full)
        with pytest.raises(StoreUnavailableError, match="full"):
            run_send(world.store, world.send_id, world.setup(server))
    assert len(server.dotted) == 1
    report = world.run(server, doubt="hold")
    assert report.recovery.doubted == 1
    assert (report.account.sent, report.account.in_doubt) == (2, 1)
    assert Counter(each.rcpt_to[0] for each in server.dotted) == Counter(people(3))


# --- death and company ---------------------------------------------------------------------------------------------

CHILD = textwrap.dedent(
    """
    import datetime as dt, sys
    from newsletter.config import SmtpSection
    from newsletter.sender import SenderSetup, run_send
    from newsletter.smtp import open_transport
    from newsletter.store import open_store
    from newsletter.tokens import SAMPLE_KEYS
    sys.path.insert(0, sys.argv[4])
    from sender_world import IDENTITY, START

    def connect():
        return open_transport(SmtpSection(host="127.0.0.1", port=int(sys.argv[3]), security="none", helo="client"))

    with open_store("sqlite:///" + sys.argv[1]) as store:
        setup = SenderSetup(identity=IDENTITY, keys=SAMPLE_KEYS, connect=connect, clock=lambda: START)
        run_send(store, int(sys.argv[2]), setup)
    """
)


def start_child(world, server, folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(world.path), str(world.send_id), str(server.port), str(folder)]
    )


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.parametrize(("stage", "doubted"), [("mail", 0), ("data", 0), ("dot", 1)])
def test_killed_run_loses_nobody_and_doubts_one(world, server, stage, doubted, request):
    world.plan(*people(6))
    server.stall_at(stage, after=3)
    child = start_child(world, server, request.path.parent)
    try:
        wait_until(lambda: any("r3@" in command for command in server.commands) or stage == "mail")
        wait_until(lambda: len(server.accepted) == 3)
        if stage == "dot":
            wait_until(lambda: len(server.dotted) == 4)
        with pytest.raises(BusyError):
            run_send(world.store, world.send_id, world.setup(server))
    finally:
        child.kill()
        assert child.wait(30) == -signal.SIGKILL
    report = world.run(server, doubt="hold")
    # The third was accepted, and recorded only with the mark of the fourth.
    unrecorded = 0 if stage == "dot" else 1
    assert report.recovery.doubted == doubted + unrecorded
    assert report.account.in_doubt == doubted + unrecorded
    assert report.account.sent == 6 - doubted - unrecorded
    assert Counter(each.rcpt_to[0] for each in server.dotted) == Counter(people(6))


def test_two_runs_at_once(world, server):
    world.plan(*people(2))
    with (
        world.store.run_lock(owner_name(START)),
        open_store(f"sqlite:///{world.path}") as other,
        pytest.raises(BusyError),
    ):
        run_send(other, world.send_id, world.setup(server))
    assert server.commands == []
    assert world.run(server).ending is Ending.FINISHED


def test_result_of_a_row_that_was_taken_away_is_reported(world):
    """No run does this under the lock; if one did all the same, nobody would be counted twice."""
    world.plan(*people(2))

    def take_away(received):
        if received.envelope.rcpt_to == "r0@example.org":
            owners = world.store.ledger.list_owners(world.send_id)
            world.store.ledger.recover_deliveries(world.send_id, owners, world.clock())

    with Receiver(on_message=take_away) as receiver:
        report = run_send(world.store, world.send_id, world.setup(receiver, doubt="hold"))
    assert [result.delivery.recipient.address for result in report.unrecorded] == ["r0@example.org"]
    assert (report.account.in_doubt, report.account.sent, report.recorded) == (1, 1, 1)
    assert report.account.closes


def test_sender_imports_nothing_of_the_compiler():
    code = "import sys, newsletter.sender; print(*sorted(sys.modules))"
    modules = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    )
    assert not modules & {
        "jinja2",
        "mjml",
        "premailer",
        "feedparser",
        "lxml",
        "markdown_it",
        "nh3",
        "css_inline",
        "flask",
    }


# --- reports -------------------------------------------------------------------------------------------------------


def test_report_as_json_holds_the_seven_numbers(world, server):
    world.plan(*people(3))
    server.refuse("r0@example.org")
    server.defer("r1@example.org")
    answer = world.run(server).as_json()
    numbers = {name: answer[name] for name in ("planned", "sent", "failed", "skipped", "bounced", "in_doubt", "open")}
    assert numbers == {"planned": 3, "sent": 1, "failed": 1, "skipped": 0, "bounced": 0, "in_doubt": 0, "open": 1}
    assert (answer["issue"], answer["state"], answer["ending"]) == ("2026-11-25", "sending", "waiting")
    assert answer["next_due_at"].startswith("2026-11-25T08:0")


def test_plan_report_does_nothing(world, server):
    for address in people(3):
        world.store.subscribers.add_subscriber(world.list_id, NewSubscriber(address=address), START, origin="test")
    edition = make_edition(subject=("Hello ", Slot("name", "reader")))
    report = plan_report(world.store, edition, {"": 3})
    assert report.as_json() == {
        "issue": "2026-11-25",
        "audience": 3,
        "editions": [{"variant": "", "subject": "Hello reader", "digest": edition.digest, "recipients": 3}],
        "state": None,
    }
    assert world.store.sends.load_sends() == ()


def test_plan_report_of_what_was_sent_shows_its_account(world, server):
    world.plan(*people(3))
    world.run(server)
    world.store.subscribers.add_subscriber(
        world.list_id, NewSubscriber(address="late@example.org"), START, origin="test"
    )
    report = plan_report(world.store, make_edition(), {"": 4})
    assert report.audience == 3
    assert report.as_json()["sent"] == 3
    assert report.as_json()["state"] == "finished"


def test_embedded_receiver_takes_a_whole_send(world):
    with Receiver() as receiver:
        world.plan(*people(5))
        receiver.refuse("r1@example.org")
        receiver.defer("r2@example.org")
        report = world.run(receiver)
        assert (report.account.sent, report.account.failed, report.account.open) == (3, 1, 1)
        assert {each.envelope.rcpt_to for each in receiver.messages} == {
            "r0@example.org",
            "r3@example.org",
            "r4@example.org",
        }
