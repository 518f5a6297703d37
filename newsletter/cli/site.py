"""``newsletter site``: write the archive as a static site."""

from pathlib import Path

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now


@click.command("site")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that a web server serves under [newsletter] url.  [default: site/ in the newsletter's folder]",
)
@click.option("--drafts", is_flag=True, help="Show what is not published yet as well, marked as drafts.")
@json_option
@click.pass_obj
def command(app: App, out: Path | None, drafts: bool, as_json: bool) -> None:
    """Write the archive: a page for each issue that went out, an index, feeds, a sitemap, a search.

    Published is what is approved and whose time has come. Files that did not change are left alone, so cron may run
    this as often as it likes.
    """
    from newsletter.archive import FOLDER, write_site
    from newsletter.worker import open_known_store

    project = app.project()
    folder = out or project.root / "site"
    with open_known_store(project) as store:
        site, selection = write_site(project, store, folder, utc_now(), drafts=drafts)
    if as_json:
        slugs = [published.issue.slug for published in selection.issues]
        counts = {"files": site.files, "written": site.written, "removed": site.removed}
        echo_json({"out": str(folder), "issues": slugs, **counts, "notes": list(selection.notes)})
        return
    for note in selection.notes:
        app.warn(note)
    app.say(f"{len(selection.issues)} issues in {folder / FOLDER}")
    app.say(f"  {site.files} files, {site.written} written, {site.removed} removed")
    app.say(f"  {folder / FOLDER / 'index.html'}")
