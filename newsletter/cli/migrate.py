"""``newsletter migrate``: bring the store to this version's schema."""

import click

from newsletter.cli.context import App


@click.command("migrate")
@click.pass_obj
def command(app: App) -> None:
    """Bring the store to this version's schema; back it up first. Doing it twice does nothing."""
    from newsletter.store import migrate_store

    project = app.project()
    app.say(f"the store has schema {migrate_store(project.store_url)}")
