"""Bring people onto the list and take them off: what a row or a wish becomes, and the account of an import.

Use case: no argument parsing, no printing. Consent comes with the list that the operator imports; its origin is kept.
"""

import datetime as dt
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from newsletter.addresses import parse_address
from newsletter.errors import InputError
from newsletter.listfile import BadRow, Row, clean_cell, read_rows
from newsletter.settings import is_zone
from newsletter.store import Change, NewSubscriber, Store, SubscriberList

DEFAULT_LIST = "newsletter"
"""Name of the list that a newsletter has from the start."""
LINES_KEPT = 1000
"""Refused lines that a report shows; more are counted."""
_IMPORTED = (Change.ADDED, Change.UPDATED, Change.UNCHANGED)
_REFUSALS = {
    Change.SUPPRESSED: "suppressed: this address must not be mailed",
    Change.LEFT: "has unsubscribed or was removed, and is not brought back by an import",
}


@dataclass(slots=True)
class ImportReport:
    """Account for an import: people by what became of them, and lines that were refused, the first of them in full."""

    counts: Counter[Change] = field(default_factory=Counter)
    refused: int = 0
    lines: list[BadRow] = field(default_factory=list)

    def refuse(self, row: BadRow) -> None:
        """Count a refused line, and keep it while there are not too many."""
        self.refused += 1
        if len(self.lines) < LINES_KEPT:
            self.lines.append(row)

    @property
    def imported(self) -> int:
        """Return how many lines named a person who is on the list now."""
        return sum(self.counts[change] for change in _IMPORTED)

    def as_json(self) -> dict[str, Any]:
        """Return the report for ``--json``."""
        return {
            **{str(change): self.counts[change] for change in _IMPORTED},
            "refused": self.refused,
            "lines": [{"line": row.line, "text": row.text, "reason": row.reason} for row in self.lines],
        }


def default_list(store: Store, now: dt.datetime, title: str = "") -> SubscriberList:
    """Return the newsletter's list, made where the store is new."""
    return store.subscribers.ensure_list(DEFAULT_LIST, now, title)


def import_file(store: Store, list_id: int, path: Path, now: dt.datetime) -> ImportReport:
    """Import the people in a CSV or TSV file, a batch in each transaction, and report on each line.

    Raises InputError where the file cannot be read, is no list, or holds nobody who could be imported.
    """
    report = ImportReport()
    lines: deque[Row] = deque()
    try:
        with _open_seekable(path) as stream:
            people = _people(read_rows(stream, str(path)), lines, report)
            for change in store.subscribers.import_subscribers(list_id, people, now, origin=f"import {path.name}"):
                _note(report, lines.popleft(), change)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    report.lines.sort(key=lambda row: row.line)
    if not report.imported:
        reasons = "; ".join(f"line {row.line}: {row.reason}" for row in report.lines[:3])
        raise InputError(f"{path}: nobody could be imported: {reasons or 'no lines below the heading'}")
    return report


def _open_seekable(path: Path) -> BinaryIO:
    """Open a file for reading; what comes through a pipe is put on disk first, since it is read more than once."""
    stream = path.open("rb")
    if stream.seekable():
        return stream
    with stream:
        spooled = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 (the caller closes it)
        shutil.copyfileobj(stream, spooled)
    return spooled


def _people(rows: Iterator[Row | BadRow], lines: deque[Row], report: ImportReport) -> Iterator[NewSubscriber]:
    for row in rows:
        person = row if isinstance(row, BadRow) else _person(row)
        if isinstance(person, BadRow):
            report.refuse(person)
        elif isinstance(row, Row):
            lines.append(row)
            yield person


def _person(row: Row) -> NewSubscriber | BadRow:
    try:
        address = parse_address(row.email)
    except InputError as error:
        return BadRow(row.line, row.email[:120], str(error))
    return NewSubscriber(
        address=address,
        name=row.name,
        language=row.language,
        time_zone=row.time_zone if is_zone(row.time_zone) else "",
        attributes=row.attributes,
    )


def _note(report: ImportReport, row: Row, change: Change) -> None:
    if change in _REFUSALS:
        report.refuse(BadRow(row.line, row.email, _REFUSALS[change]))
    report.counts[change] += 1


def add_person(store: Store, list_id: int, email: str, name: str, now: dt.datetime) -> Change:
    """Put one person on the list at the operator's word; raise InputError for what is no address."""
    new = NewSubscriber(address=parse_address(email), name=clean_cell(name))
    return store.subscribers.add_subscriber(list_id, new, now, origin="operator")


def remove_person(store: Store, list_id: int, email: str, now: dt.datetime) -> None:
    """Take one person off the list; raise InputError for somebody who is not on it."""
    address = parse_address(email)
    if not store.subscribers.remove_subscriber(list_id, address, now):
        raise InputError(f"{address} is not on the list; 'newsletter subscribers list' shows who is")
