"""How fast a send goes and how long it takes are told while it goes on, and not otherwise."""

import dataclasses
import datetime as dt

import pytest

from newsletter.delivery import Account, SendState
from newsletter.overview import Overview
from newsletter.store import Pace, Send

NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)


def ago(seconds: float) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


def overview(state: SendState = SendState.SENDING, **pace: object) -> Overview:
    send = Send(
        send_id=1,
        issue="2026-11-25",
        kind="issue",
        state=state,
        reason="",
        source_digest="d",
        send_at=None,
        not_after=None,
        planned=9000,
        planned_at=ago(900),
        started_at=ago(600),
        finished_at=None,
    )
    return Overview(
        send=send,
        now=NOW,
        account=Account(planned=9000, sent=6000, open=3000),
        pace=Pace(**pace),
        next_due_at=None,
        editions=(),
        domains=(),
        rest=Account(planned=9000, sent=6000, open=3000),
        replies=(),
        reasons=(),
        troubles=(),
        doubts=(),
    )


def test_a_rate_is_that_of_the_last_minute_and_gives_the_time_left():
    found = overview(first_sent_at=ago(600), last_sent_at=ago(1), recent=1200, due=3000)
    assert found.rate_per_s == 20
    assert found.time_left == dt.timedelta(seconds=150)
    assert found.as_json()["left"]["seconds"] == 150


def test_in_the_first_minute_it_is_that_of_the_time_so_far():
    assert overview(first_sent_at=ago(10), last_sent_at=ago(1), recent=500, due=1).rate_per_s == 50
    assert overview(first_sent_at=ago(0.1), last_sent_at=ago(0.1), recent=7, due=1).rate_per_s == 7


@pytest.mark.parametrize(
    ("state", "pace"),
    [
        (SendState.SENDING, {}),
        (SendState.SENDING, {"first_sent_at": ago(600), "last_sent_at": ago(121), "recent": 9}),
        (SendState.PAUSED, {"first_sent_at": ago(600), "last_sent_at": ago(1), "recent": 9}),
        (SendState.FINISHED, {"first_sent_at": ago(600), "last_sent_at": ago(1), "recent": 9}),
    ],
)
def test_what_does_not_go_on_has_no_rate(state, pace):
    found = overview(state, **pace)
    assert (found.rate_per_s, found.time_left, found.is_going) == (None, None, False)
    assert found.as_json()["rate"]["per_second"] is None


def test_a_canary_goes_on_too():
    found = overview(SendState.CANARY, first_sent_at=ago(60), last_sent_at=ago(1), recent=59, due=1)
    assert found.is_going
    assert dataclasses.replace(found, now=NOW + dt.timedelta(minutes=5)).is_going is False
