"""Correct an issue that went out: a note in its file, on its page and in the feeds, and a mail to those who got it.

The note stands in the issue's front matter, so it is reviewed and kept like every other word. Its mail is an edition of
its own, frozen under the kind ``correction-N`` (the N-th note of the issue), and carried by the ledger like any send:
one row for each person whom the first text reached, or may have reached. Doing it twice mails nobody twice.

A send that is still under way is not corrected: its open rows would get the first text afterwards. Compiling happens in
this process, for a note is plain text in a theme that has just been approved.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.catalogs import load_catalog
from newsletter.compiler import compile_issue, refuse_unsendable
from newsletter.config import Project
from newsletter.delivery import SendState, State
from newsletter.edition import freeze
from newsletter.errors import InputError, IssueError, NotAllowedError, Place
from newsletter.frontmatter import with_correction, without_approval
from newsletter.identity import identity_of
from newsletter.issue import decode_issue, parse_issue
from newsletter.message import browser_url
from newsletter.model import Correction, Edition, Issue, RichText
from newsletter.sources import (
    LoadedIssue,
    approve_issue,
    load_images,
    load_issue,
    read_issue_file,
    replace_file,
    source_digest,
    source_words,
)
from newsletter.store import LedgerRow, Send, SendPlan, Store, StoredApproval
from newsletter.webpage import shown

if TYPE_CHECKING:
    from newsletter.reports import SendReport
    from newsletter.worker import Shipment

NOTE_LIMIT = 2000
"""Characters that a note may have."""
_PREHEADER = 140
_OVER = (SendState.FINISHED, SendState.CANCELLED)
_REACHED = frozenset({State.SENT, State.IN_DOUBT})


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionPlan:
    """Show what correcting an issue would do.

    ``is_new`` says that the note is still to be written into the file. ``reached`` counts who got the first text, or
    may have; ``audience`` those of them who still want mail. ``send`` is the correction's own, where it was frozen.
    """

    loaded: LoadedIssue
    former: Send
    correction: Correction
    number: int
    is_new: bool
    edition: Edition
    reached: int
    audience: int
    send: Send | None

    @property
    def kind(self) -> str:
        """Return the kind of the correction's send."""
        return f"correction-{self.number}"


def plan_correction(project: Project, store: Store, path: Path, note: str, now: dt.datetime) -> CorrectionPlan:
    """Return what correcting the issue at ``path`` by ``note`` would do, and compile its mail; nothing is written.

    An empty note, or the latest one once more, means the note that stands last in the file. Raises NotAllowedError for
    an issue that never went out or is still going out, InputError for a note that cannot stand.
    """
    loaded = load_issue(project, path)
    former = _former(store, loaded.issue.slug)
    correction, is_new = _correction(loaded.issue, note, now.astimezone(project.zone).date())
    number = len(loaded.issue.corrections) + is_new
    kind = f"correction-{number}"
    edition = _edition(project, loaded, correction, kind)
    reached, audience = store.sends.count_readers(former.send_id, now)
    return CorrectionPlan(
        loaded=loaded,
        former=former,
        correction=correction,
        number=number,
        is_new=is_new,
        edition=edition,
        reached=reached,
        audience=audience,
        send=store.sends.find_send(loaded.issue.slug, kind),
    )


def readers_of(store: Store, plan: CorrectionPlan) -> Iterator[LedgerRow]:
    """Yield the rows of everybody who got the first text, or may have."""
    yield from store.ledger.list_deliveries(plan.former.send_id, _REACHED)


def correct_issue(shipment: "Shipment", plan: CorrectionPlan, by: str, now: dt.datetime) -> "SendReport":
    """Write the note into the file, approve the file as it then stands, and mail the correction.

    Where it was frozen before, its send goes on. Raises NotAllowedError where nobody is left to mail; the note
    stands in the file then.
    """
    from newsletter.worker import continue_send

    project, store = shipment.project, shipment.store
    loaded = _write(project, plan) if plan.is_new else plan.loaded
    images = load_images(project, loaded)
    digest = source_digest(project, loaded, images)
    if loaded.issue.approved is None or loaded.issue.approved.digest != digest:
        approval = approve_issue(project, loaded, by, now.astimezone(project.zone).date(), digest)
        issue, text = loaded.issue.slug, loaded.text
        store.issues.record_approval(
            StoredApproval(
                issue=issue,
                source_digest=digest,
                text=text,
                by=approval.by,
                at=now,
                sources=source_words(project, images),
            )
        )
    if plan.send is None and not plan.audience:
        raise NotAllowedError(
            f"{loaded.issue.slug}: nobody who got the first text is still on the list; the note is on its page, and "
            "no mail is needed"
        )
    edition_id = store.editions.save_edition(plan.edition, now)
    wanted = SendPlan(
        issue=loaded.issue.slug, list_ids=(), editions={"": edition_id}, source_digest=digest, kind=plan.kind
    )
    send = store.sends.plan_correction(wanted, plan.former.send_id, now)
    if send.state is SendState.PAUSED:
        store.sends.resume_send(send.send_id, now)
    return continue_send(shipment, send.send_id)


def _former(store: Store, slug: str) -> Send:
    send = store.sends.find_send(slug)
    if send is None or send.started_at is None:
        raise NotAllowedError(f"{slug} has not gone out; change its file, and approve it again")
    if send.state not in _OVER:
        open_rows = store.sends.account(send.send_id).open
        raise NotAllowedError(
            f"{slug} is still going out ({send.state}): {open_rows:,} people would get the first text afterwards; "
            "let it finish, or cancel it, then correct it"
        )
    return send


def _correction(issue: Issue, note: str, today: dt.date) -> tuple[Correction, bool]:
    """Return the correction that ``note`` stands for, and whether it is new to the issue."""
    note = " ".join(note.split())
    latest = issue.corrections[-1] if issue.corrections else None
    if latest and note in ("", latest.note):
        return latest, False
    if not note:
        raise InputError(f"{issue.file}: no correction stands there; say what was wrong with --note")
    if len(note) > NOTE_LIMIT or not note.isprintable():
        raise InputError(f"the note has {len(note):,} characters; {NOTE_LIMIT:,} printable ones may stand")
    return Correction(max(today, latest.on) if latest else today, note), True


def _edition(project: Project, loaded: LoadedIssue, correction: Correction, kind: str) -> Edition:
    """Compile the mail of a correction: the note, and the way to the page."""
    issue = loaded.issue
    catalog = load_catalog(issue.lang or project.config.newsletter.language)
    page = browser_url(identity_of(project.config.newsletter), issue.slug)
    title = shown(issue, issue.subject)
    paragraphs = [f"<p>{escape(correction.note)}</p>"]
    if page:
        words = escape(catalog.text("Read the corrected issue"))
        paragraphs.append(f'<p><a href="{escape(page)}">{words}</a></p>')
    mail = Issue(
        slug=issue.slug,
        file=issue.file,
        subject=catalog.text("Correction: {subject}", subject=title),
        date=correction.on,
        number=issue.number,
        preheader=correction.note[:_PREHEADER],
        lang=issue.lang,
        editorial=RichText("\n".join(paragraphs), Place(issue.file)),
    )
    compiled = compile_issue(project, LoadedIssue(mail, loaded.path, loaded.text))
    edition = freeze(replace(compiled.edition, kind=kind))
    refuse_unsendable(project, mail, edition)
    return edition


def _write(project: Project, plan: CorrectionPlan) -> LoadedIssue:
    """Write the note into the issue's file, whole or not at all, and return the issue as it then stands."""
    issue, path = plan.loaded.issue, plan.loaded.path.resolve()
    written = read_issue_file(path)
    if without_approval(decode_issue(written, issue.file)) != without_approval(plan.loaded.text):
        raise InputError(f"{issue.file}: the file changed while it was being corrected; do it again")
    content = with_correction(written.decode("utf-8"), plan.correction).encode("utf-8", "replace")
    try:
        text = decode_issue(content, issue.file)
        sections = project.config.sections
        corrected = parse_issue(text, slug=issue.slug, file=issue.file, sections=sections, zone=project.zone)
    except IssueError:
        corrected = None
    if corrected is None or corrected.corrections != (*issue.corrections, plan.correction):
        raise InputError(
            f"{issue.file}: the note cannot be added to 'corrections:' as it stands; write it yourself, as a line "
            f"'  - {plan.correction.on}: …' below the others, then run 'newsletter correct {issue.slug}' without --note"
        )
    replace_file(path, content)
    return LoadedIssue(corrected, plan.loaded.path, text)
