"""``newsletter build``: compile an issue into files to look at, for a sample recipient."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, size, utc_now

if TYPE_CHECKING:
    from newsletter.compiler import Build


@click.command("build")
@click.argument("issue")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; the files go to OUT/SLUG.  [default: build/ in the newsletter's folder]",
)
@click.option("--keep-mjml", is_flag=True, help="Write email.mjml as well.")
@click.option("--approved", is_flag=True, help="Refuse an issue that is not approved as it stands.")
@click.option(
    "--topics", multiple=True, metavar="TOPICS", help="Build also what those get who chose these topics; - for none."
)
@json_option
@click.pass_obj
def command(
    app: App, issue: str, out: Path | None, keep_mjml: bool, approved: bool, topics: tuple[str, ...], as_json: bool
) -> None:
    """Compile ISSUE, a slug or a file, to HTML, text, a message and edition.json.

    The message is made for a sample recipient with a sample key, so that equal input gives equal files. What is odd in
    the issue's text is told; 'newsletter check' looks at the mail as well.
    """
    from newsletter.checker import check_text, few_of_each
    from newsletter.compiler import build_issue, build_variants
    from newsletter.config import find_issue
    from newsletter.sources import load_issue, refuse_unapproved
    from newsletter.variants import WHOLE, topical_sections

    project = app.project()
    started = time.perf_counter()
    loaded = load_issue(project, find_issue(project, issue))
    if approved:
        refuse_unapproved(project, loaded)
    folder = out or project.root / "build"
    sections = topical_sections(loaded.issue)
    wanted = dict.fromkeys(sections.variant_called(each) for each in topics)
    built = build_issue(project, loaded, folder, keep_mjml=keep_mjml)
    variants = build_variants(project, built, folder, [variant for variant in wanted if variant != WHOLE])
    if approved:  # once more, with the very bytes that were compiled
        refuse_unapproved(project, loaded, built.source_digest)
    seconds = time.perf_counter() - started
    report = check_text(project, loaded, today=utc_now().astimezone(project.zone).date())
    if as_json:
        shown = {variant: str(path / "edition.json") for variant, path in variants.items()}
        warnings = [str(finding.as_problem()) for finding in report.findings]
        echo_json(_as_json(built, seconds) | {"warnings": warnings, "variants": shown})
        return
    for finding in few_of_each(report.findings):
        app.warn(finding.as_problem())
    edition = built.compiled.edition
    app.say(f"{edition.issue}: compiled in {seconds * 1000:.0f} ms, edition {edition.digest[:12]}")
    for path in built.files:
        app.say(f"  {path}  {size(path.stat().st_size)}")
    for path in variants.values():
        app.say(f"  {path}/")
    if WHOLE in wanted:
        app.say("  who chose these topics gets the whole issue")


def _as_json(built: "Build", seconds: float) -> dict[str, object]:
    from newsletter.freezer import facts_of

    edition, issue = built.compiled.edition, built.loaded.issue
    return {
        "issue": edition.issue,
        "edition_digest": edition.digest,
        "source_digest": built.source_digest,
        "approved": issue.approved is not None and issue.approved.digest == built.source_digest,
        **facts_of(issue),
        "files": {path.name: str(path) for path in built.files},
        "bytes": {path.name: path.stat().st_size for path in built.files},
        "seconds": round(seconds, 4),
        "stages": {name: round(value, 6) for name, value in built.compiled.timings.items()},
    }
