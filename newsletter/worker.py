"""Send issues: find what is due, freeze it once, and hand it to the sender; tell each trouble once.

A run of cron with nothing to do ends before it gets here (``glance``). Files whose front matter cannot be due are
passed over by their first lines; the store remembers what was read, and what was told. Printing is the command line's.
"""

import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.audience import list_names, parse_audience
from newsletter.config import Project, is_reserved_slug, refuse_slug
from newsletter.delivery import SendState
from newsletter.errors import InputError, IssueError, NewsletterError, NotAllowedError, Place
from newsletter.freezer import FrozenIssue, freeze_issue
from newsletter.glance import front_matter_of, is_near, is_over
from newsletter.launch import next_step
from newsletter.model import Issue
from newsletter.opening import OpeningRules, Step
from newsletter.precompiled import find_compiled
from newsletter.schedule import Verdict, due
from newsletter.store import IssueFile, Result, Segment, Send, SendPlan, Store, find_store
from newsletter.subscriptions import DEFAULT_LIST, default_list
from newsletter.variants import WHOLE, TopicalSections

if TYPE_CHECKING:
    from newsletter.reports import SendReport
    from newsletter.sender import SenderSetup

_TIMED, _SETTLED, _BROKEN = "timed", "settled", "broken"
TOO_OLD = "too old"
"""How the reason begins for which cron holds a send that expired."""
HELD_BY = "held by"
"""How the reason begins for which a person holds a send."""


@dataclass(frozen=True, slots=True)
class DueIssue:
    """Name an issue file that cron should act on, or say in ``trouble`` why it cannot."""

    path: Path
    trouble: NewsletterError | None = None


@contextmanager
def open_known_store(project: Project, address_key: bytes = b"") -> "Iterator[Store | None]":
    """Open the store where there is one; a newsletter that never had one gives None, and none is made."""
    with find_store(project.store_url, address_key=address_key) or nullcontext() as store:
        yield store


# ---------------------------------------------------------------------------------------------------------------------
# What is due
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """Say what is known of an issue file: its verdict, read in which zone, what is wrong with it, and what was told."""

    verdict: str
    zone: str
    problem: str = ""
    told: str = ""

    def written(self) -> str:
        """Return it as the store keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)


def _read_known(text: str) -> _Known:
    try:
        return _Known(**json.loads(text))
    except (TypeError, ValueError):  # of another version
        return _Known(verdict="", zone="")


def find_due(
    project: Project, store: Store | None, now: dt.datetime, late: bool = False, *, lead: dt.timedelta = dt.timedelta()
) -> list[DueIssue]:
    """Return the approved issues whose time has come, and those that cannot be sent, with the reason.

    ``lead`` is how long before its ``send_at`` an approved issue is to be frozen; what it lacks is told at its time.
    With a store, files that did not change since the last run are judged by what it remembers of them.
    """
    remembered = dict(store.issues.load_issue_files()) if store else {}
    frozen = {send.issue for send in store.sends.load_sends()} if store else set()
    files = _Files(project, now, remembered, late=late, lead=lead)
    found: list[DueIssue] = []
    for entry in _issue_files(project):
        action = files.look_at(entry, is_frozen=Path(entry.name).stem in frozen)
        if action is not None:
            found.append(action)
    gone = remembered.keys() - files.present
    if store and (files.judged or gone):
        store.issues.remember_issue_files(files.judged, gone)
    return found


def _issue_files(project: Project) -> "Iterator[os.DirEntry[str]]":
    """Yield the Markdown files of ``issues/``, hidden ones left out: editors keep their own files there."""
    try:
        entries = sorted(os.scandir(project.issues_dir), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{project.issues_dir}: cannot be read: {error.strerror}") from None
    yield from (entry for entry in entries if entry.name.endswith(".md") and not entry.name.startswith("."))


class _Files:
    """Look at one issue file after the other; keep which are there, and what is to be remembered of them."""

    def __init__(
        self,
        project: Project,
        now: dt.datetime,
        remembered: Mapping[str, IssueFile],
        *,
        late: bool,
        lead: dt.timedelta,
    ) -> None:
        self._project = project
        self._now = now
        self._late = late
        self._lead = lead
        self._remembered = remembered
        self.present: set[str] = set()
        self.judged: list[IssueFile] = []

    def look_at(self, entry: "os.DirEntry[str]", *, is_frozen: bool) -> DueIssue | None:
        """Return what a file asks for now, None for nothing."""
        path = Path(entry.path)
        self.present.add(entry.name)
        if is_frozen:
            return None  # from there on the ledger says what is due
        try:
            if not entry.is_file():
                return None
            return self._act_on(path, self._up_to_date(entry))
        except FileNotFoundError:
            return None  # it was there a moment ago
        except IssueError as error:
            trouble: NewsletterError = error
        except OSError as error:
            trouble = InputError(f"{path}: cannot be read: {error.strerror}")
        if entry.name not in self._remembered:  # so that the trouble can be told once
            self.judged.append(_file(entry.name, (0, 0), None, _Known("", "")))
        return DueIssue(path, trouble)

    def _up_to_date(self, entry: "os.DirEntry[str]") -> IssueFile:
        """Return what is known of a file, read anew where it changed, or where the newsletter's zone did."""
        status = entry.stat()
        known = self._remembered.get(entry.name)
        is_same = known and (known.mtime_ns, known.size) == (status.st_mtime_ns, status.st_size)
        if known and is_same and _read_known(known.verdict).zone == self._project.zone.key:
            return known
        judged = self._judge(Path(entry.path), status)
        self.judged.append(judged)
        return judged

    def _judge(self, path: Path, status: os.stat_result) -> IssueFile:
        """Read as little of a file as its verdict takes: when it is timed, else nothing."""
        send_at, verdict, problem = None, _SETTLED, ""
        try:
            if not is_over(front_matter_of(str(path)), self._now):
                send_at, verdict = _read_head(self._project, path).send_at, _TIMED
        except IssueError as error:
            verdict, problem = _BROKEN, str(error)
        known = _Known(verdict, self._project.zone.key, problem)
        return _file(path.name, (status.st_mtime_ns, status.st_size), send_at, known)

    def _act_on(self, path: Path, file: IssueFile) -> DueIssue | None:
        known = _read_known(file.verdict)
        if known.verdict == _BROKEN:
            is_urgent = is_near(front_matter_of(str(path)), self._now)
            return DueIssue(path, InputError(known.problem)) if is_urgent else None
        if known.verdict != _TIMED or file.send_at is None or self._is_ahead(file.send_at):
            return None
        issue = _read_head(self._project, path)  # its time has come: what stands there now counts
        if issue.send_at is None or self._is_ahead(issue.send_at):
            return None
        trouble = _name_trouble(path) or self._trouble(issue, issue.send_at)
        return None if trouble and self._now < issue.send_at else DueIssue(path, trouble)

    def _is_ahead(self, send_at: dt.datetime) -> bool:
        return send_at.astimezone(dt.UTC) - self._lead > self._now

    def _trouble(self, issue: Issue, send_at: dt.datetime) -> NotAllowedError | None:
        """Return why an issue whose time has come may not be sent, None where it may."""
        if due(send_at, issue.not_after, self._now, self._late) is Verdict.EXPIRED:
            when = f"{send_at.astimezone(self._project.zone):%Y-%m-%d %H:%M} {self._project.zone.key}"
            way = f"'newsletter send {issue.slug} --yes --late' sends it"
            return NotAllowedError(f"{issue.slug} was due at {when} and is too old now; {way}")
        if issue.approved is None:
            way = f"'newsletter approve {issue.slug}' lets it go"
            return NotAllowedError(f"{issue.slug} is due and not approved; {way}")
        return None


def _file(name: str, stamp: tuple[int, int], send_at: dt.datetime | None, known: _Known) -> IssueFile:
    return IssueFile(name=name, mtime_ns=stamp[0], size=stamp[1], send_at=send_at, verdict=known.written())


def _read_head(project: Project, path: Path) -> Issue:
    from newsletter.issue import SIZE_LIMIT, decode_issue, read_head

    file = f"{project.issues_dir.name}/{path.name}"
    with path.open("rb") as stream:
        content = stream.read(10 * SIZE_LIMIT)
    return read_head(decode_issue(content, file), slug=path.stem, file=file, zone=project.zone)


def _name_trouble(path: Path) -> InputError | None:
    """Return why no issue can have this name, None where one can."""
    try:
        refuse_slug(path.stem)
    except InputError as error:
        return InputError(f"{path}: {error}")
    if is_reserved_slug(path.stem):
        return InputError(
            f"{path}: a dot in a slug is kept for language editions of one issue; name the file like 2026-11-25.md"
        )
    return None


def tell_once(store: Store, path: Path, trouble: str) -> bool:
    """Tell whether ``trouble`` of an issue file is news, and remember that it was told.

    The same words are news again once the file changed.
    """
    file = store.issues.load_issue_files().get(path.name)
    if file is None:
        return True
    known = _read_known(file.verdict)
    if known.told == trouble:
        return False
    told = replace(known, told=trouble)
    store.issues.remember_issue_files([replace(file, verdict=told.written())])
    return True


def find_unfinished(store: Store, rules: OpeningRules, now: dt.datetime, late: bool = False) -> list[Send]:
    """Return the sends that have something to do now, oldest first."""
    at_work = {send.send_id for send in store.sends.unfinished_sends(now)}

    def has_work(send: Send) -> bool:
        if send.state is SendState.SENDING:
            return send.send_id in at_work
        is_opening = send.state in (SendState.FROZEN, SendState.CANARY)
        return is_opening and next_step(store, send, rules, now, late=late).step is not Step.WAIT

    return [send for send in reversed(store.sends.load_sends()) if has_work(send)]


def hold_expired(store: Store, send: Send, now: dt.datetime) -> str:
    """Hold a send whose time passed before it began, and return the words for it.

    A machine that was down for a week must not mail last week's news.
    """
    reason = f"{TOO_OLD} at {now:%Y-%m-%d %H:%M} UTC"
    store.sends.hold_send(send.send_id, reason, now)
    return f"{send.issue} is {reason} and was not begun; 'newsletter send {send.issue} --yes --late' does"


# ---------------------------------------------------------------------------------------------------------------------
# Sending
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shipment:
    """Hold what every send of one run shares."""

    project: Project
    store: Store
    setup: "SenderSetup"
    stop: threading.Event
    progress: Callable[[Result], None] | None = None


def send_issue(shipment: Shipment, path: Path, now: dt.datetime, *, late: bool = False) -> "SendReport":
    """Send the issue at ``path``, or go on with its send, also a paused one; freeze it where that was not done yet.

    Raises NotAllowedError for an issue that is not approved as it stands, or too old without ``late``.
    """
    sends = shipment.store.sends
    send = sends.find_send(path.stem) or freeze_due(shipment, path, now, late=late)
    if send.state is SendState.HELD:
        _lift(shipment.store, send, now, late)
    if send.state is SendState.PAUSED:
        sends.resume_send(send.send_id, now)
    if send.state is SendState.CANARY:
        sends.start_send(send.send_id, now)
    return continue_send(shipment, send.send_id)


def _lift(store: Store, send: Send, now: dt.datetime, late: bool) -> None:
    """Lift the hold of a send; one that a person holds wants ``newsletter release``."""
    if send.reason.startswith(HELD_BY):
        raise NotAllowedError(f"{send.issue} is held: {send.reason}; 'newsletter release {send.issue}' lets it go")
    if not late:
        raise NotAllowedError(f"{send.issue} is held: {send.reason}; send it all the same with --late")
    store.sends.lift_hold(send.send_id, now)


def freeze_due(shipment: Shipment, path: Path, now: dt.datetime, *, late: bool = False) -> Send:
    """Freeze an issue and its audience; the same issue always gives the same send.

    Raises NotAllowedError for an issue that is not approved as it stands, or too old without ``late``.
    """
    frozen = freeze_approved(shipment.project, shipment.store, path, now)
    refuse_late(frozen, now, late)
    return plan_issue(shipment.store, frozen, now)


def freeze_approved(project: Project, store: Store, path: Path, now: dt.datetime) -> FrozenIssue:
    """Freeze an issue that is approved as it stands, with the variants that its audience needs.

    Otherwise say which line changed.
    """
    try:
        frozen = find_compiled(project, store, path) or freeze_issue(project, path, approved_only=True)
        missing = missing_variants(store, frozen, now)
        return freeze_issue(project, path, approved_only=True, variants=missing) if missing else frozen
    except NotAllowedError as error:
        from newsletter.unapproved import explain_change

        change = explain_change(project, store.issues.latest_approval(path.stem), path)
        raise NotAllowedError(f"{error}\n{change}" if change else str(error)) from None


def refuse_late(frozen: FrozenIssue, now: dt.datetime, late: bool) -> None:
    """Raise NotAllowedError for an issue whose time has passed, unless ``late``."""
    if frozen.send_at and due(frozen.send_at, frozen.not_after, now, late) is Verdict.EXPIRED:
        raise NotAllowedError(
            f"{frozen.edition.issue}: it was to be sent at {frozen.send_at:%Y-%m-%d %H:%M %Z}, and is too old now; "
            "send it all the same with --late"
        )


def plan_issue(store: Store, frozen: FrozenIssue, now: dt.datetime) -> Send:
    """Store the edition and freeze its audience; the same issue always gives the same send.

    Raises NotAllowedError where nobody is on the list: a send to nobody would be over, and the issue with it.
    """
    audience = resolve_audience(store, frozen.audience, now)
    if not store.sends.count_audience(audience.list_ids, now, audience.segment):
        named = f"the audience '{frozen.audience}'" if frozen.audience else "the list"
        raise NotAllowedError(
            f"{frozen.edition.issue}: nobody is on {named}; 'newsletter subscribers import FILE' brings people onto it"
        )
    plan = SendPlan(
        issue=frozen.edition.issue,
        list_ids=audience.list_ids,
        segment=audience.segment,
        editions={"": store.editions.save_edition(frozen.edition, now)},
        sections=frozen.sections,
        variants={name: store.editions.save_edition(edition, now) for name, edition in frozen.variants.items()},
        source_digest=frozen.source_digest,
        send_at=frozen.send_at,
        not_after=frozen.not_after,
    )
    send = store.sends.plan_send(plan, now)
    store.issues.drop_compiled(frozen.edition.issue)
    return send


@dataclass(frozen=True, slots=True)
class ResolvedAudience:
    """Hold an audience as the store is asked for it."""

    list_ids: tuple[int, ...]
    segment: Segment


def resolve_audience(store: Store, audience: str, now: dt.datetime) -> ResolvedAudience:
    """Return whom ``audience`` means, the newsletter's own list for ``""``.

    Raises InputError for a list that is not there, IssueError for what cannot be read.
    """
    wanted = parse_audience(audience, Place("audience"))
    known = {each.name: each.list_id for each in store.subscribers.load_lists()}
    if DEFAULT_LIST not in known:
        known[DEFAULT_LIST] = default_list(store, now).list_id
    for name in (*wanted.lists, *list_names(wanted.condition)):
        if name not in known:
            raise InputError(f"audience: no list {name!r}; lists: {', '.join(known)}")
    list_ids = tuple(known[name] for name in wanted.lists or (DEFAULT_LIST,))
    return ResolvedAudience(list_ids, Segment(wanted.condition, known))


def missing_variants(store: Store, frozen: FrozenIssue, now: dt.datetime) -> list[str]:
    """Return the variants that the topics of the audience ask for, and that were not frozen."""
    counts = count_variants(store, frozen.audience, frozen.sections, now)
    return [name for name in counts if name != WHOLE and name not in frozen.variants]


def count_variants(store: Store, audience: str, sections: TopicalSections, now: dt.datetime) -> dict[str, int]:
    """Return how many of the audience would get each variant of an issue, the whole one (``""``) first."""
    asked = resolve_audience(store, audience, now)
    counted = {WHOLE: 0}
    for chosen, count in store.sends.count_choices(asked.list_ids, now, asked.segment).items():
        variant = sections.variant_of(chosen)
        counted[variant] = counted.get(variant, 0) + count
    return dict(sorted(counted.items()))


def continue_send(shipment: Shipment, send_id: int) -> "SendReport":
    """Work off what is due of a frozen send; see ``sender.run_send``."""
    from newsletter.sender import run_send

    return run_send(shipment.store, send_id, shipment.setup, stop=shipment.stop, progress=shipment.progress)
