"""Check the bytes of a message against what a message must be: the rules' ids, their hints, and one function.

Used before the first dot of a send and on any ``.eml`` file, ours or foreign. Reads with the standard library's parser
and shares no code with the modules that write a message. Not here: how each rule is checked (``header_rules``,
``body_rules``), and advice about taste or spam filters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from newsletter import body_rules, header_rules
from newsletter.errors import Problem
from newsletter.reading import Reading, read_message


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold one rule: its id, what to do where it is broken, and the function that says how it is."""

    id: str
    hint: str
    check: Callable[[Reading], Iterator[str]]


_RELAY = "relays change or refuse such messages; send the bytes as they were made"
RULES = (
    Rule("line-ends", _RELAY, header_rules.line_ends),
    Rule("line-length", "encode the part as quoted-printable, fold the header", header_rules.line_length),
    Rule("seven-bit", "encode header text by RFC 2047, parts as quoted-printable", header_rules.seven_bit),
    Rule("header-syntax", "each line is 'Name: value' or starts with a space", header_rules.header_syntax),
    Rule("field-count", "write the field once", header_rules.field_counts),
    Rule("encoded-word", "encode display names and the subject only, in words of 75", header_rules.encoded_words),
    Rule("injection", "remove line breaks from titles and names", header_rules.injection),
    Rule("to", "each message has one recipient", header_rules.recipient),
    Rule("date", "write it like Wed, 25 Nov 2026 08:00:00 +0000", header_rules.date),
    Rule("subject", "write a subject", header_rules.subject),
    Rule("message-id", "derive it from the delivery, without the address", header_rules.message_id),
    Rule("mime-version", "write MIME-Version: 1.0", header_rules.mime_version),
    Rule("list-id", "set [newsletter] list_id like weekly.example.org (RFC 2919)", header_rules.list_id),
    Rule(
        "list-unsubscribe", "write <https://…>, <mailto:…>, or <mailto:…> without a site", header_rules.list_unsubscribe
    ),
    Rule("one-click", "it belongs to the https URI, with this very value (RFC 8058)", header_rules.one_click),
    Rule("feedback-id", "write up to four fields, the last one the sender's", header_rules.feedback_id),
    Rule("auto-submitted", "remove the field; it is for automatic answers", header_rules.auto_submitted),
    Rule("structure", "write multipart/alternative: text/plain, then text/html", body_rules.structure),
    Rule("encoding", "encode both parts as UTF-8 in quoted-printable", body_rules.encoding),
    Rule("html-size", "Gmail clips it; shorten the issue or split it", body_rules.html_size),
    Rule("unsubscribe-link", "show {{ unsubscribe_url }} in both parts", body_rules.unsubscribe_link),
    Rule("active-content", "mail clients remove or refuse it; use a link", body_rules.active_content),
    Rule(
        "unresolved-field", "correct the field's name, or show it as code if it is meant", body_rules.unresolved_fields
    ),
    Rule("hidden-content", "filters take hidden text for fraud; show it or remove it", body_rules.hidden_content),
    Rule("inline-image", "embed what the HTML part shows, and nothing else", body_rules.inline_images),
)
"""The rules, in the order in which problems are reported; ``rules_for`` adds those that depend on the newsletter."""


def rules_for(domain: str = "", postal_address: str = "") -> tuple[Rule, ...]:
    """Return the rules for the messages of one newsletter; see ``verify_message``."""
    return (
        *RULES,
        Rule("from", "write one address at your own domain", lambda found: header_rules.sender(found, domain)),
        Rule(
            "postal-address",
            "the law of most countries asks for it; show [newsletter] postal_address in both parts",
            lambda found: body_rules.postal_address(found, postal_address),
        ),
    )


def verify_message(content: bytes, *, domain: str = "", postal_address: str = "") -> tuple[Problem, ...]:
    """Return what ``content``, the bytes of one message, breaks of the rules, in the order of the rules; () if nothing.

    ``domain`` is the one that From must be at (not checked when empty), ``postal_address`` the text that both parts
    must show (not checked when empty). Each Problem has the ``rule``'s id, a message and a hint. Never raises, whatever
    ``content`` is.
    """
    reading = read_message(content)
    rules = rules_for(domain, postal_address)
    return tuple(Problem(message, hint=rule.hint, rule=rule.id) for rule in rules for message in rule.check(reading))
