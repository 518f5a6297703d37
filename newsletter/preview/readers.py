"""Choose whose mail the preview shows: a sample reader, one of whom only the address is known, or a subscriber."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from newsletter.config import Project
from newsletter.errors import InputError
from newsletter.model import Recipient

if TYPE_CHECKING:
    from newsletter.store import Store

SAMPLE, NAMELESS = "sample", "nameless"


@dataclass(frozen=True, slots=True)
class Reader:
    """Hold whose mail is shown: ``key`` is what the page calls them, an address for a subscriber."""

    key: str
    label: str
    recipient: Recipient
    topics: tuple[str, ...] = ()


_ROBIN = Recipient(subscriber_id=1, list_id=1, address="reader@example.org", name="Robin Reader")
SAMPLE_READER = Reader(SAMPLE, "Robin Reader", _ROBIN)
NAMELESS_READER = Reader(NAMELESS, "only an address is known", replace(_ROBIN, name=""))


def find_reader(project: Project, key: str) -> Reader:
    """Return the reader that the page asked for; raise InputError where nobody on the lists has that address.

    Nothing is made here: a newsletter without a store stays without one.
    """
    known = {SAMPLE: SAMPLE_READER, NAMELESS: NAMELESS_READER}
    if key in known:
        return known[key]
    from newsletter.addresses import parse_address
    from newsletter.secretfile import load_keys
    from newsletter.worker import open_known_store

    address = parse_address(key.strip())
    with open_known_store(project) as store:
        if store is None:
            raise InputError("there is no list yet; 'newsletter subscribers import FILE' makes one")
    with open_known_store(project, load_keys(project).address_key) as store:  # where a store is, its keys are
        found = _find_subscriber(store, address) if store else None
    if found is None:
        raise InputError(f"nobody on the lists has the address {address}")
    return found


def _find_subscriber(store: "Store", address: str) -> Reader | None:
    for each in store.subscribers.load_lists():
        found = store.subscribers.find_subscriber(each.list_id, address)
        if found is not None and found.address:
            recipient = Recipient(
                subscriber_id=found.subscriber_id,
                list_id=found.list_id,
                address=found.address,
                name=found.name,
                language=found.language,
                attributes=found.attributes,
            )
            words = f"{found.address} ({found.state} on {each.title or each.name})"
            return Reader(found.address, words, recipient, found.topics)
    return None
