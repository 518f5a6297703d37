"""Hold the lock of a run, bound to the life of its process, and name its owner.

The lock is ``flock`` on a file beside the store. The kernel frees it when the process ends, however it ends, so it is
never left behind: the *file* stays for good and means nothing, and deleting it while a run holds it would only make a
second lock possible. Whoever holds the lock knows that every other owner named in the ledger is dead.

A child that is forked without exec shares the lock; it must end before, or with, its parent. Not here: the advisory
lock of PostgreSQL (``postgres``), and what a run does while it holds the lock.
"""

import contextlib
import datetime as dt
import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from newsletter.errors import BusyError, StoreUnavailableError


class HeldLock(Protocol):
    """Hold the lock of a run for the length of a ``with`` block; ``owner`` is who has it."""

    owner: str

    def __enter__(self) -> Self:
        """Take the lock; raise BusyError where another run, or another block of this one, holds it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""


def owner_name(started_at: dt.datetime) -> str:
    """Return the name under which this process claims rows: host, process id and start, unique among all runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{started_at.astimezone(dt.UTC).isoformat()}"


def lock_path(store_path: Path, name: str = "send") -> Path:
    """Return the path of the lock file called ``name`` beside the store file."""
    return store_path.with_name(f"{store_path.name}-{name}.lock")


class RunLock:
    """Hold the lock at ``path`` for the length of a ``with`` block; ``owner`` is written into the file for messages.

    Raises BusyError where another process (or another block of this one) holds it, and StoreUnavailableError where the
    file cannot be made.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self.owner = owner
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailableError(
                f"{self.path}: the lock cannot be opened: {error.strerror}; check the folder and its permissions"
            ) from None
        try:
            _lock(descriptor, self.path)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk: the name is for messages only, the lock holds without it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, self.owner.encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreUnavailableError(f"{path}: the lock cannot be taken: {error.strerror}") from None
        holder = os.pread(descriptor, 200, 0).decode(errors="replace")
        raise BusyError(
            f"{path}: another run holds the lock ({holder or 'its name is not known yet'}); nothing to do here, "
            "it frees the lock when it ends"
        ) from None
