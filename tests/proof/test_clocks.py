"""G14, G15: each wall time has one instant in every zone, a send is due once, and no clock that steps harms anybody.

The oracle for wall times asks every offset that a zone has that year whether it shows the wall time: twice in a fold,
where the first counts, and never in a gap, where the offset before it counts (RFC 5545 section 3.3.5). The code under
test does neither; it leaves the work to ``zoneinfo``.
"""

import datetime as dt
import random
import time
from zoneinfo import ZoneInfo, available_timezones

import pytest

from newsletter.delivery import State
from newsletter.issue import read_head
from newsletter.schedule import NOT_AFTER, Verdict, due, local_instant
from proof.figures import keep_figures
from proof.relay import Relay
from proof.scene import (
    START,
    connector,
    fill_store,
    make_setup,
    open_scene,
    people,
    rows_of,
    run_free,
    supports,
    violations,
)
from proof.stores import KINDS, open_ground, skip_missing

YEAR = 2026
MINUTE = dt.timedelta(minutes=1)
ZONES = sorted(name for name in available_timezones() if name not in ("localtime", "Factory"))


def offset(zone: ZoneInfo, instant: dt.datetime) -> dt.timedelta:
    found = instant.astimezone(zone).utcoffset()
    assert found is not None
    return found


def changes(name: str) -> list[tuple[dt.datetime, dt.timedelta, dt.timedelta]]:
    """Return the instant of each change of a zone's offset in the year, with the offset before and after it."""
    zone, found = ZoneInfo(name), []
    first = dt.datetime(YEAR, 1, 1, tzinfo=dt.UTC)
    for low in (first + dt.timedelta(days=day) for day in range(365)):
        high = low + dt.timedelta(days=1)
        before, after = offset(zone, low), offset(zone, high)
        while before != after and high - low > dt.timedelta(seconds=1):
            middle = low + (high - low) // 2
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)  # noqa: PLW2901
        if before != after:
            found.append((high.replace(microsecond=0), before, after))
    return found


def expected_instant(wall: dt.datetime, zone: ZoneInfo, before: dt.timedelta, after: dt.timedelta) -> dt.datetime:
    """Return what the rule says of a wall time near a change."""
    candidates = [(wall - each).replace(tzinfo=dt.UTC) for each in (before, after)]
    shown = [each for each in candidates if each.astimezone(zone).replace(tzinfo=None) == wall]
    return min(shown) if shown else candidates[0]


@pytest.fixture(scope="module")
def cases():
    """Return (zone, wall time, instant) of each gap and each fold of the year, in its middle and at its edges."""
    found = []
    for name in ZONES:
        for instant, before, after in changes(name):
            edge = (instant + min(before, after)).replace(tzinfo=None)
            width = abs(after - before)
            walls = (edge, edge + width // 2, edge + width - dt.timedelta(seconds=1), edge + width, edge - MINUTE)
            found += [
                (name, wall, expected_instant(wall, ZoneInfo(name), before, after), after > before) for wall in walls
            ]
    return found


def test_every_zone_with_a_change(cases):
    started = time.monotonic()
    wrong = [(name, wall) for name, wall, instant, _ in cases if local_instant(wall, ZoneInfo(name)) != instant]
    assert not wrong, wrong[:10]
    zones = {name for name, *_ in cases}
    gaps = sum(is_gap for *_, is_gap in cases) // 5
    folds = len(cases) // 5 - gaps
    assert gaps + folds >= 300
    assert len(zones) >= 150
    keep_figures("clocks", zones=len(zones), gaps=gaps, folds=folds, wrong=0, seconds=round(time.monotonic() - started))


def test_cron_finds_it_due_once(cases):
    """Each minute's run around a change agrees: early until the instant, due from it on, expired a day later."""
    for name, wall, instant, _ in cases[::7]:
        send_at = local_instant(wall, ZoneInfo(name))
        ticks = [instant.replace(second=0) + number * MINUTE for number in range(-130, 131, 5)]
        verdicts = [due(send_at, None, tick) for tick in ticks]
        assert verdicts == [Verdict.EARLY if tick < instant else Verdict.DUE for tick in ticks], (name, wall)
        assert due(send_at, None, instant + NOT_AFTER) is Verdict.DUE
        assert due(send_at, None, instant + NOT_AFTER + MINUTE) is Verdict.EXPIRED
        assert due(send_at, None, instant + NOT_AFTER + MINUTE, late=True) is Verdict.DUE


def test_issue_file_says_the_same(cases):
    for name, wall, _, _ in cases[::25]:
        at = wall.replace(second=0)
        text = f"---\nsubject: A\ndate: {at.date()}\nsend_at: {at:%Y-%m-%d %H:%M}\n---\nText.\n"
        issue = read_head(text, slug="a", file="issues/a.md", zone=ZoneInfo(name))
        # As instants: Python takes a wall time in a gap for unequal to every instant in another zone (PEP 495).
        assert issue.send_at.astimezone(dt.UTC) == local_instant(at, ZoneInfo(name)), (name, wall)


def test_a_day_is_24_hours_for_an_issue_file_too(cases):
    """An issue's ``send_at`` keeps its zone; 24 hours later must be that also over a change of clocks."""
    for name, wall, instant, _ in cases[::25]:
        at = wall.replace(second=0) - dt.timedelta(hours=12)
        text = f"---\nsubject: A\ndate: {at.date()}\nsend_at: {at:%Y-%m-%d %H:%M}\n---\nText.\n"
        send_at = read_head(text, slug="a", file="issues/a.md", zone=ZoneInfo(name)).send_at
        start = local_instant(at, ZoneInfo(name))
        assert due(send_at, None, start + NOT_AFTER) is Verdict.DUE, (name, wall, instant)
        assert due(send_at, None, start + NOT_AFTER + MINUTE) is Verdict.EXPIRED, (name, wall, instant)


# --- clocks that step ------------------------------------------------------------------------------------------------


class SteppingClock:
    """Go on by a second a look, and step back or forth now and then, as machines that sleep or are corrected do."""

    def __init__(self, seed: int) -> None:
        self.now = START
        self.steps = 0
        self._dice = random.Random(seed)

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=1)
        if self._dice.random() < 0.15:
            self.now += dt.timedelta(hours=self._dice.choice([-30, -3, -1, 1, 5, 40]))
            self.steps += 1
        return self.now


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("store", KINDS)
def test_clock_steps_amid_a_send(store, connections, tmp_path):
    """Nobody is given up early or mailed twice; who was deferred waits, at most as long as the clock was put back."""
    skip_missing(store)
    if not supports(connections):
        pytest.skip("this sender holds one connection")
    addresses = people(30)
    with open_ground(store, tmp_path) as ground:
        ground.prepare(lambda url: fill_store(url, addresses))
        steps = 0
        for seed in range(3):
            url, send_id = ground.fresh()
            clock = SteppingClock(seed)
            with Relay() as relay, open_scene(url) as opened:
                relay.rcpt = {address: ["451 4.7.1 greylisted"] * 2 for address in addresses[::5]}
                setup = make_setup(connector(relay.port), clock, connections)
                for _ in range(30):
                    report = run_free(opened, send_id, setup)
                    clock.now += dt.timedelta(hours=6)
                    if not report.account.open:
                        break
                rows = rows_of(opened, send_id)
            assert not violations(rows, relay.mailed, ())
            assert {row.state for row in rows.values()} == {State.SENT}, f"seed {seed}"
            steps += clock.steps
        assert steps > 10  # connections that share a commit share a look at the clock
