"""The rows of the ledger: claims, marks, results, repairs. The world checks each move and each account at the end."""

import datetime as dt
import itertools
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.delivery import TABLE, Event, SendState, State
from newsletter.model import Stage
from newsletter.store import Recovery, SubscriptionState, SuppressionReason, open_store
from newsletter.store.ledger import mask_addresses

from .conftest import KEY, NOW, check_accounts, check_moves, later, make_world, result

# -- claims ---------------------------------------------------------------------------------------------------------


def test_a_claim_joins_the_row_with_its_recipient(world):
    (number,) = world.join("ann", language="fr", attributes={"city": "Lyon"})
    send_id = world.sending()
    (row,) = world.claim(send_id)
    recipient = row.recipient
    assert (row.send_id, row.edition_id, row.domain, row.attempts, row.doubts) == (
        send_id,
        world.edition_id,
        "a.example",
        0,
        0,
    )
    assert (recipient.subscriber_id, recipient.list_id, recipient.address) == (number, world.list_id, "ann@a.example")
    assert (recipient.name, recipient.language, recipient.attributes) == ("Ann", "fr", {"city": "Lyon"})


def test_rows_are_claimed_once_each(world):
    send_id = world.sending(*(f"p{n}" for n in range(10)))
    claims = [world.claim(send_id, owner, limit=4) for owner in ("one", "two", "one", "two")]
    assert [len(rows) for rows in claims] == [4, 4, 2, 0]
    numbers = [row.subscriber_id for row in itertools.chain(*claims)]
    assert len(set(numbers)) == 10
    assert world.store.ledger.list_owners(send_id) == {"one", "two"}


def test_nothing_is_claimed_unless_the_send_runs(world):
    world.join("ann")
    send_id = world.plan().send_id
    sends = world.store.sends
    assert world.claim(send_id) == ()
    world.store.openings.begin_canary(send_id, 1, NOW)
    (row,) = world.claim(send_id)
    world.store.ledger.release_deliveries(send_id, "me", [row], NOW)
    sends.pause_send(send_id, "stop", NOW)
    assert world.claim(send_id) == ()
    sends.resume_send(send_id, NOW)
    assert len(world.claim(send_id)) == 1


def test_people_who_left_are_skipped_by_the_claim_even_if_they_fill_it(world):
    names = [f"p{n}" for n in range(7)]
    send_id = world.sending(*names)
    for name in names[:3]:
        world.store.subscribers.remove_subscriber(world.list_id, f"{name}@p.example", NOW)
    world.store.subscribers.suppress_address("p3@p.example", SuppressionReason.COMPLAINT, NOW)
    assert [row.recipient.name for row in world.claim(send_id, limit=2)] == ["P4", "P5"]
    assert world.states(send_id) == ["skipped"] * 4 + ["claimed"] * 2 + ["pending"]
    assert "no longer active" in world.row(send_id, 1).reason


def test_runs_that_race_never_share_a_row(world):
    send_id = world.sending(*(f"p{n}" for n in range(200)))
    marked: list[int] = []

    def run(owner):
        with open_store(world.url, timeout_s=30) as store:
            while rows := store.ledger.claim_deliveries(send_id, owner, 7, NOW):
                marked.extend(store.ledger.mark_transmitting(send_id, owner, rows, NOW))
                results = [result(row, "250 2.0.0 ok") for row in rows]
                assert store.ledger.record_results(send_id, owner, results, NOW).unrecorded == ()

    threads = [threading.Thread(target=run, args=(f"run {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(marked) == list(range(1, 201)), "each row once"
    assert world.store.sends.account(send_id).sent == 200


# -- the mark -------------------------------------------------------------------------------------------------------


def test_the_mark_is_durable_and_names_what_it_marked(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    assert world.mark(send_id, [ann]) == {ann.subscriber_id}
    with open_store(world.url) as other:
        assert [row.state for row in other.ledger.list_deliveries(send_id)] == [State.TRANSMITTING, State.CLAIMED]
    assert world.mark(send_id, [ann]) == frozenset(), "not twice"
    assert world.mark(send_id, [bob], owner="other") == frozenset(), "not by another run"
    assert world.mark(send_id, []) == frozenset()


@pytest.mark.parametrize(
    "leave",
    [
        lambda world, row: world.store.subscribers.remove_subscriber(world.list_id, row.recipient.address, NOW),
        lambda world, row: world.store.subscribers.change_subscription(
            world.list_id, row.subscriber_id, SubscriptionState.UNSUBSCRIBED, NOW
        ),
        lambda world, row: world.store.subscribers.suppress_address(
            row.recipient.address, SuppressionReason.COMPLAINT, NOW
        ),
        lambda world, row: world.store.subscribers.erase_subscriber(row.subscriber_id, NOW),
    ],
    ids=["removed", "unsubscribed", "suppressed", "erased"],
)
def test_no_dot_for_somebody_who_left_after_the_claim(world, leave):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    assert leave(world, ann)
    assert world.mark(send_id, [ann, bob]) == {bob.subscriber_id}
    assert world.store.ledger.release_deliveries(send_id, "me", [ann, bob], NOW) == 1
    assert world.claim(send_id) == ()
    assert world.states(send_id) == ["skipped", "transmitting"]


def test_no_dot_after_a_pause(world):
    send_id = world.sending("ann")
    rows = world.claim(send_id)
    world.store.sends.pause_send(send_id, "stop", NOW)
    assert world.mark(send_id, rows) == frozenset()
    assert world.states(send_id) == ["claimed"]


# -- results --------------------------------------------------------------------------------------------------------


def test_one_commit_records_a_reply_and_marks_the_next(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    world.mark(send_id, [ann])
    advance = world.store.ledger.advance_deliveries(
        send_id, "me", [result(ann, "250 2.0.0 queued as 4AbC")], [bob], later(seconds=1)
    )
    assert advance.marked == {bob.subscriber_id}
    assert advance.unrecorded == ()
    row = world.row(send_id, ann.subscriber_id)
    assert (row.state, row.attempts, row.changed_at, row.next_attempt_at) == (State.SENT, 1, later(seconds=1), None)
    assert str(row.reply) == "250 2.0.0 queued as 4AbC"
    assert row.reply.stage is Stage.DOT
    assert world.store.ledger.load_attempts(send_id, ann.subscriber_id) == (), "a plain acceptance is not logged"


def test_a_deferred_row_comes_back_by_the_schedule(world):
    send_id = world.sending("ann")
    now, waits = NOW, []
    for attempt in range(4):
        (row,) = world.claim(send_id, now=now)
        assert row.attempts == attempt
        world.mark(send_id, [row], now=now)
        world.record(send_id, result(row, "450 4.7.1 greylisted"), now=now)
        due = world.row(send_id, row.subscriber_id).next_attempt_at
        assert world.claim(send_id, now=due - dt.timedelta(microseconds=1)) == ()
        waits.append((due - now) / dt.timedelta(minutes=1))
        now = due
    for wait, minutes in zip(waits, (5, 30, 60, 120), strict=True):
        assert 0.8 * minutes <= wait <= 1.2 * minutes
    (row,) = world.claim(send_id, now=now)
    world.mark(send_id, [row], now=now)
    world.record(send_id, result(row, "250 2.0.0 ok"), now=now)
    events = [attempt.event for attempt in world.store.ledger.load_attempts(send_id, row.subscriber_id)]
    assert events == [Event.DEFER] * 4 + [Event.ACCEPT]


def test_a_row_deferred_for_four_days_is_given_up(world):
    send_id = world.sending("ann")
    now = NOW
    for _ in range(40):
        rows = world.claim(send_id, now=now)
        if not rows:
            break
        world.mark(send_id, rows, now=now)
        world.record(send_id, result(rows[0], "450 4.2.2 full"), now=now)
        now = world.row(send_id, 1).next_attempt_at or now
    row = world.row(send_id, 1)
    assert row.state is State.FAILED
    assert row.reason == f"given up after {row.attempts} attempts"
    assert str(row.reply) == "450 4.2.2 full"
    assert dt.timedelta(days=3.5) < now - NOW < dt.timedelta(days=4.5)


def test_trouble_of_the_connection_charges_nothing(world):
    send_id = world.sending("ann", "bob", "cyd")
    ann, bob, cyd = world.claim(send_id)
    world.mark(send_id, [ann])
    world.record(
        send_id,
        result(ann, "421 4.3.2 closing"),
        result(bob, marked=False),
        result(cyd, "421 4.3.2 closing", Stage.RCPT, marked=False, retry_at=later(minutes=3)),
    )
    assert world.states(send_id) == ["pending"] * 3
    rows = {row.subscriber_id: row for row in world.claim(send_id)}
    assert sorted(rows) == [ann.subscriber_id, bob.subscriber_id], "at once, or when the caller says"
    assert [row.attempts for row in rows.values()] == [0, 0]
    assert world.row(send_id, cyd.subscriber_id).next_attempt_at == later(minutes=3)


def test_an_address_that_is_bad_for_good_is_suppressed_in_the_same_commit(world):
    send_id = world.sending("ann", "bob", "cyd")
    ann, bob, cyd = world.claim(send_id)
    world.record(
        send_id,
        result(ann, "550 5.1.1 <ann@a.example>: user unknown", Stage.RCPT, marked=False),
        result(bob, "550 5.7.1 your mail is unwanted", Stage.RCPT, marked=False),
        result(cyd, "552 5.2.2 mailbox full", Stage.RCPT, marked=False),
    )
    assert world.states(send_id) == ["failed"] * 3
    find = world.store.subscribers.find_suppression
    assert find("ann@a.example").reason is SuppressionReason.HARD_BOUNCE
    assert find("ann@a.example").note == "<…@a.example>: user unknown"
    assert find("bob@b.example") is None
    assert find("cyd@c.example") is None


def test_no_address_reaches_the_ledger(world):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    world.record(send_id, result(ann, "550 5.1.1 no <ann@a.example> here\0", Stage.RCPT, marked=False))
    (logged,) = world.store.ledger.load_attempts(send_id, ann.subscriber_id)
    assert logged.reply.text == world.row(send_id, ann.subscriber_id).reply.text == "no <…@a.example> here\ufffd"
    for table in ("deliveries", "attempts", "suppressions"):
        assert "ann@" not in str(world.kind.run(world.store, f"SELECT * FROM {table}"))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("<bob@example.org>: unknown", "<…@example.org>: unknown"),
        ("550 bob.smith+x@example.org no", "550 …@example.org no"),
        ("a@b.example,c@d.example", "…@b.example,…@d.example"),
        ("to=bob@[192.0.2.1]", "to=…@[192.0.2.1]"),
        ("mail @ noon", "mail @ noon"),
        ("", ""),
    ],
)
def test_local_parts_are_masked(text, masked):
    assert mask_addresses(text) == masked


def test_a_result_for_a_row_no_longer_held_is_told_and_logged(world):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    world.mark(send_id, [ann])
    world.store.ledger.recover_deliveries(send_id, ["me"], NOW)
    late = result(ann, "250 2.0.0 ok")
    assert world.record(send_id, late).unrecorded == (late,)
    assert world.states(send_id) == ["in_doubt"]
    logged = world.store.ledger.load_attempts(send_id, ann.subscriber_id)[-1]
    assert (logged.event, logged.reason) == (Event.ACCEPT, "this run held the row no longer")
    assert str(logged.reply) == "250 2.0.0 ok"


def test_an_acceptance_without_a_mark_is_a_bug(world):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    with pytest.raises(ValueError, match="'claimed' cannot take the event 'accept'"):
        world.record(send_id, result(ann, "250 2.0.0 ok", marked=False))
    assert world.states(send_id) == ["claimed"], "nothing of the call was written"


def test_a_commit_is_all_or_nothing(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    world.mark(send_id, [ann])
    with pytest.raises(ValueError, match="cannot take"):
        world.record(send_id, result(ann, "250 2.0.0 ok"), result(bob, "250 2.0.0 ok", marked=False))
    assert world.states(send_id) == ["transmitting", "claimed"]


# -- giving back, giving up -----------------------------------------------------------------------------------------


def test_released_rows_are_due_at_once_or_later(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    ledger = world.store.ledger
    assert ledger.release_deliveries(send_id, "other", [ann, bob], NOW) == 0
    assert ledger.release_deliveries(send_id, "me", [ann], NOW) == 1
    assert ledger.release_deliveries(send_id, "me", [bob], NOW, later(minutes=1)) == 1
    assert [row.subscriber_id for row in world.claim(send_id)] == [ann.subscriber_id]
    assert [row.subscriber_id for row in world.claim(send_id, now=later(minutes=1))] == [bob.subscriber_id]


def test_a_row_that_cannot_be_rendered_is_skipped_and_the_rest_goes_on(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    assert world.store.ledger.skip_deliveries(send_id, "me", [ann], "field 'name' is empty", NOW) == 1
    assert world.store.ledger.skip_deliveries(send_id, "me", [ann], "again", NOW) == 0
    assert world.row(send_id, ann.subscriber_id).reason == "field 'name' is empty"
    assert world.mark(send_id, [bob])


def test_only_pending_rows_expire(world):
    send_id = world.sending("ann", "bob", "cyd")
    ann, bob = world.claim(send_id, limit=2)
    world.mark(send_id, [ann])
    assert world.store.ledger.expire_deliveries(send_id, "the next issue starts", NOW) == 1
    assert world.states(send_id) == ["transmitting", "claimed", "failed"]
    assert bob.attempts == 0


# -- repair ---------------------------------------------------------------------------------------------------------


def test_what_a_dead_run_left_is_released_or_in_doubt(world):
    send_id = world.sending(*"abcdef")
    dead = world.claim(send_id, "dead", limit=3)
    alive = world.claim(send_id, "alive", limit=2)
    world.mark(send_id, dead[:1], "dead")
    world.mark(send_id, alive[:1], "alive")
    ledger = world.store.ledger
    assert ledger.list_owners(send_id) == {"dead", "alive"}
    assert ledger.recover_deliveries(send_id, {"dead"}, NOW) == Recovery(released=2, doubted=1)
    assert world.states(send_id) == ["in_doubt", "pending", "pending", "transmitting", "claimed", "pending"]
    assert ledger.recover_deliveries(send_id, {"dead"}, NOW) == Recovery()
    assert ledger.list_owners(send_id) == {"alive"}
    row = world.row(send_id, dead[0].subscriber_id)
    assert (row.doubts, row.attempts) == (1, 1), "flagged for good"
    (logged,) = ledger.load_attempts(send_id, dead[0].subscriber_id)
    assert (logged.event, logged.owner, logged.reply) == (Event.LOSE, "dead", None)
    assert "after the mark" in logged.reason


def test_doubt_is_resent_once_flagged_and_then_stays(world):
    send_id = world.sending("ann", "bob")
    ledger = world.store.ledger
    ann, bob = world.claim(send_id)
    world.mark(send_id, [ann, bob])
    world.record(send_id, result(ann), result(bob, "250 2.0.0 ok"))
    row = world.row(send_id, ann.subscriber_id)
    assert (row.state, row.doubts, row.attempts) == (State.IN_DOUBT, 1, 1)
    assert world.store.sends.finish_send(send_id, NOW)
    assert ledger.resend_doubtful(send_id, NOW, later(minutes=5)) == 1
    assert world.store.sends.load_send(send_id).state is SendState.SENDING, "a finished send is open again"
    assert world.claim(send_id) == ()
    (ann,) = world.claim(send_id, now=later(minutes=5))
    assert ann.doubts == 1, "flagged"
    world.mark(send_id, [ann])
    world.record(send_id, result(ann))
    assert ledger.resend_doubtful(send_id, NOW) == 0, "once in its life"
    assert [row.subscriber_id for row in ledger.list_failures(send_id)] == [ann.subscriber_id]
    events = [attempt.event for attempt in ledger.load_attempts(send_id, ann.subscriber_id)]
    assert events == [Event.LOSE, Event.RESEND, Event.LOSE]


def test_the_mark_of_doubt_survives_an_acceptance(world):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    world.mark(send_id, [ann])
    world.record(send_id, result(ann))
    world.store.ledger.resend_doubtful(send_id, NOW)
    (ann,) = world.claim(send_id)
    world.mark(send_id, [ann])
    world.record(send_id, result(ann, "250 2.0.0 ok"))
    (row,) = world.store.ledger.list_failures(send_id)
    assert (row.state, row.doubts) == (State.SENT, 1)


def test_an_operator_settles_doubt_either_way(world):
    send_id = world.sending("ann", "bob", "cyd")
    rows = world.claim(send_id)
    world.mark(send_id, rows)
    world.record(send_id, *map(result, rows))
    world.store.sends.finish_send(send_id, NOW)
    ann, bob, cyd = (row.subscriber_id for row in rows)
    settle = world.store.ledger.settle_deliveries
    assert settle(send_id, [ann, ann, 99], arrived=True, reason="relay's log", now=NOW) == 1
    assert world.store.sends.load_send(send_id).state is SendState.FINISHED
    assert settle(send_id, [bob], arrived=False, reason="relay's log", now=NOW) == 1
    assert world.store.sends.load_send(send_id).state is SendState.SENDING
    assert world.states(send_id) == ["sent", "pending", "in_doubt"]
    assert settle(send_id, [ann], arrived=False, reason="no", now=NOW) == 0, "it is not in doubt"
    assert world.row(send_id, ann).reason == "relay's log"
    assert world.store.ledger.load_attempts(send_id, ann)[-1].event is Event.SETTLE
    assert world.store.ledger.load_attempts(send_id, bob)[-1].event is Event.RESEND
    assert cyd


def test_failed_rows_can_be_sent_again(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id)
    world.mark(send_id, [bob])
    world.record(send_id, result(ann, "550 5.7.1 no", marked=False), result(bob, "250 2.0.0 ok"))
    world.store.sends.finish_send(send_id, NOW)
    assert world.store.ledger.resend_failed(send_id, NOW) == 1
    assert world.states(send_id) == ["pending", "sent"]
    (row,) = world.claim(send_id)
    assert (row.subscriber_id, row.attempts) == (ann.subscriber_id, 0)


def test_a_failed_row_whose_recipient_may_not_be_mailed_stays_failed_with_its_reason(world):
    send_id = world.sending("ann", "bob", "cyd", "dan")
    ann, bob, cyd, dan = world.claim(send_id)
    refusals = ((ann, "550 5.1.1 no"), (bob, "550 5.7.1 no"), (cyd, "550 5.7.1 no"), (dan, "552 5.2.2 full"))
    world.record(send_id, *(result(row, line, marked=False) for row, line in refusals))
    world.store.subscribers.remove_subscriber(world.list_id, "cyd@c.example", NOW)
    counts = [(str(each.reply), each.count, each.resendable) for each in world.store.tallies.failed(send_id, NOW)]
    assert counts == [("550 5.7.1 no", 2, 1), ("550 5.1.1 no", 1, 0), ("552 5.2.2 full", 1, 1)]
    assert world.store.ledger.resend_failed(send_id, NOW) == 2
    assert world.states(send_id) == ["failed", "pending", "failed", "pending"]
    assert [str(row.reply) for row in world.store.ledger.list_deliveries(send_id, {State.FAILED})] == [
        "550 5.1.1 no",
        "550 5.7.1 no",
    ]
    events = [attempt.event for attempt in world.store.ledger.load_attempts(send_id, ann.subscriber_id)]
    assert Event.RESEND not in events


def test_resending_a_cancelled_send_mails_nobody(world):
    send_id = world.sending("ann")
    (ann,) = world.claim(send_id)
    world.record(send_id, result(ann, "550 5.7.1 no", marked=False))
    world.store.sends.cancel_send(send_id, "stop", NOW)
    assert world.store.ledger.resend_failed(send_id, NOW) == 1
    assert world.states(send_id) == ["skipped"]


def test_a_bounce_and_its_undoing(world):
    send_id = world.sending("ann", "bob", "cyd")
    ann, bob, cyd = world.claim(send_id)
    world.mark(send_id, [ann, bob])
    world.record(send_id, result(ann, "250 2.0.0 ok"), result(bob))
    ledger = world.store.ledger
    for row, bounced in ((ann, True), (bob, True), (cyd, False), (ann, False)):
        assert ledger.record_bounce(send_id, row.subscriber_id, "5.1.1", NOW) is bounced
    assert world.states(send_id) == ["bounced", "bounced", "claimed"]
    for row, undone in ((ann, True), (bob, True), (cyd, False), (ann, False)):
        assert ledger.undo_bounce(send_id, row.subscriber_id, NOW) is undone
    assert world.states(send_id) == ["sent", "in_doubt", "claimed"]
    events = [attempt.event for attempt in ledger.load_attempts(send_id, ann.subscriber_id)]
    assert events == [Event.BOUNCE, Event.UNDO]


# -- reports --------------------------------------------------------------------------------------------------------


def test_failures_name_every_row_a_report_must_name_through_all_pages(world, monkeypatch):
    monkeypatch.setattr("newsletter.store.ledger._PAGE", 3)
    send_id = world.sending(*(f"p{n}" for n in range(10)))
    rows = world.claim(send_id)
    world.mark(send_id, rows[:5])
    world.record(
        send_id,
        *(result(row, "250 2.0.0 ok") for row in rows[:2]),
        *(result(row) for row in rows[2:4]),
        result(rows[4], "550 5.2.0 no"),
    )
    world.store.ledger.skip_deliveries(send_id, "me", rows[5:8], "no", NOW)
    listed = list(world.store.ledger.list_failures(send_id))
    assert [row.subscriber_id for row in listed] == [row.subscriber_id for row in rows[2:8]]
    assert listed[0].address == "p2@p.example"
    found = world.store.ledger.list_deliveries(send_id, {State.SENT, State.IN_DOUBT})
    assert [row.state for row in found] == [State.IN_DOUBT] * 2 + [State.SENT] * 2


# -- a walk against a model -----------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "claim",
                "mark",
                "accept",
                "defer",
                "refuse",
                "lose",
                "release",
                "skip",
                "crash",
                "resend",
                "leave",
                "settle",
            ]
        ),
        st.integers(min_value=0, max_value=5),
    ),
    min_size=5,
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_order_of_events_keeps_to_the_table_and_the_equation(kind, steps):
    url = kind.fresh()
    with open_store(url, address_key=KEY) as store:
        world = make_world(kind, store, url)
        send_id = world.sending(*"abcdef")
        model, held, now = dict.fromkeys(range(1, 7), State.PENDING), {}, NOW
        for name, pick in steps:
            now += dt.timedelta(days=1)
            step(world, send_id, model, held, name, pick, now)
            rows = {row.subscriber_id: row.state for row in store.ledger.list_deliveries(send_id)}
            assert rows == model, (name, pick)
            assert store.sends.account(send_id).closes
        check_moves(world)
        check_accounts(store)


def step(world, send_id, model, held, name, pick, now):
    """Do one step to the store and, by the table alone, to the model; ``held`` has the claimed rows by number."""
    ledger = world.store.ledger
    number = sorted(held)[pick % len(held)] if held else None
    if name == "claim":
        left = {
            n
            for n in model
            if world.store.subscribers.load_subscriber(world.list_id, n).state == SubscriptionState.REMOVED
        }
        claimed = world.claim(send_id, now=now, limit=10)
        for row in claimed:
            model[row.subscriber_id] = TABLE[model[row.subscriber_id], Event.CLAIM]
            held[row.subscriber_id] = row
        for n in left:
            if model[n] is State.PENDING:
                model[n] = TABLE[model[n], Event.SKIP]
    elif name == "crash":
        ledger.recover_deliveries(send_id, ["me"], now)
        for n in held:
            model[n] = TABLE[model[n], Event.LOSE]
        held.clear()
    elif name == "resend":
        doubts = {row.subscriber_id: row.doubts for row in ledger.list_deliveries(send_id)}
        ledger.resend_doubtful(send_id, now)
        for n, state in model.items():
            if state is State.IN_DOUBT and doubts[n] == 1:
                model[n] = TABLE[state, Event.RESEND]
    elif name == "settle":
        ledger.settle_deliveries(send_id, [pick + 1], arrived=True, reason="", now=now)
        model[pick + 1] = TABLE.get((model[pick + 1], Event.SETTLE), model[pick + 1])
    elif name == "leave":
        world.store.subscribers.remove_subscriber(world.list_id, f"{'abcdef'[pick]}@{'abcdef'[pick]}.example", now)
    elif number is not None:
        row, state = held[number], model[number]
        if name == "mark":
            if world.mark(send_id, [row], now=now):
                model[number] = TABLE[state, Event.TRANSMIT]
        elif name in ("release", "skip"):
            if name == "release":
                ledger.release_deliveries(send_id, "me", [row], now)
            else:
                ledger.skip_deliveries(send_id, "me", [row], "", now)
            if (state, Event(name)) in TABLE:
                model[number] = TABLE[state, Event(name)]
                del held[number]
        elif (state, Event(name)) in TABLE:
            line = {"accept": "250 2.0.0 ok", "defer": "450 4.2.2 full", "refuse": "550 5.2.0 no", "lose": ""}[name]
            world.record(send_id, result(row, line, marked=state is State.TRANSMITTING), now=now)
            model[number] = TABLE[state, Event(name)]
            del held[number]
