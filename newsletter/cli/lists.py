"""``newsletter subscribers lists``: the lists that a subscriber may be on; and how every command opens one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now

if TYPE_CHECKING:
    from newsletter.store import Store, SubscriberList

list_option = click.option("--list", "list_name", default="", metavar="NAME", help="The list, if not the newsletter's.")
"""The option of every command that works on one list."""


@contextmanager
def open_people(app: App) -> "Iterator[Store]":
    """Open the store for one command."""
    project = app.project()
    with app.open_store(project, app.keys(project)) as store:
        yield store


@contextmanager
def open_list(app: App, name: str) -> "Iterator[tuple[Store, SubscriberList]]":
    """Open the store and one of its lists, the newsletter's own for ``""``."""
    from newsletter.subscriptions import named_list

    project = app.project()
    with app.open_store(project, app.keys(project)) as store:
        yield store, named_list(store, name, utc_now(), project.config.newsletter.title)


@click.group("lists", invoke_without_command=True)
@json_option
@click.pass_context
def lists(context: click.Context, as_json: bool) -> None:
    """Show the lists with how many people are on each; add and rename them."""
    if context.invoked_subcommand:
        return
    app: App = context.obj
    with open_list(app, "") as (store, _):
        known = [(each, store.subscribers.count_subscribers(each.list_id)) for each in store.subscribers.load_lists()]
    if as_json:
        shown = [
            {"name": each.name, "title": each.title, "counts": {str(state): count for state, count in counts.items()}}
            for each, counts in known
        ]
        echo_json({"lists": shown})
        return
    for each, counts in known:
        told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "nobody yet"
        app.print(f"{each.name}\t{each.title}\t{told}")


@lists.command("add")
@click.argument("name")
@click.option("--title", default="", help="What subscribers are shown.")
@click.pass_obj
def add(app: App, name: str, title: str) -> None:
    """Make a list called NAME; an issue goes to it with 'audience: NAME'."""
    from newsletter.subscriptions import add_list

    with open_list(app, "") as (store, _):  # the newsletter's own is the first of them
        add_list(store, name, title, utc_now())
    app.say(f"{name}: made")


@lists.command("rename")
@click.argument("name")
@click.argument("new_name")
@click.option("--title", default=None, help="What subscribers are shown from now on.")
@click.pass_obj
def rename(app: App, name: str, new_name: str, title: str | None) -> None:
    """Give the list NAME another name, or with the same name another title."""
    from newsletter.subscriptions import rename_list

    with open_list(app, "") as (store, _):
        rename_list(store, name, new_name, title)
    app.say(f"{name}: is called {new_name} now" if new_name != name else f"{name}: has another title now")
