"""Single mails wait in the store, once for each address and kind, and whoever asks too often is held back."""

import datetime as dt

import pytest

from newsletter.store import Allowance, Evidence, NewSubscriber, SubscriptionState, SuppressionReason, Way

from .conftest import NOW, later

WAIT = dt.timedelta(minutes=10)
LEASE = dt.timedelta(minutes=30)
FORM = Evidence(Way.FORM)


def ask(world, name="ann", now=NOW, kind="confirm", allowances=(), **wish):
    return world.store.outbox.ask_mail(kind, f"{name}@a.example", wish, now, wait=WAIT, allowances=allowances)


def take(world, now=NOW, limit=10):
    return world.store.outbox.take_mails(now, limit=limit, lease=LEASE)


def addresses(world, now=NOW):
    return [mail.address for mail in take(world, now)]


def test_a_mail_waits_until_it_is_done_with(world):
    outbox = world.store.outbox
    assert outbox.next_mail_at() is None
    assert ask(world, name="ann", language="fr") is None
    assert outbox.count_mails() == 1
    assert outbox.next_mail_at() == NOW
    [mail] = take(world)
    assert (mail.kind, mail.address, mail.wish, mail.queued_at, mail.attempts) == (
        "confirm",
        "ann@a.example",
        {"language": "fr"},
        NOW,
        0,
    )
    assert "hash" not in repr(mail)
    outbox.end_mail(mail)
    assert outbox.count_mails() == 0
    assert outbox.next_mail_at() is None
    assert take(world, later(days=9)) == ()
    [row] = world.kind.run(world.store, "SELECT address, wish FROM outbox")
    assert row == (None, "{}"), "nothing personal stays"


def test_a_mail_in_hand_is_nobody_elses_until_its_lease_is_over(world):
    ask(world)
    assert len(take(world)) == 1
    assert take(world) == ()
    assert take(world, later(minutes=29)) == ()
    [again] = take(world, later(minutes=30))
    assert again.attempts == 1
    assert again.queued_at == NOW


def test_a_mail_that_is_put_back_comes_when_it_is_due(world):
    ask(world)
    [mail] = take(world)
    world.store.outbox.put_back_mail(mail, later(minutes=5))
    assert world.store.outbox.next_mail_at() == later(minutes=5)
    assert take(world, later(minutes=4)) == ()
    assert len(take(world, later(minutes=5))) == 1


def test_mails_come_in_the_order_in_which_they_are_due(world):
    for minute, name in enumerate(("cyd", "ann", "bob")):
        ask(world, name, later(seconds=minute))
    assert addresses(world, later(minutes=1))[:2] == ["cyd@a.example", "ann@a.example"]


def test_an_address_gets_no_second_mail_of_a_kind_within_its_cooldown_which_doubles(world):
    ask(world, wanted="first")
    ask(world, wanted="second", now=later(minutes=9))
    [mail] = take(world, later(minutes=9))
    assert mail.wish == {"wanted": "first"}
    world.store.outbox.end_mail(mail)
    ask(world, now=later(minutes=9))
    assert take(world, later(minutes=9)) == ()
    for minutes in (10, 30, 70):  # 10, then 20, then 40 minutes after the one before
        ask(world, now=later(minutes=minutes - 1))
        assert take(world, later(minutes=minutes - 1)) == ()
        ask(world, now=later(minutes=minutes))
        [mail] = take(world, later(minutes=minutes))
        world.store.outbox.end_mail(mail)
    ask(world, now=later(minutes=71), kind="preferences")
    assert len(take(world, later(minutes=71))) == 1, "another kind has its own"


def test_the_cooldown_ends_at_a_day_and_starts_anew_when_nothing_was_asked_for_long(world):
    now = NOW
    for _ in range(12):
        ask(world, now=now)
        [mail] = take(world, now)
        world.store.outbox.end_mail(mail)
        now += dt.timedelta(days=1)
    world.store.outbox.forget_old(now + dt.timedelta(hours=1))
    assert world.kind.run(world.store, "SELECT COUNT(*) FROM outbox") == [(1,)]
    world.store.outbox.forget_old(now + dt.timedelta(days=1))
    assert world.kind.run(world.store, "SELECT COUNT(*) FROM outbox") == [(0,)]


def test_case_of_the_local_part_is_no_way_around_the_cooldown(world):
    ask(world, "ann")
    ask(world, "ANN")
    assert world.store.outbox.count_mails() == 1


def test_a_mail_that_was_replaced_is_not_ended_by_its_former_self(world):
    ask(world)
    [old] = take(world)
    ask(world, now=later(minutes=10))
    world.store.outbox.end_mail(old)
    world.store.outbox.put_back_mail(old, later(days=3))
    assert len(take(world, later(minutes=10))) == 1


def test_an_allowance_is_used_up_and_fills_up_evenly(world):
    client = Allowance("client x", 3, dt.timedelta(minutes=30))
    everybody = Allowance("everybody", 100, dt.timedelta(hours=1))
    names = iter("abcdefghijkl")
    for _ in range(3):
        assert ask(world, next(names), allowances=(client, everybody)) is None
    assert ask(world, next(names), allowances=(client, everybody)) == client
    assert world.store.outbox.count_mails() == 3, "nothing is queued without an allowance"
    assert ask(world, next(names), allowances=(Allowance("client y", 3, client.per),)) is None
    assert ask(world, next(names), later(minutes=9), allowances=(client,)) == client
    assert ask(world, next(names), later(minutes=10), allowances=(client,)) is None
    assert ask(world, next(names), later(minutes=10), allowances=(client,)) == client
    for _ in range(3):
        assert ask(world, next(names), later(hours=2), allowances=(client,)) is None
    assert world.store.outbox.forget_old(later(hours=9)) == 3, "the names of three allowances"


def test_an_allowance_of_one(world):
    only = Allowance("everybody", 1, dt.timedelta(hours=1))
    assert ask(world, "ann", allowances=(only,)) is None
    assert ask(world, "bob", allowances=(only,)) == only
    assert ask(world, "bob", later(hours=1), allowances=(only,)) is None


@pytest.fixture
def ann(world) -> int:
    return world.join("ann")[0]


def test_a_later_change_of_address_voids_the_earlier(world, ann):
    outbox = world.store.outbox
    assert outbox.find_address_change(ann) is None
    first = outbox.save_address_change(ann, "new@a.example", 100, NOW)
    assert outbox.save_address_change(ann, "new@a.example", 100, NOW) == first, "the same wish, tried again"
    second = outbox.save_address_change(ann, "other@a.example", 100, NOW)
    assert (first.hour, second.hour) == (100, 101)
    assert outbox.find_address_change(ann) == second
    assert outbox.drop_address_change(ann)
    assert not outbox.drop_address_change(ann)
    assert outbox.find_address_change(ann) is None


def test_a_change_that_nobody_confirmed_is_forgotten(world, ann):
    hour = int(NOW.timestamp()) // 3600
    world.store.outbox.save_address_change(ann, "new@a.example", hour + 2, NOW)
    world.store.outbox.forget_old(later(hours=1))
    assert world.store.outbox.find_address_change(ann) is not None
    world.store.outbox.forget_old(later(hours=2))
    assert world.store.outbox.find_address_change(ann) is None


def test_another_address_keeps_the_person_and_keeps_the_old_one_out_of_imports(world, ann):
    store, list_id = world.store, world.list_id
    old = store.subscribers.load_subscriber(list_id, ann).address
    assert store.choices.change_address(ann, "new@b.example", later(hours=1), FORM)
    moved = store.subscribers.load_subscriber(list_id, ann)
    assert (moved.address, moved.state) == ("new@b.example", SubscriptionState.ACTIVE)
    assert store.subscribers.find_subscriber(list_id, "new@b.example").subscriber_id == ann
    assert store.subscribers.find_subscriber(list_id, old) is None
    changes = store.subscribers.import_subscribers(list_id, [NewSubscriber(address=old)], later(hours=2), origin="x")
    assert [str(change) for change in changes] == ["suppressed"]
    assert store.choices.change_address(ann, old, later(hours=3), FORM), "and back"
    assert store.subscribers.find_suppression(old) is None
    assert store.subscribers.find_suppression("new@b.example").reason is SuppressionReason.ERASED


def test_an_address_that_somebody_has_brings_two_people_together(world):
    ann, bob = world.join("ann", "bob")
    store = world.store
    other = store.subscribers.ensure_list("monthly", NOW).list_id
    store.choices.join_list(other, ann, NOW, FORM)
    address = store.subscribers.load_subscriber(world.list_id, bob).address
    assert store.choices.change_address(ann, address, later(hours=1), FORM)
    states = {who: [str(each.state) for each in store.choices.load_subscriptions(who)] for who in (ann, bob)}
    assert states == {ann: ["unsubscribed", "unsubscribed"], bob: ["active", "active"]}


def test_a_reason_is_written_to_the_last_time_the_person_left_once(world, ann):
    store = world.store
    assert not store.choices.add_reason(world.list_id, ann, Evidence(Way.FORM, reason="never left"))
    store.choices.leave_list(world.list_id, ann, NOW, FORM)
    assert store.choices.add_reason(world.list_id, ann, Evidence(Way.FORM, reason="too many"))
    assert not store.choices.add_reason(0, ann, Evidence(Way.FORM, reason="again"))
    assert [line.evidence.reason for line in store.choices.load_consents(ann)][-1] == "too many"


def test_erasing_takes_waiting_mails_and_a_wanted_address_along(world, ann):
    store = world.store
    address = store.subscribers.load_subscriber(world.list_id, ann).address
    store.outbox.ask_mail("preferences", address, {}, NOW, wait=WAIT)
    store.outbox.save_address_change(ann, "new@b.example", 10**6, NOW)
    assert store.subscribers.erase_subscriber(ann, later(hours=1))
    assert store.outbox.count_mails() == 0
    assert store.outbox.find_address_change(ann) is None
