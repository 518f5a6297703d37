"""Hold what all pages share, and say of a request who asks: never by name, and with the end of the address masked."""

import datetime as dt
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.catalogs import Catalog
from newsletter.config import NewsletterSection, WebSection
from newsletter.consent import Ask, Limits
from newsletter.identity import SenderIdentity
from newsletter.store import Evidence, Store, SubscriberList, Way
from newsletter.subscriptions import default_list
from newsletter.tokens import Keys, Purpose, Token, read_token

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_CLIENT = b"newsletter/1/client\0"


@dataclass(frozen=True, slots=True)
class HookRequest:
    """Hold what a provider posted: header names in lower case, the body as it came."""

    headers: Mapping[str, str]
    body: bytes
    now: dt.datetime


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """Hold what a provider is answered: an HTTP status and a line of text."""

    status: int
    text: str = ""


Hook = Callable[[HookRequest], HookAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Hold what the pages share.

    ``words`` returns the catalog for a language tag; ``ring`` says that a letter may be waiting; ``hooks`` maps the
    name of a provider to what takes its news; ``archive`` is the folder of the static archive; ``style`` is the style
    sheet.
    """

    newsletter: NewsletterSection
    web: WebSection
    identity: SenderIdentity
    store: Store
    keys: Keys
    templates: "ImmutableSandboxedEnvironment"
    words: Callable[[str], Catalog]
    clock: Callable[[], dt.datetime]
    archive: Path
    style: str
    ring: Callable[[], None] = lambda: None
    hooks: Mapping[str, Hook] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """Return what holds back whoever asks too often."""
        return Limits(
            wait=dt.timedelta(minutes=self.web.wait_minutes),
            client_asks=self.web.asks_per_client,
            all_asks=self.web.asks_per_hour,
            confirm_hours=self.web.confirm_hours,
            pending_days=self.web.pending_days,
        )

    def read(self, text: str, purpose: Purpose) -> Token | None:
        """Return what a token says, or None where it is forged, damaged or of another purpose."""
        return read_token(self.keys, text, purpose)

    def lists(self) -> tuple[SubscriberList, ...]:
        """Return the lists that readers may choose, as ``[web] lists`` names them; without it the newsletter's own."""
        now = self.clock()
        if not self.web.lists:
            return (default_list(self.store, now, self.identity.title),)
        found = (self.store.subscribers.ensure_list(name, now, title) for name, title in self.web.lists.items())
        return tuple(SubscriberList(each.list_id, each.name, self.web.lists[each.name]) for each in found)

    def title_of(self, list_id: int) -> str:
        """Return what readers are shown for a list."""
        for each in self.store.subscribers.load_lists():
            if each.list_id == list_id:
                return self.web.lists.get(each.name) or each.title or self.identity.title
        return self.identity.title

    def ask(self, address: str, network_address: str, **values: object) -> Ask:
        """Return what somebody at ``network_address`` asks for ``address``."""
        evidence = self.evidence(network_address)
        return Ask(address=address, evidence=evidence, client=self.client(network_address), **values)  # type: ignore[arg-type]

    def evidence(self, network_address: str, way: Way = Way.FORM) -> Evidence:
        """Return how a wish came, for the log of consent: by a page, from about where."""
        return Evidence(way, masked_network(network_address))

    def client(self, network_address: str) -> str:
        """Return a keyed hash of the client's network: an address of IPv4, the first 64 bits of one of IPv6."""
        return hmac.digest(self.keys.address_key, _CLIENT + _network(network_address, 32, 64).encode(), "sha256").hex()[
            :32
        ]


def masked_network(address: str) -> str:
    """Return a network address with its end masked: ``192.0.2.0``, ``2001:db8:1::``; ``""`` for what is none."""
    return _network(address, 24, 48)


def _network(address: str, bits: int, bits_of_6: int) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    length = bits if found.version == 4 else bits_of_6
    return str(ipaddress.ip_network((found, length), strict=False).network_address)
