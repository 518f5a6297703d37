"""Rehearse a send: the real sender and ledger, made-up people, and a receiver on this machine that fails on purpose.

Of the newsletter's own, the issue and the settings are read, and nothing is touched: list, ledger and keys are made for
the occasion, in a temporary folder. Retries are played through by putting the sender's clock forward, as if cron came
every five minutes. At the end, what the ledger says is held against what the receiver really took.

Use case: no argument parsing, no printing.
"""

import datetime as dt
import os
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from newsletter.config import Project
from newsletter.delivery import Account, Event, SendState, State
from newsletter.dkim import Signer
from newsletter.faults import Fault, deal_faults, make_people
from newsletter.freezer import FrozenIssue, freeze_issue
from newsletter.identity import identity_of
from newsletter.model import Part
from newsletter.reports import Ending, SendReport
from newsletter.sender import SenderSetup, Transport, run_send
from newsletter.settings import TransportSection
from newsletter.smtp import open_transport
from newsletter.store import LedgerRow, NewSubscriber, Result, SendPlan, Store, open_store
from newsletter.subscriptions import default_list
from newsletter.tokens import Keys, new_secret_text, parse_keys
from newsletter.unreliable import Taken, UnreliableReceiver

CRON = dt.timedelta(minutes=5)
"""How often the next run comes, by the rehearsal's clock."""
_WAITS_S = (0.02, 0.02, 0.02)
"""Waits before a new connection; those of a real send are seconds."""
_RUNS_MAX = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Say what to rehearse: with how many people, which share of them meets a fault, and the seed that deals these.

    ``dkim`` signs the messages as it does those of a real send, where there is one.
    """

    recipients: int = 2000
    share: Fraction = Fraction(1, 20)
    seed: int = 1
    dkim: Signer | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Account for one run of the sender; ``after`` is how long after the first it began, by the rehearsal's clock."""

    after: dt.timedelta
    ending: Ending
    reason: str
    recorded: int
    open: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """Name somebody whose mail the receiver took more than once.

    ``is_named`` says that the ledger owns up to it, ``is_same`` that all had the same bytes, Message-ID included.
    """

    address: str
    message_id: str
    times: int
    is_named: bool
    is_same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Hold the ledger against what the receiver took: ``taken`` messages, for ``people``.

    ``missed`` are called sent, and nothing was taken for them. ``unowned`` are called failed or skipped without a
    doubt, and something was. ``strangers`` are in no row at all. Of the rows in doubt, something was taken for
    ``doubtful_taken``: what no sender can know.
    """

    taken: int
    people: int
    doubtful_taken: int
    repeated: tuple[Repeated, ...]
    missed: tuple[str, ...]
    unowned: tuple[str, ...]
    strangers: tuple[str, ...]

    @property
    def unnamed(self) -> tuple[Repeated, ...]:
        """Return those who got it more than once without the ledger knowing, or in other words than the first time."""
        return tuple(each for each in self.repeated if not (each.is_named and each.is_same))

    @property
    def holds(self) -> bool:
        """Tell whether nobody was silently missed, and nobody mailed twice but those who are named."""
        return not (self.missed or self.unowned or self.strangers or self.unnamed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Hold what a rehearsal came to.

    ``answers`` counts what the sender made of each answer (see ``_name_of``), ``ends`` for each fault in which state
    its rows ended. ``lasted`` is by the rehearsal's clock, ``seconds`` by that of the wall.
    """

    issue: str
    subject: str
    play: Play
    dealt: Mapping[Fault, int]
    ends: Mapping[Fault, Mapping[State, int]]
    runs: tuple[Run, ...]
    answers: Mapping[str, int]
    suppressed: int
    account: Account
    comparison: Comparison
    is_finished: bool
    seconds: float
    lasted: dt.timedelta
    connections: int

    @property
    def holds(self) -> bool:
        """Tell whether what is promised of a send held in this one."""
        return self.is_finished and self.account.closes and self.comparison.holds


def rehearse(
    project: Project,
    path: Path,
    play: Play,
    clock: Callable[[], dt.datetime],
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Result], None] | None = None,
) -> Rehearsal:
    """Rehearse the send of the issue at ``path``; ``clock`` says when it begins, ``stop`` ends it early.

    Raises what compiling the issue raises, ProblemsError where its message is not what a message must be, and
    StoreError where the temporary folder is full.
    """
    frozen = freeze_issue(project, path, approved_only=False)
    keys = parse_keys(new_secret_text(os.urandom(40)))
    with tempfile.TemporaryDirectory(prefix="newsletter-rehearsal-") as folder:
        url = f"sqlite:///{Path(folder) / 'newsletter.db'}"
        with open_store(url, address_key=keys.address_key) as store:
            stage = _Stage(project, store, keys, play, RehearsalClock(clock()), stop or threading.Event())
            return stage.perform(frozen, progress)


class RehearsalClock:
    """Show the time since ``start``, and all that was skipped: real seconds pass, and waits are not waited for."""

    def __init__(self, start: dt.datetime) -> None:
        self._start = start
        self._origin = time.monotonic()
        self._skipped = dt.timedelta(0)

    def __call__(self) -> dt.datetime:
        """Return the instant; any thread may ask."""
        return self._start + self._skipped + dt.timedelta(seconds=time.monotonic() - self._origin)

    @property
    def elapsed(self) -> dt.timedelta:
        """Return how long the rehearsal has lasted by this clock."""
        return self() - self._start

    def wait_for_cron(self, due_at: dt.datetime | None) -> None:
        """Skip to the first run of cron at which something is due, at the next one where nothing is."""
        ahead = max(self.elapsed, (due_at or self._start) - self._start)
        self._skipped += CRON * (ahead // CRON + 1) - self.elapsed


@dataclass(slots=True)
class _Notes:
    """Keep what happens while the send goes on."""

    answers: Counter[str] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)

    def note_run(self, after: dt.timedelta, report: SendReport) -> None:
        self.runs.append(Run(after, report.ending, report.reason, report.recorded, report.account.open))


def _name_of(result: Result) -> str:
    """Name what the sender made of an answer, as ``Rehearsal.answers`` counts it."""
    event, is_charged = result.outcome.event, result.outcome.is_charged
    if event is Event.ACCEPT:
        return "accepted"
    if event is Event.REFUSE:
        return "refused for good" if result.outcome.hard else "refused"
    if event is Event.LOSE and result.marked:
        return "in doubt"
    return "deferred" if event is Event.DEFER and is_charged else "nothing mailed"


class _Stage:
    """Hold one rehearsal: its ledger, its people, and the clock."""

    def __init__(  # noqa: PLR0917 (each is one thing that it stands on)
        self, project: Project, store: Store, keys: Keys, play: Play, clock: RehearsalClock, stop: threading.Event
    ) -> None:
        self._project = project
        self._store = store
        self._keys = keys
        self._play = play
        self._clock = clock
        self._stop = stop
        self._people = make_people(play.recipients)
        self._faults = deal_faults([person.address for person in self._people], play.share, play.seed)
        self._notes = _Notes()

    def perform(self, frozen: FrozenIssue, progress: Callable[[Result], None] | None) -> Rehearsal:
        send_id = self._plan(frozen)
        away_after = max(len(self._people) // 2, 1) if self._faults else 0
        started = time.perf_counter()
        with UnreliableReceiver(self._faults, self._clock, away_after=away_after) as receiver:
            report = self._send(send_id, self._setup(receiver), progress)
            seconds = time.perf_counter() - started
            return self._account(frozen, report, receiver, seconds)

    def _plan(self, frozen: FrozenIssue) -> int:
        store, now = self._store, self._clock()
        the_list = default_list(store, now)
        people = (NewSubscriber(address=person.address, name=person.name) for person in self._people)
        for _ in store.subscribers.import_subscribers(the_list.list_id, people, now, origin="rehearsal"):
            pass
        plan = SendPlan(
            issue=frozen.edition.issue,
            list_ids=(the_list.list_id,),
            editions={"": store.editions.save_edition(frozen.edition, now)},
            source_digest=frozen.source_digest,
        )
        return store.sends.plan_send(plan, now).send_id

    def _setup(self, receiver: UnreliableReceiver) -> SenderSetup:
        config = self._project.config
        return SenderSetup(
            identity=identity_of(config.newsletter),
            keys=self._keys,
            connect=lambda: open_transport(receiver.section),
            transports=tuple(_stand_in(relay, receiver) for relay in config.relays),
            dkim=self._play.dkim,
            clock=self._clock,
            doubt=config.send.doubt,
            postal_address=config.newsletter.postal_address,
            reconnect_waits_s=_WAITS_S,
        )

    # -- the send -----------------------------------------------------------------------------------------------------

    def _send(self, send_id: int, setup: SenderSetup, progress: Callable[[Result], None] | None) -> SendReport:
        """Run the sender as cron would, again and again, until the send is over; resume it where it paused."""

        def note(result: Result) -> None:
            self._notes.answers[_name_of(result)] += 1
            if progress:
                progress(result)

        while True:
            after = self._clock.elapsed
            report = run_send(self._store, send_id, setup, stop=self._stop, progress=note)
            self._notes.note_run(after, report)
            if report.ending is Ending.PAUSED:
                self._store.sends.resume_send(send_id, self._clock())  # what an operator does who has looked
            elif report.send.state is SendState.FINISHED or self._stop.is_set():
                return report
            if len(self._notes.runs) >= _RUNS_MAX:
                return report
            self._clock.wait_for_cron(report.next_due_at)

    # -- the account --------------------------------------------------------------------------------------------------

    def _account(
        self, frozen: FrozenIssue, report: SendReport, receiver: UnreliableReceiver, seconds: float
    ) -> Rehearsal:
        rows = tuple(self._store.ledger.list_deliveries(report.send.send_id))
        ends: dict[Fault, Counter[State]] = defaultdict(Counter)
        for row in rows:
            if fault := self._faults.get(row.address or ""):
                ends[fault][row.state] += 1
        return Rehearsal(
            issue=frozen.edition.issue,
            subject=_shown(frozen.edition.subject),
            play=self._play,
            dealt=Counter(self._faults.values()),
            ends=ends,
            runs=tuple(self._notes.runs),
            answers=self._notes.answers,
            suppressed=self._store.subscribers.count_suppressions(),
            account=report.account,
            comparison=compare(rows, receiver.taken),
            is_finished=report.send.state is SendState.FINISHED,
            seconds=seconds,
            lasted=self._clock.elapsed,
            connections=sum(relay.connections for relay in self._project.config.relays),
        )


def _stand_in(relay: TransportSection, receiver: UnreliableReceiver) -> Transport:
    """Return a relay as it is configured, but for where it leads, and without a rate: that would be waited for."""
    return Transport(
        name=relay.name,
        connect=lambda: open_transport(receiver.section),
        connections=relay.connections,
        per_connection=relay.per_connection,
        weight=relay.weight,
    )


def compare(rows: tuple[LedgerRow, ...], taken: Mapping[str, list[Taken]]) -> Comparison:
    """Hold the rows of a send against what a receiver took, by address."""
    by_address = {row.address: row for row in rows}
    return Comparison(
        taken=sum(len(messages) for messages in taken.values()),
        people=len(taken),
        doubtful_taken=sum(row.state is State.IN_DOUBT and row.address in taken for row in rows),
        repeated=tuple(_repeated(by_address, taken)),
        missed=tuple(row.address or "" for row in rows if row.state is State.SENT and row.address not in taken),
        unowned=tuple(
            row.address or ""
            for row in rows
            if row.state in (State.FAILED, State.SKIPPED) and not row.doubts and row.address in taken
        ),
        strangers=tuple(address for address in taken if address not in by_address),
    )


def _repeated(rows: Mapping[str | None, LedgerRow], taken: Mapping[str, list[Taken]]) -> Iterator[Repeated]:
    for address, messages in sorted(taken.items()):
        if len(messages) > 1:
            is_named = address in rows and rows[address].doubts > 0
            yield Repeated(address, messages[0].message_id, len(messages), is_named, len(set(messages)) == 1)


def _shown(subject: Part) -> str:
    return "".join(piece if isinstance(piece, str) else piece.default or f"{{{piece.field}}}" for piece in subject)
