"""Make marks and results of several connections durable in one commit: what waits for the disk waits together.

A connection hands in what the last message came to and the row whose dot is to go next, and gets its answer once both
are on the disk. Whoever comes while no commit runs leads, and commits at once; the others wait, and when that commit is
done the first of those who came meanwhile leads the next, with all of them. So a slow disk shares each commit among
many, and a fast one makes nobody wait.

Crash points: before a commit, nothing of what was handed in is recorded, and no dot went for it. After it, all of it
is, and the dots may go; each connection has one row transmitting at most. A commit that fails fails for all that took
part, and none of them writes a dot.

Not here: SQL (``store.ledger``), the dot (``carrier``).
"""

import threading
from collections.abc import Callable, Sequence

from newsletter.delivery import Delivery
from newsletter.store import Advance, Result

Commit = Callable[[Sequence[Result], Sequence[Delivery], Sequence[str]], Advance]
"""Record results and mark rows in one commit, as ``Ledger.advance_deliveries`` does; the texts say by what way."""


class GroupCommit:
    """Share commits between threads; ``advance`` may be called by any number of them."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._is_led = False

    def advance(self, results: Sequence[Result], mark: Delivery | None = None, via: str = "") -> Advance:
        """Record ``results`` and mark ``mark`` durably, with what others hand in; return what held.

        ``via`` names the relay and the connection by which the marked row goes. Raises StoreError where the commit
        failed; then its dot may not go.
        """
        ticket = _Ticket(results, mark, via)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._is_led = not self._is_led, True
        if not leads:
            ticket.turn.acquire()
        if not ticket.is_done:
            self._lead()
        return ticket.answer()

    def _lead(self) -> None:
        """Commit what has gathered, hand the lead on, and wake who took part."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._serve(batch)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].turn.release()
            for ticket in batch:
                ticket.is_done = True
                ticket.turn.release()

    def _serve(self, batch: "list[_Ticket]") -> None:
        results = [result for ticket in batch for result in ticket.results]
        marks = [(ticket.mark, ticket.via) for ticket in batch if ticket.mark]
        error: BaseException | None = None
        advance = Advance()
        try:
            advance = self._commit(results, [mark for mark, _ in marks], [via for _, via in marks])
        except BaseException as caught:  # an interrupt too: nobody may be left waiting
            error = caught
        for ticket in batch:
            ticket.advance, ticket.error = advance, error


class _Ticket:
    """Hold what one connection handed in, and what came of it; ``turn`` wakes it when it is served, or is to lead."""

    __slots__ = ("advance", "error", "is_done", "mark", "results", "turn", "via")

    def __init__(self, results: Sequence[Result], mark: Delivery | None, via: str) -> None:
        self.results = results
        self.mark = mark
        self.via = via
        self.turn = threading.Lock()
        self.turn.acquire()
        self.is_done = False
        self.advance = Advance()
        self.error: BaseException | None = None

    def answer(self) -> Advance:
        """Return this connection's share of what the commit did; raise where it failed."""
        if self.error is not None:
            raise self.error
        if not self.advance.unrecorded:
            return self.advance
        own = {id(result) for result in self.results}
        unrecorded = tuple(result for result in self.advance.unrecorded if id(result) in own)
        return Advance(self.advance.marked, unrecorded)
