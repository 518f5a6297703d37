"""Decide when a send is due: wall time in a zone to an instant, and early, due or expired by that instant.

Pure: ``now`` is an argument, and so is the zone. Reading ``send_at`` from the front matter is the work of ``issue``.
"""

import datetime as dt
import enum
from zoneinfo import ZoneInfo

NOT_AFTER = dt.timedelta(hours=24)
"""How long after ``send_at`` a send may still start where the issue does not say."""


class Verdict(enum.StrEnum):
    """Say whether a send may start."""

    EARLY = "early"
    DUE = "due"
    EXPIRED = "expired"


def local_instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the UTC instant of the naive wall time ``wall`` in ``zone``.

    Where clocks are put forward, a wall time that no clock shows (a *gap*) is read with the offset before the change:
    at 02:30 in a gap from 02:00 to 03:00 the clocks show 03:30. Where they are put back, a wall time that is shown
    twice (a *fold*) means the first. This is the rule of iCalendar (RFC 5545 section 3.3.5): each wall time has one
    instant, none is skipped. ``wall.fold`` is ignored.

    Raises ValueError for a wall time with an offset of its own, and for one outside the years 1 to 9999 in UTC.
    """
    if wall.tzinfo is not None:
        raise ValueError(f"{wall.isoformat()} has an offset, so it is an instant already; give a wall time")
    try:
        return wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    except OverflowError:
        raise ValueError(f"{wall.isoformat()} lies outside the years 1 to 9999") from None


def due(send_at: dt.datetime, not_after: dt.datetime | None, now: dt.datetime, late: bool = False) -> Verdict:
    """Decide whether a send that is to start at ``send_at`` may start at ``now``; all instants are aware.

    It is due from ``send_at`` to ``not_after`` (24 hours later where it is None), both included; ``late`` says that an
    operator wants it although it has expired. Nothing makes it start early.
    """
    if now < send_at:
        return Verdict.EARLY
    # In UTC: Python adds to what the clocks of a zone show, and a day in which they change has 23 or 25 hours.
    last = send_at.astimezone(dt.UTC) + NOT_AFTER if not_after is None else not_after
    return Verdict.DUE if late or now <= last else Verdict.EXPIRED
