"""What subscribers choose for themselves, and the log of what they consented to."""

import pytest

from newsletter.store import (
    BY_OPERATOR,
    ConsentEvent,
    Evidence,
    NewSubscriber,
    Preferences,
    SubscriptionState,
    Way,
)

from .conftest import NOW, later

FORM = Evidence(Way.FORM, source="192.0.2.0")
CLICK = Evidence(Way.ONE_CLICK, reason="too many mails")
PENDING, ACTIVE, UNSUBSCRIBED = (SubscriptionState(word) for word in ("pending", "active", "unsubscribed"))


def log(world, subscriber_id):
    return [(line.event, line.list_id, line.evidence) for line in world.store.choices.load_consents(subscriber_id)]


def ask(world, name="ann", evidence=FORM):
    """Let somebody ask for the list by a form, and return their number."""
    new = NewSubscriber(address=f"{name}@a.example", evidence=evidence)
    world.store.subscribers.add_subscriber(world.list_id, new, NOW, origin="form", state=PENDING, readmit=True)
    return world.store.subscribers.find_subscriber(world.list_id, new.address).subscriber_id


def state(world, subscriber_id, list_id=None):
    return world.store.subscribers.load_subscriber(list_id or world.list_id, subscriber_id).state


def test_asking_confirming_and_leaving_are_written_down(world):
    ann, choices = ask(world), world.store.choices
    assert choices.confirm_subscription(world.list_id, ann, later(hours=1), FORM)
    assert not choices.confirm_subscription(world.list_id, ann, later(hours=2), FORM), "twice is once"
    assert state(world, ann) is ACTIVE
    assert choices.leave_list(world.list_id, ann, later(hours=3), CLICK)
    assert not choices.leave_list(world.list_id, ann, later(hours=4), CLICK)
    assert not choices.confirm_subscription(world.list_id, ann, later(hours=5), FORM), "an old mail confirms no more"
    assert state(world, ann) is UNSUBSCRIBED
    assert log(world, ann) == [
        (ConsentEvent.SUBSCRIBED, world.list_id, FORM),
        (ConsentEvent.CONFIRMED, world.list_id, FORM),
        (ConsentEvent.LEFT, world.list_id, CLICK),
    ]
    assert [line.at for line in choices.load_consents(ann)] == [NOW, later(hours=1), later(hours=3)]
    assert ask(world) == ann
    assert state(world, ann) is PENDING
    assert log(world, ann)[3:] == [(ConsentEvent.SUBSCRIBED, world.list_id, FORM)]


@pytest.mark.parametrize(
    ("way", "event"),
    [
        (Way.OPERATOR, ConsentEvent.ADDED),
        (Way.IMPORT, ConsentEvent.IMPORTED),
        (Way.FORM, ConsentEvent.CONFIRMED),
        (Way.MAIL, ConsentEvent.CONFIRMED),
    ],
)
def test_being_put_on_a_list_is_written_down_by_its_way(world, way, event):
    evidence = Evidence(way, source="people.csv:7")
    new = NewSubscriber(address="ann@a.example", evidence=evidence)
    for _ in range(2):
        list(world.store.subscribers.import_subscribers(world.list_id, [new], NOW, origin="fair"))
    found = world.store.subscribers.find_subscriber(world.list_id, new.address)
    assert log(world, found.subscriber_id) == [(event, world.list_id, evidence)]
    world.store.subscribers.remove_subscriber(world.list_id, new.address, NOW)
    assert log(world, found.subscriber_id)[1:] == [(ConsentEvent.REMOVED, world.list_id, BY_OPERATOR)]


def test_a_person_leaves_one_list_or_all(world):
    (ann,), choices = world.join("ann"), world.store.choices
    other, third = (world.store.subscribers.ensure_list(name, NOW).list_id for name in ("monthly", "news"))
    assert choices.join_list(other, ann, NOW, FORM)
    assert not choices.join_list(other, ann, NOW, FORM)
    assert choices.join_list(third, ann, NOW, FORM)
    assert choices.leave_list(other, ann, NOW, CLICK)
    assert [found.state for found in choices.load_subscriptions(ann)] == [ACTIVE, UNSUBSCRIBED, ACTIVE]
    assert choices.leave_all_lists(ann, later(hours=1), CLICK) == 2
    assert choices.leave_all_lists(ann, later(hours=2), CLICK) == 0
    assert {found.state for found in choices.load_subscriptions(ann)} == {UNSUBSCRIBED}
    assert choices.join_list(other, ann, later(hours=3), FORM), "back at their own wish"
    back = world.store.subscribers.load_subscriber(other, ann)
    assert (back.state, back.origin, back.joined_at) == (ACTIVE, "form", later(hours=3))
    assert world.store.sends.count_audience((other,), NOW) == 1
    assert [event for event, list_id, _ in log(world, ann) if list_id == other] == [
        ConsentEvent.CONFIRMED,
        ConsentEvent.LEFT,
        ConsentEvent.CONFIRMED,
    ]


def test_nobody_joins_a_list_that_is_not_there_and_nobody_unknown_joins(world):
    (ann,) = world.join("ann")
    assert not world.store.choices.join_list(99, ann, NOW, FORM)
    assert not world.store.choices.join_list(world.list_id, 99, NOW, FORM)
    world.store.subscribers.erase_subscriber(ann, NOW)
    assert not world.store.choices.join_list(world.list_id, ann, NOW, FORM)


def test_preferences_are_set_cleared_or_left(world):
    (ann,), choices = world.join("ann"), world.store.choices
    wanted = Preferences(language="fr", time_zone="Europe/Paris", topics=("beauty", "retail"))
    assert choices.change_preferences(ann, wanted, NOW, FORM)
    assert not choices.change_preferences(ann, wanted, NOW, FORM)
    found = world.store.subscribers.load_subscriber(world.list_id, ann)
    assert (found.name, found.language, found.time_zone) == ("Ann", "fr", "Europe/Paris")
    assert found.topics == ("beauty", "retail")
    assert choices.change_preferences(ann, Preferences(name="", topics=()), NOW, FORM)
    found = world.store.subscribers.load_subscriber(world.list_id, ann)
    assert (found.name, found.language, found.topics) == ("", "fr", ())
    assert log(world, ann)[1:] == [(ConsentEvent.PREFERENCES, None, FORM)] * 2
    assert not choices.change_preferences(99, wanted, NOW, FORM)


def test_an_import_adds_topics_and_does_not_clear_them(world):
    def add(**values):
        new = NewSubscriber(address="ann@a.example", **values)
        list(world.store.subscribers.import_subscribers(world.list_id, [new], NOW, origin="csv"))
        return world.store.subscribers.find_subscriber(world.list_id, new.address).topics

    assert add() == ()
    assert add(topics=("beauty",)) == ("beauty",)
    assert add() == ("beauty",)
    assert add(topics=("retail",)) == ("retail",)


def test_who_pauses_is_in_no_audience_until_then(world):
    (ann, _), choices = world.join("ann", "bob"), world.store.choices
    until = later(days=14)
    assert choices.pause_subscriber(ann, until, NOW, FORM)
    assert not choices.pause_subscriber(ann, until, NOW, FORM)
    assert world.store.subscribers.load_subscriber(world.list_id, ann).paused_until == until
    count = world.store.sends.count_audience
    assert [count((world.list_id,), when) for when in (NOW, later(days=13.99), until)] == [1, 1, 2]
    assert world.plan("now").planned == 1
    assert choices.resume_subscriber(ann, later(days=1), FORM)
    assert not choices.resume_subscriber(ann, later(days=1), FORM)
    assert world.store.subscribers.load_subscriber(world.list_id, ann).paused_until is None
    assert world.plan("later").planned == 2
    assert [event for event, _, _ in log(world, ann)][1:] == [ConsentEvent.PAUSED, ConsentEvent.RESUMED]


def test_who_pauses_during_a_send_gets_no_more_of_it(world):
    send_id = world.sending("ann", "bob")
    ann, bob = world.claim(send_id, limit=1), world.claim(send_id, owner="other", limit=0)
    assert bob == ()
    for number in (1, 2):
        world.store.choices.pause_subscriber(number, later(days=7), NOW, FORM)
    assert world.mark(send_id, ann) == frozenset(), "no dot after the commit"
    world.store.ledger.release_deliveries(send_id, "me", ann, NOW)
    assert world.claim(send_id) == ()
    assert world.states(send_id) == ["skipped", "skipped"]
    assert "paused" in world.row(send_id, 1).reason


def test_erasing_empties_the_log_but_for_what_and_when(world):
    ann = ask(world, evidence=Evidence(Way.FORM, "192.0.2.0", "said Ann"))
    assert world.store.subscribers.erase_subscriber(ann, later(hours=1), CLICK)
    assert log(world, ann) == [
        (ConsentEvent.SUBSCRIBED, world.list_id, Evidence(Way.FORM)),
        (ConsentEvent.ERASED, None, Evidence(Way.ONE_CLICK)),
    ]
    assert not world.store.choices.confirm_subscription(world.list_id, ann, NOW, FORM)
    assert not world.store.choices.pause_subscriber(ann, later(days=1), NOW, FORM)
    content = "\n".join(world.kind.content(world.url))
    assert "192.0.2.0" not in content
    assert "said Ann" not in content


def test_a_bounce_of_an_erased_person_suppresses_nobody(world):
    send_id = world.sending("ann")
    (row,) = world.claim(send_id)
    world.mark(send_id, [row])
    world.store.subscribers.erase_subscriber(row.subscriber_id, NOW)
    from .conftest import result

    world.record(send_id, result(row, "550 5.1.1 unknown"))
    assert world.store.subscribers.count_suppressions() == 1, "their own, for being erased"


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_that_nobody_confirms_are_forgotten_with_their_people(world):
    store, choices = world.store, world.store.choices
    ann, bob, cid, dan, eve = (ask(world, name) for name in ("ann", "bob", "cid", "dan", "eve"))
    choices.confirm_subscription(world.list_id, ann, NOW, FORM)
    choices.confirm_subscription(world.list_id, bob, NOW, FORM)
    choices.leave_list(world.list_id, bob, NOW, CLICK)
    ask(world, "bob")  # again, and does not confirm
    choices.renew_request(world.list_id, cid, later(days=20))
    store.outbox.save_address_change(dan, "dan@b.example", 500_000, NOW)
    other = store.subscribers.ensure_list("monthly", NOW).list_id
    store.choices.join_list(other, eve, NOW, FORM)
    fay = NewSubscriber(address="fay@a.example", evidence=Evidence(Way.IMPORT, "list.csv:2"))
    store.subscribers.add_subscriber(world.list_id, fay, NOW, origin="import", state=PENDING)
    fay_number = store.subscribers.find_person(fay.address)
    assert choices.forget_requests(NOW, later(days=29)) == 0
    assert choices.forget_requests(later(days=1), later(days=31)) == 3  # bob, dan, eve
    assert choices.forget_requests(later(days=1), later(days=31)) == 0
    assert (state(world, ann), state(world, bob), state(world, cid)) == (ACTIVE, UNSUBSCRIBED, PENDING)
    assert store.subscribers.find_subscriber(world.list_id, "dan@a.example") is None
    assert log(world, dan) == []
    assert store.subscribers.find_person("dan@a.example") is None
    assert state(world, eve, other) is ACTIVE
    assert store.subscribers.load_subscriber(world.list_id, eve) is None
    assert store.subscribers.find_subscriber(world.list_id, fay.address).state is PENDING
    assert not choices.confirm_subscription(world.list_id, dan, later(days=32), FORM), "an old link finds nobody"
    assert ask(world, "dan") > fay_number, "and nobody else gets that number"
    assert choices.forget_requests(later(days=21), later(days=60)) == 2  # cid, and dan again
    back = [NewSubscriber(address="bob@a.example"), NewSubscriber(address="dan@a.example")]
    changes = list(store.subscribers.import_subscribers(world.list_id, back, later(days=61), origin="x"))
    assert [str(change) for change in changes] == ["left", "added"]
