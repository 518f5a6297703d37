"""What a newer issue takes over from an older one: those who wait for the older, and get the newer."""

import datetime as dt

from newsletter.delivery import SendState, State

from .conftest import NOW, later, result

HALF_A_DAY = dt.timedelta(hours=12)


def deferred_and_waiting(world) -> int:
    """Leave one row of a send deferred, one never tried and one sent; return the send's number."""
    send_id = world.sending("ann", "bob", "cyd")
    ann, _, cyd = world.claim(send_id)
    world.mark(send_id, [ann, cyd])
    world.record(send_id, result(ann, "451 4.7.1 greylisted"), result(cyd, "250 2.0.0 ok"))
    world.store.ledger.recover_deliveries(send_id, {"me"}, NOW)
    return send_id


def start_newer(world, **values) -> int:
    newer = world.plan("2026-12-02", **values).send_id
    return world.store.sends.start_send(newer, later(days=7)).send_id


def test_whoever_was_deferred_gets_the_newer_issue_alone(world):
    older = deferred_and_waiting(world)
    newer = start_newer(world)
    given_up = world.store.ledger.supersede_deliveries(newer, "2026-12-02 began", HALF_A_DAY, later(days=7))
    assert given_up == (older,)
    # bob was never tried: a send that was paused or late goes on for him.
    assert world.states(older) == [State.FAILED, State.PENDING, State.SENT]
    assert world.row(older, 1).reason == "2026-12-02 began"
    assert set(world.states(newer)) == {State.PENDING}


def test_who_does_not_get_the_newer_issue_keeps_the_older(world):
    older = deferred_and_waiting(world)
    other = world.store.subscribers.ensure_list("other", NOW).list_id
    newer = start_newer(world, list_ids=(other,))
    world.store.ledger.supersede_deliveries(newer, "x", HALF_A_DAY, later(days=7))
    assert world.states(older) == [State.PENDING, State.PENDING, State.SENT]


def test_sends_that_began_together_leave_each_other_alone(world):
    older = deferred_and_waiting(world)
    newer = world.store.sends.start_send(world.plan("2026-12-02").send_id, later(hours=2)).send_id
    assert world.store.ledger.supersede_deliveries(newer, "x", HALF_A_DAY, later(days=7)) == ()
    assert world.states(older) == [State.PENDING, State.PENDING, State.SENT]


def test_a_send_that_does_not_run_and_a_newer_one_stay_as_they_are(world):
    older = deferred_and_waiting(world)
    newer = start_newer(world)
    assert world.store.ledger.supersede_deliveries(older, "x", HALF_A_DAY, later(days=7)) == ()
    world.store.sends.pause_send(older, "an operator said so", later(days=7))
    assert world.store.ledger.supersede_deliveries(newer, "x", HALF_A_DAY, later(days=7)) == ()
    assert world.states(older) == [State.PENDING, State.PENDING, State.SENT]
    assert world.store.sends.load_send(older).state is SendState.PAUSED
