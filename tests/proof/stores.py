"""Give each proof stores of every kind that this machine can run, fresh ones as fast as they can be made."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from proof.scene import copy_sqlite

HAS_POSTGRES = importlib.util.find_spec("postgres_server") is not None
KINDS = ("sqlite",)


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


@contextmanager
def open_ground(kind: str, folder: Path) -> Iterator[Ground]:
    """Yield the ground of one kind of store."""
    assert kind == "sqlite", kind
    yield SqliteGround(folder)
