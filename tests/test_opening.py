"""How a send begins is decided by the ledger's facts and the clock alone."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.amounts import Share, parse_duration, parse_percent, parse_share
from newsletter.delivery import SendState
from newsletter.opening import Canary, Opening, OpeningRules, Step, decide, opening_rules, starts_at
from newsletter.settings import SendSection

EIGHT = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
VETO = OpeningRules(veto=15 * MINUTE)
CANARY = OpeningRules(canary=Share(percent=1), canary_wait=10 * MINUTE)
FROZEN = Opening(state=SendState.FROZEN, planned=10_000, send_at=EIGHT)
TOLD = dataclasses.replace(FROZEN, told_at=EIGHT - 15 * MINUTE)


def step(opening: Opening, rules: OpeningRules, minutes: float = 0, *, late: bool = False) -> Step:
    return decide(opening, rules, EIGHT + minutes * MINUTE, late=late).step


# --- the words of the setting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("15 minutes", 15),
        ("1 minute", 1),
        ("2hours", 120),
        (" 1 day ", 1440),
        ("15", None),
        ("", None),
        ("-1 hour", None),
        ("1.5 hours", None),
        ("99999 days", None),
        ("15 minutes!", None),
    ],
)
def test_durations(text, minutes):
    assert parse_duration(text) == (None if minutes is None else minutes * MINUTE)


@pytest.mark.parametrize(
    ("text", "of_10000"),
    [("1 %", 100), ("0.5%", 50), ("200", 200), ("100 %", 10_000), ("0.01 %", 20), ("99999", 10_000)],
)
def test_shares(text, of_10000):
    assert parse_share(text).of(10_000, 20) == of_10000


@pytest.mark.parametrize("text", ["", "0", "0 %", "101 %", "-5", "one", "1 % of all", "1.2345 %", "²"])
def test_no_shares(text):
    assert parse_share(text) is None


def test_a_share_is_rounded_up_and_has_a_floor():
    assert [Share(percent=1).of(whole, 20) for whole in (10, 20, 1000, 2001, 2100)] == [10, 20, 20, 21, 21]
    assert Share(count=3).of(10_000, 20) == 3
    assert parse_percent("0 %") == 0


def test_rules_are_those_of_the_setting():
    rules = opening_rules(SendSection(veto="15 minutes", canary="1 %", canary_wait="1 hour", canary_refusals="0 %"))
    assert rules == OpeningRules(veto=15 * MINUTE, canary=Share(percent=1), canary_wait=60 * MINUTE, canary_refusals=0)
    assert opening_rules(SendSection()) == OpeningRules()


# --- the veto window -------------------------------------------------------------------------------------------------


def test_without_rules_a_send_starts_at_its_time():
    assert step(FROZEN, OpeningRules(), -0.01) is Step.WAIT
    assert step(FROZEN, OpeningRules()) is Step.START
    assert step(dataclasses.replace(FROZEN, send_at=None), OpeningRules()) is Step.START


def test_editors_are_told_a_window_before_and_it_goes_out_on_time():
    assert step(FROZEN, VETO, -15.1) is Step.WAIT
    assert step(FROZEN, VETO, -15) is Step.TELL
    assert step(TOLD, VETO, -14) is Step.WAIT
    assert decide(TOLD, VETO, EIGHT - MINUTE).until == EIGHT
    assert step(TOLD, VETO) is Step.START


def test_the_window_is_whole_however_late_the_editors_were_told():
    told = dataclasses.replace(FROZEN, told_at=EIGHT + 5 * MINUTE)
    assert step(FROZEN, VETO, 5) is Step.TELL
    assert step(told, VETO, 19) is Step.WAIT
    assert starts_at(told, VETO) == EIGHT + 20 * MINUTE
    assert step(told, VETO, 20) is Step.START


def test_nobody_told_means_no_start():
    assert {step(FROZEN, VETO, minutes) for minutes in range(-15, 24 * 60 + 1, 7)} == {Step.TELL}


def test_by_hand_there_is_no_window():
    assert step(dataclasses.replace(FROZEN, send_at=None), VETO, -600) is Step.START
    assert step(dataclasses.replace(FROZEN, send_at=None), CANARY) is Step.START


@pytest.mark.parametrize("opening", [FROZEN, TOLD])
def test_what_is_too_old_does_not_begin(opening):
    assert step(opening, VETO, 24 * 60 + 1) is Step.EXPIRE
    short = dataclasses.replace(opening, not_after=EIGHT + 10 * MINUTE)
    assert step(short, VETO, 11) is Step.EXPIRE
    late = step(dataclasses.replace(opening, told_at=EIGHT), VETO, 48 * 60, late=True)
    assert late is Step.START


def test_late_does_not_shorten_the_window():
    assert step(FROZEN, VETO, 48 * 60, late=True) is Step.TELL


# --- the canary ------------------------------------------------------------------------------------------------------


def in_canary(**counts: object) -> Opening:
    canary = Canary(size=100, **counts)
    return dataclasses.replace(FROZEN, state=SendState.CANARY, canary=canary)


def test_a_first_share_goes_first():
    found = decide(FROZEN, CANARY, EIGHT)
    assert (found.step, found.size) == (Step.TRY, 100)


@pytest.mark.parametrize("planned", [0, 1, 19, 20])
def test_a_list_that_is_no_larger_than_a_share_is_sent_at_once(planned):
    assert step(dataclasses.replace(FROZEN, planned=planned), CANARY) is Step.START


def test_the_share_is_sent_then_rests_then_the_rest_follows():
    assert step(in_canary(untried=100, due=100), CANARY) is Step.CARRY
    assert step(in_canary(untried=5, accepted=95), CANARY) is Step.WAIT
    assert step(in_canary(accepted=90), CANARY) is Step.REST
    resting = in_canary(accepted=90, refused=2, rested_at=EIGHT)
    assert step(resting, CANARY, 9) is Step.WAIT
    assert step(resting, CANARY, 10) is Step.START


def test_deferred_rows_are_tried_again_meanwhile():
    assert step(in_canary(accepted=90, due=3, rested_at=EIGHT), CANARY, 5) is Step.CARRY


@pytest.mark.parametrize("minutes", [-5, 0, 9, 10, 100])
def test_it_pauses_as_soon_as_too_many_were_refused(minutes):
    assert step(in_canary(accepted=95, refused=5, rested_at=EIGHT), CANARY, minutes) is not Step.PAUSE
    found = decide(in_canary(untried=50, due=50, refused=6), CANARY, EIGHT + minutes * MINUTE)
    assert found.step is Step.PAUSE
    assert "6 of the first 100" in found.reason
    assert "5 %" in found.reason


def test_most_of_it_must_be_accepted_before_the_rest_follows():
    slow = in_canary(accepted=49, rested_at=EIGHT)
    assert step(slow, CANARY, 10) is Step.WAIT
    assert step(slow, CANARY, 59) is Step.WAIT
    found = decide(slow, CANARY, EIGHT + 60 * MINUTE)
    assert (found.step, found.reason) == (Step.PAUSE, "canary: only 49 of the first 100 were accepted")
    assert step(in_canary(accepted=50, rested_at=EIGHT), CANARY, 10) is Step.START


def test_a_share_of_which_everybody_left_holds_nothing_up():
    assert step(in_canary(skipped=100, rested_at=EIGHT), CANARY, 10) is Step.START


@pytest.mark.parametrize("state", [SendState.HELD, SendState.PAUSED, SendState.FINISHED, SendState.CANCELLED])
def test_what_is_at_rest_stays_so(state):
    assert step(dataclasses.replace(TOLD, state=state), CANARY, 60) is Step.WAIT


def test_what_is_sending_carries_on():
    assert step(dataclasses.replace(TOLD, state=SendState.SENDING), CANARY) is Step.CARRY


@given(
    told=st.none() | st.integers(-60, 3000),
    now=st.integers(-600, 3000),
    veto=st.integers(0, 720),
    late=st.booleans(),
    canary=st.booleans(),
)
def test_nothing_ever_starts_before_its_time_or_within_a_window(told, now, veto, late, canary):
    rules = OpeningRules(veto=veto * MINUTE, canary=Share(percent=1) if canary else None)
    opening = dataclasses.replace(FROZEN, told_at=None if told is None else EIGHT + told * MINUTE)
    found = step(opening, rules, now, late=late)
    if found in (Step.START, Step.TRY):
        assert now >= 0
        assert not veto or (told is not None and now >= told + veto)
        assert late or now <= 24 * 60
