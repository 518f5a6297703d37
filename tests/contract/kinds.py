"""Each kind of database, with what tests must do to a store by other means than its own."""

import contextlib
import functools
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
from postgres_server import PostgresServer

from newsletter.store import Store, open_store
from newsletter.store.dialect import POSTGRESQL, SQLITE, postgres_query, postgres_schema


class Kind(Protocol):
    """Make stores of one kind, and look into them."""

    name: str
    module: str
    """The module that implements it."""

    def fresh(self) -> str:
        """Return the URL of an empty store, or of none yet; only one of them is in use at a time."""

    def bare(self) -> str:
        """Return a URL where there is no store yet."""

    def run(self, store: Store, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement on the store's own connection."""

    def explain(self, store: Store, sql: str) -> str:
        """Return the plan of a query, whatever its parameters are."""

    def content(self, url: str) -> list[str]:
        """Return everything the store holds."""

    def describe(self, url: str) -> dict[str, object]:
        """Return what the database of the store looks like: columns, keys, indexes."""

    def described(self, statements: Iterable[str]) -> dict[str, object]:
        """Return what a database looks like that these statements of the migrations made."""

    def watch_moves(self, store: Store) -> None:
        """Let the database itself write down every change of a delivery's state."""

    def seen_moves(self, store: Store) -> set[tuple[str, str]]:
        """Return the changes that the database wrote down."""

    def forbid_writing(self, store: Store) -> None:
        """Let every statement that writes fail."""

    def allow_writing(self, store: Store) -> None:
        """Undo ``forbid_writing``."""

    def hurry(self, store: Store) -> None:
        """Let the store wait for another's transaction for a millisecond only."""

    def is_idle(self, store: Store) -> bool:
        """Tell whether no transaction is open."""


class Sqlite:
    """Make each store a file in ``folder``."""

    name, module = SQLITE, "newsletter.store.sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def fresh(self) -> str:
        url = self.bare()
        Path(url.removeprefix("sqlite:///")).write_bytes(_empty_sqlite())
        return url

    def bare(self) -> str:
        self._made += 1
        folder = self._folder / f"store {self._made}"
        folder.mkdir()
        return f"sqlite:///{folder / 'newsletter.db'}"

    def run(self, store: Store, sql: str) -> list[tuple[Any, ...]]:
        return store.database._connection.execute(sql).fetchall()

    def explain(self, store: Store, sql: str) -> str:
        run = store.database._connection.execute
        return "\n".join(str(row[-1]) for row in run(f"EXPLAIN QUERY PLAN {sql}", _parameters(sql, None)))

    def content(self, url: str) -> list[str]:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return list(connection.iterdump())

    def describe(self, url: str) -> dict[str, object]:
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return _describe_sqlite(connection)

    def described(self, statements: Iterable[str]) -> dict[str, object]:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            for statement in statements:
                connection.execute(statement)
            return _describe_sqlite(connection)

    def watch_moves(self, store: Store) -> None:
        self.run(store, "CREATE TEMP TABLE seen (start TEXT, finish TEXT)")
        self.run(
            store,
            "CREATE TEMP TRIGGER watch AFTER UPDATE OF state ON main.deliveries WHEN old.state <> new.state "
            "BEGIN INSERT INTO seen VALUES (old.state, new.state); END",
        )

    def seen_moves(self, store: Store) -> set[tuple[str, str]]:
        return set(self.run(store, "SELECT DISTINCT start, finish FROM seen"))

    def forbid_writing(self, store: Store) -> None:
        self.run(store, "PRAGMA query_only = ON")

    def allow_writing(self, store: Store) -> None:
        self.run(store, "PRAGMA query_only = OFF")

    def hurry(self, store: Store) -> None:
        self.run(store, "PRAGMA busy_timeout = 1")

    def is_idle(self, store: Store) -> bool:
        return not store.database._connection.in_transaction


class Postgres:
    """Make a database for each worker, emptied for each store; those that must be bare are databases of their own."""

    name, module = POSTGRESQL, "newsletter.store.postgres"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._database = server.make_database()
        self._bare: list[str] = []
        open_store(server.url(self._database)).close()
        self._connection = psycopg.connect(server.url(self._database), autocommit=True)
        self._admin.execute(_WATCH)
        self._empty = _emptying(self._admin)

    @property
    def _admin(self) -> psycopg.Connection:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:  # the server was killed meanwhile
            self._connection = psycopg.connect(self.server.url(self._database), autocommit=True)
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def fresh(self) -> str:
        self._admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self._admin.execute(self._empty)
        return self.server.url(self._database)

    def bare(self) -> str:
        self._bare.append(self.server.make_database())
        return self.server.url(self._bare[-1])

    def drop_bare(self) -> None:
        while self._bare:
            self.server.drop_database(self._bare.pop())

    def run(self, store: Store, sql: str) -> list[tuple[Any, ...]]:
        cursor = store.database._connection.execute(sql)
        return cursor.fetchall() if cursor.description else []

    def explain(self, store: Store, sql: str) -> str:
        run = store.database._connection.execute
        return "\n".join(row[0] for row in run(f"EXPLAIN {postgres_query(sql)}", _parameters(sql, "1")))

    def content(self, url: str) -> list[str]:
        with psycopg.connect(url, autocommit=True) as connection:
            return [
                f"{table}: {row}"
                for table in _tables(connection)
                for row in sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))
            ]

    def describe(self, url: str) -> dict[str, object]:
        with psycopg.connect(url, autocommit=True) as connection:
            return {name: sorted(connection.execute(query).fetchall()) for name, query in _DESCRIBING.items()}

    def described(self, statements: Iterable[str]) -> dict[str, object]:
        url = self.bare()
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(postgres_schema(statement))
        return self.describe(url)

    def watch_moves(self, store: Store) -> None:
        """Do nothing: every database of ours is watched."""

    def seen_moves(self, store: Store) -> set[tuple[str, str]]:
        return set(self.run(store, "SELECT DISTINCT start, finish FROM watch.seen"))

    def forbid_writing(self, store: Store) -> None:
        self.run(store, "SET default_transaction_read_only = on")

    def allow_writing(self, store: Store) -> None:
        self.run(store, "SET default_transaction_read_only = off")

    def hurry(self, store: Store) -> None:
        self.run(store, "SET lock_timeout = 1")

    def is_idle(self, store: Store) -> bool:
        return store.database._connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@functools.cache
def _empty_sqlite() -> bytes:
    """Return the file of a store that holds nothing; to copy it takes a tenth of the time of making it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "newsletter.db"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


_WATCH = """
CREATE SCHEMA watch;
CREATE TABLE watch.seen (start TEXT, finish TEXT);
CREATE FUNCTION watch.note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO watch.seen VALUES (old.state, new.state); RETURN NULL; END $$;
CREATE TRIGGER watch AFTER UPDATE OF state ON public.deliveries FOR EACH ROW WHEN (old.state <> new.state)
    EXECUTE FUNCTION watch.note();
"""
_DESCRIBING = {
    "columns": "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, is_identity"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "keys": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')",
}


def _parameters(sql: str, value: str | None) -> dict[str, str | None]:
    return dict.fromkeys(re.findall(r":(\w+)", sql), value)


def _tables(connection: psycopg.Connection) -> Iterator[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    yield from (row[0] for row in rows.fetchall())


def _emptying(connection: psycopg.Connection) -> str:
    """Return statements that take out every row, in whatever order, and number anew."""
    numbered = connection.execute(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND is_identity = 'YES'"
    ).fetchall()
    return ";\n".join(
        [
            "SET session_replication_role = replica",
            *(f"DELETE FROM {table}" for table in _tables(connection) if table != "meta"),
            "DELETE FROM meta WHERE key <> 'schema'",
            "DELETE FROM watch.seen",
            *(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)" for (table,) in numbered),
        ]
    )


def _describe_sqlite(connection: sqlite3.Connection) -> dict[str, object]:
    objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
    found: dict[str, object] = {}
    for kind, name, table, sql in objects:
        found[name] = (kind, table, " ".join(sql.split()) if kind == "index" and sql else "")
        if kind == "table":
            found[f"{name} columns"] = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            found[f"{name} references"] = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            found[f"{name} rowid"] = re.search(r"WITHOUT ROWID\s*$", sql) is None
    return found
