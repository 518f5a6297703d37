"""Say as values what a send would do and what a run came to; ``as_json`` gives what ``--json`` prints of it.

Nothing here sends, prints or decides.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from newsletter.delivery import Account
from newsletter.model import Edition, Part
from newsletter.store import Recovery, Result, Send, Store
from newsletter.variants import WHOLE


class Ending(enum.StrEnum):
    """Say why a run ended.

    WAITING: the open rows wait for their next attempt. UNAVAILABLE: the relay is down, and the send stays open.
    NOT_RUNNING: the send is held or cancelled, and nothing was tried.
    """

    FINISHED = "finished"
    WAITING = "waiting"
    PAUSED = "paused"
    STOPPED = "stopped"
    UNAVAILABLE = "relay unavailable"
    NOT_RUNNING = "not running"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """Account for a send at the end of a run.

    ``recorded`` counts the results of this run; ``unrecorded`` are those whose row was no longer in its hands.
    ``next_due_at`` is when the next open row is due, None without one. ``carried`` counts for each transport the
    messages that it answered.
    """

    send: Send
    account: Account
    ending: Ending
    reason: str
    next_due_at: dt.datetime | None
    recovery: Recovery
    recorded: int
    unrecorded: tuple[Result, ...]
    started_at: dt.datetime
    ended_at: dt.datetime
    carried: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the report for ``--json``: the seven numbers of the account beside the rest."""
        return {
            "issue": self.send.issue,
            "state": str(self.send.state),
            **self.account.as_json(),
            "ending": str(self.ending),
            "reason": self.reason,
            "next_due_at": self.next_due_at.isoformat() if self.next_due_at else None,
            "recorded": self.recorded,
            "recovered": {"released": self.recovery.released, "in_doubt": self.recovery.doubted},
            "carried": dict(self.carried),
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEdition:
    """Show one edition of a plan: its variant, ``""`` for the whole issue, and how many of the audience get it.

    ``digest`` is ``""`` for a variant that is compiled when the issue is sent.
    """

    variant: str
    subject: str
    digest: str
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """Show what sending an issue would do: how many people, which editions, and what was sent of it already."""

    issue: str
    audience: int
    editions: tuple[PlannedEdition, ...]
    send: Send | None
    account: Account | None

    def as_json(self) -> dict[str, Any]:
        """Return the plan for ``--json``; an issue that was planned before shows its account too."""
        return {
            "issue": self.issue,
            "audience": self.audience,
            "editions": [
                {
                    "variant": each.variant,
                    "subject": each.subject,
                    "digest": each.digest,
                    "recipients": each.recipients,
                }
                for each in self.editions
            ],
            "state": str(self.send.state) if self.send else None,
            **(self.account.as_json() if self.account else {}),
        }


def plan_report(store: Store, edition: Edition, counts: Mapping[str, int]) -> PlanReport:
    """Return what sending an issue would do, without doing any of it.

    ``edition`` is the whole issue, ``counts`` says how many of its audience get each variant. The audience of an issue
    that was planned before is the one that was frozen.
    """
    send = store.sends.find_send(edition.issue)
    planned = tuple(
        PlannedEdition(
            variant=variant,
            subject=_shown(edition.subject),
            digest=edition.digest if variant == WHOLE else "",
            recipients=count,
        )
        for variant, count in counts.items()
    )
    return PlanReport(
        issue=edition.issue,
        audience=send.planned if send else sum(counts.values()),
        editions=planned,
        send=send,
        account=store.sends.account(send.send_id) if send else None,
    )


def _shown(part: Part) -> str:
    return "".join(piece if isinstance(piece, str) else piece.default or f"{{{piece.field}}}" for piece in part)
