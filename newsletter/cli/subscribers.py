"""``newsletter subscribers``: bring people onto lists, show them, take them off; files and lists stand beside this."""

from typing import TYPE_CHECKING, Any

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.exchange import export, import_
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.cli.lists import list_option, lists, open_list, open_people

if TYPE_CHECKING:
    from newsletter.persondata import PersonData
    from newsletter.store import Subscriber


@click.group("subscribers")
def command() -> None:
    """Import, export, add, show and remove subscribers, and keep lists of them."""


@command.command("add")
@click.argument("address")
@list_option
@click.option("--name", default="", help="The person's name, for merge fields and the To header.")
@click.option("--language", default="", metavar="TAG", help="The language they read, such as fr or zh-Hant.")
@click.option("--time-zone", default="", metavar="ZONE", help="Their time zone, such as Europe/Paris.")
@click.option("--topic", "topics", multiple=True, help="A topic that they chose; may be given several times.")
@click.option("--attribute", "attributes", multiple=True, metavar="KEY=VALUE", help="Anything else, for merge fields.")
@click.option("--origin", default="operator", help="Where their consent comes from, for the log.")
@click.option("--readmit", is_flag=True, help="They left, and asked anew: let them come back.")
@json_option
@click.pass_obj
def add(app: App, /, address: str, list_name: str, attributes: tuple[str, ...], as_json: bool, **wish: Any) -> int:
    """Add one person, whose consent you have."""
    from newsletter.store import Change
    from newsletter.subscriptions import PersonWish, add_person

    known = dict(_key_and_value(attribute) for attribute in attributes)
    with open_list(app, list_name) as (store, the_list):
        change = add_person(store, the_list.list_id, address, utc_now(), PersonWish(attributes=known, **wish))
    refused = change in (Change.SUPPRESSED, Change.LEFT)
    if as_json:
        echo_json({"address": address, "list": the_list.name, "change": str(change)})
    elif change is Change.SUPPRESSED:
        app.complain(f"{address}: suppressed; 'newsletter subscribers show {address}' says why")
    elif change is Change.LEFT:
        app.complain(f"{address}: has left the list; add --readmit where they asked for it anew")
    else:
        app.say(f"{address}: {change}")
    return FINDINGS if refused else DONE


def _key_and_value(attribute: str) -> tuple[str, str]:
    key, separator, value = attribute.partition("=")
    if not separator or not key.strip() or not value.strip():
        raise click.UsageError(f"--attribute {attribute}: write it like --attribute city=Lyon")
    return key, value


@command.command("list")
@list_option
@click.option("--all", "everyone", is_flag=True, help="Show those who left as well.")
@json_option
@click.pass_obj
def list_(app: App, list_name: str, everyone: bool, as_json: bool) -> None:
    """List the active subscribers."""
    from newsletter.store import SubscriptionState

    with open_list(app, list_name) as (store, the_list):
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


@command.command("show")
@click.argument("address")
@json_option
@click.pass_obj
def show(app: App, address: str, as_json: bool) -> None:
    """Show everything that is known of one person; --json is what they may be given."""
    from newsletter.persondata import load_person

    with open_people(app) as store:
        data = load_person(store, address)
    if as_json:
        echo_json(data.as_json())
    else:
        _say_person(app, data)


def _say_person(app: App, data: "PersonData") -> None:
    known = data.as_json()
    app.print(data.address)
    for key in ("name", "language", "time_zone", "paused_until"):
        if known[key]:
            app.print(f"  {key.replace('_', ' '):<12} {known[key]}")
    if known["topics"]:
        app.print(f"  {'topics':<12} {', '.join(known['topics'])}")
    for key, value in known["attributes"].items():
        app.print(f"  {key:<12} {value}")
    if data.suppression:
        note = f": {data.suppression.note}" if data.suppression.note else ""
        app.print(f"  suppressed   {data.suppression.reason}, since {data.suppression.since:%Y-%m-%d}{note}")
    for each in known["subscriptions"]:
        app.print(f"list {each['list']}: {each['state']} since {each['changed_at'][:10]}; origin: {each['origin']}")
    for each in known["consents"]:
        where = " ".join(piece for piece in (each["source"], each["reason"]) if piece)
        about = f" {each['list']}" if each["list"] else ""
        app.print(f"{each['at'][:16]}  {each['event']}{about} by {each['way']}" + (f": {where}" if where else ""))
    for each in known["deliveries"]:
        app.print(f"{each['changed_at'][:16]}  issue {each['issue']}: {each['state']}  {each['reply']}{each['reason']}")


@command.command("remove")
@click.argument("address")
@list_option
@click.option("--everywhere", is_flag=True, help="Take them off every list.")
@json_option
@click.pass_obj
def remove(app: App, address: str, list_name: str, everywhere: bool, as_json: bool) -> None:
    """Take one person off a list; an import will not bring them back."""
    from newsletter.subscriptions import remove_everywhere, remove_person

    with open_list(app, list_name) as (store, the_list):
        if everywhere:
            left = remove_everywhere(store, address, utc_now())
        else:
            remove_person(store, the_list.list_id, address, utc_now())
            left = (the_list.name,)
    if as_json:
        echo_json({"address": address, "state": "removed", "lists": list(left)})
    else:
        app.say(f"{address}: removed from {', '.join(left)}")


@command.command("suppress")
@click.argument("address")
@click.option("--reason", default="", help="Why, in your words.")
@click.option("--lift", is_flag=True, help="Let the address be mailed again instead.")
@json_option
@click.pass_obj
def suppress(app: App, address: str, reason: str, lift: bool, as_json: bool) -> None:
    """Never mail an address again, whether anything is known of it or not."""
    from newsletter.subscriptions import lift_suppression, suppress_person

    with open_people(app) as store:
        changed = lift_suppression(store, address) if lift else suppress_person(store, address, reason, utc_now())
    if as_json:
        echo_json({"address": address, "suppressed": not lift, "changed": changed})
    elif lift:
        app.say(f"{address}: may be mailed again" if changed else f"{address}: was not suppressed")
    else:
        app.say(f"{address}: suppressed" if changed else f"{address}: was suppressed already; the first reason stays")


@command.command("erase")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would go.")
@json_option
@click.pass_obj
def erase(app: App, address: str, yes: bool, as_json: bool) -> None:
    """Erase everything personal about one person, for good; only a keyed hash stays, which keeps them away."""
    from newsletter.persondata import load_person
    from newsletter.subscriptions import erase_person

    with open_people(app) as store:
        data = load_person(store, address)
        if yes:
            erase_person(store, address, utc_now())
    if as_json:
        echo_json({"address": address, "erased": yes, "deliveries_kept": len(data.deliveries)})
    elif yes:
        app.say(f"{address}: erased; a keyed hash keeps them off every list")
    else:
        _say_person(app, data)
        app.say("\nErasing is for good. The counts of past sends stay, without the person. --yes erases.")


command.add_command(import_)
command.add_command(export)
command.add_command(lists)


def _as_json(person: "Subscriber") -> dict[str, Any]:
    return {
        "address": person.address,
        "name": person.name,
        "language": person.language,
        "time_zone": person.time_zone,
        "topics": list(person.topics),
        "state": str(person.state),
        "origin": person.origin,
        "attributes": dict(person.attributes),
        "joined_at": person.joined_at.isoformat(),
        "paused_until": person.paused_until.isoformat() if person.paused_until else None,
    }
