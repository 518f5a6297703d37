"""Rows in doubt are settled by a log or a word, each once, and what nobody can tell stays in doubt."""

import datetime as dt

import pytest

from newsletter.delivery import State
from newsletter.errors import InputError
from newsletter.postfixlog import PostfixLog
from newsletter.resolution import Settlement, Way, choose, decide, list_doubts, repair, settle
from newsletter.store import SendPlan, owner_name
from newsletter.tokens import SAMPLE_KEYS

from .conftest import NOW, later, result

DOMAIN = "news.example.org"
BEFORE, AFTER = later(hours=-1), later(hours=1)
PEOPLE = ("ann", "bob", "cyd", "dan", "eve", "fay", "gus")


@pytest.fixture
def send_id(world) -> int:
    return doubted(world, *PEOPLE)


def doubted(world, *names: str) -> int:
    send_id = world.sending(*names)
    rows = world.claim(send_id)
    world.mark(send_id, rows)
    world.record(send_id, *(result(row) for row in rows), now=later(minutes=10))
    return send_id


def doubts_of(world, send_id: int):
    return tuple(list_doubts(world.store, send_id, SAMPLE_KEYS, DOMAIN))


def written(at: dt.datetime, rest: str, daemon: str) -> str:
    return f"{at.isoformat()} mx postfix/{daemon}[1]: {rest}"


def log_of(doubts, fates: dict[str, str], first: dt.datetime = BEFORE, last: dt.datetime = AFTER):
    """Make a log from ``first`` to ``last`` in which the row of each named person came to this end."""
    lines = [written(first, "AAAAAAAAA: removed", "qmgr")]
    for number, doubt in enumerate(doubts):
        fate = fates.get(doubt.row.address.partition("@")[0])
        if fate is None:
            continue
        queue_id = f"BBBBBBBB{number}"
        lines.append(written(NOW, f"{queue_id}: message-id={doubt.message_id}", "cleanup"))
        if fate == "seen":
            continue
        if fate == "refused":
            lines.append(written(NOW, f"{queue_id}: milter-reject: END-OF-MESSAGE from x[y]: 5.7.1 spam", "cleanup"))
            continue
        lines.append(written(NOW, f"{queue_id}: from=<x@y.z>, size=1, nrcpt=1 (queue active)", "qmgr"))
        rest = (
            f"to=<{doubt.row.address}>, relay=mx[1]:25, delay=1, dsn=2.0.0, status={fate} (<{doubt.row.address}> it is)"
        )
        lines.append(written(NOW, f"{queue_id}: {rest}", "smtp"))
    log = PostfixLog((doubt.message_id for doubt in doubts), last)
    log.feed([*lines, written(last, "AAAAAAAAA: removed", "qmgr")])
    return log


def resolve(world, send_id: int, log=None, way=None, only=()):
    doubts = choose(doubts_of(world, send_id), only)
    return settle(world.store, send_id, [decide(doubt, log, way) for doubt in doubts], lambda: later(hours=2))


def test_a_log_settles_what_it_knows_and_leaves_the_rest(world, send_id):
    doubts = doubts_of(world, send_id)
    ends = {"ann": "sent", "bob": "deferred", "cyd": "bounced", "dan": "refused", "eve": "seen"}
    done = resolve(world, send_id, log_of(doubts, ends))
    assert [each.settlement for each in done.decisions] == [
        Settlement.SENT,
        Settlement.SENT,
        Settlement.BOUNCED,
        Settlement.RESENT,
        Settlement.STAYS,
        Settlement.STAYS,
        Settlement.STAYS,
    ]
    assert world.states(send_id) == ["sent", "sent", "bounced", "pending", *["in_doubt"] * 3]
    assert [each.doubt.row.address for each in done.staying] == ["eve@e.example", "fay@f.example", "gus@g.example"]
    assert "does not know it" in done.staying[-1].why
    assert (done.account.in_doubt, done.account.closes) == (3, True)
    row = world.row(send_id, 1)
    assert row.reason.startswith("by the relay's log: 2026-11-25T08:00:00+00:00 BBBBBBBB0: sent by mx[1]:25")
    assert "…@a.example" in row.reason, "the ledger holds no address"
    assert row.doubts == 1, "the mark of doubt stays"


@pytest.mark.parametrize(("way", "state"), [(Way.RESEND, "pending"), (Way.ASSUME_SENT, "sent")])
def test_an_operator_decides_where_the_log_is_silent(world, send_id, way, state):
    log = log_of(doubts_of(world, send_id), {"ann": "bounced", "bob": "seen"})
    done = resolve(world, send_id, log, way)
    assert world.states(send_id) == ["bounced", "in_doubt", *[state] * 5]
    assert [each.settlement for each in done.staying] == [Settlement.STAYS]


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (later(minutes=-4), later(hours=1), "begins too late"),
        (later(hours=-1), later(seconds=59), "ends too early"),
    ],
)
def test_silence_of_a_log_that_does_not_reach_over_the_dot_tells_nothing(world, send_id, first, last, words):
    log = log_of(doubts_of(world, send_id), {"ann": "sent"}, first, last)
    done = resolve(world, send_id, log, Way.RESEND)
    assert world.states(send_id) == ["sent", *["in_doubt"] * 6]
    assert all(words in each.why for each in done.staying)


def test_an_empty_log_tells_nothing(world, send_id):
    log = PostfixLog([], NOW)
    assert "no line of Postfix's" in decide(doubts_of(world, send_id)[0], log, Way.RESEND).why


def test_one_row_alone(world, send_id):
    resolve(world, send_id, way=Way.RESEND, only=("bob@b.example", "cyd@c.example"))
    assert world.states(send_id) == ["in_doubt", "pending", "pending", *["in_doubt"] * 4]
    with pytest.raises(InputError, match=r"bob@b\.example, who@x\.example: not in doubt"):
        resolve(world, send_id, way=Way.RESEND, only=("ann@a.example", "bob@b.example", "who@x.example"))
    assert world.states(send_id)[0] == "in_doubt"


def test_a_finished_send_is_reopened_by_what_is_to_be_sent_again(world, send_id):
    assert world.store.sends.finish_send(send_id, later(hours=1))
    assert str(resolve(world, send_id, way=Way.ASSUME_SENT, only=("ann@a.example",)).send.state) == "finished"
    assert str(resolve(world, send_id, way=Way.RESEND).send.state) == "sending"
    assert len(world.claim(send_id, now=later(hours=2))) == 6


def test_a_cancelled_send_sends_nothing_again(world, send_id):
    world.store.sends.cancel_send(send_id, "wrong mail", later(hours=1))
    done = resolve(world, send_id, way=Way.RESEND)
    assert world.states(send_id) == ["skipped"] * 7
    assert done.account.closes


def test_a_row_that_was_settled_meanwhile_is_left_alone(world, send_id):
    decisions = [decide(doubt, None, Way.ASSUME_SENT) for doubt in doubts_of(world, send_id)]
    world.store.ledger.record_bounce(send_id, 1, "a DSN came", later(hours=1))
    done = settle(world.store, send_id, decisions, lambda: later(hours=2))
    assert done.decisions[0].settlement is Settlement.MOVED
    assert world.states(send_id) == ["bounced", *["sent"] * 6]
    assert world.row(send_id, 1).reason == "a DSN came"


def test_what_a_dead_run_left_comes_to_light_and_a_living_run_keeps_its_own(world):
    send_id = world.sending("ann", "bob")
    rows = world.claim(send_id)
    world.mark(send_id, rows[:1])
    with world.store.run_lock(owner_name(NOW)):
        with_other = repair(world.store, send_id, NOW)
        assert with_other
        assert world.states(send_id) == ["transmitting", "claimed"]
    assert not repair(world.store, send_id, NOW)
    assert world.states(send_id) == ["in_doubt", "pending"]


def test_many_are_settled_in_batches(world, monkeypatch):
    monkeypatch.setattr("newsletter.resolution._BATCH", 3)
    send_id = doubted(world, *(f"p{number}" for number in range(8)))
    assert resolve(world, send_id, way=Way.ASSUME_SENT).account.sent == 8


def test_message_ids_differ_by_edition_and_send(world):
    first = doubted(world, "ann")
    plan = SendPlan(issue="other", list_ids=(world.list_id,), editions={"": world.edition_id}, source_digest="t")
    second = world.store.sends.start_send(world.store.sends.plan_send(plan, NOW).send_id, NOW).send_id
    rows = world.claim(second)
    world.mark(second, rows)
    world.record(second, *(result(row) for row in rows))
    ids = {doubt.message_id for send_id in (first, second) for doubt in doubts_of(world, send_id)}
    assert len(ids) == 2
    assert all(State(doubt.row.state) is State.IN_DOUBT for doubt in doubts_of(world, first))
