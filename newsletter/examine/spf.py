"""Find out whether the return path's domain lets the relay send in its name (RFC 7208)."""

from collections.abc import Iterator
from ipaddress import ip_address

from newsletter import spf
from newsletter.diagnosis import Finding, error, ok, unchecked, warning
from newsletter.dnsrecords import Resolver, zone_line
from newsletter.examine.names import NAME_ADDRESS, MailNames, SeenFrom
from newsletter.spf import LOOKUPS_MAX, Result, Verdict

_WHY = "receivers ask it which addresses may send with this return path; Gmail, Yahoo and Outlook demand it"
_ASK_PROVIDER = "where the relay's provider names an include: for its customers, put that in place of the address"


def examine_spf(names: MailNames, seen: SeenFrom, resolver: Resolver) -> Iterator[Finding]:
    """Yield whether the record can be read, and for each sending address whether it is named."""
    domain = names.return_domain
    whole = spf.count_lookups(domain, resolver)
    if whole.result is Result.TEMPERROR:
        yield unchecked("spf", whole.reason, _WHY)
    elif whole.result is Result.NONE:
        publish = f"publish:\n{zone_line(domain, 'TXT', _new_record(names, seen))}\n{_ASK_PROVIDER}"
        yield error("spf", whole.reason, _WHY, publish)
    elif whole.result is Result.PERMERROR:
        yield _broken(domain, whole)
    elif not seen.addresses:
        found = f"{domain} has a sound record; whether it names the sending address is not known: {seen.unknown}"
        yield unchecked("spf", found, _WHY, NAME_ADDRESS)
    else:
        for address in seen.addresses:
            verdict = spf.check_host(address, domain, names.return_path, resolver)
            yield _judge(domain, address, verdict, whole.lookups, is_ours=seen.is_ours)


def _judge(domain: str, address: str, verdict: Verdict, lookups: int, *, is_ours: bool) -> Finding:
    amended = zone_line(domain, "TXT", amend_record(verdict.record, address))
    if verdict.result is Result.TEMPERROR:
        return unchecked("spf", f"for {address}: {verdict.reason}", _WHY)
    if verdict.result is Result.PERMERROR:
        return _broken(domain, verdict)
    if verdict.result is not Result.PASS:
        found = f"{domain} does not name {address}: {verdict.result} by '{verdict.reason}'"
        if is_ours:
            return error("spf", found, _WHY, f"add the address:\n{amended}")
        found += "; but the relay may send from other addresses than the one it is reached at"
        return warning("spf", found, _WHY, f"{_ASK_PROVIDER}:\n{amended}")
    if verdict.reason.lower() in ("all", "+all"):
        found = f"{domain} lets every address of the world send ('{verdict.reason}')"
        return warning("spf", found, _WHY, f"name the address, and close the record:\n{amended}")
    return ok("spf", f"{domain} names {address} by '{verdict.reason}'; {lookups} of {LOOKUPS_MAX} look-ups", _WHY)


def _broken(domain: str, verdict: Verdict) -> Finding:
    found = f"{domain}: {verdict.reason}; receivers ignore the record" + (
        f": {verdict.record}" if verdict.record else ""
    )
    if "ask DNS" in verdict.reason:
        fix = "put ip4: and ip6: networks in place of include:, a and mx; drop services that send for you no more"
    elif "SPF records" in verdict.reason:
        fix = "join them into one: all terms behind a single v=spf1, and one -all at the end"
    else:
        fix = "correct the term; RFC 7208 section 5 has them all, as in: v=spf1 ip4:192.0.2.1 mx -all"
    return error("spf", found, _WHY, fix)


def _new_record(names: MailNames, seen: SeenFrom) -> str:
    if seen.is_ours:
        return " ".join(["v=spf1", *map(_term, seen.addresses), "-all"])
    host = names.relay_host if seen.addresses else f"mail.{names.return_domain}"
    return f"v=spf1 a:{host} -all"


def amend_record(record: str, address: str) -> str:
    """Return an SPF record with ``address`` in it, before what closes it; one that is open to all is closed."""
    terms = record.split()[1:]
    is_last = [term.lower().lstrip("+-~?") == "all" or term.lower().startswith("redirect=") for term in terms]
    end = is_last.index(True) if any(is_last) else len(terms)
    closing = ["-all" if term.lower() in ("all", "+all") else term for term in terms[end:]]
    return " ".join(["v=spf1", *terms[:end], _term(address), *(closing or ["-all"])])


def _term(address: str) -> str:
    return f"ip{ip_address(address).version}:{address}"
