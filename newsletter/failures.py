"""Write the rows that did not arrive as a CSV file: who, in which state, and why, in the server's words and in ours.

Rows stream from the ledger to the file, which only its owner may read, and which stands under its name once it is
whole. Addresses and replies come from strangers: a cell that a spreadsheet would take for a formula gets a quote before
it. Use case: no argument parsing, no printing.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from newsletter.csvfile import write_csv
from newsletter.delivery import State
from newsletter.listcolumns import guard_cell
from newsletter.replywords import explain
from newsletter.store import LedgerRow, Store

COLUMNS = ("address", "state", "code", "reply", "meaning", "reason", "attempts", "changed_at", "domain")
_STATES = frozenset({State.FAILED, State.BOUNCED, State.SKIPPED, State.IN_DOUBT})


def write_failures(store: Store, send_id: int, path: Path) -> int:
    """Write every row of the send that failed, was skipped, bounced or is in doubt to ``path``; return how many.

    Raises InputError where the file cannot be written; an older one of this name stands until the new one is whole.
    """
    return write_csv(path, COLUMNS, _rows(store, send_id))


def stream_failures(store: Store, send_id: int, stream: TextIO) -> int:
    """Write the rows to an open stream, header first; return how many."""
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    count = 0
    for row in _rows(store, send_id):
        writer.writerow([guard_cell(cell) for cell in row])
        count += 1
    return count


def _rows(store: Store, send_id: int) -> Iterator[list[str]]:
    for row in store.ledger.list_failures(send_id):
        if row.state in _STATES:
            yield list(_cells(row))


def _cells(row: LedgerRow) -> Iterator[str]:
    reply = row.reply
    yield row.address or "(erased)"
    yield str(row.state).replace("_", " ")
    yield f"{reply.code} {reply.enhanced}".strip() if reply else ""
    yield reply.text if reply else ""
    yield explain(reply).words if reply else ""
    yield row.reason
    yield str(row.attempts)
    yield row.changed_at.isoformat(timespec="seconds")
    yield row.domain
