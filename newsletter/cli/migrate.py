"""``newsletter migrate``: bring the store to this version's schema."""

import click

from newsletter.cli.context import App, echo_json, json_option


@click.command("migrate")
@json_option
@click.pass_obj
def command(app: App, as_json: bool) -> None:
    """Bring the store to this version's schema; back it up first. Doing it twice does nothing."""
    from newsletter.store import migrate_store

    schema = migrate_store(app.project().store_url)
    if as_json:
        echo_json({"schema": schema})
    else:
        app.say(f"the store has schema {schema}")
