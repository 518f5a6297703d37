"""Run named queries on PostgreSQL: one connection, one writer at a time, and errors that say what to do.

Writers take turns, as on SQLite: a transaction that writes begins with the store's advisory lock. So what it has read
stays true until it commits, and nobody's unsubscription comes between the check before a final dot and its commit.
Readers wait for nobody.

A connection that is found dead when a call begins is opened anew, unless a run's lock was tied to it: the server freed
that lock, another run may hold it, so this one must end. Threads share the connection in turns. Not here: what a query
means, and the words for errors (``postgres_errors``).
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import psycopg
from psycopg.types.numeric import Int8Dumper

from newsletter.errors import BusyError, ConfigError, StoreError
from newsletter.store.batches import Batches
from newsletter.store.database import EVERYBODY, Batch, Row, load_queries
from newsletter.store.dialect import POSTGRESQL, postgres_query, postgres_schema
from newsletter.store.postgres_errors import connection_error, connection_parts, lost_commit, shown_url, store_error
from newsletter.store.schema import check_schema, latest_schema, load_migrations

_NAME = "newsletter"
_OLDEST = 14
"""The first version of PostgreSQL that has every setting below."""
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_TURN, _RUN = 0x6E657773, 0x73656E64
"""The first halves of the store's advisory locks, for whoever writes and for a run; the other half is its schema."""
_REACH = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000"}
"""How soon a server that vanished is noticed, unless the URL says otherwise: seconds, seconds, times, milliseconds."""
_OPENING = """
SELECT set_config('lock_timeout', %(lock_timeout)s, false),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
                                             ELSE current_setting('synchronous_commit') END, false),
       set_config('idle_session_timeout', '0', false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('tcp_keepalives_idle', '30', false),
       set_config('tcp_keepalives_interval', '10', false),
       set_config('tcp_keepalives_count', '3', false),
       current_setting('server_encoding'), pg_backend_pid(),
       COALESCE((SELECT relnamespace FROM pg_class WHERE oid = to_regclass('meta')),
                to_regnamespace(quote_ident(current_schema())))::bigint
"""
"""Set what every session needs, then ask what must be known of it. A run's lock is held for hours without a statement;
a transaction waits for nothing but the database; and a client that vanished must not keep others out for long."""
_CONTENT = """
SELECT to_regclass('meta') IS NOT NULL,
       EXISTS (SELECT 1 FROM pg_class c
                WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind IN ('r', 'p')
                  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))
"""
"""Whether there is a store, and whether there are tables at all; those of extensions do not count."""
_HOLDER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid::bigint = %(lock)s AND l.objid::bigint = %(schema)s
"""


class PostgresDatabase:
    """Implement ``Database`` on a PostgreSQL database; ``timeout_s`` is how long to wait for another's transaction.

    A schema without tables is set up, unless ``make`` is False: then ``is_empty`` tells. Raises ConfigError for a URL,
    user or database that cannot be used, StoreUnavailableError where the server cannot be reached, and StoreError for a
    store of another schema, or for something else.
    """

    dialect = POSTGRESQL

    def __init__(self, url: str, timeout_s: float, *, migrate: bool = False, make: bool = True) -> None:
        self._parts = connection_parts(url)
        self.where = shown_url(self._parts)
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._queries = {name: postgres_query(sql) for name, sql in load_queries(dialect=POSTGRESQL).items()}
        self._translated = _Translation(self)
        self._is_closed = self._is_writing = False
        self._run_owner = ""
        self._backend_pid = self._schema_id = 0
        self._cursors: dict[str, psycopg.Cursor[Row]] = {}
        self._connection = self._connect()
        try:
            self.is_empty = not make and self._schema() == 0
            if not self.is_empty:
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
        self._queries[asked] = self._queries[name].replace(EVERYBODY, postgres_query(condition))
        return asked

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction that writes; one inside another is part of it.

        The turn to write is taken at once, so that no statement inside can fail for being late.
        """
        with self._lock, self._translated:
            if self._is_writing:
                yield
                return
            try:
                self._begin()
                self._is_writing = True
                yield
                self._commit()
            except BaseException:  # the block failed, or the commit did, or an interrupt came anywhere between
                self._roll_back()
                raise
            finally:
                self._is_writing = False

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every query of the block see the same state; inside a transaction, see what that sees."""
        with self._lock, self._translated:
            if self._is_writing:
                yield
                return
            self._first(lambda: self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._is_writing = True  # as far as a new connection goes: that would show another state
            try:
                yield
            finally:
                self._is_writing = False
                self._roll_back()

    def bulk(self) -> "contextlib.AbstractContextManager[None]":
        """Do nothing: the server's memory is its administrator's."""
        return contextlib.nullcontext()

    def rows(self, name: str, /, **parameters: object) -> list[Row]:
        """Return all rows of the query."""
        with self._lock, self._translated:
            if self._is_writing:
                return self._run(name, parameters).fetchall()
            return self._first(lambda: self._run(name, parameters)).fetchall()

    def row(self, name: str, /, **parameters: object) -> Row | None:
        """Return the first row of the query, or None."""
        rows = self.rows(name, **parameters)
        return rows[0] if rows else None

    def change(self, name: str, /, **parameters: object) -> int:
        """Run a statement that writes, in the open transaction or one of its own; return how many rows it touched."""
        with self.transaction():
            return self._run(name, parameters).rowcount

    def change_each(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> list[bool]:
        """Run a statement once for each set of parameters, and tell for each whether it touched a row.

        All are sent before the first answer is awaited.
        """
        sets = list(parameters)
        if not sets:
            return []
        with self.transaction():
            return self._batches.run([(self._queries[name], sets)])[0]

    def change_at_once(self, batches: Sequence[Batch], /) -> list[list[bool]]:
        """Run several statements as ``change_each`` does, in a run from BEGIN to COMMIT in one round trip."""
        with self._lock, self._translated:
            if self._is_writing or not self._run_owner:  # a connection that is dead is made anew at a first statement
                with self.transaction():
                    return [self.change_each(name, sets) for name, sets in batches]
            try:
                return self._commit_at_once([(self._queries[name], sets) for name, sets in batches])
            except BaseException:
                self._roll_back()
                raise

    def _commit_at_once(self, batches: list[Batch]) -> list[list[bool]]:
        turn: Batch = ("SELECT pg_advisory_xact_lock(%(turn)s)", [{"turn": self._key(_TURN)}])
        try:
            return self._batches.run([(_BEGIN, [{}]), turn, *batches, ("COMMIT", [{}])])[2:-1]
        except psycopg.Error as error:
            if self._connection.closed:
                raise lost_commit(error, self.where) from error
            raise

    def change_all(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> None:
        """Run a statement once for each set of parameters, as fast as the driver can."""
        with self.transaction():
            self._cursor(name).executemany(self._queries[name], parameters)

    def run_lock(self, owner: str) -> "SessionLock":
        """Return the lock that a run must hold while it sends."""
        return SessionLock(self, owner)

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock:
            self._is_closed = True
            self._connection.close()

    # -- the lock of a run --------------------------------------------------------------------------------------------

    def take_run_lock(self, owner: str) -> None:
        """Take the lock of a run for as long as this connection lives; who comes too late is shown ``owner``.

        Raises BusyError where another session has it, or this one already, and ConfigError behind a pooler, which may
        hand one connection to several runs.
        """
        query = (
            "SELECT CASE WHEN pg_try_advisory_lock(%(key)s) THEN set_config('application_name', %(name)s, false) END"
        )
        with self._lock, self._translated:
            self._first(lambda: self._connection.execute("SELECT 1"))
            if self._connection.info.backend_pid != self._backend_pid:
                raise ConfigError(
                    f"{self.where}: a pooler stands before the server, and the lock of a run needs a connection of its "
                    "own; name the server itself in [store] url"
                )
            key = {"key": self._key(_RUN), "name": owner}
            if self._run_owner or self._connection.execute(query, key).fetchone() == (None,):
                raise BusyError(
                    f"{self.where}: another run holds the lock ({self._run_holder()}); nothing to do here, it frees "
                    "the lock when it ends"
                )
            self._run_owner = owner

    def free_run_lock(self) -> None:
        """Free the lock of a run, if only by closing the connection; the next call opens another."""
        query = "SELECT pg_advisory_unlock(%(key)s), set_config('application_name', %(name)s, false)"
        with self._lock:
            self._run_owner = ""
            try:
                self._connection.execute(query, {"key": self._key(_RUN), "name": _NAME})
            except psycopg.Error:
                self._connection.close()

    def _run_holder(self) -> str:
        rows = self._connection.execute(_HOLDER, {"lock": _RUN, "schema": self._schema_id}).fetchall()
        return next((str(name) for (name,) in rows if name), "its name is not known")

    # -- statements ---------------------------------------------------------------------------------------------------

    def _run(self, name: str, parameters: Mapping[str, object]) -> "psycopg.Cursor[Row]":
        return self._cursor(name).execute(self._queries[name], parameters)

    def _cursor(self, name: str) -> "psycopg.Cursor[Row]":
        """Return the cursor of a query: one that is used again knows already how to pass its parameters."""
        if name not in self._cursors:
            self._cursors[name] = self._connection.cursor()
        return self._cursors[name]

    def _first(self, run: "Callable[[], psycopg.Cursor[Row]]") -> "psycopg.Cursor[Row]":
        """Run the first statement of a call; where the connection turns out to be dead, on a new one."""
        try:
            return run()
        except psycopg.OperationalError:
            if not self._connection.closed or self._is_closed or self._run_owner:
                raise
        self._connection = self._connect()
        check_schema(self._schema(), latest_schema(), self.where)
        return run()

    def _begin(self) -> None:
        sql = f"{_BEGIN}; SELECT pg_advisory_xact_lock({self._key(_TURN)})"
        self._first(lambda: self._connection.execute(sql))

    def _commit(self) -> None:
        try:
            ending = self._connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if self._connection.closed:
                raise lost_commit(error, self.where) from error
            raise
        if ending != "COMMIT":
            raise StoreError(f"{self.where}: a failed statement went unnoticed; this is a bug of newsletter")

    def _roll_back(self) -> None:
        self._batches = Batches(self._connection)  # the driver forgets what was prepared with each ROLLBACK
        try:
            self._connection.execute("ROLLBACK")
        except BaseException as error:
            self._connection.close()  # which ends the transaction in any case
            if not isinstance(error, psycopg.Error):  # else the first error is the one to tell
                raise

    def _key(self, lock: int) -> int:
        """Return the key of one of the store's advisory locks; several stores may share a database."""
        return (lock << 32) + self._schema_id

    # -- opening ------------------------------------------------------------------------------------------------------

    def _connect(self) -> "psycopg.Connection[Row]":
        wait_s = str(max(2, math.ceil(self._timeout_s)))
        parts = {"connect_timeout": wait_s, "fallback_application_name": _NAME, **_REACH, **self._parts}
        try:
            connection = psycopg.connect(autocommit=True, **parts | {"client_encoding": "UTF8"})  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise connection_error(error, self.where) from None
        try:
            self._configure(connection)
        except BaseException:
            connection.close()
            raise
        self._cursors.clear()
        self._batches = Batches(connection)
        return connection

    def _configure(self, connection: "psycopg.Connection[Row]") -> None:
        if connection.info.server_version < _OLDEST * 10_000:
            raise StoreError(f"{self.where}: an old PostgreSQL; the store needs version {_OLDEST} or newer")
        connection.adapters.register_dumper(int, Int8Dumper)  # one type for all: statements are prepared by their types
        lock_timeout = f"{max(1, round(self._timeout_s * 1000))}ms"
        with self._translated:
            row = connection.execute(_OPENING, {"lock_timeout": lock_timeout}).fetchone()
        assert row is not None
        encoding, self._backend_pid, self._schema_id = row[-3:]
        if encoding != "UTF8":
            raise ConfigError(
                f"{self.where}: the database keeps text as {encoding}; make one with ENCODING 'UTF8', and name it in "
                "[store] url"
            )
        if self._schema_id is None:
            raise ConfigError(f"{self.where}: search_path names no schema that is there; make it with CREATE SCHEMA")

    def _open_schema(self, migrate: bool) -> None:
        latest = latest_schema()
        if migrate or self._schema() == 0:
            self._migrate(latest)
        check_schema(self._schema(), latest, self.where)

    def _schema(self) -> int:
        """Return the number of the last migration that was applied, 0 for a schema without tables."""
        facts = None
        with self._translated:
            is_store, has_tables = self._connection.execute(_CONTENT).fetchone() or (False, False)
            if is_store:
                with contextlib.suppress(psycopg.errors.UndefinedColumn):
                    facts = self._connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if facts is None and (is_store or has_tables):
            raise StoreError(
                f"{self.where}: tables of something else, no store of newsletter; name a database or a schema of its "
                "own in [store] url"
            )
        return int(facts[0]) if facts else 0

    def _migrate(self, latest: int) -> None:
        """Apply the migrations that are missing, all in one transaction; another run may have done it meanwhile."""
        with self.transaction():
            found = self._schema()
            if found >= latest:
                return
            for migration in load_migrations()[found:]:
                for statement in migration.statements:
                    self._connection.execute(postgres_schema(statement))
            self._connection.execute(
                "INSERT INTO meta (key, value) VALUES ('schema', %(number)s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                {"number": str(latest)},
            )

    def store_error(self, error: psycopg.Error) -> StoreError:
        """Return the error of ours for one of the driver's."""
        if self._is_closed:
            return StoreError(f"{self.where}: the store was closed; this is a bug of newsletter, please report it")
        return store_error(error, self.where, self._timeout_s)


class SessionLock:
    """Hold the lock of a run for the length of a ``with`` block, for one run of a store on whatever host.

    The server frees it when the connection ends, however it ends, and then this run can write nothing more. Raises
    BusyError where another run (or another block of this one) holds it.
    """

    def __init__(self, database: PostgresDatabase, owner: str) -> None:
        self.owner = owner
        self._database = database

    def __enter__(self) -> Self:
        self._database.take_run_lock(self.owner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.free_run_lock()


class _Translation:
    """Turn the driver's errors inside a ``with`` block into ours; a class, for it is entered around every statement."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, psycopg.Error):
            raise self._database.store_error(error) from error
