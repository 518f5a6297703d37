"""Hold the names and addresses by which receivers judge our mail, and find out which address they see.

That is the one from which the relay passes mail on. Where the operator names it, or the relay's host lies in our own
domain and has it in DNS, it is taken for known. A provider's relays often send from other addresses than those they are
reached at: what is found for them is a hint, no more.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from newsletter.dkim import SigningKey
from newsletter.dnsrecords import Kind, Resolver, is_within, parents

ADDRESS_KINDS: tuple[Kind, ...] = ("A", "AAAA")
_INNER = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    *("::/127", "fc00::/7", "fe80::/10"),
)
"""Networks whose addresses no receiver ever sees (RFC 1918, RFC 6598, RFC 4193 and their like)."""
_REGISTRIES = frozenset(("ac", "co", "com", "edu", "gob", "gov", "ltd", "me", "ne", "net", "nom", "or", "org", "plc"))
"""Labels under which countries give out domains: ``example.co.uk`` is one, ``co.uk`` is none."""

NAME_ADDRESS = "ask again with the address that receivers see: newsletter doctor --sends-from ADDRESS"
"""What to do where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailNames:
    """Hold the names that stand in our mail, and the relay's.

    ``return_path`` is the bounce address without a token, ``signed_by`` the domain of the DKIM signatures.
    ``sends_from`` are the addresses from which the relay passes mail on, where the operator named them.
    """

    from_domain: str
    return_path: str
    relay_host: str
    sends_from: tuple[str, ...] = ()
    signed_by: str = ""
    keys: tuple[SigningKey, ...] = ()

    @property
    def return_domain(self) -> str:
        """Return the domain of the return path."""
        return self.return_path.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class SeenFrom:
    """Hold the addresses from which receivers see our mail come; ``unknown`` says why there are none.

    ``is_ours`` says that they are surely these, and ours to name in DNS.
    """

    addresses: tuple[str, ...] = ()
    is_ours: bool = False
    unknown: str = ""


def find_addresses(names: MailNames, resolver: Resolver) -> SeenFrom:
    """Return from which addresses our mail reaches its receivers, as far as that can be known."""
    if names.sends_from:
        return SeenFrom(names.sends_from, is_ours=True)
    host = names.relay_host
    if host.lower() == "localhost" or (_is_address(host) and _is_inner(host)):
        return SeenFrom(unknown=f"the relay at {host} passes mail on from an address that only receivers see")
    if _is_address(host):
        return SeenFrom((host,), is_ours=True)
    answers = [resolver.look_up(host, kind) for kind in ADDRESS_KINDS]
    addresses = tuple(address for answer in answers for address in answer.records if not _is_inner(address))
    if not addresses:
        trouble = next((answer.trouble for answer in answers if answer.trouble), "")
        return SeenFrom(unknown=f"{host}: {trouble or 'DNS has no public address for it'}")
    is_ours = any(is_same_organisation(host, domain) for domain in (names.from_domain, names.return_domain))
    return SeenFrom(addresses, is_ours)


def is_same_organisation(one: str, other: str) -> bool:
    """Guess by their names whether two domains belong to the same organisation."""
    shared = next((parent for parent in parents(one) if is_within(other, parent)), "")
    labels = shared.split(".")
    return len(labels) > 2 or (len(labels) == 2 and not (len(labels[1]) == 2 and labels[0] in _REGISTRIES))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_inner(address: str) -> bool:
    return any(ip_address(address) in ip_network(network) for network in _INNER)
