"""Carry rows over one connection, which is opened anew where it must be: the work of one thread of a run.

The reply to one message is recorded in the commit that marks the next as transmitting (``marks``), so a connection
never has two rows whose dot may be on the wire. While a message is on its way up to its dot, the next one is made, so
that its envelope can travel right behind that dot. Nothing travels behind the last message before a limit or a stop.

Crash points, in order, for one message: *taken* (CLAIMED, nothing on the wire, or its envelope behind the dot of the
one before); *content written* (CLAIMED, no dot: the relay throws it away); *marked* (TRANSMITTING, durable, the dot may
be on the wire or not: in doubt after a crash); *answered* (still TRANSMITTING in the ledger until the next commit: in
doubt after a crash, though the answer was known to the process that died); *recorded*.

Not here: what a reply means (``delivery``), what it means for the whole run (``run``).
"""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from newsletter.brake import PAUSE_COUNT
from newsletter.delivery import About, Delivery, Event, Outcome, classify
from newsletter.errors import InputError, RelayUnavailableError, StoreError
from newsletter.model import Message, Reply, Stage
from newsletter.run import AGAIN_AFTER, Run
from newsletter.smtp import Answer, Connection, Lost, Withheld
from newsletter.store import Result
from newsletter.transports import Line


@dataclass(frozen=True, slots=True)
class _Letter:
    """Hold a claimed row and the message that was made for it."""

    delivery: Delivery
    message: Message


class Carrier:
    """Work off rows over one connection of ``line``; one thread calls ``carry``, once."""

    def __init__(self, run: Run, line: Line) -> None:
        self._run = run
        self._line = line
        self._connection: Connection | None = None
        self._via = ""
        self._carried = 0
        """Messages that the relay answered on this connection."""
        self._troubles_seen = 0
        self._next: _Letter | None = None
        """Taken and made, not begun unless its envelope went behind the last dot."""
        self._answered: list[Result] = []
        """Answered, and not recorded yet: the next mark takes it along."""

    def carry(self) -> None:
        """Take and send until nothing is due, the run is over, or the store fails."""
        try:
            while letter := self._look_ahead():
                connection = self._connect()
                self._next = None
                if connection is None:
                    self._run.claims.put_back([letter.delivery])
                else:
                    self._carry_one(connection, letter)
            self._record()
        except BaseException:
            # What was accepted is worth one more try; a row that is marked stays so, and will be in doubt.
            with suppress(StoreError):
                self._record()
            raise
        finally:
            if self._next:
                self._run.claims.put_back([self._next.delivery])
            if self._connection:
                self._connection.close()

    # -- the next message ---------------------------------------------------------------------------------------------

    def _look_ahead(self) -> _Letter | None:
        """Return the next row with its message, None where the run is over or nothing is due."""
        if self._run.is_over:
            return None
        self._next = self._next or self._make_next(wait=False)
        if self._next is None:
            self._record()  # before a wait that may last
            self._next = self._make_next(wait=True)
        return self._next

    def _make_next(self, *, wait: bool) -> _Letter | None:
        while delivery := self._run.claims.take(self._line, wait=wait):
            try:
                return _Letter(delivery, self._run.message_for(delivery))
            except InputError as error:
                self._give_up(delivery, str(error))
            except BaseException:
                self._run.claims.put_back([delivery])
                raise
        return None

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Record that this row's message cannot be made; the others can."""
        self._run.give_up(delivery, reason)
        self._run.note([Result(delivery, Outcome(Event.SKIP, About.RECIPIENT), marked=False)])

    # -- the connection -----------------------------------------------------------------------------------------------

    def _connect(self) -> Connection | None:
        """Return the connection, opened where there is none; None where that failed, after the wait that is due."""
        if self._connection and self._connection.is_open:
            return self._connection
        line = self._line
        with line.door:
            if self._run.is_over or line.is_closed:
                return None
            self._carried, self._troubles_seen = 0, line.troubles
            try:
                self._connection = line.transport.connect()
                self._via = f"{self._connection.peer or line.transport.name} #{self._run.number_connection()}"
            except RelayUnavailableError as error:
                self._be_careful(str(error))
                return None
        return self._connection

    def _be_careful(self, reason: str) -> None:
        """Wait before the next connection; close the line where so many in a row brought nothing."""
        seconds = self._line.note_trouble(self._troubles_seen)
        if seconds is None:
            self._run.end_unless_served(reason)
        elif seconds or self._line.troubles:
            self._run.stop.wait(seconds)

    # -- one message --------------------------------------------------------------------------------------------------

    def _carry_one(self, connection: Connection, letter: _Letter) -> None:
        delivery = letter.delivery
        try:
            answer = connection.transact(letter.message, lambda: self._mark(delivery), self._following)
        except InputError as error:
            self._give_up(delivery, str(error))
        except BaseException:
            with suppress(StoreError):  # where it was marked, it stays so
                self._run.give_back([delivery])
            raise
        else:
            self._settle(connection, delivery, answer)

    def _mark(self, delivery: Delivery) -> bool:
        """Make durable, in one commit, what the last message came to and that this one's dot may go.

        The next message is made first: between the mark and the dot nothing may take time.
        """
        if self._next is None and not self._is_last():
            self._next = self._make_next(wait=False)
        advance = self._run.marks.advance(self._answered, delivery, self._via)
        self._note(advance.unrecorded)
        return delivery.subscriber_id in advance.marked

    def _following(self) -> Message | None:
        """Return the message whose envelope may travel behind the dot, None where this connection ends there."""
        return None if self._next is None or self._run.is_over or self._is_last() else self._next.message

    def _is_last(self) -> bool:
        return self._carried + 1 >= self._line.transport.per_connection or self._run.is_over

    def _record(self) -> None:
        """Make durable what was answered."""
        if self._answered:
            self._note(self._run.marks.advance(self._answered).unrecorded)

    def _note(self, unrecorded: Sequence[Result]) -> None:
        results, self._answered = self._answered, []
        self._run.note(results, unrecorded)

    # -- its answer ---------------------------------------------------------------------------------------------------

    def _settle(self, connection: Connection, delivery: Delivery, answer: Answer) -> None:
        """Record an answer, and draw what follows from it for the connection."""
        if isinstance(answer, Withheld):
            # The recipient left, or the send no longer runs.
            self._run.give_back([delivery], self._again_at(delivery))
            self._run.halt_unless_running()
            return
        result = self._result(delivery, answer)
        self._answered.append(result)
        if result.outcome.event is not Event.ACCEPT:
            self._record()
        if result.outcome.about is About.CONNECTION:
            connection.close()
            if result.marked or not self._carried:
                self._be_careful(f"the relay's last answer: {answer}")
            return
        self._carried += 1
        self._line.note_success()
        self._heed(result)
        if self._carried >= self._line.transport.per_connection:
            connection.close()

    def _heed(self, result: Result) -> None:
        """Close the line where the relay puts us off, message after message: to go on would press it for nothing."""
        is_put_off = (result.outcome.event, result.outcome.about) == (Event.DEFER, About.SENDER)
        if self._line.count_put_off(is_put_off) >= PAUSE_COUNT:
            self._line.close()
            self._run.end_unless_served(f"the relay put off {PAUSE_COUNT} messages in a row: '{result.reply}'")

    def _result(self, delivery: Delivery, answer: Reply | Lost) -> Result:
        if isinstance(answer, Lost):
            retry_at = None if answer.in_doubt else self._again_at(delivery)
            lost = Outcome(Event.LOSE, About.CONNECTION)
            return Result(delivery, lost, None, answer.in_doubt, retry_at, answer.reason)
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
        losses = self._run.losses
        if not self._carried:
            losses[delivery.subscriber_id] += 1
        return self._run.setup.clock() + AGAIN_AFTER if losses[delivery.subscriber_id] > 1 else None
