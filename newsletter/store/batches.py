"""Run statements of PostgreSQL for many sets of parameters in one round trip, by libpq's pipeline itself.

psycopg's ``executemany`` does the same by way of its cursors and adapters, in twice to three times the processor time,
which was more than all else that a send does for a message. Here are numbers, texts, bytes and NULL only, which is what
the ledger's moves are made of, written down by hand.

An error leaves the connection as psycopg expects it, in a failed transaction. Where the wait itself breaks off (the
server is gone, an interrupt), answers may still be under way, so the connection is closed.
"""

import itertools
import re
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from newsletter.store.database import Batch

_PARAMETER = re.compile(r"%\((\w+)\)s")
_NUMBERS = itertools.count()
_INT8, _BYTEA, _BY_CONTEXT = 20, 17, 0
_READ, _WRITE = select.POLLIN, select.POLLIN | select.POLLOUT


@dataclass(frozen=True, slots=True)
class _Statement:
    """Hold the name of a prepared statement, and those of its parameters in order."""

    name: bytes
    parameters: tuple[str, ...]


class Batches:
    """Prepare statements on one connection when they are first run, and run them for whole batches.

    psycopg deallocates every prepared statement behind a ROLLBACK, and behind a statement that changes tables; from
    there on another must be made.
    """

    def __init__(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self._pgconn = connection.pgconn
        self._poll = select.poll()
        self._statements: dict[str, _Statement] = {}

    def run(self, batches: Sequence[Batch]) -> list[list[bool]]:
        """Run each statement, with parameters as ``%(name)s``, once for each of its sets; tell which touched a row.

        Call it in a transaction, or let the first statement begin one and the last end it. What follows a failure is
        not run. Raises psycopg.Error as the driver does, and TypeError for a value of another kind.
        """
        rows = [row for sql, sets in batches if sets for row in self._rows(sql, sets)]
        pgconn = self._pgconn
        try:
            pgconn.enter_pipeline_mode()
            for name, values in rows:
                pgconn.send_query_prepared(name, values)
            pgconn.pipeline_sync()
            results = self._await_answers()
            pgconn.exit_pipeline_mode()
        except BaseException:
            pgconn.finish()
            raise
        for result in results:
            _raise_failure(result)
        touched = (bool(result.command_tuples) for result in results)
        return [list(itertools.islice(touched, len(sets))) for _, sets in batches]

    def _rows(self, sql: str, sets: Sequence[Mapping[str, object]]) -> list[tuple[bytes, list[bytes | None]]]:
        """Return the prepared statement's name and the values, for each set."""
        statement = self._statements.get(sql) or self._prepare(sql, sets[0])
        return [(statement.name, [_written(each[name]) for name in statement.parameters]) for each in sets]

    def _prepare(self, sql: str, example: Mapping[str, object]) -> _Statement:
        """Prepare a statement; numbers are bigint throughout, texts are what the statement takes them for."""
        names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
        numbered = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", sql).replace("%%", "%")
        statement = _Statement(b"newsletter_%d" % next(_NUMBERS), names)
        _raise_failure(
            self._pgconn.prepare(statement.name, numbered.encode(), [_type_of(example[name]) for name in names])
        )
        self._statements[sql] = statement
        return statement

    def _await_answers(self) -> "list[pq.abc.PGresult]":
        """Return an answer for each statement, up to the end of the batch; other threads run meanwhile."""
        pgconn = self._pgconn
        self._poll.register(pgconn.socket, _WRITE if pgconn.flush() else _READ)
        results: list[pq.abc.PGresult] = []
        while True:
            while pgconn.is_busy():
                self._poll.poll()
                pgconn.consume_input()
                self._poll.modify(pgconn.socket, _WRITE if pgconn.flush() else _READ)
            result = pgconn.get_result()
            if result is None:
                continue  # it stands behind the last answer of each statement
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)


def _raise_failure(result: "pq.abc.PGresult") -> None:
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise error_from_result(result)


def _type_of(value: object) -> int:
    return _INT8 if isinstance(value, int) else _BYTEA if isinstance(value, bytes) else _BY_CONTEXT


def _written(value: object) -> bytes | None:
    """Return a value in PostgreSQL's text format."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode("ascii")
    raise TypeError(f"{type(value).__name__}: only numbers, texts, bytes and None can be written")
