"""Let subscribers choose: confirm, join, leave, pause, say what they want; and keep the log of what they consented to.

Whoever calls has proven that it is the subscriber's own wish (a signed token, ``tokens``), or acts for them. Each wish
is written down with its evidence in the transaction that fulfils it. Not here: adding people, which is
``subscribers``'.
"""

import datetime as dt
import secrets

from newsletter.addresses import address_hash, domain_of
from newsletter.store.database import Database, Row, from_micros, storable, to_micros
from newsletter.store.joining import log_consent
from newsletter.store.records import Consent, ConsentEvent, Evidence, Preferences, Subscriber, SubscriptionState, Way
from newsletter.store.subscribers import subscriber_of
from newsletter.topics import join_topics

_PERSONAL = {
    ConsentEvent.PREFERENCES: "change_preferences",
    ConsentEvent.PAUSED: "pause_subscriber",
    ConsentEvent.RESUMED: "resume_subscriber",
}
"""The queries by which a person changes, not one of their subscriptions."""


class Choices:
    """Read and write what subscribers choose; each method that writes tells whether that changed anything."""

    def __init__(self, database: Database, address_key: bytes = b"") -> None:
        self._database = database
        self._address_key = address_key

    # -- lists --------------------------------------------------------------------------------------------------------

    def confirm_subscription(self, list_id: int, subscriber_id: int, now: dt.datetime, evidence: Evidence) -> bool:
        """Make a pending subscription active, and only a pending one: who left meanwhile stays away.

        Somebody who was erased and came back by themselves may be mailed again from here on.
        """
        with self._database.transaction():
            changed = self._move(
                "confirm_subscription",
                ConsentEvent.CONFIRMED,
                list_id,
                subscriber_id,
                now=to_micros(now),
                evidence=evidence,
            )
            if changed:
                self._database.change("lift_erasure", subscriber=subscriber_id)
        return changed

    def join_list(self, list_id: int, subscriber_id: int, now: dt.datetime, evidence: Evidence) -> bool:
        """Put a known subscriber on one more list, or back on one, at their own proven wish.

        False for somebody who is on it, and for an erased or unknown person.
        """
        micros = to_micros(now)
        with self._database.transaction():
            joined = self._database.change(
                "join_list", list=list_id, subscriber=subscriber_id, origin=str(evidence.way), now=micros
            )
            if joined:
                log_consent(
                    self._database, ConsentEvent.CONFIRMED, list_id, subscriber_id, now=micros, evidence=evidence
                )
        return joined > 0

    def leave_list(self, list_id: int, subscriber_id: int, now: dt.datetime, evidence: Evidence) -> bool:
        """Unsubscribe a person, pending or active, from one list. After the commit no dot is sent to them for it."""
        with self._database.transaction():
            return self._move(
                "leave_list", ConsentEvent.LEFT, list_id, subscriber_id, now=to_micros(now), evidence=evidence
            )

    def leave_all_lists(self, subscriber_id: int, now: dt.datetime, evidence: Evidence) -> int:
        """Unsubscribe a person from every list; return how many they left."""
        with self._database.transaction():
            return sum(
                self.leave_list(found.list_id, subscriber_id, now, evidence)
                for found in self.load_subscriptions(subscriber_id)
            )

    def load_subscriptions(self, subscriber_id: int) -> tuple[Subscriber, ...]:
        """Return the person as they stand on each list they were ever on, the oldest list first."""
        return tuple(map(subscriber_of, self._database.rows("load_subscriptions", subscriber=subscriber_id)))

    def add_reason(self, list_id: int, subscriber_id: int, evidence: Evidence) -> bool:
        """Write ``evidence.reason`` to the line of the log that says that the person left (0: whatever list), once."""
        changed = self._database.change(
            "add_reason", list=list_id, subscriber=subscriber_id, reason=storable(evidence.reason)
        )
        return changed > 0

    # -- preferences --------------------------------------------------------------------------------------------------

    def change_preferences(self, subscriber_id: int, wanted: Preferences, now: dt.datetime, evidence: Evidence) -> bool:
        """Set what a subscriber wants to be known of them: name, language, time zone, topics."""
        return self._change_person(
            ConsentEvent.PREFERENCES,
            subscriber_id,
            now,
            evidence,
            name=_text(wanted.name),
            language=_text(wanted.language),
            time_zone=_text(wanted.time_zone),
            topics=None if wanted.topics is None else join_topics(map(storable, wanted.topics)),
        )

    def pause_subscriber(self, subscriber_id: int, until: dt.datetime, now: dt.datetime, evidence: Evidence) -> bool:
        """Let a subscriber rest until an instant: in no audience that is frozen before, and no mail before."""
        return self._change_person(ConsentEvent.PAUSED, subscriber_id, now, evidence, until=to_micros(until))

    def resume_subscriber(self, subscriber_id: int, now: dt.datetime, evidence: Evidence) -> bool:
        """End a subscriber's pause now."""
        return self._change_person(ConsentEvent.RESUMED, subscriber_id, now, evidence)

    def change_address(self, subscriber_id: int, address: str, now: dt.datetime, evidence: Evidence) -> bool:
        """Give a subscriber another normalised address, which its own mailbox confirmed.

        Where somebody has that address already, they are put on the lists of both, and the person of the old one leaves
        them. The old address is kept out of imports. False for an erased person.
        """
        micros, digest = to_micros(now), address_hash(self._address_key, address)
        with self._database.transaction():
            other = self._database.row("find_other", hash=digest, subscriber=subscriber_id)
            if other:
                return self._merge(subscriber_id, other[0], now, evidence)
            self._database.change("suppress_former", subscriber=subscriber_id, now=micros)
            changed = self._database.change(
                "change_address",
                subscriber=subscriber_id,
                address=storable(address),
                hash=digest,
                domain=domain_of(address),
                now=micros,
            )
            self._database.change("lift_erasure", subscriber=subscriber_id)
            if changed:
                event = ConsentEvent.PREFERENCES
                log_consent(self._database, event, None, subscriber_id, now=micros, evidence=evidence)
        return changed > 0

    def _merge(self, subscriber_id: int, other_id: int, now: dt.datetime, evidence: Evidence) -> bool:
        """Put the person ``other_id`` on every list that ``subscriber_id`` leaves."""
        standing = [each for each in self.load_subscriptions(subscriber_id) if each.state is SubscriptionState.ACTIVE]
        for each in standing:
            self.join_list(each.list_id, other_id, now, evidence)
        return self.leave_all_lists(subscriber_id, now, evidence) > 0 or bool(standing)

    # -- requests -----------------------------------------------------------------------------------------------------

    def renew_request(self, list_id: int, subscriber_id: int, now: dt.datetime) -> None:
        """Let a request that was made again, and is not confirmed yet, count from now."""
        self._database.change("renew_request", list=list_id, subscriber=subscriber_id, now=to_micros(now))

    def forget_requests(self, before: dt.datetime, now: dt.datetime) -> int:
        """Delete requests that nobody confirmed, made last before an instant; return how many.

        With them goes what is known of people of whom nothing else is. Who had left a list before they asked to come
        back has left it again, so that no import brings them back.
        """
        with self._database.transaction():
            stale = self._database.rows("stale_requests", before=to_micros(before))
            for list_id, subscriber_id, has_left in stale:
                where = {"list": list_id, "subscriber": subscriber_id}
                if has_left:
                    self._database.change("return_request", now=to_micros(now), **where)
                    continue
                self._database.change("delete_request", **where)
                self._database.change("delete_change_of_nobody", subscriber=subscriber_id)
                self._database.change("delete_consents_of_nobody", subscriber=subscriber_id)
                chance = secrets.token_bytes(32)
                self._database.change("empty_nobody", subscriber=subscriber_id, chance=chance, now=to_micros(now))
        return len(stale)

    # -- the log ------------------------------------------------------------------------------------------------------

    def load_consents(self, subscriber_id: int) -> tuple[Consent, ...]:
        """Return the log of what a person consented to, oldest first."""
        return tuple(map(_consent, self._database.rows("load_consents", subscriber=subscriber_id)))

    # -- parts --------------------------------------------------------------------------------------------------------

    def _move(
        self, query: str, event: ConsentEvent, list_id: int, subscriber_id: int, *, now: int, evidence: Evidence
    ) -> bool:
        changed = self._database.change(query, list=list_id, subscriber=subscriber_id, now=now)
        if changed:
            log_consent(self._database, event, list_id, subscriber_id, now=now, evidence=evidence)
        return changed > 0

    def _change_person(
        self, event: ConsentEvent, subscriber_id: int, now: dt.datetime, evidence: Evidence, **values: object
    ) -> bool:
        micros = to_micros(now)
        with self._database.transaction():
            changed = self._database.change(_PERSONAL[event], subscriber=subscriber_id, now=micros, **values)
            if changed:
                log_consent(self._database, event, None, subscriber_id, now=micros, evidence=evidence)
        return changed > 0


def _text(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _consent(row: Row) -> Consent:
    event, at, list_id, way, source, reason = row
    return Consent(ConsentEvent(event), from_micros(at), list_id, Evidence(Way(way), source, reason))
