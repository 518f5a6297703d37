"""Make a table of a list: everything that is known of its subscribers, so that an import of it gives the same again.

One person in memory at a time. Erased people are left out: nothing is known of them. Writing it, with cells that no
spreadsheet takes for formulas, is ``csvfile``'s.
"""

import json
from collections.abc import Iterator, Mapping

from newsletter.listcolumns import is_meaning
from newsletter.listfile import clean_cell
from newsletter.store import Store, Subscriber, SubscriptionState, SuppressionReason

COLUMNS = (
    "email",
    "name",
    "language",
    "time_zone",
    "topics",
    "status",
    "suppressed",
    "origin",
    "joined_at",
    "paused_until",
)
"""The columns of every export, in order; one for each attribute comes behind them."""
_JSON = "attributes"
_HEADINGS_MAX = 200


def export_rows(
    store: Store, list_id: int, state: SubscriptionState | None = None
) -> tuple[list[str], Iterator[list[str]]]:
    """Return the headings, and everybody of a list who is in ``state``, everybody at all by default, as rows."""
    keys, needs_json = _headings(_wanted(store, list_id, state))
    headings = [*COLUMNS, *keys, *([_JSON] if needs_json else ())]
    return headings, (_cells(person, reason, keys, needs_json) for person, reason in _wanted(store, list_id, state))


def _wanted(
    store: Store, list_id: int, state: SubscriptionState | None
) -> Iterator[tuple[Subscriber, SuppressionReason | None]]:
    for person, reason in store.subscribers.export_subscribers(list_id):
        if person.address is not None and state in (None, person.state):
            yield person, reason


def _headings(people: Iterator[tuple[Subscriber, SuppressionReason | None]]) -> tuple[list[str], bool]:
    """Return the attributes that can be columns, and whether some cannot: an import would read them otherwise."""
    keys: set[str] = set()
    needs_json = False
    for person, _ in people:
        for key in person.attributes:
            if key in keys:
                continue
            if len(keys) < _HEADINGS_MAX and key == clean_cell(key).casefold() and key and not is_meaning(key):
                keys.add(key)
            else:
                needs_json = True
    return sorted(keys), needs_json


def _cells(person: Subscriber, reason: SuppressionReason | None, keys: list[str], needs_json: bool) -> list[str]:
    attributes: Mapping[str, str] = person.attributes
    cells = [
        person.address or "",
        person.name,
        person.language,
        person.time_zone,
        ", ".join(person.topics),
        str(person.state),
        str(reason or ""),
        person.origin,
        person.joined_at.isoformat(),
        person.paused_until.isoformat() if person.paused_until else "",
        *(attributes.get(key, "") for key in keys),
    ]
    if needs_json:
        others = {key: value for key, value in attributes.items() if key not in keys}
        cells.append(json.dumps(others, ensure_ascii=False, sort_keys=True) if others else "")
    return cells
