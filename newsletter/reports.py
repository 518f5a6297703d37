"""Say as values what a send would do and what a run came to; ``as_json`` gives what ``--json`` prints of it.

Nothing here sends, prints or decides.
"""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newsletter.delivery import Account
from newsletter.model import Edition, Part
from newsletter.store import Recovery, Result, Send, Store


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
    """Show one edition of a plan; ``language`` is the audience's, ``""`` for everybody else."""

    language: str
    subject: str
    digest: str


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
                {"language": each.language, "subject": each.subject, "digest": each.digest} for each in self.editions
            ],
            "state": str(self.send.state) if self.send else None,
            **(self.account.as_json() if self.account else {}),
        }


def plan_report(
    store: Store, issue: str, list_ids: Sequence[int], editions: Mapping[str, Edition], now: dt.datetime
) -> PlanReport:
    """Return what sending ``issue`` to ``list_ids`` would do, without doing any of it.

    ``editions`` has one edition for each language of the audience, ``""`` for everybody else. The audience of an issue
    that was planned before is the one that was frozen.
    """
    send = store.sends.find_send(issue)
    planned = tuple(
        PlannedEdition(language=language, subject=_shown(edition.subject), digest=edition.digest)
        for language, edition in sorted(editions.items())
    )
    return PlanReport(
        issue=issue,
        audience=send.planned if send else store.sends.count_audience(list_ids, now),
        editions=planned,
        send=send,
        account=store.sends.account(send.send_id) if send else None,
    )


def _shown(part: Part) -> str:
    return "".join(piece if isinstance(piece, str) else piece.default or f"{{{piece.field}}}" for piece in part)
