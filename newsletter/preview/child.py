"""The process that compiles for the preview: it stays warm, and what breaks it breaks nothing else.

``python -m newsletter.preview.child ROOT`` reads questions from standard input and writes answers to standard output
until that ends (``answers``). Nothing is written to disk, nothing is sent.
"""

import datetime as dt
import gc
import hashlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

import msgspec

from newsletter.compiler import (
    Compiled,
    compile_issue,
    load_issue,
    message_parts,
    refuse_unsendable,
    sample_message,
)
from newsletter.config import CONFIG_NAME, Project, load_project, placeholder_warning
from newsletter.errors import NewsletterError, Place, Problem, ProblemsError
from newsletter.identity import identity_of
from newsletter.issue import is_local_image
from newsletter.model import MERGE_FIELDS, Edition, Message, Recipient, Slot
from newsletter.preview.answers import (
    ERROR,
    WAIVED,
    WARNING,
    Answer,
    Ask,
    Checked,
    Failed,
    Field,
    Note,
    Picture,
    Question,
    Shown,
    Sizes,
)
from newsletter.preview.inbox import snippet_of
from newsletter.render import Renderer
from newsletter.sources import LoadedIssue, LocalImage
from newsletter.variants import topical_sections, variant_words

if TYPE_CHECKING:
    from newsletter.checks import Finding

_SOURCE_MAX = 600_000
"""Characters of a file that the page shows beside a note."""
_GC_THRESHOLD = 100_000


class Workshop:
    """Compile issues of one project again and again; templates stay compiled while the configuration is the same."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._project: Project | None = None
        self._renderer: Renderer | None = None
        self._last: tuple[Project, LoadedIssue, Renderer, Compiled] | None = None

    def ask(self, ask: Ask) -> Answer:
        """Return how an issue looks, or why it does not."""
        watched: tuple[str, ...] = ()
        try:
            project, renderer = self._open()
            loaded = load_issue(project, Path(ask.path))
            watched = _pictures_of(project, loaded)
            started = time.perf_counter()
            compiled = compile_issue(project, loaded, topical_sections(loaded.issue).variant_of(ask.topics), renderer)
            self._last = (project, loaded, renderer, compiled)
            return _show(project, loaded, compiled, ask, started)
        except NewsletterError as error:
            notes = _notes_of(error)
            return Failed(notes=notes, watched=watched, source=_sources(self._root, notes))
        except Exception as error:  # whatever it is, the next save may mend it
            return Failed(notes=(_bug(error),), watched=watched)

    def check(self) -> Answer:
        """Return what is found in the issue that was shown last."""
        if self._last is None:
            return Checked(notes=())
        try:
            return _checked(*self._last)
        except NewsletterError as error:
            return Checked(notes=_notes_of(error))
        except Exception as error:  # the mail is there all the same
            return Checked(notes=(_bug(error),))

    def _open(self) -> tuple[Project, Renderer]:
        project = load_project(self._root, os.environ)
        if self._renderer is None or project != self._project:
            self._project, self._renderer = project, Renderer(project)
        return project, self._renderer


def _show(project: Project, loaded: LoadedIssue, compiled: Compiled, ask: Ask, started: float) -> Shown:
    issue = loaded.issue
    message = sample_message(project, issue, compiled.edition, ask.recipient)
    text, html = message_parts(message)
    seconds = time.perf_counter() - started
    sender = identity_of(project.config.newsletter).sender
    return Shown(
        slug=issue.slug,
        title=project.config.newsletter.title,
        sender=sender.name or sender.address,
        address=sender.address,
        subject=_filled(compiled.edition.subject, ask.recipient),
        snippet=snippet_of(html),
        send_at=_send_at(project, loaded),
        html=html,
        text=text,
        headers=_headers(message),
        sizes=Sizes(
            html=len(html.encode()),
            text=len(text.encode()),
            pictures=sum(len(resource.content) for resource in compiled.edition.resources),
            message=len(message.content),
        ),
        pictures={
            compiled.image_urls[image.src]: Picture(_name_of(image), image.media_type, image.content)
            for image in compiled.images
        },
        fields=_fields(compiled.edition, ask.recipient),
        variant=variant_words(compiled.edition.variant),
        watched=_pictures_of(project, loaded),
        seconds=seconds,
        source={issue.file: loaded.text},
    )


def _checked(project: Project, loaded: LoadedIssue, renderer: Renderer, compiled: Compiled) -> Checked:
    """Return what keeps the whole issue from being sent, and what the checks find in it."""
    from newsletter.checker import check_compiled, refuse_unknown_settings

    if compiled.edition.variant:
        compiled = compile_issue(project, loaded, renderer=renderer)
    refuse_unknown_settings(project)
    today = dt.datetime.now(project.zone).date()
    report = check_compiled(project, loaded, compiled, today=today).report
    notes = [_finding_note(finding) for finding in report.findings]
    if not report.errors:  # most of what keeps a mail from being sent is a check as well
        notes = [*_unsendable(project, loaded, compiled.edition), *notes]
    if words := placeholder_warning(project):
        notes.append(Note(severity=WARNING, words=words))
    notes += [_finding_note(finding) for finding in report.waived]
    return Checked(notes=tuple(notes), source=_sources(project.root, notes))


def _unsendable(project: Project, loaded: LoadedIssue, edition: Edition) -> tuple[Note, ...]:
    """Return why a mail that can be looked at cannot be sent."""
    try:
        refuse_unsendable(project, loaded.issue, edition)
    except NewsletterError as error:
        return _notes_of(error)
    return ()


def _finding_note(finding: "Finding") -> Note:
    note = _note(finding.as_problem(), str(finding.severity))
    words = f"{note.words} ({finding.count:,} times)" if finding.count > 1 else note.words
    if finding.waived is None:
        return msgspec.structs.replace(note, words=words)
    return msgspec.structs.replace(note, severity=WAIVED, words=words, fix=finding.waived)


# ---------------------------------------------------------------------------------------------------------------------
# What an answer is made of
# ---------------------------------------------------------------------------------------------------------------------


def _filled(part: tuple[str | Slot, ...], recipient: Recipient) -> str:
    return "".join(piece if isinstance(piece, str) else _value(piece, recipient)[0] for piece in part)


def _value(slot: Slot, recipient: Recipient) -> tuple[str, bool]:
    """Return what a slot shows, and whether that is its default."""
    known = {**recipient.attributes, "name": recipient.name, "email": recipient.address}
    value = known.get(slot.field, "")
    return (value, False) if value else (slot.default, True)


def _fields(edition: Edition, recipient: Recipient) -> tuple[Field, ...]:
    """Return the merge fields of an edition that are a person's own, in the order they stand in."""
    links = MERGE_FIELDS[2:]
    slots = [piece for part in (edition.subject, edition.html) for piece in part if isinstance(piece, Slot)]
    return tuple(
        Field(slot.field, *_value(slot, recipient)) for slot in dict.fromkeys(slots) if slot.field not in links
    )


def _headers(message: Message) -> str:
    head = message.content.partition(b"\r\n\r\n")[0]
    return head.decode("utf-8", "replace").replace("\r\n", "\n")


def _send_at(project: Project, loaded: LoadedIssue) -> str:
    send_at = loaded.issue.send_at
    return f"{send_at.astimezone(project.zone):%Y-%m-%d %H:%M} {project.zone.key}" if send_at else ""


def _name_of(image: LocalImage) -> str:
    return hashlib.sha256(image.content).hexdigest()[:32]


def _pictures_of(project: Project, loaded: LoadedIssue) -> tuple[str, ...]:
    """Return the files of the images that the issue and the theme name, whether they are there or not."""
    logo = project.config.theme.logo
    named = [loaded.path.parent / unquote(image.src) for image in loaded.issue.images]
    return tuple(map(str, [*named, project.root / unquote(logo)] if is_local_image(logo) else named))


def _notes_of(error: NewsletterError) -> tuple[Note, ...]:
    if isinstance(error, ProblemsError):
        return tuple(_note(problem, ERROR) for problem in error.problems)
    return tuple(Note(severity=ERROR, words=line) for line in str(error).splitlines() or [type(error).__name__])


def _bug(error: Exception) -> Note:
    return Note(severity=ERROR, words=f"bug: {type(error).__name__}: {error}", fix="please report it")


def _note(problem: Problem, severity: str) -> Note:
    place = problem.place or Place("", 0, 0)
    return Note(
        severity=severity,
        words=problem.message,
        fix=problem.hint,
        file=place.file,
        line=place.line,
        column=place.column,
        rule=problem.rule,
    )


def _sources(root: Path, notes: Iterable[Note]) -> dict[str, str]:
    """Return the files in the newsletter's folder that notes name, but for the configuration: it may hold passwords."""
    found = {}
    for name in dict.fromkeys(note.file for note in notes if note.file):
        path = (root / name).resolve()
        if path.is_relative_to(root.resolve()) and path.is_file() and path.name != CONFIG_NAME:
            found[name] = path.read_text(encoding="utf-8", errors="replace")[:_SOURCE_MAX]
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The loop
# ---------------------------------------------------------------------------------------------------------------------


def run(root: Path, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions, a line each, until there are no more."""
    workshop = Workshop(root)
    for line in questions:
        question: Question = msgspec.json.decode(line, type=Question)
        answer = workshop.ask(question) if isinstance(question, Ask) else workshop.check()
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def main() -> None:
    """Serve the preview that started this process; what libraries print goes to standard error."""
    gc.set_threshold(_GC_THRESHOLD)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    run(Path(sys.argv[1]), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
