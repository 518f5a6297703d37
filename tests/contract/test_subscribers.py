"""Lists, people, subscriptions, suppressions, and what erasing a person leaves."""

import pytest

from newsletter.errors import ConfigError
from newsletter.store import (
    Change,
    Evidence,
    NewSubscriber,
    SubscriptionState,
    SuppressionReason,
    Way,
    open_store,
)

from .conftest import KEY, NOW, later, result

FORM = Evidence(Way.FORM, source="192.0.2.0")
BOB = NewSubscriber(address="Bob@b.example", name="Bob", language="en", attributes={"city": "Lyon"})


def add(world, new=BOB, **values):
    return world.store.subscribers.add_subscriber(
        values.pop("list_id", world.list_id), new, later(hours=1), **({"origin": "test"} | values)
    )


def find(world, address="bob@b.example"):
    return world.store.subscribers.find_subscriber(world.list_id, address)


def test_a_list_is_made_once(world):
    lists = world.store.subscribers
    first = lists.ensure_list("digest", NOW, title="The digest")
    assert lists.ensure_list("digest", later(days=1), title="Another title") == first
    assert lists.find_list("digest") == first
    assert lists.find_list("nothing") is None
    assert [found.name for found in lists.load_lists()] == ["main", "digest"]


def test_a_person_is_added_then_unchanged_then_updated(world):
    assert add(world) is Change.ADDED
    assert add(world) is Change.UNCHANGED
    assert add(world, NewSubscriber(address="bob@B.example", attributes={"size": "L"})) is Change.UPDATED
    found = find(world)
    assert found.address == "Bob@b.example", "the address stays as it was first written"
    assert (found.name, found.language, found.attributes) == ("Bob", "en", {"city": "Lyon", "size": "L"})
    assert (found.state, found.origin, found.joined_at) == (SubscriptionState.ACTIVE, "test", later(hours=1))
    assert world.store.subscribers.load_subscriber(world.list_id, found.subscriber_id) == found


def test_nothing_is_found_where_nobody_is(world):
    assert find(world) is None
    assert world.store.subscribers.load_subscriber(world.list_id, 7) is None
    assert not world.store.subscribers.remove_subscriber(world.list_id, "bob@b.example", NOW)
    assert not world.store.subscribers.change_subscription(world.list_id, 7, SubscriptionState.REMOVED, NOW)
    assert not world.store.subscribers.erase_subscriber(7, NOW)


def test_a_person_may_be_on_two_lists(world):
    other = world.store.subscribers.ensure_list("digest", NOW).list_id
    assert add(world) is Change.ADDED
    assert add(world, list_id=other) is Change.ADDED
    assert world.store.subscribers.find_subscriber(other, BOB.address).subscriber_id == find(world).subscriber_id
    assert world.store.subscribers.remove_subscriber(other, BOB.address, NOW)
    assert find(world).state is SubscriptionState.ACTIVE


@pytest.mark.parametrize("state", [SubscriptionState.UNSUBSCRIBED, SubscriptionState.REMOVED])
def test_people_who_left_do_not_come_back_but_by_their_own_word(world, state):
    add(world)
    assert world.store.subscribers.change_subscription(world.list_id, find(world).subscriber_id, state, NOW)
    assert add(world, NewSubscriber(address="bob@b.example", name="Robert")) is Change.LEFT
    assert list(world.store.subscribers.import_subscribers(world.list_id, [BOB], NOW, origin="csv")) == [Change.LEFT]
    assert (find(world).state, find(world).name) == (state, "Bob")
    assert add(world, readmit=True, origin="form") is Change.ADDED
    assert (find(world).state, find(world).origin) == (SubscriptionState.ACTIVE, "form")


def test_a_pending_person_is_not_confirmed_by_an_import(world):
    assert add(world, state=SubscriptionState.PENDING) is Change.ADDED
    assert add(world) is Change.UNCHANGED
    assert find(world).state is SubscriptionState.PENDING
    assert world.store.subscribers.change_subscription(
        world.list_id, find(world).subscriber_id, SubscriptionState.ACTIVE, NOW
    )


def test_a_suppressed_address_is_refused_always(world):
    people = world.store.subscribers
    assert people.suppress_address("BOB@b.example", SuppressionReason.COMPLAINT, NOW, note="by mail")
    assert not people.suppress_address("bob@b.example", SuppressionReason.REQUEST, later(days=1))
    found = people.find_suppression("bob@b.example")
    assert (found.reason, found.since, found.note) == (SuppressionReason.COMPLAINT, NOW, "by mail")
    assert add(world) is Change.SUPPRESSED
    assert add(world, readmit=True) is Change.SUPPRESSED
    assert find(world) is None
    assert people.count_suppressions() == 1
    assert people.lift_suppression("bob@b.example")
    assert not people.lift_suppression("bob@b.example")
    assert people.find_suppression("bob@b.example") is None
    assert add(world) is Change.ADDED


def test_an_import_tells_each_change_in_order_and_commits_in_batches(world):
    people = [NewSubscriber(address=f"p{n}@b.example") for n in range(25)]
    world.store.subscribers.suppress_address("p3@b.example", SuppressionReason.OPERATOR, NOW)
    changes = world.store.subscribers.import_subscribers(
        world.list_id, iter([*people, people[0]]), NOW, origin="csv", batch=10
    )
    assert next(changes) is Change.ADDED
    assert world.store.subscribers.count_subscribers(world.list_id)[SubscriptionState.ACTIVE] == 9
    told = list(changes)
    assert told[2] is Change.SUPPRESSED
    assert told[-1] is Change.UNCHANGED
    assert world.store.subscribers.count_subscribers(world.list_id)[SubscriptionState.ACTIVE] == 24


def test_an_import_that_breaks_keeps_whole_batches(world):
    def people():
        for n in range(15):
            yield NewSubscriber(address=f"p{n}@b.example")
        raise RuntimeError("the file ends in the middle")

    with pytest.raises(RuntimeError):
        list(world.store.subscribers.import_subscribers(world.list_id, people(), NOW, origin="csv", batch=10))
    assert world.store.subscribers.count_subscribers(world.list_id)[SubscriptionState.ACTIVE] == 10


def test_listing_goes_through_all_pages_in_order(world, monkeypatch):
    monkeypatch.setattr("newsletter.store.subscribers._PAGE", 4)
    numbers = world.join(*(f"p{n}" for n in range(10)))
    world.store.subscribers.remove_subscriber(world.list_id, "p4@p.example", NOW)
    listed = world.store.subscribers.list_subscribers
    assert [found.subscriber_id for found in listed(world.list_id)] == numbers
    assert [found.name for found in listed(world.list_id, SubscriptionState.REMOVED)] == ["P4"]
    assert len(list(listed(world.list_id, SubscriptionState.ACTIVE))) == 9
    assert world.store.subscribers.count_subscribers(world.list_id) == {
        SubscriptionState.PENDING: 0,
        SubscriptionState.ACTIVE: 9,
        SubscriptionState.UNSUBSCRIBED: 0,
        SubscriptionState.REMOVED: 1,
    }


def test_text_that_no_database_keeps_is_replaced(world):
    add(world, NewSubscriber(address="eve@e.example", name="E\0v\ud800e", attributes={"a\0": "\udfff"}))
    found = find(world, "eve@e.example")
    assert (found.name, found.attributes) == ("E\ufffdv\ufffde", {"a\ufffd": "\ufffd"})


def test_erasing_a_person_keeps_every_count_and_leaves_nothing_personal(world):
    send_id = world.sending("ann", "bob", "cyd")
    ann, bob, cyd = world.claim(send_id)
    world.mark(send_id, [ann, bob, cyd])
    world.record(
        send_id,
        result(ann, "250 2.0.0 for ann@a.example"),
        result(bob, "450 4.2.0 bob is over quota"),
        result(cyd, "550 5.1.1 cyd is unknown"),
    )
    before = world.store.sends.account(send_id)
    for row in (ann, bob, cyd):
        assert world.store.subscribers.erase_subscriber(row.subscriber_id, NOW)
        assert not world.store.subscribers.erase_subscriber(row.subscriber_id, NOW)
    assert world.store.sends.account(send_id) == before
    assert before.closes
    for name in ("ann@a", "bob@b", "Ann", "Cyd", "bob is over", "cyd is unknown", "a.example"):
        assert name not in "\n".join(world.kind.content(world.url))
    assert world.store.subscribers.find_suppression("cyd@c.example").note == ""
    # The erased row that was deferred is never mailed: it is skipped when it comes due.
    assert world.claim(send_id, now=later(days=1)) == ()
    assert world.states(send_id) == ["sent", "skipped", "failed"]
    # Their hash stands in the suppressions alone, so no import brings the person back.
    new = NewSubscriber(address="ann@a.example", name="Ann")
    assert world.store.subscribers.find_suppression("ann@a.example").reason is SuppressionReason.ERASED
    assert find(world, "ann@a.example") is None
    assert add(world, new) is Change.SUPPRESSED
    other = world.store.subscribers.ensure_list("digest", NOW).list_id
    assert add(world, new, list_id=other) is Change.SUPPRESSED


def test_who_was_erased_comes_back_by_their_own_confirmed_word_alone(world):
    (ann,) = world.join("ann")
    people, choices = world.store.subscribers, world.store.choices
    people.erase_subscriber(ann, NOW)
    people.suppress_address("bob@b.example", SuppressionReason.COMPLAINT, NOW)
    new = NewSubscriber(address="ann@a.example", name="Ann", evidence=FORM)
    asked = {"readmit": True, "origin": "form", "state": SubscriptionState.PENDING}
    assert add(world, BOB, **asked) is Change.SUPPRESSED
    assert add(world, new, **asked) is Change.ADDED
    again = find(world, "ann@a.example").subscriber_id
    assert again != ann, "nothing ties them to who they were"
    assert people.find_suppression("ann@a.example") is not None, "asking is not confirming"
    assert add(world, new) is Change.SUPPRESSED
    assert world.store.sends.count_audience((world.list_id,), NOW) == 0
    assert choices.confirm_subscription(world.list_id, again, NOW, FORM)
    assert people.find_suppression("ann@a.example") is None
    assert world.store.sends.count_audience((world.list_id,), NOW) == 1


def test_what_needs_the_key_says_so(url):
    with open_store(url) as store:
        list_id = store.subscribers.ensure_list("main", NOW).list_id
        with pytest.raises(ConfigError, match="secret_file"):
            store.subscribers.find_subscriber(list_id, "bob@b.example")


def test_another_address_key_is_refused(url):
    open_store(url, address_key=KEY).close()
    open_store(url, address_key=KEY).close()
    open_store(url).close()
    with pytest.raises(ConfigError, match="put the first line back"):
        open_store(url, address_key=KEY[::-1])
