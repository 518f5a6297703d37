"""Decide what becomes of a delivery: the states of the ledger, what a reply means, when to try again, the account.

Pure: no store, no socket, no clock. ``store.ledger`` moves rows along ``TABLE`` by compare-and-set, ``sender`` talks to
the relay; both ask here. SMTP cannot promise exactly-once (RFC 1047: the gap between the final dot and its reply), so
the promise is: nobody is silently missed, and nobody is mailed twice save at most one message for each open connection
and crash, each of which is named in the report and carries the same Message-ID.

**The states, and what a crash leaves in each.** *Crash* is the death of the run at any instant, or of the machine. A
row is *open* in the first three. A run's claims are bound to its life by a kernel lock, so the run that holds the lock
knows which owners are dead, and repairs what they left before it claims anything (``recover_deliveries``).

PENDING
    Waits for its next attempt. Nothing of it is on the wire. A crash changes nothing; the next run claims the row.
    Mail does not repeat.
CLAIMED
    One run holds the row; MAIL, RCPT and DATA may be on the wire, the message's text too, but never its final dot. A
    crash before the dot means that the server throws the text away (RFC 5321 section 4.1.1.4 delivers on the dot
    alone). Repair: RELEASE to PENDING. Mail does not repeat.
TRANSMITTING
    This state is durable before the final dot is written, and the same statement checked once more that the claim, the
    subscriber's consent and the send still stand. The dot may be on the wire or not; nobody can tell after a crash.
    Repair: LOSE to IN_DOUBT. A connection has one such row at most, which bounds what may repeat.
IN_DOUBT
    Sent to the final dot, answer unknown; ``doubts`` counts how often, and that mark survives every later state. A
    crash changes nothing. Who repairs: the policy ``resend`` (RESEND, once for a row: mail **may repeat**, under the
    same Message-ID), or under ``hold`` an operator with evidence (SETTLE: it arrived; RESEND: it did not), or a bounce
    that proves it arrived at a server (BOUNCE).
SENT
    The relay answered 2yz to the dot and the answer is durable. A crash between that answer and its commit leaves
    TRANSMITTING, hence doubt, and nothing here. Mail does not repeat.
FAILED
    Refused for good, or deferred until it was given up, or expired before its turn. A crash changes nothing. RESEND on
    an operator's word. Mail does not repeat: no 2yz was ever seen, save where ``doubts`` says otherwise.
BOUNCED
    Accepted, or in doubt, and later returned by a DSN. The row keeps its former state, to which UNDO takes it back
    where the DSN proves false. A crash changes nothing. Mail does not repeat.
SKIPPED
    Never to be sent: the subscriber left or was suppressed before the mark, the message could not be rendered, or the
    send was cancelled. Final. Mail does not repeat.

**The send** (one mailing of an issue) moves along ``SEND_TABLE``:

FROZEN
    Audience and editions are frozen in one transaction; nothing is on the wire. A crash inside that transaction leaves
    no send at all, and planning again gives the same one.
HELD
    An editor vetoed it. Nothing moves until LIFT.
CANARY
    A first share is being sent; then START goes on, or PAUSE stops.
SENDING
    Rows may be claimed and marked. A crash leaves it so; the next run goes on.
PAUSED
    No row may be claimed or marked; ``reason`` says why. RESUME on an operator's word, or a later run's.
FINISHED
    No open row is left; set only then. REOPEN when a row is resent.
CANCELLED
    Final. Its pending rows are SKIPPED, so that the account closes.
"""

import datetime as dt
import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.model import Recipient, Reply, Stage

# ---------------------------------------------------------------------------------------------------------------------
# The tables
# ---------------------------------------------------------------------------------------------------------------------


class State(enum.StrEnum):
    """Name where a delivery stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    TRANSMITTING = "transmitting"
    IN_DOUBT = "in_doubt"
    SENT = "sent"
    FAILED = "failed"
    BOUNCED = "bounced"
    SKIPPED = "skipped"


class Event(enum.StrEnum):
    """Name what happens to a delivery."""

    CLAIM = "claim"
    TRANSMIT = "transmit"
    ACCEPT = "accept"
    DEFER = "defer"
    REFUSE = "refuse"
    LOSE = "lose"
    RELEASE = "release"
    SKIP = "skip"
    EXPIRE = "expire"
    BOUNCE = "bounce"
    RESEND = "resend"
    SETTLE = "settle"
    UNDO = "undo"


OPEN = frozenset({State.PENDING, State.CLAIMED, State.TRANSMITTING})
"""States in which a delivery still waits for its end."""

TABLE: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.CLAIM): State.CLAIMED,
    (State.PENDING, Event.SKIP): State.SKIPPED,
    (State.PENDING, Event.EXPIRE): State.FAILED,
    (State.CLAIMED, Event.TRANSMIT): State.TRANSMITTING,
    (State.CLAIMED, Event.DEFER): State.PENDING,
    (State.CLAIMED, Event.REFUSE): State.FAILED,
    (State.CLAIMED, Event.LOSE): State.PENDING,
    (State.CLAIMED, Event.RELEASE): State.PENDING,
    (State.CLAIMED, Event.SKIP): State.SKIPPED,
    (State.TRANSMITTING, Event.ACCEPT): State.SENT,
    (State.TRANSMITTING, Event.DEFER): State.PENDING,
    (State.TRANSMITTING, Event.REFUSE): State.FAILED,
    (State.TRANSMITTING, Event.LOSE): State.IN_DOUBT,
    (State.IN_DOUBT, Event.BOUNCE): State.BOUNCED,
    (State.IN_DOUBT, Event.RESEND): State.PENDING,
    (State.IN_DOUBT, Event.SETTLE): State.SENT,
    (State.SENT, Event.BOUNCE): State.BOUNCED,
    (State.FAILED, Event.RESEND): State.PENDING,
}
"""Every move there is, save UNDO: it takes BOUNCED back to the state that BOUNCE took it from."""


class SendState(enum.StrEnum):
    """Name where a send stands."""

    FROZEN = "frozen"
    HELD = "held"
    CANARY = "canary"
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class SendEvent(enum.StrEnum):
    """Name what happens to a send."""

    HOLD = "hold"
    LIFT = "lift"
    TRY = "try"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    REOPEN = "reopen"
    CANCEL = "cancel"


RUNNING = frozenset({SendState.CANARY, SendState.SENDING})
"""States of a send in which its deliveries may be claimed and marked."""

SEND_TABLE: Mapping[tuple[SendState, SendEvent], SendState] = {
    (SendState.FROZEN, SendEvent.HOLD): SendState.HELD,
    (SendState.FROZEN, SendEvent.TRY): SendState.CANARY,
    (SendState.FROZEN, SendEvent.START): SendState.SENDING,
    (SendState.FROZEN, SendEvent.CANCEL): SendState.CANCELLED,
    (SendState.HELD, SendEvent.LIFT): SendState.FROZEN,
    (SendState.HELD, SendEvent.CANCEL): SendState.CANCELLED,
    (SendState.CANARY, SendEvent.START): SendState.SENDING,
    (SendState.CANARY, SendEvent.PAUSE): SendState.PAUSED,
    (SendState.CANARY, SendEvent.FINISH): SendState.FINISHED,
    (SendState.CANARY, SendEvent.CANCEL): SendState.CANCELLED,
    (SendState.SENDING, SendEvent.PAUSE): SendState.PAUSED,
    (SendState.SENDING, SendEvent.FINISH): SendState.FINISHED,
    (SendState.SENDING, SendEvent.CANCEL): SendState.CANCELLED,
    (SendState.PAUSED, SendEvent.RESUME): SendState.SENDING,
    (SendState.PAUSED, SendEvent.CANCEL): SendState.CANCELLED,
    (SendState.FINISHED, SendEvent.REOPEN): SendState.SENDING,
}
"""Every move of a send; CANCELLED is final."""


def transition(state: State, event: Event, *, former: State | None = None) -> State:
    """Return the state that ``event`` takes a delivery to; ``former`` is the state before BOUNCE, which UNDO needs.

    Raises ValueError for a pair that is not in the table: asking for it is a bug.
    """
    if event is Event.UNDO:
        if state is State.BOUNCED and former is not None and (former, Event.BOUNCE) in TABLE:
            return former
        raise ValueError(f"a delivery in state '{state}' that was '{former}' before cannot take the event '{event}'")
    try:
        return TABLE[state, event]
    except KeyError:
        events = ", ".join(known for start, known in TABLE if start is state) or "none"
        raise ValueError(
            f"a delivery in state '{state}' cannot take the event '{event}'; events it can take: {events}"
        ) from None


def send_transition(state: SendState, event: SendEvent) -> SendState:
    """Return the state that ``event`` takes a send to.

    Raises ValueError for a pair that is not in the table.
    """
    try:
        return SEND_TABLE[state, event]
    except KeyError:
        events = ", ".join(known for start, known in SEND_TABLE if start is state) or "none"
        raise ValueError(f"a send that is '{state}' cannot take the event '{event}'; it can take: {events}") from None


def moves(event: Event) -> tuple[tuple[State, State], ...]:
    """Return every (from, to) that ``event`` makes, in the order of the table; the ledger's SQL is made from them."""
    if event is Event.UNDO:
        return tuple((State.BOUNCED, former) for former, _ in moves(Event.BOUNCE))
    return tuple((start, end) for (start, known), end in TABLE.items() if known is event)


def diagram() -> str:
    """Return the tables as one Mermaid state diagram each, deliveries first; ``docs/ledger.md`` holds the text."""
    pairs = [(start, event, end) for (start, event), end in TABLE.items()]
    pairs += [(start, Event.UNDO, end) for start, end in moves(Event.UNDO)]
    deliveries = _mermaid([State.PENDING], pairs, [State.SKIPPED])
    sends = _mermaid(
        [SendState.FROZEN],
        [(start, event, end) for (start, event), end in SEND_TABLE.items()],
        [SendState.CANCELLED],
    )
    return f"{deliveries}\n{sends}"


def _mermaid(
    first: list[State] | list[SendState],
    pairs: list[tuple[State, Event, State]] | list[tuple[SendState, SendEvent, SendState]],
    final: list[State] | list[SendState],
) -> str:
    lines = [f"    [*] --> {state.name}" for state in first]
    lines += [f"    {start.name} --> {end.name}: {event.name}" for start, event, end in pairs]
    lines += [f"    {state.name} --> [*]" for state in final]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


# ---------------------------------------------------------------------------------------------------------------------
# The values
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivery:
    """Carry one claimed row of the ledger: who gets which edition of which send.

    ``attempts`` counts those that were charged to this row so far; ``doubts`` how often it was in doubt: the report
    names every row that has any.
    """

    send_id: int
    edition_id: int
    recipient: Recipient
    domain: str
    attempts: int = 0
    doubts: int = 0

    @property
    def subscriber_id(self) -> int:
        """Return the subscriber's number, which with the send's names the row."""
        return self.recipient.subscriber_id


class About(enum.StrEnum):
    """Name whom a reply is about."""

    RECIPIENT = "recipient"
    SENDER = "sender"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say what a reply means: ACCEPT, DEFER, REFUSE or LOSE; whom it is about; whether the address is bad for good.

    ``hard`` holds only for a refusal of the recipient: the address is to be suppressed. A refusal that is about the
    sender (policy, AUTH, MAIL FROM, the message itself) says nothing about the subscriber.
    """

    event: Event
    about: About
    hard: bool = False

    @property
    def is_charged(self) -> bool:
        """Tell whether the attempt counts for this recipient; trouble of the connection never does."""
        return self.about is not About.CONNECTION


@dataclass(frozen=True, slots=True)
class Account:
    """Count a send's rows by their end; ``planned`` was written down when the audience was frozen."""

    planned: int
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    bounced: int = 0
    in_doubt: int = 0
    open: int = 0

    @classmethod
    def from_counts(cls, planned: int, counts: Mapping[State, int]) -> "Account":
        """Make the account of a send from the number of its rows in each state."""
        return cls(
            planned=planned,
            sent=counts.get(State.SENT, 0),
            failed=counts.get(State.FAILED, 0),
            skipped=counts.get(State.SKIPPED, 0),
            bounced=counts.get(State.BOUNCED, 0),
            in_doubt=counts.get(State.IN_DOUBT, 0),
            open=sum(counts.get(state, 0) for state in OPEN),
        )

    @property
    def closes(self) -> bool:
        """Tell whether ``planned = sent + failed + skipped + bounced + in doubt + open``."""
        return self.planned == self.sent + self.failed + self.skipped + self.bounced + self.in_doubt + self.open

    def as_json(self) -> dict[str, int]:
        """Return the seven numbers under the names that every report uses."""
        return {name: getattr(self, name) for name in self.__slots__}


# ---------------------------------------------------------------------------------------------------------------------
# What a reply means
# ---------------------------------------------------------------------------------------------------------------------

_HARD = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "7.17", "7.18"})
"""Enhanced status without its class, of an address that is bad for good: RFC 3463 section 3.2, RFC 7505, RFC 7293."""

_SENDER = frozenset({"1.7", "1.8", "3.4"})
"""Single codes that are about us: bad sender address (RFC 3463 section 3.2), message too big for the system (3.4)."""

_SENDER_SUBJECTS = ("5.", "6.", "7.")
"""Subjects that are about us: protocol, content of the message, security and policy (RFC 3463 sections 3.6 to 3.8)."""

_VAGUE = frozenset({"", "0.0", "1.0", "3.0", "4.0", "5.0"})
"""Codes that tell nothing, so that words must: undefined ones of a subject that both sides of a mail can be in."""

_SENDER_PHRASES = (
    "authenticat",
    "banned",
    "black list",
    "blacklist",
    "block list",
    "blocked",
    "blocklist",
    "dkim",
    "dmarc",
    "not permitted",
    "policy",
    "relay",
    "reputation",
    "sender",
    "spam",
    "spf",
)
"""Words of a refusal without a telling code that make it one of policy; looked for before the words below."""

_HARD_PHRASES = (
    "does not exist",
    "doesn't exist",
    "invalid mailbox",
    "invalid recipient",
    "mailbox not found",
    "no mailbox",
    "no such",
    "not found",
    "recipient unknown",
    "unknown mailbox",
    "unknown recipient",
    "unknown user",
    "user not found",
    "user unknown",
)
"""Words of a refusal of the recipient, without a telling code, that say there is no such mailbox."""

_BEFORE_MAIL = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.RSET})


def classify(reply: Reply) -> Outcome:
    """Decide what ``reply`` means for the row it answers.

    The three-digit code decides between accepted, deferred and refused (RFC 5321 section 4.2.1); the enhanced status
    (RFC 3463), the stage, and words only where neither tells, decide whom it is about. A code that is no answer at all
    is LOSE: before the dot nothing was sent, after it nobody knows. A server that closes, or takes no mail from us at
    all, has refused no recipient: the row is deferred, and nothing is charged to it.

    Doubtful refusals of a recipient are soft: this send fails for the address, which stays on the list. So is 5.2.1,
    which says *disabled* but is used for *too much mail at present* as well.
    """
    kind = reply.code // 100
    if kind == 2:
        return Outcome(Event.ACCEPT, About.RECIPIENT)
    if kind not in (4, 5):
        return Outcome(Event.LOSE, About.CONNECTION)
    about = _about(reply)
    if kind == 4 or about is About.CONNECTION:
        return Outcome(Event.DEFER, about)
    return Outcome(Event.REFUSE, about, hard=about is About.RECIPIENT and _is_hard(reply))


def _about(reply: Reply) -> About:
    """Decide whom a 4yz or 5yz is about: by the code and stage, then the enhanced status, then words."""
    if reply.code in (421, 521):  # RFC 5321 section 3.8, RFC 7504: the server closes, or takes no mail at all
        return About.CONNECTION
    if reply.stage is Stage.AUTH or reply.code in (530, 534, 535, 538):  # RFC 4954 section 6
        return About.SENDER
    if reply.stage in _BEFORE_MAIL:
        return About.SENDER if reply.code >= 500 and _detail(reply).startswith("7.") else About.CONNECTION
    if reply.stage is Stage.MAIL:
        return About.SENDER
    if reply.code < 500:
        return About.RECIPIENT  # greylisting is 4.7.1 as a rule: only refusals can tell policy from the address
    return About.SENDER if _is_about_sender(reply) else About.RECIPIENT


def _is_about_sender(reply: Reply) -> bool:
    detail = _detail(reply)
    if detail in _HARD:
        return False
    if detail not in _VAGUE:
        return detail in _SENDER or detail.startswith(_SENDER_SUBJECTS)
    if 500 <= reply.code <= 504 or _says(reply, _SENDER_PHRASES):
        return True
    # No code and no word tells: a refused recipient is one, a refused text is ours, and 552 is a full mailbox.
    return reply.stage is not Stage.RCPT and reply.code != 552 and not _says(reply, _HARD_PHRASES)


def _is_hard(reply: Reply) -> bool:
    detail = _detail(reply)
    if detail not in _VAGUE:
        return detail in _HARD
    return reply.code == 556 or _says(reply, _HARD_PHRASES)  # 556: the domain takes no mail (RFC 7504)


def _detail(reply: Reply) -> str:
    """Return subject and detail of the enhanced status (``1.1`` of ``5.1.1``), ``""`` where there is none."""
    return reply.enhanced.partition(".")[2]


def _says(reply: Reply, phrases: tuple[str, ...]) -> bool:
    text = reply.text.lower()
    return any(phrase in text for phrase in phrases)


# ---------------------------------------------------------------------------------------------------------------------
# When to try again
# ---------------------------------------------------------------------------------------------------------------------

_WAITS_MIN = (5, 30, 60, 120, 240)
_GIVE_UP_MIN = 4 * 24 * 60
_JITTER = 0.2


def next_attempt(attempts: int, now: dt.datetime, key: str) -> dt.datetime | None:
    """Return the instant of the next attempt after ``attempts`` charged ones (1 or more), or None to give up.

    Waits are 5 min, 30 min, 1 h, 2 h, then 4 h each, ±20 % by a jitter that depends on ``key`` and ``attempts`` alone,
    so that rows deferred together do not come back together. Given up when the waits so far, without jitter, would pass
    4 days: counted in attempts, so a clock that steps cannot make it early, and a paused send loses no time
    (RFC 5321 section 4.5.4.1 asks for 4 to 5 days).
    """
    if attempts < 1:
        raise ValueError(f"{attempts} attempts: a delivery that was never tried has no next attempt")
    extra = max(attempts - len(_WAITS_MIN), 0)
    if sum(_WAITS_MIN[:attempts]) + extra * _WAITS_MIN[-1] > _GIVE_UP_MIN:
        return None
    wait_min = _WAITS_MIN[min(attempts, len(_WAITS_MIN)) - 1]
    share = int.from_bytes(hashlib.sha256(f"{attempts}:{key}".encode()).digest()[:4]) / 0xFFFFFFFF
    return now + dt.timedelta(minutes=wait_min * (1 - _JITTER + 2 * _JITTER * share))
