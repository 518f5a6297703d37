"""Run named queries on SQLite: one connection, WAL, ``synchronous=FULL``, and errors that say what to do.

FULL because a commit that is reported must survive a power cut (NORMAL loses some under WAL); an issue of the ledger's
promise, so no setting weakens it. Threads share the connection in turns. Not here: what a query means.
"""

import contextlib
import operator
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from newsletter.errors import StoreError, StoreUnavailableError
from newsletter.store.database import EVERYBODY, Batch, Row, load_queries
from newsletter.store.dialect import SQLITE
from newsletter.store.lock import RunLock, lock_path
from newsletter.store.schema import check_schema, latest_schema, load_migrations

_OLDEST = (3, 35, 0)
"""The first SQLite with RETURNING."""
_WAL_KEPT_BYTES = 16 * 1024 * 1024
_BULK_CACHE_KB, _BULK_CHECKPOINT = 64 * 1024, 32_000
_USUAL_CACHE, _USUAL_CHECKPOINT = -2000, 1000
"""What SQLite itself begins with: kilobytes if negative, and pages of the log until they go into the file."""
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_ABSENT = "the file is not there any more, or another stands in its place"


class SqliteDatabase:
    """Implement ``Database`` on one SQLite file; ``timeout_s`` is how long to wait for another's transaction.

    A database that is empty is set up. Raises StoreError for one of another schema, or of something else.
    """

    dialect = SQLITE

    def __init__(self, path: Path, timeout_s: float, *, migrate: bool = False) -> None:
        self.where = str(path)
        self.path = path
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._queries = load_queries()
        self._translated = _Translation(self)
        if tuple(sqlite3.sqlite_version_info) < _OLDEST:
            raise StoreError(
                f"Python has SQLite {sqlite3.sqlite_version}, too old for a store; use a Python with 3.35 or newer"
            )
        _make_private(path)
        with self._translated:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=rw",
                uri=True,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
        self._transactions = _Transactions(self._connection, self._lock, self._translated, self._check_file)
        try:
            self._file = _identity(path)
            self._configure()
            self._open_schema(migrate)
        except BaseException:
            self.close()
            raise

    # -- the interface ------------------------------------------------------------------------------------------------

    def with_condition(self, name: str, condition: str) -> str:
        """Return the name of the query ``name`` with ``condition`` in place of its ``1 = 1``."""
        if condition == EVERYBODY:
            return name
        asked = f"{name}?{condition}"
        self._queries[asked] = self._queries[name].replace(EVERYBODY, condition)
        return asked

    def transaction(self) -> "contextlib.AbstractContextManager[None]":
        """Open a transaction that writes; one inside another is part of it.

        The write lock is taken at once (BEGIN IMMEDIATE), so that no statement inside can fail for being late.
        """
        return self._transactions

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every query of the block see the same state; inside a transaction, see what that sees."""
        with self._lock, self._translated:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN DEFERRED")  # under WAL a reader neither waits nor makes wait
            try:
                yield
            finally:
                self._transactions.roll_back()

    @contextlib.contextmanager
    def bulk(self) -> Iterator[None]:
        """Keep more pages in memory, and write them into the file less often, for as long as the block lasts.

        People are found by a hash, so that a batch of an import touches pages all over the table. With the usual 2 MB
        of memory most of them are read again for each batch, and written to the log twice.
        """
        self._set(cache_size=-_BULK_CACHE_KB, wal_autocheckpoint=_BULK_CHECKPOINT)
        try:
            yield
        finally:
            self._set(cache_size=_USUAL_CACHE, wal_autocheckpoint=_USUAL_CHECKPOINT)

    def _set(self, **pragmas: int) -> None:
        with self._lock, self._translated:
            for name, value in pragmas.items():
                self._connection.execute(f"PRAGMA {name}={value}")

    def rows(self, name: str, /, **parameters: object) -> list[Row]:
        """Return all rows of the query."""
        with self._lock, self._translated:
            return self._connection.execute(self._queries[name], parameters).fetchall()

    def row(self, name: str, /, **parameters: object) -> Row | None:
        """Return the first row of the query, or None."""
        rows = self.rows(name, **parameters)  # all of them: an unfinished statement would keep its lock
        return rows[0] if rows else None

    def change(self, name: str, /, **parameters: object) -> int:
        """Run a statement that writes, in the open transaction or one of its own; return how many rows it touched."""
        with self.transaction():
            return self._connection.execute(self._queries[name], parameters).rowcount

    def change_each(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> list[bool]:
        """Run a statement once for each set of parameters, and tell for each whether it touched a row."""
        sets = list(parameters)
        return self.change_at_once([(name, sets)])[0] if sets else []

    def change_at_once(self, batches: Sequence[Batch], /) -> list[list[bool]]:
        """Run several statements as ``change_each`` does, in one transaction."""
        with self.transaction():
            execute = self._connection.execute  # each statement by this door: the proofs let a run die before and after
            return [[execute(self._queries[name], each).rowcount > 0 for each in sets] for name, sets in batches]

    def change_all(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> None:
        """Run a statement once for each set of parameters, as fast as the driver can."""
        names = _PARAMETER.findall(self._queries[name])
        if len(names) > 1:  # by their places, for SQLite looks each name up again for each set
            sets = map(operator.itemgetter(*names), parameters)
            with self.transaction():
                self._connection.executemany(_PARAMETER.sub("?", self._queries[name]), sets)
            return
        with self.transaction():
            self._connection.executemany(self._queries[name], parameters)

    def run_lock(self, owner: str) -> RunLock:
        """Return the lock on the file beside the store."""
        return RunLock(lock_path(self.path), owner)

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock:
            self._connection.close()

    # -- opening ------------------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        with self._translated:
            # fullfsync matters on macOS alone, where fsync does not reach the disk.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=ON", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")

    def _open_schema(self, migrate: bool) -> None:
        latest = latest_schema()
        if self._schema() == 0 or migrate:
            self._migrate(latest)
        check_schema(self._schema(), latest, self.where)

    def _schema(self) -> int:
        """Return the number of the last migration that was applied, 0 for an empty database."""
        with self._translated:
            tables = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return 0
            facts = (
                self._connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
                if "meta" in tables
                else None
            )
        if facts is None:
            raise StoreError(
                f"{self.where}: a database of something else, no store of newsletter; name another file in [store] url"
            )
        return int(facts[0])

    def _migrate(self, latest: int) -> None:
        """Apply the migrations that are missing, all in one transaction; another run may have done it meanwhile."""
        with self.transaction():
            found = self._schema()
            if found >= latest:
                return
            for migration in load_migrations()[found:]:
                for statement in migration.statements:
                    self._connection.execute(statement)
            self._connection.execute(
                "INSERT INTO meta (key, value) VALUES ('schema', ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (str(latest),),
            )

    # -- errors -------------------------------------------------------------------------------------------------------

    def _check_file(self) -> None:
        """Raise StoreUnavailableError where the open file is not the one at its path: SQLite would not notice."""
        if _identity(self.path) != self._file:
            raise StoreUnavailableError(f"{self.where}: {_ABSENT}; put it back, then run the command again")

    def store_error(self, error: sqlite3.Error) -> StoreError:
        """Return the error of ours that says what happened, where, and what to do (https://sqlite.org/rescode.html)."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreUnavailableError(
                f"{self.where}: held by another command for over {self._timeout_s:g} s; try again when that one ends"
            )
        if code == sqlite3.SQLITE_FULL:
            return StoreUnavailableError(f"{self.where}: the disk is full; free some space, then run the command again")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StoreUnavailableError(
                f"{self.where}: cannot be written; check the permissions of the file and of its folder"
            )
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            return StoreUnavailableError(
                f"{self.where}: cannot be read or written ({error}); check that its disk is there and sound"
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreError(f"{self.where}: damaged, or no SQLite database ({error}); restore the latest backup")
        return StoreError(f"{self.where}: {error}; this is a bug of newsletter, please report it")


class _Transactions:
    """Hold the connection in ``with`` blocks: commit at the end of the outermost one, roll back where it raised.

    A class for the same reason as ``_Translation``: a send enters it several times for each message. ``check`` is
    called before a transaction is begun.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: "threading.RLock",
        translated: "_Translation",
        check: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._translated = translated
        self._check = check
        self._are_outermost: list[bool] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            with self._translated:
                is_outermost = not self._connection.in_transaction
                if is_outermost:
                    self._begin()
            self._are_outermost.append(is_outermost)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._are_outermost.pop():
                with self._translated:
                    self._end(error)
            if error is not None:
                self._translated.__exit__(kind, error, trace)
        finally:
            self._lock.release()

    def _begin(self) -> None:
        self._check()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:  # an interrupt may have come right behind it
            self.roll_back()
            raise

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self.roll_back()
            return
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """Roll back what is open; the error that is the reason is the one to tell."""
        with contextlib.suppress(sqlite3.Error):  # SQLite may have done it already
            self._connection.execute("ROLLBACK")


class _Translation:
    """Turn the driver's errors inside a ``with`` block into ours; a class, for it is entered around every statement."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise self._database.store_error(error) from error


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one: a store holds people's addresses."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: cannot be opened: {error.strerror}; check [store] url, the folder and its permissions"
        ) from None


def _identity(path: Path) -> tuple[int, int]:
    """Return device and inode of the file at ``path``, (0, 0) where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
