"""Who chose topics gets the edition with their sections, as it was decided when the audience was frozen."""

import pytest

from newsletter.errors import StoreUnavailableError
from newsletter.store import BY_OPERATOR, NewSubscriber, Preferences
from newsletter.variants import TopicalSections

from .conftest import NOW, edition

SECTIONS = TopicalSections((("beauty", "retail"), ("sport",)))
CHOICES = {"ann": (), "bob": ("beauty",), "cyd": ("retail", "wine"), "dan": ("wine",), "eve": ("retail", "sport")}


def join(world) -> None:
    for name, topics in CHOICES.items():
        new = NewSubscriber(address=f"{name}@p.example", topics=topics)
        world.store.subscribers.add_subscriber(world.list_id, new, NOW, origin="x")


def got(world, send_id) -> dict[str, int]:
    return {row.address.partition("@")[0]: row.edition_id for row in world.store.ledger.list_deliveries(send_id)}


def test_each_gets_the_edition_of_their_topics(world):
    join(world)
    beauty, none = (world.store.editions.save_edition(edition(subject=word), NOW) for word in ("b", "n"))
    variants = {"beauty,retail": beauty, "-": none}
    send = world.plan(sections=SECTIONS, variants=variants)
    whole = world.edition_id
    assert got(world, send.send_id) == {"ann": whole, "bob": beauty, "cyd": beauty, "dan": none, "eve": whole}
    assert send.planned == 5
    account = world.store.sends.account(send.send_id)
    tallies = {each.edition_id: each.account.planned for each in world.store.tallies.by_edition(send.send_id, account)}
    assert tallies == {whole: 2, beauty: 2, none: 1}
    assert world.store.sends.count_choices((world.list_id,), NOW) == {
        (): 1,
        ("beauty",): 1,
        ("retail", "wine"): 1,
        ("wine",): 1,
        ("retail", "sport"): 1,
    }


def test_what_was_frozen_stays_whatever_somebody_chooses_afterwards(world):
    (ann,) = world.join("ann")
    beauty = world.store.editions.save_edition(edition(subject="b"), NOW)
    send = world.plan(sections=SECTIONS, variants={"beauty,retail": beauty})
    world.store.choices.change_preferences(ann, Preferences(topics=("beauty",)), NOW, BY_OPERATOR)
    world.store.sends.start_send(send.send_id, NOW)
    (row,) = world.claim(send.send_id)
    assert row.edition_id == world.edition_id
    assert world.mark(send.send_id, [row]) == {ann}
    world.store.ledger.release_deliveries(send.send_id, "me", [row], NOW)


def test_a_variant_that_is_missing_is_told_and_nothing_is_planned(world):
    join(world)
    with pytest.raises(StoreUnavailableError, match="chose other topics while the send was planned"):
        world.plan(sections=SECTIONS, variants={"beauty,retail": world.edition_id})
    assert world.store.sends.load_sends() == ()


def test_an_issue_without_topics_has_one_edition_for_all(world):
    join(world)
    send = world.plan()
    assert set(got(world, send.send_id).values()) == {world.edition_id}
    assert world.kind.run(world.store, "SELECT language, topics FROM send_variants") == [("", "")]


def test_languages_and_topics_together(world):
    french = world.store.editions.save_edition(edition("fr"), NOW)
    beauty = world.store.editions.save_edition(edition(subject="b"), NOW)
    for name, topics in (("ann", ()), ("bob", ("beauty",))):
        new = NewSubscriber(address=f"{name}@p.example", language="fr-CA", topics=topics)
        world.store.subscribers.add_subscriber(world.list_id, new, NOW, origin="x")
    send = world.plan(
        editions={"": world.edition_id, "fr": french}, sections=SECTIONS, variants={"beauty,retail": beauty}
    )
    assert got(world, send.send_id) == {"ann": french, "bob": beauty}
