"""Plan sends, move them along their table, and account for them; single rows are ``ledger``'s."""

import datetime as dt
from collections.abc import Mapping, Sequence

from newsletter.delivery import RUNNING, SEND_TABLE, Account, SendEvent, SendState, State, send_transition
from newsletter.errors import NotAllowedError, StoreError, StoreUnavailableError
from newsletter.store.database import (
    Database,
    Row,
    from_micros,
    from_micros_or_none,
    storable,
    to_micros,
    to_micros_or_none,
)
from newsletter.store.records import Send, SendPlan
from newsletter.store.segments import EVERYBODY_ASKED, Segment, condition_of
from newsletter.topics import split_topics
from newsletter.variants import WHOLE

_QUERIES = {
    SendEvent.START: "start_send",
    SendEvent.TRY: "try_send",
    SendEvent.HOLD: "hold_send",
    SendEvent.LIFT: "lift_send",
    SendEvent.PAUSE: "pause_send",
    SendEvent.RESUME: "resume_send",
    SendEvent.CANCEL: "cancel_send",
}


class Sends:
    """Read and write sends.

    ``pause_send`` and its like return the send as it then stands; each raises NotAllowedError where the send's state
    does not let it, and does nothing where the send is already there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_audience(self, list_ids: Sequence[int], now: dt.datetime, segment: Segment = EVERYBODY_ASKED) -> int:
        """Return how many people ``plan_send`` would freeze now.

        Those who are active on one of the lists, neither suppressed nor paused, and of whom ``segment`` is true.
        """
        return sum(self.count_choices(list_ids, now, segment).values())

    def count_choices(
        self, list_ids: Sequence[int], now: dt.datetime, segment: Segment = EVERYBODY_ASKED
    ) -> dict[tuple[str, ...], int]:
        """Return the same people by the topics that they chose; ``()`` is those who chose none."""
        condition, values = condition_of(segment, self._database.dialect)
        query = self._database.with_condition("count_audience", condition)
        counted: dict[tuple[str, ...], int] = {}
        for position, list_id in enumerate(list_ids):
            earlier = "".join(f",{number}" for number in list_ids[:position]) + ","
            for topics, count in self._database.rows(
                query, list=list_id, earlier=earlier, now=to_micros(now), **values
            ):
                chosen = split_topics(topics)
                counted[chosen] = counted.get(chosen, 0) + count
        return counted

    def plan_send(self, plan: SendPlan, now: dt.datetime) -> Send:
        """Freeze the audience: one PENDING delivery for each active, unsuppressed, unpaused subscriber.

        All in one transaction. The same issue and kind give the same send, however often this is called: what was
        frozen first stays. A million recipients take seconds and no memory.
        """
        if "" not in plan.editions:
            raise ValueError("a plan needs an edition for everybody else, under the language ''")
        with self._database.transaction():
            found = self.find_send(plan.issue, plan.kind)
            if found is not None:
                return found
            send_id = self._insert(plan, to_micros(now))
            self._freeze(plan, send_id, to_micros(now))
            return self.load_send(send_id)

    def count_readers(self, send_id: int, now: dt.datetime) -> tuple[int, int]:
        """Return how many people a send was mailed to, doubtful ones too, and how many of them still want mail."""
        row = self._database.row("count_readers", former=send_id, now=to_micros(now))
        return (row[0], row[1]) if row else (0, 0)

    def plan_correction(self, plan: SendPlan, former_id: int, now: dt.datetime) -> Send:
        """Freeze as the audience whoever got the send ``former_id``, or may have, and still wants mail.

        All get the edition under ``""``; the plan's lists do not count. The same issue and kind give the same send.
        """
        with self._database.transaction():
            found = self.find_send(plan.issue, plan.kind)
            if found is not None:
                return found
            micros = to_micros(now)
            send_id = self._insert(plan, micros)
            values = {"send": send_id, "former": former_id, "edition": plan.editions[""], "state": State.PENDING}
            planned = self._database.change("freeze_readers", now=micros, **values)
            self._database.change("set_planned", send=send_id, planned=planned)
            return self.load_send(send_id)

    def find_send(self, issue: str, kind: str = "issue") -> Send | None:
        """Return the send of the issue, or None where none was planned."""
        row = self._database.row("find_send", issue=storable(issue), kind=kind)
        return _send(row) if row else None

    def load_send(self, send_id: int) -> Send:
        """Return the send with this number; raise StoreError where there is none."""
        row = self._database.row("load_send", send=send_id)
        if row is None:
            raise self._no_send(send_id)
        return _send(row)

    def load_sends(self) -> tuple[Send, ...]:
        """Return all sends, latest first."""
        return tuple(map(_send, self._database.rows("load_sends")))

    def unfinished_sends(self, now: dt.datetime) -> tuple[Send, ...]:
        """Return, oldest first, the sends with something to do now.

        Those that are frozen (and not before their ``send_at``), in canary or sending, and have a row that is due, one
        that a dead owner may have left, or no open row at all and so only need to be finished.
        """
        return tuple(map(_send, self._database.rows("unfinished_sends", now=to_micros(now))))

    def next_due_at(self, send_id: int) -> dt.datetime | None:
        """Return the earliest instant at which a pending row of the send is due, or None without such a row."""
        row = self._database.row("next_due_at", send=send_id)
        return from_micros_or_none(row[0]) if row else None

    def start_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let the send run: from frozen or canary to sending."""
        return self._move(send_id, SendEvent.START, now)

    def try_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let a first share run: from frozen to canary."""
        return self._move(send_id, SendEvent.TRY, now)

    def hold_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """Stop a frozen send before its first message; ``lift_hold`` undoes it."""
        return self._move(send_id, SendEvent.HOLD, now, reason=storable(reason))

    def lift_hold(self, send_id: int, now: dt.datetime) -> Send:
        """Take a held send back to frozen."""
        return self._move(send_id, SendEvent.LIFT, now)

    def pause_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """Stop a running send: no row is claimed or marked any more."""
        return self._move(send_id, SendEvent.PAUSE, now, reason=storable(reason))

    def resume_send(self, send_id: int, now: dt.datetime) -> Send:
        """Let a paused send go on."""
        return self._move(send_id, SendEvent.RESUME, now)

    def cancel_send(self, send_id: int, reason: str, now: dt.datetime) -> Send:
        """End a send for good; its pending rows are skipped now, claimed ones when their run gives them back."""
        with self._database.transaction():
            send = self._move(send_id, SendEvent.CANCEL, now, reason=storable(reason))
            self._database.change(f"skip_cancelled@{State.PENDING}", send=send_id, now=to_micros(now))
        return send

    def withdraw_send(self, send_id: int) -> bool:
        """Take back a send that never started, rows and all, in one transaction; tell whether it was one of these.

        So that its issue can be frozen anew. Nothing of it was on the wire: only starting sets ``started_at``.
        """
        with self._database.transaction():
            if not self._database.row("lock_unstarted", send=send_id):
                return False
            for table in ("attempts", "notices", "canaries", "openings", "deliveries", "variants", "send"):
                self._database.change(f"withdraw_{table}", send=send_id)
            return True

    def finish_send(self, send_id: int, now: dt.datetime) -> bool:
        """Set the send finished if it is running and no open row exists; tell whether it is finished now."""
        micros = to_micros(now)
        with self._database.transaction():
            for state in RUNNING:
                self._database.change(f"finish_send@{state}", send=send_id, now=micros)
            return self.load_send(send_id).state is SendState.FINISHED

    def account(self, send_id: int) -> Account:
        """Return the send's account, counted from its rows in one consistent read."""
        rows = self._database.rows("account_send", send=send_id)
        if not rows:
            raise self._no_send(send_id)
        return Account.from_counts(rows[0][0], {State(state): count for _, state, count in rows if state is not None})

    def _insert(self, plan: SendPlan, now: int) -> int:
        row = self._database.row(
            "insert_send",
            issue=storable(plan.issue),
            kind=plan.kind,
            state=SendState.FROZEN,
            source_digest=plan.source_digest,
            send_at=to_micros_or_none(plan.send_at),
            not_after=to_micros_or_none(plan.not_after),
            now=now,
        )
        assert row is not None
        return int(row[0])

    def _freeze(self, plan: SendPlan, send_id: int, now: int) -> None:
        condition, values = condition_of(plan.segment, self._database.dialect)
        choices, freeze = (
            self._database.with_condition(query, condition) for query in ("list_choices", "freeze_audience")
        )
        values |= {"now": now, "topical": int(bool(plan.sections))}
        planned = 0
        for list_id in plan.list_ids:
            found = self._database.rows(choices, list=list_id, **values)
            self._database.change_all(
                "insert_variant",
                (
                    {
                        "send": send_id,
                        "language": language,
                        "topics": topics,
                        "edition": self._choose(plan, language, topics),
                    }
                    for language, topics in found
                ),
            )
            planned += self._database.change(freeze, send=send_id, list=list_id, state=State.PENDING, **values)
        self._database.change("set_planned", send=send_id, planned=planned)

    def _choose(self, plan: SendPlan, language: str, topics: str) -> int:
        """Return the edition for a language and for topics as ``subscribers`` holds them."""
        variant = plan.sections.variant_of(split_topics(topics))
        if variant == WHOLE:
            return choose_edition(language, plan.editions)
        if variant not in plan.variants:
            raise StoreUnavailableError(
                f"{plan.issue}: somebody chose other topics while the send was planned; run the command again"
            )
        return plan.variants[variant]

    def _move(self, send_id: int, event: SendEvent, now: dt.datetime, **values: object) -> Send:
        """Move the send by ``event`` in a compare-and-set, unless it is there already."""
        with self._database.transaction():
            send = self.load_send(send_id)
            targets = {end for (_, known), end in SEND_TABLE.items() if known is event}
            if send.state in targets:
                return send
            try:
                send_transition(send.state, event)
            except ValueError as error:
                raise NotAllowedError(f"the send of {send.issue}: {error}") from None
            query = f"{_QUERIES[event]}@{send.state}"
            self._database.change(query, send=send_id, now=to_micros(now), **values)
            return self.load_send(send_id)

    def _no_send(self, send_id: int) -> StoreError:
        return StoreError(f"{self._database.where}: there is no send {send_id}; was an older backup restored?")


def choose_edition(language: str, editions: Mapping[str, int]) -> int:
    """Return the edition of the longest tag that ``language`` begins with, without case; else the one of ``""``.

    A subscriber of ``zh-Hant-TW`` gets ``zh-Hant-TW``, ``zh-Hant``, ``zh`` or ``""`` (the lookup of RFC 4647 section
    3.4).
    """
    known = {tag.lower(): edition for tag, edition in editions.items()}
    tag = language.lower()
    while tag and tag not in known:
        tag = tag.rpartition("-")[0]
    return known[tag]


def _send(row: Row) -> Send:
    return Send(
        send_id=row[0],
        issue=row[1],
        kind=row[2],
        state=SendState(row[3]),
        reason=row[4],
        source_digest=row[5],
        send_at=from_micros_or_none(row[6]),
        not_after=from_micros_or_none(row[7]),
        planned=row[8],
        planned_at=from_micros(row[9]),
        started_at=from_micros_or_none(row[10]),
        finished_at=from_micros_or_none(row[11]),
    )
