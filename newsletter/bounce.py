"""Hold what a mail or a provider says of a delivery: the values that bounce readers make and the list acts on.

Pure values. What makes them: ``dsn`` (mails) and ``hooks`` (providers); what they do: ``bounces``.
"""

import enum
from dataclasses import dataclass

REPLY_MAX = 500
"""Characters of a server's words that a bounce carries."""


class Weight(enum.StrEnum):
    """Name what a bounce says of the address: dead for good, troubled, or nothing at all since we are meant."""

    HARD = "hard"
    SOFT = "soft"
    POLICY = "policy"


class Kind(enum.StrEnum):
    """Name what a mail is."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    DELAY = "delay"
    RECEIPT = "receipt"
    AUTO_REPLY = "auto-reply"
    REQUEST = "request"
    ORDINARY = "ordinary"


class Action(enum.StrEnum):
    """Name what a report says was done for one recipient."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINED = "complained"
    REPLIED = "replied"
    ASKED = "asked to leave"


@dataclass(frozen=True, slots=True)
class Bounce:
    """Say what became of one recipient. ``status`` is an enhanced status (RFC 3463), ``code`` a reply code or 0."""

    address: str
    action: Action
    reason: str
    weight: Weight
    status: str = ""
    code: int = 0
    reply: str = ""

    @property
    def is_hard(self) -> bool:
        """Tell whether the address is dead for good; never true of a delay, a complaint or a policy."""
        return self.weight is Weight.HARD and self.action is Action.FAILED

    @property
    def kind_of_weight(self) -> str:
        """Return ``complaint`` for one, else the weight: what a bounce counts as."""
        return "complaint" if self.action is Action.COMPLAINED else str(self.weight)

    def as_json(self) -> dict[str, object]:
        """Return the four values that ``newsletter bounces classify --json`` prints."""
        return {"address": self.address, "status": self.status, "hard": self.is_hard, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Report:
    """Say what a mail is, and for whom."""

    kind: Kind
    bounces: tuple[Bounce, ...] = ()
