"""Make the message of one edition for one recipient: encode what is the same for all once, then join bytes.

``prepare_message`` turns a frozen edition into a ``PreparedMessage``; ``personalise`` fills it for one recipient. Equal
input gives equal bytes, on every machine and every attempt: there is no clock, no randomness and no environment here.

Static text is checked once, when it is encoded; values are cleaned one by one; nobody scans a whole message again.
Message-IDs come from the message key, which never rotates, so that they are the same on every attempt even when a token
key is added in the middle of a send.

Not here: SMTP, the ledger; how a signature is made (``dkim``); who the sender is (``identity``); the MIME structure
(``parts``); whether the result is what a message must be (``conformance``).
"""

import dataclasses
import datetime as dt
import html
import re
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime

from newsletter.addresses import Mailbox
from newsletter.errors import InputError, UnrenderableError
from newsletter.headers import (
    clean_header_text,
    clean_line,
    mailbox_header,
    refuse_injection,
    structured_header,
    text_header,
    uris_header,
)
from newsletter.identity import SenderIdentity
from newsletter.messageids import message_id_key, message_id_of
from newsletter.model import Edition, Envelope, Message, Part, Recipient, Slot
from newsletter.parts import PREFERENCES_SLOT, TOKEN_SLOT, Fill, content_type, lay_out_body
from newsletter.quoted import encode_value
from newsletter.tokens import TOKEN_LENGTH, Keys, Purpose, Signer, tagged_address

LINK_FIELDS = ("unsubscribe_url", "preferences_url", "browser_url")
"""Merge fields that are links: the subscriber's own way out, their choices, and the issue's page in the archive."""
FIELDS = ("name", "email", *LINK_FIELDS)
"""Merge fields that every recipient has; any other field is an attribute of the recipient."""
VALUE_MAX = 64 * 1024
"""Octets of UTF-8 that the value of a merge field may have."""
PROOF_HEADER = "Newsletter-Proof"
PROOF_MARK = "[Proof] "
UNSUBSCRIBE_SUBJECT = "unsubscribe"
"""Subject of the mail that a ``mailto:`` unsubscribe link writes."""

Sign = Callable[[Sequence[bytes]], bytes]
"""Return the signatures of the message that these pieces make, as whole header fields (``dkim.PreparedSignature``)."""

_NAME = Slot("name")
_NOBODY = Recipient(0, 0, "")
_ADDRESS_MAX = 254
_ADDRESS = re.compile(r"""[^\s()<>\[\]:;,@\\"]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*""")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FEEDBACK_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_PLACEHOLDER = "0" * TOKEN_LENGTH
"""Stands for a token while static text is laid out; no token holds a zero."""
_TO, _SUBJECT, _MESSAGE_ID = 1, 2, 3
"""Indexes of the pieces that every message fills beside tokens and slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMessage:
    """Hold an edition's message with holes for what differs from recipient to recipient; ``prepare_message`` makes it.

    ``pieces`` are the bytes in order, empty where a hole is. ``token_indexes`` are those of the unsubscribe token in
    the header, ``link_indexes`` those in quoted-printable, ``preferences_indexes`` those of the token for preferences;
    ``message_id_key`` is the send's own, 32 bytes. ``sign`` returns the fields that go before the pieces, once their
    holes are filled.
    """

    identity: SenderIdentity
    signer: Signer = field(repr=False)
    send_id: int
    proof: bool
    subject: Part
    message_id_key: bytes = field(repr=False)
    pieces: tuple[bytes, ...] = field(repr=False)
    token_indexes: tuple[int, ...] = field(repr=False)
    link_indexes: tuple[int, ...] = field(repr=False)
    preferences_indexes: tuple[int, ...] = field(repr=False)
    fills: tuple[Fill, ...] = field(repr=False)
    sign: Sign | None = field(default=None, repr=False)

    def personalise(self, recipient: Recipient) -> Message:
        """Return the message for ``recipient``: envelope, Message-ID in its angle brackets and bytes, ever the same.

        Fields are ``FIELDS`` and the recipient's attributes by name; a slot whose value is empty shows its default.
        An address beyond ASCII makes a 7-bit message with an empty group in To; only its envelope needs SMTPUTF8.
        Raises UnrenderableError for a value over 64 KB or an address that no header or envelope may hold.
        """
        address = recipient.address
        if len(address) > _ADDRESS_MAX or not _ADDRESS.fullmatch(address) or not address.isprintable():
            raise UnrenderableError(f"{address[:_ADDRESS_MAX]!a} is no address that a message can have; correct it")
        list_id, subscriber_id = recipient.list_id, 0 if self.proof else recipient.subscriber_id
        sign = self.signer.sign_numbers
        token = sign(Purpose.UNSUBSCRIBE, list_id, subscriber_id, self.send_id).encode("ascii")
        bounce_token = sign(Purpose.BOUNCE, list_id, subscriber_id, self.send_id)
        message_id = message_id_of(self.message_id_key, list_id, subscriber_id, self.identity.domain, address)

        pieces = list(self.pieces)
        pieces[_TO] = mailbox_header("To", Mailbox(clean_header_text(_value(recipient, _NAME)), address))
        if not pieces[_SUBJECT]:
            pieces[_SUBJECT] = _subject_header(self.subject, recipient, self.proof)
        pieces[_MESSAGE_ID] = b"Message-ID: %b\r\n" % message_id.encode("ascii")
        for index in self.token_indexes:
            pieces[index] = token
        for index in self.link_indexes:
            pieces[index] = token + b"=\r\n"
        if self.preferences_indexes:
            own = sign(Purpose.PREFERENCES, list_id, subscriber_id, 0).encode("ascii") + b"=\r\n"
            for index in self.preferences_indexes:
                pieces[index] = own
        for fill in self.fills:
            value = _value(recipient, fill.slot)
            block = encode_value(html.escape(value) if fill.in_html else value)
            for index in fill.indexes:
                pieces[index] = block
        envelope = Envelope(tagged_address(self.identity.bounce_address, bounce_token), address)
        if self.sign:
            pieces.insert(0, self.sign(pieces))
        # The encoding of text and values leaves no dot at the start of a line, and no field's name begins with one.
        return Message(envelope, message_id, b"".join(pieces), is_dotless=True)


def prepare_message(
    edition: Edition,
    identity: SenderIdentity,
    keys: Keys,
    *,
    date: dt.datetime,
    send_id: int = 0,
    proof: bool = False,
    sign: Callable[[Sequence[bytes]], Sign] | None = None,
) -> PreparedMessage:
    """Encode everything of ``edition`` that is the same for all recipients.

    ``edition`` is frozen (has a digest). ``date`` is an aware instant, the send's own, so that every attempt has the
    same bytes. ``proof`` marks the subject with ``[Proof]`` and gives links that unsubscribe nobody. ``sign`` prepares
    signatures from the pieces that all messages share (``dkim.Signer.at``). Raises InputError for text that no header
    or part may hold.
    """
    if not _DIGEST.fullmatch(edition.digest) or date.tzinfo is None:
        raise ValueError("prepare_message needs a frozen edition and an aware date")
    subject = _linked(edition.subject, identity, edition.issue)
    _check_subject(subject)
    header = _header_pieces(edition, identity, date, proof)
    if all(isinstance(piece, str) for piece in subject):
        header[_SUBJECT] = _subject_header(subject, _NOBODY, proof)
    body = lay_out_body(
        dataclasses.replace(
            edition,
            html=_linked(edition.html, identity, edition.issue, html.escape),
            text=_linked(edition.text, identity, edition.issue),
        ),
        first_index=len(header),
    )
    pieces = (*header, *body.pieces)
    return PreparedMessage(
        identity=identity,
        signer=Signer(keys),
        send_id=send_id,
        proof=proof,
        subject=subject,
        message_id_key=message_id_key(edition.digest, keys, send_id, date if proof else None),
        pieces=pieces,
        token_indexes=tuple(range(_MESSAGE_ID + 2, len(header), 2)),
        link_indexes=body.token_indexes,
        preferences_indexes=body.preferences_indexes,
        fills=body.fills,
        sign=sign(pieces) if sign else None,
    )


def unsubscribe_uris(identity: SenderIdentity, token: str) -> tuple[str, ...]:
    """Return the URIs that unsubscribe whom the signed ``token`` names, the one for links in the message first.

    In the mode ``web`` an https URI and a ``mailto:``, otherwise the ``mailto:`` alone. They never expire.
    """
    mailto = f"mailto:{tagged_address(identity.bounce_address, token)}?subject={UNSUBSCRIBE_SUBJECT}"
    return (f"{identity.url}/unsubscribe/{token}", mailto) if identity.unsubscribe == "web" else (mailto,)


def preferences_url(identity: SenderIdentity, token: str) -> str:
    """Return the page on which whom the signed ``token`` names makes their choices, ``""`` where no pages are served.

    It never expires.
    """
    return f"{identity.url}/preferences/{token}" if identity.unsubscribe == "web" else ""


def browser_url(identity: SenderIdentity, slug: str) -> str:
    """Return the address of an issue's page in the archive, ``""`` for a newsletter without a site."""
    return f"{identity.url}/archive/{urllib.parse.quote(slug, safe='')}" if identity.url else ""


def _linked(part: Part, identity: SenderIdentity, slug: str, escape: Callable[[str], str] = str) -> Part:
    """Return ``part`` with its link slots made static, but for the token: all recipients share the rest."""
    linked: list[str | Slot] = []
    for piece in part:
        if isinstance(piece, str) or piece.field not in LINK_FIELDS:
            linked.append(piece)
        elif piece.field == "browser_url":
            linked.append(escape(clean_line(browser_url(identity, slug) or piece.default)))
        elif piece.field == "preferences_url":
            before, found, _ = preferences_url(identity, _PLACEHOLDER).partition(_PLACEHOLDER)
            linked += [escape(before), PREFERENCES_SLOT] if found else [escape(clean_line(piece.default))]
        else:
            before, _, after = unsubscribe_uris(identity, _PLACEHOLDER)[0].partition(_PLACEHOLDER)
            linked += [escape(before), TOKEN_SLOT, escape(after)]
    return tuple(linked)


def _value(recipient: Recipient, slot: Slot) -> str:
    """Return the recipient's value for a slot as one clean line, or the slot's default where there is none."""
    field = slot.field
    value = (
        recipient.name
        if field == "name"
        else recipient.address
        if field == "email"
        else recipient.attributes.get(field, "")
    )
    # In UTF-8 a character has one to four octets, so most values need no counting.
    if len(value) > VALUE_MAX // 4 and len(value.encode("utf-8", "surrogatepass")) > VALUE_MAX:
        raise UnrenderableError(f"the value of {field!r} is longer than {VALUE_MAX // 1024} KB; shorten it")
    return clean_line(value) or clean_line(slot.default)


def _check_subject(subject: Part) -> None:
    """Raise InputError for a subject that could forge a header, holds a personal link, or says nothing."""
    texts = [piece.default if isinstance(piece, Slot) else piece for piece in subject]
    refuse_injection("".join(texts), "the subject")
    for slot, name in ((TOKEN_SLOT, "unsubscribe_url"), (PREFERENCES_SLOT, "preferences_url")):
        if slot in subject:
            raise InputError(f"the subject holds {{{{ {name} }}}}; remove it, a link is of no use there")
    if not any(text.strip() for text in texts):
        raise InputError("the subject is empty; write one in the issue's front matter")


def _subject_header(subject: Part, recipient: Recipient, proof: bool) -> bytes:
    texts = (piece if isinstance(piece, str) else _value(recipient, piece) for piece in subject)
    return text_header("Subject", PROOF_MARK * proof + clean_header_text("".join(texts)))


def _header_pieces(edition: Edition, identity: SenderIdentity, date: dt.datetime, proof: bool) -> list[bytes]:
    """Return the header in pieces, with the blank line; from ``_MESSAGE_ID`` on every other piece is a hole.

    No Precedence: List-Id quiets autoresponders as well (RFC 3834 section 2), and it is no standard field. No
    Auto-Submitted: an issue is what people asked for, and providers file auto-generated mail apart.
    """
    before = structured_header("Date", format_datetime(date)) + mailbox_header("From", identity.sender)
    if identity.reply_to:
        before += mailbox_header("Reply-To", identity.reply_to)
    after = structured_header("Feedback-ID", _feedback_id(edition, identity))
    if identity.unsubscribe == "web":
        after = structured_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click") + after
    if proof:
        after += structured_header(PROOF_HEADER, "yes")
    uris = uris_header("List-Unsubscribe", unsubscribe_uris(identity, _PLACEHOLDER))
    first, *others = uris.split(_PLACEHOLDER.encode("ascii"))
    pieces = [before, b"", b"", b"", _list_id_header(identity) + first]  # the holes: To, Subject, Message-ID
    for text in others:
        pieces += [b"", text]
    pieces[-1] += after + content_type(edition)
    return pieces


def _list_id_header(identity: SenderIdentity) -> bytes:
    """Return the List-Id field; a title that is not plain ASCII is left out: no encoded-word in a structured field."""
    title = identity.title.replace("\\", "\\\\").replace('"', '\\"')
    named = title.isascii() and title.isprintable() and "=?" not in title and len(title) <= 60
    return structured_header(
        "List-Id", f'"{" ".join(title.split())}" <{identity.list_id}>' if named else f"<{identity.list_id}>"
    )


def _feedback_id(edition: Edition, identity: SenderIdentity) -> str:
    """Return Gmail's Feedback-ID: issue, language, kind, and a sender id of 5 to 15 characters that stays the same."""
    parts = (edition.issue, edition.language, edition.kind)
    sender = re.sub(r"[^a-z0-9]", "", identity.list_id.lower())[:15].ljust(5, "0")
    return ":".join([*(_FEEDBACK_UNSAFE.sub("-", part)[:40] or "-" for part in parts), sender])
