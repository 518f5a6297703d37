"""Check an issue before it goes out: read it, compile it, gather what past issues had, and run the checks.

Use case: nothing is printed and nothing is written; what checks there are stands in ``checks``. An issue that cannot be
read or compiled is a finding too, so that whoever asks gets one list.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from newsletter.checks import (
    ALL_CHECKS,
    MANUAL_CHECKS,
    Finding,
    ImageFacts,
    LinkAnswer,
    Report,
    Severity,
    SpamVerdict,
    Subject,
    run_checks,
    unknown_settings,
)
from newsletter.compiler import Compiled, compile_issue, load_issue, sample_message
from newsletter.config import CONFIG_NAME, Config, NewsletterSection, Project
from newsletter.errors import ConfigError, InputError, NotAllowedError, ProblemsError, TemplateError
from newsletter.model import Message
from newsletter.pastarticles import PastArticle
from newsletter.pool import past_articles
from newsletter.reading import any_html, read_message
from newsletter.revisions import open_revision
from newsletter.sources import LoadedIssue, effective_templates, shown_path

BROKEN = "issue.broken"
"""The id of what makes an issue impossible to read or compile; it cannot be turned off."""
MESSAGE_LIMIT = 50_000_000
"""Bytes that a message to be checked may have."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Hold what was checked: the issue, what it was compiled to and its message, None where it could not be."""

    report: Report
    loaded: LoadedIssue | None = None
    compiled: Compiled | None = None
    message: Message | None = None


Ask = Callable[[Sequence[str]], Mapping[str, LinkAnswer]]
"""What asks the given addresses, and returns the answers that it got."""
AskSpam = Callable[[bytes], Sequence[SpamVerdict]]
"""What asks spam filters about a message, and returns the verdicts that it got."""


def check_issue(
    project: Project, path: Path, *, today: dt.date, ask: Ask | None = None, ask_spam: AskSpam | None = None
) -> Checked:
    """Read, compile and check the issue at ``path``; ``ask`` is what asks its links, None leaves them alone.

    ``ask_spam`` is what asks spam filters. Raises ConfigError for settings that name no check, InputError where there
    is nothing to read.
    """
    refuse_unknown_settings(project)
    try:
        loaded = load_issue(project, path)
    except ProblemsError as error:
        return Checked(broken_report(error))
    try:
        compiled = compile_issue(project, loaded)
    except ProblemsError as error:
        return Checked(broken_report(error), loaded)
    return check_compiled(project, loaded, compiled, today=today, ask=ask, ask_spam=ask_spam)


def check_text(project: Project, loaded: LoadedIssue, *, today: dt.date) -> Report:
    """Check what stands in the issue file alone: for who only wants to know whether to look closer."""
    subject = Subject(config=project.config, today=today, issue=loaded.issue, source=loaded.text)
    return run_checks(subject, ALL_CHECKS)


def few_of_each(findings: Sequence[Finding], most: int = 5) -> Iterator[Finding]:
    """Yield the first findings of each check, the last of them with the number of those that are left out."""
    totals = Counter(finding.check for finding in findings)
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.check] += 1
        left = totals[finding.check] - most
        if told[finding.check] == most and left > 0:
            yield replace(finding, message=f"{finding.message}, and {left} more like it")
        elif told[finding.check] <= most:
            yield finding


def check_compiled(
    project: Project,
    loaded: LoadedIssue,
    compiled: Compiled,
    *,
    today: dt.date,
    ask: Ask | None = None,
    ask_spam: AskSpam | None = None,
    past: Sequence[PastArticle] | None = None,
) -> Checked:
    """Check an issue that was compiled already; ``past`` is what other issues had, read from them where it is None."""
    message = sample_message(project, loaded.issue, compiled.edition)
    subject = subject_of(project, loaded, compiled, message, today=today, past=past)
    if ask:
        targets = (link.target or "" for link in subject.links)
        subject = replace(subject, answers=ask([url for url in dict.fromkeys(targets) if url.startswith("http")]))
    if ask_spam:
        subject = replace(subject, spam_verdicts=ask_spam(message.content))
    return Checked(run_checks(subject, ALL_CHECKS), loaded, compiled, message)


def subject_of(
    project: Project,
    loaded: LoadedIssue,
    compiled: Compiled,
    message: Message,
    *,
    today: dt.date,
    past: Sequence[PastArticle] | None = None,
) -> Subject:
    """Gather what the checks look at; ``past`` is what other issues had, read from them where it is None."""
    reading = read_message(message.content)
    slug = loaded.issue.slug
    if past is None:
        past = past_articles(project, without=slug)
    return Subject(
        config=project.config,
        today=today,
        issue=loaded.issue,
        source=loaded.text,
        html=reading.html.text.replace("\r\n", "\n") if reading.html else "",
        text=reading.text.text.replace("\r\n", "\n") if reading.text else "",
        message=message.content,
        taken_apart=reading,
        edition=compiled.edition,
        templates=_template_texts(project),
        images={
            image.src: ImageFacts(
                image.media_type, len(image.content), image.width, image.height, compiled.image_urls[image.src]
            )
            for image in compiled.images
        },
        past=tuple(article for article in past if article.slug < slug),
    )


def new_since(project: Project, path: Path, checked: Checked, commit: str, *, today: dt.date) -> Report:
    """Return the report with only those findings that the newsletter of a git commit did not have in this issue.

    Raises InputError where git knows no such commit.
    """
    with open_revision(project, path, commit) as revision:
        if revision.is_new:
            return checked.report
        try:
            loaded = load_issue(revision.project, revision.issue)
            revision.fetch_images(loaded.issue, project.root.resolve())
            compiled = compile_issue(revision.project, loaded)
            past = past_articles(project, without=loaded.issue.slug)
            former = check_compiled(revision.project, loaded, compiled, today=today, past=past).report
        except ProblemsError as error:
            former = broken_report(error)
    known = Counter(map(_sameness, (*former.findings, *former.waived)))
    return replace(
        checked.report,
        findings=tuple(finding for finding in checked.report.findings if not _take(known, _sameness(finding))),
    )


def _sameness(finding: Finding) -> tuple[str, str, str]:
    """Return what a finding has in common with the same one in another version of the file, on another line."""
    return finding.check, re.sub(r"\bline \d+", "line", finding.message), finding.article


def _take(known: Counter[tuple[str, str, str]], key: tuple[str, str, str]) -> bool:
    known[key] -= 1
    return known[key] >= 0


def check_message(content: bytes, config: Config | None, *, today: dt.date, ask_spam: AskSpam | None = None) -> Report:
    """Check the bytes of a message, ours or foreign, by those checks that need no issue."""
    reading = read_message(content)
    subject = Subject(
        config=config or Config(newsletter=NewsletterSection(title="", from_="")),
        today=today,
        html=reading.html.text if reading.html else any_html(content),
        text=reading.text.text if reading.text else "",
        message=content,
        spam_verdicts=ask_spam(content) if ask_spam else (),
    )
    return run_checks(subject, ALL_CHECKS)


def read_message_file(path: Path) -> bytes:
    """Return the bytes of a message's file; raise InputError where it cannot be read, or is far too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MESSAGE_LIMIT + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MESSAGE_LIMIT:
        raise InputError(f"{path}: has more than {MESSAGE_LIMIT:,} bytes; is this a message?")
    return content


def refuse_unknown_settings(project: Project) -> None:
    """Raise ConfigError where ``[checks]`` names a check or a limit that there is not."""
    if problems := list(unknown_settings(MANUAL_CHECKS, project.config.checks)):
        raise ConfigError("\n".join(f"{project.root / CONFIG_NAME}: {problem}" for problem in problems))


def refuse_errors(report: Report, slug: str, way: str = "") -> None:
    """Raise NotAllowedError with every error of a report, each in a line; ``way`` says what to do, ``""`` the usual."""
    if errors := report.errors:
        lines = [str(finding.as_problem()) for finding in errors]
        count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
        way = way or f"correct what 'newsletter check {slug}' shows, or waive it with the reason"
        raise NotAllowedError("\n".join([*lines, f"{slug}: not approved: {count}; {way}"]))


def broken_report(error: ProblemsError) -> Report:
    """Return the report on an issue that cannot be read or compiled."""
    what = "template" if isinstance(error, TemplateError) else "issue"
    found = (
        Finding(
            check=BROKEN,
            severity=Severity.ERROR,
            message=problem.message,
            why=f"The {what} cannot be used as it stands.",
            fix=problem.hint,
            place=problem.place,
        )
        for problem in error.problems
    )
    return Report(findings=tuple(found), checks=(BROKEN,))


def _template_texts(project: Project) -> dict[str, str]:
    """Return the texts of which the theme is made: the mail's templates, and the settings with its colours."""
    texts = {
        shown_path(project, path): path.read_text(encoding="utf-8", errors="replace")
        for name, path in effective_templates(project).items()
        if name.startswith("email/")
    }
    settings = project.root / CONFIG_NAME
    return texts | {CONFIG_NAME: settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else ""}
