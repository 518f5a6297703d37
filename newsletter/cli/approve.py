"""``newsletter approve``: show what would be sent, and write the approval into the issue file."""

import datetime as dt
import getpass
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, size, utc_now

if TYPE_CHECKING:
    from newsletter.compiler import Compiled, LoadedIssue
    from newsletter.config import Project


@click.command("approve")
@click.argument("issue")
@click.option("--by", help="Who approves.  [default: your login name]")
@json_option
@click.pass_obj
def command(app: App, issue: str, by: str | None, as_json: bool) -> None:
    """Approve ISSUE as it stands: its text, images, templates and settings.

    Any later change unapproves it, and 'newsletter send' says which line changed. Works without a terminal.
    """
    from newsletter.compiler import approve_issue, compile_issue, load_issue, refuse_unsendable
    from newsletter.config import find_issue
    from newsletter.store import StoredApproval

    project = app.project()
    loaded = load_issue(project, find_issue(project, issue))
    compiled = compile_issue(project, loaded)
    message_size = refuse_unsendable(project, loaded.issue, compiled.edition)
    for problem in compiled.warnings:
        app.warn(problem)
    now = utc_now()
    approval = approve_issue(project, loaded, by or _login_name(), now.astimezone(project.zone).date())
    with app.open_store(project, app.keys(project)) as store:
        store.issues.record_approval(
            StoredApproval(
                issue=loaded.issue.slug, source_digest=approval.digest, text=loaded.text, by=approval.by, at=now
            )
        )
    if as_json:
        echo_json(
            {
                "issue": loaded.issue.slug,
                "source_digest": approval.digest,
                "by": approval.by,
                "edition_digest": compiled.edition.digest,
                "message_bytes": message_size,
            }
        )
        return
    _show(app, project, loaded, compiled, message_size)
    app.say(f"approved by {approval.by}: source digest {approval.digest[:12]}")


def _show(app: App, project: "Project", loaded: "LoadedIssue", compiled: "Compiled", message_size: int) -> None:
    issue = loaded.issue
    html = sum(len(piece.encode()) for piece in compiled.edition.html if isinstance(piece, str))
    app.say(f"issue      {issue.slug}")
    app.say(f"subject    {shown_part(compiled.edition.subject)}")
    app.say(f"preheader  {issue.preheader or '(none)'}")
    app.say(f"size       HTML {size(html)}, message {size(message_size)}")
    app.say(f"send at    {in_zones(issue.send_at, project)}")


def shown_part(part: "tuple[object, ...]") -> str:
    """Return a subject as a person reads it, merge fields in braces."""
    return "".join(piece if isinstance(piece, str) else f"{{{getattr(piece, 'field', '')}}}" for piece in part)


def in_zones(instant: dt.datetime | None, project: "Project") -> str:
    """Return an instant in the newsletter's zone and in UTC."""
    if instant is None:
        return "(no send_at: cron never sends it)"
    local, utc = instant.astimezone(project.zone), instant.astimezone(dt.UTC)
    return f"{local:%Y-%m-%d %H:%M} {project.zone.key} ({utc:%H:%M} UTC)"


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
