"""Token buckets: what a rate allows, at once and over time, and what a clock that steps does to it."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.pace import Rate, after_one, parse_rate, ready_at

NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
RATES = st.builds(Rate, st.integers(1, 500), st.sampled_from([1, 60, 3600]))


@pytest.mark.parametrize(
    ("text", "rate", "burst"),
    [
        ("50/s", Rate(50, 1), 50),
        ("600/min", Rate(600, 60), 10),
        ("1000/h", Rate(1000, 3600), 1),
        ("1/s", Rate(1, 1), 1),
    ],
)
def test_rate_is_read_as_people_write_it(text, rate, burst):
    assert parse_rate(text) == rate
    assert rate.burst == burst
    assert rate.interval * rate.count == dt.timedelta(seconds=rate.seconds)


def test_no_text_is_no_limit():
    assert parse_rate("") is None


@pytest.mark.parametrize("text", ["0/s", "50", "50/d", "50 / s", "-1/s", "1.5/s", "50/s\n", "99999999/s"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate(text)


def spend(rate: Rate, count: int, now: dt.datetime, full_at=None):
    """Take so many tokens, each as soon as it is there; return the instants at which they were taken."""
    taken = []
    for _ in range(count):
        now = ready_at(full_at, rate, now)
        full_at = after_one(full_at, rate, now)
        taken.append(now)
    return taken


@given(RATES, st.integers(1, 300))
def test_no_window_sees_more_than_burst_and_rate_allow(rate, count):
    taken = spend(rate, count, NOW)
    for first, instant in enumerate(taken):
        window = [each for each in taken[first:] if each - instant < dt.timedelta(seconds=rate.seconds)]
        assert len(window) <= rate.count + rate.burst
    assert taken[: rate.burst] == [NOW] * min(rate.burst, count)


@given(RATES)
def test_waiting_for_as_long_as_it_says_is_enough_and_not_too_long(rate):
    taken = spend(rate, rate.burst + 2, NOW)
    assert taken[-1] - NOW <= rate.interval * 2
    assert taken[-1] > taken[-3]


def test_a_rest_fills_the_bucket_and_no_more():
    rate = Rate(10, 1)
    full_at = None
    for _ in range(10):
        full_at = after_one(full_at, rate, NOW)
    later = NOW + dt.timedelta(hours=1)
    assert spend(rate, 11, later, full_at).count(later) == 10


def test_clock_that_was_put_back_stops_nobody_for_long():
    rate = Rate(10, 1)
    full_at = after_one(None, rate, NOW + dt.timedelta(days=1))
    assert ready_at(full_at, rate, NOW) - NOW <= rate.interval
    assert after_one(full_at, rate, NOW) - NOW <= dt.timedelta(seconds=1)
