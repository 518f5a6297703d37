"""Derive the Message-ID of every row: the same on each attempt, and found again years later without the message.

An ID holds no address. It is made of the edition, the send, the list and the subscriber, under the message key, which
never rotates; so the row of a ledger is enough to know under which ID its mail went out, and to look for it in a log.
Pure: no store, no clock.
"""

import datetime as dt
import hashlib
import hmac

from newsletter.tokens import Keys

_LABEL = b"newsletter/1/message-id\0"
_LEFT_LENGTH = 32


def message_id_key(edition_digest: str, keys: Keys, send_id: int, proofed_at: dt.datetime | None = None) -> bytes:
    """Return the 32 bytes with which the Message-IDs of one edition in one send are keyed.

    ``edition_digest`` is in hexadecimal. Each proof has a key of its own, since mail clients drop repeats:
    ``proofed_at`` is its instant.
    """
    salt = _LABEL + bytes.fromhex(edition_digest) + send_id.to_bytes(4, "big")
    if proofed_at:
        salt += proofed_at.astimezone(dt.UTC).isoformat().encode("ascii")
    return hmac.digest(keys.message_key, salt, "sha256")


def message_id_of(key: bytes, list_id: int, subscriber_id: int, domain: str, address: str = "") -> str:
    """Return the Message-ID in its angle brackets: 128 bits that give nothing away, at the sender's ``domain``.

    ``address`` tells apart those who are nobody (``subscriber_id`` 0: a proof, a sample), and is not used for others.
    """
    who = list_id.to_bytes(3, "big") + subscriber_id.to_bytes(6, "big")
    if not subscriber_id:
        who += address.encode("utf-8")
    return f"<{hashlib.blake2s(who, key=key, digest_size=_LEFT_LENGTH // 2).hexdigest()}@{domain}>"


def left_of(text: str) -> str:
    """Return what stands left of the ``@`` of a Message-ID, with or without its brackets, in lower case.

    It alone tells our messages apart: the domain follows From, which may have changed since.
    """
    return text.strip().strip("<>").partition("@")[0].lower()
