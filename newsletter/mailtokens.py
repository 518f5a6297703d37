"""Find the signed tokens that a mail carries: in the addresses it was sent to, and in the message that it returns.

Pure. Anybody can write a mail; a token that ``tokens.read_token`` accepts is what only our own mail had in it. Those of
the addresses say what the mail is for; those of the header of a returned message say which of our messages it was, for
reporters who do not write to the return path. Text is never searched: people quote it. Not here: what a token permits
(``bounces``, ``consent``).
"""

import re
from dataclasses import dataclass

from newsletter.dsn_prose import report_of
from newsletter.mailparts import Fields, Mail, read_fields
from newsletter.tokens import Keys, Purpose, Token, read_token

_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "to", "cc", "resent-to")
_FROM = ("return-path", "original-mail-from", "x-original-return-path", "envelope-from", "errors-to", "sender")
_TAGGED = re.compile(r"\+([A-Za-z2-7]{48})@")
_LINKED = re.compile(r"(?:\+|/)([A-Za-z2-7]{48})(?=[@>?/])")
_HEADER_MAX = 64 * 1024
_TOKENS_MAX = 50


@dataclass(frozen=True, slots=True)
class MailTokens:
    """Hold the signed tokens of a mail: of those it was sent to, and of the message it returns, each once, in order."""

    sent_to: tuple[Token, ...] = ()
    returned: tuple[Token, ...] = ()

    def of(self, *purposes: Purpose) -> tuple[Token, ...]:
        """Return the tokens of these purposes that the mail was sent to."""
        return tuple(token for token in self.sent_to if token.purpose in purposes)

    def returned_of(self, purpose: Purpose) -> tuple[Token, ...]:
        """Return the tokens of a purpose in the message that the mail returns."""
        return tuple(token for token in self.returned if token.purpose is purpose)


def find_tokens(mail: Mail, keys: Keys) -> MailTokens:
    """Return the signed tokens of ``mail``; those that are forged, or of another newsletter, are passed over."""
    returned = _returned_header(mail)
    sent = [text for name in _TO for value in mail.fields.values(name) for text in _TAGGED.findall(value)]
    back = [text for name in _FROM for value in returned.values(name) for text in _TAGGED.findall(value)]
    leave = [text for value in returned.values("list-unsubscribe") for text in _LINKED.findall(value)]
    return MailTokens(
        sent_to=_read(keys, sent, (Purpose.BOUNCE, Purpose.UNSUBSCRIBE, Purpose.CONFIRM)),
        returned=(*_read(keys, back, (Purpose.BOUNCE,)), *_read(keys, leave, (Purpose.UNSUBSCRIBE,))),
    )


def is_sent_to(mail: Mail, address: str) -> bool:
    """Tell whether a mail was sent to ``address``, by the fields that say so."""
    return any(address.lower() in value.lower() for name in _TO for value in mail.fields.values(name))


def find_in_values(values: list[str], keys: Keys) -> tuple[Token, ...]:
    """Return the signed bounce tokens in ``values``, such as the envelope sender that a provider tells."""
    return _read(keys, [text for value in values for text in _TAGGED.findall(value)], (Purpose.BOUNCE,))


def _read(keys: Keys, texts: list[str], purposes: tuple[Purpose, ...]) -> tuple[Token, ...]:
    found = [
        token
        for text in dict.fromkeys(texts[:_TOKENS_MAX])
        for purpose in purposes
        if (token := read_token(keys, text, purpose))
    ]
    return tuple(dict.fromkeys(found))


def _returned_header(mail: Mail) -> Fields:
    """Return the fields of the message that comes back, and those of a complaint about it."""
    parts = [part.text for part in mail.parts if part.is_message or "feedback-report" in part.media_type]
    if not parts:  # prose with the message below it
        parts = [mail.text[len(report_of(mail)) :].lstrip("\n")]
    items: list[tuple[str, str]] = []
    for text in parts:
        lines = text[:_HEADER_MAX].split("\n")
        # A line of dashes stands above, and an empty one below it, in the oldest forms.
        start = next((number for number, line in enumerate(lines[:20]) if re.match(r"[A-Za-z-]+: ", line)), 0)
        items += read_fields("\n".join(lines[start:])).items
    return Fields(tuple(items))
