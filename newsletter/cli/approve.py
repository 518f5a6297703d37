"""``newsletter approve``: show what would be sent, and write the approval into the issue file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, in_zone, json_option, login_name, size, utc_now

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from newsletter.checks import Report
    from newsletter.compiler import Compiled
    from newsletter.config import Project
    from newsletter.model import Issue, Part
    from newsletter.sources import LoadedIssue
    from newsletter.store import Store, StoredApproval


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Hold what is to be approved, what the checks say of it, how many get each variant, and the latest approval."""

    loaded: "LoadedIssue"
    compiled: "Compiled"
    report: "Report"
    html_bytes: int
    counts: "Mapping[str, int]"
    former: "StoredApproval | None"

    @property
    def issue(self) -> "Issue":
        return self.loaded.issue


@click.command("approve")
@click.argument("issue")
@click.option("--by", help="Who approves.  [default: your login name]")
@click.option("--dry-run", is_flag=True, help="Show what would be approved, and approve nothing.")
@json_option
@click.pass_obj
def command(app: App, issue: str, by: str | None, dry_run: bool, as_json: bool) -> None:
    """Approve ISSUE as it stands: its text, images, templates and settings.

    Shown first is what would go out: subject, preheader, audience, time, size, findings, and what changed since the
    latest approval. An error refuses it. Any later change unapproves it, and 'newsletter send' says which line changed.
    Works without a terminal.
    """
    from newsletter.checker import few_of_each, refuse_errors, refuse_unknown_settings
    from newsletter.config import find_issue, placeholder_warning

    if by is not None and not by.strip():
        raise click.UsageError("--by: write who approves")
    project = app.project()
    refuse_unknown_settings(project)
    now = utc_now()
    found = _examine(app, project, find_issue(project, issue), now)
    for finding in few_of_each(found.report.warnings):
        app.warn(finding.as_problem())
    if words := placeholder_warning(project):
        app.warn(words)
    if not as_json:
        _show(app, project, found, now)
    refuse_errors(found.report, found.issue.slug)
    message_bytes = _refuse_unsendable(project, found)
    if not as_json:
        app.say(f"message    {size(message_bytes)} at the most")
    told = {} if dry_run else _approve(app, project, found, by or login_name(), now)
    if as_json:
        echo_json({**_as_json(found), "message_bytes": message_bytes, "approved": not dry_run, **told})
    else:
        app.say(
            f"approved by {told['by']}: source digest {told['source_digest'][:12]}" if told else "nothing was approved"
        )


def _examine(app: App, project: "Project", path: "Path", now: "dt.datetime") -> _Candidate:
    """Compile and check an issue, and ask the store whom it goes to; raises what compiling raises."""
    from newsletter.checker import check_compiled
    from newsletter.compiler import compile_issue, load_issue, message_parts

    loaded = load_issue(project, path)
    compiled = compile_issue(project, loaded)
    checked = check_compiled(project, loaded, compiled, today=now.astimezone(project.zone).date())
    html = message_parts(checked.message)[1] if checked.message else ""
    with app.open_store(project, app.keys(project)) as store:
        counts = _count(app, store, loaded.issue, now)
        former = store.issues.latest_approval(loaded.issue.slug)
    return _Candidate(loaded, compiled, checked.report, len(html.encode()), counts, former)


def _count(app: App, store: "Store", issue: "Issue", now: "dt.datetime") -> "Mapping[str, int]":
    """Return how many would get each variant of an issue if it were sent now."""
    from newsletter.errors import InputError
    from newsletter.variants import WHOLE, topical_sections
    from newsletter.worker import count_variants

    try:
        return count_variants(store, issue.audience, topical_sections(issue), now)
    except InputError as error:  # a list that may be made before the issue goes out
        app.warn(str(error))
        return {WHOLE: 0}


def _refuse_unsendable(project: "Project", found: _Candidate) -> int:
    """Return the bytes of the largest message; each variant is approved with the whole, so each must be sendable."""
    from newsletter.compiler import compile_issue, refuse_many_variants, refuse_unsendable
    from newsletter.variants import WHOLE

    refuse_many_variants(found.issue, [variant for variant in found.counts if variant != WHOLE])
    largest = refuse_unsendable(project, found.issue, found.compiled.edition)
    for variant in found.counts:
        if variant != WHOLE:
            cut = compile_issue(project, found.loaded, variant).edition
            largest = max(largest, refuse_unsendable(project, found.issue, cut))
    return largest


def _approve(app: App, project: "Project", found: _Candidate, by: str, now: "dt.datetime") -> dict[str, str]:
    """Write the approval into the file and the store, and return who it is by and what of."""
    from newsletter.precompiled import keep_compiled
    from newsletter.sources import approve_issue, source_digest, source_words
    from newsletter.store import StoredApproval

    slug, images = found.issue.slug, found.compiled.images
    digest = source_digest(project, found.loaded, images)
    with app.open_store(project, app.keys(project)) as store:
        approval = approve_issue(project, found.loaded, by, now.astimezone(project.zone).date(), digest)
        if store.sends.find_send(slug):
            way = (
                f"where nobody has it, 'newsletter hold {slug}' and 'newsletter release {slug} --corrected' change that"
            )
            app.warn(f"{slug} was frozen before; what was frozen then is what is sent; {way}")
        store.issues.record_approval(
            StoredApproval(
                issue=slug,
                source_digest=digest,
                text=found.loaded.text,
                by=approval.by,
                at=now,
                sources=source_words(project, images),
            )
        )
        keep_compiled(store, found.issue, digest, images, found.compiled.edition)
    return {"source_digest": digest, "by": approval.by}


# ---------------------------------------------------------------------------------------------------------------------
# What is shown
# ---------------------------------------------------------------------------------------------------------------------


def _show(app: App, project: "Project", found: _Candidate, now: "dt.datetime") -> None:
    from newsletter.body_rules import HTML_MAX
    from newsletter.cli.sending import say_audience
    from newsletter.model import part_of

    issue = found.issue
    share = found.html_bytes / HTML_MAX
    app.say(f"issue      {issue.slug}")
    app.say(f"subject    {_shown(found.compiled.edition.subject)}")
    app.say(f"preheader  {_shown(part_of(issue.preheader, issue.slots)) or '(none)'}")
    say_audience(app, issue.audience, found.counts)
    app.say(f"send at    {in_zone(issue.send_at, project)}{_too_late(issue, now)}")
    app.say(f"size       HTML {size(found.html_bytes)}, {share:.0%} of what Gmail shows")
    app.say(f"findings   {_counted(found.report)}")
    if found.former:
        app.say(f"changed    {_changed(project, found, found.former)}")


def _too_late(issue: "Issue", now: "dt.datetime") -> str:
    from newsletter.schedule import Verdict, due

    if issue.send_at is None:
        return ""
    verdict = due(issue.send_at, issue.not_after, now)
    words = {Verdict.DUE: "; that is past: the next run sends it", Verdict.EXPIRED: "; too late: only --late sends it"}
    return words.get(verdict, "")


def _counted(report: "Report") -> str:
    counts = ((len(report.errors), "error"), (len(report.warnings), "warning"))
    words = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
    words += [f"{len(report.waived)} waived"] if report.waived else []
    return ", ".join(words) or "none"


def _changed(project: "Project", found: _Candidate, former: "StoredApproval") -> str:
    """Say how much changed since the latest approval, in numbers."""
    from newsletter.differ import diff_approval

    difference = diff_approval(project, found.loaded.path, former)
    comparison = difference.comparison
    counts = (
        (len(comparison.front), "key of the front matter", "keys of the front matter"),
        (len(comparison.text), "passage", "passages"),
        (len(comparison.links), "link", "links"),
        (len(comparison.rendering), "template, image or setting", "templates, images or settings"),
    )
    words = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
    return f"{words or 'nothing'} since {difference.since}"


def _as_json(found: _Candidate) -> dict[str, Any]:
    from newsletter.model import part_of

    issue = found.issue
    return {
        "issue": issue.slug,
        "subject": _shown(found.compiled.edition.subject),
        "preheader": _shown(part_of(issue.preheader, issue.slots)),
        "send_at": issue.send_at.isoformat() if issue.send_at else None,
        "edition_digest": found.compiled.edition.digest,
        "html_bytes": found.html_bytes,
        "audience": sum(found.counts.values()),
        "variants": dict(found.counts),
        "checks": found.report.as_json(),
    }


def _shown(part: "Part") -> str:
    """Return a line as a person reads it, merge fields in braces."""
    return "".join(piece if isinstance(piece, str) else f"{{{piece.field}}}" for piece in part)
