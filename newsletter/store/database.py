"""Say how a query is run, apart from what it means: named queries, bound parameters, transactions, instants.

``Database`` is the interface; ``sqlite`` and ``postgres`` implement it. Every query stands in a ``.sql`` file beside
this module, in the format of aiosql, with one statement a name::

    -- name: claim_delivery
    -- move: CLAIM
    UPDATE deliveries SET state = {to}, owner = :owner WHERE send_id = :send AND subscriber_id = :subscriber
       AND state = {from}

A ``move`` line makes one query for each move of the event in ``delivery.TABLE`` (``EVENT from STATE``: for this one
alone; ``send EVENT``: in ``SEND_TABLE``), with the states of the table put for ``{from}`` and ``{to}``: no state is
ever set but along the table, by compare-and-set. Their names carry the state they start from,
``claim_delivery@pending`` (for UNDO, which always starts from BOUNCED, the one it leads to). Values always travel as
bound parameters. A line ``-- dialect: postgresql`` marks a text that stands for the common one on that database alone.
"""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from newsletter.delivery import RUNNING, SEND_TABLE, Event, SendEvent, moves
from newsletter.store.dialect import SQLITE
from newsletter.store.lock import HeldLock

Row = tuple[Any, ...]
Batch = tuple[str, Sequence[Mapping[str, object]]]
"""A query, by its name or by its text, and the sets of parameters that it is run with, one after the other."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SQL_FOLDER = Path(__file__).parent
EVERYBODY = "1 = 1"
"""The condition that a query has where an audience may put its own (``Database.with_condition``)."""


class Database(Protocol):
    """Run named queries; every method raises StoreUnavailableError or StoreError, never an error of the driver."""

    where: str
    """Name the database as messages may show it: a path, or a URL without its password."""

    dialect: str
    """Name the SQL that it speaks (``dialect``)."""

    def with_condition(self, name: str, condition: str) -> str:
        """Return the name of the query ``name`` with ``condition`` in place of its ``1 = 1``.

        The condition is put together from constant text (``segments``); values travel as parameters, as everywhere.
        """

    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction that writes; commit at the end of the block, roll back on any exception. May be nested."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Let every query of the block see the same state, whatever others write meanwhile; nobody has to wait for it.

        Nothing may be written in it.
        """

    def bulk(self) -> "AbstractContextManager[None]":
        """Take the memory that writing a million rows is quicker with, for as long as the block lasts."""

    def rows(self, name: str, /, **parameters: object) -> list[Row]:
        """Return all rows of the query."""

    def row(self, name: str, /, **parameters: object) -> Row | None:
        """Return the first row of the query, or None."""

    def change(self, name: str, /, **parameters: object) -> int:
        """Run a statement that writes, and return how many rows it touched."""

    def change_each(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> list[bool]:
        """Run a statement once for each set of parameters, and tell for each whether it touched a row."""

    def change_at_once(self, batches: Sequence[Batch], /) -> list[list[bool]]:
        """Run several statements as ``change_each`` does, in this order, in one transaction and as fast as can be.

        They are committed when it returns, unless a transaction is open already.
        """

    def change_all(self, name: str, parameters: Iterable[Mapping[str, object]], /) -> None:
        """Run a statement once for each set of parameters, as fast as the driver can."""

    def run_lock(self, owner: str) -> HeldLock:
        """Return the lock that a run must hold while it sends: one holder at a time for this store."""

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""


# ---------------------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------------------


def to_micros(instant: dt.datetime) -> int:
    """Return an aware instant as microseconds since 1970 in UTC; raise ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; the store takes aware instants only")
    return (instant - _EPOCH) // _MICROSECOND


def to_micros_or_none(instant: dt.datetime | None) -> int | None:
    """Return ``to_micros(instant)``, or None for None."""
    return None if instant is None else to_micros(instant)


def from_micros(micros: int) -> dt.datetime:
    """Return the instant, in UTC, that lies ``micros`` microseconds after 1970."""
    return _EPOCH + micros * _MICROSECOND


def from_micros_or_none(micros: int | None) -> dt.datetime | None:
    """Return ``from_micros(micros)``, or None for None."""
    return None if micros is None else from_micros(micros)


def storable(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates, which no database keeps, replaced by U+FFFD."""
    return text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


# ---------------------------------------------------------------------------------------------------------------------
# Named queries
# ---------------------------------------------------------------------------------------------------------------------


def load_queries(folder: Path = _SQL_FOLDER, dialect: str = SQLITE) -> dict[str, str]:
    """Read every query of the ``.sql`` files in ``folder``, moves expanded; raise ValueError for a name given twice.

    A folder is read once in a process, which opens a store for each thing that it does.
    """
    return dict(_read_queries(folder, dialect))


@functools.cache
def _read_queries(folder: Path, dialect: str) -> Mapping[str, str]:
    queries: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        for name, sql in parse_queries(path.read_text(encoding="utf-8"), dialect):
            if name in queries:
                raise ValueError(f"{path}: the query '{name}' is defined twice")
            queries[name] = sql
    return queries


def parse_queries(text: str, dialect: str = SQLITE) -> Iterator[tuple[str, str]]:
    """Return name and SQL of each query in ``text``, in order; what stands before the first name is a comment.

    ``{running}`` stands for the states in which a send runs (``delivery.RUNNING``).
    """
    running = ", ".join(f"'{state}'" for state in sorted(RUNNING))
    for name, lines in _blocks(text, dialect):
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip().replace("{running}", running)
        events = [line.removeprefix("-- move:").split() for line in lines if line.startswith("-- move:")]
        if not events:
            yield name, sql
        for words in events:
            for label, start, end in _moves(words):
                yield f"{name}@{label}", sql.replace("{from}", f"'{start}'").replace("{to}", f"'{end}'")


def _blocks(text: str, dialect: str) -> Iterator[tuple[str, list[str]]]:
    """Return name and lines of each query that is meant for ``dialect``; its own text goes before the common one."""
    mark = f"-- dialect: {dialect}"
    blocks = [block.split("\n") for block in re.split(r"^-- name: *", text, flags=re.MULTILINE)[1:]]
    own = {lines[0] for lines in blocks if mark in lines}
    for name, *lines in blocks:
        is_common = not any(line.startswith("-- dialect:") for line in lines)
        if mark in lines or (is_common and name not in own):
            yield name.strip(), lines


def _moves(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Return (label, from, to) of each move that ``words`` name: ``EVENT``, ``EVENT from STATE`` or ``send EVENT``."""
    if words[0] == "send":
        event = SendEvent[words[1]]
        yield from ((start, start, end) for (start, known), end in SEND_TABLE.items() if known is event)
        return
    only = words[2] if words[1:2] == ["from"] else ""
    for start, end in moves(Event[words[0]]):
        if only in ("", start):
            yield (end if words[0] == Event.UNDO.name else start), start, end
