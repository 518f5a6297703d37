"""Measure how large the HTML part of typical issues is: Gmail clips a mail at about 102 KB of it."""

from pathlib import Path

from corpus import brief_issue, illustrated_issue, make_project
from measure import Figure, Report, Target

from newsletter.compiler import compile_issue, message_parts, sample_message
from newsletter.config import Project, find_issue
from newsletter.sources import load_issue

_PROMISED = Target(90_000)


def measure_sizes(folder: Path, quick: bool) -> Report:
    """Compile one issue of each kind, and return the bytes of its HTML part as a recipient gets it."""
    links, articles = (4, 2) if quick else (40, 20)
    issues = {"brief": brief_issue(links), "illustrated": illustrated_issue(articles), "long": illustrated_issue(25)}
    project = make_project(folder / "sizes", issues)
    hosted = make_project(folder / "hosted", issues, hosted=True)
    figures = (
        _size(project, "brief", f"{links} compact links", _PROMISED),
        _size(project, "illustrated", f"{articles} illustrated articles, pictures in the mail", _PROMISED),
        _size(hosted, "illustrated", f"{articles} illustrated articles, pictures on a site", _PROMISED),
        _size(project, "long", "25 illustrated articles, pictures in the mail", None),
    )
    return Report(title="Size of the HTML", figures=figures)


def _size(project: Project, slug: str, text: str, target: Target | None) -> Figure:
    loaded = load_issue(project, find_issue(project, slug))
    edition = compile_issue(project, loaded).edition
    message = sample_message(project, loaded.issue, edition)
    _, html = message_parts(message)
    where = project.config.newsletter.images
    return Figure(
        name=f"size.{slug}.{where}",
        text=text,
        value=len(html.encode()),
        unit="B",
        target=target,
        details={"articles": len(loaded.issue.articles), "message_bytes": len(message.content)},
    )
