"""Count the rows of a send as a report shows them: by domain, edition, reply and reason; how fast it goes; the latest.

The database counts, in constant memory here; what strangers can make many (domains, replies, reasons) comes bounded,
the largest first. A report that takes several of these reads them in one ``Database.snapshot``, so that they add up.
Not here: single rows (``ledger``), and what a reply means (``delivery``).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from newsletter.delivery import Account, Event, State
from newsletter.model import Reply, Stage
from newsletter.store.database import Database, Row, from_micros, from_micros_or_none, to_micros

_WINDOW = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DomainTally:
    """Account for the rows of one recipient domain; ``""`` is that of erased people."""

    domain: str
    account: Account


@dataclass(frozen=True, slots=True)
class EditionTally:
    """Account for the rows that get one edition: its language, variant, revision and digest."""

    edition_id: int
    language: str
    variant: str
    revision: int
    digest: str
    account: Account


@dataclass(frozen=True, slots=True)
class ReplyTally:
    """Count the rows whose last reply had this code, enhanced status and stage; ``reply.text`` is an example.

    ``waiting`` of them are open, and will be tried again.
    """

    reply: Reply
    count: int
    waiting: int


@dataclass(frozen=True, slots=True)
class FailedTally:
    """Count failed rows by their last reply, None without one; the recipients of ``resendable`` ones may be mailed."""

    reply: Reply | None
    count: int
    resendable: int


@dataclass(frozen=True, slots=True)
class ReasonTally:
    """Count the rows that ended in ``state`` for this reason."""

    state: State
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Show one entry of the log that was no acceptance; ``address`` is None for an erased person.

    ``reply`` is None where no answer came, and ``reason`` says why, as far as it is known.
    """

    at: dt.datetime
    event: Event
    address: str | None
    domain: str
    reply: Reply | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Say how a send goes on: ``recent`` rows were sent in the last minute, ``best`` in its best one.

    ``counts`` are those of the rows in each state. ``due`` rows wait for nothing but their turn, ``waiting`` ones for a
    later attempt, the last of them at ``waits_until``. ``doubted`` rows are in doubt, or were once.
    """

    counts: Mapping[State, int] = field(default_factory=dict)
    first_sent_at: dt.datetime | None = None
    last_sent_at: dt.datetime | None = None
    recent: int = 0
    best: int = 0
    due: int = 0
    waiting: int = 0
    waits_until: dt.datetime | None = None
    doubted: int = 0


class Tallies:
    """Read counts of sends; nothing is written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pace(self, send_id: int, now: dt.datetime) -> Pace:
        """Return how fast the send is and what is left of it at ``now``."""
        times = {"now": to_micros(now), "since": to_micros(now - _WINDOW)}
        by_state = {State(row[0]): row for row in self._database.rows("tally_states", send=send_id, **times)}
        sent, pending = by_state.get(State.SENT), by_state.get(State.PENDING)
        in_hand = sum(by_state[state][1] for state in (State.CLAIMED, State.TRANSMITTING) if state in by_state)
        return Pace(
            counts={state: row[1] for state, row in by_state.items()},
            first_sent_at=from_micros_or_none(sent[3]) if sent else None,
            last_sent_at=from_micros_or_none(sent[4]) if sent else None,
            recent=sent[5] if sent else 0,
            best=self._number("best_minute", send=send_id) if sent else 0,
            due=in_hand + (pending[1] - pending[6] if pending else 0),
            waiting=pending[6] if pending else 0,
            waits_until=from_micros(pending[7]) if pending and pending[6] else None,
            doubted=sum(row[2] for row in by_state.values()),
        )

    def by_domain(self, send_id: int, limit: int) -> tuple[DomainTally, ...]:
        """Return the ``limit`` domains with the most rows, the largest first."""
        rows = self._database.rows("tally_domains", send=send_id, limit=limit)
        return tuple(DomainTally(row[0], Account(*row[1:])) for row in rows)

    def by_edition(self, send_id: int, account: Account) -> tuple[EditionTally, ...]:
        """Return every edition of the send with its rows, the largest first; ``account`` is the send's.

        Where there is only one, all of the account is its own, and no row is looked at.
        """
        editions = self._database.rows("list_editions", send=send_id)
        if len(editions) == 1:
            number, language, variant, revision, digest = editions[0]
            return (EditionTally(number, language, variant, revision, digest, account),)
        rows = self._database.rows("tally_editions", send=send_id)
        return tuple(
            EditionTally(number, language, variant, revision, digest, Account(*counts))
            for number, language, variant, revision, digest, *counts in rows
        )

    def by_reply(self, send_id: int, limit: int) -> tuple[ReplyTally, ...]:
        """Return the ``limit`` most frequent last replies that were no acceptance, the most frequent first."""
        rows = self._database.rows("tally_replies", send=send_id, limit=limit)
        return tuple(
            ReplyTally(Reply(code, enhanced or "", text or "", Stage(stage)), count, waiting)
            for code, enhanced, stage, count, waiting, text in rows
        )

    def by_reason(self, send_id: int, limit: int) -> tuple[ReasonTally, ...]:
        """Return the ``limit`` most frequent reasons why rows failed, were skipped or bounced."""
        rows = self._database.rows("tally_reasons", send=send_id, limit=limit)
        return tuple(ReasonTally(State(state), reason, count) for state, reason, count in rows)

    def failed(self, send_id: int, now: dt.datetime) -> tuple[FailedTally, ...]:
        """Return the failed rows by their last reply, and how many ``ledger.resend_failed`` would take back now."""
        rows = self._database.rows("tally_failed", send=send_id, now=to_micros(now))
        return tuple(
            FailedTally(_reply(code, enhanced, text, stage), count, resendable)
            for code, enhanced, stage, count, resendable, text in rows
        )

    def latest_troubles(self, send_id: int, limit: int) -> tuple[Trouble, ...]:
        """Return the latest deferrals, refusals, losses and bounces of the log, the last one first."""
        return tuple(map(_trouble, self._database.rows("latest_troubles", send=send_id, limit=limit)))

    def _number(self, query: str, **values: object) -> int:
        row = self._database.row(query, **values)
        return int(row[0]) if row and row[0] is not None else 0


def _trouble(row: Row) -> Trouble:
    at, event, address, domain, code, enhanced, text, stage, reason = row
    return Trouble(from_micros(at), Event(event), address, domain, _reply(code, enhanced, text, stage), reason)


def _reply(code: int | None, enhanced: str | None, text: str | None, stage: str) -> Reply | None:
    return None if code is None else Reply(code, enhanced or "", text or "", Stage(stage))
