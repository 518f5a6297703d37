"""Plan sends, move them along their table, and account for them; single rows are ``ledger``'s."""

import datetime as dt
from collections.abc import Mapping, Sequence

from newsletter.delivery import Account, SendState
from newsletter.store.database import Database
from newsletter.store.records import Send, SendPlan


class Sends:
    """Read and write sends.

    ``pause_send`` and its like return the send as it then stands; each raises NotAllowedError where the send's state
    does not let it, and does nothing where the send is already there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_audience(self, list_ids: Sequence[int]) -> int:
        """Return how many people ``plan_send`` would freeze now: active on one of the lists, and not suppressed."""

    def plan_send(self, plan: SendPlan, now: dt.datetime) -> Send:
        """Freeze the audience: one PENDING delivery for each active, unsuppressed subscriber, in one transaction.

        The same issue and kind give the same send, however often this is called: what was frozen first stays.
        A million recipients take seconds and no memory.
        """

    def find_send(self, issue: str, kind: str = "issue") -> Send | None:
        """Return the send of the issue, or None where none was planned."""

    def load_send(self, send_id: int) -> Send:
        """Return the send with this number; raise StoreError where there is none."""

    def load_sends(self) -> tuple[Send, ...]:
        """Return all sends, latest first."""

    def unfinished_sends(self, now: dt.datetime) -> tuple[Send, ...]:
        """Return, oldest first, the sends with something to do now.

        Those that are frozen (and not before their ``send_at``), in canary or sending, and have a row that is due, one
        that a dead owner may have left, or no open row at all and so only need to be finished.
        """

    def next_due_at(self, send_id: int) -> dt.datetime | None:
        """Return the earliest instant at which a pending row of the send is due, or None without such a row."""

    def start_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let the send run: from frozen or canary to sending."""

    def try_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let a first share run: from frozen to canary."""

    def hold_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """Stop a frozen send before its first message; ``lift_hold`` undoes it."""

    def lift_hold(self, send_id: int, now: dt.datetime) -> Send:
        """Take a held send back to frozen."""

    def pause_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """Stop a running send: no row is claimed or marked any more."""

    def resume_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let a paused send go on."""

    def cancel_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """End a send for good; its pending rows are skipped now, claimed ones when their run gives them back."""

    def finish_send(self, send_id: int, now: dt.datetime) -> bool:
        """Set the send finished if it is running and no open row exists; tell whether it is finished now."""

    def account(self, send_id: int) -> Account:
        """Return the send's account, counted from its rows in one consistent read."""
