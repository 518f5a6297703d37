"""Planning, the states of a send, its account, and what is unfinished."""

import inspect

import pytest

from newsletter.delivery import SendState
from newsletter.errors import NotAllowedError, StoreError
from newsletter.store import BY_OPERATOR, NewSubscriber, SendPlan, SubscriptionState, SuppressionReason
from newsletter.store.sends import Sends, choose_edition

from .conftest import NOW, OK, edition, later, result


def test_the_audience_is_frozen_once(world):
    world.join("ann", "bob", "cyd", "dan")
    people = world.store.subscribers
    people.remove_subscriber(world.list_id, "bob@b.example", NOW)
    people.suppress_address("cyd@c.example", SuppressionReason.REQUEST, NOW)
    people.add_subscriber(
        world.list_id, NewSubscriber(address="eve@e.example"), NOW, origin="x", state=SubscriptionState.PENDING
    )
    assert world.store.sends.count_audience((world.list_id,), NOW) == 2
    send = world.plan(send_at=NOW, not_after=later(days=1))
    assert (send.planned, send.state, send.planned_at, send.send_at) == (2, SendState.FROZEN, NOW, NOW)
    world.join("fay")
    assert world.plan(source_digest="other", editions={"": 99}) == send
    assert world.store.sends.account(send.send_id).as_json()["open"] == 2
    assert world.store.sends.find_send("2026-11-25") == send
    assert world.store.sends.find_send("2026-11-25", kind="proof") is None


def test_nobody_gets_a_send_twice_who_is_on_two_lists(world):
    other = world.store.subscribers.ensure_list("digest", NOW).list_id
    both, _ = world.join("ann", "bob")
    for name in ("ann@a.example", "zoe@z.example"):
        world.store.subscribers.add_subscriber(other, NewSubscriber(address=name), NOW, origin="x")
    assert world.store.sends.count_audience((other, world.list_id), NOW) == 3
    send = world.plan(list_ids=(other, world.list_id))
    assert send.planned == 3
    world.store.sends.start_send(send.send_id, NOW)
    lists = {row.subscriber_id: row.recipient.list_id for row in world.claim(send.send_id)}
    assert lists[both] == other, "the first list that has somebody names the delivery"
    assert sorted(lists.values()) == [world.list_id, other, other]


def test_somebody_who_left_the_first_list_is_counted_on_the_second(world):
    other = world.store.subscribers.ensure_list("digest", NOW).list_id
    world.join("ann")
    world.store.subscribers.add_subscriber(other, NewSubscriber(address="ann@a.example"), NOW, origin="x")
    world.store.subscribers.remove_subscriber(world.list_id, "ann@a.example", NOW)
    assert world.store.sends.count_audience((world.list_id, other), NOW) == 1
    assert world.plan(list_ids=(world.list_id, other)).planned == 1


def test_a_correction_goes_to_whom_the_first_text_reached_or_may_have(world):
    numbers = dict(zip("abcdefg", world.join(*"abcdefg"), strict=True))
    send_id = world.sending()
    rows = {row.subscriber_id: row for row in world.claim(send_id)}
    marked = [rows[numbers[name]] for name in "abcdef"]
    world.mark(send_id, marked)
    world.record(send_id, *(result(row, "250 2.0.0 ok") for row in marked[:4]), result(marked[4], "550 5.1.1 no"))
    world.store.ledger.recover_deliveries(send_id, {"me"}, NOW)  # f is in doubt, g was not tried
    people = world.store.subscribers
    people.remove_subscriber(world.list_id, "b@b.example", NOW)
    people.suppress_address("c@c.example", SuppressionReason.COMPLAINT, NOW)
    world.store.choices.pause_subscriber(numbers["d"], later(days=7), NOW, BY_OPERATOR)
    world.join("late")
    assert world.store.sends.count_readers(send_id, NOW) == (5, 2)
    plan = SendPlan(
        issue="2026-11-25", list_ids=(), editions={"": world.edition_id}, source_digest="d", kind="correction-1"
    )
    send = world.store.sends.plan_correction(plan, send_id, NOW)
    assert (send.kind, send.planned) == ("correction-1", 2)
    assert world.store.sends.plan_correction(plan, send_id, later(days=1)) == send
    world.store.sends.start_send(send.send_id, NOW)
    assert {row.subscriber_id for row in world.claim(send.send_id)} == {numbers["a"], numbers["f"]}


def test_each_language_gets_its_edition(world):
    french = world.store.editions.save_edition(edition("fr"), NOW)
    numbers = dict(
        zip(
            ("en", "fr-CA", "de", ""),
            (world.join(name, language=tag)[0] for name, tag in zip("abcd", ("en", "fr-CA", "de", ""), strict=True)),
            strict=True,
        )
    )
    send = world.plan(editions={"": world.edition_id, "fr": french})
    world.store.sends.start_send(send.send_id, NOW)
    editions = {row.subscriber_id: row.edition_id for row in world.claim(send.send_id)}
    assert editions.pop(numbers["fr-CA"]) == french
    assert set(editions.values()) == {world.edition_id}


@pytest.mark.parametrize(
    ("language", "edition_id"),
    [("", 0), ("en", 0), ("fr", 1), ("FR-ca", 1), ("zh", 0), ("zh-Hant-TW", 2), ("zh-hans", 0), ("frx", 0)],
)
def test_the_longest_tag_wins(language, edition_id):
    assert choose_edition(language, {"": 0, "fr": 1, "zh-Hant": 2}) == edition_id


def test_a_plan_needs_an_edition_for_everybody(world):
    with pytest.raises(ValueError, match="everybody else"):
        world.plan(editions={"fr": world.edition_id})
    assert world.store.sends.load_sends() == ()


def test_a_plan_that_fails_leaves_nothing(world):
    world.join("ann")
    with pytest.raises(StoreError):
        world.plan(editions={"": 99})  # no such edition: the foreign key refuses
    assert world.store.sends.load_sends() == ()
    assert world.plan().planned == 1


def test_a_send_moves_along_its_table(world):
    sends, send_id = world.store.sends, world.plan().send_id
    assert sends.hold_send(send_id, "veto", NOW).reason == "veto"
    with pytest.raises(NotAllowedError, match="'held' cannot take the event 'start'"):
        sends.start_send(send_id, NOW)
    assert sends.lift_hold(send_id, NOW).state is SendState.FROZEN
    assert sends.try_send(send_id, later(hours=1)).state is SendState.CANARY
    send = sends.start_send(send_id, later(hours=2))
    assert (send.state, send.started_at) == (SendState.SENDING, later(hours=1))
    assert sends.start_send(send_id, later(hours=3)) == send, "already there"
    paused = sends.pause_send(send_id, "10 refusals 550 5.7.1", NOW)
    assert (paused.state, paused.reason) == (SendState.PAUSED, "10 refusals 550 5.7.1")
    assert sends.pause_send(send_id, "another reason", NOW) == paused
    assert not sends.finish_send(send_id, NOW)
    assert (sends.resume_send(send_id, NOW).state, sends.load_send(send_id).reason) == (SendState.SENDING, "")
    assert sends.finish_send(send_id, later(hours=4))
    assert sends.finish_send(send_id, later(hours=5)), "finished is finished"
    assert sends.load_send(send_id).finished_at == later(hours=4)
    with pytest.raises(NotAllowedError, match="2026-11-25"):
        sends.cancel_send(send_id, "too late", NOW)


def test_a_send_is_finished_only_without_open_rows(world):
    send_id = world.sending("ann", "bob")
    sends = world.store.sends
    assert not sends.finish_send(send_id, NOW)
    first, second = world.claim(send_id)
    assert not sends.finish_send(send_id, NOW)
    world.mark(send_id, [first])
    world.record(send_id, result(first), result(second, "550 5.1.1 unknown", marked=False))
    assert world.states(send_id) == ["in_doubt", "failed"]
    assert sends.finish_send(send_id, NOW), "a row in doubt is not open"


def test_cancelling_skips_what_is_pending_and_later_what_comes_back(world):
    send_id = world.sending("ann", "bob", "cyd", "dan", "eve")
    ann, bob, cyd, _ = world.claim(send_id, limit=4)
    world.mark(send_id, [ann, bob])
    assert world.store.sends.cancel_send(send_id, "wrong list", NOW).reason == "wrong list"
    assert world.states(send_id) == ["transmitting", "transmitting", "claimed", "claimed", "skipped"]
    assert world.mark(send_id, [cyd]) == frozenset(), "no dot after the commit"
    world.record(send_id, result(ann, "250 2.0.0 ok"), result(bob, "450 4.2.2 full"))
    assert world.states(send_id) == ["sent", "skipped", "claimed", "claimed", "skipped"]
    assert world.store.ledger.release_deliveries(send_id, "me", [cyd], NOW) == 1
    assert world.states(send_id) == ["sent", "skipped", "skipped", "claimed", "skipped"]
    assert world.store.ledger.recover_deliveries(send_id, ["me"], NOW).released == 1
    assert world.states(send_id) == ["sent", "skipped", "skipped", "skipped", "skipped"]
    assert world.claim(send_id) == ()
    assert world.store.sends.unfinished_sends(later(days=9)) == ()


def test_what_is_unfinished(world):
    sends = world.store.sends

    def unfinished(now):
        return [send.issue for send in sends.unfinished_sends(now)]

    assert unfinished(NOW) == []
    world.join("ann")
    first = world.plan("first", send_at=later(hours=1)).send_id
    assert unfinished(NOW) == [], "before its time"
    assert unfinished(later(hours=1)) == ["first"]
    assert sends.next_due_at(first) == NOW
    second = world.plan("second").send_id
    assert unfinished(later(hours=1)) == ["first", "second"], "oldest first"
    sends.hold_send(second, "veto", NOW)
    sends.start_send(first, NOW)
    (row,) = world.claim(first)
    assert unfinished(NOW) == ["first"], "somebody holds a row, and may be dead"
    world.mark(first, [row])
    world.record(first, result(row, "450 4.2.2 full"))
    assert unfinished(NOW) == [], "the row is not due"
    assert sends.next_due_at(first) > later(minutes=3)
    assert unfinished(later(hours=1)) == ["first"]
    (row,) = world.claim(first, now=later(hours=1))
    world.mark(first, [row])
    world.record(first, result(row, "250 2.0.0 ok"))
    assert sends.next_due_at(first) is None
    assert unfinished(NOW) == ["first"], "only to be finished"
    sends.finish_send(first, NOW)
    assert unfinished(later(days=9)) == []


def test_a_send_to_nobody_can_be_finished(world):
    send = world.plan()
    assert send.planned == 0
    assert world.store.sends.account(send.send_id).closes
    world.store.sends.start_send(send.send_id, NOW)
    assert world.store.sends.finish_send(send.send_id, NOW)


def test_an_unknown_send_is_an_error(world):
    for call in (world.store.sends.load_send, world.store.sends.account):
        with pytest.raises(StoreError, match="no send 99"):
            call(99)
    with pytest.raises(StoreError, match="no send 99"):
        world.store.sends.start_send(99, NOW)


def test_naive_instants_are_refused(world):
    with pytest.raises(ValueError, match="no time zone"):
        world.store.sends.unfinished_sends(NOW.replace(tzinfo=None))


def test_every_move_of_a_send_has_its_method():
    from newsletter.delivery import SendEvent

    methods = {"try_send", "start_send", "hold_send", "lift_hold", "pause_send", "resume_send", "cancel_send"}
    names = {name for name, _ in inspect.getmembers(Sends, inspect.isfunction)}
    assert methods | {"finish_send"} <= names
    assert len(SendEvent) == len(methods) + 2  # FINISH, and REOPEN, which the ledger does when a row is resent


def test_the_account_counts_each_end(world):
    send_id = world.sending(*"abcdefgh")
    a, b, c, d, e, f, g = world.claim(send_id, limit=7)
    world.mark(send_id, [a, b, c, d])
    world.record(
        send_id,
        result(a, "250 2.0.0 ok"),
        result(b, "250 2.0.0 ok"),
        result(c),
        result(d, "550 5.2.0 no"),
        result(e, "550 5.7.1 no", marked=False),
    )
    world.store.ledger.skip_deliveries(send_id, "me", [f], "cannot be rendered", NOW)
    world.store.ledger.record_bounce(send_id, b.subscriber_id, "5.1.1", NOW)
    assert world.store.sends.account(send_id).as_json() == {
        "planned": 8,
        "sent": 1,
        "failed": 2,
        "skipped": 1,
        "bounced": 1,
        "in_doubt": 1,
        "open": 2,
    }
    assert OK.code == 250
    assert g.attempts == 0
