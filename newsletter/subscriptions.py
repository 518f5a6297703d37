"""Bring people onto a list and take them off: what a row or a wish becomes, and the account of an import.

Use case: no argument parsing, no printing. Consent comes with the list that the operator imports; its origin is kept.
What subscribers choose for themselves goes through ``store.choices``; what is known of one person is ``persondata``'s.
"""

import datetime as dt
import re
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from newsletter.addresses import parse_address
from newsletter.errors import InputError
from newsletter.listcolumns import AS_ACTIVE, BLOCKED, BOUNCED, COMPLAINED, read_instant
from newsletter.listfile import BadRow, Row, clean_cell, read_rows
from newsletter.settings import is_zone
from newsletter.store import (
    Change,
    Evidence,
    NewSubscriber,
    Standing,
    Store,
    SubscriberList,
    SubscriptionState,
    SuppressionReason,
    Way,
)
from newsletter.topics import read_topics

DEFAULT_LIST = "newsletter"
"""Name of the list that a newsletter has from the start."""
LINES_KEPT = 1000
"""Refused lines that a report shows; more are counted."""
RESERVED_LIST_NAMES = frozenset({"and", "or", "not", "has", "in", "name", "language", "topics", "everybody"})
"""Words that mean something else in the audience of an issue."""
_LIST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_IMPORTED = (Change.ADDED, Change.UPDATED, Change.UNCHANGED)
_TOLD = (*_IMPORTED, Change.GONE)
_REFUSALS = {
    Change.SUPPRESSED: "suppressed: this address must not be mailed",
    Change.LEFT: "has unsubscribed or was removed, and is not brought back by an import",
}
_SUPPRESSIONS = {
    BOUNCED: SuppressionReason.HARD_BOUNCE,
    COMPLAINED: SuppressionReason.COMPLAINT,
    BLOCKED: SuppressionReason.OPERATOR,
}
_ACTIVE = Standing()


@dataclass(frozen=True, slots=True)
class Line:
    """Tell what became of one line of an import; ``reason`` says why it was refused."""

    number: int
    email: str
    change: Change | None
    reason: str = ""


@dataclass(slots=True)
class ImportReport:
    """Account for an import: people by what became of them, and lines that were refused, the first of them in full.

    ``each`` is told every line, in about the order of the file.
    """

    counts: Counter[Change] = field(default_factory=Counter)
    refused: int = 0
    lines: list[BadRow] = field(default_factory=list)
    each: Callable[[Line], None] | None = None

    def refuse(self, row: BadRow) -> None:
        """Count a refused line, and keep it while there are not too many."""
        self.refused += 1
        if len(self.lines) < LINES_KEPT:
            self.lines.append(row)
        if self.each:
            self.each(Line(row.line, row.text, None, row.reason))

    def note(self, row: Row, change: Change) -> None:
        """Count what became of a person."""
        if change in _REFUSALS:
            self.refuse(BadRow(row.line, row.email, _REFUSALS[change]))
        elif self.each:
            self.each(Line(row.line, row.email, change))
        self.counts[change] += 1

    @property
    def taken(self) -> int:
        """Return how many lines named a person who is on the list now, or is kept off it for good."""
        return sum(self.counts[change] for change in _TOLD)

    def as_json(self) -> dict[str, Any]:
        """Return the report for ``--json``."""
        return {
            **{str(change): self.counts[change] for change in _TOLD},
            "refused": self.refused,
            "lines": [{"line": row.line, "text": row.text, "reason": row.reason} for row in self.lines],
        }


@dataclass(frozen=True, slots=True)
class ImportWish:
    """Say how to import: ``origin`` is where the consent comes from, ``topics_from`` the column that holds topics."""

    origin: str = ""
    topics_from: str = ""
    dry_run: bool = False
    each: Callable[[Line], None] | None = None


# ---------------------------------------------------------------------------------------------------------------------
# Lists
# ---------------------------------------------------------------------------------------------------------------------


def default_list(store: Store, now: dt.datetime, title: str = "") -> SubscriberList:
    """Return the newsletter's list, made where the store is new."""
    return store.subscribers.ensure_list(DEFAULT_LIST, now, title)


def named_list(store: Store, name: str, now: dt.datetime, title: str = "") -> SubscriberList:
    """Return the list called ``name``, the newsletter's own for ``""``; raise InputError where there is none."""
    if name in ("", DEFAULT_LIST):
        return default_list(store, now, title)
    found = store.subscribers.find_list(name)
    if found is None:
        known = ", ".join(each.name for each in store.subscribers.load_lists())
        raise InputError(f"no list {name!r}; lists: {known}; 'newsletter subscribers lists add {name}' makes it")
    return found


def add_list(store: Store, name: str, title: str, now: dt.datetime) -> SubscriberList:
    """Make a list; raise InputError for a name that cannot be one, and for one that is there."""
    _check_list_name(name)
    if store.subscribers.find_list(name):
        raise InputError(f"there is a list {name!r} already")
    return store.subscribers.ensure_list(name, now, title)


def rename_list(store: Store, name: str, new_name: str, title: str | None) -> None:
    """Give a list another name, another title, or both; raise InputError where that cannot be."""
    found = store.subscribers.find_list(name)
    if found is None:
        raise InputError(f"no list {name!r}; 'newsletter subscribers lists' shows them")
    if new_name != name:
        _check_list_name(new_name)
        if name == DEFAULT_LIST:
            raise InputError(f"{name!r} is the newsletter's own list and keeps its name; its title may change")
    if not store.subscribers.rename_list(name, new_name, found.title if title is None else title):
        raise InputError(f"there is a list {new_name!r} already")


def _check_list_name(name: str) -> None:
    if not _LIST_NAME.fullmatch(name) or name in RESERVED_LIST_NAMES:
        reserved = f"{name!r} means something else in an audience" if name in RESERVED_LIST_NAMES else repr(name)
        raise InputError(f"{reserved}: a list is named in lower-case letters, digits and hyphens, like 'monthly'")


# ---------------------------------------------------------------------------------------------------------------------
# Imports
# ---------------------------------------------------------------------------------------------------------------------


def import_file(
    store: Store, list_id: int, path: Path, now: dt.datetime, wish: ImportWish | None = None
) -> ImportReport:
    """Import the people in a CSV or TSV file, a batch in each transaction, and report on each line.

    Raises InputError where the file cannot be read, is no list, or holds nobody who could be imported.
    """
    wish = wish or ImportWish()
    report = ImportReport(each=wish.each)
    lines: deque[Row] = deque()
    origin = wish.origin or f"import {path.name}"
    try:
        with _open_seekable(path) as stream:
            people = _people(read_rows(stream, str(path), wish.topics_from), path.name, lines, report)
            for change in store.subscribers.import_subscribers(
                list_id, people, now, origin=origin, dry_run=wish.dry_run
            ):
                report.note(lines.popleft(), change)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    report.lines.sort(key=lambda row: row.line)
    if not report.taken:
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


def _people(
    rows: Iterator[Row | BadRow], file: str, lines: deque[Row], report: ImportReport
) -> Iterator[NewSubscriber]:
    for row in rows:
        person = row if isinstance(row, BadRow) else _person(row, file)
        if isinstance(person, NewSubscriber):
            lines.append(cast("Row", row))
            yield person
        else:
            report.refuse(person)


def _person(row: Row, file: str) -> NewSubscriber | BadRow:
    try:
        address = parse_address(row.email)
        topics = read_topics(row.topics) if row.topics else ()
        standing = _standing(row)
    except InputError as error:
        return BadRow(row.line, row.email[:120], str(error))
    attributes, time_zone = row.attributes, row.time_zone
    if time_zone and not is_zone(time_zone):  # it is not thrown away, and no zone either
        attributes, time_zone = {**attributes, "timezone": time_zone}, ""
    return NewSubscriber(
        address=address,
        name=row.name,
        language=row.language,
        time_zone=time_zone,
        attributes=attributes,
        topics=topics,
        evidence=Evidence(Way.IMPORT, f"{file}:{row.line}"),
        standing=standing,
    )


def _standing(row: Row) -> Standing:
    """Return where the person of a row stood; raise InputError for what is no instant or no reason."""
    if row.standing is AS_ACTIVE and not (row.origin or row.joined_at or row.paused_until):
        return _ACTIVE
    suppressed = None
    if word := row.standing.suppressed:
        try:
            suppressed = _SUPPRESSIONS.get(word) or SuppressionReason(word.casefold())
        except ValueError:
            suppressed = SuppressionReason.OPERATOR  # whoever wrote it meant that they must not be mailed
    return Standing(
        state=SubscriptionState(row.standing.state) if row.standing.state else None,
        suppressed=suppressed,
        origin=row.origin,
        joined_at=_instant("joined_at", row.joined_at),
        paused_until=_instant("paused_until", row.paused_until),
    )


def _instant(column: str, cell: str) -> dt.datetime | None:
    if not cell:
        return None
    instant = read_instant(cell)
    if instant is None:
        raise InputError(f"{column} {cell[:40]!r} is no instant; write it like 2026-11-25T08:00:00+00:00")
    return instant


# ---------------------------------------------------------------------------------------------------------------------
# Single people
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonWish:
    """Say what an operator knows of somebody whom they add; ``readmit`` says that the person asked for it anew."""

    name: str = ""
    language: str = ""
    time_zone: str = ""
    topics: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    origin: str = "operator"
    readmit: bool = False


def add_person(store: Store, list_id: int, email: str, now: dt.datetime, wish: PersonWish | None = None) -> Change:
    """Put one person on a list at the operator's word; raise InputError for what is no address, zone or topic."""
    wish = wish or PersonWish()
    if wish.time_zone and not is_zone(wish.time_zone):
        raise InputError(f"{wish.time_zone!r} is no time zone; write it like Europe/Paris")
    new = NewSubscriber(
        address=parse_address(email),
        name=clean_cell(wish.name),
        language=clean_cell(wish.language),
        time_zone=wish.time_zone,
        topics=read_topics(",".join(wish.topics)),
        attributes={clean_cell(key).casefold(): clean_cell(value) for key, value in wish.attributes.items()},
        evidence=Evidence(Way.OPERATOR, source=clean_cell(wish.origin)),
    )
    origin = clean_cell(wish.origin)
    return store.subscribers.add_subscriber(list_id, new, now, origin=origin, readmit=wish.readmit)


def remove_person(store: Store, list_id: int, email: str, now: dt.datetime) -> None:
    """Take one person off the list; raise InputError for somebody who is not on it."""
    address = parse_address(email)
    if not store.subscribers.remove_subscriber(list_id, address, now):
        raise InputError(f"{address} is not on the list; 'newsletter subscribers list' shows who is")


def suppress_person(store: Store, email: str, note: str, now: dt.datetime) -> bool:
    """Never mail an address again, known or not; tell whether that is new."""
    return store.subscribers.suppress_address(parse_address(email), SuppressionReason.OPERATOR, now, clean_cell(note))


def erase_person(store: Store, email: str, now: dt.datetime) -> None:
    """Erase everything personal about somebody but the keyed hash that keeps them away.

    Raises InputError for somebody of whom nothing is known.
    """
    address = parse_address(email)
    subscriber_id = store.subscribers.find_person(address)
    if subscriber_id is None:
        raise InputError(f"{address}: nothing is known of this address, so there is nothing to erase")
    store.subscribers.erase_subscriber(subscriber_id, now)


def remove_everywhere(store: Store, email: str, now: dt.datetime) -> tuple[str, ...]:
    """Take one person off every list, and return the names of those; raise InputError where they are on none."""
    address = parse_address(email)
    left = tuple(
        each.name
        for each in store.subscribers.load_lists()
        if store.subscribers.remove_subscriber(each.list_id, address, now)
    )
    if not left:
        raise InputError(f"{address} is on no list")
    return left


def lift_suppression(store: Store, email: str) -> bool:
    """Let an address be mailed again; tell whether it was suppressed."""
    return store.subscribers.lift_suppression(parse_address(email))
