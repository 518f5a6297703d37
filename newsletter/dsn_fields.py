"""Read what a report says in fields: delivery status (RFC 3464), disposition of none, abuse feedback (RFC 5965).

Pure, and lenient: the fields are taken from the part where they belong, and where there is none from any text that has
them, with empty lines between them or groups run together. Not here: prose (``dsn_prose``), and what it all means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.mailparts import Mail, Part, decode_words

_GROUPS_MAX = 50
_FIELD = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]{2,60})[ \t]*:[ \t]*(.*)")
_OWN = frozenset({"final-recipient", "original-recipient", "action", "status", "diagnostic-code"})
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_ARF = re.compile(r"^feedback-type[ \t]*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RecipientFields:
    """Hold the fields of one recipient, ``""`` where one is missing; ``action`` is in lower case."""

    address: str
    action: str = ""
    status: str = ""
    diagnostic: str = ""
    remote_mta: str = ""
    reporting_mta: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """Hold what a complaint says: its kind in lower case (``abuse``, ``auth-failure``) and whom it names."""

    kind: str
    addresses: tuple[str, ...] = ()


def read_delivery_status(mail: Mail) -> list[RecipientFields]:
    """Return the recipients of a delivery status report, in order; none where the mail is no such report."""
    proper = [part for part in mail.parts if part.media_type.endswith("/delivery-status")]
    proper += [part for part in mail.parts if part.media_type.endswith("/global-delivery-status")]
    found = [recipient for part in proper for recipient in _recipients(part.text)]
    if found:
        return found
    loose = [part for part in mail.parts if not part.is_message and _has_fields(part.text)]
    return [recipient for part in loose for recipient in _recipients(part.text)]


def read_feedback(mail: Mail) -> Feedback | None:
    """Return what a complaint says, or None where the mail is none."""
    for part in mail.parts:
        if part.media_type == "message/feedback-report" or (not part.is_message and _ARF.search(part.text)):
            return _feedback(part)
    return None


def address_in(text: str) -> str:
    """Return the first address in ``text`` without brackets or quotes, ``""`` where there is none."""
    found = _ADDRESS.search(text[:2000])
    return found[0].strip(".'") if found else ""


def addresses_in(text: str) -> list[str]:
    """Return every address in ``text``, in order."""
    return [found.strip(".'") for found in _ADDRESS.findall(text)]


def _feedback(part: Part) -> Feedback:
    kind, addresses = "abuse", []
    for name, value in _fields(part.text):
        if name == "feedback-type":
            kind = value.strip().lower()[:40]
        elif name in ("original-rcpt-to", "removal-recipient", "redacted-address"):
            addresses.append(address_in(value))
    return Feedback(kind, tuple(dict.fromkeys(filter(None, addresses))))


def _has_fields(text: str) -> bool:
    lowered = text.lower()
    return ("final-recipient:" in lowered or "original-recipient:" in lowered) and (
        "action:" in lowered or "diagnostic-code:" in lowered
    )


def _recipients(text: str) -> Iterator[RecipientFields]:
    """Yield the recipients of a report's text; a field that comes again opens the next one."""
    group: dict[str, str] = {}
    count = 0
    for name, value in _fields(text):
        if name in _OWN and name in group:
            if recipient := _recipient(group):
                count += 1
                yield recipient
                if count >= _GROUPS_MAX:
                    return
            group = {}
        group.setdefault(name, value)
    if recipient := _recipient(group):
        yield recipient


def _recipient(group: dict[str, str]) -> RecipientFields | None:
    """Return the recipient of a group of fields, or None for the group about the whole message."""
    if not _OWN & group.keys():
        return None
    original = group.get("x-actual-recipient") or group.get("original-recipient", "")
    address = _typed(group.get("final-recipient", "")) or _typed(original)
    if not address and not ({"action", "status"} <= group.keys() or "diagnostic-code" in group):
        return None
    return RecipientFields(
        address=address,
        action=group.get("action", "").split(" ")[0].strip().lower(),
        status=group.get("status", ""),
        diagnostic=decode_words(group.get("diagnostic-code", ""))[:4000],
        remote_mta=_after_type(group.get("remote-mta", "")).lower(),
        reporting_mta=_after_type(group.get("reporting-mta", "")).lower(),
    )


def _typed(value: str) -> str:
    """Return the address of ``rfc822; <someone@example.org>``; a name without a domain as it stands."""
    value = _after_type(value)
    return address_in(value) or value.strip().strip("<>").partition(" ")[0]


def _after_type(value: str) -> str:
    return value.partition(";")[2].strip() if ";" in value else value.strip()


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields in ``text`` with their continuation lines, names in lower case; other lines are passed over."""
    name, value = "", ""
    for line in text.split("\n"):
        match = _FIELD.fullmatch(line)
        if match and not (name and line[:1] in " \t" and match[1].lower() not in _OWN):
            if name:
                yield name, value
            name, value = match[1].lower(), match[2].strip()
        elif name and line[:1] in " \t" and line.strip():
            value = f"{value} {line.strip()}" if len(value) < 8000 else value
        elif name:
            yield name, value
            name, value = "", ""
    if name:
        yield name, value
