"""Decide how a send begins under cron: when the editors are told, when it starts, whether its first share went well.

Pure: the ledger's facts and ``now`` in, a step out; no process waits, each run of cron decides anew. ``launch``
takes the steps. A send that an operator starts by hand knows neither veto window nor canary.

**The veto window.** What is due at 08:00 with a window of 15 minutes is frozen at 07:45, and the editors are mailed the
edition; at 08:00 it goes out, unless somebody held it. Readers get it on time. The window is always whole: where it was
frozen late, or the mail to the editors could not be sent at once, the send starts that much later. As long as no editor
was told, it does not start.

**The canary.** The first share of the audience, spread over the whole list, is sent in the state CANARY. Once each row
of it was tried, the send rests for ``canary_wait``, so that bounces can come in; then the rest follows. It pauses as
soon as more than ``canary_refusals`` of the share were refused, bounced or are in doubt, and when half of it was still
not accepted after six times that wait.
"""

import datetime as dt
import enum
from dataclasses import dataclass

from newsletter.amounts import Share, parse_duration, parse_percent, parse_share
from newsletter.delivery import SendState
from newsletter.schedule import Verdict, due
from newsletter.settings import SendSection

CANARY_MIN = 20
"""Recipients that a percentage gives at the least: of fewer, a single dead address would be over 5 %."""
_PATIENCE = 6
_NO_WINDOW = dt.timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRules:
    """Hold what ``[send]`` says of beginnings; ``veto`` is zero without a window, ``canary`` None without one."""

    veto: dt.timedelta = _NO_WINDOW
    canary: Share | None = None
    canary_wait: dt.timedelta = dt.timedelta(minutes=10)
    canary_refusals: float = 5.0


def opening_rules(section: SendSection) -> OpeningRules:
    """Return the rules that ``[send]`` sets; its values were checked when it was read."""
    return OpeningRules(
        veto=parse_duration(section.veto) or _NO_WINDOW,
        canary=parse_share(section.canary) if section.canary else None,
        canary_wait=parse_duration(section.canary_wait) or dt.timedelta(minutes=10),
        canary_refusals=parse_percent(section.canary_refusals) or 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Count the rows of a first share.

    ``untried`` wait for their first answer. ``refused`` have failed, bounced, or were ever in doubt and not accepted
    since; ``skipped`` were never to be sent. ``due`` can be claimed now. ``rested_at`` is when all had been tried.
    """

    size: int
    untried: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    due: int = 0
    rested_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Hold the facts about one send that decide its next step.

    ``told_at`` is when the first editor was mailed what was frozen; ``canary`` is None before the first share began.
    """

    state: SendState
    planned: int
    send_at: dt.datetime | None = None
    not_after: dt.datetime | None = None
    told_at: dt.datetime | None = None
    canary: Canary | None = None


class Step(enum.StrEnum):
    """Name what cron is to do with a send next."""

    WAIT = "wait"
    EXPIRE = "expire"
    TELL = "tell the editors"
    TRY = "begin with a first share"
    REST = "note that the first share was tried"
    START = "start"
    CARRY = "carry on"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold a step, the reason of a pause, the size of a first share, and until when to wait where that is known."""

    step: Step
    reason: str = ""
    size: int = 0
    until: dt.datetime | None = None


def decide(opening: Opening, rules: OpeningRules, now: dt.datetime, *, late: bool = False) -> Decision:
    """Return what is to be done with a send at ``now``; ``late`` lets one begin whose time has passed."""
    if opening.state is SendState.FROZEN:
        return _decide_frozen(opening, rules, now, late)
    if opening.state is SendState.CANARY:
        return _decide_canary(opening.canary, rules, now) if opening.canary else Decision(Step.START)
    return Decision(Step.CARRY if opening.state is SendState.SENDING else Step.WAIT)


def freezes_at(send_at: dt.datetime, rules: OpeningRules) -> dt.datetime:
    """Return when an issue is frozen that is due at ``send_at``: a veto window before."""
    return send_at.astimezone(dt.UTC) - rules.veto


def starts_at(opening: Opening, rules: OpeningRules) -> dt.datetime | None:
    """Return when a frozen send starts as things stand; None for at once, and for one whose editors were not told.

    One without ``send_at`` was frozen by hand, for which there is no window.
    """
    if opening.send_at is None or (rules.veto and opening.told_at is None):
        return None
    if not rules.veto or opening.told_at is None:
        return opening.send_at
    return max(opening.send_at, opening.told_at + rules.veto)


def _decide_frozen(opening: Opening, rules: OpeningRules, now: dt.datetime, late: bool) -> Decision:
    send_at = opening.send_at
    if send_at is not None:
        if due(send_at, opening.not_after, now, late) is Verdict.EXPIRED:
            return Decision(Step.EXPIRE)
        if now < freezes_at(send_at, rules):
            return Decision(Step.WAIT, until=freezes_at(send_at, rules))
        if rules.veto and opening.told_at is None:
            return Decision(Step.TELL)
    start = starts_at(opening, rules)
    if start is not None and now < start:
        return Decision(Step.WAIT, until=start)
    size = rules.canary.of(opening.planned, CANARY_MIN) if rules.canary and send_at is not None else 0
    return Decision(Step.TRY, size=size) if 0 < size < opening.planned else Decision(Step.START)


def _decide_canary(canary: Canary, rules: OpeningRules, now: dt.datetime) -> Decision:
    if canary.refused * 100 > rules.canary_refusals * canary.size:
        return Decision(
            Step.PAUSE,
            f"canary: {canary.refused} of the first {canary.size} were refused, bounced or are in doubt, more than "
            f"{rules.canary_refusals:g} %",
        )
    if canary.due:
        return Decision(Step.CARRY)
    if canary.untried:
        return Decision(Step.WAIT)
    if canary.rested_at is None:
        return Decision(Step.REST)
    return _decide_rested(canary, canary.rested_at, rules, now)


def _decide_rested(canary: Canary, rested_at: dt.datetime, rules: OpeningRules, now: dt.datetime) -> Decision:
    if now < rested_at + rules.canary_wait:
        return Decision(Step.WAIT, until=rested_at + rules.canary_wait)
    sent_to = canary.size - canary.skipped
    is_over = canary.accepted + canary.refused >= sent_to
    if canary.accepted * 2 >= sent_to or is_over:
        return Decision(Step.START)
    if now < rested_at + _PATIENCE * rules.canary_wait:
        return Decision(Step.WAIT)
    return Decision(Step.PAUSE, f"canary: only {canary.accepted} of the first {canary.size} were accepted")
