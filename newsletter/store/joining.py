"""Put people on a list: one at a time, or a batch of an import with a few statements for all who are new.

Both ways come to the same; a test holds them to it. Everything here runs inside a transaction, and writes down in the
log of consent how it is known. Not here: who may ask for it, and reading (``subscribers``).
"""

import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from newsletter.addresses import domain_of
from newsletter.store.database import Database, Row, storable, to_micros
from newsletter.store.records import (
    ACTIVE_STANDING,
    LEFT,
    Change,
    ConsentEvent,
    Evidence,
    NewSubscriber,
    Standing,
    SubscriptionState,
    SuppressionReason,
    Way,
)
from newsletter.topics import join_topics

BATCH = 20_000
"""People whom an import takes in with one transaction: a writer who waits for it waits about a second."""
_JOINING = {Way.IMPORT: ConsentEvent.IMPORTED, Way.OPERATOR: ConsentEvent.ADDED}
"""What the log calls being put on a list at once; by any other way the person did it."""
_NOT_ACTIVE = {
    SubscriptionState.PENDING: ConsentEvent.SUBSCRIBED,
    SubscriptionState.UNSUBSCRIBED: ConsentEvent.LEFT,
    SubscriptionState.REMOVED: ConsentEvent.REMOVED,
}


@dataclass(frozen=True, slots=True)
class Joining:
    """Hold where people are added, on what ground, and when (in microseconds)."""

    list_id: int
    state: SubscriptionState
    origin: str
    readmit: bool
    now: int


def add_person(database: Database, joining: Joining, new: NewSubscriber, digest: bytes) -> Change:
    """Add or update one person inside an open transaction; ``digest`` is the hash of the address."""
    suppression = database.row("find_suppression", hash=digest)
    if suppression and not (joining.readmit and suppression[0] == SuppressionReason.ERASED):
        return Change.SUPPRESSED
    row = database.row("find_person", hash=digest, list=joining.list_id)
    if row is not None:
        return _add_known(database, joining, new, row)
    details = _NOTHING.overlaid(new)
    inserted = database.row("insert_person", hash=digest, now=joining.now, **details.as_parameters())
    assert inserted is not None
    _subscribe(database, joining, inserted[0], new.evidence)
    return Change.ADDED


def log_consent(
    database: Database, event: ConsentEvent, list_id: int | None, subscriber_id: int, *, now: int, evidence: Evidence
) -> None:
    """Write one line into the log of consent, inside an open transaction; ``now`` in microseconds."""
    database.change(
        "log_consent",
        subscriber=subscriber_id,
        list=list_id,
        event=event,
        now=now,
        way=evidence.way,
        source=storable(evidence.source),
        reason=storable(evidence.reason),
    )


def _add_known(database: Database, joining: Joining, new: NewSubscriber, row: Row) -> Change:
    """Bring a person who is in the store up to date; ``row`` is theirs of the query ``find_person``."""
    subscriber_id, address, state = row[0], row[1], row[7]
    if (address is None or state in LEFT) and not joining.readmit:
        return Change.LEFT
    held = Details(*row[1:7])
    wanted = held.overlaid(new)
    if wanted != held:
        database.change("update_person", subscriber=subscriber_id, now=joining.now, **wanted.as_parameters())
    if state is None:
        _subscribe(database, joining, subscriber_id, new.evidence)
        return Change.ADDED
    if state in LEFT:
        database.change(
            "readmit_subscription",
            list=joining.list_id,
            subscriber=subscriber_id,
            state=joining.state,
            origin=storable(joining.origin),
            now=joining.now,
        )
        _log_joining(database, joining, subscriber_id, new.evidence)
        return Change.ADDED
    return Change.UPDATED if wanted != held else Change.UNCHANGED


def _subscribe(database: Database, joining: Joining, subscriber_id: int, evidence: Evidence) -> None:
    database.change(
        "insert_subscription",
        list=joining.list_id,
        subscriber=subscriber_id,
        state=joining.state,
        origin=storable(joining.origin),
        now=joining.now,
    )
    _log_joining(database, joining, subscriber_id, evidence)


def _log_joining(database: Database, joining: Joining, subscriber_id: int, evidence: Evidence) -> None:
    event = _event(joining.state, evidence.way)
    log_consent(database, event, joining.list_id, subscriber_id, now=joining.now, evidence=evidence)


def _event(state: SubscriptionState, way: Way) -> ConsentEvent:
    """Return what the log calls it that a person stands on a list from now on."""
    return _NOT_ACTIVE.get(state) or _JOINING.get(way, ConsentEvent.CONFIRMED)


# ---------------------------------------------------------------------------------------------------------------------
# A batch of an import
# ---------------------------------------------------------------------------------------------------------------------


class _TakeBackError(Exception):
    """End the transaction of a dry run."""


def import_batch(
    database: Database, joining: Joining, hashed: Sequence[tuple[bytes, NewSubscriber]], *, dry_run: bool
) -> list[Change]:
    """Take in a batch of people, with the hash of each address, in one transaction; return each one's change."""
    batch = _Batch(database, joining, hashed)
    with contextlib.suppress(_TakeBackError), database.transaction():
        batch.take_in()
        if dry_run:
            raise _TakeBackError
    return batch.changes


class _Batch:
    """Take in one batch: those who are new by a few statements for all of them, the others one at a time."""

    def __init__(self, database: Database, joining: Joining, hashed: Sequence[tuple[bytes, NewSubscriber]]) -> None:
        self._database = database
        self._joining = joining
        self._hashed = hashed
        self._usual: Mapping[str, object] = {
            "origin": storable(joining.origin),
            "joined_at": joining.now,
            "paused_until": 0,
        }
        self._suppressed: list[int] = []
        self.changes: list[Change] = [Change.ADDED] * len(hashed)

    def take_in(self) -> None:
        """Take everybody in; ``changes`` says in order what that did."""
        seen: set[bytes] = set()
        again: list[int] = []
        staged: list[dict[str, object]] = []
        for number, (digest, new) in enumerate(self._hashed):
            if digest in seen or new.standing.state is None:
                again.append(number)
            else:
                staged.append(self._stage(number, digest, new))
            seen.add(digest)
        self._take_staged(staged)
        for number in again:
            self.changes[number] = self._take_one(*self._hashed[number])

    def _stage(self, number: int, digest: bytes, new: NewSubscriber) -> dict[str, object]:
        address, name, language, time_zone, attributes, topics, (way, source, reason), standing = new
        if standing is ACTIVE_STANDING:
            state, where = self._joining.state, self._usual
        else:
            state, where = standing.state or self._joining.state, self._where(number, standing)
        return {
            "number": number,
            "hash": digest,
            "state": state,
            **where,
            "event": _event(state, way),
            "way": way,
            "source": storable(source),
            "reason": storable(reason),
            "address": address,
            "domain": domain_of(address),
            "name": storable(name),
            "language": storable(language),
            "time_zone": storable(time_zone),
            "attributes": _joined("{}", attributes) if attributes else "{}",
            "topics": _topics_text(topics),
        }

    def _where(self, number: int, standing: Standing) -> dict[str, object]:
        """Note what else follows from a standing, and return what the store keeps of it beside the state."""
        if standing.state in LEFT:
            self.changes[number] = Change.GONE
        if standing.suppressed:
            self._suppressed.append(number)
        return {
            "origin": storable(standing.origin) if standing.origin else self._usual["origin"],
            "joined_at": to_micros(standing.joined_at) if standing.joined_at else self._joining.now,
            "paused_until": to_micros(standing.paused_until) if standing.paused_until else 0,
        }

    def _take_staged(self, staged: list[dict[str, object]]) -> None:
        database, joining = self._database, self._joining
        database.change_all("stage_person", staged)
        known = database.rows("known_staged", list=joining.list_id)
        if known:
            database.change_all("unstage_person", ({"number": row[0]} for row in known))
        database.change("insert_staged_people", now=joining.now)
        database.change("insert_staged_subscriptions", list=joining.list_id, now=joining.now)
        database.change("log_staged_consents", list=joining.list_id, now=joining.now)
        database.change("clear_staged")
        for number, suppression, *row in known:
            self.changes[number] = self._take_known(self._hashed[number][1], suppression, tuple(row))
        for number in self._suppressed:
            self.changes[number] = self._suppress(*self._hashed[number])

    def _take_one(self, digest: bytes, new: NewSubscriber) -> Change:
        """Take in somebody who comes for the second time, or of whom is only known that they must not be mailed."""
        suppression = self._database.row("find_suppression", hash=digest)
        row = self._database.row("find_person", hash=digest, list=self._joining.list_id)
        if suppression is None and row is not None and new.standing.state is not None:
            change = self._take_known(new, None, row)
        else:
            change = Change.GONE if new.standing.is_gone else Change.SUPPRESSED
        return self._suppress(digest, new) if new.standing.suppressed else change

    def _suppress(self, digest: bytes, new: NewSubscriber) -> Change:
        self._database.change(
            "insert_suppression",
            hash=digest,
            reason=new.standing.suppressed,
            now=self._joining.now,
            note=storable(new.evidence.source),
        )
        return Change.GONE

    def _take_known(self, new: NewSubscriber, suppression: str | None, row: Row) -> Change:
        """Bring somebody up to date of whom the store knows, perhaps only that they must not be mailed."""
        standing = new.standing
        if suppression is not None:
            return Change.GONE if standing.is_gone else Change.SUPPRESSED
        if standing.state in LEFT:
            return self._end(new, row)
        joining = self._joining
        if standing is not ACTIVE_STANDING:
            joining = replace(joining, state=standing.state or joining.state, origin=standing.origin or joining.origin)
        return _add_known(self._database, joining, new, row)

    def _end(self, new: NewSubscriber, row: Row) -> Change:
        """Let somebody leave who had left where the import comes from; their details stay as they are here."""
        database, joining, state = self._database, self._joining, new.standing.state
        assert state is not None
        subscriber_id, address, here = row[0], row[1], row[7]
        if address is None or here in LEFT:
            return Change.GONE
        values = {"list": joining.list_id, "subscriber": subscriber_id, "state": state, "now": joining.now}
        if here is None:
            database.change("insert_subscription", **values, origin=storable(new.standing.origin or joining.origin))
        else:
            database.change("change_subscription", **values)
        event = _event(state, new.evidence.way)
        log_consent(database, event, joining.list_id, subscriber_id, now=joining.now, evidence=new.evidence)
        return Change.GONE


# ---------------------------------------------------------------------------------------------------------------------
# What the store keeps of a person
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Details:
    """Hold what the store keeps of a person, in the order of the query ``find_person``."""

    address: str | None
    name: str
    language: str
    time_zone: str
    attributes: str
    topics: str

    def overlaid(self, new: NewSubscriber) -> "Details":
        """Return the details with what ``new`` knows put over them; the address stays as it was first written."""
        attributes = self.attributes
        if new.attributes:
            attributes = _joined(attributes, new.attributes)
        return Details(
            address=self.address or new.address,
            name=storable(new.name) or self.name,
            language=storable(new.language) or self.language,
            time_zone=storable(new.time_zone) or self.time_zone,
            attributes=attributes,
            topics=_topics_text(new.topics) or self.topics,
        )

    def as_parameters(self) -> dict[str, str]:
        """Return the parameters of the queries that write a person."""
        address = self.address or ""
        return {
            "address": address,
            "domain": domain_of(address),
            "name": self.name,
            "language": self.language,
            "time_zone": self.time_zone,
            "attributes": self.attributes,
            "topics": self.topics,
        }


def _joined(held: str, added: Mapping[str, str]) -> str:
    """Return attributes as JSON, with those of ``added`` put over those held."""
    cleaned = {storable(key): storable(value) for key, value in added.items()}
    return _ENCODER.encode(cleaned if held == "{}" else json.loads(held) | cleaned).decode()


@functools.lru_cache(maxsize=1024)
def _topics_text(topics: tuple[str, ...]) -> str:
    """Return topics as the store keeps them; kept for a while, as ``read_topics`` is."""
    return join_topics(map(storable, topics))


_ENCODER = msgspec.json.Encoder(order="sorted")
_NOTHING = Details(None, "", "", "", "{}", "")
