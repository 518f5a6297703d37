"""Decide by SPF whether a domain lets an address send in its name (RFC 7208), and count what that costs in look-ups.

``check_host`` is the function of that name in section 4, macros and both limits included: at most ten terms that ask
DNS, at most two that ask for nothing. ``count_lookups`` walks a whole record as it would be walked for an address that
nothing names. Pure but for the resolver it is given, whose silence is a result as well (``temperror``).

Not here: ``exp=``, whose words only receivers show.
"""

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

from newsletter.dnsrecords import Answer, Kind, Resolver, is_domain

LOOKUPS_MAX, VOIDS_MAX, NAMES_MAX = 10, 2, 10
"""Terms that ask DNS, those of them that get nothing, and names that one ``mx`` or ``ptr`` may bring (4.6.4)."""

Address = IPv4Address | IPv6Address
_DIRECTIVE = re.compile(r"([+\-~?]?)(all|include|a|mx|ptr|exists)(?::([^/].*?))?((?:/\d+)?(?://\d+)?)", re.IGNORECASE)
_NETWORK = re.compile(r"([+\-~?]?)(ip4|ip6):([0-9a-fA-F.:]+(?:/\d+)?)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MACRO = re.compile(r"%(?:\{([slodiphvSLODIPHV])(\d*)([rR]?)([.\-+,/_=]*)\}|([%_-])|(.?))")
_CIDR = re.compile(r"(?:/(\d+))?(?://(\d+))?")


class Result(enum.StrEnum):
    """Name the results of section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIERS = {"": Result.PASS, "+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold a result, the record it comes from (``""`` for none), and how many terms asked DNS.

    ``reason`` is the term that decided, or what is wrong.
    """

    result: Result
    record: str = ""
    reason: str = ""
    lookups: int = 0


class _Stop(Exception):
    """Carry a result up from wherever it is certain."""

    def __init__(self, result: Result, reason: str) -> None:
        self.result = result
        self.reason = reason
        super().__init__(reason)


def check_host(address: str, domain: str, sender: str, resolver: Resolver, *, helo: str = "") -> Verdict:
    """Return whether ``domain`` lets the host at ``address`` send for ``sender`` (MAIL FROM, without a token)."""
    return _Check(ip_address(address), sender, helo or domain, resolver).judge(domain)


def count_lookups(domain: str, resolver: Resolver) -> Verdict:
    """Return what ``domain``'s record costs in the worst case, for an address that no term names.

    The result is PERMERROR where that is too much or the record cannot be read, TEMPERROR where DNS did not answer.
    """
    return _Check(None, f"postmaster@{domain}", domain, resolver).judge(domain)


# ---------------------------------------------------------------------------------------------------------------------
# Records
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Directive:
    text: str
    result: Result
    mechanism: str
    spec: str
    cidr4: int
    cidr6: int


@dataclass(frozen=True, slots=True)
class _Record:
    directives: tuple[_Directive, ...]
    redirect: str


def is_spf(text: str) -> bool:
    """Tell whether a TXT record is one of SPF (section 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def _parse(text: str) -> _Record:
    """Read a whole record; a mistake anywhere spoils all of it (section 4.6)."""
    directives, redirects = [], []
    for term in text.split(" ")[1:]:
        if not term:
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier and modifier[1].lower() == "redirect":
            redirects.append(modifier[2])
        elif not modifier:
            directives.append(_parse_directive(term))
    if len(redirects) > 1 or (redirects and not redirects[0]):
        raise _Stop(Result.PERMERROR, "it needs one redirect= with a domain")
    return _Record(tuple(directives), redirects[0] if redirects else "")


def _parse_directive(term: str) -> _Directive:
    network = _NETWORK.fullmatch(term)
    if network:
        _check_network(term, network[2].lower(), network[3])
        return _Directive(term, _QUALIFIERS[network[1]], network[2].lower(), network[3], 32, 128)
    match = _DIRECTIVE.fullmatch(term)
    if match is None:
        raise _Stop(Result.PERMERROR, f"'{term}' is no term of SPF")
    mechanism, spec = match[2].lower(), match[3]
    cidr = _CIDR.fullmatch(match[4])
    assert cidr is not None
    cidr4, cidr6 = int(cidr[1] or 32), int(cidr[2] or 128)
    is_wrong = (
        (spec is None and mechanism in ("include", "exists"))
        or (spec is not None and mechanism == "all")
        or (match[4] and mechanism not in ("a", "mx"))
        or cidr4 > 32
        or cidr6 > 128
    )
    if is_wrong:
        raise _Stop(Result.PERMERROR, f"'{term}' is no term of SPF")
    return _Directive(term, _QUALIFIERS[match[1]], mechanism, spec or "", cidr4, cidr6)


def _check_network(term: str, mechanism: str, text: str) -> None:
    try:
        is_network = ip_network(text, strict=False).version == int(mechanism[2])
    except ValueError:
        is_network = False
    if not is_network:
        raise _Stop(Result.PERMERROR, f"'{term}' names no network")


# ---------------------------------------------------------------------------------------------------------------------
# Judging
# ---------------------------------------------------------------------------------------------------------------------


class _Check:
    """Walk one record and those it leads to; ``address`` is None for one that nothing names."""

    def __init__(self, address: Address | None, sender: str, helo: str, resolver: Resolver) -> None:
        self._address = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        self._sender = sender
        self._helo = helo
        self._resolver = resolver
        self._lookups = 0
        self._voids = 0

    def judge(self, domain: str) -> Verdict:
        record = ""
        try:
            record = self._find_record(domain)
            result, reason = self._walk(record, domain)
        except _Stop as stop:
            result, reason = stop.result, stop.reason
        return Verdict(result, record, reason, self._lookups)

    def _find_record(self, domain: str) -> str:
        """Return the one SPF record of ``domain``; stop with NONE, or with an error where there are several."""
        if not is_domain(domain) or "." not in domain:
            raise _Stop(Result.NONE, f"'{domain}' is no domain")
        answer = self._resolver.look_up(domain, "TXT")
        if answer.trouble:
            raise _Stop(Result.TEMPERROR, f"TXT of {domain}: {answer.trouble}")
        records = [text for text in answer.records if is_spf(text)]
        if len(records) > 1:
            raise _Stop(Result.PERMERROR, f"{domain} has {len(records)} SPF records, and may have one")
        if not records:
            raise _Stop(Result.NONE, f"{domain} has no SPF record")
        return records[0]

    def _walk(self, text: str, domain: str) -> tuple[Result, str]:
        record = _parse(text)
        for directive in record.directives:
            if self._matches(directive, domain):
                return directive.result, directive.text
        if not record.redirect:
            return Result.NEUTRAL, "no term names it"
        self._count(f"redirect={record.redirect}")
        target = self._expand(record.redirect, domain)
        return self._walk(self._follow(target, f"redirect={target}"), target)

    def _follow(self, target: str, term: str) -> str:
        """Return the record that another leads to; there must be one (sections 5.2 and 6.1)."""
        try:
            return self._find_record(target)
        except _Stop as stop:
            if stop.result is Result.NONE:
                raise _Stop(Result.PERMERROR, f"{term}: {stop.reason}") from None
            raise

    def _matches(self, directive: _Directive, domain: str) -> bool:
        mechanism = directive.mechanism
        if mechanism == "all":
            return True
        if mechanism in ("ip4", "ip6"):
            return self._address is not None and self._address in ip_network(directive.spec, strict=False)
        self._count(directive.text)
        target = self._expand(directive.spec, domain) if directive.spec else domain
        if mechanism == "include":
            return self._walk(self._follow(target, directive.text), target)[0] is Result.PASS
        if self._address is None:
            return False  # nothing names it, whatever DNS says
        test: dict[str, Callable[[str, _Directive], bool]] = {
            "a": self._is_at,
            "mx": self._is_exchanger,
            "ptr": self._is_named,
            "exists": self._exists,
        }
        return test[mechanism](target, directive)

    def _is_at(self, name: str, directive: _Directive) -> bool:
        return self._is_among(self._ask(name, self._address_kind).records, directive)

    def _is_exchanger(self, name: str, directive: _Directive) -> bool:
        hosts = [record.split(" ", 1)[1] for record in self._ask(name, "MX").records]
        if len(hosts) > NAMES_MAX:
            raise _Stop(Result.PERMERROR, f"'{directive.text}': {name} has more than {NAMES_MAX} MX records")
        return any(self._is_among(self._look_up(host, self._address_kind).records, directive) for host in hosts)

    def _is_named(self, name: str, _directive: _Directive) -> bool:
        return any(f".{host.lower()}".endswith(f".{name.lower()}") for host in self._validated_names())

    def _exists(self, name: str, _directive: _Directive) -> bool:
        return bool(self._ask(name, "A").records)  # A also for an IPv6 address (section 5.7)

    def _is_among(self, addresses: tuple[str, ...], directive: _Directive) -> bool:
        cidr = directive.cidr4 if self._address_kind == "A" else directive.cidr6
        return any(self._address in ip_network(f"{text}/{cidr}", strict=False) for text in addresses)

    @property
    def _address_kind(self) -> Kind:
        return "AAAA" if isinstance(self._address, IPv6Address) else "A"

    def _validated_names(self) -> Iterator[str]:
        """Yield the names of the address that lead back to it (section 5.5)."""
        answer = self._resolver.look_up(str(self._address), "PTR")
        for host in answer.records[:NAMES_MAX]:
            if str(self._address) in self._resolver.look_up(host, self._address_kind).records:
                yield host

    def _count(self, term: str) -> None:
        self._lookups += 1
        if self._lookups > LOOKUPS_MAX:
            raise _Stop(Result.PERMERROR, f"more than {LOOKUPS_MAX} terms ask DNS; '{term}' is one too many")

    def _ask(self, name: str, kind: Kind) -> Answer:
        """Look up for a term; that nothing is there may happen twice (section 4.6.4)."""
        answer = self._look_up(name, kind)
        if not answer.records:
            self._voids += 1
            if self._voids > VOIDS_MAX:
                raise _Stop(
                    Result.PERMERROR, f"more than {VOIDS_MAX} terms name what DNS does not have, {name} for one"
                )
        return answer

    def _look_up(self, name: str, kind: Kind) -> Answer:
        answer = self._resolver.look_up(name, kind)
        if answer.trouble:
            raise _Stop(Result.TEMPERROR, f"{kind} of {name}: {answer.trouble}")
        return answer

    # -- macros (section 7) -------------------------------------------------------------------------------------------

    def _expand(self, spec: str, domain: str) -> str:
        """Return the domain that ``spec`` stands for, cut from the left where it is too long."""

        def put(match: re.Match[str]) -> str:
            if match[5]:
                return {"%": "%", "_": " ", "-": "%20"}[match[5]]
            if not match[1]:
                raise _Stop(Result.PERMERROR, f"'{spec}': '%' begins no macro")
            value = _transform(self._value(match[1].lower(), domain), match[2], match[3], match[4])
            return quote(value, safe="") if match[1].isupper() else value

        target = _MACRO.sub(put, spec).removesuffix(".")
        while len(target) > 253 and "." in target:
            target = target.partition(".")[2]
        return target

    def _value(self, letter: str, domain: str) -> str:
        local, _, sender_domain = self._sender.rpartition("@")
        address = self._address
        if letter == "p":
            return next(self._validated_names(), "unknown") if address else "unknown"
        values = {
            "s": self._sender,
            "l": local or "postmaster",
            "o": sender_domain,
            "d": domain,
            "i": ".".join(address.exploded.replace(":", "")) if isinstance(address, IPv6Address) else str(address),
            "h": self._helo,
            "v": "ip6" if isinstance(address, IPv6Address) else "in-addr",
        }
        return values[letter]


def _transform(value: str, digits: str, reverse: str, delimiters: str) -> str:
    """Split a macro's value, turn it round, and keep the rightmost parts, as ``%{ir}`` or ``%{d2}`` ask."""
    if not (digits or reverse or delimiters):
        return value
    parts = re.split(f"[{re.escape(delimiters or '.')}]", value)
    if reverse:
        parts.reverse()
    if digits and int(digits) == 0:
        raise _Stop(Result.PERMERROR, "a macro keeps no part at all")
    return ".".join(parts[-int(digits) :] if digits else parts)
