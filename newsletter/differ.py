"""Say what changed in an issue since it was approved, or since a commit: read both versions, compile and compare them.

Use case: nothing is printed, and nothing is written. Of an approval the store keeps the text, and of templates, images
and settings what they were, though not the files themselves: how the mail looked then cannot be made again.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from newsletter.comparing import Comparison, Version, compare, introduce
from newsletter.compiler import compile_issue, load_issue, message_parts, sample_message
from newsletter.config import Project
from newsletter.errors import InputError, NewsletterError
from newsletter.hypertext import read_hypertext
from newsletter.issue import parse_issue
from newsletter.render import Renderer
from newsletter.revisions import Revision, open_revision
from newsletter.sources import LoadedIssue, source_digest, source_words
from newsletter.store import StoredApproval

HTML, TEXT, PICTURES, MESSAGE = "HTML", "plain text", "pictures inside", "message"
_KEPT = "an image, a template or a setting is another since the approval; what it was is not kept"


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold what changed in an issue since ``since``, and whether it stands as it was approved."""

    issue: str
    file: str
    since: str
    comparison: Comparison


def diff_approval(project: Project, path: Path, approval: StoredApproval | None) -> Difference:
    """Return what changed in the issue at ``path`` since its latest approval.

    Raises InputError where there was none, and what compiling raises for the issue as it stands.
    """
    loaded = load_issue(project, path)
    slug = loaded.issue.slug
    if approval is None:
        raise InputError(
            f"{slug} was never approved here; 'newsletter diff {slug} HEAD' compares it with the latest commit"
        )
    since = f"{approval.by} approved it on {approval.at.astimezone(project.zone):%Y-%m-%d %H:%M}"
    renderer = Renderer(project)
    after = _version(project, loaded, renderer)
    before = replace(_former(project, loaded, approval.text, renderer), sources=approval.sources)
    comparison = compare(before, after)
    if not approval.sources and not _is_digest_of(project, loaded, approval):
        comparison = replace(comparison, notes=(*comparison.notes, _KEPT))
    return Difference(slug, loaded.issue.file, since, comparison)


def diff_commit(project: Project, path: Path, name: str) -> Difference:
    """Return what changed in the issue at ``path`` since the commit ``name``: words, links, size and looks.

    Raises InputError where git knows no such commit, and what compiling raises for the issue as it stands.
    """
    loaded = load_issue(project, path)
    renderer = Renderer(project)
    after = _version(project, loaded, renderer)
    with open_revision(project, path, name) as revision:
        if revision.is_new:
            return Difference(loaded.issue.slug, loaded.issue.file, revision.label, introduce(after))
        before = _version_then(revision, project.root)
        same_text = _former(project, loaded, before.text, renderer)
        comparison = compare(before, after, same_text.html)
    notes = (*revision.notes, *comparison.notes)
    if same_text.broken and not before.broken:
        notes += (f"the text of then does not compile today: {same_text.broken}",)
    return Difference(loaded.issue.slug, loaded.issue.file, revision.label, replace(comparison, notes=notes))


# ---------------------------------------------------------------------------------------------------------------------
# Versions
# ---------------------------------------------------------------------------------------------------------------------


def _version(project: Project, loaded: LoadedIssue, renderer: Renderer | None = None) -> Version:
    """Compile a version; raises what compiling raises."""
    compiled = compile_issue(project, loaded, renderer=renderer)
    message = sample_message(project, loaded.issue, compiled.edition)
    text, html = message_parts(message)
    return Version(
        text=loaded.text,
        file=loaded.issue.file,
        issue=loaded.issue,
        html=html,
        links=tuple((" ".join(link.text.split()), link.href) for link in read_hypertext(html).links),
        sizes={
            HTML: len(html.encode()),
            TEXT: len(text.encode()),
            PICTURES: sum(len(each.content) for each in compiled.edition.resources),
            MESSAGE: len(message.content),
        },
        sources=source_words(project, compiled.images),
    )


def _version_then(revision: Revision, origin: Path) -> Version:
    """Compile the issue as it was; where that cannot be done, its text is left to compare."""
    text = revision.issue.read_text(encoding="utf-8", errors="replace")
    try:
        loaded = load_issue(revision.project, revision.issue)
        revision.fetch_images(loaded.issue, origin.resolve())
        return _version(revision.project, loaded)
    except NewsletterError as error:
        return Version(text=text, file=revision.issue.name, broken=f"{revision.label}: {_first_line(error)}")


def _former(project: Project, loaded: LoadedIssue, text: str, renderer: Renderer) -> Version:
    """Compile another text of an issue with what there is now; templates, images and settings say nothing of then."""
    try:
        return replace(_version(project, _with_text(project, loaded, text), renderer), sources={})
    except NewsletterError as error:
        return Version(text=text, file=loaded.issue.file, broken=_first_line(error))


def _with_text(project: Project, loaded: LoadedIssue, text: str) -> LoadedIssue:
    """Return an issue with another text in place of its own, and with what there is now beside it."""
    issue = parse_issue(
        text, slug=loaded.issue.slug, file=loaded.issue.file, sections=project.config.sections, zone=project.zone
    )
    return replace(loaded, issue=issue, text=text)


def _first_line(error: NewsletterError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_digest_of(project: Project, loaded: LoadedIssue, approval: StoredApproval) -> bool:
    """Tell whether the approved text, with what there is now beside it, is still what was approved."""
    try:
        return source_digest(project, _with_text(project, loaded, approval.text)) == approval.source_digest
    except NewsletterError:
        return False
