"""Find out whether the sending address has a name that leads back to it, where that is ours to see to."""

from collections.abc import Iterator
from ipaddress import ip_address

from newsletter.diagnosis import Finding, error, ok, unchecked
from newsletter.dnsrecords import Kind, Resolver, zone_line
from newsletter.examine.names import NAME_ADDRESS, MailNames, SeenFrom

_WHY = "Gmail and others refuse mail from an address whose name does not lead back to it"


def examine_ptr(names: MailNames, seen: SeenFrom, resolver: Resolver) -> Iterator[Finding]:
    """Yield for each sending address whether its PTR record and that name's address agree."""
    if not seen.addresses:
        yield unchecked("ptr", f"the sending address is not known: {seen.unknown}", _WHY, NAME_ADDRESS)
    elif not seen.is_ours:
        found = f"the names of {names.relay_host} are its operator's; by its name, it is not ours"
        yield unchecked("ptr", found, _WHY, f"if it is yours, {NAME_ADDRESS}")
    else:
        for address in seen.addresses:
            yield _examine_address(address, names, resolver)


def _examine_address(address: str, names: MailNames, resolver: Resolver) -> Finding:
    answer = resolver.look_up(address, "PTR")
    if answer.trouble:
        return unchecked("ptr", f"PTR of {address}: {answer.trouble}", _WHY)
    kind: Kind = "A" if ip_address(address).version == 4 else "AAAA"
    if not answer.records:
        reverse = ip_address(address).reverse_pointer
        host = f"mail.{names.from_domain}" if _is_number(names.relay_host) else names.relay_host
        fix = (
            "have whoever gives you the address publish its name (a field of most hosting panels), with its way back:\n"
            f"{zone_line(reverse, 'PTR', f'{host}.')}\n{zone_line(host, kind, address)}"
        )
        return error("ptr", f"{address} has no name", _WHY, fix)
    answers = {host: resolver.look_up(host, kind) for host in answer.records}
    for host, back in answers.items():
        if any(ip_address(found) == ip_address(address) for found in back.records):
            return ok("ptr", f"{address} is {host}, and {host} is {address}", _WHY)
    if trouble := next((f"{kind} of {host}: {back.trouble}" for host, back in answers.items() if back.trouble), ""):
        return unchecked("ptr", trouble, _WHY)
    host = answer.records[0]
    fix = f"let the name lead back:\n{zone_line(host, kind, address)}"
    return error("ptr", f"{address} is called {host}, and {host} has not that address", _WHY, fix)


def _is_number(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdecimal() or host == "localhost"
