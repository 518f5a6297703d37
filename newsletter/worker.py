"""Send issues: find what is due, freeze it once in a child process, and hand it to the sender.

A run of cron with nothing to do ends here within milliseconds: files whose front matter cannot be due are passed over
by their first lines, and nothing of the compiler is ever imported in this process. Printing is the command line's.
"""

import datetime as dt
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newsletter.config import Project
from newsletter.delivery import SendState
from newsletter.errors import ConfigError, InputError, IssueError, NewsletterError, NotAllowedError
from newsletter.frontmatter import without_approval
from newsletter.glance import front_matter_of, is_over
from newsletter.model import Edition, Issue
from newsletter.schedule import Verdict, due
from newsletter.store import IssueFile, Result, Send, SendPlan, Store, StoredApproval
from newsletter.subscriptions import default_list

if TYPE_CHECKING:
    import subprocess

    from newsletter.reports import SendReport
    from newsletter.sender import SenderSetup

CHILD_SECONDS = 120
"""Seconds that compiling one issue may take."""
_TIMED, _SETTLED, _BROKEN = "timed", "settled", "broken: "


@dataclass(frozen=True, slots=True)
class FrozenIssue:
    """Hold an issue as a child process compiled it: the edition, and what its front matter says of the send."""

    edition: Edition
    source_digest: str
    approved: bool
    send_at: dt.datetime | None
    not_after: dt.datetime | None
    audience: str


@dataclass(frozen=True, slots=True)
class DueIssue:
    """Name an issue file that cron should act on, or say in ``trouble`` why it cannot."""

    path: Path
    trouble: str = ""


# ---------------------------------------------------------------------------------------------------------------------
# Freezing
# ---------------------------------------------------------------------------------------------------------------------


def freeze_issue(project: Project, path: Path, *, approved_only: bool) -> FrozenIssue:
    """Compile the issue at ``path`` in a child process and return its edition.

    What an issue or a theme does to the compiler cannot take this process down. Raises NotAllowedError for an issue
    that is not approved as it stands (with ``approved_only``), InputError with the child's own words otherwise.
    """
    import json
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(prefix="newsletter-") as folder:
        command = [sys.executable, "-m", "newsletter", "--project", str(project.root), "build", str(path.resolve())]
        command += ["--out", folder, "--json", *(["--approved"] if approved_only else [])]
        try:
            child = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise InputError(f"{path}: compiling took more than {CHILD_SECONDS} s and was stopped") from None
        if child.returncode:
            raise _child_error(path, child)
        return _read_frozen(json.loads(child.stdout))


def _child_error(path: Path, child: "subprocess.CompletedProcess[str]") -> NewsletterError:
    words = "\n".join(line.removeprefix("error: ") for line in child.stderr.strip().splitlines())
    if child.returncode == 1:
        return NotAllowedError(words)
    if child.returncode == 78:
        return ConfigError(words)
    if child.returncode < 0:
        return InputError(f"{path}: compiling it killed the compiler (signal {-child.returncode}); nothing was sent")
    return InputError(words or f"{path}: compiling failed")


def _read_frozen(answer: dict[str, Any]) -> FrozenIssue:
    from newsletter.edition import edition_from_json

    edition = edition_from_json(Path(answer["files"]["edition.json"]).read_text(encoding="utf-8"))
    return FrozenIssue(
        edition=edition,
        source_digest=answer["source_digest"],
        approved=answer["approved"],
        send_at=_instant(answer["send_at"]),
        not_after=_instant(answer["not_after"]),
        audience=answer["audience"],
    )


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def audience_lists(store: Store, audience: str, now: dt.datetime) -> tuple[int, ...]:
    """Return the ids of the lists that ``audience`` names, the newsletter's own for ``""``.

    Raises InputError for a list that is not there.
    """
    names = [name.strip() for name in audience.split(",") if name.strip()]
    if not names:
        return (default_list(store, now).list_id,)
    found = []
    for name in names:
        known = store.subscribers.find_list(name)
        if known is None:
            lists = ", ".join(each.name for each in store.subscribers.load_lists()) or "none yet"
            raise InputError(f"audience: no list {name!r}; lists: {lists}")
        found.append(known.list_id)
    return tuple(found)


def plan_issue(store: Store, frozen: FrozenIssue, now: dt.datetime) -> Send:
    """Store the edition and freeze its audience; the same issue always gives the same send."""
    edition_id = store.editions.save_edition(frozen.edition, now)
    plan = SendPlan(
        issue=frozen.edition.issue,
        list_ids=audience_lists(store, frozen.audience, now),
        editions={"": edition_id},
        source_digest=frozen.source_digest,
        send_at=frozen.send_at,
        not_after=frozen.not_after,
    )
    return store.sends.plan_send(plan, now)


def refuse_late(frozen: FrozenIssue, now: dt.datetime, late: bool) -> None:
    """Raise NotAllowedError for an issue whose time has passed, unless ``late``."""
    if frozen.send_at and due(frozen.send_at, frozen.not_after, now, late) is Verdict.EXPIRED:
        raise NotAllowedError(
            f"{frozen.edition.issue}: it was to be sent at {frozen.send_at:%Y-%m-%d %H:%M}, and is too old now; "
            "send it all the same with --late"
        )


def explain_change(approval: StoredApproval | None, path: Path) -> str:
    """Say which line of an issue changed since it was approved, or ``""`` where the text did not."""
    from difflib import SequenceMatcher

    if approval is None:
        return ""
    before = without_approval(approval.text).splitlines()
    after = without_approval(path.read_text(encoding="utf-8-sig", errors="replace")).splitlines()
    for tag, _, _, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            shown = after[start].strip()[:80] if start < end else "(lines taken out)"
            return f"changed since {approval.by} approved it: line {start + 1}: {shown}"
    return "its text is as approved; an image, a template or a setting changed"


@contextmanager
def open_known_store(project: Project) -> "Iterator[Store | None]":
    """Open the store where there is one; a newsletter that never had one gives None, and none is made."""
    from newsletter.store import open_store

    url = project.store_url
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).exists():
        yield None
        return
    with open_store(url) as store:
        yield store


# ---------------------------------------------------------------------------------------------------------------------
# What is due
# ---------------------------------------------------------------------------------------------------------------------


def find_due(project: Project, store: Store | None, now: dt.datetime, late: bool = False) -> list[DueIssue]:
    """Return the approved issues whose time has come, and those that cannot be sent, each told once.

    With a store, files that did not change since the last run are judged by what it remembers of them.
    """
    remembered = dict(store.issues.load_issue_files()) if store else {}
    found: list[DueIssue] = []
    judged: list[IssueFile] = []
    present = set()
    for entry in _issue_files(project):
        status = entry.stat()
        present.add(entry.name)
        known = remembered.get(entry.name)
        if known is None or (known.mtime_ns, known.size) != (status.st_mtime_ns, status.st_size):
            known = _judge(project, Path(entry.path), status, now)
            judged.append(known)
        if known.verdict == _SETTLED or (store and store.sends.find_send(Path(entry.name).stem)):
            continue  # nothing to wait for, or frozen: from there on the ledger says what is due
        action = _act_on(project, Path(entry.path), known, now, late)
        if action is not None:
            found.append(action)
        if action is not None and action.trouble:
            judged.append(replace(known, verdict=_SETTLED))
    if store and (judged or remembered.keys() - present):
        store.issues.remember_issue_files(judged, remembered.keys() - present)
    return found


def _issue_files(project: Project) -> "Iterator[os.DirEntry[str]]":
    try:
        entries = sorted(os.scandir(project.issues_dir), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.endswith(".md") and entry.is_file():
            yield entry


def _judge(project: Project, path: Path, status: os.stat_result, now: dt.datetime) -> IssueFile:
    """Read as little of a file as its verdict takes: when it is timed, else nothing."""
    send_at, verdict = None, _SETTLED
    try:
        if not is_over(front_matter_of(str(path)), now):
            send_at, verdict = _read_head(project, path).send_at, _TIMED
    except IssueError as error:
        verdict = f"{_BROKEN}{error.problems[0]}"
    return IssueFile(name=path.name, mtime_ns=status.st_mtime_ns, size=status.st_size, send_at=send_at, verdict=verdict)


def _read_head(project: Project, path: Path) -> Issue:
    from newsletter.issue import decode_issue, read_head

    file = f"{project.issues_dir.name}/{path.name}"
    return read_head(decode_issue(path.read_bytes(), file), slug=path.stem, file=file, zone=project.zone)


def _act_on(project: Project, path: Path, known: IssueFile, now: dt.datetime, late: bool) -> DueIssue | None:
    """Return what a file asks for now, None for nothing; one whose time has come is read again, whole."""
    if known.verdict.startswith(_BROKEN):
        return DueIssue(path, known.verdict.removeprefix(_BROKEN))
    if known.send_at is None or known.send_at > now:
        return None
    issue = _read_head(project, path)
    if issue.approved is None:
        return DueIssue(path, f"{path.stem} is due and not approved; 'newsletter approve {path.stem}' lets it go")
    if due(known.send_at, issue.not_after, now, late) is Verdict.EXPIRED:
        when = known.send_at.astimezone(project.zone)
        return DueIssue(path, f"{path.stem} was due at {when:%Y-%m-%d %H:%M} and is too old now; --late sends it")
    return DueIssue(path)


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
    """Send the issue at ``path``, or go on with its send, also a paused one; freeze it where that was not done yet."""
    store = shipment.store
    send = store.sends.find_send(path.stem)
    if send is None:
        frozen = freeze_approved(shipment.project, store, path)
        refuse_late(frozen, now, late)
        send = plan_issue(store, frozen, now)
    if send.state is SendState.PAUSED:
        store.sends.resume_send(send.send_id, now)
    return continue_send(shipment, send.send_id)


def freeze_approved(project: Project, store: Store, path: Path) -> FrozenIssue:
    """Freeze an issue that is approved as it stands; otherwise say which line changed."""
    try:
        return freeze_issue(project, path, approved_only=True)
    except NotAllowedError as error:
        change = explain_change(store.issues.latest_approval(path.stem), path)
        raise NotAllowedError(f"{error}\n{change}" if change else str(error)) from None


def continue_send(shipment: Shipment, send_id: int) -> "SendReport":
    """Work off what is due of a frozen send; see ``sender.run_send``."""
    from newsletter.sender import run_send

    return run_send(shipment.store, send_id, shipment.setup, stop=shipment.stop, progress=shipment.progress)
