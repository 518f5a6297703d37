"""``newsletter approve``: show what would be sent, and write the approval into the issue file."""

from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, in_zone, json_option, login_name, size, utc_now

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from newsletter.compiler import Compiled
    from newsletter.config import Project
    from newsletter.model import Issue, Part
    from newsletter.sources import LoadedIssue


@click.command("approve")
@click.argument("issue")
@click.option("--by", help="Who approves.  [default: your login name]")
@json_option
@click.pass_obj
def command(app: App, issue: str, by: str | None, as_json: bool) -> None:
    """Approve ISSUE as it stands: its text, images, templates and settings.

    Any later change unapproves it, and 'newsletter send' says which line changed. Works without a terminal.
    """
    from newsletter.checker import check_compiled, few_of_each, refuse_errors, refuse_unknown_settings
    from newsletter.cli.sending import say_audience
    from newsletter.compiler import compile_issue, refuse_many_variants, refuse_unsendable
    from newsletter.config import find_issue, placeholder_warning
    from newsletter.sources import approve_issue, load_issue, source_digest
    from newsletter.store import StoredApproval
    from newsletter.variants import WHOLE

    if by is not None and not by.strip():
        raise click.UsageError("--by: write who approves")
    project = app.project()
    refuse_unknown_settings(project)
    loaded = load_issue(project, find_issue(project, issue))
    compiled = compile_issue(project, loaded)
    now = utc_now()
    report = check_compiled(project, loaded, compiled, today=now.astimezone(project.zone).date()).report
    for finding in few_of_each(report.warnings):
        app.warn(finding.as_problem())
    refuse_errors(report, loaded.issue.slug)
    message_size = refuse_unsendable(project, loaded.issue, compiled.edition)
    if words := placeholder_warning(project):
        app.warn(words)
    counts = _count(app, project, loaded.issue, now)
    refuse_many_variants(loaded.issue, [variant for variant in counts if variant != WHOLE])
    for variant in counts:
        if variant != WHOLE:  # each is approved with the whole, so each must compile and be sendable
            cut = compile_issue(project, loaded, variant).edition
            message_size = max(message_size, refuse_unsendable(project, loaded.issue, cut))
    digest = source_digest(project, loaded, compiled.images)
    with app.open_store(project, app.keys(project)) as store:
        approval = approve_issue(project, loaded, by or login_name(), now.astimezone(project.zone).date(), digest)
        if store.sends.find_send(loaded.issue.slug):
            slug = loaded.issue.slug
            way = (
                f"where nobody has it, 'newsletter hold {slug}' and 'newsletter release {slug} --corrected' change that"
            )
            app.warn(f"{slug} was frozen before; what was frozen then is what is sent; {way}")
        store.issues.record_approval(
            StoredApproval(issue=loaded.issue.slug, source_digest=digest, text=loaded.text, by=approval.by, at=now)
        )
    if as_json:
        echo_json(
            {
                "issue": loaded.issue.slug,
                "source_digest": digest,
                "by": approval.by,
                "edition_digest": compiled.edition.digest,
                "message_bytes": message_size,
                "audience": sum(counts.values()),
                "variants": counts,
            }
        )
        return
    _show(app, project, loaded, compiled, message_size)
    say_audience(app, loaded.issue.audience, counts)
    app.say(f"approved by {approval.by}: source digest {digest[:12]}")


def _count(app: App, project: "Project", issue: "Issue", now: "dt.datetime") -> "Mapping[str, int]":
    """Return how many would get each variant of an issue if it were sent now."""
    from newsletter.errors import InputError
    from newsletter.variants import WHOLE, topical_sections
    from newsletter.worker import count_variants

    with app.open_store(project, app.keys(project)) as store:
        try:
            return count_variants(store, issue.audience, topical_sections(issue), now)
        except InputError as error:  # a list that may be made before the issue goes out
            app.warn(str(error))
            return {WHOLE: 0}


def _show(app: App, project: "Project", loaded: "LoadedIssue", compiled: "Compiled", message_size: int) -> None:
    from newsletter.model import part_of

    issue = loaded.issue
    html = sum(len(piece.encode()) for piece in compiled.edition.html if isinstance(piece, str))
    app.say(f"issue      {issue.slug}")
    app.say(f"subject    {_shown(compiled.edition.subject)}")
    app.say(f"preheader  {_shown(part_of(issue.preheader, issue.slots)) or '(none)'}")
    app.say(f"size       HTML {size(html)}, message {size(message_size)}")
    app.say(f"send at    {in_zone(issue.send_at, project)}")


def _shown(part: "Part") -> str:
    """Return a line as a person reads it, merge fields in braces."""
    return "".join(piece if isinstance(piece, str) else f"{{{piece.field}}}" for piece in part)
