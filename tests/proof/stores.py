"""Give each proof stores of every kind that this machine can run, fresh ones as fast as they can be made."""

import atexit
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from proof.scene import copy_sqlite

KINDS = ("sqlite", "postgresql")


class Ground(Protocol):
    """Make one store after the other with the same content."""

    def prepare(self, fill: Callable[[str], int]) -> None:
        """Fill the pattern that every fresh store copies; ``fill`` gets a URL and returns the number of a send."""

    def fresh(self) -> tuple[str, int]:
        """Return the URL of a store like the pattern, and the number of its send; the one before is gone."""


class SqliteGround:
    """Copy a file."""

    def __init__(self, folder: Path) -> None:
        self._pattern, self._path = folder / "pattern.db", folder / "store.db"
        self._send_id = 0

    def prepare(self, fill: Callable[[str], int]) -> None:
        self._send_id = fill(f"sqlite:///{self._pattern}")

    def fresh(self) -> tuple[str, int]:
        return copy_sqlite(self._pattern, self._path), self._send_id


class PostgresGround:
    """Keep the pattern in a schema of its own, and copy its rows: to make a database takes ten times longer."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._url = url
        self._send_id = 0
        self._tables: list[str] = []
        self._connection: Any = psycopg.connect(url, autocommit=True)

    def prepare(self, fill: Callable[[str], int]) -> None:
        self._send_id = fill(self._url)
        self._connection.execute("CREATE SCHEMA pattern")
        found = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        self._tables = [name for (name,) in found]
        for table in self._tables:
            self._connection.execute(f"CREATE TABLE pattern.{table} AS SELECT * FROM public.{table}")

    def fresh(self) -> tuple[str, int]:
        copies = [f"DELETE FROM public.{table}" for table in self._tables]
        copies += [
            f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM pattern.{table}"
            for table in self._tables
        ]
        # As a replica the server leaves foreign keys alone, so that the order of the tables is no matter.
        role = "SET LOCAL session_replication_role = replica"
        self._connection.execute(f"BEGIN; {role}; {'; '.join(copies)}; COMMIT")
        return self._url, self._send_id

    def close(self) -> None:
        self._connection.close()


@contextmanager
def open_ground(kind: str, folder: Path) -> Iterator[Ground]:
    """Yield the ground of one kind of store."""
    if kind == "sqlite":
        yield SqliteGround(folder)
        return
    server = _server()
    name = server.make_database()
    ground = PostgresGround(server.url(name))
    try:
        yield ground
    finally:
        ground.close()
        server.drop_database(name)


@functools.cache
def _server() -> Any:
    """Return the server that all workers share; this process keeps it until it ends."""
    from postgres_server import shared_server

    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(shared_server())


def skip_missing(kind: str) -> None:
    """Skip a test of a kind of store that this machine cannot run."""
    if kind == "postgresql":
        import pytest  # here, so that a process that forks need not carry it
        from postgres_server import missing_reason

        if reason := missing_reason():
            pytest.skip(reason)
