"""Ask DNS, with bounded waits, and hand back what it says as a value: the only module that speaks to a name server.

Each question is asked once: a ``Dns`` remembers its answers for as long as it lives, which is one command. What answers
mean is decided elsewhere (``spf``, ``examine_dns``).
"""

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from newsletter.dnsrecords import Answer, Kind
from newsletter.errors import InputError

if TYPE_CHECKING:
    from dns.resolver import Resolver

TIMEOUT_S = 5.0
"""Seconds that one question may take, over all name servers and tries."""
PATIENCE = 3
"""Questions in a row that may go unanswered; after them, none is asked any more."""
_PAYLOAD = 1232
"""Octets of an answer by UDP that get through everywhere (DNS flag day 2020); longer ones come by TCP."""

_SERVER = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<other>[^\[\]:]+))(?::(?P<port>\d{1,5}))?")


class Dns:
    """Ask the machine's resolver, or the name server ``server`` (``ADDRESS`` or ``ADDRESS:PORT``, IPv6 in brackets).

    Raises InputError for a ``server`` that is written otherwise.
    """

    def __init__(self, server: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self._server = _parse_server(server) if server else None
        self._timeout_s = timeout_s
        self._resolver: Resolver | None = None
        self._known: dict[tuple[str, Kind], Answer] = {}
        self._unanswered = 0

    def look_up(self, name: str, kind: Kind) -> Answer:
        """Return the records of one kind at ``name``, an IP address for PTR; silence is told in ``trouble``."""
        key = (name.lower().removesuffix("."), kind)
        if self._unanswered >= PATIENCE:
            return self._known.get(key, Answer(trouble="not asked any more, since DNS does not answer"))
        if key not in self._known:
            self._known[key] = self._ask(*key)
        return self._known[key]

    def _ask(self, name: str, kind: Kind) -> Answer:
        import dns.exception
        import dns.resolver
        import dns.reversename

        try:
            resolver = self._open()
            target = dns.reversename.from_address(name) if kind == "PTR" else name
            answer = resolver.resolve(target, kind, search=False, raise_on_no_answer=False)
            self._unanswered = 0
        except dns.resolver.NXDOMAIN:
            return Answer()
        except dns.resolver.NoResolverConfiguration:
            return Answer(trouble="this machine has no resolver; name one with --resolver ADDRESS")
        except dns.exception.Timeout:
            self._unanswered += 1
            return Answer(trouble=f"no answer within {self._timeout_s:g} s")
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            return Answer(trouble=_in_words(error))
        records = (_text(record, kind) for record in answer.rrset or ())
        return Answer(tuple(sorted(records, key=_order)))

    def _open(self) -> "Resolver":
        if self._resolver is None:
            import dns.resolver

            resolver = dns.resolver.Resolver(configure=self._server is None)
            if self._server:
                resolver.nameservers, resolver.port = [self._server[0]], self._server[1]
            resolver.timeout, resolver.lifetime = self._timeout_s / 2, self._timeout_s
            resolver.use_edns(0, 0, _PAYLOAD)
            self._resolver = resolver
        return self._resolver


def _text(record: object, kind: Kind) -> str:
    """Return a record of dnspython's as ``Answer`` has it."""
    if kind == "TXT":
        strings: tuple[bytes, ...] = record.strings  # type: ignore[attr-defined]
        return b"".join(strings).decode("utf-8", "replace")
    text = str(record)
    return text if text.endswith(" .") else text.removesuffix(".")


def _order(record: str) -> tuple[int, str]:
    """Sort MX records by their preference, and all others as they are: an answer's order means nothing."""
    first = record.partition(" ")[0]
    return (int(first) if first.isdecimal() else 0), record


def _in_words(error: Exception) -> str:
    import dns.resolver

    if isinstance(error, dns.resolver.NoNameservers):
        return "the name servers fail for this name (SERVFAIL or REFUSED)"
    return " ".join(str(error).split()) or type(error).__name__


def _parse_server(server: str) -> tuple[str, int]:
    match = _SERVER.fullmatch(server)
    host, port = (match["six"] or match["other"], int(match["port"] or 53)) if match else (server, 53)
    try:
        address = str(ip_address(host))
    except ValueError:
        address = ""
    if not address or not 0 < port < 65536:
        raise InputError(f"{server!r} is no name server; write an address like 192.0.2.53, or 127.0.0.1:5353")
    return address, port
