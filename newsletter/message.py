"""Make the message of one edition for one recipient: encode what is the same for all once, then join bytes.

``prepare_message`` turns a frozen edition into a ``PreparedMessage``; ``personalise`` fills it for one recipient. Equal
input gives equal bytes, on every machine and every attempt: there is no clock, no randomness and no environment here.

Not here: SMTP, DKIM, the ledger; and whether the result is what a message must be (``conformance``).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from newsletter.addresses import Mailbox
from newsletter.config import NewsletterSection
from newsletter.model import Edition, Message, Recipient
from newsletter.tokens import Keys

FIELDS = ("name", "email", "unsubscribe_url", "browser_url")
"""Merge fields that every recipient has; any other field is an attribute of the recipient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderIdentity:
    """Say in whose name messages go out; ``identity_of`` makes it from the configuration.

    ``bounce_address`` takes bounces and unsubscribe mails, each at its own tagged address; ``list_id`` is the List-Id
    without angle brackets (RFC 2919); ``url`` has no final slash and is ``""`` without a site.
    """

    sender: Mailbox
    title: str
    list_id: str
    bounce_address: str
    reply_to: Mailbox | None = None
    url: str = ""
    unsubscribe: Literal["mailto", "web"] = "mailto"


def identity_of(section: NewsletterSection) -> SenderIdentity:
    """Return the identity that ``[newsletter]`` describes.

    Without ``bounce_address`` it is ``bounces@`` the domain of ``from``; without ``list_id`` it is made of the address
    of ``from``. Raises ConfigError that names the key.
    """
    raise NotImplementedError


def prepare_message(
    edition: Edition, identity: SenderIdentity, keys: Keys, *, date: dt.datetime, send_id: int = 0, proof: bool = False
) -> "PreparedMessage":
    """Encode everything of ``edition`` that is the same for all recipients.

    ``edition`` is frozen (has a digest). ``date`` is an aware instant, the send's own, so that every attempt has the same
    bytes. ``proof`` marks the subject with ``[Proof]`` and gives links that unsubscribe nobody. Raises InputError for
    text that no header or part may hold.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """Hold an edition's message with holes for what differs from recipient to recipient."""

    def personalise(self, recipient: Recipient) -> Message:
        """Return the message for ``recipient``: envelope, Message-ID and bytes, the same on each call.

        Fields are ``FIELDS`` and the recipient's attributes by name; a slot whose value is empty shows its default.
        Raises UnrenderableError for a value over 64 KB or an address that no header or envelope may hold.
        """
        raise NotImplementedError
