"""Post the letters that wait in the store: decide what became of each wish, write it, carry it to the relay.

A web server does so in a thread of its own, ``newsletter bounces`` after it has read mails. A letter that is deferred,
or whose relay is down, is tried again for two days; one that is refused for good is dropped, since it answers a wish
that anybody may have typed. Nothing here is part of the ledger, and no send waits for it.
"""

import datetime as dt
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.catalogs import Catalog
from newsletter.consent import Limits, forget_requests, plan_letter
from newsletter.errors import ConfigError, InputError, NewsletterError, RelayUnavailableError, StoreError
from newsletter.letters import LetterFrame, write_letter
from newsletter.mailer import Mailed, mail_letter
from newsletter.model import Reply
from newsletter.smtp import Connection
from newsletter.store import QueuedMail, Store

BATCH = 20
LEASE = dt.timedelta(minutes=30)
"""How long a letter that was taken is nobody else's: longer than a relay may take for a whole batch that it answers."""
GIVE_UP_AFTER = dt.timedelta(days=2)
_WAITS_MIN = (1, 5, 15, 30, 60, 120)
_DOWN_WAIT_S = 30.0
_IDLE_WAIT_S = 60.0
_LAST_LETTER_S = 30.0
"""How long to wait for the letter in hand when all is to end; one that takes longer comes again after its lease."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOffice:
    """Hold what posting needs beside the store; ``connect`` opens a connection to the relay, ``clock`` tells the time.

    ``catalog_of`` returns the words for a language tag, and those of the newsletter's own language for ``""``.
    """

    frame: LetterFrame
    limits: Limits
    catalog_of: Callable[[str], Catalog]
    connect: Callable[[], Connection]
    clock: Callable[[], dt.datetime]


@dataclass(slots=True)
class Posted:
    """Count what became of letters: ``sent``, ``deferred``, ``refused``, and ``dropped`` where nobody was due one."""

    counts: Counter[str] = field(default_factory=Counter)

    def __getitem__(self, what: str) -> int:
        return self.counts[what]


def post_letters(store: Store, office: PostOffice, stop: threading.Event | None = None) -> Posted:
    """Carry every letter that is due to the relay, once each; ``stop`` ends it after the letter in hand.

    Raises RelayUnavailableError and ConfigError as ``connect`` does, and StoreError; the letters in hand go back first.
    """
    posted = Posted()
    while mails := store.outbox.take_mails(office.clock(), limit=BATCH, lease=LEASE):
        _Batch(store, office, stop or threading.Event(), posted).carry(list(mails))
        if stop and stop.is_set():
            break
    return posted


class _Batch:
    """Carry some letters over one connection, which is opened for the first that there is to carry."""

    def __init__(self, store: Store, office: PostOffice, stop: threading.Event, posted: Posted) -> None:
        self._store = store
        self._office = office
        self._stop = stop
        self._posted = posted
        self._connection: Connection | None = None

    def carry(self, mails: list[QueuedMail]) -> None:
        try:
            while mails and not self._stop.is_set():
                self._carry(mails[0])
                mails.pop(0)
        except RelayUnavailableError:
            for mail in mails:
                self._defer(mail, charged=False)
            mails.clear()
            raise
        finally:
            if self._connection:
                self._connection.close()
            for mail in mails:  # not begun: due at once for whoever comes next
                self._store.outbox.put_back_mail(mail, mail.queued_at)

    def _carry(self, mail: QueuedMail) -> None:
        plan = plan_letter(self._store, mail, self._office.limits)
        if plan is None:
            self._end(mail, "dropped")
            return
        catalog = self._office.catalog_of(mail.wish.get("language", ""))
        try:
            mailed = mail_letter(write_letter(plan, self._office.frame, catalog), self._open_connection())
        except InputError:  # its words may hold the address, which no log needs
            _log.warning("a letter (%s) is dropped: its address can stand in no message", mail.kind)
            self._end(mail, "dropped")
            return
        if mailed.is_accepted:
            self._end(mail, "sent")
        elif _is_final(mailed):
            _log.warning("a letter (%s) was refused for good: %s", mail.kind, _code(mailed))
            self._end(mail, "refused")
        else:
            self._defer(mail, charged=True)

    def _open_connection(self) -> Connection:
        if self._connection is None or not self._connection.is_open:
            self._connection = self._office.connect()
        return self._connection

    def _end(self, mail: QueuedMail, what: str) -> None:
        self._store.outbox.end_mail(mail)
        self._posted.counts[what] += 1

    def _defer(self, mail: QueuedMail, *, charged: bool) -> None:
        """Put a letter back for a later try, unless it has waited too long."""
        now = self._office.clock()
        if now - mail.queued_at > GIVE_UP_AFTER:
            _log.warning("a letter (%s) is given up: the relay did not take it in two days", mail.kind)
            self._end(mail, "refused")
            return
        wait = _WAITS_MIN[min(mail.attempts, len(_WAITS_MIN) - 1)] if charged else 1
        self._store.outbox.put_back_mail(mail, now + dt.timedelta(minutes=wait))
        self._posted.counts["deferred"] += 1


def _is_final(mailed: Mailed) -> bool:
    return isinstance(mailed.answer, Reply) and mailed.answer.code >= 500


def _code(mailed: Mailed) -> str:
    """Return the reply's codes alone: its text may hold the address, which no log needs."""
    answer = mailed.answer
    return f"{answer.code} {answer.enhanced}".strip() if isinstance(answer, Reply) else "no answer"


class Postman:
    """Post letters in a thread of its own as long as the ``with`` block lasts: ``ring`` when there is one.

    Trouble with relay or store is said in the log, and tried again: the letters wait in the store.
    """

    def __init__(self, store: Store, office: PostOffice) -> None:
        self._store = store
        self._office = office
        self._bell = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._walk, name="postman", daemon=True)

    def __enter__(self) -> "Postman":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._bell.set()
        self._thread.join(_LAST_LETTER_S)

    def ring(self) -> None:
        """Say that a letter may be waiting."""
        self._bell.set()

    def _walk(self) -> None:
        while not self._stop.is_set():
            self._bell.clear()
            self._bell.wait(self._round())

    def _round(self) -> float:
        """Post what is due; return how many seconds until there is more to do, if nobody rings."""
        try:
            post_letters(self._store, self._office, self._stop)
            now = self._office.clock()
            self._store.outbox.forget_old(now)
            forget_requests(self._store, now, self._office.limits)
            due_at = self._store.outbox.next_mail_at()
        except (RelayUnavailableError, ConfigError, StoreError) as error:
            _log.error("letters wait: %s", error)
            return _DOWN_WAIT_S
        except NewsletterError:
            _log.exception("letters wait")
            return _DOWN_WAIT_S
        return min(_IDLE_WAIT_S, max(0.0, (due_at - now).total_seconds())) if due_at else _IDLE_WAIT_S
