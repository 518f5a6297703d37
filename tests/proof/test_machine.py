"""The ledger does what a model of a few lines says it does, whatever is asked of it in whatever order.

The model holds a few rows and moves them by the words of ``docs/ledger.md``; hypothesis asks for operations of two
runs, of operators, of subscribers and of bounces in any order, also such that make no sense. After each, every row,
the account and the state of the send must agree.
"""

import datetime as dt
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from newsletter.delivery import OPEN, RUNNING, About, Delivery, Event, Outcome, SendState, State, classify, next_attempt
from newsletter.errors import NotAllowedError
from newsletter.model import Recipient, Reply, Stage
from newsletter.store import Result, SubscriptionState, SuppressionReason
from proof.figures import keep_figures
from proof.scene import START, fill_store, open_scene, people
from proof.stores import KINDS, open_ground, skip_missing

PEOPLE = people(6)
OWNERS = ("one run", "another")
NUMBERS = st.sets(st.integers(0, len(PEOPLE) - 1), min_size=1)
OWNER = st.sampled_from(OWNERS)
REPLIES = {
    "accept": Reply(250, "2.0.0", "taken", Stage.DOT),
    "defer": Reply(451, "4.7.1", "later", Stage.DOT),
    "closing": Reply(421, "4.3.2", "closing", Stage.DOT),
    "unknown": Reply(550, "5.1.1", "no such user", Stage.DOT),
    "policy": Reply(554, "5.7.1", "policy", Stage.DOT),
    "lose": None,
}
SEND_MOVES = {
    "start": {SendState.FROZEN: SendState.SENDING, SendState.CANARY: SendState.SENDING},
    "try": {SendState.FROZEN: SendState.CANARY},
    "hold": {SendState.FROZEN: SendState.HELD},
    "lift": {SendState.HELD: SendState.FROZEN},
    "pause": {SendState.CANARY: SendState.PAUSED, SendState.SENDING: SendState.PAUSED},
    "resume": {SendState.PAUSED: SendState.SENDING},
    "cancel": dict.fromkeys(SendState, SendState.CANCELLED) | {SendState.FINISHED: None},
}


@dataclass
class Row:
    """What the model knows of one delivery."""

    number: int
    due: dt.datetime
    state: State = State.PENDING
    owner: str = ""
    attempts: int = 0
    doubts: int = 0
    former: State | None = None
    is_active: bool = True
    is_suppressed: bool = False

    @property
    def may_be_mailed(self) -> bool:
        return self.is_active and not self.is_suppressed

    def wait(self, due: dt.datetime) -> None:
        self.state, self.owner, self.due = State.PENDING, "", due


class Machine(RuleBasedStateMachine):
    """Ask the ledger and the model for the same."""

    ground = None
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        url, self.send_id = type(self).ground.fresh()
        self.store = open_scene(url)
        self.now = START
        self.send = SendState.FROZEN
        found = {row.address: row.subscriber_id for row in self.store.ledger.list_deliveries(self.send_id)}
        self.rows = [Row(found[address], START) for address in PEOPLE]
        self.edition_id = next(self.store.ledger.list_deliveries(self.send_id)).edition_id
        self.list_id = self.store.subscribers.load_lists()[0].list_id
        self.store.sends.start_send(self.send_id, self.now)
        self.send = SendState.SENDING

    def teardown(self) -> None:
        self.store.close()

    # -- shortcuts ----------------------------------------------------------------------------------------------------

    def deliveries(self, rows: list[Row]) -> list[Delivery]:
        """Return the rows as a run knows them; one that it does not hold, too."""
        return [
            Delivery(
                self.send_id,
                self.edition_id,
                Recipient(row.number, self.list_id, PEOPLE[self.rows.index(row)]),
                "example.org",
                row.attempts,
                row.doubts,
            )
            for row in rows
        ]

    def chosen(self, numbers: set[int]) -> list[Row]:
        return [self.rows[number] for number in sorted(numbers)]

    def sweep(self) -> None:
        if self.send is SendState.CANCELLED:
            for row in self.rows:
                if row.state is State.PENDING:
                    row.state = State.SKIPPED

    def reopen(self, count: int) -> None:
        if count:
            self.send = SendState.SENDING if self.send is SendState.FINISHED else self.send
            self.sweep()

    # -- the world ----------------------------------------------------------------------------------------------------

    @rule(minutes=st.integers(0, 400))
    def wait(self, minutes):
        self.now += dt.timedelta(minutes=minutes)

    @rule(number=st.integers(0, len(PEOPLE) - 1), state=st.sampled_from(SubscriptionState))
    def change_subscription(self, number, state):
        row = self.rows[number]
        self.store.subscribers.change_subscription(self.list_id, row.number, state, self.now)
        row.is_active = state is SubscriptionState.ACTIVE

    @rule(number=st.integers(0, len(PEOPLE) - 1), lift=st.booleans())
    def suppress(self, number, lift):
        subscribers, row = self.store.subscribers, self.rows[number]
        if lift:
            assert subscribers.lift_suppression(PEOPLE[number]) == row.is_suppressed
        else:
            added = subscribers.suppress_address(PEOPLE[number], SuppressionReason.REQUEST, self.now)
            assert added != row.is_suppressed
        row.is_suppressed = not lift

    @rule(move=st.sampled_from(sorted(SEND_MOVES)))
    def move_send(self, move):
        sends, extra = self.store.sends, ["a reason"] if move in ("hold", "pause", "cancel") else []
        method = getattr(sends, "lift_hold" if move == "lift" else f"{move}_send")
        targets = SEND_MOVES[move]
        goal = targets.get(self.send)
        if self.send in targets.values() and self.send not in (None, *targets):
            goal = self.send
        try:
            assert method(self.send_id, *extra, self.now).state is goal
        except NotAllowedError:
            assert goal is None
        else:
            self.send = goal
            if move == "cancel":
                self.sweep()

    @rule()
    def finish(self):
        can = self.send in RUNNING and not any(row.state in OPEN for row in self.rows)
        self.send = SendState.FINISHED if can else self.send
        assert self.store.sends.finish_send(self.send_id, self.now) is (self.send is SendState.FINISHED)

    # -- a run --------------------------------------------------------------------------------------------------------

    @rule(owner=OWNER, limit=st.integers(1, 6))
    def claim(self, owner, limit):
        claimed = self.store.ledger.claim_deliveries(self.send_id, owner, limit, self.now)
        expected: list[Row] = []
        while self.send in RUNNING and not expected:
            due = [row for row in self.rows if row.state is State.PENDING and row.due <= self.now]
            due = sorted(due, key=lambda row: (row.due, row.number))[:limit]
            if not due:
                break
            for row in due:
                if row.may_be_mailed:
                    row.state, row.owner = State.CLAIMED, owner
                    expected.append(row)
                else:
                    row.state = State.SKIPPED
        assert [delivery.subscriber_id for delivery in claimed] == [row.number for row in expected]
        assert [(delivery.attempts, delivery.doubts) for delivery in claimed] == [
            (row.attempts, row.doubts) for row in expected
        ]

    @rule(owner=OWNER, marks=NUMBERS, answered=st.sets(st.integers(0, 5)), reply=st.sampled_from(sorted(REPLIES)))
    def advance(self, owner, marks, answered, reply):
        """Record what some rows came to, and mark others, in one commit."""
        rows, wanted = self.chosen(answered), self.chosen(marks - answered)
        results = [self.result(row, owner, reply) for row in rows]
        expected_lost = [each for each, row in zip(results, rows, strict=True) if not self.apply(row, owner, each)]
        if any(each.outcome.event in (Event.DEFER, Event.LOSE) for each in results):
            self.sweep()
        expected = set()
        for row in wanted:
            if (row.state, row.owner) == (State.CLAIMED, owner) and row.may_be_mailed and self.send in RUNNING:
                row.state = State.TRANSMITTING
                expected.add(row.number)
        answer = self.store.ledger.advance_deliveries(self.send_id, owner, results, self.deliveries(wanted), self.now)
        assert answer.marked == expected
        assert list(answer.unrecorded) == expected_lost

    def result(self, row: Row, owner: str, reply: str) -> Result:
        """Return a result that fits the row where it can; a run asks for no other, but may come too late."""
        marked = row.state is not State.CLAIMED
        answer = REPLIES[reply]
        if not marked and reply == "accept":
            answer = REPLIES["defer"]
        outcome = classify(answer) if answer else Outcome(Event.LOSE, About.CONNECTION)
        return Result(self.deliveries([row])[0], outcome, answer, marked)

    def apply(self, row: Row, owner: str, result: Result) -> bool:
        """Move the model's row by a result, and tell whether the owner held it."""
        if (row.state, row.owner) != (State.TRANSMITTING if result.marked else State.CLAIMED, owner):
            return False
        event, charge = result.outcome.event, result.outcome.is_charged
        if event is Event.LOSE and not result.marked:
            row.wait(self.now)
            return True
        if event is Event.LOSE:
            row.state, row.owner = State.IN_DOUBT, ""
            row.attempts, row.doubts = row.attempts + 1, row.doubts + 1
            return True
        row.attempts += charge
        if event is Event.DEFER:
            key = f"{self.send_id}:{row.number}"
            due = next_attempt(row.attempts, self.now, key) if charge else self.now
            row.wait(due or self.now)
            row.state = State.PENDING if due else State.FAILED
        else:
            row.state, row.owner = State.SENT if event is Event.ACCEPT else State.FAILED, ""
            row.is_suppressed |= result.outcome.hard
        return True

    @rule(owner=OWNER, numbers=NUMBERS, minutes=st.integers(0, 10))
    def release(self, owner, numbers, minutes):
        at = self.now + dt.timedelta(minutes=minutes) if minutes else None
        rows = self.chosen(numbers)
        held = [row for row in rows if (row.state, row.owner) == (State.CLAIMED, owner)]
        for row in held:
            row.wait(at or self.now)
        self.sweep()
        count = self.store.ledger.release_deliveries(self.send_id, owner, self.deliveries(rows), self.now, at)
        assert count == len(held)

    @rule(owner=OWNER, numbers=NUMBERS)
    def skip(self, owner, numbers):
        rows = self.chosen(numbers)
        held = [row for row in rows if (row.state, row.owner) == (State.CLAIMED, owner)]
        for row in held:
            row.state, row.owner = State.SKIPPED, ""
        count = self.store.ledger.skip_deliveries(self.send_id, owner, self.deliveries(rows), "no", self.now)
        assert count == len(held)

    @rule(owner=OWNER)
    def recover(self, owner):
        released = doubted = 0
        for row in self.rows:
            if row.owner == owner and row.state is State.TRANSMITTING:
                row.state, row.owner = State.IN_DOUBT, ""
                row.attempts, row.doubts, doubted = row.attempts + 1, row.doubts + 1, doubted + 1
            elif row.owner == owner and row.state is State.CLAIMED:
                row.wait(self.now)
                released += 1
        self.sweep()
        recovery = self.store.ledger.recover_deliveries(self.send_id, {owner}, self.now)
        assert (recovery.released, recovery.doubted) == (released, doubted)

    # -- operators and bounces ----------------------------------------------------------------------------------------

    @rule(minutes=st.integers(0, 10))
    def resend_doubtful(self, minutes):
        at = self.now + dt.timedelta(minutes=minutes) if minutes else None
        doubtful = [row for row in self.rows if row.state is State.IN_DOUBT and row.doubts == 1]
        for row in doubtful:
            row.wait(at or self.now)
        self.reopen(len(doubtful))
        assert self.store.ledger.resend_doubtful(self.send_id, self.now, at) == len(doubtful)

    @rule(numbers=NUMBERS, arrived=st.booleans())
    def settle(self, numbers, arrived):
        rows = [row for row in self.chosen(numbers) if row.state is State.IN_DOUBT]
        for row in rows:
            if arrived:
                row.state = State.SENT
            else:
                row.wait(self.now)
        if not arrived:
            self.reopen(len(rows))
        ids = [row.number for row in self.chosen(numbers)]
        settled = self.store.ledger.settle_deliveries(self.send_id, ids, arrived=arrived, reason="log", now=self.now)
        assert settled == len(rows)

    @rule()
    def resend_failed(self):
        rows = [row for row in self.rows if row.state is State.FAILED and row.may_be_mailed]
        for row in rows:
            row.wait(self.now)
            row.attempts = 0
        self.reopen(len(rows))
        assert self.store.ledger.resend_failed(self.send_id, self.now) == len(rows)

    @rule()
    def expire(self):
        rows = [row for row in self.rows if row.state is State.PENDING]
        for row in rows:
            row.state = State.FAILED
        assert self.store.ledger.expire_deliveries(self.send_id, "over", self.now) == len(rows)

    @rule(number=st.integers(0, len(PEOPLE) - 1), undo=st.booleans())
    def bounce(self, number, undo):
        row, ledger = self.rows[number], self.store.ledger
        if undo:
            is_bounced = row.state is State.BOUNCED
            assert ledger.undo_bounce(self.send_id, row.number, self.now) is is_bounced
            if is_bounced:
                row.state, row.former = row.former, None
        else:
            can = row.state in (State.SENT, State.IN_DOUBT)
            assert ledger.record_bounce(self.send_id, row.number, "5.1.1", self.now) is can
            if can:
                row.state, row.former = State.BOUNCED, row.state

    # -- what must always hold ----------------------------------------------------------------------------------------

    @invariant()
    def ledger_agrees(self):
        type(self).steps += 1
        found = list(self.store.ledger.list_deliveries(self.send_id))
        assert [self.shown(row) for row in found] == [
            (row.number, row.state, row.attempts, row.doubts, row.due if row.state is State.PENDING else None)
            for row in sorted(self.rows, key=lambda row: row.number)
        ]

    @staticmethod
    def shown(row):
        return row.subscriber_id, row.state, row.attempts, row.doubts, row.next_attempt_at

    @invariant()
    def account_agrees(self):
        account, counts = self.store.sends.account(self.send_id), Counter(row.state for row in self.rows)
        assert account.closes
        assert account.planned == len(PEOPLE)
        numbers = (account.sent, account.failed, account.skipped, account.bounced, account.in_doubt)
        closed = (State.SENT, State.FAILED, State.SKIPPED, State.BOUNCED, State.IN_DOUBT)
        assert numbers == tuple(counts[state] for state in closed)
        assert self.store.sends.load_send(self.send_id).state is self.send
        assert self.send is not SendState.FINISHED or not account.open

    @invariant()
    def owners_agree(self):
        held = {row.owner for row in self.rows if row.state in (State.CLAIMED, State.TRANSMITTING)}
        assert self.store.ledger.list_owners(self.send_id) == held

    @invariant()
    def report_names_every_doubt(self):
        named = {row.subscriber_id for row in self.store.ledger.list_failures(self.send_id)}
        assert {row.number for row in self.rows if row.doubts} <= named


def drive(store: str, folder, examples: int, steps: int) -> int:
    """Run the machine on stores of one kind, and return how many steps it took."""
    skip_missing(store)
    with open_ground(store, folder) as ground:
        ground.prepare(lambda url: fill_store(url, PEOPLE))
        machine = type(f"Machine_{store}", (Machine,), {"ground": ground, "steps": 0})
        run_state_machine_as_test(
            machine,
            settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, print_blob=True),
        )
        return machine.steps


@pytest.mark.parametrize("store", KINDS)
def test_ledger_is_as_the_model_says(store, tmp_path):
    assert drive(store, tmp_path, 8, 40) >= 100


@pytest.mark.proof
@pytest.mark.parametrize("store", KINDS)
def test_ledger_is_as_the_model_says_in_ten_thousand_steps(store, tmp_path):
    started = time.monotonic()
    steps = drive(store, tmp_path, 400, 60)
    assert steps >= 10_000
    keep_figures("machine", store=store, steps=steps, wrong=0, seconds=round(time.monotonic() - started))
