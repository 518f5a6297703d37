"""Move the rows of the ledger: claim, mark, record, release, repair. What a move means stands in ``delivery``.

Every move is a compare-and-set along ``delivery.TABLE``; a row that is no longer where the caller believes is left
alone, and the answer says so. Not here: talking to the relay, deciding what a reply means, planning.
"""

import datetime as dt
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from newsletter.delivery import Delivery, Event, SendState, State, moves, next_attempt, transition
from newsletter.model import Recipient, Reply, Stage
from newsletter.store.database import Database, Row, from_micros, storable, to_micros
from newsletter.store.records import Advance, Attempt, DoubtfulRow, LedgerRow, Recovery, Result, SuppressionReason

_PAGE = 1000
# The look behind lets a match start only where a word does: without it, long words cost the square of their length.
_LOCAL_PART = re.compile(r"""(?<![^\s<>()\[\]:;,"'=@])[^\s<>()\[\]:;,"'=@]+@(?=[\w\[])""")
_REOPENING = frozenset({Event.DEFER, Event.LOSE})
_RECORDS = {
    (State.CLAIMED, Event.DEFER): "defer_delivery",
    (State.CLAIMED, Event.REFUSE): "refuse_delivery",
    (State.CLAIMED, Event.LOSE): "lose_claimed",
    (State.TRANSMITTING, Event.ACCEPT): "accept_delivery",
    (State.TRANSMITTING, Event.DEFER): "defer_delivery",
    (State.TRANSMITTING, Event.REFUSE): "refuse_delivery",
    (State.TRANSMITTING, Event.LOSE): "lose_transmitting",
}
_RECORD_QUERIES = {move: f"{query}@{move[0]}" for move, query in _RECORDS.items()}
_ACCEPT = _RECORD_QUERIES[State.TRANSMITTING, Event.ACCEPT]
_MARK = f"mark_delivery@{State.CLAIMED}"


class Ledger:
    """Read and write the deliveries of sends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_deliveries(self, send_id: int, owner: str, limit: int, now: dt.datetime) -> tuple[Delivery, ...]:
        """Claim up to ``limit`` rows that are due, for ``owner``, and return them with their recipients.

        Rows whose subscriber left or was suppressed are skipped on the way. Nothing is returned where the send does not
        run, or no row is due.
        """
        micros = to_micros(now)
        claimed: list[Delivery] = []
        with self._database.transaction():
            while not claimed:
                wanted_now = {"send": send_id, "now": micros, "limit": limit}
                rows = self._database.rows("claimable_deliveries", **wanted_now)
                rows = rows or self._database.rows("claimable_canaries", **wanted_now)
                if not rows:
                    break
                self._skip_gone(send_id, [row[0] for row in rows if not row[-1]], micros)
                wanted = [_delivery(send_id, row) for row in rows if row[-1]]
                touched = self._database.change_each(
                    f"claim_delivery@{State.PENDING}",
                    (_key(delivery) | {"owner": owner, "now": micros} for delivery in wanted),
                )
                claimed = list(itertools.compress(wanted, touched))
        return tuple(claimed)

    def mark_transmitting(
        self, send_id: int, owner: str, deliveries: Sequence[Delivery], now: dt.datetime
    ) -> frozenset[int]:
        """Mark claimed rows before their final dots, durably, and return the subscriber ids of those really marked.

        The statement that marks checks once more that the owner holds the row, that the subscriber is active and not
        suppressed, and that the send runs. A row that was not marked gets no dot: give it back with
        ``release_deliveries``.
        """
        return self.advance_deliveries(send_id, owner, (), deliveries, now).marked

    def record_results(self, send_id: int, owner: str, results: Sequence[Result], now: dt.datetime) -> Advance:
        """Record what became of rows that ``owner`` holds; see ``advance_deliveries``."""
        return self.advance_deliveries(send_id, owner, results, (), now)

    def advance_deliveries(
        self,
        send_id: int,
        owner: str,
        results: Sequence[Result],
        marks: Sequence[Delivery],
        now: dt.datetime,
        *,
        via: str | Sequence[str] = "",
    ) -> Advance:
        """Record ``results`` and mark ``marks`` in one commit, in that order.

        ``via`` names the relay and the connection that the marked rows go by, one for all or one for each, for whoever
        looks for one in doubt.

        ACCEPT takes a row to SENT; REFUSE to FAILED, with a suppression where the address is bad for good; LOSE to
        IN_DOUBT after the mark, to PENDING before it; DEFER to PENDING, due by ``delivery.next_attempt``, or on to
        FAILED where that gives up. Trouble of the connection charges nothing: the row is due again at once. Every
        reply but an acceptance on the first try is kept in the log of attempts, and so is every reply to a row that was
        no longer this owner's, which may take a commit of its own. A local part in the text of a reply is masked.
        """
        micros = to_micros(now)
        ways = [via] * len(marks) if isinstance(via, str) else via
        entries = [_entry(owner, result, now) for result in results]
        marking = [
            _key(delivery) | {"owner": owner, "now": micros, "via": by or None}
            for delivery, by in zip(marks, ways, strict=True)
        ]
        if all(entry.is_plain for entry in entries):
            held, touched = self._accept_and_mark(entries, marking)
        else:
            with self._database.transaction():
                held = self._record(entries)
                if any(result.outcome.event in _REOPENING for result in results):
                    self._sweep(send_id, micros)
                touched = self._database.change_each(_MARK, marking)
        marked = frozenset(delivery.subscriber_id for delivery in itertools.compress(marks, touched))
        unrecorded = tuple(result for result, is_held in zip(results, held, strict=True) if not is_held)
        return Advance(marked, unrecorded)

    def _accept_and_mark(
        self, entries: "Sequence[_Entry]", marking: Sequence[Mapping[str, object]]
    ) -> tuple[list[bool], list[bool]]:
        """Record acceptances on the first try and mark rows, at once; return what held, and what was marked.

        So goes nearly every message, and none of it is logged, unless a row turns out to be no longer ours.
        """
        held, touched = self._database.change_at_once(
            [(_ACCEPT, [entry.values for entry in entries]), (_MARK, marking)]
        )
        if not all(held):
            self._database.change_each("log_attempt", _logged(entries, held))
        return held, touched

    def release_deliveries(
        self,
        send_id: int,
        owner: str,
        deliveries: Sequence[Delivery],
        now: dt.datetime,
        next_attempt_at: dt.datetime | None = None,
    ) -> int:
        """Give claimed rows back unsent and uncharged, due at once or at ``next_attempt_at``; return how many."""
        micros = to_micros(now)
        due = micros if next_attempt_at is None else to_micros(next_attempt_at)
        with self._database.transaction():
            touched = self._database.change_each(
                f"release_delivery@{State.CLAIMED}",
                (_key(delivery) | {"owner": owner, "now": micros, "next": due} for delivery in deliveries),
            )
            self._sweep(send_id, micros)
        return sum(touched)

    def skip_deliveries(
        self, send_id: int, owner: str, deliveries: Sequence[Delivery], reason: str, now: dt.datetime
    ) -> int:
        """Skip claimed rows for good, such as one that cannot be rendered; return how many."""
        values = {"owner": owner, "reason": storable(reason), "now": to_micros(now)}
        touched = self._database.change_each(
            f"skip_claimed@{State.CLAIMED}", (_key(delivery) | values for delivery in deliveries)
        )
        return sum(touched)

    def expire_deliveries(self, send_id: int, reason: str, now: dt.datetime) -> int:
        """Give up every pending row of a send whose time is over; return how many."""
        return self._database.change(
            f"expire_deliveries@{State.PENDING}", send=send_id, reason=storable(reason), now=to_micros(now)
        )

    def supersede_deliveries(self, send_id: int, reason: str, apart: dt.timedelta, now: dt.datetime) -> tuple[int, ...]:
        """Give up whoever was deferred by an older send and has a row of this one; return the older sends.

        Older is a running send of the same kind that began ``apart`` or more before this one.
        """
        values = {"send": send_id, "apart": apart // dt.timedelta(microseconds=1)}
        with self._database.transaction():
            self._database.change(
                f"supersede_deliveries@{State.PENDING}", reason=storable(reason), now=to_micros(now), **values
            )
            return tuple(older for (older,) in self._database.rows("list_older_sends", **values))

    def list_owners(self, send_id: int) -> frozenset[str]:
        """Return the owners that hold rows of the send, alive or dead."""
        return frozenset(row[0] for row in self._database.rows("list_owners", send=send_id))

    def recover_deliveries(self, send_id: int, dead: Collection[str], now: dt.datetime) -> Recovery:
        """Repair what dead owners left: claimed rows go back to pending, transmitting ones are in doubt."""
        released = doubted = 0
        micros = to_micros(now)
        with self._database.transaction():
            for owner in sorted(dead):
                values = {"send": send_id, "owner": owner, "now": micros}
                self._database.change("log_dead", **values)
                doubted += self._database.change(f"doubt_dead@{State.TRANSMITTING}", **values)
                released += self._database.change(f"release_dead@{State.CLAIMED}", **values)
            self._sweep(send_id, micros)
        return Recovery(released, doubted)

    def resend_doubtful(self, send_id: int, now: dt.datetime, next_attempt_at: dt.datetime | None = None) -> int:
        """Send rows in doubt again, each once in its life, flagged; return how many (the policy ``resend``).

        A row that is in doubt for the second time stays so until an operator settles it.
        """
        micros = to_micros(now)
        due = micros if next_attempt_at is None else to_micros(next_attempt_at)
        with self._database.transaction():
            self._database.change("log_doubtful", send=send_id, now=micros)
            resent = self._database.change(f"resend_doubtful@{State.IN_DOUBT}", send=send_id, now=micros, next=due)
            self._reopen(send_id, resent, micros)
        return resent

    def settle_deliveries(
        self, send_id: int, subscriber_ids: Sequence[int], *, arrived: bool, reason: str, now: dt.datetime
    ) -> int:
        """Settle rows in doubt on an operator's word: as sent, or to be sent again; return how many.

        A finished send that gets a row to send is reopened.
        """
        query, event = ("settle_delivery", Event.SETTLE) if arrived else ("resend_delivery", Event.RESEND)
        values = {"send": send_id, "now": to_micros(now), "reason": storable(reason)}
        settled = 0
        with self._database.transaction():
            for subscriber_id in subscriber_ids:
                if self._database.change(f"{query}@{State.IN_DOUBT}", subscriber=subscriber_id, **values):
                    self._log(event, None, subscriber=subscriber_id, owner=None, **values)
                    settled += 1
            if not arrived:
                self._reopen(send_id, settled, to_micros(now))
        return settled

    def resend_failed(self, send_id: int, now: dt.datetime) -> int:
        """Take the failed rows whose recipient may be mailed back to pending, with fresh attempts; return how many.

        Whoever left, or is suppressed as an address that is bad for good, stays failed with the reason.
        """
        micros = to_micros(now)
        with self._database.transaction():
            self._database.change("log_failed", send=send_id, now=micros)
            resent = self._database.change(f"resend_failed@{State.FAILED}", send=send_id, now=micros)
            self._reopen(send_id, resent, micros)
        return resent

    def record_bounce(self, send_id: int, subscriber_id: int, reason: str, now: dt.datetime) -> bool:
        """Take a row that was sent, or is in doubt, to bounced; tell whether it was one of these."""
        values = {"send": send_id, "subscriber": subscriber_id, "now": to_micros(now), "reason": storable(reason)}
        with self._database.transaction():
            bounced = any(
                self._database.change(f"bounce_delivery@{start}", **values) for start, _ in moves(Event.BOUNCE)
            )
            if bounced:
                self._log(Event.BOUNCE, None, owner=None, **values)
        return bounced

    def undo_bounce(self, send_id: int, subscriber_id: int, now: dt.datetime) -> bool:
        """Take a bounced row back to what it was; tell whether it was bounced."""
        values = {"send": send_id, "subscriber": subscriber_id, "now": to_micros(now)}
        with self._database.transaction():
            undone = any(self._database.change(f"undo_bounce@{end}", **values) for _, end in moves(Event.UNDO))
            if undone:
                self._log(Event.UNDO, None, owner=None, reason="", **values)
        return undone

    def list_deliveries(self, send_id: int, states: Collection[State] | None = None) -> Iterator[LedgerRow]:
        """Yield the rows of a send in these states (all by default), a page at a time."""
        if states is None:
            yield from self._pages("list_deliveries", send=send_id)
            return
        for state in State:
            if state in states:
                yield from self._pages("list_deliveries_in_state", send=send_id, state=state)

    def list_failures(self, send_id: int) -> Iterator[LedgerRow]:
        """Yield the rows a report must name: failed, skipped, bounced, in doubt now or ever."""
        yield from self._pages("list_failures", send=send_id)

    def list_doubtful(self, send_id: int, *, ever: bool = False) -> Iterator[DoubtfulRow]:
        """Yield the rows of a send that are in doubt, with ``ever`` those too that were; a page at a time."""
        query = "list_ever_doubtful" if ever else "list_doubtful"
        yield from map(_doubtful_row, self._paged(query, send=send_id))

    def list_person_deliveries(self, subscriber_id: int) -> tuple[LedgerRow, ...]:
        """Return every row of one person, oldest send first."""
        return tuple(map(_ledger_row, self._database.rows("list_person_deliveries", subscriber=subscriber_id)))

    def load_attempts(self, send_id: int, subscriber_id: int) -> tuple[Attempt, ...]:
        """Return what the log holds of one row, oldest first."""
        rows = self._database.rows("load_attempts", send=send_id, subscriber=subscriber_id)
        return tuple(
            Attempt(Event(event), from_micros(at), owner or "", _reply(code, enhanced, text, stage), reason)
            for event, at, owner, code, enhanced, text, stage, reason in rows
        )

    # -- parts of the moves, inside an open transaction ---------------------------------------------------------------

    def _record(self, entries: "Sequence[_Entry]") -> list[bool]:
        """Record results, and tell for each whether the owner still held its row; the log keeps replies in any case."""
        held: list[bool] = []
        for query, alike in itertools.groupby(entries, key=lambda entry: entry.query):
            held += self._database.change_each(query, [entry.values for entry in alike])
        self._database.change_each("log_attempt", _logged(entries, held))
        recorded = list(itertools.compress(entries, held))
        self._database.change_each(
            f"expire_delivery@{State.PENDING}", [entry.expiry_values() for entry in recorded if entry.is_given_up]
        )
        self._database.change_each(
            "suppress_recipient", [entry.suppression_values() for entry in recorded if entry.result.outcome.hard]
        )
        return held

    def _log(self, event: Event, reply: Reply | None, **values: object) -> None:
        self._database.change("log_attempt", event=event, **values, **_reply_values(reply))

    def _skip_gone(self, send_id: int, subscriber_ids: Sequence[int], micros: int) -> None:
        reason = "no longer active on the list, paused, or suppressed"
        self._database.change_each(
            f"skip_pending@{State.PENDING}",
            (
                {"send": send_id, "subscriber": subscriber_id, "reason": reason, "now": micros}
                for subscriber_id in subscriber_ids
            ),
        )

    def _sweep(self, send_id: int, micros: int) -> None:
        """Skip what came back to pending although the send was cancelled meanwhile: nobody would claim it."""
        if self._database.row("find_cancelled", send=send_id):
            self._database.change(f"skip_cancelled@{State.PENDING}", send=send_id, now=micros)

    def _reopen(self, send_id: int, resent: int, micros: int) -> None:
        if resent:
            self._database.change(f"reopen_send@{SendState.FINISHED}", send=send_id, now=micros)
            self._sweep(send_id, micros)

    def _pages(self, query: str, **values: object) -> Iterator[LedgerRow]:
        return map(_ledger_row, self._paged(query, **values))

    def _paged(self, query: str, **values: object) -> Iterator[Row]:
        after = 0
        while True:
            rows = self._database.rows(query, after=after, limit=_PAGE, **values)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][1]


# ---------------------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------------------


def mask_addresses(text: str) -> str:
    """Return ``text`` with the local part of every address in it replaced by ``…``: the ledger holds no address."""
    text = storable(text)
    return _LOCAL_PART.sub("…@", text) if "@" in text else text


@dataclass(frozen=True, slots=True)
class _Entry:
    """Hold the query that records a result, its parameters, and whether the row is given up after it."""

    result: Result
    query: str
    values: Mapping[str, object]
    is_given_up: bool

    @property
    def is_plain(self) -> bool:
        """Tell whether it is an acceptance on the first try, of which the row itself says everything."""
        delivery = self.result.delivery
        return self.query == _ACCEPT and not (delivery.attempts or delivery.doubts)

    def log_values(self, is_held: bool) -> Mapping[str, object] | None:
        """Return what the log keeps of it: everything but the plain acceptance on the first try."""
        event = self.result.outcome.event
        if is_held and self.is_plain:
            return None
        reason = mask_addresses(self.result.reason) if is_held else "this run held the row no longer"
        return {**self.values, "event": event, "reason": reason}

    def expiry_values(self) -> Mapping[str, object]:
        """Return the parameters that give the row up."""
        return {**self.values, "reason": f"given up after {self.result.delivery.attempts + 1} attempts"}

    def suppression_values(self) -> Mapping[str, object]:
        """Return the parameters that suppress the recipient."""
        return {**self.values, "reason": SuppressionReason.HARD_BOUNCE, "note": self.values["reply"] or ""}


def _logged(entries: Sequence[_Entry], held: Sequence[bool]) -> list[Mapping[str, object]]:
    """Return what the log keeps of results, by whether their rows were still held."""
    logged = (entry.log_values(is_held) for entry, is_held in zip(entries, held, strict=True))
    return [values for values in logged if values]


def _entry(owner: str, result: Result, now: dt.datetime) -> _Entry:
    event, delivery, reply = result.outcome.event, result.delivery, result.reply
    move = (State.TRANSMITTING if result.marked else State.CLAIMED, event)
    transition(*move)
    retry_at = now if event is Event.ACCEPT else _retry_at(result, now)
    values = {
        "send": delivery.send_id,
        "subscriber": delivery.recipient.subscriber_id,
        "owner": owner,
        "now": to_micros(now),
        "next": to_micros(retry_at or now),
        "charge": int(result.outcome.is_charged),
    }
    return _Entry(result, _RECORD_QUERIES[move], values | _reply_values(reply), retry_at is None)


def _retry_at(result: Result, now: dt.datetime) -> dt.datetime | None:
    """Return when a row that goes back to pending is due; None gives up, which only a charged deferral does."""
    if result.retry_at is not None:
        return result.retry_at
    if result.outcome.event is not Event.DEFER or not result.outcome.is_charged:
        return now
    delivery = result.delivery
    return next_attempt(delivery.attempts + 1, now, f"{delivery.send_id}:{delivery.subscriber_id}")


def _key(delivery: Delivery) -> dict[str, object]:
    return {"send": delivery.send_id, "subscriber": delivery.recipient.subscriber_id}


def _reply_values(reply: Reply | None) -> dict[str, object]:
    if reply is None:
        return {"code": None, "enhanced": None, "stage": None, "reply": None}
    return {
        "code": reply.code,
        "enhanced": reply.enhanced,
        "stage": reply.stage,
        "reply": mask_addresses(reply.text),
    }


def _reply(code: int | None, enhanced: str, text: str | None, stage: str) -> Reply | None:
    return None if code is None else Reply(code, enhanced, text or "", Stage(stage))


def _delivery(send_id: int, row: Row) -> Delivery:
    subscriber_id, list_id, edition_id, domain, attempts, doubts, address, name, language, attributes, _ = row
    recipient = Recipient(subscriber_id, list_id, address, name, language, json.loads(attributes))
    return Delivery(send_id, edition_id, recipient, domain, attempts, doubts)


def _ledger_row(row: Row) -> LedgerRow:
    return LedgerRow(
        send_id=row[0],
        subscriber_id=row[1],
        edition_id=row[2],
        address=row[3],
        domain=row[4],
        state=State(row[5]),
        doubts=row[6],
        attempts=row[7],
        next_attempt_at=from_micros(row[8]) if row[5] == State.PENDING else None,
        reply=_reply(*row[9:13]),
        reason=row[13],
        changed_at=from_micros(row[14]),
    )


def _doubtful_row(row: Row) -> DoubtfulRow:
    return DoubtfulRow(
        send_id=row[0],
        subscriber_id=row[1],
        list_id=row[2],
        address=row[3],
        domain=row[4],
        state=State(row[5]),
        doubts=row[6],
        attempts=row[7],
        edition_digest=row[8],
        via=row[9] or "",
        marked_at=from_micros(row[10]),
        lost_at=from_micros(row[11] if row[12] is None else row[12]),
        owner=row[13] or "",
        reason=row[14] or "",
    )
