"""Keep lists, subscribers, their subscriptions and suppressions: who may be mailed, and since when and why not.

A subscriber is found by the keyed hash of the address (``addresses.address_hash``). It moves to the suppressions when
the person is erased, so that nobody comes back with the next import. Not here: parsing CSV, tokens, double opt-in
mails, how a person is put on a list (``joining``), and what subscribers choose for themselves (``choices``).
"""

import datetime as dt
import itertools
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping

from newsletter.addresses import address_hash
from newsletter.errors import ConfigError
from newsletter.store.database import Database, Row, from_micros, storable, to_micros
from newsletter.store.joining import BATCH, Joining, add_person, import_batch, log_consent
from newsletter.store.records import (
    BY_OPERATOR,
    Change,
    ConsentEvent,
    Evidence,
    NewSubscriber,
    Subscriber,
    SubscriberList,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from newsletter.topics import split_topics

_PAGE = 1000
_EVENTS = {
    SubscriptionState.PENDING: ConsentEvent.SUBSCRIBED,
    SubscriptionState.ACTIVE: ConsentEvent.CONFIRMED,
    SubscriptionState.UNSUBSCRIBED: ConsentEvent.LEFT,
    SubscriptionState.REMOVED: ConsentEvent.REMOVED,
}
"""What the log of consent calls a change to each state."""


class Subscribers:
    """Read and write lists, subscribers and suppressions; ``address_key`` makes the hashes, and never rotates."""

    def __init__(self, database: Database, address_key: bytes) -> None:
        self._database = database
        self._address_key = address_key

    # -- lists --------------------------------------------------------------------------------------------------------

    def ensure_list(self, name: str, now: dt.datetime, title: str = "") -> SubscriberList:
        """Return the list called ``name``, made with ``title`` where there is none."""
        with self._database.transaction():
            self._database.change("insert_list", name=storable(name), title=storable(title), now=to_micros(now))
            found = self.find_list(name)
        assert found is not None
        return found

    def find_list(self, name: str) -> SubscriberList | None:
        """Return the list called ``name``, or None."""
        row = self._database.row("find_list", name=storable(name))
        return SubscriberList(*row) if row else None

    def rename_list(self, name: str, new_name: str, title: str) -> bool:
        """Give a list another name and title; False where there is none, or another has that name."""
        with self._database.transaction():
            if new_name != name and self.find_list(new_name):
                return False
            values = {"name": storable(name), "new": storable(new_name), "title": storable(title)}
            return self._database.change("rename_list", **values) > 0

    def load_lists(self) -> tuple[SubscriberList, ...]:
        """Return all lists, oldest first."""
        return tuple(SubscriberList(*row) for row in self._database.rows("load_lists"))

    # -- subscribers --------------------------------------------------------------------------------------------------

    def add_subscriber(
        self,
        list_id: int,
        new: NewSubscriber,
        now: dt.datetime,
        *,
        origin: str,
        state: SubscriptionState = SubscriptionState.ACTIVE,
        readmit: bool = False,
    ) -> Change:
        """Put one person on a list, or bring what is known of them up to date.

        ``origin`` says where the consent comes from. A suppressed address is refused always, a person who left
        (unsubscribed or removed) unless ``readmit`` says that they asked for it anew; so is somebody who was erased,
        for whom only ``Choices.confirm_subscription`` lifts the suppression. A subscription that is there keeps its
        state: nothing but its own confirmation makes a pending one active.
        """
        consent = Joining(list_id, state, origin, readmit, to_micros(now))
        with self._database.transaction():
            return add_person(self._database, consent, new, self._hash(new.address))

    def import_subscribers(
        self,
        list_id: int,
        people: Iterable[NewSubscriber],
        now: dt.datetime,
        *,
        origin: str,
        batch: int = BATCH,
        dry_run: bool = False,
    ) -> Iterator[Change]:
        """Add ``people`` as ``add_subscriber`` does, ``batch`` in each transaction, and yield each one's change.

        Memory stays constant. A change is yielded only after its commit; what was not asked for was not read. With
        ``dry_run`` each batch is taken back, so somebody who comes twice in different batches is told as new twice.
        """
        joining = Joining(list_id, SubscriptionState.ACTIVE, origin, readmit=False, now=to_micros(now))
        remaining = iter(people)
        with self._database.bulk():
            while some := list(itertools.islice(remaining, batch)):
                hashed = [(self._hash(new.address), new) for new in some]
                yield from import_batch(self._database, joining, hashed, dry_run=dry_run)

    def find_subscriber(self, list_id: int, address: str) -> Subscriber | None:
        """Return the subscriber with this normalised address on the list, in whatever state, or None."""
        row = self._database.row("find_subscriber", list=list_id, hash=self._hash(address))
        return subscriber_of(row) if row else None

    def load_subscriber(self, list_id: int, subscriber_id: int) -> Subscriber | None:
        """Return the subscriber with this number on the list, in whatever state, or None."""
        row = self._database.row("load_subscriber", list=list_id, subscriber=subscriber_id)
        return subscriber_of(row) if row else None

    def list_subscribers(self, list_id: int, state: SubscriptionState | None = None) -> Iterator[Subscriber]:
        """Yield the list's subscribers in the order in which they were first seen, a page at a time."""
        after = 0
        while True:
            if state is None:
                rows = self._database.rows("list_subscribers", list=list_id, after=after, limit=_PAGE)
            else:
                rows = self._database.rows(
                    "list_subscribers_in_state", list=list_id, state=state, after=after, limit=_PAGE
                )
            yield from map(subscriber_of, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def export_subscribers(self, list_id: int) -> Iterator[tuple[Subscriber, SuppressionReason | None]]:
        """Yield everybody who was ever on the list, with why they must not be mailed; a page at a time."""
        after = 0
        while rows := self._database.rows("export_subscribers", list=list_id, after=after, limit=_PAGE):
            for row in rows:
                yield subscriber_of(row), SuppressionReason(row[13]) if row[13] else None
            after = rows[-1][0]

    def find_person(self, address: str) -> int | None:
        """Return the number of the person with this normalised address, on whatever list, or None."""
        row = self._database.row("find_person_id", hash=self._hash(address))
        return int(row[0]) if row else None

    def count_subscribers(self, list_id: int) -> Mapping[SubscriptionState, int]:
        """Return how many subscribers the list has in each state; every state is there."""
        counts: dict[str, int] = dict(self._database.rows("count_subscribers", list=list_id))
        return {state: counts.get(state, 0) for state in SubscriptionState}

    def change_subscription(
        self,
        list_id: int,
        subscriber_id: int,
        state: SubscriptionState,
        now: dt.datetime,
        evidence: Evidence = BY_OPERATOR,
    ) -> bool:
        """Set where a subscriber stands on a list, and tell whether that changed anything.

        After the commit of a change away from active, no dot is sent to them.
        """
        micros = to_micros(now)
        with self._database.transaction():
            changed = self._database.change(
                "change_subscription", list=list_id, subscriber=subscriber_id, state=state, now=micros
            )
            if changed:
                log_consent(self._database, _EVENTS[state], list_id, subscriber_id, now=micros, evidence=evidence)
        return changed > 0

    def remove_subscriber(self, list_id: int, address: str, now: dt.datetime, evidence: Evidence = BY_OPERATOR) -> bool:
        """Take the person with this address off the list for good; tell whether they were on it."""
        found = self.find_subscriber(list_id, address)
        if found is None:
            return False
        return self.change_subscription(list_id, found.subscriber_id, SubscriptionState.REMOVED, now, evidence)

    def erase_subscriber(self, subscriber_id: int, now: dt.datetime, evidence: Evidence = BY_OPERATOR) -> bool:
        """Erase everything personal about a subscriber, and tell whether there was anything.

        Address, name, language, zone, topics, attributes, domain, notes, the texts of replies and where consent came
        from go; the keyed hash moves to the suppressions, and chance takes its place. Every row of the ledger stays, so
        that no count changes. Subscriptions end as removed.
        """
        micros = to_micros(now)
        with self._database.transaction():
            self._database.change("erase_mails", subscriber=subscriber_id)
            self._database.change("delete_address_change", subscriber=subscriber_id)
            self._database.change("suppress_erased", subscriber=subscriber_id, now=micros)
            self._database.change("erase_note", subscriber=subscriber_id)
            chance = secrets.token_bytes(32)
            erased = self._database.change("erase_person", subscriber=subscriber_id, chance=chance, now=micros) > 0
            self._database.change("end_subscriptions", subscriber=subscriber_id, now=micros)
            self._database.change("erase_deliveries", subscriber=subscriber_id)
            self._database.change("erase_attempts", subscriber=subscriber_id)
            self._database.change("erase_consents", subscriber=subscriber_id)
            self._database.change("erase_bounces", subscriber=subscriber_id)
            if erased:
                log_consent(
                    self._database,
                    ConsentEvent.ERASED,
                    None,
                    subscriber_id,
                    now=micros,
                    evidence=Evidence(evidence.way),
                )
        return erased

    # -- suppressions -------------------------------------------------------------------------------------------------

    def suppress_address(self, address: str, reason: SuppressionReason, now: dt.datetime, note: str = "") -> bool:
        """Never mail this address again, known or not; tell whether that is new. The first reason stays."""
        added = self._database.change(
            "insert_suppression", hash=self._hash(address), reason=reason, now=to_micros(now), note=storable(note)
        )
        return added > 0

    def find_suppression(self, address: str) -> Suppression | None:
        """Return why the address is suppressed, or None where it may be mailed."""
        row = self._database.row("find_suppression", hash=self._hash(address))
        return Suppression(SuppressionReason(row[0]), from_micros(row[1]), row[2]) if row else None

    def lift_suppression(self, address: str) -> bool:
        """Allow mail to the address again on an operator's word; tell whether it was suppressed."""
        return self._database.change("delete_suppression", hash=self._hash(address)) > 0

    def count_suppressions(self) -> int:
        """Return how many addresses are suppressed."""
        row = self._database.row("count_suppressions")
        return int(row[0]) if row else 0

    def _hash(self, address: str) -> bytes:
        if not self._address_key:
            raise ConfigError(
                "people are found by a keyed hash of their address, and no key was given; set [newsletter] secret_file"
            )
        return address_hash(self._address_key, address)


def subscriber_of(row: Row) -> Subscriber:
    """Return the subscriber in a row of ``find_subscriber`` and its like."""
    return Subscriber(
        subscriber_id=row[0],
        list_id=row[1],
        address=row[2],
        name=row[3],
        language=row[4],
        time_zone=row[5],
        attributes=json.loads(row[6]),
        state=SubscriptionState(row[7]),
        origin=row[8],
        joined_at=from_micros(row[9]),
        changed_at=from_micros(row[10]),
        topics=split_topics(row[11]),
        paused_until=from_micros(row[12]) if row[12] else None,
    )
