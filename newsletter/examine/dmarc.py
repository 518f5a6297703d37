"""Find out what receivers are told to do with mail that is not From's, and whether ours can be told from it (RFC 9989).

A message passes DMARC where SPF passes for a return path that *aligns* with From, or a DKIM signature verifies whose
domain does. *Relaxed*, which is the rule, means the same organisation; *strict*, the same domain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from newsletter.diagnosis import Finding, error, ok, unchecked, warning
from newsletter.dnsrecords import Resolver, is_within, parents, read_tags, zone_line
from newsletter.examine.names import MailNames

_WALK_MAX = 8
"""Domains that the walk up the tree may ask at (RFC 9989 section 4.10)."""
_WISHES = ("none", "quarantine", "reject")
_WHY = "it tells receivers what From must agree with; Gmail, Yahoo and Outlook demand it from bulk senders"


@dataclass(frozen=True, slots=True)
class Policy:
    """Hold the DMARC record that counts for From, and the domains it was found at: its own, and the organisation's."""

    domain: str
    organisation: str
    tags: Mapping[str, str]

    def wish(self, from_domain: str) -> str:
        """Return what receivers shall do with what fails: p=, or sp= where the record is of a domain above."""
        wish = self.tags.get("p", "none")
        return (wish if self.domain == from_domain else self.tags.get("sp", wish)).lower()

    def aligns(self, domain: str, from_domain: str, tag: str) -> bool:
        """Tell whether ``domain`` aligns with From's under ``aspf`` or ``adkim``."""
        if self.tags.get(tag, "r").lower() == "s":
            return domain.lower() == from_domain.lower()
        return is_within(domain, self.organisation)


def examine_dmarc(names: MailNames, resolver: Resolver) -> Iterator[Finding]:
    """Yield whether there is one policy for From's domain, and whether our mail can pass under it."""
    found: list[tuple[str, list[str]]] = []
    for domain in parents(names.from_domain)[:_WALK_MAX]:
        answer = resolver.look_up(f"_dmarc.{domain}", "TXT")
        if answer.trouble:
            yield unchecked("dmarc", f"TXT of _dmarc.{domain}: {answer.trouble}", _WHY)
            return
        if records := [text for text in answer.records if _is_dmarc(text)]:
            found.append((domain, records))
    yield _judge_records(names, found)


def _is_dmarc(text: str) -> bool:
    return text.partition(";")[0].replace(" ", "") == "v=DMARC1"


def _judge_records(names: MailNames, found: list[tuple[str, list[str]]]) -> Finding:
    if not found:
        line = zone_line(f"_dmarc.{names.from_domain}", "TXT", "v=DMARC1; p=none")
        fix = f"publish, to begin with (p=quarantine or p=reject once SPF and DKIM hold):\n{line}"
        return error("dmarc", f"neither {names.from_domain} nor a domain above it has a DMARC record", _WHY, fix)
    domain, records = found[0]
    if len(records) > 1:
        problem = f"_dmarc.{domain} has {len(records)} DMARC records; receivers ignore them all"
        return error("dmarc", problem, _WHY, f"leave one of them alone, such as:\n{_line(domain, records[0])}")
    policy = read_policy(found)
    wish = policy.wish(names.from_domain) if policy else ""
    if policy is None or wish not in _WISHES:
        problem = f"_dmarc.{domain} cannot be read: {records[0][:100]}"
        return error("dmarc", problem, _WHY, f"publish in its place:\n{_line(domain, 'v=DMARC1; p=none')}")
    return _judge_alignment(names, policy, wish)


def _line(domain: str, text: str) -> str:
    return zone_line(f"_dmarc.{domain}", "TXT", text)


def read_policy(found: list[tuple[str, list[str]]]) -> Policy | None:
    """Return the policy in the records of a domain and those above it, nearest first; None where it is not readable.

    The organisation is the farthest domain with a record, or the one that says so (``psd=n``), or the one below a
    public suffix (``psd=y``).
    """
    tags = [(domain, read_tags(records[0]) or {}) for domain, records in found]
    domain, own = tags[0]
    if not own:
        return None
    organisation = domain
    for above, its in tags:
        if its.get("psd") == "y" and above != domain:
            labels = domain.split(".")
            organisation = ".".join(labels[-above.count(".") - 2 :])
            break
        organisation = above
        if its.get("psd") == "n":
            break
    return Policy(domain, organisation, own)


def _judge_alignment(names: MailNames, policy: Policy, wish: str) -> Finding:
    says = f"_dmarc.{policy.domain} asks for {wish}"
    by_spf = policy.aligns(names.return_domain, names.from_domain, "aspf")
    by_dkim = bool(names.keys) and policy.aligns(names.signed_by, names.from_domain, "adkim")
    if by_spf or by_dkim:
        ways = [f"the return path ({names.return_domain})"] * by_spf + [f"DKIM ({names.signed_by})"] * by_dkim
        return ok("dmarc", f"{says}; From ({names.from_domain}) aligns with {' and '.join(ways)}", _WHY)
    found = f"{says}; the return path ({names.return_domain}) does not align with From ({names.from_domain})"
    if not names.keys:
        fix = (
            f"set [newsletter] bounce_address to one of {names.from_domain}, or sign for that domain ([dkim]); "
            "else all rests on a signature of the relay's"
        )
        return warning("dmarc", found, _WHY, fix)
    found += f", nor does DKIM ({names.signed_by}): no message can pass"
    fix = f"set [dkim] domain to {policy.organisation}, or [newsletter] bounce_address to one of {names.from_domain}"
    return (warning if wish == "none" else error)("dmarc", found, _WHY, fix)
