"""Keep the buckets of a run, and the rows that wait for a token of their domain while others go.

Where the token comes soon, the row is kept in hand; where that takes longer, it goes back to the ledger, due when its
turn will about be, and uncharged. So a domain of half a million that may have ten messages a second holds nobody else
up and takes no memory, and the run goes on with it as its rows come due.

Crash points: what the buckets gave out is kept a second late at the most, so that after a crash a second's worth may go
twice as fast. Rows in hand are CLAIMED, and the next run gives them back.

Not here: when a token is there (``pace``). One thread at a time: ``claims`` sees to that.
"""

import datetime as dt
import heapq
import itertools
from collections import Counter
from collections.abc import Mapping

from newsletter.delivery import Delivery
from newsletter.pace import Rate, after_one, ready_at
from newsletter.store import Store
from newsletter.transports import Line

HELD_MAX, HELD_FOR = 1000, dt.timedelta(seconds=10)
"""How many rows without a token are kept in hand, and for how long; the others go back to the ledger."""
_SAVED_EVERY = dt.timedelta(seconds=1)
_ZERO = dt.timedelta(0)


class Pacing:
    """Hold buckets by the rates of transports and of recipients' domains; ``"*"`` is the rate of every other domain."""

    def __init__(self, store: Store, domains: Mapping[str, Rate], now: dt.datetime) -> None:
        self._store = store
        self._domains = domains
        self._full_at = dict(store.buckets.load_buckets(now))
        self._changed: dict[str, dt.datetime] = {}
        self._saved_at = now
        self._held: list[tuple[dt.datetime, int, Delivery]] = []
        self._numbers = itertools.count()
        self._holding: Counter[str] = Counter()
        self._slots: dict[str, dt.datetime] = {}
        self._put_off: dict[dt.datetime, list[Delivery]] = {}
        self._due: list[dt.datetime] = []

    def seconds_for(self, line: Line, now: dt.datetime) -> float:
        """Return the seconds until the transport may take a message, 0.0 where it may now."""
        rate = line.transport.rate
        if rate is None:
            return 0.0
        return (ready_at(self._full_at.get(_transport_bucket(line)), rate, now) - now).total_seconds()

    def pop_ready(self, now: dt.datetime) -> Delivery | None:
        """Return a row that waited for its token and has it now, if there is one."""
        while self._held and self._held[0][0] <= now:
            delivery = heapq.heappop(self._held)[2]
            self._holding[delivery.domain] -= 1
            if self.pass_or_keep(delivery, now):
                return delivery
        return None

    def pass_or_keep(self, delivery: Delivery, now: dt.datetime) -> Delivery | None:
        """Return the row where its domain has a token; else keep it until there is one, or put it off."""
        domain = delivery.domain
        rate = self._rate(domain)
        if rate is None:
            return delivery
        ready = ready_at(self._full_at.get(_domain_bucket(domain)), rate, now)
        if ready <= now:
            return delivery
        near = ready + rate.interval * self._holding[domain]
        if near - now <= HELD_FOR and len(self._held) < HELD_MAX:
            self._holding[domain] += 1
            heapq.heappush(self._held, (near, next(self._numbers), delivery))
        else:
            self._put_off_row(delivery, max(near, self._slots.get(domain, near)), rate)
        return None

    def charge(self, line: Line, domain: str, now: dt.datetime) -> None:
        """Take a token of the transport and one of the domain."""
        buckets = ((_transport_bucket(line), line.transport.rate), (_domain_bucket(domain), self._rate(domain)))
        for name, rate in buckets:
            if rate:
                self._full_at[name] = self._changed[name] = after_one(self._full_at.get(name), rate, now)
        if now - self._saved_at >= _SAVED_EVERY:
            self._save(now)

    def seconds_to_next(self, now: dt.datetime) -> float:
        """Return the seconds until a row that waits has its turn, 0.0 where none waits."""
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
        instants = [*(entry[0] for entry in self._held[:1]), *self._due[:1]]
        return max((min(instants) - now).total_seconds(), 0.001) if instants else 0.0

    def take_put_off(self) -> list[tuple[dt.datetime, list[Delivery]]]:
        """Return the rows to be put off since the last call, with the instant at which they are due again."""
        put_off, self._put_off = sorted(self._put_off.items()), {}
        return put_off

    def close(self, now: dt.datetime) -> list[Delivery]:
        """Return every row in hand, keep what the buckets gave out, and forget those that are full again."""
        left = [entry[2] for entry in self._held]
        left += (delivery for _, rows in self.take_put_off() for delivery in rows)
        self._held.clear()
        self._save(now)
        self._store.buckets.forget_full_buckets(now)
        return left

    def _rate(self, domain: str) -> Rate | None:
        return self._domains.get(domain) or self._domains.get("*")

    def _put_off_row(self, delivery: Delivery, slot: dt.datetime, rate: Rate) -> None:
        """Give the row the next slot of its domain; rows of about the same slot come back together, to be kept then."""
        self._slots[delivery.domain] = slot + rate.interval
        window = slot - _since_epoch(slot) % HELD_FOR if rate.interval < HELD_FOR else slot
        if window not in self._put_off:
            heapq.heappush(self._due, window)
        self._put_off.setdefault(window, []).append(delivery)

    def _save(self, now: dt.datetime) -> None:
        if self._changed:
            self._store.buckets.save_buckets(self._changed)
            self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
            self._slots = {domain: slot for domain, slot in self._slots.items() if slot > now}
        self._changed, self._saved_at = {}, now


def _transport_bucket(line: Line) -> str:
    return f"transport:{line.transport.name}"


def _domain_bucket(domain: str) -> str:
    return f"domain:{domain}"


def _since_epoch(instant: dt.datetime) -> dt.timedelta:
    return instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
