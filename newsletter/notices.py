"""Mail the editors what was frozen before it goes out: the edition itself, and a note of the plan and how to stop it.

Two mails to each editor, the note last. The first is the edition as readers will get it, byte for byte but for the mark
in its subject, its own Message-ID and links that unsubscribe nobody. Whoever is told is kept by ``launch``; a run that
ends in between mails both again: an editor is told at least once.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from newsletter.addresses import Mailbox
from newsletter.headers import clean_line, mailbox_header, structured_header, text_header
from newsletter.mailer import send_proof
from newsletter.model import Edition, Envelope, Message, Part, Recipient
from newsletter.quoted import encode_static
from newsletter.sender import SenderSetup
from newsletter.smtp import Answer
from newsletter.store import Send
from newsletter.tokens import Purpose, Token, sign, tagged_address

_LABEL = b"newsletter/1/notice-message-id\0"
_NOTE = """\
{issue} is frozen and goes out by itself on {when}.

subject    {subject}
preheader  {preheader}
audience   {audience} recipients
edition    {digest}
canary     {canary}

The mail before this one is the edition, as readers will get it but for the mark in its subject. Its links that
unsubscribe do nothing.

To stop it, on the newsletter's machine, before then:

    newsletter hold {issue} --reason "why"

Nothing goes out then until somebody lets it:

    newsletter release {issue} --as-frozen    as you see it now
    newsletter release {issue} --corrected    after you corrected and approved the file

If you do nothing, it goes out.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Hold what the editors are told: a frozen send, its editions, when it goes out, and its first share in words."""

    send: Send
    editions: Sequence[Edition]
    goes_at: dt.datetime
    zone: ZoneInfo
    canary: str


def tell_editor(announcement: Announcement, editor: str, setup: SenderSetup) -> Answer:
    """Mail ``editor`` every edition and the note, and return the relay's answer to the first that it did not take.

    Raises what ``mailer.send_proof`` does; nothing is tried again here.
    """
    recipient = Recipient(subscriber_id=0, list_id=0, address=editor)
    for edition in announcement.editions:
        mailed = send_proof(
            edition,
            recipient,
            identity=setup.identity,
            keys=setup.keys,
            connect=setup.connect,
            date=setup.clock(),
            dkim=setup.dkim,
        )
        if not mailed.is_accepted:
            return mailed.answer
    note = note_message(announcement, editor, setup)
    with setup.connect() as connection:
        return connection.transact(note, lambda: True)


def note_message(announcement: Announcement, editor: str, setup: SenderSetup) -> Message:
    """Return the note to one editor as a message of plain text, marked as made by a machine (RFC 3834 section 5)."""
    send, goes_at, date = announcement.send, announcement.goes_at, setup.clock()
    identity, keys = setup.identity, setup.keys
    subject = _shown(announcement.editions[0].subject)
    at = f"{goes_at.astimezone(announcement.zone):%H:%M}"
    salt = _LABEL + f"{send.send_id}:{editor}:{date.astimezone(dt.UTC).isoformat()}".encode()
    message_id = f"<{hmac.new(keys.message_key, salt, hashlib.sha256).hexdigest()[:32]}@{identity.domain}>"
    header = [
        structured_header("Date", format_datetime(date)),
        mailbox_header("From", identity.sender),
        mailbox_header("To", Mailbox("", editor)),
        text_header("Subject", clean_line(f"Goes out at {at} unless held: {subject}")),
        structured_header("Message-ID", message_id),
        structured_header("MIME-Version", "1.0"),
        structured_header("Content-Type", "text/plain; charset=utf-8"),
        structured_header("Content-Transfer-Encoding", "quoted-printable"),
        structured_header("Auto-Submitted", "auto-generated"),
    ]
    bounces_to = tagged_address(identity.bounce_address, sign(keys, Token(Purpose.BOUNCE, 0, 0, send.send_id)))
    content = b"".join([*header, b"\r\n", encode_static(_note_text(announcement))])
    if setup.dkim:
        content = setup.dkim.sign(content, date) + content
    return Message(Envelope(bounces_to, editor), message_id, content)


def _note_text(announcement: Announcement) -> str:
    send, edition = announcement.send, announcement.editions[0]
    local = announcement.goes_at.astimezone(announcement.zone)
    utc = announcement.goes_at.astimezone(dt.UTC)
    return _NOTE.format(
        issue=send.issue,
        when=f"{local:%A %Y-%m-%d at %H:%M} {announcement.zone.key} ({utc:%H:%M} UTC)",
        subject=clean_line(_shown(edition.subject)),
        preheader=clean_line(_shown(edition.preheader)) or "(none)",
        audience=f"{send.planned:,}",
        digest=", ".join(each.digest[:12] for each in announcement.editions),
        canary=announcement.canary or "none: everybody at once",
    )


def _shown(part: Part | str) -> str:
    return "".join(piece if isinstance(piece, str) else piece.default or f"{{{piece.field}}}" for piece in part)
