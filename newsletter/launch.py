"""Bring a frozen send to its first mail and past its first share: take the steps that ``opening`` decides on.

Every step is durable before the next is decided, so a run may end anywhere: the editors are told at least once, and a
send never starts without them. Not here: freezing and carrying (``worker``), what the editors read (``notices``).
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from newsletter.config import Project
from newsletter.errors import InputError
from newsletter.model import Reply
from newsletter.opening import CANARY_MIN, Decision, Opening, OpeningRules, decide, opening_rules
from newsletter.store import Notice, Send, Store, owner_name

if TYPE_CHECKING:
    from newsletter.sender import SenderSetup


def next_step(store: Store, send: Send, rules: OpeningRules, now: dt.datetime, *, late: bool = False) -> Decision:
    """Return what is to be done with ``send`` at ``now``, by what the store says of it."""
    return decide(load_opening(store, send, now), rules, now, late=late)


def load_opening(store: Store, send: Send, now: dt.datetime) -> Opening:
    """Return the facts of the store on which the beginning of ``send`` is decided."""
    told = (notice.at for notice in store.openings.load_notices(send.send_id) if notice.is_accepted)
    return Opening(
        state=send.state,
        planned=send.planned,
        send_at=send.send_at,
        not_after=send.not_after,
        told_at=min(told, default=None),
        canary=store.openings.load_canary(send.send_id, now),
    )


@dataclass(frozen=True, slots=True)
class Telling:
    """Say who of the editors was mailed just now, who refused for good, and who is to be tried again, with the answers.

    ``goes_at`` is when the send starts if nobody holds it; None where nobody was told.
    """

    told: tuple[str, ...]
    refused: tuple[str, ...]
    waiting: tuple[str, ...]
    goes_at: dt.datetime | None


def tell_editors(project: Project, store: Store, setup: "SenderSetup", send: Send) -> Telling:
    """Mail what was frozen to every editor who was not told yet, and keep who took it.

    Under the run's lock, so that two runs do not both mail them. Raises BusyError where another run holds it, and
    RelayUnavailableError where nobody can be mailed at all; the send does not start then.
    """
    with store.run_lock(owner_name(setup.clock())):
        notices = {notice.editor: notice for notice in store.openings.load_notices(send.send_id)}
        is_told = any(notice.is_accepted for notice in notices.values())
        told: list[str] = []
        refused: list[str] = []
        waiting: list[str] = []
        for editor in project.config.send.editors:
            known = notices.get(editor)
            if known and (known.is_accepted or is_told):
                continue  # one who refused is asked again only while nobody was told
            notice, is_final = _tell(project, store, setup, send, editor)
            if is_final:
                store.openings.record_notice(send.send_id, notice)
            kind = told if notice.is_accepted else refused if is_final else waiting
            kind.append(editor if notice.is_accepted else f"{editor}: {notice.answer}")
        goes_at = _goes_at(store, send, setup.clock(), opening_rules(project.config.send))
    return Telling(tuple(told), tuple(refused), tuple(waiting), goes_at)


def _tell(project: Project, store: Store, setup: "SenderSetup", send: Send, editor: str) -> tuple[Notice, bool]:
    """Mail one editor; return what came of it, and whether that answer is final."""
    from newsletter.notices import Announcement, tell_editor

    rules, now = opening_rules(project.config.send), setup.clock()
    announcement = Announcement(
        send=send,
        editions=[store.editions.load_edition(number) for number in store.openings.edition_ids(send.send_id)],
        goes_at=max(send.send_at or now, now + rules.veto),
        zone=project.zone,
        canary=canary_words(send.planned, rules),
    )
    try:
        answer = tell_editor(announcement, editor, setup)
    except InputError as error:  # of the address: the edition itself was checked before it was frozen
        return Notice(editor, now, is_accepted=False, answer=str(error)), True
    is_accepted = isinstance(answer, Reply) and 200 <= answer.code < 300
    is_final = is_accepted or (isinstance(answer, Reply) and answer.code >= 500)
    return Notice(editor, setup.clock(), is_accepted=is_accepted, answer=str(answer)), is_final


def _goes_at(store: Store, send: Send, now: dt.datetime, rules: OpeningRules) -> dt.datetime | None:
    told_at = load_opening(store, send, now).told_at
    return max(send.send_at or told_at, told_at + rules.veto) if told_at else None


def canary_words(planned: int, rules: OpeningRules) -> str:
    """Say what the first share of an audience will be, ``""`` for none."""
    size = rules.canary.of(planned, CANARY_MIN) if rules.canary else 0
    if not 0 < size < planned:
        return ""
    minutes = rules.canary_wait // dt.timedelta(minutes=1)
    return f"the first {size:,}, then {minutes} min of rest, then the others"
