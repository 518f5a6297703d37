"""``newsletter init``: make a new newsletter in a folder, with which ``build`` works at once."""

import shlex
from pathlib import Path

import click

from newsletter.cli.context import App, utc_now
from newsletter.errors import NotAllowedError


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--title", default="My Newsletter", show_default=True, help="The newsletter's title.")
@click.option("--from", "sender", metavar="ADDRESS", default="editor@example.org", show_default=True)
@click.pass_obj
def command(app: App, folder: Path, title: str, sender: str) -> None:
    """Make a new newsletter in DIR: configuration, a first issue, the secret file.

    Nothing that is there is overwritten.
    """
    from newsletter.config import CONFIG_NAME, load_project
    from newsletter.scaffold import write_project
    from newsletter.secretfile import load_keys

    if (folder / CONFIG_NAME).exists():
        raise NotAllowedError(f"{folder / CONFIG_NAME} exists already; 'init' makes new newsletters only")
    issue = write_project(folder, title, sender, utc_now().date())
    project = load_project(folder, {})
    load_keys(project)
    app.say(f"{folder}: a new newsletter")
    app.say(f"  {folder / CONFIG_NAME}   say who publishes, and through which relay")
    app.say(f"  {issue}   write the first issue")
    app.say(f"  {project.secret_path}   keep a copy in a safe place, never commit it")
    app.say(f"Then: newsletter --project {shlex.quote(str(folder))} build {issue.stem}")
