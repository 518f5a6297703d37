"""Stop a send by a person's word, and let it go again: hold, release.

Use case: no argument parsing, no printing. A send that was not begun is held, one that is under way is paused; no row
is touched by either. An issue that was approved but not frozen yet is frozen and held, so that no run can be faster.
"""

import datetime as dt
import enum
from dataclasses import dataclass
from pathlib import Path

from newsletter.config import Project
from newsletter.delivery import RUNNING, SendState
from newsletter.errors import InputError, NotAllowedError
from newsletter.freezer import FrozenIssue, freeze_issue
from newsletter.schedule import Verdict, due
from newsletter.store import Send, Store
from newsletter.worker import TOO_OLD, freeze_approved, plan_issue

_AT_REST = frozenset({SendState.HELD, SendState.PAUSED})
_TRIES = 3
"""How often a send is looked at anew whose state moved while it was to be stopped."""


class Release(enum.StrEnum):
    """Say which text of an issue is to go out that was held."""

    EITHER = "the frozen one, if the file did not change"
    AS_FROZEN = "the frozen one"
    CORRECTED = "the one that is approved now"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Hold a send as it stands now; ``was`` is its state before."""

    send: Send
    was: SendState


def hold_issue(project: Project, store: Store, path: Path, reason: str, now: dt.datetime) -> Stopped:
    """Stop the send of the issue at ``path`` for ``reason``: hold what was not begun, pause what is under way.

    Raises NotAllowedError for one that is over, and for an issue that is not approved and so goes nowhere.
    """
    send = store.sends.find_send(path.stem)
    if send is None:
        send = plan_issue(store, freeze_approved(project, store, path, now), now)
    return hold_send(store, send, reason, now)


def hold_send(store: Store, send: Send, reason: str, now: dt.datetime) -> Stopped:
    """Stop a send; one that is stopped already keeps its first reason."""
    for _ in range(_TRIES):  # a run may start it, or end it, in this very moment
        was = store.sends.load_send(send.send_id).state
        try:
            if was is SendState.FROZEN:
                return Stopped(store.sends.hold_send(send.send_id, reason, now), was)
            if was in RUNNING:
                return Stopped(store.sends.pause_send(send.send_id, reason, now), was)
        except NotAllowedError:
            continue
        break
    current = store.sends.load_send(send.send_id)
    if current.state in _AT_REST:
        return Stopped(current, current.state)
    raise NotAllowedError(f"{send.issue} is {current.state} already; there is nothing to hold")


def release_issue(project: Project, store: Store, path: Path, release: Release, now: dt.datetime) -> Send:
    """Let the send of the issue at ``path`` go on that was held or paused; cron goes on with it.

    ``Release.CORRECTED`` freezes what is approved now in place of what was frozen; the editors are told anew. Raises
    NotAllowedError for a send that is not stopped or is too old, for a file that changed where neither text was named,
    and where people have it already and so nothing can be corrected.
    """
    send = store.sends.find_send(path.stem)
    if send is None:
        raise InputError(f"{path.stem} was never frozen; there is nothing to release")
    if send.state is SendState.PAUSED:
        if release is Release.CORRECTED:
            raise NotAllowedError(
                f"{send.issue} is under way: what people have cannot be corrected; write another issue"
            )
        return store.sends.resume_send(send.send_id, now)
    if send.state is not SendState.HELD:
        raise NotAllowedError(f"{send.issue} is {send.state}, neither held nor paused; there is nothing to release")
    _refuse_old(send, now)
    if release is Release.CORRECTED:
        return _freeze_anew(project, store, send, path, now)
    if release is Release.EITHER and _has_changed(project, path, send):
        raise NotAllowedError(
            f"{path} is not what was frozen; '--corrected' freezes what is approved now, '--as-frozen' sends what the "
            "editors saw"
        )
    return store.sends.lift_hold(send.send_id, now)


def _refuse_old(send: Send, now: dt.datetime) -> None:
    is_old = send.send_at and due(send.send_at, send.not_after, now) is Verdict.EXPIRED
    if is_old or send.reason.startswith(TOO_OLD):
        raise NotAllowedError(
            f"{send.issue} is too old to go out by itself; 'newsletter send {send.issue} --yes --late' sends it"
        )


def _has_changed(project: Project, path: Path, send: Send) -> bool:
    return freeze_issue(project, path, approved_only=False).source_digest != send.source_digest


def _freeze_anew(project: Project, store: Store, send: Send, path: Path, now: dt.datetime) -> Send:
    frozen: FrozenIssue = freeze_approved(project, store, path, now)
    with store.database.transaction():
        if not store.sends.withdraw_send(send.send_id):
            raise NotAllowedError(f"{send.issue} was begun meanwhile; 'newsletter status {send.issue}' says how far")
        return plan_issue(store, frozen, now)
