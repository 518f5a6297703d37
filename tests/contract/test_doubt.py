"""Rows in doubt as an operator needs them: when, in which run, by which connection, and under which edition."""

import datetime as dt

from newsletter.addresses import Mailbox
from newsletter.delivery import State
from newsletter.identity import SenderIdentity
from newsletter.message import prepare_message
from newsletter.messageids import message_id_key, message_id_of
from newsletter.model import Recipient
from newsletter.tokens import SAMPLE_KEYS

from .conftest import NOW, edition, later, result


def doubted(world, *names: str) -> int:
    """Plan a send to these people, and leave every row of it in doubt."""
    send_id = world.sending(*names)
    rows = world.claim(send_id)
    world.store.ledger.advance_deliveries(send_id, "me", (), rows, NOW, via="mail.example.org:587 #2")
    world.record(send_id, *(result(row, reason="it hung up on ann@a.example") for row in rows), now=later(minutes=10))
    return send_id


def test_a_row_in_doubt_says_when_by_what_and_why(world):
    send_id = doubted(world, "ann")
    (row,) = world.store.ledger.list_doubtful(send_id)
    assert (row.address, row.domain, row.state, row.doubts) == ("ann@a.example", "a.example", State.IN_DOUBT, 1)
    assert (row.via, row.owner, row.lost_at) == ("mail.example.org:587 #2", "me", later(minutes=10))
    assert row.reason == "it hung up on …@a.example", "the ledger holds no address"
    assert row.edition_digest == edition().digest


def test_the_row_alone_gives_the_message_id_of_its_mail(world):

    send_id = doubted(world, "ann")
    (row,) = world.store.ledger.list_doubtful(send_id)
    sender = SenderIdentity(
        sender=Mailbox("", "us@news.example.org"),
        title="News",
        list_id="news.example.org",
        bounce_address="bounces@news.example.org",
    )
    prepared = prepare_message(edition(), sender, SAMPLE_KEYS, date=NOW, send_id=send_id)
    message = prepared.personalise(Recipient(row.subscriber_id, row.list_id, "ann@a.example"))
    key = message_id_key(row.edition_digest, SAMPLE_KEYS, send_id)
    assert message_id_of(key, row.list_id, row.subscriber_id, "news.example.org") == message.message_id


def test_what_a_dead_run_left_says_by_what_it_went(world):
    send_id = world.sending("ann")
    rows = world.claim(send_id)
    world.store.ledger.advance_deliveries(send_id, "me", (), rows, NOW, via="relay #1")
    world.store.ledger.recover_deliveries(send_id, {"me"}, later(hours=1))
    (row,) = world.store.ledger.list_doubtful(send_id)
    assert (row.via, row.owner, row.lost_at) == ("relay #1", "me", later(hours=1))
    assert "the run ended" in row.reason


def test_an_answer_ends_the_search_and_the_mark_of_doubt_stays(world):
    send_id = doubted(world, "ann", "bob")
    world.store.ledger.settle_deliveries(send_id, [1], arrived=False, reason="said so", now=later(hours=1))
    (row,) = world.claim(send_id, now=later(hours=1))
    world.mark(send_id, [row], now=later(hours=1))
    world.record(send_id, result(row, "250 2.0.0 ok"), now=later(hours=1))
    assert [row.address for row in world.store.ledger.list_doubtful(send_id)] == ["bob@b.example"]
    ann, bob = world.store.ledger.list_doubtful(send_id, ever=True)
    assert (ann.state, ann.doubts, ann.via, ann.lost_at) == (State.SENT, 1, "", later(minutes=10))
    assert (bob.state, bob.doubts) == (State.IN_DOUBT, 1)


def test_a_later_dsn_settles_a_row_in_doubt_and_may_be_undone(world):
    send_id = doubted(world, "ann")
    assert world.store.ledger.record_bounce(send_id, 1, "5.1.1 no such mailbox", later(days=1))
    assert world.states(send_id) == ["bounced"]
    assert list(world.store.ledger.list_doubtful(send_id)) == []
    assert world.store.ledger.undo_bounce(send_id, 1, later(days=2))
    assert world.states(send_id) == ["in_doubt"]


def test_rows_in_doubt_come_in_pages(world, monkeypatch):
    monkeypatch.setattr("newsletter.store.ledger._PAGE", 3)
    send_id = doubted(world, *(f"p{number}" for number in range(8)))
    assert [row.subscriber_id for row in world.store.ledger.list_doubtful(send_id)] == list(range(1, 9))
    assert len(list(world.store.ledger.list_doubtful(send_id, ever=True))) == 8


def test_an_erased_person_has_no_address_in_the_list(world):
    send_id = doubted(world, "ann")
    assert world.store.subscribers.erase_subscriber(1, later(hours=1))
    (row,) = world.store.ledger.list_doubtful(send_id)
    assert (row.address, row.reason) == (None, "")
    assert isinstance(row.lost_at, dt.datetime)
