"""Find out whether the clock can be right, from what is at hand; no time server is asked.

Compared are the relay's greeting, where it shows the time; the clock of the file system that holds the store; and
instants that must lie in the past. They can prove a clock wrong. They prove it right only as far as the relay's is.
"""

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from newsletter.diagnosis import Finding, error, ok, unchecked, warning
from newsletter.relaylook import RelayLook

_WHY = "it decides when an issue is due and a row is tried again, and dates every message and signature"
_FIX = "set the clock and keep it so: run chrony, ntpd or systemd-timesyncd (timedatectl set-ntp true)"
_FAR = dt.timedelta(minutes=5)
"""Apart so far, signatures may be dated in a verifier's future, and sends begin noticeably early or late."""
_NEAR = dt.timedelta(seconds=30)
_FILE_NEAR = dt.timedelta(seconds=2)


def examine_clock(
    clock: Callable[[], dt.datetime], past: dt.datetime | None, folder: Path, look: RelayLook
) -> Iterator[Finding]:
    """Yield what is known of ``clock``; ``past`` is the latest instant in the store, which lies in ``folder``."""
    now = clock()
    shown = f"it is {now:%Y-%m-%d %H:%M:%S} UTC here"
    floor = max(filter(None, (past, _installed_at())))
    if now < floor - _NEAR:
        what = "the latest instant in the store" if floor == past else "the day on which this program was installed"
        yield error("clock", f"{shown}, before {what} ({floor:%Y-%m-%d %H:%M:%S} UTC)", _WHY, _FIX)
    drift = _file_drift(clock, folder)
    if drift is not None and abs(drift) > _FILE_NEAR:
        found = f"{shown}, and the file system of {folder} is {_apart(drift)}: one of the two is wrong"
        yield warning("clock", found, _WHY, _FIX)
    yield _compare_relay(shown, look)


def _compare_relay(shown: str, look: RelayLook) -> Finding:
    if look.greeted_at is None or look.seen_at is None:
        why_not = "the relay's greeting shows no time" if look.is_reached else "the relay was not seen"
        return unchecked("clock", f"{shown}; no outside clock was compared ({why_not})", _WHY)
    apart = look.greeted_at - look.seen_at
    found = f"{shown}, and {look.host} is {_apart(apart)}"
    if abs(apart) > _FAR:
        return error("clock", found, _WHY, _FIX)
    if abs(apart) > _NEAR:
        return warning("clock", found, _WHY, _FIX)
    return ok("clock", f"{found}, by its greeting", _WHY)


def _apart(difference: dt.timedelta) -> str:
    seconds = round(difference.total_seconds())
    return f"{abs(seconds)} s {'behind' if seconds < 0 else 'ahead'}" if seconds else "at the same second"


def _installed_at() -> dt.datetime:
    return dt.datetime.fromtimestamp(Path(__file__).stat().st_mtime, dt.UTC)


def _file_drift(clock: Callable[[], dt.datetime], folder: Path) -> dt.timedelta | None:
    """Return how far the file system's clock is ahead of ours; None where no file can be made there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b".")
            file.flush()
            return dt.datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, dt.UTC) - clock()
    except OSError:
        return None
