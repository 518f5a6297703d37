"""Hold the values that go into and come out of the store; nothing here reads or writes it.

Every instant is an aware datetime; what comes out of the store is in UTC. Numbers named ``…_id`` are the store's own.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from newsletter.delivery import Delivery, Event, Outcome, SendState, State
from newsletter.model import Reply
from newsletter.store.segments import EVERYBODY_ASKED, Segment
from newsletter.variants import NO_SECTIONS, TopicalSections

# ---------------------------------------------------------------------------------------------------------------------
# The list
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubscriberList:
    """Name one list of the newsletter."""

    list_id: int
    name: str
    title: str


class SubscriptionState(enum.StrEnum):
    """Name where a subscriber stands on one list."""

    PENDING = "pending"
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    REMOVED = "removed"


LEFT = frozenset({SubscriptionState.UNSUBSCRIBED, SubscriptionState.REMOVED})
"""States of people who left: no import brings them back."""


class Way(enum.StrEnum):
    """Say by which way a wish of a subscriber, or news of them, came."""

    FORM = "form"
    IMPORT = "import"
    MAIL = "mail"
    ONE_CLICK = "one-click"
    OPERATOR = "operator"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"


class ConsentEvent(enum.StrEnum):
    """Name what the log of consent records."""

    SUBSCRIBED = "subscribed"
    """Asked to be on a list, and not yet confirmed."""
    CONFIRMED = "confirmed"
    ADDED = "added"
    """Put on a list by an operator, who has the consent."""
    IMPORTED = "imported"
    LEFT = "left"
    REMOVED = "removed"
    PREFERENCES = "preferences"
    PAUSED = "paused"
    RESUMED = "resumed"
    ERASED = "erased"


class Evidence(NamedTuple):
    """Say how something is known of a subscriber, for the log of consent.

    ``source`` is where it was seen: file and line, a network address with its end masked, a Message-ID. ``reason`` is
    what the person said, or an operator. Neither holds an address. A tuple by name: an import makes a million.
    """

    way: Way
    source: str = ""
    reason: str = ""


BY_OPERATOR = Evidence(Way.OPERATOR)
"""The evidence of what an operator does by hand."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Show one line of the log of consent; ``list_id`` is None where it concerns the person and not one list."""

    event: ConsentEvent
    at: dt.datetime
    list_id: int | None
    evidence: Evidence


class Change(enum.StrEnum):
    """Say what adding a subscriber did; ``SUPPRESSED`` and ``LEFT`` are refusals, and nothing was written.

    ``GONE`` is somebody who had left where an import comes from: that was kept, so that nothing brings them back.
    """

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    GONE = "gone"
    SUPPRESSED = "suppressed"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Say where a person stood on the list that an import comes from.

    ``state`` None means on no list at all, only suppressed. ``origin`` says where the consent comes from, ``""`` that
    the import itself is all that is known; ``joined_at`` None means now. ``suppressed`` is why they must not be mailed.
    """

    state: SubscriptionState | None = SubscriptionState.ACTIVE
    suppressed: "SuppressionReason | None" = None
    origin: str = ""
    joined_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None

    @property
    def is_gone(self) -> bool:
        """Tell whether nothing may be mailed to them, now or by confirming."""
        return self.suppressed is not None or self.state in LEFT


ACTIVE_STANDING = Standing()
"""The standing of people of whom nothing else is known."""


class NewSubscriber(NamedTuple):
    """Describe one person to add; ``address`` is normalised (``addresses.parse_address``).

    ``""``, no topics and an attribute that is not named leave what the store holds. ``evidence`` says how the person's
    consent is known. ``standing`` is heeded by an import alone. A tuple by name: an import makes a million.
    """

    address: str
    name: str = ""
    language: str = ""
    time_zone: str = ""
    attributes: Mapping[str, str] = {}
    topics: tuple[str, ...] = ()
    evidence: Evidence = BY_OPERATOR
    standing: Standing = ACTIVE_STANDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Show one subscriber on one list; an erased person has neither address nor name.

    ``topics`` are those they chose, none for all; ``paused_until`` is the instant until which they get nothing.
    """

    subscriber_id: int
    list_id: int
    address: str | None
    name: str
    language: str
    time_zone: str
    attributes: Mapping[str, str]
    state: SubscriptionState
    origin: str
    joined_at: dt.datetime
    changed_at: dt.datetime
    topics: tuple[str, ...] = ()
    paused_until: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Say what a subscriber wants to be known of them; None leaves what the store holds, ``""`` and ``()`` clear it."""

    name: str | None = None
    language: str | None = None
    time_zone: str | None = None
    topics: tuple[str, ...] | None = None


class SuppressionReason(enum.StrEnum):
    """Say why an address must never be mailed."""

    HARD_BOUNCE = "hard bounce"
    SOFT_BOUNCES = "soft bounces"
    """So many issues in a row came back that the mailbox is taken for given up."""
    COMPLAINT = "complaint"
    REQUEST = "request"
    OPERATOR = "operator"
    ERASED = "erased"
    """The person had themselves erased; their own confirmed wish to come back lifts it."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Say why and since when an address is suppressed; ``note`` is free text without an address."""

    reason: SuppressionReason
    since: dt.datetime
    note: str = ""


# ---------------------------------------------------------------------------------------------------------------------
# Issues as the store knows them
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApproval:
    """Keep what an editor approved: the source digest and the text of the issue file at that moment.

    ``sources`` say what else the mail was made of, by name (``sources.source_words``); older approvals have none.
    """

    issue: str
    source_digest: str
    text: str
    by: str
    at: dt.datetime
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFile:
    """Remember what the front matter of an issue file said, until the file's time or size changes.

    ``verdict`` is free text of whoever reads the file (``"due"``, ``"draft"``, …); the store does not look at it.
    """

    name: str
    mtime_ns: int
    size: int
    send_at: dt.datetime | None
    verdict: str


# ---------------------------------------------------------------------------------------------------------------------
# Sends and deliveries
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPlan:
    """Ask for a send: whom, and which edition each gets.

    ``editions`` maps a language tag to an edition id, ``""`` to the one for everybody else; a subscriber of
    ``zh-Hant-TW`` gets ``zh-Hant-TW``, else ``zh-Hant``, else ``zh``, else ``""``. A person on several of the lists
    gets one delivery, by the first of ``list_ids`` that has them, where ``segment`` is true of them.

    ``variants`` maps the name of a variant (``variants``) to its edition, for who chose topics; ``sections`` are the
    sections that have topics.
    """

    issue: str
    list_ids: tuple[int, ...]
    editions: Mapping[str, int]
    source_digest: str
    segment: Segment = EVERYBODY_ASKED
    sections: TopicalSections = NO_SECTIONS
    variants: Mapping[str, int] = field(default_factory=dict)
    kind: str = "issue"
    send_at: dt.datetime | None = None
    not_after: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Show one send; ``reason`` says why it is held, paused or cancelled."""

    send_id: int
    issue: str
    kind: str
    state: SendState
    reason: str
    source_digest: str
    send_at: dt.datetime | None
    not_after: dt.datetime | None
    planned: int
    planned_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Say what became of the mail by which an editor is told of a frozen send; ``answer`` is the relay's last word."""

    editor: str
    at: dt.datetime
    is_accepted: bool
    answer: str


@dataclass(frozen=True, slots=True)
class Result:
    """Report what became of a claimed row.

    ``marked`` says whether the row was marked as transmitting: False for what happened before the dot. ``reply`` is
    None where no answer came (LOSE); ``reason`` says why not. ``retry_at`` overrides the schedule of a deferral.
    """

    delivery: Delivery
    outcome: Outcome
    reply: Reply | None = None
    marked: bool = True
    retry_at: dt.datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Advance:
    """Say which rows one commit marked, and which results found their row no longer in this run's hands."""

    marked: frozenset[int] = frozenset()
    unrecorded: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovery:
    """Count what dead owners left: rows released unsent, and rows now in doubt."""

    released: int = 0
    doubted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """Show one row of the ledger for a report; ``address`` is None for an erased person.

    ``reply`` is the last one that was recorded; ``reason`` says why without a reply (expired, could not be rendered,
    …).
    """

    send_id: int
    subscriber_id: int
    edition_id: int
    address: str | None
    domain: str
    state: State
    doubts: int
    attempts: int
    next_attempt_at: dt.datetime | None
    reply: Reply | None
    reason: str
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulRow:
    """Show a row that is in doubt, or ever was, with what it takes to look for its mail.

    ``marked_at`` is when its last dot was let go, ``lost_at`` when the answer was given up, or the row of a dead run
    found. ``owner`` names that run, ``via`` the relay and the connection, ``reason`` why no answer came; each is ``""``
    where it is not known. ``address`` is None for an erased person.
    """

    send_id: int
    subscriber_id: int
    list_id: int
    address: str | None
    domain: str
    state: State
    doubts: int
    attempts: int
    edition_digest: str
    via: str
    marked_at: dt.datetime
    lost_at: dt.datetime
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """Show one line of the log: what happened to a row, when, by which run, and the reply or the reason."""

    event: Event
    at: dt.datetime
    owner: str
    reply: Reply | None
    reason: str


# ---------------------------------------------------------------------------------------------------------------------
# The store itself
# ---------------------------------------------------------------------------------------------------------------------


class BounceFate(enum.StrEnum):
    """Say what became of a logged bounce."""

    COUNTED = "counted"
    KEPT = "kept"
    """Its row is open; it is applied when the row closes."""
    DROPPED = "dropped"
    """Its row closed in a way that no bounce can follow: failed, or skipped."""
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedBounce:
    """Show one logged bounce; ``weight`` is hard, soft, policy or complaint, ``send_id`` None where no row was named.

    ``has_suppressed`` says that this bounce, and nothing before it, ended mail to the address; ``address`` is None once
    the person was erased.
    """

    bounce_id: int
    subscriber_id: int
    send_id: int | None
    weight: str
    fate: BounceFate
    has_suppressed: bool
    reason: str
    status: str
    code: int
    reply: str
    source: str
    at: dt.datetime
    address: str | None
    issue: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Tell one store from its copies: its own id, the host it belongs to (``""`` before the first send), its epoch."""

    store_id: str
    host_id: str
    epoch: int
