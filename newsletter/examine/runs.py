"""Find out whether runs go on as they should: who holds the lock, what a dead run left, what waits though it is due.

The lock is taken for a moment to find out whether it is free; nothing else is written.
"""

import datetime as dt
import re
from collections.abc import Iterator

from newsletter.delivery import RUNNING, SendState
from newsletter.diagnosis import Finding, ok, warning
from newsletter.errors import BusyError
from newsletter.store import Send, Store, owner_name

_LONG = dt.timedelta(hours=24)
_PATIENCE = dt.timedelta(minutes=15)
"""How long a row may be due with nobody at it: cron comes every minute, every quarter of an hour at the least."""
_OWNER = re.compile(r"\(([^\s()]+):(\d+):(\d{4}-\d\d-\d\dT\d\d:\d\d)")
_WHY_LOCK = "one run sends at a time; the others end at once"
_WHY_CRON = "cron sends what is due, and goes on with what waits"
_WHY_LEFT = "a run that was killed leaves rows in its hands; the next run repairs them before it sends"


def examine_runs(store: Store, now: dt.datetime) -> Iterator[Finding]:
    """Yield who is sending, and where nobody is, whether somebody should be."""
    lock = _examine_lock(store, now)
    yield lock or ok("lock", "no run is going on", _WHY_LOCK)
    if lock is not None:
        return  # whatever waits is the run's to do
    for send in store.sends.load_sends():
        yield from _examine_left(store, send)
        if (since := _waits_since(store, send)) is not None and now - since > _PATIENCE:
            found = f"{send.issue}: due since {since:%Y-%m-%d %H:%M} UTC, and no run is at it"
            fix = "see that cron runs 'newsletter send --due' (docs/operating.md), and what it says"
            yield warning("cron", found, _WHY_CRON, fix)


def _examine_lock(store: Store, now: dt.datetime) -> Finding | None:
    """Return which run is going on, and since when; None where none is."""
    try:
        with store.run_lock(owner_name(now)):
            return None
    except BusyError as busy:
        owner = _OWNER.search(str(busy))
    if owner is None:
        return ok("lock", "a run is going on", _WHY_LOCK)
    host, number, since = owner[1], owner[2], dt.datetime.fromisoformat(f"{owner[3]}+00:00")
    found = f"a run is going on: process {number} on {host}, since {since:%Y-%m-%d %H:%M} UTC"
    if now - since <= _LONG:
        return ok("lock", found, _WHY_LOCK)
    fix = (
        f"newsletter status tells whether it gets on; where it does not, kill {number} on {host}: the next run goes on"
    )
    return warning("lock", f"{found}, {(now - since).days} days", _WHY_LOCK, fix)


def _examine_left(store: Store, send: Send) -> Iterator[Finding]:
    if owners := store.ledger.list_owners(send.send_id):
        found = f"{send.issue}: rows are in the hands of {', '.join(sorted(owners))}, and that run is dead"
        fix = f"newsletter resolve {send.issue} repairs them, and names those in doubt; so does the next run"
        yield warning("lock", found, _WHY_LEFT, fix)


def _waits_since(store: Store, send: Send) -> dt.datetime | None:
    """Return since when a send has something to do, None where it has nothing, or may not."""
    if send.state is SendState.FROZEN:
        return send.send_at
    return store.sends.next_due_at(send.send_id) if send.state in RUNNING else None
