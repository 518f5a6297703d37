"""Make the issue that fills itself: from a template with rules, filled from the pool, checked, and approved by rule.

Use case: an issue is composed in memory and written once, with its approval, so that a run which ends half-way leaves
nothing behind; a file that is there already, an editor's perhaps, is never touched. Sending it is ``worker``'s.
"""

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from newsletter.amounts import parse_duration
from newsletter.cadence import due_day
from newsletter.checker import check_compiled, few_of_each, refuse_errors, refuse_unknown_settings
from newsletter.compiler import compile_issue, refuse_unsendable
from newsletter.config import Project
from newsletter.curationsettings import DigestSection
from newsletter.errors import ConfigError, InputError, NotAllowedError, Problem
from newsletter.filling import Sources, fill_issue
from newsletter.frontmatter import read_front_matter, with_approval
from newsletter.issue import decode_issue, parse_issue
from newsletter.issuelines import Grammar, IssueText, read_issue_text
from newsletter.model import Approval, Issue
from newsletter.pickboard import plain_words
from newsletter.precompiled import keep_compiled
from newsletter.scaffold import next_number, send_at_line, write_new
from newsletter.selecting import SINCE, read_rules
from newsletter.sources import LoadedIssue, read_issue_file, source_digest, source_words
from newsletter.store import Store, StoredApproval
from newsletter.stories import Story

_OWN = ("number", "date", "send_at", "not_after", "approved")
_CLOSING = re.compile(r"^---[ \t]*$", re.MULTILINE)
_LINE = re.compile(r"^(subject|preheader):.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Made:
    """Say what became of a day's issue: ``path`` is None where it was skipped, for the reason in ``words``."""

    path: Path | None
    words: str
    troubles: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


def missing_digest(project: Project, now: dt.datetime) -> dt.date | None:
    """Return the day whose issue is to be made now and is not there yet, None for nothing to do."""
    digest = project.config.digest
    if not digest.template:
        raise ConfigError("[digest] template names no file; 'docs/curation.md' shows one")
    ahead = parse_duration(digest.ahead)
    assert ahead is not None  # settings have refused anything else
    day = due_day(project.config.schedule, now, ahead, project.zone)
    return None if day is None or (project.issues_dir / f"{day.isoformat()}.md").exists() else day


def read_template(project: Project, day: dt.date) -> IssueText:
    """Return the issue of a day before it is filled; raise IssueError or ConfigError for a template that cannot be."""
    digest: DigestSection = project.config.digest
    path = project.root / digest.template
    text = decode_issue(read_issue_file(path), digest.template)
    front = read_front_matter(text, digest.template)
    if found := [key for key in _OWN if key in front.entries]:
        raise ConfigError(f"{digest.template}: '{found[0]}' is set anew for each issue; take it out of the template")
    if "select" not in front.entries:
        raise ConfigError(f"{digest.template}: has no rules; add 'select:' with a line for each section")
    number = next_number(project)
    lines = (f"number: {number}\n" if number else "") + f"date: {day.isoformat()}\n"
    lines += send_at_line(project.config.schedule, day)
    closing = _CLOSING.search(text, 3)
    end = closing.start() if closing else 0
    grammar = Grammar(day.isoformat(), digest.template, project.config.sections, project.zone)
    return read_issue_text(text[:end] + lines + text[end:], grammar)


def stories_since(page: IssueText, now: dt.datetime) -> dt.datetime:
    """Return from which instant on the rules of an issue look at stories."""
    rules = read_rules(page.issue.select, page.grammar.file)
    return now - max((rule.since for rule in rules.values()), default=SINCE)


def make_digest(
    project: Project, store: Store, page: IssueText, stories: Sequence[Story], *, sources: Sources, now: dt.datetime
) -> Made:
    """Fill, check, approve and write the issue of a day, whose unfilled text is ``page``.

    Skipped where too few stories are new. Raises NotAllowedError where a section that must not be empty would be, or a
    check finds an error, and what compiling raises where the issue cannot be sent; nothing is written then.
    """
    refuse_unknown_settings(project)
    digest, slug = project.config.digest, page.grammar.slug
    filled = fill_issue(page, stories, sources, now)
    count = len(filled.page.issue.articles)
    if count < digest.min_articles:
        least = f"; [digest] min_articles is {digest.min_articles}" if count else ""
        return Made(None, f"{slug}: skipped, {count or 'no'} new {'story' if count == 1 else 'stories'}{least}")
    if filled.missing:
        way = "loosen its rule in the template, or add 'skip_if_empty: true'"
        raise NotAllowedError(f"{slug}: not made: no story for {', '.join(filled.missing)}; {way}")
    loaded = _loaded(project, slug, _with_words(filled.page, slug))
    compiled = compile_issue(project, loaded)
    report = check_compiled(project, loaded, compiled, today=now.astimezone(project.zone).date()).report
    refuse_errors(report, slug, "change the template or its rules, or let the check pass in [checks]")
    refuse_unsendable(project, loaded.issue, compiled.edition)
    source = source_digest(project, loaded, compiled.images)
    approval = Approval(source, digest.by, now.astimezone(project.zone).date())
    try:
        write_new(loaded.path, with_approval(loaded.text, approval))
    except FileExistsError:
        raise InputError(f"{loaded.path}: was written by somebody else meanwhile; it stays as it is") from None
    store.issues.record_approval(
        StoredApproval(
            issue=slug,
            source_digest=source,
            text=loaded.text,
            by=digest.by,
            at=now,
            sources=source_words(project, compiled.images),
        )
    )
    keep_compiled(store, loaded.issue, source, compiled.images, compiled.edition)
    words = f"{slug}: made with {count} {'article' if count == 1 else 'articles'}, approved by {digest.by}"
    return Made(
        loaded.path, words, filled.troubles, tuple(finding.as_problem() for finding in few_of_each(report.warnings))
    )


def _loaded(project: Project, slug: str, text: str) -> LoadedIssue:
    path = project.issues_dir / f"{slug}.md"
    plain = decode_issue(text.encode(), str(path))
    issue: Issue = parse_issue(
        plain, slug=slug, file=f"issues/{slug}.md", sections=project.config.sections, zone=project.zone
    )
    return LoadedIssue(issue, path, plain)


def _with_words(page: IssueText, slug: str) -> str:
    """Return the text with ``{headline}``, ``{date}`` and ``{number}`` in subject and preheader as they are.

    A headline is foreign: it may hold no braces, lest they become a merge field.
    """
    front = read_front_matter(decode_issue(page.text.encode(), page.grammar.file), page.grammar.file)
    first = page.issue.articles[0]
    headline = plain_words(first.headline.html).replace("{", "(").replace("}", ")").replace("=?", "= ?")
    words = {"{headline}": headline[:200], "{date}": slug, "{number}": page.issue.number}

    def written(found: re.Match[str]) -> str:
        value = str(front.entries[found[1]].value)
        for name, word in words.items():
            value = value.replace(name, word)
        return f"{found[1]}: {json.dumps(value, ensure_ascii=False)}"

    closing = _CLOSING.search(page.text, 3)
    end = closing.start() if closing else 0
    return _LINE.sub(written, page.text[:end]) + page.text[end:]
