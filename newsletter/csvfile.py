"""Write CSV files that people open in a spreadsheet: whole or not at all, for their owner's eyes, and without formulas.

Cells come from strangers. One that a spreadsheet would take for a formula (``= + - @``, TAB, CR at its start) gets a
single quote before it (``listcolumns``). Reading files is ``listfile``'s.
"""

import csv
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from newsletter.errors import InputError
from newsletter.listcolumns import guard_cell


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a header and ``rows`` to ``path``, in UTF-8, each cell guarded; return how many rows.

    Rows stream. An older file of this name stands until the new one is whole; only its owner may read it, for rows hold
    addresses. Raises InputError where it cannot be written.
    """
    count = 0
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as stream:
            fresh = Path(stream.name)
            try:
                writer = csv.writer(stream)
                writer.writerow([guard_cell(column) for column in columns])
                for row in rows:
                    writer.writerow([guard_cell(cell) for cell in row])
                    count += 1
                stream.close()
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; name another file") from None
    return count
