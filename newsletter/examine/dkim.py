"""Find out whether DNS has the public key of each key that signs (RFC 6376 section 3.6)."""

from collections.abc import Iterator, Mapping

from newsletter.diagnosis import Finding, error, ok, unchecked, warning
from newsletter.dkim import SigningKey, dns_record
from newsletter.dnsrecords import Resolver, read_tags, zone_line
from newsletter.examine.names import MailNames

_WHY = "without the public key no receiver can verify our signature"
_WHY_SIGN = "Gmail, Yahoo and Outlook take bulk mail only where it is signed"


def examine_dkim(names: MailNames, resolver: Resolver) -> Iterator[Finding]:
    """Yield for each key whether its record is the one that it needs."""
    if not names.keys:
        found = "[dkim] names no key: messages are signed only where the relay does it, which nobody can see from here"
        fix = (
            f"mail yourself a proof, and look in its source for dkim=pass with {names.from_domain}: "
            "newsletter send SLUG --to ADDRESS; docs/dkim.md says how to sign here"
        )
        yield unchecked("dkim", found, _WHY_SIGN, fix)
    for key in names.keys:
        yield _examine_key(key, names.signed_by, resolver)


def _examine_key(key: SigningKey, domain: str, resolver: Resolver) -> Finding:
    check = f"dkim {key.selector}"
    name, text = dns_record(key, domain)
    answer = resolver.look_up(name, "TXT")
    if answer.trouble:
        return unchecked(check, f"TXT of {name}: {answer.trouble}", _WHY)
    line = zone_line(name, "TXT", text)
    if not answer.records:
        return error(check, f"there is no record at {name}", _WHY, f"publish:\n{line}")
    if len(answer.records) > 1:
        found = f"{name} has {len(answer.records)} TXT records, and receivers take any of them"
        return error(check, found, _WHY, f"leave this one alone:\n{line}")
    record = answer.records[0]
    if problem := key_problem(key, record):
        return error(check, f"{name} {problem}", _WHY, f"publish in its place:\n{line}")
    if "y" in _words(read_tags(record) or {}, "t"):
        found = f"{name} says that DKIM is only being tested (t=y), so that receivers may take our mail for unsigned"
        return warning(check, found, _WHY, f"publish in its place:\n{line}")
    return ok(check, f"{name} has our {key.algorithm.partition('-')[0]} key of {key.bits} bits", _WHY)


def key_problem(key: SigningKey, record: str) -> str:
    """Return what is wrong with the record of a key (RFC 6376 section 3.6.1), ``""`` for nothing."""
    tags, kind = read_tags(record), key.algorithm.partition("-")[0]
    if tags is None or "p" not in tags or tags.get("v", "DKIM1") != "DKIM1":
        return f"holds no DKIM key: {record[:100]}"
    published = "".join(tags["p"].split())
    if not published:
        return "says that the key was revoked (p= is empty)"
    if tags.get("k", "rsa") != kind:
        return f"holds a key of the kind {tags.get('k', 'rsa')}, and ours is {kind}"
    if published != key.public:
        return "holds another key than the one that signs"
    for tag, wanted in (("h", "sha256"), ("s", "email")):
        if tag in tags and not {wanted, "*"} & set(_words(tags, tag)):
            return f"does not allow what we do ({tag}={tags[tag]}, without {wanted})"
    return ""


def _words(tags: Mapping[str, str], tag: str) -> list[str]:
    return [word.strip() for word in tags.get(tag, "").split(":")]
