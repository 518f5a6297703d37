"""How a send begins: which editors were told, the first share and its account, taking back what never began."""

import itertools

import pytest

from newsletter.delivery import SendState
from newsletter.errors import NotAllowedError
from newsletter.opening import Canary
from newsletter.store import Notice
from newsletter.store.database import load_queries
from newsletter.store.dialect import POSTGRESQL, SQLITE

from .conftest import NOW, later, result

CROWD = [f"{letter}{number}" for number in range(10) for letter in "abcde"]


def in_canary(world, size: int = 5, people: int = 50) -> int:
    world.join(*CROWD[:people])
    return world.store.openings.begin_canary(world.plan().send_id, size, NOW).send_id


@pytest.mark.parametrize(("people", "size"), [(50, 5), (50, 1), (50, 49), (50, 50), (7, 3), (1, 1)])
def test_the_first_share_has_its_size_and_is_spread_over_the_list(world, people, size):
    send_id = in_canary(world, size, people)
    claimed = sorted(row.subscriber_id for row in world.claim(send_id))
    assert len(claimed) == size
    ids = sorted(row.subscriber_id for row in world.store.ledger.list_deliveries(send_id))
    places = [ids.index(each) for each in claimed]
    gaps = [second - first for first, second in itertools.pairwise(places)]
    assert all(people // size <= gap <= people // size + 1 for gap in gaps)


def test_the_next_send_tries_other_people_first(world):
    world.join(*CROWD)
    shares = []
    for slug in ("2026-11-25", "2026-12-02"):
        send_id = world.store.openings.begin_canary(world.plan(slug).send_id, 5, NOW).send_id
        shares.append({row.subscriber_id for row in world.claim(send_id)})
    assert not shares[0] & shares[1]


def test_only_the_first_share_can_be_claimed_until_the_send_starts(world):
    send_id = in_canary(world)
    again = world.store.openings.begin_canary(send_id, 9, later(minutes=1))
    assert (again.state, again.started_at) == (SendState.CANARY, NOW), "beginning twice does nothing"
    assert len(world.claim(send_id, limit=3)) == 3
    assert len(world.claim(send_id)) == 2
    assert world.claim(send_id) == ()
    world.store.sends.start_send(send_id, later(minutes=10))
    assert len(world.claim(send_id)) == 45


def test_a_paused_canary_goes_on_with_everybody(world):
    send_id = in_canary(world)
    world.store.sends.pause_send(send_id, "3 of 5 were refused", NOW)
    assert world.claim(send_id) == ()
    world.store.sends.resume_send(send_id, NOW)
    assert len(world.claim(send_id)) == 50


def test_the_first_share_is_accounted_for(world):
    send_id = in_canary(world, 7)
    openings = world.store.openings
    assert openings.load_canary(send_id, NOW) == Canary(size=7, untried=7, due=7)
    assert openings.load_canary(send_id, NOW.replace(year=2020)).due == 0
    one, two, three, four, five, *_ = world.claim(send_id)
    assert openings.load_canary(send_id, NOW) == Canary(size=7, untried=7, due=7), "claimed is not tried"
    world.mark(send_id, [one, two, three, four])
    world.record(
        send_id, result(one, "250 2.0.0 ok"), result(two, "550 5.7.1 no"), result(three), result(four, "450 4.2.2 full")
    )
    world.store.ledger.skip_deliveries(send_id, "me", [five], "cannot be rendered", NOW)
    found = openings.load_canary(send_id, NOW)
    assert found == Canary(size=7, untried=2, accepted=1, refused=2, skipped=1, due=2)
    world.store.ledger.resend_doubtful(send_id, NOW)
    assert openings.load_canary(send_id, NOW).refused == 2, "a row in doubt counts until it is accepted"
    assert openings.load_canary(send_id, later(hours=1)).due == 4
    world.store.ledger.record_bounce(send_id, one.subscriber_id, "5.1.1", NOW)
    assert (found := openings.load_canary(send_id, NOW)).accepted == 0
    assert found.refused == 3


def test_the_rest_begins_once(world):
    send_id = in_canary(world)
    world.store.openings.rest_canary(send_id, NOW)
    world.store.openings.rest_canary(send_id, later(minutes=5))
    assert world.store.openings.load_canary(send_id, NOW).rested_at == NOW


def test_a_send_without_a_first_share_has_no_account_of_one(world):
    assert world.store.openings.load_canary(world.sending("ann"), NOW) is None


def test_editors_are_remembered_by_their_first_acceptance(world):
    send_id, openings = world.plan().send_id, world.store.openings
    assert openings.load_notices(send_id) == ()
    refused = Notice("zoe@z.example", NOW, False, "550 5.1.1 who?")
    openings.record_notice(send_id, refused)
    accepted = Notice("mark@m.example", later(minutes=1), True, "250 2.0.0 ok")
    openings.record_notice(send_id, accepted)
    openings.record_notice(send_id, Notice("mark@m.example", later(minutes=2), True, "250 2.0.0 again"))
    assert openings.load_notices(send_id) == (refused, accepted)
    openings.record_notice(send_id, Notice("zoe@z.example", later(minutes=3), True, "250 2.0.0 ok"))
    assert [notice.editor for notice in openings.load_notices(send_id)] == ["mark@m.example", "zoe@z.example"]


def test_what_never_began_can_be_taken_back_and_planned_anew(world):
    world.join("ann", "bob")
    sends, openings = world.store.sends, world.store.openings
    first = world.plan(send_at=NOW)
    openings.record_notice(first.send_id, Notice("mark@m.example", NOW, True, "ok"))
    sends.hold_send(first.send_id, "a typo", NOW)
    assert sends.withdraw_send(first.send_id)
    assert not sends.withdraw_send(first.send_id)
    assert sends.find_send("2026-11-25") is None
    world.join("cyd")
    second = world.plan(source_digest="corrected")
    assert (second.planned, second.source_digest) == (3, "corrected")
    assert openings.load_notices(second.send_id) == ()


@pytest.mark.parametrize("state", ["sending", "canary", "paused", "cancelled", "finished"])
def test_what_began_stays(world, state):
    world.join(*(["ann", "bob"] if state != "finished" else []))
    sends, send_id = world.store.sends, world.plan().send_id
    if state == "cancelled":
        sends.start_send(send_id, NOW)
        sends.cancel_send(send_id, "x", NOW)
    elif state == "canary":
        world.store.openings.begin_canary(send_id, 1, NOW)
    else:
        sends.start_send(send_id, NOW)
        if state == "paused":
            sends.pause_send(send_id, "x", NOW)
        elif state == "finished":
            sends.finish_send(send_id, NOW)
    assert not sends.withdraw_send(send_id)
    assert str(sends.load_send(send_id).state) == state


def test_a_first_share_wants_a_send_that_was_not_begun(world):
    with pytest.raises(NotAllowedError):
        world.store.openings.begin_canary(world.sending("ann"), 1, NOW)


def test_editions_of_a_send(world):
    world.join("ann", language="fr")
    world.join("bob", language="en")
    assert world.store.openings.edition_ids(world.plan().send_id) == (world.edition_id,)


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL])
def test_the_first_share_is_claimed_by_the_same_rules_as_the_rest(dialect):
    queries = load_queries(dialect=dialect)
    query = queries["claimable_canaries"]
    for own, common in (
        ("  CROSS JOIN canaries c\n  CROSS JOIN deliveries d\n", "  JOIN deliveries d ON d.send_id = sends.id\n"),
        ("sends.state = 'canary'", "sends.state = 'sending'"),
        (
            "c.send_id = :send AND d.send_id = :send AND d.subscriber_id = c.subscriber_id\n   AND",
            "d.send_id = :send AND",
        ),
    ):
        assert own in query
        query = query.replace(own, common)
    assert query == queries["claimable_deliveries"]
