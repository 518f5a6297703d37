"""Hold what the connections of one run share: the send, its rows and messages, what was recorded, how it ends.

Any thread may call a ``Run``. Not here: the work of one connection (``carrier``), threads and locks of the whole run
(``sender``).
"""

import datetime as dt
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from newsletter.brake import Brake
from newsletter.claims import Claims
from newsletter.conformance import verify_message
from newsletter.delivery import RUNNING, Delivery, SendState
from newsletter.dkim import Signer
from newsletter.errors import InputError, NotAllowedError, Problem, ProblemsError, UnrenderableError
from newsletter.identity import SenderIdentity
from newsletter.marks import GroupCommit
from newsletter.message import PreparedMessage, prepare_message
from newsletter.model import Message, Recipient
from newsletter.pace import Rate
from newsletter.pacing import Pacing
from newsletter.reports import Ending, SendReport
from newsletter.smtp import Connection
from newsletter.store import Advance, Recovery, Result, Send, Store, owner_name
from newsletter.store.ledger import mask_addresses
from newsletter.tokens import Keys
from newsletter.transports import PER_CONNECTION, RECONNECT_WAITS_S, Line, Transport

AGAIN_AFTER = dt.timedelta(minutes=5)
"""When a row is tried again that lost its connection twice in one run, or whose answer never came."""
ISSUES_APART = dt.timedelta(hours=12)
"""How long before another a send must have begun to be given up for it: greylisting must not cost anyone an issue."""
_ANYBODY = Recipient(subscriber_id=0, list_id=0, address="anybody@example.org")


class Guard(Protocol):
    """Refuse a store that may not send from here (``belonging.HostGuard``)."""

    def admit(self, store: Store) -> None:
        """Raise NotAllowedError where the store may not send from here."""

    def count(self, store: Store) -> None:
        """Count a run that sends, at its start and at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSetup:
    """Hold what a run needs beside the store.

    ``connect`` opens a connection to the relay or raises RelayUnavailableError; a send has up to ``connections`` of
    them, each for up to ``per_connection`` messages. Where there are ``transports``, they carry the send in its place.
    ``rates`` are those of recipients' domains, ``"*"`` that of every other one. ``clock`` returns an aware instant.
    ``doubt`` says what becomes of rows whose answer never came: sent once more, under the same Message-ID, or kept.
    ``dkim`` signs every message, where there is one. ``guard`` refuses a store that was copied from elsewhere.
    """

    identity: SenderIdentity
    keys: Keys
    connect: Callable[[], Connection]
    clock: Callable[[], dt.datetime]
    connections: int = 1
    per_connection: int = PER_CONNECTION
    transports: tuple[Transport, ...] = ()
    rates: Mapping[str, Rate] = field(default_factory=dict)
    dkim: Signer | None = None
    guard: Guard | None = None
    doubt: Literal["resend", "hold"] = "resend"
    postal_address: str = ""
    reconnect_waits_s: tuple[float, ...] = RECONNECT_WAITS_S

    def lines(self) -> tuple[Line, ...]:
        """Return the transports as a run sees them, all well."""
        own = Transport(
            name="smtp", connect=self.connect, connections=self.connections, per_connection=self.per_connection
        )
        transports = self.transports or (own,)
        return tuple(Line(transport, self.reconnect_waits_s) for transport in transports)


class Run:
    """Hold what the connections of one run share; ``begin`` first, ``close`` at last."""

    def __init__(
        self,
        store: Store,
        send_id: int,
        setup: SenderSetup,
        *,
        stop: threading.Event,
        progress: Callable[[Result], None] | None,
    ) -> None:
        self.store = store
        self.send_id = send_id
        self.setup = setup
        self.stop = stop
        self.started_at = setup.clock()
        self.owner = owner_name(self.started_at)
        self.send = store.sends.load_send(send_id)
        self.lines = setup.lines()
        self.losses: Counter[int] = Counter()
        """How often each row lost a connection that had served nobody."""
        self.marks = GroupCommit(self._advance)
        self.claims = self._make_claims()
        self._progress = progress
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._brake = Brake(self.send.planned)
        self._prepared: dict[int, PreparedMessage] = {}
        self._verified: set[int] = set()
        self._recovery = Recovery()
        self._ending: Ending | None = None
        self._reason = ""
        self._is_halted = False
        self._recorded = 0
        self._unrecorded: list[Result] = []

    def _make_claims(self) -> Claims:
        setup = self.setup
        rates = {rate for rate in (*setup.rates.values(), *(line.transport.rate for line in self.lines)) if rate}
        return Claims(
            self._claim,
            self.give_back,
            lines=self.lines,
            clock=setup.clock,
            is_over=lambda: self.is_over,
            wait=self.stop.wait,
            pacing=Pacing(self.store, setup.rates, self.started_at) if rates else None,
        )

    @property
    def is_over(self) -> bool:
        """Tell whether no further message may be begun."""
        return self._is_halted or self.stop.is_set()

    def begin(self) -> None:
        """Repair what dead runs left, and let the send run if it may; NotAllowedError where the store is a copy.

        Under the lock every other owner is dead, and of our name nothing is claimed yet. A send that starts takes the
        turn of those before it: whom it goes to is not tried any more with an older issue.
        """
        if self.setup.guard:
            self.setup.guard.admit(self.store)
        ledger, now = self.store.ledger, self.setup.clock()
        self._recovery = ledger.recover_deliveries(self.send_id, ledger.list_owners(self.send_id), now)
        self.send = self.store.sends.load_send(self.send_id)
        if self.send.state is SendState.FROZEN:
            self.send = self.store.sends.start_send(self.send_id, now)
        if self.send.state in RUNNING:
            self._count_run()
            self._supersede(now)
            if self.setup.doubt == "resend":
                ledger.resend_doubtful(self.send_id, now)

    def _count_run(self) -> None:
        if self.setup.guard:
            self.setup.guard.count(self.store)

    def _supersede(self, now: dt.datetime) -> None:
        """Give up older issues for whom they were deferred, and who get this one: nobody wants last week's after it."""
        reason = f"given up when {self.send.issue} began"
        for older in self.store.ledger.supersede_deliveries(self.send_id, reason, ISSUES_APART, now):
            self.store.sends.finish_send(older, now)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _claim(self, limit: int) -> tuple[Delivery, ...]:
        return self.store.ledger.claim_deliveries(self.send_id, self.owner, limit, self.setup.clock())

    def _advance(self, results: Sequence[Result], marks: Sequence[Delivery], vias: Sequence[str]) -> Advance:
        now = self.setup.clock()
        return self.store.ledger.advance_deliveries(self.send_id, self.owner, results, marks, now, via=vias)

    def number_connection(self) -> int:
        """Return the number of a connection that was opened, counted from 1."""
        return next(self._numbers)

    def give_back(self, deliveries: Sequence[Delivery], at: dt.datetime | None = None) -> None:
        """Give claimed rows back to the ledger unsent, due at once or ``at`` an instant."""
        if deliveries:
            self.store.ledger.release_deliveries(self.send_id, self.owner, deliveries, self.setup.clock(), at)

    def give_up(self, delivery: Delivery, reason: str) -> None:
        """Record that a claimed row's message cannot be made."""
        ledger = self.store.ledger
        ledger.skip_deliveries(self.send_id, self.owner, [delivery], mask_addresses(reason), self.setup.clock())

    # -- messages -----------------------------------------------------------------------------------------------------

    def message_for(self, delivery: Delivery) -> Message:
        """Make the message of one row; the first of each edition is checked on its bytes.

        Raises UnrenderableError where this recipient's cannot be made, ProblemsError where none of the edition may go.
        """
        prepared = self._prepared.get(delivery.edition_id) or self._prepare(delivery.edition_id)
        message = prepared.personalise(delivery.recipient)
        if delivery.edition_id not in self._verified:
            self._verify_edition(delivery.edition_id, prepared, message)
        return message

    def _verify_edition(self, edition_id: int, prepared: PreparedMessage, message: Message) -> None:
        with self._lock:
            if edition_id in self._verified:
                return
            if problems := self._verify(message):
                if self._verify(prepared.personalise(_ANYBODY)):
                    raise ProblemsError(problems)
                # Nobody's name may keep a whole send from going out, nor stand in the ledger.
                raise UnrenderableError(f"the recipient's values break the rule {problems[0].rule}")
            self._verified.add(edition_id)

    def _verify(self, message: Message) -> tuple[Problem, ...]:
        domain, postal_address = self.setup.identity.domain, self.setup.postal_address
        return verify_message(message.content, domain=domain, postal_address=postal_address)

    def _prepare(self, edition_id: int) -> PreparedMessage:
        with self._lock:
            if edition_id not in self._prepared:
                # The send's own date: every attempt, in whatever run, has the same bytes.
                date = self.send.started_at or self.send.planned_at
                edition = self.store.editions.load_edition(edition_id)
                setup = self.setup
                sign = setup.dkim.at(date) if setup.dkim else None
                try:
                    self._prepared[edition_id] = prepare_message(
                        edition, setup.identity, setup.keys, date=date, send_id=self.send_id, sign=sign
                    )
                except InputError as error:
                    # Of the edition, not of one recipient: nobody's message can be made.
                    raise ProblemsError((Problem(f"edition {edition.digest[:12]}: {error}"),)) from None
            return self._prepared[edition_id]

    # -- what came of it ----------------------------------------------------------------------------------------------

    def note(self, results: Sequence[Result], unrecorded: Sequence[Result] = ()) -> None:
        """Take note of results that are durable now; pause the send where refusals pile up."""
        with self._lock:
            self._recorded += len(results) - len(unrecorded)
            self._unrecorded += unrecorded
            for result in results:
                if reason := self._brake.count(result):
                    self._pause(reason)
                if self._progress:
                    self._progress(result)

    def _pause(self, reason: str) -> None:
        reason = mask_addresses(reason)
        with suppress(NotAllowedError):  # an operator was faster, and paused or cancelled it
            self.store.sends.pause_send(self.send_id, reason, self.setup.clock())
        self.end(Ending.PAUSED, reason)

    def end(self, ending: Ending, reason: str) -> None:
        """Let no further message begin; the first ending stands, and its reason without the addresses in it."""
        with self._lock:
            if self._ending is None:
                self._ending, self._reason = ending, mask_addresses(reason)
            self._is_halted = True

    def halt(self) -> None:
        """Let no further message begin, as one connection broke down, or the send does not run any more."""
        self._is_halted = True

    def halt_unless_running(self) -> None:
        """Let no further message begin where somebody paused or cancelled the send."""
        if self.store.sends.load_send(self.send_id).state not in RUNNING:
            self.halt()

    def end_unless_served(self, reason: str) -> None:
        """End the run where every transport is closed."""
        if all(line.is_closed for line in self.lines):
            self.end(Ending.UNAVAILABLE, reason)

    def close(self) -> SendReport:
        """Finish the send where no open row is left, and account for it."""
        sends, now = self.store.sends, self.setup.clock()
        if self._recorded:
            self._count_run()
        if self._ending is None and self.send.state in RUNNING:
            if self.setup.doubt == "resend":
                # Not at once: whatever swallowed the answer may still be there.
                self.store.ledger.resend_doubtful(self.send_id, now, now + AGAIN_AFTER)
            sends.finish_send(self.send_id, now)
        send = sends.load_send(self.send_id)
        ending = self._ending or self._ending_of(send)
        return SendReport(
            send=send,
            account=sends.account(self.send_id),
            ending=ending,
            reason=self._reason or send.reason,
            next_due_at=sends.next_due_at(self.send_id),
            recovery=self._recovery,
            recorded=self._recorded,
            unrecorded=tuple(self._unrecorded),
            started_at=self.started_at,
            ended_at=now,
            carried={line.transport.name: line.carried for line in self.lines},
        )

    def _ending_of(self, send: Send) -> Ending:
        if send.state in RUNNING:
            return Ending.STOPPED if self.stop.is_set() else Ending.WAITING
        endings = {SendState.FINISHED: Ending.FINISHED, SendState.PAUSED: Ending.PAUSED}
        return endings.get(send.state, Ending.NOT_RUNNING)
