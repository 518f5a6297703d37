"""Know the mail providers that report by webhook: what proves that it is them, and what their reports say.

``PROVIDERS`` is the table; a row more is a provider more. Each has an adapter of two functions: ``check`` tells whether
a request is the provider's, and ``read`` says what it reports. Once it has proved who it is, a provider is believed;
rows move by signed tokens alone even so, and Amazon's reports carry them. Nothing here opens a connection: what must be
fetched (Amazon's certificate) comes through ``Proofs.fetch``.

================  ==================================================  ======================================
provider          what proves it                                      where it is described
================  ==================================================  ======================================
ses (Amazon SNS)  a signature by a certificate of SNS itself, and a   SNS developer guide, "Verifying the
                  topic of ours: anybody can have a topic             signatures of Amazon SNS messages"
postmark          HTTP Basic authentication with a secret of ours     Postmark, "Bounce webhook"
================  ==================================================  ======================================
"""

import base64
import binascii
import enum
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.bounce import REPLY_MAX, Action, Bounce, Weight
from newsletter.dsn_verdict import find_status
from newsletter.errors import NewsletterError
from newsletter.ses_events import read_json, ses_bounces

BODY_MAX = 512 * 1024
"""Bytes of a request that are read."""


class Proof(enum.StrEnum):
    """Say what came of examining a request."""

    PROVED = "proved"
    REFUSED = "refused"
    """It is not the provider's, or not for us."""
    UNKNOWN = "unknown"
    """It cannot be told just now; the provider shall try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Hold a request: header names in lower case, and the body."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """Hold what requests are examined with; ``fetch`` gets an https URL and raises NewsletterError where it cannot."""

    sns_topics: tuple[str, ...] = ()
    username: str = ""
    password: str = ""
    fetch: Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Hold what a request reports: bounces, where tokens may stand, its id, and a URL that must be called to begin."""

    bounces: tuple[Bounce, ...] = ()
    senders: tuple[str, ...] = ()
    report_id: str = ""
    subscribe_url: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """Name how a provider's requests are proved and read; ``check`` and ``read`` get what was posted."""

    check: Callable[[Posted, Proofs], Proof]
    read: Callable[[Posted], Told]


# ---------------------------------------------------------------------------------------------------------------------
# Amazon SES, through SNS
# ---------------------------------------------------------------------------------------------------------------------

_SNS_HOST = re.compile(r"sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        ("SubscriptionConfirmation", "UnsubscribeConfirmation"),
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
"""The fields that are signed, in their order; one that is missing is left out."""


def is_sns_url(url: str) -> bool:
    """Tell whether a URL is one of SNS itself: nobody else can have a host of that name, unlike other amazonaws.com."""
    try:
        parts = urlsplit(url)
        is_plain = parts.port is None and parts.username is None and parts.password is None
    except ValueError:
        return False
    return is_plain and parts.scheme == "https" and bool(_SNS_HOST.fullmatch(parts.hostname or ""))


def _check_sns(posted: Posted, proofs: Proofs) -> Proof:
    content = _object(posted.body)
    url = str(content.get("SigningCertURL", ""))
    signed = _SIGNED.get(str(content.get("Type")))
    if signed is None or content.get("TopicArn") not in proofs.sns_topics:
        return Proof.REFUSED
    if not is_sns_url(url) or not urlsplit(url).path.endswith(".pem"):
        return Proof.REFUSED
    try:
        signature = base64.b64decode(str(content.get("Signature")), validate=True)
        certificate = proofs.fetch(url)
    except (binascii.Error, ValueError):
        return Proof.REFUSED
    except NewsletterError:
        return Proof.UNKNOWN
    text = "".join(f"{name}\n{content[name]}\n" for name in signed if isinstance(content.get(name), str))
    return _verify(certificate, signature, text.encode(), str(content.get("SignatureVersion")))


def _verify(certificate: bytes, signature: bytes, text: bytes, version: str) -> Proof:
    """Verify SNS's signature, RSA with PKCS #1 v1.5: of version 1 over SHA-1, of version 2 over SHA-256."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    algorithms: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 (SNS's)
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        if version not in algorithms or not isinstance(key, rsa.RSAPublicKey):
            return Proof.REFUSED
        key.verify(signature, text, padding.PKCS1v15(), algorithms[version])
    except (ValueError, InvalidSignature):
        return Proof.REFUSED
    return Proof.PROVED


def _read_sns(posted: Posted) -> Told:
    envelope = _object(posted.body)
    report_id = str(envelope.get("MessageId", ""))[:100]
    if envelope.get("Type") == "SubscriptionConfirmation":
        url = str(envelope.get("SubscribeURL", ""))
        return Told(report_id=report_id, subscribe_url=url if is_sns_url(url) else "")
    if envelope.get("Type") != "Notification":
        return Told(report_id=report_id)
    content = read_json(str(envelope.get("Message", "")))
    mail = content.get("mail") if isinstance(content, dict) else None
    source = str(mail.get("source", ""))[:400] if isinstance(mail, dict) else ""
    return Told(bounces=tuple(ses_bounces(content)), senders=(source,), report_id=report_id)


# ---------------------------------------------------------------------------------------------------------------------
# Postmark
# ---------------------------------------------------------------------------------------------------------------------

_POSTMARK: Mapping[str, tuple[Action, str, Weight]] = {
    "HardBounce": (Action.FAILED, "userunknown", Weight.HARD),
    "BadEmailAddress": (Action.FAILED, "userunknown", Weight.HARD),
    "SoftBounce": (Action.FAILED, "undefined", Weight.SOFT),
    "Transient": (Action.DELAYED, "expired", Weight.SOFT),
    "DnsError": (Action.FAILED, "networkerror", Weight.SOFT),
    "Undeterminable": (Action.FAILED, "undefined", Weight.SOFT),
    "Unknown": (Action.FAILED, "undefined", Weight.SOFT),
    "ChallengeVerification": (Action.FAILED, "filtered", Weight.SOFT),
    "SpamNotification": (Action.FAILED, "spamdetected", Weight.POLICY),
    "VirusNotification": (Action.FAILED, "virusdetected", Weight.POLICY),
    "Blocked": (Action.FAILED, "blocked", Weight.POLICY),
    "DMARCPolicy": (Action.FAILED, "authfailure", Weight.POLICY),
    "SMTPApiError": (Action.FAILED, "systemerror", Weight.POLICY),
    "SpamComplaint": (Action.COMPLAINED, "feedback", Weight.POLICY),
}
"""Postmark's types of bounce; the others (autoresponders, changes of address, tests) are left alone."""


def _check_postmark(posted: Posted, proofs: Proofs) -> Proof:
    if not proofs.password:
        return Proof.REFUSED
    wanted = base64.b64encode(f"{proofs.username}:{proofs.password}".encode())
    scheme, _, given = posted.headers.get("authorization", "").partition(" ")
    is_known = hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted)
    return Proof.PROVED if is_known and scheme.lower() == "basic" else Proof.REFUSED


def _read_postmark(posted: Posted) -> Told:
    content = _object(posted.body)
    kind = "SpamComplaint" if content.get("RecordType") == "SpamComplaint" else str(content.get("Type", ""))
    address, report_id = str(content.get("Email", ""))[:254], str(content.get("ID", ""))[:100]
    if kind not in _POSTMARK or not address:
        return Told(report_id=report_id)
    action, reason, weight = _POSTMARK[kind]
    words = " ".join(str(content.get("Details") or content.get("Description") or "").split())[:REPLY_MAX]
    bounce = Bounce(address, action, reason, weight, find_status(words.lower()), 0, words)
    return Told(bounces=(bounce,), report_id=f"postmark {report_id}" if report_id else "")


def _object(body: bytes) -> dict[str, object]:
    found = read_json(body[:BODY_MAX].decode("utf-8", "replace").lstrip())
    return found if isinstance(found, dict) else {}


PROVIDERS: Mapping[str, Provider] = {
    "ses": Provider(_check_sns, _read_sns),
    "postmark": Provider(_check_postmark, _read_postmark),
}
"""Every provider by the name that stands in its address, ``/hooks/NAME``."""
