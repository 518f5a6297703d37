"""Run the SQLite store on a disk of our own: it can lose what was never synced, tear a write, or be full.

The standard library's sqlite3 knows no VFS, so the store's queries run through apsw here, behind a connection that
looks like sqlite3's (``apsw_connections``). The VFS passes everything on to a real file and writes down each write,
truncation and sync (``Journal``); ``Journal.image`` builds what a disk may hold after the power was cut at any moment:
all that was synced, and of the rest any subset, out of order, single writes torn at a sector. What is not modelled: a
disk that lies about syncs, and one that damages what it had written before.
"""

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


@dataclass(frozen=True)
class Step:
    """One thing that happened: ``write`` and ``truncate`` change a file, ``sync`` makes it last; ``note`` is ours."""

    kind: str
    file: str = ""
    offset: int = 0
    content: bytes = b""
    note: Any = None


@dataclass
class Journal:
    """Write down what happens to the files of a store, in order; ``before_step`` may raise to fail a write or sync."""

    steps: list[Step] = field(default_factory=list)
    before_step: Callable[[str, str], None] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, step: Step) -> None:
        with self.lock:
            self.steps.append(step)

    def note(self, note: Any) -> None:
        """Write down something that the world outside saw at this moment."""
        self.add(Step("note", note=note))

    def check(self, kind: str, file: str) -> None:
        if self.before_step:
            self.before_step(kind, file)

    def notes(self, end: int) -> list[Any]:
        """Return what was noted before step ``end``."""
        return [step.note for step in self.steps[:end] if step.kind == "note"]

    def image(self, end: int, dice: random.Random, start: dict[str, bytes]) -> dict[str, bytes]:
        """Return the files as they may be where the power is cut before step ``end``; ``start`` is what was there.

        A file's own sync makes its writes durable; each later write survives, is lost, or is torn, as the dice say.
        """
        files = {name: bytearray(content) for name, content in start.items()}
        for name in {step.file for step in self.steps[:end] if step.file}:
            steps = [step for step in self.steps[:end] if step.file == name]
            synced = max((index for index, step in enumerate(steps) if step.kind == "sync"), default=-1)
            content = files.get(name, bytearray())
            for step in steps[: synced + 1]:
                _apply(content, step)
            for step in _survivors(steps[synced + 1 :], dice):
                _apply(content, step)
            if content or synced >= 0 or name in files:
                files[name] = content
        return {name: bytes(content) for name, content in files.items()}


def _survivors(steps: list[Step], dice: random.Random) -> list[Step]:
    """Return which unsynced steps reached the disk: all, none or some, torn and in any order."""
    mood = dice.random()
    if mood < 0.15:
        return []
    kept = steps if mood < 0.25 else [step for step in steps if dice.random() < 0.6]
    kept = [_torn(step, dice) if dice.random() < 0.25 else step for step in kept]
    if dice.random() < 0.5:
        dice.shuffle(kept)
    return kept


def _torn(step: Step, dice: random.Random) -> Step:
    """Return a write of which only some whole sectors came through."""
    if step.kind != "write" or len(step.content) <= SECTOR:
        return step
    sectors = range(0, len(step.content), SECTOR)
    cut = dice.choice(list(sectors))
    if dice.random() < 0.5:
        return Step("write", step.file, step.offset, step.content[:cut])
    return Step("write", step.file, step.offset + cut, step.content[cut:])


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "write":
        if len(content) < step.offset:
            content.extend(bytes(step.offset - len(content)))
        content[step.offset : step.offset + len(step.content)] = step.content
    elif step.kind == "truncate":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))


# ---------------------------------------------------------------------------------------------------------------------
# The VFS
# ---------------------------------------------------------------------------------------------------------------------


class _Vfs(apsw.VFS):
    def __init__(self, name: str, journal: Journal) -> None:
        self.journal = journal
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802 (apsw's name)
        return _File(self.journal, name, flags)

    def xDelete(self, filename: str, sync_dir: bool) -> None:  # noqa: N802
        self.journal.add(Step("truncate", Path(filename).name, 0))
        super().xDelete(filename, sync_dir)


class _File(apsw.VFSFile):
    def __init__(self, journal: Journal, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.journal, self.name = journal, Path(path or "temporary").name
        super().__init__("", name, flags)

    def xWrite(self, content: bytes, offset: int) -> None:  # noqa: N802
        self.journal.check("write", self.name)
        with self.journal.lock:
            super().xWrite(content, offset)
            self.journal.add(Step("write", self.name, offset, bytes(content)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self.journal.check("truncate", self.name)
        with self.journal.lock:
            super().xTruncate(size)
            self.journal.add(Step("truncate", self.name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802
        # Not passed on: what a real disk does with it is not what is looked at here.
        self.journal.check("sync", self.name)
        self.journal.add(Step("sync", self.name))


# ---------------------------------------------------------------------------------------------------------------------
# A connection like sqlite3's
# ---------------------------------------------------------------------------------------------------------------------


class _Connection:
    """Look like the part of ``sqlite3.Connection`` that a store uses."""

    def __init__(self, path: str, vfs: str, timeout_s: float, pragmas: dict[str, str]) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
        self._pragmas = pragmas
        with _as_sqlite3():
            self._connection = apsw.Connection(path, flags=flags, vfs=vfs)
            self._connection.set_busy_timeout(round(timeout_s * 1000))

    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        for word, instead in self._pragmas.items():
            sql = sql.replace(word, instead)
        with _as_sqlite3():
            before = self._connection.total_changes()
            rows = list(self._connection.execute(sql, parameters or None))
            return _Cursor(rows, self._connection.total_changes() - before)

    def executemany(self, sql: str, sets: Iterable[Any]) -> None:
        with _as_sqlite3():
            self._connection.executemany(sql, sets)

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def close(self) -> None:
        with _as_sqlite3():
            self._connection.close()


class _Cursor:
    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def fetchall(self) -> list[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


@contextlib.contextmanager
def _as_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        translated = sqlite3.OperationalError(str(error))
        translated.sqlite_errorcode = getattr(error, "extendedresult", 0) or getattr(error, "result", 1)
        raise translated from error


@contextlib.contextmanager
def apsw_connections(journal: Journal, pragmas: dict[str, str] | None = None) -> Iterator[None]:
    """Let every store that is opened inside use a disk that ``journal`` watches.

    ``pragmas`` replaces words of statements: ``{"synchronous=FULL": "synchronous=OFF"}`` shows what a proof would see.
    """
    name = f"proof-{id(journal)}"
    vfs = _Vfs(name, journal)
    connect = sqlite3.connect

    def connect_apsw(path: str, *, timeout: float = 5.0, **_values: Any) -> _Connection:
        return _Connection(str(path), name, timeout, pragmas or {})

    sqlite3.connect = connect_apsw  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect = connect
        vfs.unregister()
