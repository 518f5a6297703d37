"""Keep lists, subscribers, their subscriptions and suppressions: who may be mailed, and since when and why not.

A subscriber is found by the keyed hash of the address (``addresses.address_hash``), which stays when the person is
erased, so that people who left do not come back with the next import. Not here: parsing CSV, tokens, double opt-in mails.
"""

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping

from newsletter.addresses import address_hash, domain_of
from newsletter.errors import ConfigError, InputError
from newsletter.store.database import Database, from_micros, storable, to_micros
from newsletter.store.records import (
    Change,
    NewSubscriber,
    Subscriber,
    SubscriberList,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

_PAGE = 1000


class Subscribers:
    """Read and write lists, subscribers and suppressions; ``address_key`` makes the hashes, and never rotates."""

    def __init__(self, database: Database, address_key: bytes) -> None:
        self._database = database
        self._address_key = address_key

    # -- lists --------------------------------------------------------------------------------------------------------

    def ensure_list(self, name: str, now: dt.datetime, title: str = "") -> SubscriberList:
        """Return the list called ``name``, made with ``title`` where there is none."""

    def find_list(self, name: str) -> SubscriberList | None:
        """Return the list called ``name``, or None."""

    def load_lists(self) -> tuple[SubscriberList, ...]:
        """Return all lists, oldest first."""

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
        (unsubscribed or removed) unless ``readmit`` says that they asked for it anew. A subscription that is there
        keeps its state: nothing but its own confirmation makes a pending one active.
        """

    def import_subscribers(
        self, list_id: int, people: Iterable[NewSubscriber], now: dt.datetime, *, origin: str, batch: int = _PAGE
    ) -> Iterator[Change]:
        """Add ``people`` as ``add_subscriber`` does, ``batch`` of them in each transaction, and yield each one's change.

        Memory stays constant. A change is yielded only after its commit; what was not asked for was not read.
        """

    def find_subscriber(self, list_id: int, address: str) -> Subscriber | None:
        """Return the subscriber with this normalised address on the list, in whatever state, or None."""

    def load_subscriber(self, list_id: int, subscriber_id: int) -> Subscriber | None:
        """Return the subscriber with this number on the list, in whatever state, or None."""

    def list_subscribers(self, list_id: int, state: SubscriptionState | None = None) -> Iterator[Subscriber]:
        """Yield the list's subscribers in the order in which they were first seen, a page at a time."""

    def count_subscribers(self, list_id: int) -> Mapping[SubscriptionState, int]:
        """Return how many subscribers the list has in each state; every state is there."""

    def change_subscription(
        self, list_id: int, subscriber_id: int, state: SubscriptionState, now: dt.datetime
    ) -> bool:
        """Set where a subscriber stands on a list, and tell whether that changed anything.

        After the commit of a change away from active, no dot is sent to them.
        """

    def remove_subscriber(self, list_id: int, address: str, now: dt.datetime) -> bool:
        """Take the person with this address off the list for good; tell whether they were on it."""

    def erase_subscriber(self, subscriber_id: int, now: dt.datetime) -> bool:
        """Erase everything personal about a subscriber, and tell whether there was anything.

        Address, name, language, zone, attributes, domain, and the texts of replies go; the keyed hash and every row of the
        ledger stay, so that no count changes. Subscriptions end as removed.
        """

    # -- suppressions -------------------------------------------------------------------------------------------------

    def suppress_address(self, address: str, reason: SuppressionReason, now: dt.datetime, note: str = "") -> bool:
        """Never mail this address again, known or not; tell whether that is new. The first reason stays."""

    def find_suppression(self, address: str) -> Suppression | None:
        """Return why the address is suppressed, or None where it may be mailed."""

    def lift_suppression(self, address: str) -> bool:
        """Allow mail to the address again on an operator's word; tell whether it was suppressed."""

    def count_suppressions(self) -> int:
        """Return how many addresses are suppressed."""
