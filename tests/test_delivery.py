"""The decisions about deliveries: both tables, what replies mean, the schedule of retries, the account."""

import datetime as dt
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery import (
    OPEN,
    RUNNING,
    SEND_TABLE,
    TABLE,
    About,
    Account,
    Delivery,
    Event,
    Outcome,
    SendEvent,
    SendState,
    State,
    classify,
    diagram,
    moves,
    next_attempt,
    send_transition,
    transition,
)
from newsletter.model import Recipient, Reply, Stage

NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
DOCS = Path(__file__).parents[1] / "docs" / "ledger.md"

# The table of the design, written out once more and by rows, so that a slip in either shows.
DESIGN = {
    State.PENDING: {Event.CLAIM: State.CLAIMED, Event.SKIP: State.SKIPPED, Event.EXPIRE: State.FAILED},
    State.CLAIMED: {
        Event.TRANSMIT: State.TRANSMITTING,
        Event.DEFER: State.PENDING,
        Event.REFUSE: State.FAILED,
        Event.LOSE: State.PENDING,
        Event.RELEASE: State.PENDING,
        Event.SKIP: State.SKIPPED,
    },
    State.TRANSMITTING: {
        Event.ACCEPT: State.SENT,
        Event.DEFER: State.PENDING,
        Event.REFUSE: State.FAILED,
        Event.LOSE: State.IN_DOUBT,
    },
    State.IN_DOUBT: {Event.BOUNCE: State.BOUNCED, Event.RESEND: State.PENDING, Event.SETTLE: State.SENT},
    State.SENT: {Event.BOUNCE: State.BOUNCED},
    State.FAILED: {Event.RESEND: State.PENDING},
    State.BOUNCED: {},
    State.SKIPPED: {},
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, [e for e in Event if e is not Event.UNDO])))
def test_every_pair_moves_as_the_design_says_or_is_refused(state, event):
    expected = DESIGN[state].get(event)
    if expected is not None:
        assert transition(state, event) is expected
    else:
        with pytest.raises(ValueError, match=f"'{state}' cannot take the event '{event}'"):
            transition(state, event)


@pytest.mark.parametrize(("state", "former"), list(itertools.product(State, [None, *State])))
def test_undo_takes_a_bounce_back_to_what_it_was(state, former):
    if state is State.BOUNCED and former in (State.SENT, State.IN_DOUBT):
        assert transition(state, Event.UNDO, former=former) is former
    else:
        with pytest.raises(ValueError, match="cannot take the event 'undo'"):
            transition(state, Event.UNDO, former=former)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(SendState, SendEvent)))
def test_every_pair_of_a_send_is_in_the_table_or_refused(state, event):
    if (state, event) in SEND_TABLE:
        assert send_transition(state, event) is SEND_TABLE[state, event]
    else:
        with pytest.raises(ValueError, match=f"'{state}' cannot take the event '{event}'"):
            send_transition(state, event)


def test_a_dot_is_only_ever_sent_from_claimed():
    assert [start for (start, event) in TABLE if event is Event.TRANSMIT] == [State.CLAIMED]
    assert [start for (start, event) in TABLE if event is Event.ACCEPT] == [State.TRANSMITTING]


def test_every_state_can_be_reached_and_only_open_ones_lead_on_by_themselves():
    reached = {State.PENDING} | set(TABLE.values())
    assert reached == set(State)
    by_hand = {Event.BOUNCE, Event.RESEND, Event.SETTLE}
    assert {start for (start, event) in TABLE if event not in by_hand} == OPEN


def test_a_running_send_can_be_stopped_and_a_cancelled_one_is_final():
    for state in RUNNING:
        assert send_transition(state, SendEvent.PAUSE) is SendState.PAUSED
    assert not [event for (state, event) in SEND_TABLE if state is SendState.CANCELLED]


def test_moves_lists_every_row_of_the_table_once():
    listed = [(start, event, end) for event in Event for start, end in moves(event) if event is not Event.UNDO]
    assert sorted(listed) == sorted((start, event, end) for (start, event), end in TABLE.items())
    assert moves(Event.UNDO) == ((State.BOUNCED, State.IN_DOUBT), (State.BOUNCED, State.SENT))


def test_the_diagram_of_the_docs_is_the_one_made_from_the_tables():
    assert diagram() in DOCS.read_text(encoding="utf-8"), "put delivery.diagram() into docs/ledger.md"


def test_the_docstring_names_every_state():
    import newsletter.delivery

    lines = newsletter.delivery.__doc__.splitlines()
    for state in (*State, *SendState):
        assert state.name in lines


# -- what a reply means ---------------------------------------------------------------------------------------------

R, S, C = About.RECIPIENT, About.SENDER, About.CONNECTION
REPLIES = [
    # accepted
    ("250 2.0.0 Ok: queued as 4F1", Stage.DOT, Event.ACCEPT, R, False),
    ("250 2.1.5 Ok", Stage.RCPT, Event.ACCEPT, R, False),
    ("220 mx.example.net", Stage.CONNECT, Event.ACCEPT, R, False),
    # no answer at all
    ("354 go ahead", Stage.DOT, Event.LOSE, C, False),
    ("999 what", Stage.DOT, Event.LOSE, C, False),
    ("0 ", Stage.RCPT, Event.LOSE, C, False),
    # G6: the connection, nothing charged
    ("421 4.3.2 Service shutting down", Stage.RCPT, Event.DEFER, C, False),
    ("421 4.7.0 too many connections", Stage.CONNECT, Event.DEFER, C, False),
    ("421 closing", Stage.DOT, Event.DEFER, C, False),
    ("450 busy", Stage.EHLO, Event.DEFER, C, False),
    ("554 no service here", Stage.CONNECT, Event.DEFER, C, False),
    ("521 does not accept mail", Stage.CONNECT, Event.DEFER, C, False),
    ("521 5.7.1 no user unknown here, no mail", Stage.RCPT, Event.DEFER, C, False),
    ("454 4.7.0 TLS not available", Stage.STARTTLS, Event.DEFER, C, False),
    # G5: deferred recipients
    ("450 4.7.1 Greylisted, try again", Stage.RCPT, Event.DEFER, R, False),
    ("452 4.2.2 mailbox full", Stage.RCPT, Event.DEFER, R, False),
    ("451 local error", Stage.DOT, Event.DEFER, R, False),
    # G7: the sender
    ("535 5.7.8 bad credentials", Stage.AUTH, Event.REFUSE, S, False),
    ("454 4.7.0 later", Stage.AUTH, Event.DEFER, S, False),
    ("530 5.7.0 authentication required", Stage.MAIL, Event.REFUSE, S, False),
    ("530 Must issue STARTTLS", Stage.RCPT, Event.REFUSE, S, False),
    ("550 5.7.1 blocked using a list", Stage.CONNECT, Event.REFUSE, S, False),
    ("550 5.1.8 bad sender domain", Stage.MAIL, Event.REFUSE, S, False),
    ("550 5.1.1 rejected", Stage.MAIL, Event.REFUSE, S, False),
    ("450 4.1.8 domain not found", Stage.MAIL, Event.DEFER, S, False),
    ("550 5.7.1 relaying denied", Stage.RCPT, Event.REFUSE, S, False),
    ("550 5.7.26 unauthenticated mail", Stage.DOT, Event.REFUSE, S, False),
    ("550 5.1.7 sender address rejected", Stage.RCPT, Event.REFUSE, S, False),
    ("552 5.3.4 message too big", Stage.DOT, Event.REFUSE, S, False),
    ("501 5.5.4 syntax", Stage.RCPT, Event.REFUSE, S, False),
    ("501 bad parameter", Stage.RCPT, Event.REFUSE, S, False),
    ("554 5.6.3 conversion required", Stage.DOT, Event.REFUSE, S, False),
    ("554 looks like spam", Stage.DOT, Event.REFUSE, S, False),
    ("554 transaction failed", Stage.DOT, Event.REFUSE, S, False),
    ("554 no valid recipients", Stage.DATA, Event.REFUSE, S, False),
    ("550 rejected by SPF", Stage.RCPT, Event.REFUSE, S, False),
    ("550 5.1.0 sender rejected", Stage.RCPT, Event.REFUSE, S, False),
    ("550 5.7.0 no such user, or so", Stage.RCPT, Event.REFUSE, S, False),
    ("554 5.3.0 error", Stage.DOT, Event.REFUSE, S, False),
    # G8: the recipient, bad for good
    ("550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown", Stage.RCPT, Event.REFUSE, R, True),
    ("550 5.1.1 User unknown", Stage.DOT, Event.REFUSE, R, True),
    ("550 5.1.2 no such host", Stage.RCPT, Event.REFUSE, R, True),
    ("550 5.1.3 bad syntax", Stage.RCPT, Event.REFUSE, R, True),
    ("551 5.1.6 moved", Stage.RCPT, Event.REFUSE, R, True),
    ("556 5.1.10 null MX", Stage.RCPT, Event.REFUSE, R, True),
    ("550 5.7.17 mailbox owner has changed", Stage.RCPT, Event.REFUSE, R, True),
    ("556 domain does not accept mail", Stage.RCPT, Event.REFUSE, R, True),
    ("550 No such user here", Stage.RCPT, Event.REFUSE, R, True),
    ("550 5.5.0 mailbox unavailable: user not found", Stage.RCPT, Event.REFUSE, R, True),
    ("554 5.0.0 this user does not exist", Stage.DOT, Event.REFUSE, R, True),
    # G8: the recipient, for now
    ("552 5.2.2 mailbox full", Stage.RCPT, Event.REFUSE, R, False),
    ("552 mailbox full", Stage.DOT, Event.REFUSE, R, False),
    ("550 5.2.1 user is receiving mail too quickly", Stage.RCPT, Event.REFUSE, R, False),
    ("550 mailbox unavailable", Stage.RCPT, Event.REFUSE, R, False),
    ("550 5.4.1 no answer", Stage.RCPT, Event.REFUSE, R, False),
    ("550 5.0.0 no", Stage.RCPT, Event.REFUSE, R, False),
    ("550 5.2.0 disabled by policy", Stage.RCPT, Event.REFUSE, R, False),
    ("550 5.3.0 no", Stage.RCPT, Event.REFUSE, R, False),
]


def reply_of(line: str, stage: Stage) -> Reply:
    code, _, text = line.partition(" ")
    first, _, rest = text.partition(" ")
    enhanced = first if first.count(".") == 2 and first.replace(".", "").isdigit() else ""
    return Reply(int(code), enhanced, rest if enhanced else text, stage)


@pytest.mark.parametrize(("line", "stage", "event", "about", "hard"), REPLIES, ids=[f"{r[1]}-{r[0]}" for r in REPLIES])
def test_a_reply_means_what_the_table_says(line, stage, event, about, hard):
    assert classify(reply_of(line, stage)) == Outcome(event, about, hard)


def test_only_trouble_of_the_connection_is_not_charged():
    assert not Outcome(Event.DEFER, About.CONNECTION).is_charged
    assert Outcome(Event.DEFER, About.SENDER).is_charged
    assert Outcome(Event.DEFER, About.RECIPIENT).is_charged


@given(
    st.integers(min_value=-1, max_value=1000),
    st.one_of(st.just(""), st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True), st.text(max_size=8)),
    st.text(max_size=60),
    st.sampled_from(Stage),
)
def test_no_reply_is_beyond_classify_and_nothing_but_a_refused_recipient_is_hard(code, enhanced, text, stage):
    outcome = classify(Reply(code, enhanced, text, stage))
    assert (outcome.event is Event.ACCEPT) == (200 <= code < 300)
    if outcome.hard:
        assert (outcome.event, outcome.about) == (Event.REFUSE, About.RECIPIENT)
    if outcome.about is About.CONNECTION:
        assert outcome.event in (Event.DEFER, Event.LOSE)
    elif code >= 400:
        assert outcome.event is (Event.DEFER if code < 500 else Event.REFUSE)


# -- when to try again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 5), (2, 30), (3, 60), (4, 120), (5, 240), (6, 240), (20, 240)])
def test_waits_follow_the_schedule_within_a_fifth(attempts, minutes):
    waits = [(next_attempt(attempts, NOW, f"1:{n}") - NOW) / dt.timedelta(minutes=minutes) for n in range(2000)]
    assert 0.8 <= min(waits) < 0.82
    assert 1.18 < max(waits) <= 1.2
    assert abs(sum(waits) / len(waits) - 1) < 0.02, "the jitter leans to one side"


def test_the_jitter_depends_on_key_and_attempt_alone():
    assert next_attempt(1, NOW, "1:7") == next_attempt(1, NOW, "1:7")
    assert next_attempt(1, NOW, "1:7") != next_attempt(1, NOW, "1:8")
    shares = {(next_attempt(n, NOW, "1:7") - NOW) / dt.timedelta(hours=4) for n in range(5, 25)}
    assert len(shares) == 20, "the same row must not have the same jitter each time"


def test_a_delivery_is_given_up_after_four_days():
    waits, attempts = dt.timedelta(), 1
    while (due := next_attempt(attempts, NOW, "1:7")) is not None:
        waits += due - NOW
        attempts += 1
    assert dt.timedelta(days=3.5) < waits < dt.timedelta(days=4.5)
    assert next_attempt(attempts + 100, NOW, "1:7") is None


def test_a_delivery_never_tried_has_no_next_attempt():
    with pytest.raises(ValueError, match="never tried"):
        next_attempt(0, NOW, "1:7")


# -- values ---------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.sampled_from(State), st.integers(min_value=0, max_value=10**6)))
def test_an_account_closes_exactly_if_every_row_is_counted(counts):
    account = Account.from_counts(sum(counts.values()), counts)
    assert account.closes
    assert not Account.from_counts(sum(counts.values()) + 1, counts).closes
    assert account.open == sum(counts.get(state, 0) for state in OPEN)


def test_an_account_reports_the_seven_numbers():
    account = Account(planned=7, sent=1, failed=1, skipped=1, bounced=1, in_doubt=1, open=2)
    assert account.as_json() == {
        "planned": 7,
        "sent": 1,
        "failed": 1,
        "skipped": 1,
        "bounced": 1,
        "in_doubt": 1,
        "open": 2,
    }


def test_a_delivery_is_named_by_send_and_subscriber():
    assert Delivery(3, 1, Recipient(9, 1, "bob@example.org"), "example.org").subscriber_id == 9
