"""Copy the store while it is in use: SQLite's online backup, checked, private, and in place only once it is whole.

A copy of PostgreSQL is ``pg_dump``'s. That a restored copy does not mail again is the business of ``belonging``.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from newsletter.errors import InputError, StoreError, StoreUnavailableError

_PAGES = 5000
"""Pages that are copied at one go; in between, a run may write."""


def back_up(store_path: Path, target: Path) -> int:
    """Copy the SQLite store at ``store_path`` to ``target``, and return its size in octets; only its owner may read it.

    Raises InputError where there is no store, or ``target`` is there already or cannot be written; StoreError where the
    copy is damaged, and so the store.
    """
    if not store_path.exists():
        raise InputError(f"{store_path}: there is no store yet; there is nothing to back up")
    if target.exists():
        raise InputError(f"{target} is there already; name another file, a date in it tells backups apart")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(store_path, draft)
        os.link(draft, target)  # unlike a rename, it never replaces what came there meanwhile
        return target.stat().st_size
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from None
    except sqlite3.DatabaseError as error:
        raise StoreUnavailableError(
            f"{store_path}: cannot be copied ({error}); 'newsletter doctor' looks at it"
        ) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()


def _copy(store_path: Path, draft: Path) -> None:
    source = sqlite3.connect(f"file:{quote(str(store_path))}?mode=ro", uri=True, timeout=10)
    copy = sqlite3.connect(draft)
    try:
        source.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, with no log beside it
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    finally:
        copy.close()
        source.close()
    if found != "ok":
        raise StoreError(f"{store_path}: damaged ({found}); the copy was thrown away, keep the latest good backup")
