"""Describe the relays that may carry a send, and know how each fares in one run: its troubles and its share.

A ``Transport`` is what is configured; a ``Line`` is one transport as a run sees it. After each connection that brought
nothing a line waits, a little longer each time; after some in a row it is *closed*, gets no more rows, and is tried
again after a while, so long as another line works. When every line is closed the run ends, and nothing is charged to
anyone.

Weights share the messages: each message that a line takes puts it back by its weight's inverse, and a line that is too
far ahead lets the others go first. A line in trouble holds nobody up. Not here: sockets (``smtp``), threads' work
(``carrier``).
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from newsletter.pace import Rate
from newsletter.smtp import Connection

RECONNECT_WAITS_S = (1.0, 5.0, 15.0)
"""Waits before each new connection when one after the other brings nothing; then the relay is taken for down."""
PER_CONNECTION = 1000
"""Messages that one connection carries: relays bound it (Exim: 1,000), and a session must not last for ever."""
CLOSED_S = 300.0
"""Seconds until a line that was closed is tried again, where others work."""
_LEAD = 20
"""Messages that a line may be ahead of its share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Hold one configured relay: how to reach it, over how many connections, how fast, for which share of the mail.

    ``connect`` opens a connection or raises RelayUnavailableError. ``rate`` None is no limit.
    """

    name: str
    connect: Callable[[], Connection]
    connections: int = 1
    per_connection: int = PER_CONNECTION
    weight: int = 1
    rate: Rate | None = None


class Line:
    """Know how one transport fares in a run; its connections share it, and any of their threads may call it."""

    def __init__(self, transport: Transport, waits_s: Sequence[float]) -> None:
        self.transport = transport
        self.door = threading.Lock()
        """Held while a connection is opened and while trouble is waited out: one at a time presses no relay."""
        self.carried = 0
        self.taken = 0.0
        self._waits_s = waits_s
        self._lock = threading.Lock()
        self._troubles = self._put_off = 0
        self._closed_until = 0.0

    @property
    def is_closed(self) -> bool:
        """Tell whether the line gets nothing now."""
        return self._closed_until > 0 and time.monotonic() < self._closed_until

    @property
    def is_well(self) -> bool:
        """Tell whether its latest connection brought something, or none was tried yet."""
        return not self._troubles

    @property
    def troubles(self) -> int:
        """Return how many troubles there were since the last message: what a new connection is counted from."""
        return self._troubles

    def note_trouble(self, seen: int) -> float | None:
        """Count a connection that brought nothing, and return the seconds to wait; None closes the line.

        ``seen`` are the troubles there were when it was opened: connections that end together are one trouble.
        """
        with self._lock:
            if seen < self._troubles:
                return 0.0
            self._troubles += 1
            if self._troubles <= len(self._waits_s):
                return self._waits_s[self._troubles - 1]
        self.close()
        return None

    def close(self) -> None:
        """Let the line get nothing for a while; the first connection after it must bring something."""
        with self._lock:
            self._troubles = len(self._waits_s)
            self._closed_until = time.monotonic() + CLOSED_S

    def note_success(self) -> None:
        """Count a message that the relay answered."""
        with self._lock:
            self.carried += 1
            self._troubles = 0

    def count_put_off(self, is_put_off: bool) -> int:
        """Return how many messages in a row the relay put off for reasons that are ours, this answer included."""
        with self._lock:
            self._put_off = self._put_off + 1 if is_put_off else 0
            return self._put_off


def may_take(line: Line, lines: Sequence[Line]) -> bool:
    """Tell whether ``line`` may take a message now, without getting too far ahead of its share."""
    others = [other.taken for other in lines if other is not line and other.is_well and not other.is_closed]
    return not others or line.taken <= min(others) + _LEAD / sum(each.transport.weight for each in lines)


def take_turn(line: Line, lines: Sequence[Line]) -> None:
    """Charge ``line`` for a message; one that was away makes up for nothing."""
    well = [other.taken for other in lines if other is not line and other.is_well and not other.is_closed]
    floor = min(well) - _LEAD if well else line.taken
    line.taken = max(line.taken, floor) + 1 / line.transport.weight
