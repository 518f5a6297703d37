"""Know the schema's numbered migrations; what they add up to, with the reason of each column, stands in ``schema.sql``.

A migration is ``migrations/NNNN_name.sql``: statements that each end in ``;`` at the end of a line, written in the SQL
that SQLite and PostgreSQL share, but for types that a dialect maps (``INTEGER PRIMARY KEY``, ``BLOB``, ``WITHOUT
ROWID``). One that has been released is never edited.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import StoreError

_FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """Hold one step of the schema; ``number`` counts from 1 without gaps."""

    number: int
    statements: tuple[str, ...]


def load_migrations(folder: Path = _FOLDER) -> tuple[Migration, ...]:
    """Return the migrations in ``folder`` in order; raise ValueError for a gap in their numbers."""
    found = sorted((int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{folder}: migrations must be numbered from 0001 without gaps")
    return tuple(Migration(number, split_statements(path.read_text(encoding="utf-8"))) for number, path in found)


def latest_schema(folder: Path = _FOLDER) -> int:
    """Return the number of the last migration, from the file names alone."""
    return sum(1 for path in folder.iterdir() if _NAME.fullmatch(path.name))


def split_statements(sql: str) -> tuple[str, ...]:
    """Return the statements of ``sql`` without the lines that are comments."""
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return tuple(part.strip() for part in re.split(r";\s*(?:\n|$)", "\n".join(lines)) if part.strip())


def check_schema(found: int, latest: int, where: str) -> None:
    """Raise StoreError unless the store's schema is the one that this version knows."""
    if found > latest:
        raise StoreError(
            f"{where}: made by a newer version of newsletter (schema {found}, this version knows {latest}); install "
            "the newer version again, or restore a backup from before the change"
        )
    if found < latest:
        raise StoreError(
            f"{where}: made by an older version of newsletter (schema {found}, this version needs {latest}); back "
            "it up, then run 'newsletter migrate'"
        )
