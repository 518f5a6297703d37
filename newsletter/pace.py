"""Decide by token buckets when the next message may go: to a transport, to a domain of recipients.

A bucket holds as many tokens as its rate gives in a second, one at the least, and starts full. All that needs keeping
of it is the instant at which it is full again (``full_at``): each token that is taken moves that instant on by the time
that a token takes to come back. Instants are those of the clock, so that what one run took the next one knows.

Pure: no clock, no store, no thread. Which rows wait for which bucket is ``claims``'s, keeping buckets ``store``'s.
"""

import datetime as dt
import re
from dataclasses import dataclass

_RATE = re.compile(r"([1-9][0-9]{0,6})/(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """Allow ``count`` messages in ``seconds``."""

    count: int
    seconds: int

    @property
    def interval(self) -> dt.timedelta:
        """Return how long it takes until a token that was taken is there again."""
        return dt.timedelta(seconds=self.seconds) / self.count

    @property
    def burst(self) -> int:
        """Return how many messages may go at once after a rest: what one second brings."""
        return max(1, self.count // self.seconds)


def parse_rate(text: str) -> Rate | None:
    """Return the rate that ``"50/s"``, ``"600/min"`` or ``"1000/h"`` names, None for ``""``: no limit.

    Raises ValueError for any other text.
    """
    if not text:
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no rate; write one like '50/s', '600/min' or '1000/h'")
    return Rate(int(match[1]), _SECONDS[match[2]])


def ready_at(full_at: dt.datetime | None, rate: Rate, now: dt.datetime) -> dt.datetime:
    """Return when a token may be taken, ``now`` where there is one; ``full_at`` None is a full bucket.

    A bucket is never emptier than empty: a ``full_at`` that lies too far ahead, as after the clock was put back, counts
    as what an empty bucket has.
    """
    if full_at is None:
        return now
    empty = now + rate.interval * rate.burst
    return max(now, min(full_at, empty) - rate.interval * (rate.burst - 1))


def after_one(full_at: dt.datetime | None, rate: Rate, now: dt.datetime) -> dt.datetime:
    """Return when the bucket is full again once a token was taken at ``now``."""
    start = now if full_at is None else max(now, min(full_at, now + rate.interval * (rate.burst - 1)))
    return start + rate.interval
