"""Hand the rows of a run to its connections: claimed in batches, each row to one connection, no faster than allowed.

Crash points: what is claimed here is CLAIMED in the ledger, and the next run gives it back; nothing of it is on the
wire.

Not here: which rows must wait for a token (``pacing``), whose turn it is among transports (``transports``).
"""

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Sequence

from newsletter.delivery import Delivery
from newsletter.pacing import Pacing
from newsletter.transports import Line, may_take, take_turn

BATCH = 100
"""Rows that one claim takes."""
_LOW = BATCH // 2
"""Rows in hand at which the next are claimed."""
_LOOK_S = 0.1
"""Seconds between two looks where a row may come any moment."""
_LONGEST_S = 1.0
"""Seconds between two looks at the most: a deferred row may come due, and the run may end."""


class Claims:
    """Hold the rows that a run has claimed and not begun; its connections take from it, in threads of their own.

    ``claim`` returns up to so many rows that are due, ``put_off`` gives rows back until an instant; ``is_over`` tells
    that no further message may be begun, and ``wait`` waits so many seconds, or less where the run is to stop.
    """

    def __init__(
        self,
        claim: Callable[[int], Sequence[Delivery]],
        put_off: Callable[[Sequence[Delivery], dt.datetime], None],
        *,
        lines: Sequence[Line],
        clock: Callable[[], dt.datetime],
        is_over: Callable[[], bool],
        wait: Callable[[float], object],
        pacing: Pacing | None = None,
    ) -> None:
        self._claim = claim
        self._put_off = put_off
        self._lines = lines
        self._clock = clock
        self._is_over = is_over
        self._wait = wait
        self._lock = threading.Lock()
        self._claimed = threading.Condition(self._lock)
        self._rows: deque[Delivery] = deque()
        self._pacing = pacing
        self._is_claiming = self._is_dry = False

    def take(self, line: Line, *, wait: bool) -> Delivery | None:
        """Return the next row for a connection of ``line``, None where there is none.

        With ``wait`` it waits for tokens, for a closed line and for the others' share, so that None is for good;
        without, None says that no row can go right now.
        """
        while not self._is_over():
            with self._lock:
                delivery, pause_s = self._next(line)
                is_short = len(self._rows) <= _LOW and not self._is_dry if delivery else not self._rows
                claims = is_short and not self._is_claiming
                self._is_claiming |= claims
            found = claims and self._refill()
            if delivery or not (wait or found):
                return delivery
            if not found:
                if not (pause_s or self._is_claiming):
                    return None
                self._rest(pause_s)
        return None

    def _rest(self, pause_s: float) -> None:
        """Wait so many seconds; without any, for another connection's claim."""
        if pause_s:
            self._wait(min(pause_s, _LONGEST_S))
            return
        with self._claimed:
            if self._is_claiming:
                self._claimed.wait(_LOOK_S)

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """Take back rows that were not begun; they are the next to go."""
        with self._lock:
            self._rows.extendleft(reversed(deliveries))

    def close(self) -> list[Delivery]:
        """Return what nobody took, and keep what the buckets gave out; the run must be over."""
        with self._lock:
            left = list(self._rows)
            self._rows.clear()
            if self._pacing:
                left += self._pacing.close(self._clock())
        return left

    def _next(self, line: Line) -> tuple[Delivery | None, float]:
        """Return the next row that may go by ``line``, or the seconds to wait for one; 0.0 where none is in hand."""
        if self._pacing:
            return self._next_paced(line, self._pacing)
        if not self._rows:
            return None, 0.0
        if not self._is_turn_of(line):
            return None, _LOOK_S
        take_turn(line, self._lines)
        return self._rows.popleft(), 0.0

    def _next_paced(self, line: Line, pacing: Pacing) -> tuple[Delivery | None, float]:
        now = self._clock()
        if not self._is_turn_of(line):
            return None, _LOOK_S if self._rows or pacing.seconds_to_next(now) else 0.0
        seconds = pacing.seconds_for(line, now)
        if seconds:
            return None, seconds if self._rows or pacing.seconds_to_next(now) else 0.0
        delivery = pacing.pop_ready(now)
        while delivery is None and self._rows:
            delivery = pacing.pass_or_keep(self._rows.popleft(), now)
        if delivery is None:
            return None, pacing.seconds_to_next(now)
        pacing.charge(line, delivery.domain, now)
        take_turn(line, self._lines)
        return delivery, 0.0

    def _is_turn_of(self, line: Line) -> bool:
        return len(self._lines) == 1 or (not line.is_closed and may_take(line, self._lines))

    def _refill(self) -> bool:
        """Claim the next rows, outside the lock; tell whether there were any."""
        rows: Sequence[Delivery] = ()
        try:
            if self._pacing:
                with self._lock:
                    put_off = self._pacing.take_put_off()
                for at, deliveries in put_off:
                    self._put_off(deliveries, at)
            rows = self._claim(BATCH)
        finally:
            with self._lock:
                self._rows.extend(rows)
                self._is_claiming, self._is_dry = False, not rows
                self._claimed.notify_all()
        return bool(rows)
