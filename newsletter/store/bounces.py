"""Keep what came back: the log of bounces, those that wait for their row, and the mails that were read.

A bounce is logged with its fate: ``counted`` (the row took it, or there is none to take it), ``kept`` until an open row
closes, ``dropped`` (the row closed some other way), ``undone``. Not here: what a mail means (``dsn``), what follows
from it (``bounces``), and the moves of rows (``ledger``).
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from newsletter.bounce import Bounce
from newsletter.store.database import Database, Row, from_micros, storable, to_micros
from newsletter.store.ledger import mask_addresses
from newsletter.store.records import BounceFate, LoggedBounce, SuppressionReason

_NEWEST = (1 << 62) - 1
_PAGE = 500
_RUN_MAX = 400
"""Sends that are looked back on for a run of soft bounces."""


class Bounces:
    """Read and write what came back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def read_once(self, digest: bytes, now: dt.datetime) -> Iterator[bool]:
        """Open a transaction in which a mail is taken up, and tell whether it is read for the first time.

        ``digest`` names the mail. It is remembered together with all that is written inside, or not at all.
        """
        with self._database.transaction():
            yield self._database.change("insert_bounce_mail", digest=digest, now=to_micros(now)) > 0

    def find_state(self, send_id: int, subscriber_id: int) -> str:
        """Return the state of a row, ``""`` where there is none."""
        row = self._database.row("delivery_state", send=send_id, subscriber=subscriber_id)
        return row[0] if row else ""

    def log_bounce(
        self,
        subscriber_id: int,
        send_id: int | None,
        bounce: Bounce,
        fate: BounceFate,
        now: dt.datetime,
        *,
        source: str,
    ) -> int:
        """Log a bounce and return its number; addresses in the reply are masked. ``source`` says where it came from."""
        with self._database.transaction():
            row = self._database.row(
                "insert_bounce",
                subscriber=subscriber_id,
                send=send_id,
                weight=bounce.kind_of_weight,
                fate=fate,
                suppressed=0,
                reason=storable(bounce.reason),
                status=storable(bounce.status),
                code=bounce.code,
                reply=storable(mask_addresses(bounce.reply)),
                source=storable(source),
                now=to_micros(now),
            )
        assert row is not None
        return int(row[0])

    def set_fate(self, bounce_id: int, fate: BounceFate) -> bool:
        """Say what became of a logged bounce; tell whether that is new."""
        return self._database.change("set_bounce_fate", bounce=bounce_id, fate=fate) > 0

    def suppress_bounced(
        self, bounce_id: int, subscriber_id: int, reason: SuppressionReason, note: str, now: dt.datetime
    ) -> bool:
        """Never mail this subscriber again because of a logged bounce, which remembers it; tell whether that is new."""
        with self._database.transaction():
            added = self._database.change(
                "suppress_bounced", subscriber=subscriber_id, reason=reason, note=storable(note), now=to_micros(now)
            )
            if added:
                self._database.change("set_bounce_suppressed", bounce=bounce_id)
        return added > 0

    def lift_bounced(self, subscriber_id: int) -> bool:
        """Lift the suppression that a bounce or a complaint brought; tell whether there was one."""
        return self._database.change("lift_bounced", subscriber=subscriber_id) > 0

    def load_kept(self) -> tuple[LoggedBounce, ...]:
        """Return the bounces that wait for their row to close, oldest first."""
        return tuple(_logged(row) for row in self._database.rows("kept_bounces"))

    def list_bounces(self, *, send_id: int | None = None, subscriber_id: int | None = None) -> Iterator[LoggedBounce]:
        """Yield logged bounces, newest first, a page at a time: all, those of a send, or those of a subscriber."""
        query, values = "all_bounces", {}
        if subscriber_id is not None:
            query, values = "person_bounces", {"subscriber": subscriber_id}
        elif send_id is not None:
            query, values = "send_bounces", {"send": send_id}
        before = _NEWEST
        while True:
            rows = self._database.rows(query, before=before, limit=_PAGE, **values)
            yield from map(_logged, rows)
            if len(rows) < _PAGE:
                return
            before = rows[-1][0]

    def soft_run(self, subscriber_id: int, send_id: int) -> tuple[int, dt.datetime | None]:
        """Return how many sends in a row, up to this one, came back softly, and when the first of them did.

        A send that was accepted and did not come back ends the run; one that never reached the relay does not count.
        """
        rows = self._database.rows("soft_run", subscriber=subscriber_id, send=send_id, limit=_RUN_MAX)
        count, first = 0, None
        for at, state in rows:
            if at is not None:
                count, first = count + 1, from_micros(at)
            elif state == "sent":
                break
        return count, first


def _logged(row: Row) -> LoggedBounce:
    return LoggedBounce(
        bounce_id=row[0],
        subscriber_id=row[1],
        send_id=row[2],
        weight=row[3],
        fate=BounceFate(row[4]),
        has_suppressed=bool(row[5]),
        reason=row[6],
        status=row[7],
        code=row[8],
        reply=row[9],
        source=row[10],
        at=from_micros(row[11]),
        address=row[12],
        issue=row[13] or "",
    )
