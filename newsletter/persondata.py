"""Gather everything that is known of one person: what they may ask for, and what an operator needs to answer them.

Use case: no printing. Nothing is changed here.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from newsletter.addresses import parse_address
from newsletter.errors import InputError
from newsletter.store import Consent, LedgerRow, Store, Subscriber, Suppression


@dataclass(frozen=True, slots=True)
class PersonData:
    """Hold all of it: where they stand on each list, what they consented to, what was sent to them."""

    address: str
    subscriptions: tuple[Subscriber, ...]
    consents: tuple[Consent, ...]
    deliveries: tuple[tuple[str, LedgerRow], ...]
    suppression: Suppression | None
    lists: dict[int, str]

    def as_json(self) -> dict[str, Any]:
        """Return it as the person may be given it."""
        person = self.subscriptions[0] if self.subscriptions else None
        return {
            "address": self.address,
            "name": person.name if person else "",
            "language": person.language if person else "",
            "time_zone": person.time_zone if person else "",
            "topics": list(person.topics) if person else [],
            "attributes": dict(person.attributes) if person else {},
            "paused_until": _written(person.paused_until if person else None),
            "suppression": self._suppression(),
            "subscriptions": [self._subscription(each) for each in self.subscriptions],
            "consents": [self._consent(each) for each in self.consents],
            "deliveries": [_delivery(issue, row) for issue, row in self.deliveries],
        }

    def _suppression(self) -> dict[str, Any] | None:
        known = self.suppression
        if known is None:
            return None
        return {"reason": str(known.reason), "since": _written(known.since), "note": known.note}

    def _subscription(self, each: Subscriber) -> dict[str, Any]:
        return {
            "list": self.lists[each.list_id],
            "state": str(each.state),
            "origin": each.origin,
            "joined_at": _written(each.joined_at),
            "changed_at": _written(each.changed_at),
        }

    def _consent(self, each: Consent) -> dict[str, Any]:
        return {
            "event": str(each.event),
            "at": _written(each.at),
            "list": self.lists[each.list_id] if each.list_id else None,
            "way": str(each.evidence.way),
            "source": each.evidence.source,
            "reason": each.evidence.reason,
        }


def load_person(store: Store, email: str) -> PersonData:
    """Return what is known of an address; raise InputError where that is nothing."""
    address = parse_address(email)
    subscriber_id = store.subscribers.find_person(address)
    suppression = store.subscribers.find_suppression(address)
    if subscriber_id is None and suppression is None:
        raise InputError(f"{address}: nothing is known of this address")
    lists = {each.list_id: each.name for each in store.subscribers.load_lists()}
    if subscriber_id is None:
        return PersonData(address, (), (), (), suppression, lists)
    issues = {send.send_id: send.issue for send in store.sends.load_sends()}
    return PersonData(
        address=address,
        subscriptions=store.choices.load_subscriptions(subscriber_id),
        consents=store.choices.load_consents(subscriber_id),
        deliveries=tuple((issues[row.send_id], row) for row in store.ledger.list_person_deliveries(subscriber_id)),
        suppression=suppression,
        lists=lists,
    )


def _delivery(issue: str, row: LedgerRow) -> dict[str, Any]:
    return {
        "issue": issue,
        "edition_id": row.edition_id,
        "state": str(row.state),
        "attempts": row.attempts,
        "reply": str(row.reply or ""),
        "reason": row.reason,
        "changed_at": _written(row.changed_at),
    }


def _written(instant: dt.datetime | None) -> str | None:
    return instant.isoformat() if instant else None
