"""Open log files as an operator names them: plain or compressed, one or several, ``-`` for standard input.

logrotate leaves gzip, bzip2 or xz behind; which, the first octets tell. Lines come one at a time, so that a log of
gigabytes takes no memory, and an octet that is no UTF-8 stands as U+FFFD. Not here: what stands in the lines.
"""

import bz2
import contextlib
import datetime as dt
import gzip
import itertools
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from newsletter.errors import InputError

STDIN = "-"
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_PIECE = 1 << 20
_LOOKED_AT = 1000
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)


def read_log(name: str) -> Iterator[str]:
    """Yield the lines of a log, without their ends; a line of over a megabyte comes in pieces.

    Raises InputError where it cannot be read, or its compression is broken.
    """
    try:
        with _opened(name) as stream:
            while line := stream.readline(_PIECE):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
    except _BROKEN as error:
        words = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise InputError(f"{name}: cannot be read as a log: {words}; name the relay's log file") from None


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STDIN:
        yield sys.stdin.buffer
        return
    path = Path(name)
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    with path.open("rb") if opener is None else opener(path, "rb") as stream:
        yield cast("IO[bytes]", stream)


def in_order(names: Iterable[str], stamp_of: Callable[[str], dt.datetime | None]) -> list[str]:
    """Return the names of logs in the order of their first times, as ``stamp_of`` reads them from a line.

    Rotated logs are given in any order; those without a time, and standard input, which cannot be looked at twice, come
    last as they were given.
    """
    far = dt.datetime.max.replace(tzinfo=dt.UTC)
    return sorted(names, key=lambda name: far if name == STDIN else _first_stamp(name, stamp_of) or far)


def _first_stamp(name: str, stamp_of: Callable[[str], dt.datetime | None]) -> dt.datetime | None:
    return next(filter(None, map(stamp_of, itertools.islice(read_log(name), _LOOKED_AT))), None)
