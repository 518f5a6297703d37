"""End a client's wait for a relay that went silent: at once, and only then.

A short timeout would do for a relay that stalls, but it would also strike where this machine is slow, at another stage
than the test means. So clients get generous timeouts, and a moment after the relay has struck, time is up for the
connection that it struck.
"""

import threading
import time
from collections.abc import Callable

import pytest

from newsletter.smtp import Connection, _Opening
from newsletter.wire import Wire

MOMENT_S = 0.1
_SLICE_S = 0.02


def end_waits(patch: pytest.MonkeyPatch, strikes: Callable[[], int]) -> None:
    """Let connections wait as they are told until ``strikes`` returns more than when they were opened."""
    opening, begin, wait = _Opening.open, Wire.__init__, Wire._wait_for
    before = threading.local()

    def count_and_open(self: _Opening, dot_timeout: float) -> Connection:
        before.strikes = strikes()  # a relay may strike as soon as there is a connection
        return opening(self, dot_timeout)

    def begin_and_count(wire: Wire, *arguments: object) -> None:
        wire.strikes, wire.ends_at = before.strikes, float("inf")
        begin(wire, *arguments)

    def wait_in_slices(wire: Wire, what: int) -> None:
        asked = wire._deadline
        try:
            while True:
                now = time.monotonic()
                if strikes() > wire.strikes:
                    wire.ends_at = min(wire.ends_at, now + MOMENT_S)
                deadline = min(asked, wire.ends_at)
                wire._deadline = min(deadline, now + _SLICE_S)
                try:
                    return wait(wire, what)
                except TimeoutError:
                    if deadline <= time.monotonic():
                        raise
        finally:
            wire._deadline = asked

    patch.setattr(_Opening, "open", count_and_open)
    patch.setattr(Wire, "__init__", begin_and_count)
    patch.setattr(Wire, "_wait_for", wait_in_slices)
