"""Both databases take an audience as ``audience.matches`` means it, whatever stands in it, and never as SQL."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.audience import All, Either, Equals, Has, Not, OnList, Traits, matches
from newsletter.store import NewSubscriber, Segment, SubscriptionState
from newsletter.store.segments import condition_of

from .conftest import NOW

PAYLOADS = (
    "'",
    '"',
    "%",
    "_",
    "' OR '1'='1",
    "'; DROP TABLE subscribers; --",
    ":list",
    "%(list)s",
    "\\",
    "{}",
    "\0",
    "é",
)
WORDS = ("", "fr", "FR", "fr-CA", "a", "A", "Lyon", "beauty", "big-data", *PAYLOADS)
LISTS = ("main", "monthly", "other")
words = st.sampled_from(WORDS)
LEAVES = (
    st.builds(OnList, st.sampled_from(LISTS))
    | st.builds(Has, st.sampled_from([word for word in WORDS if word]))
    | st.builds(Equals, st.sampled_from(["language", "name", "time_zone", "domain"]), words)
    | st.builds(Equals, st.sampled_from(["town", "k'", 'k"', "k%", "$.k", *PAYLOADS]), words, st.just(True))
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Either, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
PERSON = st.fixed_dictionaries(
    {
        "language": words,
        "name": words,
        "time_zone": words,
        "topics": st.sets(st.sampled_from([word for word in WORDS if word and "," not in word]), max_size=2),
        "attributes": st.dictionaries(st.sampled_from(["town", "k'", 'k"', "k%", "$.k", *PAYLOADS]), words, max_size=2),
        "lists": st.sets(st.sampled_from(LISTS[1:]), max_size=2),
    }
)


class TakeBackError(Exception):
    """End a transaction that a test looked into."""


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(people=st.lists(PERSON, min_size=1, max_size=4), condition=EXPRESSIONS)
def test_a_database_and_the_tree_agree(world, people, condition):
    with contextlib.suppress(TakeBackError), world.store.database.transaction():
        lists = {name: world.store.subscribers.ensure_list(name, NOW).list_id for name in LISTS}
        expected = [number for number, person in enumerate(people) if matches(condition, traits(person))]
        for number, person in enumerate(people):
            join(world, lists, number, person)
        segment = Segment(condition, lists)
        assert world.store.sends.count_audience((lists["main"],), NOW, segment) == len(expected)
        send = world.plan("segment", segment=segment)
        rows = list(world.store.ledger.list_deliveries(send.send_id))
        assert [row.address for row in rows] == [f"p{number}@p.example" for number in expected]
        raise TakeBackError


def traits(person) -> Traits:
    def stored(text):
        return text.replace("\0", "\ufffd")

    return Traits(
        lists=person["lists"] | {"main"},
        domain="p.example",
        topics={stored(topic) for topic in person["topics"]},
        attributes={stored(key): stored(value) for key, value in person["attributes"].items()},
        **{key: stored(person[key]) for key in ("language", "name", "time_zone")},
    )


def join(world, lists, number, person) -> None:
    values = {key: person[key] for key in ("language", "name", "time_zone", "attributes")}
    new = NewSubscriber(address=f"p{number}@p.example", topics=tuple(sorted(person["topics"])), **values)
    for name in ("main", *sorted(person["lists"])):
        world.store.subscribers.add_subscriber(lists[name], new, NOW, origin="x")


def test_no_value_stands_in_the_text_of_a_query(world):
    for payload in PAYLOADS:
        condition = All((Equals("name", payload), Equals(payload, payload, True), Has(payload), Not(OnList("main"))))
        sql, values = condition_of(Segment(condition, {"main": 1}), world.store.database.dialect)
        plain, _ = condition_of(
            Segment(All((Equals("name", "x"), Equals("x", "x", True), Has("x"), Not(OnList("main")))), {"main": 1}),
            world.store.database.dialect,
        )
        assert sql == plain
        assert len(values) == 5


def test_somebody_on_two_lists_of_an_audience_gets_one_mail(world):
    other = world.store.subscribers.ensure_list("monthly", NOW).list_id
    world.join("ann", "bob")
    for name in ("ann", "cyd"):
        new = NewSubscriber(address=f"{name}@{name[0]}.example", language="fr" if name == "ann" else "")
        world.store.subscribers.add_subscriber(other, new, NOW, origin="x")
    both = (world.list_id, other)
    assert world.store.sends.count_audience(both, NOW) == 3
    segment = Segment(Either((Equals("language", "fr"), Not(OnList("main")))), {"main": world.list_id})
    assert world.store.sends.count_audience(both, NOW, segment) == 2
    send = world.plan(list_ids=both, segment=segment)
    assert send.planned == 2
    rows = list(world.store.ledger.list_deliveries(send.send_id))
    assert [row.address for row in rows] == ["ann@a.example", "cyd@c.example"]
    world.store.subscribers.change_subscription(other, rows[1].subscriber_id, SubscriptionState.UNSUBSCRIBED, NOW)
    assert world.store.sends.count_audience(both, NOW, segment) == 1
