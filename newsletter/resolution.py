"""Settle rows in doubt: find out from a relay's log what became of them, or take an operator's word.

A row in doubt was sent to the final dot, and its answer never came. Its Message-ID is derived from the row, so the log
of the relay can be asked: what the relay took, counts as sent, also while it still waits there; what it returned, as
bounced; what it refused, is sent again, since nothing was mailed. What the log does not know stays in doubt, unless the
operator decides for the rest, and then only where the log reaches over the time of the row's final dot. A bounce that
comes later settles a row as well (``ledger.record_bounce``).

Use case: no argument parsing, no printing.
"""

import datetime as dt
import enum
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from newsletter.delivery import Account
from newsletter.errors import BusyError, InputError
from newsletter.messageids import message_id_key, message_id_of
from newsletter.postfixlog import Fate, PostfixLog, Verdict
from newsletter.store import DoubtfulRow, Send, Store, owner_name
from newsletter.store.ledger import mask_addresses
from newsletter.tokens import Keys

BEFORE_DOT, AFTER_DOT = dt.timedelta(minutes=5), dt.timedelta(minutes=1)
"""How far a log must reach around a final dot, to tell that the message was never there: the header is logged while the
text is still on its way, clocks differ, and lines are written late."""
_BATCH = 200


class Way(enum.StrEnum):
    """Say what an operator decides for rows in doubt."""

    RESEND = "resend"
    ASSUME_SENT = "assume sent"


class Settlement(enum.StrEnum):
    """Say what becomes of a row in doubt."""

    SENT = "sent"
    RESENT = "to be sent again"
    BOUNCED = "bounced"
    STAYS = "in doubt"
    MOVED = "settled meanwhile"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Pair a row that is in doubt, or was, with the Message-ID of its mail, in angle brackets."""

    row: DoubtfulRow
    message_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Say what is to become of a row, or became of it, and why."""

    doubt: Doubt
    settlement: Settlement
    why: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """Account for what was settled and what stays, in the order of the ledger; ``account`` is the send's afterwards."""

    send: Send
    account: Account
    decisions: tuple[Decision, ...]

    @property
    def staying(self) -> tuple[Decision, ...]:
        """Return the decisions that left a row in doubt."""
        return tuple(each for each in self.decisions if each.settlement is Settlement.STAYS)


def repair(store: Store, send_id: int, now: dt.datetime) -> bool:
    """Bring to light what a dead run left, so that its rows can be settled; tell whether a run is going on instead."""
    with suppress(BusyError), store.run_lock(owner_name(now)):
        store.ledger.recover_deliveries(send_id, store.ledger.list_owners(send_id), now)
        return False
    return True


def list_doubts(store: Store, send_id: int, keys: Keys, domain: str, *, ever: bool = False) -> Iterator[Doubt]:
    """Yield the rows in doubt with their Message-IDs, with ``ever`` those too that were; ``domain`` is From's."""

    @cache
    def key_of(edition_digest: str) -> bytes:
        return message_id_key(edition_digest, keys, send_id)

    for row in store.ledger.list_doubtful(send_id, ever=ever):
        key = key_of(row.edition_digest)
        yield Doubt(row, message_id_of(key, row.list_id, row.subscriber_id, domain))


def choose(doubts: Iterable[Doubt], addresses: Collection[str]) -> tuple[Doubt, ...]:
    """Return the doubts about these addresses, all of them for none; raise InputError for one that is not in doubt."""
    chosen = tuple(doubt for doubt in doubts if not addresses or doubt.row.address in addresses)
    known = {doubt.row.address for doubt in chosen}
    if missing := [address for address in addresses if address not in known]:
        raise InputError(
            f"{', '.join(missing)}: not in doubt in this send; 'newsletter resolve' without --only lists who is"
        )
    return chosen


def decide(doubt: Doubt, log: PostfixLog | None, way: Way | None) -> Decision:
    """Decide what becomes of one row by the log, and where that tells nothing, by the operator's word."""
    verdict = log.verdict(doubt.message_id) if log else None
    if verdict is not None:
        return Decision(doubt, *_by_verdict(verdict))
    if log is not None:
        if gap := _gap(doubt.row, log):
            return Decision(doubt, Settlement.STAYS, gap)
        if way is None:
            return Decision(doubt, Settlement.STAYS, "the log reaches over its time, and does not know it")
    if way is Way.RESEND:
        known = ", since the relay's log does not know it" if log else ""
        return Decision(doubt, Settlement.RESENT, f"sent again by an operator's word{known}")
    return Decision(doubt, Settlement.SENT, "taken as sent by an operator's word")


def _by_verdict(verdict: Verdict) -> tuple[Settlement, str]:
    if verdict.fate is Fate.SEEN:
        return Settlement.STAYS, f"the log saw it begin, and says no more: {verdict}"
    words = f"by the relay's log: {verdict}"
    if verdict.fate in (Fate.BOUNCED, Fate.EXPIRED):
        return Settlement.BOUNCED, words
    return Settlement.RESENT if verdict.fate is Fate.REFUSED else Settlement.SENT, words


def _gap(row: DoubtfulRow, log: PostfixLog) -> str:
    """Return why the log cannot tell that a message was never there, ``""`` where it can."""
    first, last = log.first_at, log.last_at
    if first is None or last is None:
        return "the log has no line of Postfix's"
    if row.marked_at - BEFORE_DOT < first:
        return f"the log begins too late for it, at {first:%Y-%m-%d %H:%M:%S%z}; name the one before as well"
    if row.marked_at + AFTER_DOT > last:
        return f"the log ends too early for it, at {last:%Y-%m-%d %H:%M:%S%z}; name the next one as well"
    return ""


def settle(store: Store, send_id: int, decisions: Iterable[Decision], clock: Callable[[], dt.datetime]) -> Resolution:
    """Carry out decisions, each a compare-and-set: a row that somebody else settled meanwhile is left alone.

    A finished send that gets a row to send is reopened, and the next run sends it.
    """
    done: list[Decision] = []
    waiting = iter(decisions)
    while batch := tuple(itertools.islice(waiting, _BATCH)):
        with store.database.transaction():
            done += [_carry_out(store, send_id, decision, clock()) for decision in batch]
    return Resolution(store.sends.load_send(send_id), store.sends.account(send_id), tuple(done))


def _carry_out(store: Store, send_id: int, decision: Decision, now: dt.datetime) -> Decision:
    number, reason = decision.doubt.row.subscriber_id, mask_addresses(decision.why)
    if decision.settlement is Settlement.STAYS:
        return decision
    if decision.settlement is Settlement.BOUNCED:
        is_done = store.ledger.record_bounce(send_id, number, reason, now)
    else:
        arrived = decision.settlement is Settlement.SENT
        is_done = store.ledger.settle_deliveries(send_id, [number], arrived=arrived, reason=reason, now=now) > 0
    return decision if is_done else Decision(decision.doubt, Settlement.MOVED, "another run or operator was faster")
