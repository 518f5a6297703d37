"""End a client's wait for a relay that went silent: at once, and only then.

A short timeout would do for a relay that stalls, but it would also strike where this machine is slow, at another stage
than the test means. So clients get generous timeouts, and a moment after the relay has struck, time is up for the
connection that it struck.
"""

import time
from collections.abc import Callable, Collection

import pytest

from newsletter.wire import Wire

MOMENT_S = 0.1
_SLICE_S = 0.02


def end_waits(patch: pytest.MonkeyPatch, struck: Callable[[], Collection[int]]) -> None:
    """Let connections wait as they are told until ``struck`` names the port that they have on this side."""
    begin, wait = Wire.__init__, Wire._wait_for

    def begin_and_note(wire: Wire, *arguments: object) -> None:
        begin(wire, *arguments)
        wire.port, wire.ends_at = wire.sock.getsockname()[1], float("inf")

    def wait_in_slices(wire: Wire, what: int) -> None:
        asked = wire._deadline
        try:
            while True:
                now = time.monotonic()
                if wire.port in struck():
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

    patch.setattr(Wire, "__init__", begin_and_note)
    patch.setattr(Wire, "_wait_for", wait_in_slices)
