"""Gather what an operator wants to know of a send: the account, where it stands, how fast it goes, what went wrong.

All of it is read in one snapshot of the store, so that the parts add up to the account. Nothing is written or printed;
``as_json`` gives what ``--json`` prints.
"""

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import Any

from newsletter.delivery import RUNNING, Account
from newsletter.replywords import explain
from newsletter.store import DomainTally, DoubtfulRow, EditionTally, Pace, ReasonTally, ReplyTally, Send, Store, Trouble

DOMAINS, REPLIES, REASONS, TROUBLES = 12, 12, 8, 5
"""How many of each are shown."""
DOUBTS = 1000
"""How many of the rows that are in doubt, or ever were, are named."""
_FRESH = dt.timedelta(minutes=2)
"""How long ago the last message may have gone for a send to count as going on."""
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Show one send at ``now``; ``rest`` accounts for the rows of all domains that are not in ``domains``.

    ``doubts`` names the rows that are in doubt, or once were: those who may have the mail twice, or not at all.
    """

    send: Send
    now: dt.datetime
    account: Account
    pace: Pace
    next_due_at: dt.datetime | None
    editions: tuple[EditionTally, ...]
    domains: tuple[DomainTally, ...]
    rest: Account
    replies: tuple[ReplyTally, ...]
    reasons: tuple[ReasonTally, ...]
    troubles: tuple[Trouble, ...]
    doubts: tuple[DoubtfulRow, ...]

    @property
    def is_going(self) -> bool:
        """Tell whether messages go out at this time, as far as the ledger knows."""
        last = self.pace.last_sent_at
        return self.send.state in RUNNING and last is not None and self.now - last < _FRESH

    @property
    def rate_per_s(self) -> float | None:
        """Return how many messages a second went out in the last minute; None for a send that is not going on."""
        first = self.pace.first_sent_at
        if not self.is_going or first is None:
            return None
        return self.pace.recent / min(max((self.now - first).total_seconds(), 1.0), _WINDOW_S)

    @property
    def time_left(self) -> dt.timedelta | None:
        """Return how long the rows that are due take at this rate, None where there is no rate."""
        rate = self.rate_per_s
        return dt.timedelta(seconds=self.pace.due / rate) if rate else None

    def as_json(self) -> dict[str, Any]:
        """Return the overview for ``--json``: the seven numbers of the account beside the rest."""
        left = self.time_left
        return {
            **summary_json(self.send, self.account),
            "rate": {
                "per_second": round(self.rate_per_s, 2) if self.rate_per_s is not None else None,
                "best_minute": self.pace.best,
                "first_sent_at": _iso(self.pace.first_sent_at),
                "last_sent_at": _iso(self.pace.last_sent_at),
            },
            "left": {
                "due": self.pace.due,
                "waiting": self.pace.waiting,
                "next_at": _iso(self.next_due_at),
                "last_at": _iso(self.pace.waits_until),
                "seconds": round(left.total_seconds()) if left is not None else None,
            },
            "doubted": self.pace.doubted,
            "doubts": [_doubt_json(each) for each in self.doubts],
            "editions": [
                {
                    "language": each.language,
                    "variant": each.variant,
                    "revision": each.revision,
                    "digest": each.digest,
                    **each.account.as_json(),
                }
                for each in self.editions
            ],
            "domains": [{"domain": each.domain, **each.account.as_json()} for each in self.domains],
            "other_domains": self.rest.as_json(),
            "replies": [_reply_json(each) for each in self.replies],
            "reasons": [
                {"state": str(each.state), "reason": each.reason, "count": each.count} for each in self.reasons
            ],
            "latest": [_trouble_json(each) for each in self.troubles],
        }


def take_overview(store: Store, send_id: int, now: dt.datetime) -> Overview:
    """Return the overview of a send, read in one snapshot."""
    tallies = store.tallies
    with store.database.snapshot():
        send = store.sends.load_send(send_id)
        domains = tallies.by_domain(send_id, DOMAINS)
        pace = tallies.pace(send_id, now)
        account = Account.from_counts(send.planned, pace.counts)
        doubts = store.ledger.list_doubtful(send_id, ever=True) if pace.doubted else iter(())
        return Overview(
            send=send,
            now=now,
            account=account,
            pace=pace,
            next_due_at=store.sends.next_due_at(send_id),
            editions=tallies.by_edition(send_id, account),
            domains=domains,
            rest=_rest(account, domains),
            replies=tallies.by_reply(send_id, REPLIES),
            reasons=tallies.by_reason(send_id, REASONS),
            troubles=tallies.latest_troubles(send_id, TROUBLES),
            doubts=tuple(itertools.islice(doubts, DOUBTS)),
        )


def _rest(account: Account, domains: tuple[DomainTally, ...]) -> Account:
    """Return what is left of ``account`` without the domains that are shown."""
    return Account(
        **{
            name: getattr(account, name) - sum(getattr(each.account, name) for each in domains)
            for name in Account.__slots__
        }
    )


def summary_json(send: Send, account: Account) -> dict[str, Any]:
    """Return what ``--json`` says of every send in a list of them."""
    return {
        "issue": send.issue,
        "state": str(send.state),
        "reason": send.reason,
        **account.as_json(),
        "closes": account.closes,
        "send_at": _iso(send.send_at),
        "planned_at": send.planned_at.isoformat(),
        "started_at": _iso(send.started_at),
        "finished_at": _iso(send.finished_at),
    }


def _reply_json(tally: ReplyTally) -> dict[str, Any]:
    reply, told = tally.reply, explain(tally.reply)
    return {
        "kind": told.kind,
        "code": reply.code,
        "enhanced": reply.enhanced,
        "stage": str(reply.stage),
        "count": tally.count,
        "waiting": tally.waiting,
        "words": told.words,
        "outcome": told.outcome,
        "example": reply.text,
    }


def _trouble_json(trouble: Trouble) -> dict[str, Any]:
    return {
        "at": trouble.at.isoformat(),
        "event": str(trouble.event),
        "address": trouble.address,
        "domain": trouble.domain,
        "reply": str(trouble.reply) if trouble.reply else None,
        "words": words_of(trouble),
        "reason": trouble.reason,
    }


def _doubt_json(row: DoubtfulRow) -> dict[str, Any]:
    return {
        "address": row.address,
        "state": str(row.state),
        "doubts": row.doubts,
        "marked_at": row.marked_at.isoformat(),
        "via": row.via,
    }


def words_of(trouble: Trouble) -> str:
    """Return what happened, in words."""
    if trouble.reply is not None:
        told = explain(trouble.reply)
        return f"{told.kind}: {told.words}"
    kinds = {"lose": "no answer", "bounce": "came back"}
    return ": ".join(filter(None, (kinds.get(trouble.event, str(trouble.event)), trouble.reason)))


def _iso(instant: dt.datetime | None) -> str | None:
    return instant.isoformat() if instant else None
