"""Check the bytes of the message against what a message must be, and its two parts against each other.

The rules are ``conformance``'s, one check each; the size of the HTML part is ``size``'s.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

from newsletter.checks.finding import Check, Found, Need, Severity
from newsletter.checks.leading import place_of_pattern
from newsletter.checks.subject import Subject
from newsletter.conformance import rules_for
from newsletter.errors import Place
from newsletter.header_rules import addresses
from newsletter.identity import identity_of

_WHY: Mapping[str, str] = {
    "line-ends": "Relays mend lone line breaks, and the DKIM signature no longer fits.",
    "line-length": "RFC 5322 allows 998 octets in a line; relays break longer ones, and what stands in them.",
    "seven-bit": "A relay without 8BITMIME re-encodes the message, and the DKIM signature no longer fits.",
    "header-syntax": "What follows a line that is no field may be taken for the body.",
    "field-count": "Gmail refuses messages with a second From, Subject or To, and others choose one of them.",
    "encoded-word": "An encoded-word in the wrong place is shown as it stands, and the unsubscribe button goes.",
    "injection": "A line break in a decoded title becomes a header field of its own.",
    "to": "A second recipient would see the first one's address.",
    "date": "Spam filters count a date that cannot be read, or is missing.",
    "subject": "Mail without a subject is not opened.",
    "message-id": "The same Message-ID on every attempt lets mail stores drop a second copy.",
    "mime-version": "Without it the parts are shown as one raw text.",
    "list-id": "Readers' filters and the one-click button go by the List-Id (RFC 2919).",
    "list-unsubscribe": "Gmail and Yahoo ask bulk senders for it; without it readers press “spam” instead.",
    "one-click": "Gmail and Yahoo show the unsubscribe button only with both fields (RFC 8058).",
    "feedback-id": "Gmail tells a sender's complaints by it.",
    "auto-submitted": "Mail clients and vacation programs treat an automatic answer otherwise than a letter.",
    "structure": "Other structures show the text twice, or as an attachment.",
    "encoding": "Relays re-encode other encodings, and the DKIM signature no longer fits.",
    "unsubscribe-link": "The law asks for a way out that can be seen, in whichever part is read.",
    "active-content": "Mail clients remove scripts and forms, and filters take them for an attack.",
    "unresolved-field": "A reader sees {{ name }} instead of a name.",
    "hidden-content": "Spam filters look for text that only they can see.",
    "inline-image": "An image that is not in the message shows as a broken one; one too many, as an attachment.",
    "from": "DMARC asks for one address at the domain that signs.",
    "postal-address": "The law of most countries asks for it, in whichever part is read.",
}
"""Why each rule is one, by its id; the size of the HTML part is left to ``size``."""
_LEFT_OUT = frozenset(("html-size",))
_QUOTED = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\*\|.*?\|\*)|'([^']{3,})'")
_URL = re.compile(r"https?://|mailto:", re.IGNORECASE)


def _rule_check(rule_id: str) -> Callable[[Subject], Iterator[Found]]:
    """Return the looking of the check that wraps a rule."""

    def run(subject: Subject) -> Iterator[Found]:
        domain, address = _own(subject)
        rule = next(rule for rule in rules_for(domain, address) if rule.id == rule_id)
        reading = replace(subject.reading, content=subject.message) if rule_id == "line-ends" else subject.reading
        for message in rule.check(reading):
            yield Found(message, _place(subject, message), rule.hint)

    return run


def _own(subject: Subject) -> tuple[str, str]:
    """Return the domain and the postal address that the message must show; "" for one that is not the newsletter's."""
    newsletter = subject.config.newsletter
    if not newsletter.from_:
        return "", ""
    own = identity_of(newsletter).domain
    written = addresses(subject.reading, "from") or [""]
    is_own = subject.issue is not None or written[0].lower().endswith(f"@{own}")
    return (own, newsletter.postal_address) if is_own else ("", "")


def _place(subject: Subject, message: str) -> Place | None:
    """Return where the issue or a template has what a rule's sentence quotes."""
    for match in _QUOTED.finditer(message):
        words = match[1] or match[2]
        if place := (subject.find(words) if subject.issue else None) or subject.place_in_templates(words):
            return place
    return None


# ---------------------------------------------------------------------------------------------------------------------
# The two parts
# ---------------------------------------------------------------------------------------------------------------------


def _same_links(subject: Subject) -> Iterator[Found]:
    reading = subject.reading
    if not (reading.html and reading.text):
        return
    # The masthead leads to the site, which is the way to no page in particular.
    shown = f"{_bare(reading.text.text)} {_bare(subject.config.newsletter.url)}"
    hrefs = dict.fromkeys(link.href for link in reading.hypertext.links if _URL.match(link.href))
    missing = [href for href in hrefs if _bare(href) not in shown]
    foreign = []
    for href in missing:
        place = subject.place_of_target(href) or place_of_pattern(subject, re.escape(href))
        if place:
            yield Found(f"the text part does not have the link to {href[:70]!r}", place)
        else:
            foreign.append(href)
    if foreign:
        yield Found(f"the text part does not have the link to {foreign[0][:70]!r}", count=len(foreign))


def _bare(url: str) -> str:
    """Return what the ways to write one address have in common; of a mail's only the address."""
    address = url.partition("?")[0][7:] if url.lower().startswith("mailto:") else url
    return unquote(address).strip().rstrip("/").lower()


_MAIL = frozenset({Need.MAIL})

CHECKS = (
    *(
        Check(
            id=f"message.{rule.id}",
            severity=Severity.ERROR,
            why=_WHY[rule.id],
            fix=rule.hint,
            run=_rule_check(rule.id),
            needs=_MAIL,
        )
        for rule in rules_for()
        if rule.id not in _LEFT_OUT
    ),
    Check(
        id="message.same-links",
        severity=Severity.ERROR,
        why="Whoever reads the text part should get to the same pages.",
        fix="write the link in the text part as well; ours makes both parts from the issue",
        run=_same_links,
        needs=_MAIL,
    ),
)
