"""Wall times and due sends: every zone's changes, gaps and folds, and the limits of a send's time."""

import datetime as dt
import itertools
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.schedule import NOT_AFTER, Verdict, due, local_instant

PARIS = ZoneInfo("Europe/Paris")
AT = dt.datetime(2026, 11, 25, 7, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def changes(zone: ZoneInfo, year: int) -> list[tuple[dt.datetime, dt.timedelta, dt.timedelta]]:
    """Return (instant, offset before, offset after) of each change of a zone's offset in a year, to the minute."""
    found = []
    day = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    for start in (day + dt.timedelta(days=n) for n in range(366)):
        low, high = start, start + dt.timedelta(days=1)
        before, after = low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()
        if before == after:
            continue
        while high - low > dt.timedelta(minutes=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        instant = high.replace(second=0, microsecond=0)
        found.append((instant, before, after))
    return found


ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))


@pytest.fixture(scope="module")
def all_changes():
    return [(name, *change) for name in ZONES for change in changes(ZoneInfo(name), 2026)]


def test_there_are_changes_to_test(all_changes):
    assert len({name for name, *_ in all_changes}) > 100


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_wall_time_in_a_gap_is_read_with_the_offset_before_and_in_a_fold_means_the_first(share, all_changes):
    for name, instant, before, after in all_changes:
        zone = ZoneInfo(name)
        edge = (instant + min(before, after)).replace(tzinfo=None)
        wall = edge + share * abs(after - before)
        found = local_instant(wall, zone)
        assert found == (wall - before).replace(tzinfo=dt.UTC), (name, wall)
        shown = found.astimezone(zone).replace(tzinfo=None)
        assert shown == (wall + (after - before) if after > before else wall), (name, wall)


def test_wall_times_around_a_change_are_plain(all_changes):
    for name, instant, before, after in all_changes:
        zone = ZoneInfo(name)
        for wall, offset in (
            ((instant + before).replace(tzinfo=None) - 2 * abs(after - before), before),
            ((instant + after).replace(tzinfo=None) + 2 * abs(after - before), after),
        ):
            assert local_instant(wall, zone) == (wall - offset).replace(tzinfo=dt.UTC), (name, wall)


def test_fold_of_the_argument_is_ignored():
    wall = dt.datetime(2026, 10, 25, 2, 30, fold=1)
    assert local_instant(wall, PARIS) == dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)


def test_the_result_is_utc():
    assert local_instant(dt.datetime(2026, 11, 25, 8), PARIS).tzinfo is dt.UTC
    assert local_instant(dt.datetime(2026, 11, 25, 8), PARIS) == AT


def test_an_instant_is_no_wall_time():
    with pytest.raises(ValueError, match="an instant already"):
        local_instant(AT, PARIS)


@pytest.mark.parametrize(("wall", "zone"), [(dt.datetime.min, "Asia/Tokyo"), (dt.datetime.max, "America/New_York")])
def test_a_wall_time_beyond_the_calendar_is_refused(wall, zone):
    with pytest.raises(ValueError, match="outside the years"):
        local_instant(wall, ZoneInfo(zone))


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2035, 1, 1)), st.sampled_from(ZONES))
def test_later_wall_times_are_never_earlier_instants_but_in_the_hour_of_a_fold(wall, name):
    zone = ZoneInfo(name)
    instant = local_instant(wall, zone)
    assert abs(instant.replace(tzinfo=None) - wall) <= dt.timedelta(hours=26)
    assert local_instant(wall + dt.timedelta(days=2), zone) > instant


@pytest.mark.parametrize(
    ("now", "not_after", "late", "verdict"),
    [
        (AT - dt.timedelta(microseconds=1), None, False, Verdict.EARLY),
        (AT - HOUR, None, True, Verdict.EARLY),
        (AT, None, False, Verdict.DUE),
        (AT + NOT_AFTER, None, False, Verdict.DUE),
        (AT + NOT_AFTER + dt.timedelta(microseconds=1), None, False, Verdict.EXPIRED),
        (AT + NOT_AFTER + HOUR, None, True, Verdict.DUE),
        (AT + HOUR, AT + HOUR, False, Verdict.DUE),
        (AT + 2 * HOUR, AT + HOUR, False, Verdict.EXPIRED),
        (AT + 2 * HOUR, AT + HOUR, True, Verdict.DUE),
        (AT + 48 * HOUR, AT + 72 * HOUR, False, Verdict.DUE),
        (AT, AT - HOUR, False, Verdict.EXPIRED),
    ],
)
def test_a_send_is_early_due_or_expired(now, not_after, late, verdict):
    assert due(AT, not_after, now, late) is verdict


def test_a_day_later_is_24_hours_also_over_a_change_of_clocks():
    send_at = local_instant(dt.datetime(2026, 3, 28, 8), PARIS)
    for hours, verdict in ((24, Verdict.DUE), (25, Verdict.EXPIRED)):
        assert due(send_at, None, send_at + hours * HOUR) is verdict


def test_a_day_later_is_24_hours_also_for_a_time_that_keeps_its_zone():
    send_at = dt.datetime(2026, 3, 28, 8, tzinfo=PARIS)
    instant = send_at.astimezone(dt.UTC)
    for hours, verdict in ((24, Verdict.DUE), (25, Verdict.EXPIRED)):
        assert due(send_at, None, instant + hours * HOUR) is verdict


def test_verdicts_never_go_back_as_time_goes_on():
    order = [Verdict.EARLY, Verdict.DUE, Verdict.EXPIRED]
    seen = [order.index(due(AT, None, AT + n * HOUR)) for n in range(-3, 30)]
    assert all(first <= second for first, second in itertools.pairwise(seen))
    assert set(seen) == {0, 1, 2}
