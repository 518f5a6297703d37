"""Send one planned send: claim rows, make their messages, carry them to the relay, record what it answered.

A run repairs what dead runs left, then claims rows in batches and works them off over one connection; the reply to one
message is recorded in the same commit that marks the next as transmitting, so a connection never has two rows whose dot
may be on the wire. What a reply means is decided by ``delivery``; this module only reacts:

- a deferred row waits for its next attempt, a refused one has failed, and one whose message cannot be made is given up
  with the reason, while the run goes on;
- trouble of the connection is charged to nobody: the rows go back, the run connects again, and after some tries in
  vain it ends with the send still open;
- refusals that are about us, and answers that never come after the dot, pause the send when they pile up;
- ``stop`` lets the message in hand finish, gives the rest back and ends the run.

Where the store fails, the run stops at once: no mark, no dot; a 250 that cannot be recorded leaves its row in doubt.

Not here: compiling (nothing of it is imported), when a send is due (``worker``), and printing.
"""

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from newsletter.conformance import verify_message
from newsletter.delivery import RUNNING, About, Delivery, Event, Outcome, SendState, classify
from newsletter.errors import (
    InputError,
    NotAllowedError,
    Problem,
    ProblemsError,
    RelayUnavailableError,
    StoreError,
    UnrenderableError,
)
from newsletter.identity import SenderIdentity
from newsletter.message import PreparedMessage, prepare_message
from newsletter.model import Message, Recipient, Reply, Stage
from newsletter.reports import Ending, SendReport
from newsletter.smtp import Answer, Connection, Lost, Withheld
from newsletter.store import Recovery, Result, Send, Store, owner_name
from newsletter.store.ledger import mask_addresses
from newsletter.tokens import Keys

BATCH = 100
"""Rows that one claim takes."""
PAUSE_COUNT, PAUSE_SHARE = 10, 0.02
"""A send pauses at so many equal refusals of one domain, or at this share of it, but never fewer than the count."""
RECONNECT_WAITS_S = (1.0, 5.0, 15.0)
"""Waits before each new connection when one after the other brings nothing; then the relay is taken for down."""
_ANYBODY = Recipient(subscriber_id=0, list_id=0, address="anybody@example.org")
AGAIN_AFTER = dt.timedelta(minutes=5)
"""When a row is tried again that lost its connection twice in one run, or whose answer never came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSetup:
    """Hold what a run needs beside the store.

    ``connect`` opens a connection to the relay or raises RelayUnavailableError; ``clock`` returns an aware instant.
    ``doubt`` says what becomes of rows whose answer never came: sent once more, under the same Message-ID, or kept.
    """

    identity: SenderIdentity
    keys: Keys
    connect: Callable[[], Connection]
    clock: Callable[[], dt.datetime]
    doubt: Literal["resend", "hold"] = "resend"
    postal_address: str = ""
    reconnect_waits_s: tuple[float, ...] = RECONNECT_WAITS_S


def run_send(
    store: Store,
    send_id: int,
    setup: SenderSetup,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Result], None] | None = None,
) -> SendReport:
    """Work off what is due of a planned send, and account for it.

    ``stop`` ends the run after the message in hand; ``progress`` is called with each result once it is durable. The
    lock is held throughout. A send that is held, paused, cancelled or finished is only repaired and accounted for.

    Raises BusyError where another run holds the lock, ProblemsError where the first message is not what a message must
    be, ConfigError where no relay can ever be reached as configured, and StoreError; claimed rows are given back first.
    """
    run = _Run(store, send_id, setup, stop=stop or threading.Event(), progress=progress)
    with store.run_lock(run.owner):
        run.begin()
        if run.send.state in RUNNING:
            # One connection; several are several threads, each with a carrier of its own over the same run.
            _Carrier(run).carry()
        return run.close()


class _Run:
    """Hold what the connections of one run share."""

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
        self._progress = progress
        self._lock = threading.RLock()
        self._brake = _Brake(self.send.planned)
        self._prepared: dict[int, PreparedMessage] = {}
        self._verified: set[int] = set()
        self._recovery = Recovery()
        self._ending: Ending | None = None
        self._reason = ""
        self._recorded = 0
        self._unrecorded: list[Result] = []

    @property
    def is_over(self) -> bool:
        """Tell whether no further message may be begun."""
        return self._ending is not None or self.stop.is_set()

    def begin(self) -> None:
        """Repair what dead runs left, and let the send run if it may.

        Under the lock every other owner is dead, and of our name nothing is claimed yet.
        """
        ledger, now = self.store.ledger, self.setup.clock()
        self._recovery = ledger.recover_deliveries(self.send_id, ledger.list_owners(self.send_id), now)
        self.send = self.store.sends.load_send(self.send_id)
        if self.send.state is SendState.FROZEN:
            self.send = self.store.sends.start_send(self.send_id, now)
        if self.send.state in RUNNING and self.setup.doubt == "resend":
            ledger.resend_doubtful(self.send_id, now)

    def claim(self) -> tuple[Delivery, ...]:
        """Claim the next rows that are due."""
        return self.store.ledger.claim_deliveries(self.send_id, self.owner, BATCH, self.setup.clock())

    def message_for(self, delivery: Delivery) -> Message:
        """Make the message of one row; the first of each edition is checked on its bytes.

        Raises UnrenderableError where this recipient's cannot be made, ProblemsError where none of the edition may go.
        """
        prepared = self._prepare(delivery.edition_id)
        message = prepared.personalise(delivery.recipient)
        with self._lock:
            if delivery.edition_id not in self._verified:
                if problems := self._verify(message):
                    if self._verify(prepared.personalise(_ANYBODY)):
                        raise ProblemsError(problems)
                    # Nobody's name may keep a whole send from going out, nor stand in the ledger.
                    raise UnrenderableError(f"the recipient's values break the rule {problems[0].rule}")
                self._verified.add(delivery.edition_id)
        return message

    def _verify(self, message: Message) -> tuple[Problem, ...]:
        domain, postal_address = self.setup.identity.domain, self.setup.postal_address
        return verify_message(message.content, domain=domain, postal_address=postal_address)

    def _prepare(self, edition_id: int) -> PreparedMessage:
        with self._lock:
            if edition_id not in self._prepared:
                # The send's own date: every attempt, in whatever run, has the same bytes.
                date = self.send.started_at or self.send.planned_at
                edition = self.store.editions.load_edition(edition_id)
                try:
                    self._prepared[edition_id] = prepare_message(
                        edition, self.setup.identity, self.setup.keys, date=date, send_id=self.send_id
                    )
                except InputError as error:
                    # Of the edition, not of one recipient: nobody's message can be made.
                    raise ProblemsError((Problem(f"edition {edition.digest[:12]}: {error}"),)) from None
            return self._prepared[edition_id]

    def note(self, results: Sequence[Result], unrecorded: Sequence[Result] = ()) -> None:
        """Take note of results that are durable now; pause the send where refusals pile up."""
        with self._lock:
            self._recorded += len(results) - len(unrecorded)
            self._unrecorded += unrecorded
            for result in results:
                if reason := self._brake.count(result):
                    self._pause(reason)
        if self._progress:
            for result in results:
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

    def close(self) -> SendReport:
        """Finish the send where no open row is left, and account for it."""
        sends, now = self.store.sends, self.setup.clock()
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
        )

    def _ending_of(self, send: Send) -> Ending:
        if send.state in RUNNING:
            return Ending.STOPPED if self.stop.is_set() else Ending.WAITING
        endings = {SendState.FINISHED: Ending.FINISHED, SendState.PAUSED: Ending.PAUSED}
        return endings.get(send.state, Ending.NOT_RUNNING)


class _Brake:
    """Count what tells of a fault that is not the recipients', and say when a send must pause for it."""

    def __init__(self, planned: int) -> None:
        self._share = max(PAUSE_COUNT, round(planned * PAUSE_SHARE))
        self._equal: Counter[tuple[str, int, str]] = Counter()
        self._refused = 0
        self._doubted = 0

    def count(self, result: Result) -> str:
        """Return why the send must pause after ``result``, ``""`` where it need not."""
        outcome, reply = result.outcome, result.reply
        if outcome.event is Event.LOSE and result.marked:
            self._doubted += 1
            if self._doubted >= self._share:
                return (
                    f"{self._doubted} messages were sent to the final dot and never answered; look into the relay's log"
                    " before the send goes on"
                )
        if outcome.event is not Event.REFUSE or outcome.about is not About.SENDER or reply is None:
            return ""
        if reply.stage is Stage.RCPT and reply.enhanced == "5.6.7":
            return ""  # an address beyond ASCII (RFC 6531 section 3.5): its form is at fault, neither we nor the person
        key = result.delivery.domain, reply.code, reply.enhanced
        self._refused += 1
        self._equal[key] += 1
        if self._equal[key] >= PAUSE_COUNT:
            return f"{self._equal[key]} times {key[0]} refused us: '{reply}'; mend the cause before the send goes on"
        if self._refused >= self._share:
            return (
                f"{self._refused} refusals are about us, the latest: '{reply}'; mend the cause before the send goes on"
            )
        return ""


class _Carrier:
    """Work off rows over one connection, which is opened anew where it must be."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._connection: Connection | None = None
        self._carried = 0
        self._troubles = 0
        self._put_off = 0
        self._losses: Counter[int] = Counter()
        self._answered: list[Result] = []
        """Accepted, and not recorded yet: the next mark takes it along."""

    def carry(self) -> None:
        """Claim and send until nothing is due, the run is over, or the store fails."""
        try:
            while not self._run.is_over and (batch := self._run.claim()):
                self._carry_batch(list(batch))
        finally:
            if self._connection:
                self._connection.close()

    def _carry_batch(self, rest: list[Delivery]) -> None:
        try:
            while rest and not self._run.is_over:
                connection = self._connect()
                if connection is not None:
                    self._carry_one(connection, rest[0])
                    del rest[0]
            self._give_back(rest)
        except BaseException:
            # What was accepted is worth one more try; a row that is marked stays so, and will be in doubt.
            with suppress(StoreError):
                self._give_back(rest)
            raise

    def _give_back(self, rest: Sequence[Delivery], at: dt.datetime | None = None) -> None:
        self._record()
        if rest:
            run = self._run
            run.store.ledger.release_deliveries(run.send_id, run.owner, rest, run.setup.clock(), at)

    def _connect(self) -> Connection | None:
        """Return the connection, opened where there is none; None where that failed, after the wait that is due."""
        if self._connection and self._connection.is_open:
            return self._connection
        self._carried = 0
        try:
            self._connection = self._run.setup.connect()
        except RelayUnavailableError as error:
            self._be_careful(str(error))
            return None
        return self._connection

    def _be_careful(self, reason: str) -> None:
        """Wait before the next connection; end the run where so many in a row brought nothing."""
        waits = self._run.setup.reconnect_waits_s
        if self._troubles >= len(waits):
            self._run.end(Ending.UNAVAILABLE, reason)
        else:
            self._run.stop.wait(waits[self._troubles])
        self._troubles += 1

    def _carry_one(self, connection: Connection, delivery: Delivery) -> None:
        try:
            message = self._run.message_for(delivery)
            answer = connection.transact(message, lambda: self._mark(delivery))
        except InputError as error:
            self._give_up(delivery, str(error))
        else:
            self._settle(connection, delivery, answer)

    def _mark(self, delivery: Delivery) -> bool:
        """Make durable, in one commit, what the last message came to and that this one's dot may go."""
        run = self._run
        advance = run.store.ledger.advance_deliveries(
            run.send_id, run.owner, self._answered, [delivery], run.setup.clock()
        )
        self._recorded(advance.unrecorded)
        return delivery.subscriber_id in advance.marked

    def _record(self) -> None:
        """Make durable what was answered."""
        if self._answered:
            run = self._run
            advance = run.store.ledger.record_results(run.send_id, run.owner, self._answered, run.setup.clock())
            self._recorded(advance.unrecorded)

    def _recorded(self, unrecorded: Sequence[Result]) -> None:
        results, self._answered = self._answered, []
        self._run.note(results, unrecorded)

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Record that this row's message cannot be made; the others can."""
        self._record()
        run, reason = self._run, mask_addresses(reason)
        run.store.ledger.skip_deliveries(run.send_id, run.owner, [delivery], reason, run.setup.clock())
        run.note([Result(delivery, Outcome(Event.SKIP, About.RECIPIENT), marked=False)])

    def _settle(self, connection: Connection, delivery: Delivery, answer: Answer) -> None:
        """Record an answer, and draw what follows from it for the connection."""
        if isinstance(answer, Withheld):
            # The recipient left or the send no longer runs: the next claim finds out which.
            self._give_back([delivery], self._again_at(delivery))
            return
        result = self._result(delivery, answer)
        self._answered.append(result)
        if result.outcome.event is not Event.ACCEPT:
            self._record()
        if result.outcome.about is not About.CONNECTION:
            self._carried += 1
            self._troubles = 0
            self._heed(result)
            return
        connection.close()
        if result.marked or not self._carried:
            self._be_careful(f"the relay's last answer: {answer}")

    def _heed(self, result: Result) -> None:
        """End the run where the relay puts us off, one message after the other: to go on would press it for nothing."""
        is_put_off = (result.outcome.event, result.outcome.about) == (Event.DEFER, About.SENDER)
        self._put_off = self._put_off + 1 if is_put_off else 0
        if self._put_off >= PAUSE_COUNT:
            self._run.end(Ending.UNAVAILABLE, f"the relay put off {self._put_off} messages in a row: '{result.reply}'")

    def _result(self, delivery: Delivery, answer: Reply | Lost) -> Result:
        if isinstance(answer, Lost):
            retry_at = None if answer.in_doubt else self._again_at(delivery)
            return Result(delivery, Outcome(Event.LOSE, About.CONNECTION), None, answer.in_doubt, retry_at)
        outcome, marked = classify(answer), answer.stage is Stage.DOT
        if outcome.about is not About.CONNECTION:
            return Result(delivery, outcome, answer, marked)
        # Even a 521, by which a relay takes no mail at all, is no fault of the recipient's (RFC 7504).
        return Result(delivery, Outcome(Event.DEFER, About.CONNECTION), answer, marked, self._again_at(delivery))

    def _again_at(self, delivery: Delivery) -> dt.datetime | None:
        """Return when a row that got nowhere is due again: at once, but the second time in a run later.

        Else one message at which the relay hangs up would be tried for ever. What ends a connection that served before
        does not count: relays bound their length.
        """
        if not self._carried:
            self._losses[delivery.subscriber_id] += 1
        return self._run.setup.clock() + AGAIN_AFTER if self._losses[delivery.subscriber_id] > 1 else None
