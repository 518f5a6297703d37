"""Move the rows of the ledger: claim, mark, record, release, repair. What a move means stands in ``delivery``.

Every move is a compare-and-set along ``delivery.TABLE``; a row that is no longer where the caller believes is left
alone, and the answer says so. Not here: talking to the relay, deciding what a reply means, planning.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence

from newsletter.delivery import Delivery, State
from newsletter.store.database import Database
from newsletter.store.records import Advance, LedgerRow, Recovery, Result


class Ledger:
    """Read and write the deliveries of sends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_deliveries(self, send_id: int, owner: str, limit: int, now: dt.datetime) -> tuple[Delivery, ...]:
        """Claim up to ``limit`` rows that are due, for ``owner``, and return them with their recipients.

        Rows whose subscriber left or was suppressed are skipped on the way. Nothing is returned where the send does not
        run, or no row is due.
        """

    def mark_transmitting(
        self, send_id: int, owner: str, deliveries: Sequence[Delivery], now: dt.datetime
    ) -> frozenset[int]:
        """Mark claimed rows before their final dots, durably, and return the subscriber ids of those really marked.

        The statement that marks checks once more that the owner holds the row, that the subscriber is active and not
        suppressed, and that the send runs. A row that was not marked gets no dot: give it back with
        ``release_deliveries``.
        """

    def record_results(self, send_id: int, owner: str, results: Sequence[Result], now: dt.datetime) -> Advance:
        """Record what became of rows that ``owner`` holds; see ``advance_deliveries``."""

    def advance_deliveries(
        self, send_id: int, owner: str, results: Sequence[Result], marks: Sequence[Delivery], now: dt.datetime
    ) -> Advance:
        """Record ``results`` and mark ``marks`` in one commit, in that order.

        ACCEPT takes a row to SENT; REFUSE to FAILED, with a suppression where the address is bad for good; LOSE to
        IN_DOUBT after the mark, to PENDING before it; DEFER to PENDING, due by ``delivery.next_attempt``, or on to FAILED
        where that gives up. Trouble of the connection charges nothing: the row is due again at once. Every reply
        but an acceptance on the first try is kept in the log of attempts. A local part in the text of a reply is masked.
        """

    def release_deliveries(
        self,
        send_id: int,
        owner: str,
        deliveries: Sequence[Delivery],
        now: dt.datetime,
        next_attempt_at: dt.datetime | None = None,
    ) -> int:
        """Give claimed rows back unsent and uncharged, due at once or at ``next_attempt_at``; return how many."""

    def skip_deliveries(
        self, send_id: int, owner: str, deliveries: Sequence[Delivery], reason: str, now: dt.datetime
    ) -> int:
        """Skip claimed rows for good, such as one that cannot be rendered; return how many."""

    def expire_deliveries(self, send_id: int, reason: str, now: dt.datetime) -> int:
        """Give up every pending row of a send whose time is over; return how many."""

    def list_owners(self, send_id: int) -> frozenset[str]:
        """Return the owners that hold rows of the send, alive or dead."""

    def recover_deliveries(self, send_id: int, dead: Collection[str], now: dt.datetime) -> Recovery:
        """Repair what dead owners left: claimed rows go back to pending, transmitting ones are in doubt."""

    def resend_doubtful(self, send_id: int, now: dt.datetime, next_attempt_at: dt.datetime | None = None) -> int:
        """Send rows in doubt again, each once in its life, flagged; return how many (the policy ``resend``).

        A row that is in doubt for the second time stays so until an operator settles it.
        """

    def settle_deliveries(
        self, send_id: int, subscriber_ids: Sequence[int], *, arrived: bool, reason: str, now: dt.datetime
    ) -> int:
        """Settle rows in doubt on an operator's word: as sent, or to be sent again; return how many.

        A finished send that gets a row to send is reopened.
        """

    def resend_failed(self, send_id: int, now: dt.datetime) -> int:
        """Take every failed row of the send back to pending, with fresh attempts; return how many."""

    def record_bounce(self, send_id: int, subscriber_id: int, reason: str, now: dt.datetime) -> bool:
        """Take a row that was sent, or is in doubt, to bounced; tell whether it was one of these."""

    def undo_bounce(self, send_id: int, subscriber_id: int, now: dt.datetime) -> bool:
        """Take a bounced row back to what it was; tell whether it was bounced."""

    def list_deliveries(self, send_id: int, states: Collection[State] | None = None) -> Iterator[LedgerRow]:
        """Yield the rows of a send in these states (all by default), a page at a time."""

    def list_failures(self, send_id: int) -> Iterator[LedgerRow]:
        """Yield the rows a report must name: failed, skipped, bounced, in doubt now or ever."""
