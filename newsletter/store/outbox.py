"""Keep single mails until they are sent, and hold back whoever asks for too many: confirmations, notices.

What a stranger asks for is only written down here, in the same few statements whoever they are and whatever the store
knows of the address; what becomes of it is decided later, out of their sight (``outbox`` the use case). So answers tell
nothing apart, neither in bytes nor in time, and nothing is lost in a crash.

A mail is at the relay at most once, save where a process dies between the relay's answer and ``end_mail``: it is then
sent again under the same Message-ID. Not here: what the mails say (``letters``), and SMTP.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from newsletter.addresses import address_hash
from newsletter.errors import ConfigError
from newsletter.store.database import Database, Row, from_micros, from_micros_or_none, storable, to_micros

_MICROSECOND = dt.timedelta(microseconds=1)
_WAIT_MAX = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """Show a mail that waits: ``wish`` is what was asked, by name; ``due_at`` is when it is tried next."""

    kind: str
    address: str
    wish: Mapping[str, str]
    queued_at: dt.datetime
    attempts: int
    address_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """Show the address that a subscriber wants instead; ``hour`` is the ``extra`` of the token that confirms it."""

    address: str
    hour: int
    asked_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Allowance:
    """Name something that may be had ``count`` times in each ``per``; it fills up evenly."""

    name: str
    count: int
    per: dt.timedelta


class Outbox:
    """Read and write mails that wait, allowances and pending changes of address."""

    def __init__(self, database: Database, address_key: bytes) -> None:
        self._database = database
        self._address_key = address_key

    # -- mails --------------------------------------------------------------------------------------------------------

    def ask_mail(
        self,
        kind: str,
        address: str,
        wish: Mapping[str, str],
        now: dt.datetime,
        *,
        wait: dt.timedelta,
        allowances: Sequence[Allowance] = (),
    ) -> Allowance | None:
        """Write down that ``address`` (normalised) is to get a mail of this ``kind``; return an allowance used up.

        Within ``wait`` of the last such mail it is passed over in silence: that doubles with each mail, up to a day,
        and starts anew once nothing was asked for as long again. One transaction, with the same statements for any
        address.
        """
        first = wait // _MICROSECOND
        last = max(_WAIT_MAX // _MICROSECOND, first)
        with self._database.transaction():
            for allowance in allowances:
                if not self._take(allowance, to_micros(now)):
                    return allowance
            self._database.change(
                "queue_mail",
                hash=self._hash(address),
                kind=kind,
                address=storable(address),
                wish=json.dumps({name: storable(value) for name, value in wish.items()}, ensure_ascii=False),
                now=to_micros(now),
                free_at=to_micros(now) + first,
                next_wait=min(first * 2, last),
                wait_max=last,
            )
        return None

    def _take(self, allowance: Allowance, now: int) -> bool:
        """Take one of an allowance, and tell whether one was left; one statement, so two never take the same."""
        cost = allowance.per // _MICROSECOND // allowance.count
        taken = self._database.change(
            "take_allowance",
            name=storable(allowance.name),
            now=now,
            cost=cost,
            first=now + cost,
            latest=now + cost * (allowance.count - 1),
        )
        return taken > 0

    def take_mails(self, now: dt.datetime, *, limit: int, lease: dt.timedelta) -> tuple[QueuedMail, ...]:
        """Take up to ``limit`` mails that are due; whoever else asks does not get them for the time of the ``lease``.

        A process that dies with a mail in hand leaves it to the next one, when its lease is over.
        """
        until = to_micros(now + lease)
        taken = []
        with self._database.transaction():
            for row in self._database.rows("due_mails", now=to_micros(now), limit=limit):
                self._database.change(
                    "take_mail", hash=row[0], kind=row[1], queued_at=row[4], due_at=row[5], until=until
                )
                taken.append(_mail(row))
        return tuple(taken)

    def put_back_mail(self, mail: QueuedMail, due_at: dt.datetime) -> None:
        """Let a mail that was taken be tried again at ``due_at``."""
        self._database.change(
            "put_back_mail",
            hash=mail.address_hash,
            kind=mail.kind,
            queued_at=to_micros(mail.queued_at),
            due_at=to_micros(due_at),
        )

    def end_mail(self, mail: QueuedMail) -> None:
        """Be done with a mail, sent or given up: forget its address and wish; only the cooldown stays."""
        self._database.change("end_mail", hash=mail.address_hash, kind=mail.kind, queued_at=to_micros(mail.queued_at))

    def next_mail_at(self) -> dt.datetime | None:
        """Return when the next mail is due, or None where none waits."""
        row = self._database.row("next_mail_at")
        return from_micros_or_none(row[0]) if row else None

    def count_mails(self) -> int:
        """Return how many mails wait."""
        row = self._database.row("count_mails")
        return int(row[0]) if row else 0

    # -- cooldowns ----------------------------------------------------------------------------------------------------

    def forget_old(self, now: dt.datetime) -> int:
        """Forget cooldowns that are over and changes of address that nobody confirmed in time; return how many."""
        micros = to_micros(now)
        with self._database.transaction():
            return (
                self._database.change("forget_mails", now=micros)
                + self._database.change("forget_allowances", now=micros)
                + self._database.change("forget_address_changes", hour=int(now.timestamp()) // 3600)
            )

    # -- changes of address -------------------------------------------------------------------------------------------

    def find_address_change(self, subscriber_id: int) -> AddressChange | None:
        """Return the address that the subscriber wants instead, or None."""
        row = self._database.row("find_address_change", subscriber=subscriber_id)
        return AddressChange(address=row[0], hour=row[1], asked_at=from_micros(row[2])) if row else None

    def save_address_change(self, subscriber_id: int, address: str, hour: int, now: dt.datetime) -> AddressChange:
        """Remember the address that the subscriber wants; a wish that was there before is void.

        ``hour`` is the token's; the change that is returned may have a later one, which no token was ever given.
        """
        with self._database.transaction():
            known = self.find_address_change(subscriber_id)
            if known and known.address == address and known.hour >= hour:
                return known  # the same mail, tried again
            self._database.change(
                "save_address_change",
                subscriber=subscriber_id,
                address=storable(address),
                hour=hour,
                now=to_micros(now),
            )
            found = self.find_address_change(subscriber_id)
        assert found is not None
        return found

    def drop_address_change(self, subscriber_id: int) -> bool:
        """Forget the address that the subscriber wanted; tell whether there was one."""
        return self._database.change("delete_address_change", subscriber=subscriber_id) > 0

    def _hash(self, address: str) -> bytes:
        if not self._address_key:
            raise ConfigError(
                "mails are found by a keyed hash of their address, and no key was given; set [newsletter] secret_file"
            )
        return address_hash(self._address_key, address)


def _mail(row: Row) -> QueuedMail:
    return QueuedMail(
        kind=row[1],
        address=row[2],
        wish=json.loads(row[3]),
        queued_at=from_micros(row[4]),
        attempts=row[6],
        address_hash=bytes(row[0]),
    )
