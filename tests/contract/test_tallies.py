"""What a report counts adds up to the account, on both stores, and in one snapshot also while others write."""

import pytest

from newsletter.delivery import Account, Event, State
from newsletter.model import Stage
from newsletter.store import open_store

from .conftest import KEY, NOW, edition, later, result

PEOPLE = ("ann", "abe", "amy", "bob", "bea", "cyd", "dan", "eve")
OPEN, END = later(minutes=5), later(hours=1)


@pytest.fixture
def send_id(world) -> int:
    """Plan a send: ann, abe, bob, bea are sent, cyd failed, dan left, amy waits, eve is in doubt."""
    send_id = world.sending(*PEOPLE)
    world.store.subscribers.remove_subscriber(world.list_id, "dan@d.example", NOW)
    rows = {row.recipient.name.lower(): row for row in world.claim(send_id)}
    world.mark(send_id, [row for name, row in rows.items() if name not in {"cyd", "amy"}])
    for minute, names in ((0, ("ann",)), (2, ("abe", "bob", "bea"))):
        world.record(send_id, *(result(rows[name], "250 2.0.0 ok") for name in names), now=later(minutes=minute))
    refused = result(rows["cyd"], "550 5.1.1 <cyd@c.example> unknown", Stage.RCPT, marked=False)
    world.record(send_id, refused, now=later(minutes=3))
    world.record(send_id, result(rows["amy"], "451 4.7.1 grey", Stage.RCPT, marked=False), now=later(minutes=4))
    world.record(send_id, result(rows["eve"], reason="timed out"), now=OPEN)
    return send_id


def test_the_domains_add_up_to_the_account(world, send_id):
    tallies = world.store.tallies.by_domain(send_id, 10)
    assert [(each.domain, each.account.planned) for each in tallies] == [
        ("a.example", 3),
        ("b.example", 2),
        ("c.example", 1),
        ("d.example", 1),
        ("e.example", 1),
    ]
    assert tallies[0].account == Account(planned=3, sent=2, open=1)
    assert tallies[2].account == Account(planned=1, failed=1)
    assert tallies[3].account == Account(planned=1, skipped=1)
    assert tallies[4].account == Account(planned=1, in_doubt=1)
    assert all(each.account.closes for each in tallies)
    account = world.store.sends.account(send_id)
    for name in Account.__slots__:
        assert sum(getattr(each.account, name) for each in tallies) == getattr(account, name), name
    assert world.store.tallies.by_domain(send_id, 2) == tallies[:2]


def test_the_editions_add_up_too(world):
    french = world.store.editions.save_edition(edition("fr"), NOW)
    world.join("ann", "bob")
    world.join("amelie", language="fr")
    send = world.plan(editions={"": world.edition_id, "fr": french})
    tallies = world.store.tallies.by_edition(send.send_id, world.store.sends.account(send.send_id))
    assert [(each.edition_id, each.language, each.account) for each in tallies] == [
        (world.edition_id, "en", Account(planned=2, open=2)),
        (french, "fr", Account(planned=1, open=1)),
    ]
    assert tallies[1].digest == edition("fr").digest


def test_the_only_edition_has_the_whole_account(world, send_id):
    account = world.store.sends.account(send_id)
    (only,) = world.store.tallies.by_edition(send_id, account)
    assert (only.edition_id, only.digest, only.account) == (world.edition_id, edition().digest, account)


def test_replies_are_counted_with_an_example(world, send_id):
    deferred, refused = world.store.tallies.by_reply(send_id, 10)
    assert (deferred.reply.enhanced, deferred.reply.stage, deferred.count, deferred.waiting) == ("4.7.1", "rcpt", 1, 1)
    assert str(refused.reply) == "550 5.1.1 <…@c.example> unknown"
    assert world.store.tallies.by_reply(send_id, 1) == (deferred,)


def test_reasons_are_counted_where_no_reply_says_why(world, send_id):
    world.store.ledger.expire_deliveries(send_id, "the next issue began", END)
    failed, skipped = world.store.tallies.by_reason(send_id, 10)
    assert (failed.state, failed.reason, failed.count) == (State.FAILED, "the next issue began", 1)
    assert (skipped.state, skipped.count) == (State.SKIPPED, 1)
    assert world.store.tallies.by_reason(send_id, 1) == (failed,)


def test_the_latest_troubles_come_last_first(world, send_id):
    found = world.store.tallies.latest_troubles(send_id, 10)
    assert [(each.event, each.address) for each in found] == [
        (Event.LOSE, "eve@e.example"),
        (Event.DEFER, "amy@a.example"),
        (Event.REFUSE, "cyd@c.example"),
    ]
    assert (found[0].at, found[0].reply, found[0].reason) == (OPEN, None, "timed out")
    assert (found[2].domain, str(found[2].reply)) == ("c.example", "550 5.1.1 <…@c.example> unknown")
    assert world.store.tallies.latest_troubles(send_id, 1) == found[:1]
    other = world.plan("another").send_id
    assert world.store.tallies.latest_troubles(other, 10) == ()


def test_the_pace_is_that_of_the_last_minute_and_of_the_best(world, send_id):
    pace = world.store.tallies.pace(send_id, OPEN)
    assert (pace.first_sent_at, pace.last_sent_at) == (NOW, later(minutes=2))
    assert (pace.recent, pace.best) == (0, 3)
    assert world.store.tallies.pace(send_id, later(seconds=179)).recent == 3
    assert Account.from_counts(8, pace.counts) == world.store.sends.account(send_id)
    assert (pace.due, pace.waiting, pace.doubted) == (0, 1, 1)
    assert pace.waits_until == world.store.sends.next_due_at(send_id)
    assert world.store.tallies.pace(send_id, END).due == 1, "its time has come"


def test_the_pace_before_the_first_message(world):
    world.join("ann", "bob")
    pace = world.store.tallies.pace(world.plan().send_id, NOW)
    assert (pace.first_sent_at, pace.last_sent_at, pace.recent, pace.best, pace.due) == (None, None, 0, 0, 2)


def test_rows_in_the_hands_of_a_run_are_due(world):
    send_id = world.sending("ann", "bob", "cyd")
    rows = world.claim(send_id, limit=2)
    world.mark(send_id, rows[:1])
    assert world.store.tallies.pace(send_id, NOW).due == 3


def test_a_snapshot_sees_one_state_while_others_write(world, send_id):
    store = world.store
    with open_store(world.url, address_key=KEY) as other:
        with store.database.snapshot():
            before = store.sends.account(send_id)
            assert other.ledger.settle_deliveries(send_id, [8], arrived=True, reason="", now=END) == 1
            assert other.ledger.expire_deliveries(send_id, "over", END) == 1
            assert store.sends.account(send_id) == before
            assert sum(each.account.sent for each in store.tallies.by_domain(send_id, 9)) == before.sent
        assert store.sends.account(send_id) != before, "and afterwards the new one"
    store.sends.pause_send(send_id, "writes work again", END)


def test_a_snapshot_inside_a_transaction_sees_what_that_wrote(world, send_id):
    with world.store.database.transaction():
        world.store.ledger.expire_deliveries(send_id, "over", END)
        with world.store.database.snapshot():
            assert world.store.sends.account(send_id).open == 0
        assert world.store.ledger.resend_failed(send_id, END) == 1, "cyd is suppressed, amy is not"
    assert world.store.sends.account(send_id).open == 1
