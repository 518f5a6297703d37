"""``newsletter backup``: copy the store while it is in use."""

from pathlib import Path

import click

from newsletter.cli.context import App, echo_json, json_option, size


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def command(app: App, file: Path, as_json: bool) -> None:
    """Copy the store to FILE, also while a send is going on, and check the copy.

    Keep the secret file with it: neither is of use without the other. 'pg_dump' does this for PostgreSQL.
    """
    from newsletter.errors import InputError
    from newsletter.store.backup import back_up

    url = app.project().store_url
    if not url.startswith("sqlite:///"):
        raise InputError("the store is PostgreSQL's; back it up with 'pg_dump --format=custom --file=FILE DATABASE'")
    octets = back_up(Path(url.removeprefix("sqlite:///")), file)
    if as_json:
        echo_json({"file": str(file), "bytes": octets})
        return
    app.say(f"{file}: {size(octets)}, whole")
