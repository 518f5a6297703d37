"""Keep how sends begin: which editors were told, and the first share with its account; the steps are ``opening``'s."""

import datetime as dt

from newsletter.opening import Canary
from newsletter.store.database import Database, from_micros, from_micros_or_none, storable, to_micros
from newsletter.store.records import Notice, Send
from newsletter.store.sends import Sends

_SPREAD = 7919
"""A prime, by which the first share of one send lies elsewhere in the list than that of the one before."""


class Openings:
    """Read and write the beginnings of sends."""

    def __init__(self, database: Database, sends: Sends) -> None:
        self._database = database
        self._sends = sends

    def load_notices(self, send_id: int) -> tuple[Notice, ...]:
        """Return which editors were mailed what was frozen, or refused it for good; earliest first."""
        rows = self._database.rows("load_notices", send=send_id)
        return tuple(Notice(editor, from_micros(at), bool(accepted), answer) for editor, at, accepted, answer in rows)

    def record_notice(self, send_id: int, notice: Notice) -> None:
        """Keep what became of an editor's mail; the first acceptance of an editor stands."""
        self._database.change(
            "record_notice",
            send=send_id,
            editor=storable(notice.editor),
            told_at=to_micros(notice.at),
            accepted=int(notice.is_accepted),
            answer=storable(notice.answer),
        )

    def begin_canary(self, send_id: int, size: int, now: dt.datetime) -> Send:
        """Choose ``size`` rows, spread evenly over the audience, and let only these be claimed, in one transaction.

        Does nothing where the send is in canary already. Raises NotAllowedError where its state does not let it.
        """
        with self._database.transaction():
            send = self._sends.try_send(send_id, now)
            if not self._database.rows("any_canary", send=send_id):
                shift = send_id * _SPREAD % max(send.planned, 1)
                self._database.change("choose_canaries", send=send_id, size=size, shift=shift, planned=send.planned)
            return send

    def rest_canary(self, send_id: int, now: dt.datetime) -> None:
        """Note that every row of the first share was tried; the first instant stands."""
        self._database.change("rest_canary", send=send_id, now=to_micros(now))

    def load_canary(self, send_id: int, now: dt.datetime) -> Canary | None:
        """Return the account of the first share at ``now``, None for a send that has none."""
        row = self._database.row("load_canary", send=send_id, now=to_micros(now))
        if row is None or not row[0]:
            return None
        rested = self._database.row("load_rest", send=send_id)
        return Canary(
            size=row[0],
            untried=row[1],
            accepted=row[2],
            refused=row[3],
            skipped=row[4],
            due=row[5],
            rested_at=from_micros_or_none(rested[0]) if rested else None,
        )

    def edition_ids(self, send_id: int) -> tuple[int, ...]:
        """Return the editions that the audience of a send gets."""
        return tuple(row[0] for row in self._database.rows("send_editions", send=send_id))
