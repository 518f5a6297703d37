"""Say what a mail in the bounce mailbox is, and whom it bounces: bytes in, values out.

Pure; never raises, whatever the bytes are, in time proportional to their size. In order: complaints (RFC 5965), reports
with fields (RFC 3464), reports in prose, a library's knowledge of more prose (flufl.bounce, behind a guard), replies of
machines (RFC 3834), and ordinary mail. A notice of delay is no bounce, and neither is a vacation reply.

Nothing here is to be trusted: whoever can write a mail can write a bounce. Only a signed return path (``tokens``) says
whose bounce it is; that is decided in ``bounces``.
"""

import dataclasses
import email
import logging
import re

from newsletter.bounce import REPLY_MAX, Action, Bounce, Kind, Report, Weight
from newsletter.dsn_fields import RecipientFields, address_in, read_delivery_status, read_feedback
from newsletter.dsn_prose import (
    Found,
    find_recipients,
    is_report,
    looks_like_report,
    original_recipient,
    report_of,
    words_about,
)
from newsletter.dsn_verdict import Evidence, Stage, find_stage, judge, plain
from newsletter.mailparts import PARTS_MAX, Mail, read_mail
from newsletter.ses_events import read_json, ses_bounces

_DONE = frozenset({"delivered", "expanded", "relayed"})


def read_report(content: bytes) -> Report:
    """Say what the mail ``content`` is; never raises."""
    return report_on(read_mail(content), content)


def report_on(mail: Mail, content: bytes) -> Report:
    """Say what a mail is that was taken apart already; ``content`` is its bytes."""
    bounces = _complaints(mail) or _from_notification(mail) or _from_fields(mail) or _from_prose(mail, content)
    if bounces:
        return Report(_kind(bounces), tuple(bounces))
    if mail.fields.value("x-apple-unsubscribe").lower().startswith("true"):
        # Apple's client asks to leave in an automatic mail; it counts as a reader's word, like a complaint.
        return Report(Kind.REQUEST, (Bounce(address_in(mail.sender), Action.ASKED, "feedback", Weight.POLICY),))
    if is_auto_reply(mail):
        return Report(Kind.AUTO_REPLY, (_reply(mail),))
    return Report(Kind.ORDINARY)


def _kind(bounces: list[Bounce]) -> Kind:
    actions = {bounce.action for bounce in bounces}
    for action, kind in (
        (Action.COMPLAINED, Kind.COMPLAINT),
        (Action.FAILED, Kind.BOUNCE),
        (Action.DELAYED, Kind.DELAY),
    ):
        if action in actions:
            return kind
    return Kind.RECEIPT


# ---------------------------------------------------------------------------------------------------------------------
# Complaints and replies
# ---------------------------------------------------------------------------------------------------------------------

_HOTMAIL = re.compile(r"^\s*complaint about message from ")


def _complaints(mail: Mail) -> list[Bounce]:
    """Return whom a complaint names; Microsoft's carries the message alone, and is known by its subject."""
    feedback = read_feedback(mail)
    is_hotmail = bool(_HOTMAIL.match(mail.subject.lower())) and bool(mail.returned)
    if feedback is None and not is_hotmail:
        return []
    addresses = feedback.addresses if feedback else ()
    named = addresses or (original_recipient(mail),)
    return [Bounce(address, Action.COMPLAINED, "feedback", Weight.POLICY) for address in named]


_AWAY = re.compile(
    r"^(re: )?(auto(mati[ck]|matisch\w*|matique)?[ -]?(re(ply|sponse|sponder)|antwort|answer)|out of (the )?office"
    r"|vacation|abwesend|abwesenheit|absence|(r[ée]ponse|respuesta|risposta) autom|i am (away|out)|away from"
    r"|on (vacation|leave|holiday)"
    r"|自動(返信|応答)|自动(回复|答复)|автоответ)"
)
_MACHINE_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-autoreply-from", "x-autoreply-domain")


def is_auto_reply(mail: Mail) -> bool:
    """Tell whether a machine answered for a person: a vacation reply, or the like (RFC 3834 section 5)."""
    submitted = mail.fields.value("auto-submitted").lower().strip()
    if submitted.startswith("auto-replied") or _AWAY.match(mail.subject.lower()):
        return True
    if any(mail.fields.values(name) for name in _MACHINE_FIELDS):
        return True
    action = mail.fields.value("x-apple-action").lower() + mail.fields.value("x-cron-env").lower()
    return "vacation" in action or mail.fields.value("precedence").lower().strip() in ("auto_reply", "auto-reply")


def _reply(mail: Mail) -> Bounce:
    return Bounce(address_in(mail.sender), Action.REPLIED, "vacation", Weight.SOFT)


# ---------------------------------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------------------------------


def _from_fields(mail: Mail) -> list[Bounce]:
    """Return the recipients of a report with fields, its prose added where the fields say too little."""
    recipients = read_delivery_status(mail)
    report = report_of(mail) if recipients else ""
    found = [_from_recipient(recipient, report, is_alone=len(recipients) == 1) for recipient in recipients]
    if all(bounce.address for bounce in found):
        return found
    return [dataclasses.replace(bounce, address=bounce.address or original_recipient(mail)) for bounce in found]


def _from_recipient(recipient: RecipientFields, report: str, *, is_alone: bool) -> Bounce:
    if recipient.action in _DONE:
        return Bounce(recipient.address, Action.DELIVERED, "delivered", Weight.SOFT, recipient.status.partition(" ")[0])
    about = words_about(report, recipient.address)
    text = recipient.diagnostic
    is_delayed = recipient.action == "delayed"
    evidence = Evidence(
        text=text if _tells(text) else f"{text} {recipient.status} {about}",
        status=recipient.status,
        host=f"{recipient.remote_mta or recipient.reporting_mta} {recipient.address.rpartition('@')[2].lower()}",
        stage=_stage(recipient.diagnostic, about, report),
        is_final=not is_delayed,
    )
    verdict = judge(evidence)
    if verdict.reason in ("undefined", "onhold", "syntaxerror", "systemerror") and about.strip() and _tells(text):
        wider = judge(Evidence(f"{text} {about}", evidence.status, evidence.host, evidence.stage, evidence.is_final))
        verdict = wider if is_alone and wider.weight is not Weight.HARD else verdict
    return Bounce(
        address=recipient.address,
        action=Action.DELAYED if is_delayed else Action.FAILED,
        reason=verdict.reason,
        weight=verdict.weight,
        status=verdict.status,
        code=verdict.code,
        reply=" ".join((text or about).split())[:REPLY_MAX],
    )


def _tells(text: str) -> bool:
    """Tell whether a diagnostic holds words, and not only codes."""
    return bool(re.search(r"[A-Za-z]{3,}.*[A-Za-z]{3,}", re.sub(r"^x-\w+;", "", text)))


_SESSION = re.compile(r"^[ \t]*>>> ?[A-Za-z.]", re.MULTILINE)


def _stage(reply: str, about: str, report: str) -> Stage:
    """Return what the server answered to: by its own reply, the session as it is shown, or the words around it."""
    told = find_stage(reply)
    if not told and _SESSION.search(report):
        told = transcript_stage(report, reply)
    return told or find_stage(about)


_COMMANDS = {"rcpt to": Stage.RCPT, "data": Stage.DATA, "mail from": Stage.MAIL, "ehlo": Stage.CONNECT, ".": Stage.DATA}


def transcript_stage(report: str, reply: str) -> Stage:
    """Return the command before ``reply`` in a transcript of ``>>>`` and ``<<<`` lines; the last one without it."""
    command = Stage.UNKNOWN
    start = plain(reply)[:24]
    for line in report.split("\n"):
        text = line.strip()
        if text.startswith(">>>"):
            said = text[3:].strip().lower()
            command = next((stage for word, stage in _COMMANDS.items() if said.startswith(word)), command)
        elif text.startswith("<<<") and start and plain(text[3:])[:24] == start:
            return command
    return command


def _from_prose(mail: Mail, content: bytes) -> list[Bounce]:
    """Return whom the words of a report name; the library is asked where none is named, or the words are new."""
    if not is_report(mail):
        return _from_library(content) if looks_like_report(mail) else []
    found = [_from_words(mail, one) for one in find_recipients(mail)]
    return found if any(bounce.address for bounce in found) else _from_library(content) or found


_DELAY = re.compile(
    r"has (?:not yet been|been) delay|has not yet been delivered|warning message only|still being retried"
    r"|will (?:keep trying|be retried)|delivery attempts will continue|you do not need to resend"
)


def _from_words(mail: Mail, found: Found) -> Bounce:
    is_delayed = bool(_DELAY.search(plain(report_of(mail)[:4000])))
    session = found.words if _SESSION.search(found.words) else report_of(mail)
    stage = _stage("", found.words, session)
    host = found.address.rpartition("@")[2].lower()
    verdict = judge(Evidence(found.words, "", host, stage, not is_delayed))
    if verdict.reason in ("undefined", "onhold"):
        wider = judge(Evidence(report_of(mail), "", host, stage, not is_delayed))
        verdict = wider if wider.reason != "undefined" else verdict
    return Bounce(
        address=found.address,
        action=Action.DELAYED if is_delayed else Action.FAILED,
        reason=verdict.reason,
        weight=verdict.weight,
        status=verdict.status,
        code=verdict.code,
        reply=" ".join(found.words.split())[:REPLY_MAX],
    )


_NOTIFICATION = re.compile(r'\\?"(?:notificationType|eventType)\\?"')


def _from_notification(mail: Mail) -> list[Bounce]:
    """Return what a notification of Amazon SES says that came by mail, as SNS sends it to an address."""
    text = mail.text.lstrip().replace("!\n ", "")  # where a relay broke a line that was too long
    return ses_bounces(read_json(text)) if text.startswith("{") and _NOTIFICATION.search(text[:20_000]) else []


_LIBRARY_MAX = 64 * 1024
"""Bytes that the library is given: its patterns are not made for hostile text."""


def _from_library(content: bytes) -> list[Bounce]:
    """Return whom flufl.bounce finds in what looks like a report: an address and no reason, so all of it is soft."""
    if content.count(b"\n--", 0, _LIBRARY_MAX) > PARTS_MAX:
        return []
    try:
        from flufl.bounce import all_failures

        logging.getLogger("flufl.bounce").disabled = True  # it logs each of its own mistakes with a whole trace
        temporary, permanent = all_failures(email.message_from_bytes(content[:_LIBRARY_MAX]))
        found = [(address, Action.DELAYED) for address in temporary] + [(one, Action.FAILED) for one in permanent]
    except Exception:  # a library that meets what it never saw must not stop the mailbox
        return []
    return [
        Bounce(address.decode("ascii", "replace"), action, "undefined", Weight.SOFT)
        for address, action in sorted(found)
        if isinstance(address, bytes)
    ]
