"""Parse, normalise and hash email addresses; nothing here asks the network or the store.

A *normalised* address is ``local@domain``: the local part as it was written, in Unicode form NFC (RFC 6532 section
3.1), the domain in lower-case ASCII (IDNA 2008, RFC 5891). ``parse_address`` makes one; all other functions expect one.

A local part beyond ASCII is kept: it can be mailed only through a relay that offers SMTPUTF8 (RFC 6531), see
``needs_smtputf8``. Its address never stands in a header, because headers stay 7-bit (``headers.to_header``).

Not here: how an address is written into a header (``headers``), signed return paths (``tokens``), suppressions.
"""

import hmac
import re
import unicodedata
from dataclasses import dataclass

from newsletter.errors import InputError

_PRIVATE_DOMAIN = re.compile(r"localhost|(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,3}(?:local|localhost|invalid)")
"""Names that no public server knows but a relay of one's own may (RFC 6761, RFC 6762)."""
_PLAIN = re.compile(
    r"(?=.{6,60}\Z)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*"
    r"@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?!(?:alt|arpa|internal|invalid|local|localhost|onion|test)\Z)[a-z]{2,}"
)
"""Match addresses, in lower case, that need no second look: short, ASCII, a name of the public DNS without ``xn--``."""
_ANGLE = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_QUOTED_PAIR = re.compile(r"\\(.)")
_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Hold a normalised address and the name shown before it, ``""`` where there is none."""

    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


def parse_address(text: str) -> str:
    """Return ``text`` as a normalised address; spaces around it are forgiven, and so is ``mailto:`` before it.

    Raises InputError that says what is wrong and what to write.
    """
    candidate = text.strip().removeprefix("mailto:")
    local, _, domain = candidate.rpartition("@")
    if _PLAIN.fullmatch(candidate.lower()) and candidate.isascii():
        return f"{local}@{domain.lower()}"  # most are so; the library takes 20 ms to load, and 40 µs for each
    from email_validator import EmailNotValidError, validate_email

    is_private = _PRIVATE_DOMAIN.fullmatch(domain.lower())
    try:
        # The library refuses such names, whatever it is told: it is shown another domain.
        checked = f"{local}@example.org" if is_private else candidate
        found = validate_email(checked, check_deliverability=False, test_environment=True, strict=True)
    except (EmailNotValidError, UnicodeError) as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{_shown(text)} is no email address: {reason}; write it like me@example.org") from None
    return f"{found.local_part}@{domain.lower() if is_private else found.ascii_domain}"


def parse_mailbox(text: str) -> Mailbox:
    """Return the name and address of ``Name <me@example.org>``, ``"A, Inc." <me@example.org>`` or ``me@example.org``.

    Raises InputError for a second address, a name with control characters, or an address that cannot be used.
    """
    match = _ANGLE.fullmatch(text.strip())
    if match is None:
        return Mailbox("", parse_address(text))
    name = match["name"].strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = _QUOTED_PAIR.sub(r"\1", name[1:-1])
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InputError(f"{_shown(text)}: the name holds a control character; write it as plain text on one line")
    return Mailbox(name, parse_address(match["address"]))


def domain_of(address: str) -> str:
    """Return the domain of a normalised address: lower-case ASCII, as deliveries are grouped and limited by it."""
    return address.rpartition("@")[2].lower()


def needs_smtputf8(address: str) -> bool:
    """Tell whether only a relay with SMTPUTF8 (RFC 6531) can carry the address: its local part is not ASCII."""
    return not address.isascii()


def address_hash(key: bytes, address: str) -> bytes:
    """Return the 32 bytes that stand for a normalised address where the address itself must not be kept.

    HMAC-SHA256 under ``key`` (``Keys.address_key``, which never rotates) of the UTF-8 text ``local@domain``, where
    local is ``NFC(casefold(NFC(local)))`` and domain is lower case. Fixed for good: suppressions are found by it.
    """
    if address.isascii():  # most are, and for them all of that is lower case
        return hmac.digest(key, address.lower().encode("ascii"), "sha256")
    local, _, domain = address.rpartition("@")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())
    return hmac.digest(key, f"{folded}@{domain.lower()}".encode("utf-8", "surrogatepass"), "sha256")


def _shown(text: str) -> str:
    """Return ``text`` as a message may show it: quoted, without control characters, of bounded length."""
    cut = text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
    return repr(cut) if cut.isprintable() else ascii(cut)
