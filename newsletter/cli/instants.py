"""Read ``--since``: a duration back from now (``7d``, ``36h``), or a day of the newsletter's zone."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

import click

_BACK = re.compile(r"(\d{1,5})\s*(h|d|w|y|hours?|days?|weeks?|years?)")
_HOURS = {"h": 1, "d": 24, "w": 168, "y": 8760}
_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_since(text: str) -> dt.timedelta | dt.date:
    """Return what ``--since`` says; the ``type`` of that option."""
    match = _BACK.fullmatch(text.strip().lower())
    if match:
        return dt.timedelta(hours=int(match[1]) * _HOURS[match[2][0]])
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 7d, 36h, 2w or a date like 2026-11-25") from None


def start_of(since: dt.timedelta | dt.date, zone: ZoneInfo, now: dt.datetime) -> dt.datetime:
    """Return the instant from which on ``--since`` looks."""
    if isinstance(since, dt.timedelta):
        return now - min(since, now - _EARLIEST)
    return max(dt.datetime.combine(since, dt.time(), tzinfo=zone).astimezone(dt.UTC), _EARLIEST)
