"""``newsletter migrate``: bring the store to this version's schema, and make a copy the store of this host."""

from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.store import Send


@click.command("migrate")
@click.option(
    "--adopt", is_flag=True, help="Let a store that was copied, moved or restored send from here; nowhere else may it."
)
@json_option
@click.pass_obj
def command(app: App, adopt: bool, as_json: bool) -> None:
    """Bring the store to this version's schema; back it up first. Doing it twice does nothing.

    With --adopt, the sends that were not finished wait for you: the copy may not know whom its original mailed since.
    """
    from newsletter.store import migrate_store

    project = app.project()
    schema = migrate_store(project.store_url)
    waiting = _adopt(app, project) if adopt else ()
    if as_json:
        echo_json({"schema": schema, "adopted": adopt, "waiting": [send.issue for send in waiting]})
        return
    app.say(f"the store has schema {schema}")
    if adopt:
        app.say("it sends from here now; see to it that its original does not")
    for send in waiting:
        app.say(f"  {send.issue} is {send.state}: 'newsletter send {send.issue} --yes --late' goes on with it")


def _adopt(app: App, project: "Project") -> "tuple[Send, ...]":
    from newsletter.cli.sending import host_guard

    with app.open_store(project, app.keys(project)) as store:
        return host_guard(project).adopt(store, utc_now())
