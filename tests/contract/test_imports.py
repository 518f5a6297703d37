"""An import takes people in by thousands; it must come to the same as taking them in one by one."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.store import (
    Change,
    ConsentEvent,
    Evidence,
    NewSubscriber,
    Standing,
    SubscriptionState,
    SuppressionReason,
    Way,
)

from .conftest import NOW, later

ACTIVE, PENDING, UNSUBSCRIBED, REMOVED = (
    SubscriptionState(word) for word in ("active", "pending", "unsubscribed", "removed")
)
CSV = Evidence(Way.IMPORT, "people.csv:2")
NAMES = ("ann", "bob", "cyd", "dan")


def person(who="ann", **values) -> NewSubscriber:
    return NewSubscriber(**({"address": f"{who}@p.example", "evidence": CSV} | values))


def take_in(world, *people, **options) -> list[Change]:
    options = {"origin": "import people.csv", "batch": 100} | options
    return list(world.store.subscribers.import_subscribers(world.list_id, iter(people), NOW, **options))


def find(world, name="ann"):
    return world.store.subscribers.find_subscriber(world.list_id, f"{name}@p.example")


def reason(world, name="ann"):
    found = world.store.subscribers.find_suppression(f"{name}@p.example")
    return found and found.reason


# -- one by one or all at once -----


class TakeBackError(Exception):
    """End a transaction that a test looked into."""


def outcome(world, *runs) -> tuple[object, ...]:
    """Return what the last of ``runs`` answers and what they all make of the store, and take it back."""
    seen = []
    with contextlib.suppress(TakeBackError), world.store.database.transaction():
        answers = [run() for run in runs]
        seen.append(answers[-1])
        for name in NAMES:
            found = find(world, name)
            seen.append((name, reason(world, name), found and (found.state, found.origin, found.name, found.topics)))
            if found:
                seen.append([(line.event, line.evidence) for line in logged(world, found)])
        assert world.kind.run(world.store, "SELECT COUNT(*) FROM staged") == [(0,)]
        raise TakeBackError
    return tuple(seen)


def logged(world, found):
    return world.store.choices.load_consents(found.subscriber_id)


STANDINGS = st.sampled_from(
    [
        Standing(),
        Standing(state=PENDING),
        Standing(state=UNSUBSCRIBED),
        Standing(state=REMOVED, origin="elsewhere"),
        Standing(state=None, suppressed=SuppressionReason.HARD_BOUNCE),
        Standing(suppressed=SuppressionReason.COMPLAINT),
    ]
)


def people_of(standings):
    """Return a strategy for some people with these standings, some of them more than once."""
    return st.lists(
        st.builds(
            lambda name, title, topics, standing: person(name, name=title, topics=topics, standing=standing),
            st.sampled_from(NAMES),
            st.sampled_from(["", "A", "B"]),
            st.sampled_from([(), ("beauty",)]),
            standings,
        ),
        max_size=7,
    )


PEOPLE = people_of(STANDINGS) | people_of(st.just(Standing()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=PEOPLE, people=PEOPLE, erased=st.sampled_from([None, *NAMES]))
def test_a_batch_comes_to_the_same_as_its_people_one_by_one(world, before, people, erased):
    def prepare():
        take_in(world, *before)
        if erased and (found := find(world, erased)):
            world.store.subscribers.erase_subscriber(found.subscriber_id, NOW)

    def one_by_one():
        add = world.store.subscribers.add_subscriber
        return [add(world.list_id, new, NOW, origin="import people.csv") for new in people]

    at_once = outcome(world, prepare, lambda: take_in(world, *people))
    assert at_once == outcome(world, prepare, lambda: take_in(world, *people, batch=1))
    if all(new.standing == Standing() for new in people):
        assert at_once == outcome(world, prepare, one_by_one)


# -- who had left where they come from -----


def test_who_had_left_elsewhere_is_kept_out_for_good(world):
    gone = person(standing=Standing(state=UNSUBSCRIBED))
    assert take_in(world, gone) == [Change.GONE]
    assert find(world).state is UNSUBSCRIBED
    assert [line.event for line in logged(world, find(world))] == [ConsentEvent.LEFT]
    assert take_in(world, person()) == [Change.LEFT]
    assert take_in(world, gone) == [Change.GONE]
    assert world.store.sends.count_audience((world.list_id,), NOW) == 0


def test_who_had_left_elsewhere_leaves_here_too(world):
    take_in(world, person(name="Ann"))
    assert take_in(world, person(name="Changed", standing=Standing(state=REMOVED))) == [Change.GONE]
    assert (find(world).state, find(world).name) == (REMOVED, "Ann")
    assert [line.event for line in logged(world, find(world))] == [ConsentEvent.IMPORTED, ConsentEvent.REMOVED]


def test_who_bounced_elsewhere_is_suppressed_and_nothing_else_is_kept_of_them(world):
    bounced = person(name="Ann", standing=Standing(state=None, suppressed=SuppressionReason.HARD_BOUNCE))
    assert take_in(world, bounced, bounced) == [Change.GONE, Change.GONE]
    assert find(world) is None
    assert reason(world) is SuppressionReason.HARD_BOUNCE
    assert world.store.subscribers.find_suppression("ann@p.example").note == "people.csv:2"
    assert take_in(world, person()) == [Change.SUPPRESSED]
    assert "Ann" not in "\n".join(world.kind.content(world.url))


def test_who_is_suppressed_where_an_export_comes_from_is_both_listed_and_suppressed(world):
    both = person(standing=Standing(suppressed=SuppressionReason.COMPLAINT))
    assert take_in(world, both) == [Change.GONE]
    assert (find(world).state, reason(world)) == (ACTIVE, SuppressionReason.COMPLAINT)
    assert world.store.sends.count_audience((world.list_id,), NOW) == 0


def test_a_pending_person_comes_pending(world):
    assert take_in(world, person(standing=Standing(state=PENDING))) == [Change.ADDED]
    assert find(world).state is PENDING
    assert [line.event for line in logged(world, find(world))] == [ConsentEvent.SUBSCRIBED]
    assert take_in(world, person()) == [Change.UNCHANGED], "nothing but their own confirmation makes them active"
    assert find(world).state is PENDING


def test_origin_day_and_pause_come_along(world):
    standing = Standing(origin="fair", joined_at=later(days=-100), paused_until=later(days=7))
    assert take_in(world, person(standing=standing), person("bob")) == [Change.ADDED, Change.ADDED]
    ann, bob = find(world), find(world, "bob")
    assert (ann.origin, ann.joined_at, ann.paused_until) == ("fair", later(days=-100), later(days=7))
    assert (bob.origin, bob.joined_at, bob.paused_until) == ("import people.csv", NOW, None)


def test_a_dry_run_tells_what_would_be_and_writes_nothing(world):
    take_in(world, person(), person("bob", standing=Standing(state=REMOVED)))
    before = world.kind.content(world.url)
    people = [person(name="New"), person("bob"), person("cyd"), person("cyd"), person("dan")]
    told = take_in(world, *people, dry_run=True)
    assert told == [Change.UPDATED, Change.LEFT, Change.ADDED, Change.UNCHANGED, Change.ADDED]
    assert world.kind.content(world.url) == before
    assert take_in(world, *people) == told
