"""``newsletter init``: make a new newsletter in a folder, with which ``build`` works at once."""

from pathlib import Path

import click

from newsletter.cli.context import App
from newsletter.errors import InputError


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
    from newsletter.secretfile import make_secret

    if (folder / CONFIG_NAME).exists():
        raise InputError(f"{folder / CONFIG_NAME} exists already; 'init' makes new newsletters only")
    issue = write_project(folder, title, sender)
    project = load_project(folder, {})
    if not project.secret_path.exists():
        make_secret(project)
    app.say(f"{folder}: a new newsletter")
    app.say(f"  {folder / CONFIG_NAME}   say who publishes, and through which relay")
    app.say(f"  {issue}   write the first issue")
    app.say(f"Then: newsletter --project {folder} build {issue.stem}")
