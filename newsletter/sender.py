"""Send one planned send: claim rows, make their messages, carry them to the relay, record what it answered.

A run repairs what dead runs left, then works off what is due over several connections, each in a thread of its own
(``carrier``). They share what is in ``run``: rows are claimed in batches and handed out one by one (``claims``); marks
and results wait for the disk together (``marks``). What a reply means is decided by ``delivery``; this package of
modules only reacts:

- a deferred row waits for its next attempt, a refused one has failed, and one whose message cannot be made is given up
  with the reason, while the run goes on;
- trouble of the connection is charged to nobody: the rows go back, the connection is opened again, and after some tries
  in vain its transport is closed; with the last one the run ends, the send still open (``transports``);
- refusals that are about us, and answers that never come after the dot, pause the send when they pile up (``brake``);
- ``stop`` lets the message in hand of each connection finish, gives the rest back and ends the run.

**Crash points of a run**, and what each leaves; those of one message stand in ``carrier``, those of a commit in
``marks``:

1. before the lock: nothing;
2. under the lock, before or amid the repair: what an older run left, which this one's successor repairs likewise;
3. after START was committed, before a row was claimed: the send runs, and the next run goes on;
4. rows claimed and not marked: CLAIMED under our owner's name, at most two batches and one for each connection. Nothing
   of them has its dot; the next run releases them;
5. rows marked: TRANSMITTING, at most one for each connection. The next run takes them as in doubt, and names them;
6. the last results recorded, the send not yet set finished: no open row is left; the next run finishes it.

Where the store fails, every connection stops at once: no mark, no dot; a 250 that cannot be recorded leaves its row in
doubt. The kernel frees the lock with the process, whatever it dies of.

Not here: compiling (nothing of it is imported), when a send is due (``worker``), and printing.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from newsletter.carrier import Carrier
from newsletter.delivery import RUNNING
from newsletter.errors import StoreError
from newsletter.reports import SendReport
from newsletter.run import Run, SenderSetup
from newsletter.store import Result, Store
from newsletter.transports import Transport

__all__ = ["SenderSetup", "Transport", "run_send"]


def run_send(
    store: Store,
    send_id: int,
    setup: SenderSetup,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Result], None] | None = None,
) -> SendReport:
    """Work off what is due of a planned send, and account for it.

    ``stop`` ends the run after the message in hand of each connection; ``progress`` is called with each result once it
    is durable, by one thread at a time. The lock is held throughout. A send that is held, paused, cancelled or finished
    is only repaired and accounted for.

    Raises BusyError where another run holds the lock, ProblemsError where the first message is not what a message must
    be, ConfigError where no relay can ever be reached as configured, and StoreError; claimed rows are given back first.
    """
    run = Run(store, send_id, setup, stop=stop or threading.Event(), progress=progress)
    with store.run_lock(run.owner):
        run.begin()
        if run.send.state in RUNNING:
            _carry(run)
        return run.close()


def _carry(run: Run) -> None:
    """Let every connection work, and give back at last what none of them took."""
    carriers = [Carrier(run, line) for line in run.lines for _ in range(line.transport.connections)]
    try:
        if len(carriers) == 1:
            carriers[0].carry()
        else:
            _carry_together(run, carriers)
    except BaseException:
        with suppress(StoreError):
            run.give_back(run.claims.close())
        raise
    run.give_back(run.claims.close())


def _carry_together(run: Run, carriers: Sequence[Carrier]) -> None:
    """Give each carrier a thread; the first that breaks down stops the others, and its error is raised at the end."""
    errors: list[BaseException] = []

    def work(carrier: Carrier) -> None:
        _wake_gently()
        try:
            carrier.carry()
        except BaseException as error:
            errors.append(error)
            run.halt()

    threads = [
        threading.Thread(target=work, args=(carrier,), name=f"carrier-{n}") for n, carrier in enumerate(carriers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _wake_gently() -> None:
    """Ask Linux not to interrupt whoever runs each time this thread has something to do (``sched(7)``, SCHED_BATCH).

    Connections wake each other at every commit, and with each other the relay where it is on this machine: a third of
    the time went into that. A priority that an operator gave stays.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
