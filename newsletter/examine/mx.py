"""Find out whether undeliverable mail can come back: the mail servers of the return path's domain."""

from collections.abc import Iterator

from newsletter.diagnosis import Finding, error, ok, unchecked, warning
from newsletter.dnsrecords import Resolver, zone_line
from newsletter.examine.names import ADDRESS_KINDS, MailNames

_WHY = "undeliverable mail comes back there, and receivers refuse mail that they could not return"


def examine_mx(names: MailNames, resolver: Resolver) -> Iterator[Finding]:
    """Yield which servers take mail for the return path (RFC 5321 section 5.1)."""
    domain = names.return_domain
    answer = resolver.look_up(domain, "MX")
    if answer.trouble:
        yield unchecked("mx", f"MX of {domain}: {answer.trouble}", _WHY)
        return
    hosts = [record.split(" ", 1)[1] for record in answer.records]
    publish = f"publish, with your mail server's name:\n{zone_line(domain, 'MX', f'10 mail.{domain}.')}"
    if hosts == ["."]:
        yield error("mx", f"{domain} says that it takes no mail (a null MX, RFC 7505)", _WHY, publish)
    elif hosts:
        yield _judge_hosts(domain, hosts, resolver)
    elif _has_address(domain, resolver):
        yield warning("mx", f"{domain} has no MX record; mail goes to the domain's own address", _WHY, publish)
    else:
        yield error("mx", f"{domain} has neither an MX record nor an address", _WHY, publish)


def _judge_hosts(domain: str, hosts: list[str], resolver: Resolver) -> Finding:
    lost = [host for host in hosts if not _has_address(host, resolver)]
    if not lost:
        return ok("mx", f"{domain} takes mail at {', '.join(hosts)}", _WHY)
    found = f"{domain} has MX {', '.join(hosts)}, and DNS has no address for {', '.join(lost)}"
    fix = f"give {'it' if len(lost) == 1 else 'each'} the address of its server, as in:\n"
    judge = error if len(lost) == len(hosts) else warning
    return judge("mx", found, _WHY, fix + zone_line(lost[0], "A", "192.0.2.1"))


def _has_address(host: str, resolver: Resolver) -> bool:
    """Tell whether DNS has an address for ``host``; that it does not answer is no reason to say it has none."""
    answers = [resolver.look_up(host, kind) for kind in ADDRESS_KINDS]
    return any(answer.records or answer.trouble for answer in answers)
