"""Tell which network addresses may be asked for what a stranger's feed names: those of the open internet only; pure.

Python's ``is_global`` calls some addresses global that lead home: IPv4 wrapped into IPv6 by one of half a dozen ways.
They are unwrapped, and what is inside decides.
"""

import ipaddress
from collections.abc import Iterator

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "fec0::/10",  # site-local (RFC 3879)
        "64:ff9b:1::/48",  # local translation (RFC 8215)
        "2001::/32",  # Teredo (RFC 4380)
        "5f00::/16",  # segment routing (RFC 9602)
        "100::/64",  # discard (RFC 6666)
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def refusal_of(address: str) -> str:
    """Return why an address must not be asked, ``""`` where it may; ``address`` is one of IPv4 or IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"{address} is no network address"
    for one in (found, *_embedded(found)):
        if _is_refused(one):
            inside = "" if one == found else f", which holds {one}"
            return f"{address}{inside} is an address of a private or special network"
    return ""


def _is_refused(address: _Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return not _is_wrapper(address)
    return any(address in network for network in _REFUSED if network.version == address.version)


def _is_wrapper(address: _Address) -> bool:
    """Tell whether an address only stands for the one it holds, as on a network that has IPv6 alone (RFC 6052)."""
    return address.version == 6 and (address in _NAT64 or address.ipv4_mapped is not None)


def _embedded(address: _Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address holds."""
    if address.version == 4:
        return
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    is_isatap = (number >> 32) & 0xFFFFFFFF in _ISATAP
    if address in _NAT64 or address in _COMPATIBLE or is_isatap:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
