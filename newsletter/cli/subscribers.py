"""``newsletter subscribers``: bring people onto the list, show them, take them off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exits import DONE, FINDINGS

if TYPE_CHECKING:
    from newsletter.store import Store, Subscriber, SubscriberList


@click.group("subscribers")
def command() -> None:
    """Import, add, list and remove subscribers."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def import_(app: App, file: Path, as_json: bool) -> None:
    """Import people from a CSV or TSV FILE; only a column 'email' is needed.

    Encoding and delimiter are detected. Unknown columns are kept as attributes. People who left are not brought back.
    """
    from newsletter.subscriptions import import_file

    with _open_list(app) as (store, the_list):
        report = import_file(store, the_list.list_id, file, utc_now())
    if as_json:
        echo_json(report.as_json())
        return
    counts = report.as_json()
    app.say(", ".join(f"{counts[key]} {key}" for key in ("added", "updated", "unchanged", "refused")))
    for row in report.lines:
        app.note(f"{file}:{row.line}: refused: {row.reason}" + (f": {row.text}" if row.text else ""))
    if report.refused > len(report.lines):
        app.note(f"{file}: and {report.refused - len(report.lines)} more lines were refused")


@command.command("add")
@click.argument("address")
@click.option("--name", default="", help="The person's name, for merge fields and the To header.")
@json_option
@click.pass_obj
def add(app: App, address: str, name: str, as_json: bool) -> int:
    """Add one person, whose consent you have."""
    from newsletter.store import Change
    from newsletter.subscriptions import add_person

    with _open_list(app) as (store, the_list):
        change = add_person(store, the_list.list_id, address, name, utc_now())
    refused = change in (Change.SUPPRESSED, Change.LEFT)
    if as_json:
        echo_json({"address": address, "change": str(change)})
    elif refused:
        reason = "suppressed" if change is Change.SUPPRESSED else "has left the list, and is not brought back this way"
        app.complain(f"{address}: {reason}")
    else:
        app.say(f"{address}: {change}")
    return FINDINGS if refused else DONE


@command.command("list")
@click.option("--all", "everyone", is_flag=True, help="Show those who left as well.")
@json_option
@click.pass_obj
def list_(app: App, everyone: bool, as_json: bool) -> None:
    """List the active subscribers."""
    from newsletter.store import SubscriptionState

    with _open_list(app) as (store, the_list):
        wanted = None if everyone else SubscriptionState.ACTIVE
        people = store.subscribers.list_subscribers(the_list.list_id, wanted)
        if as_json:
            counts = store.subscribers.count_subscribers(the_list.list_id)
            echo_json(
                {
                    "list": the_list.name,
                    "counts": {str(state): count for state, count in counts.items()},
                    "subscribers": [_as_json(person) for person in people],
                }
            )
            return
        for person in people:
            app.print("\t".join((person.address or "(erased)", person.name, str(person.state))))


@command.command("remove")
@click.argument("address")
@json_option
@click.pass_obj
def remove(app: App, address: str, as_json: bool) -> None:
    """Take one person off the list; an import will not bring them back."""
    from newsletter.subscriptions import remove_person

    with _open_list(app) as (store, the_list):
        remove_person(store, the_list.list_id, address, utc_now())
    if as_json:
        echo_json({"address": address, "state": "removed"})
    else:
        app.say(f"{address}: removed")


@contextmanager
def _open_list(app: App) -> "Iterator[tuple[Store, SubscriberList]]":
    """Open the store and the newsletter's list for one command."""
    from newsletter.subscriptions import default_list

    project = app.project()
    with app.open_store(project, app.keys(project)) as store:
        yield store, default_list(store, utc_now(), project.config.newsletter.title)


def _as_json(person: "Subscriber") -> dict[str, Any]:
    return {
        "address": person.address,
        "name": person.name,
        "language": person.language,
        "state": str(person.state),
        "attributes": dict(person.attributes),
        "joined_at": person.joined_at.isoformat(),
    }
