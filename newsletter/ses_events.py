"""Read what Amazon SES says of a delivery: the JSON that it sends through SNS, to a webhook or in a mail.

Pure, and lenient: ``content`` is whatever JSON stood there. The form is that of the "Amazon SNS notification contents"
and the "event publishing" pages of the SES developer guide. Not here: who signed it (``hooks``).
"""

import json

from newsletter.bounce import REPLY_MAX, Action, Bounce, Weight
from newsletter.dsn_verdict import Evidence, judge

_RECIPIENTS_MAX = 200


def read_json(text: str) -> object:
    """Return the JSON value that ``text`` begins with, None where it is none."""
    try:
        value: object = json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None
    return value


def ses_bounces(content: object) -> list[Bounce]:
    """Return whom a notification names: bounces, complaints or deliveries; nothing for one of another kind.

    ``content`` is what SES wrote, or the envelope of SNS around it.
    """
    if isinstance(content, dict) and isinstance(content.get("Message"), str):
        content = read_json(content["Message"])
    if not isinstance(content, dict):
        return []
    kind = str(content.get("notificationType") or content.get("eventType") or "").lower()
    part = content.get(kind)
    if not isinstance(part, dict):
        return []
    if kind == "bounce":
        is_final = str(part.get("bounceType")).lower() == "permanent"
        sub_type = str(part.get("bounceSubType")).lower()
        return [_bounce(recipient, is_final, sub_type) for recipient in _recipients(part, "bouncedRecipients")]
    if kind == "complaint":
        found = _recipients(part, "complainedRecipients")
        return [Bounce(_address(one), Action.COMPLAINED, "feedback", Weight.POLICY) for one in found]
    if kind == "delivery":
        addresses = part.get("recipients")
        known = [address for address in addresses if isinstance(address, str)] if isinstance(addresses, list) else []
        return [
            Bounce(address[:254], Action.DELIVERED, "delivered", Weight.SOFT, "2.6.0", 250)
            for address in known[:_RECIPIENTS_MAX]
        ]
    return []


def _bounce(recipient: dict[str, object], is_final: bool, sub_type: str) -> Bounce:
    text = str(recipient.get("diagnosticCode") or "")[:4000]
    address = _address(recipient)
    verdict = judge(
        Evidence(
            text=text,
            status=str(recipient.get("status") or "")[:40],
            host=address.rpartition("@")[2].lower(),
            is_final=is_final,
        )
    )
    reason, weight = verdict.reason, verdict.weight
    if sub_type in ("suppressed", "onaccountsuppressionlist"):  # it bounced for good before, in someone's send
        reason, weight = "suppressed", Weight.SOFT
    return Bounce(
        address, Action.FAILED, reason, weight, verdict.status, verdict.code, " ".join(text.split())[:REPLY_MAX]
    )


def _recipients(part: dict[str, object], name: str) -> list[dict[str, object]]:
    found = part.get(name)
    return [one for one in found if isinstance(one, dict)][:_RECIPIENTS_MAX] if isinstance(found, list) else []


def _address(recipient: dict[str, object]) -> str:
    return str(recipient.get("emailAddress") or "")[:254]
