"""Write CSV files that people open in a spreadsheet: whole or not at all, for their owner's eyes, and without formulas.

Cells come from strangers. One that a spreadsheet would take for a formula (``= + - @``, TAB, CR at its start) gets a
single quote before it; ``unguard_cell`` takes it off again. Reading files is ``listfile``'s.
"""

import csv
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from newsletter.errors import InputError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
                writer.writerow(columns)
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


def guard_cell(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a single quote goes before it."""
    return f"'{cell}" if cell.startswith(_FORMULA) or _is_guarded(cell) else cell


def unguard_cell(cell: str) -> str:
    """Return the cell that ``guard_cell`` was given."""
    return cell[1:] if _is_guarded(cell) else cell


def _is_guarded(cell: str) -> bool:
    return cell.startswith("'") and cell[1:].startswith((*_FORMULA, "'"))
