"""What a mail is: the score on real bounces, the forms of many servers, and that no bytes can trip the reader."""

import json
import random
from pathlib import Path

import pytest
from bounce_mails import CASES

from newsletter.bounce import Action, Kind, Weight
from newsletter.dsn import read_report

SHARED = Path(__file__).parents[2] / "shared" / "data"
BOUNCES = SHARED / "bounces"
ORDINARY = SHARED / "ordinary-mail"
RETURNED_BY_MAILSITE = "mail_malformed_2"
"""The one of the ordinary mails that is none: a delivery status of MailSite, "Action: failed", for a full mailbox."""

PERSON = b"Return-Path: <ann@example.org>\nFrom: Ann <ann@example.org>\nTo: editors@news.example.com\n"
MACHINE = b"Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.org>\nTo: b@news.example.com\n"


def status_report(*groups: bytes, kind: bytes = b"message/delivery-status", text: bytes = b"It failed.") -> bytes:
    """Return a report with fields; each of ``groups`` is about one recipient."""
    return (
        MACHINE
        + b"Subject: Undelivered Mail\nContent-Type: multipart/report; boundary=b\n\n--b\n\n"
        + text
        + b"\n\n--b\n"
        b"Content-Type: " + kind + b"\n\nReporting-MTA: dns; mx.example.org\n\n" + b"\n\n".join(groups) + b"\n\n--b--\n"
    )


def only(content: bytes):
    (bounce,) = read_report(content).bounces
    return bounce


# ---------------------------------------------------------------------------------------------------------------------
# The score
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not BOUNCES.is_dir(), reason="the real bounces are not here")
def test_score_on_real_bounces(record_property):
    expected = json.loads((BOUNCES / "expected.json").read_text())
    pairs, unfound = [], 0
    for file, wanted in expected.items():
        found = read_report((BOUNCES / "eml" / file).read_bytes()).bounces
        pairs += [(file, want, bounce) for want, bounce in zip(wanted, found, strict=False)]
        unfound += max(len(wanted) - len(found), 0)
    total = len(pairs) + unfound
    right = sum(bounce.is_hard == want["hard"] for _, want, bounce in pairs)
    assert [(file, want) for file, want, bounce in pairs if bounce.is_hard and not want["hard"]] == []
    assert len(pairs) / total >= 0.97
    assert right / total >= 0.92
    print(f"{len(pairs)} of {total} found, {right} right on hard or soft")


@pytest.mark.skipif(not ORDINARY.is_dir(), reason="the ordinary mails are not here")
def test_no_bounce_is_seen_in_ordinary_mail():
    files = sorted(ORDINARY.iterdir())
    assert len(files) >= 18
    for file in files:
        report = read_report(file.read_bytes())
        if file.name == RETURNED_BY_MAILSITE:
            (bounce,) = report.bounces
            assert (bounce.reason, bounce.weight) == ("mailboxfull", Weight.SOFT)
        else:
            assert report.bounces == (), file.name


# ---------------------------------------------------------------------------------------------------------------------
# The forms of many servers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.server)
def test_server(case):
    report = read_report(case.content)
    assert report.kind is Kind.BOUNCE
    assert [(bounce.address, bounce.is_hard, bounce.reason) for bounce in report.bounces] == [
        (case.address, case.is_hard, case.reason)
    ]


def test_each_recipient_has_its_own_verdict():
    report = read_report(
        status_report(
            b"Final-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: 5.1.1\n"
            b"Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: User\n unknown",
            b"Final-Recipient: rfc822; <bob@example.org>\nAction: failed\nStatus: 5.2.2\n"
            b"Diagnostic-Code: smtp; 552 5.2.2 mailbox full",
            b"Final-Recipient: rfc822; cid@example.org\nAction: delayed\nStatus: 4.4.1",
            b"Final-Recipient: rfc822; dan@example.org\nAction: relayed\nStatus: 2.0.0",
        )
    )
    assert report.kind is Kind.BOUNCE
    assert [(b.address, b.action, b.weight, b.reason) for b in report.bounces] == [
        ("ann@example.org", Action.FAILED, Weight.HARD, "userunknown"),
        ("bob@example.org", Action.FAILED, Weight.SOFT, "mailboxfull"),
        ("cid@example.org", Action.DELAYED, Weight.SOFT, "expired"),
        ("dan@example.org", Action.DELIVERED, Weight.SOFT, "delivered"),
    ]
    assert report.bounces[0].reply == "smtp; 550 5.1.1 <ann@example.org>: User unknown"


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        (b"Final-Recipient: rfc822; a@example.org\nAction: delayed\nStatus: 5.1.1", Kind.DELAY),
        (b"Final-Recipient: rfc822; a@example.org\nAction: delivered\nStatus: 2.1.5", Kind.RECEIPT),
        (b"Final-Recipient: rfc822; a@example.org\nAction: Expanded\nStatus: 2.0.0", Kind.RECEIPT),
    ],
)
def test_what_did_not_fail_is_no_bounce(group, kind):
    report = read_report(status_report(group))
    assert report.kind is kind
    assert not report.bounces[0].is_hard


@pytest.mark.parametrize(
    "group",
    [
        b"Original-Recipient: <a@example.org>\n\nAction: failed\n\nDiagnostic-Code: smtp; 550 5.1.1 User unknown",
        b"FINAL-RECIPIENT : RFC822;a@example.org\naction:failed\nstatus:5.1.1 (bad mailbox)",
        b"Final-Recipient: a@example.org\nStatus: 5.1.1\nAction: failed (no such user)",
        b"X-Actual-Recipient: rfc822; a@example.org\nAction: failed\nStatus: 5.1.1",
    ],
)
@pytest.mark.parametrize("kind", [b"message/delivery-status", b"Message/Delivery-Status; name=x", b"text/plain"])
def test_fields_that_are_not_quite_as_they_should_be(group, kind):
    if kind == b"text/plain" and b"X-Actual" in group:
        pytest.skip("nothing there says that these are fields")
    bounce = only(status_report(group, kind=kind))
    assert (bounce.address, bounce.status, bounce.is_hard) == ("a@example.org", "5.1.1", True)


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        ("550 5.1.1 mailbox full", "5.1.1", "mailboxfull"),
        ("550 5.1.1 RCP-P2 refused due to recipient preferences", "5.1.1", "filtered"),
        ("550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using zen.spamhaus.org", "5.7.1", "blocked"),
        ("554 5.7.1 rejected due to DMARC policy, user unknown", "5.7.1", "authfailure"),
        ("550 5.1.0 sender rejected: domain not found", "5.1.0", "rejected"),
        ("450 4.1.1 user unknown", "4.1.1", "userunknown"),
        ("550 no such user", "4.4.7", "filtered"),
        ("550 5.2.1 The account that you tried to reach is disabled", "5.2.1", "suspend"),
        ("550 relay access denied", "5.0.0", "norelaying"),
        ("552 5.3.4 message too large", "5.3.4", "mesgtoobig"),
        ("550 no such user", "5.0.0", "filtered"),
        ("554 5.7.1 HELO command rejected: host not found", "5.7.1", "blocked"),
        ("550 5.2.0 <b@news.example.com> From: Domain is invalid. Please provide a valid From:", "5.2.0", "rejected"),
        ("550 unknown domain", "5.0.0", "rejected"),
        ("550 5.7.510 Access denied, example.org does not accept email over IPv6", "5.7.510", "securityerror"),
        ("550 this server does not accept mail with attachments", "5.0.0", "contenterror"),
        ("450 host not found, try again", "5.4.4", "networkerror"),
        ("", "5.4.4", "networkerror"),
        ("", "5.4.7", "expired"),
        ("", "", "undefined"),
    ],
)
def test_what_removes_nobody(reply, status, reason):
    diagnostic = f"\nDiagnostic-Code: smtp; {reply}" if reply else ""
    group = f"Final-Recipient: rfc822; a@example.org\nAction: failed\nStatus: {status}{diagnostic}"
    bounce = only(status_report(group.encode()))
    assert (bounce.reason, bounce.is_hard) == (reason, False)


@pytest.mark.parametrize(
    "text", [b"see the transcript: (in reply to RCPT TO command)", b"after RCPT TO:<a@example.org>"]
)
def test_unknown_in_reply_to_rcpt_is_believed(text):
    group = b"Final-Recipient: rfc822; a@example.org\nAction: failed\nDiagnostic-Code: smtp; 550 no such user"
    assert only(status_report(group, text=b"<a@example.org>: " + text)).is_hard
    assert not only(status_report(group, text=b"<a@example.org>: (in reply to end of DATA command)")).is_hard


def test_a_session_tells_the_stage():
    text = (
        b"<a@example.org>\n   ----- Transcript of session follows -----\n>>> RCPT To:<a@example.org>\n<<< 250 ok\n"
        b">>> DATA\n<<< 550 no such user\n"
    )
    group = b"Final-Recipient: rfc822; a@example.org\nAction: failed\nDiagnostic-Code: smtp; 550 no such user"
    assert only(status_report(group, text=text)).reason == "filtered"


# ---------------------------------------------------------------------------------------------------------------------
# What is no bounce
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        PERSON + b"Subject: Your last issue\n\nI liked it. My colleague (bob@example.org) says user unknown, though.\n",
        PERSON
        + b"Subject: undelivered\n\nMy mail to bob@example.org came back: 550 5.1.1 user unknown. Can you help?\n",
        PERSON + b"Subject: unsubscribe\n\n",
        PERSON + b"Subject: Fwd: failure notice\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nlook\n--b\n"
        b"Content-Type: message/rfc822\n\n" + CASES[0].content + b"\n--b--\n",
        b"",
        b"\n\n",
        b"no header at all",
    ],
)
def test_ordinary_mail_is_left_alone(content):
    assert read_report(content).kind is Kind.ORDINARY
    assert read_report(content).bounces == ()


@pytest.mark.parametrize(
    "fields",
    [
        b"Auto-Submitted: auto-replied\nSubject: hello",
        b"Auto-Submitted: auto-replied; owner-email=ann@example.org\nSubject: Re: Issue 12",
        b"Subject: Out of Office: Issue 12",
        b"Subject: Automatic reply: Issue 12",
        b"Subject: =?utf-8?q?R=C3=A9ponse_automatique=3A?= Issue 12",
        "Subject: 自动回复: Issue 12".encode(),
        b"X-Autoreply: yes\nSubject: Issue 12",
        b"Precedence: auto_reply\nSubject: Issue 12",
        b"X-Apple-Action: VACATION\nSubject: Issue 12",
    ],
)
def test_vacation_replies_are_left_alone(fields):
    report = read_report(
        PERSON + fields + b"\n\nI am away. Mail for bob@example.org cannot be delivered: user unknown.\n"
    )
    assert report.kind is Kind.AUTO_REPLY
    assert [(b.address, b.action, b.is_hard, b.reason) for b in report.bounces] == [
        ("ann@example.org", Action.REPLIED, False, "vacation")
    ]


def test_a_reader_who_leaves_by_apple_mail_is_no_vacation():
    content = PERSON + b"Subject: unsubscribe\nAuto-Submitted: auto-replied\nX-Apple-Unsubscribe: true\n\n"
    assert read_report(content).kind is Kind.REQUEST


# ---------------------------------------------------------------------------------------------------------------------
# Complaints
# ---------------------------------------------------------------------------------------------------------------------

FEEDBACK = b"Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"


@pytest.mark.parametrize(
    ("part", "addresses"),
    [
        (FEEDBACK + b"Original-Rcpt-To: <a@example.org>\n", ["a@example.org"]),
        (
            FEEDBACK + b"Original-Rcpt-To: a@example.org\nOriginal-Rcpt-To: b@example.org\n",
            ["a@example.org", "b@example.org"],
        ),
        (FEEDBACK, ["reader@example.org"]),
        (b"Version: 1\n\nFeedback-Type: abuse\n", ["reader@example.org"]),
    ],
)
@pytest.mark.parametrize("kind", [b"message/feedback-report", b"text/plain"])
def test_complaints(part, addresses, kind):
    content = (
        PERSON + b"Subject: abuse\nContent-Type: multipart/report; boundary=b\n\n--b\n\nAn abuse report\n"
        b"--b\nContent-Type: " + kind + b"\n\n" + part + b"\n--b\n"
        b"Content-Type: message/rfc822\n\nTo: reader@example.org\nSubject: Issue\n\nx\n--b--\n"
    )
    report = read_report(content)
    assert report.kind is Kind.COMPLAINT
    assert [bounce.address for bounce in report.bounces] == addresses
    assert all(bounce.reason == "feedback" and not bounce.is_hard for bounce in report.bounces)


def test_complaint_of_microsoft():
    content = (
        b"From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; "
        b"boundary=b\n\n--b\nContent-Type: message/rfc822\n\nTo: reader@hotmail.com\nSubject: Issue\n\nx\n--b--\n"
    )
    assert only(content).address == "reader@hotmail.com"
    assert read_report(content).kind is Kind.COMPLAINT


# ---------------------------------------------------------------------------------------------------------------------
# Others
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {
                "notificationType": "Bounce",
                "bounce": {
                    "bounceType": "Permanent",
                    "bouncedRecipients": [
                        {"emailAddress": "a@example.org", "diagnosticCode": "550 5.1.1 user unknown"}
                    ],
                },
            },
            ("a@example.org", Action.FAILED, True, "userunknown"),
        ),
        (
            {
                "eventType": "Bounce",
                "bounce": {
                    "bounceType": "Transient",
                    "bouncedRecipients": [
                        {"emailAddress": "a@example.org", "diagnosticCode": "550 5.1.1 user unknown"}
                    ],
                },
            },
            ("a@example.org", Action.FAILED, False, "userunknown"),
        ),
        (
            {
                "notificationType": "Complaint",
                "complaint": {"complainedRecipients": [{"emailAddress": "a@example.org"}]},
            },
            ("a@example.org", Action.COMPLAINED, False, "feedback"),
        ),
        (
            {"notificationType": "Delivery", "delivery": {"recipients": ["a@example.org"]}},
            ("a@example.org", Action.DELIVERED, False, "delivered"),
        ),
    ],
)
def test_notifications_of_ses_by_mail(event, told):
    content = (
        b"From: no-reply@sns.amazonaws.com\nSubject: AWS Notification\n\n" + json.dumps(event).encode() + b"\n\n--\nbye"
    )
    bounce = only(content)
    assert (bounce.address, bounce.action, bounce.is_hard, bounce.reason) == told


def test_the_library_knows_forms_that_are_new_here():
    content = (
        b"Return-Path: <>\nFrom: sys@mx.example.org\nTo: b@news.example.com\nSubject: Delivery failure\n\n"
        b"----- The following addresses had permanent delivery errors -----\n<a@example.org>\n"
    )
    bounce = only(content)
    assert (bounce.address, bounce.weight) == ("a@example.org", Weight.SOFT)


# ---------------------------------------------------------------------------------------------------------------------
# Hostile bytes
# ---------------------------------------------------------------------------------------------------------------------


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return ``content`` cut short, with bits turned, a piece repeated, or a foreign piece in it."""
    first, second = sorted((chance.randrange(len(content) + 1), chance.randrange(len(content) + 1)))
    match chance.randrange(4):
        case 0:
            return content[:first]
        case 1:
            turned = bytearray(content)
            for _ in range(chance.randrange(1, 40)):
                turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
            return bytes(turned)
        case 2:
            return content[:second] + content[first:second] * chance.randrange(4) + content[second:]
        case _:
            return content[:first] + chance.randbytes(50) + content[second:]


def test_mutants_are_read_without_an_error():
    chance = random.Random(5322)
    contents = [case.content for case in CASES] + [
        status_report(b"Final-Recipient: rfc822; a@b.example\nAction: failed")
    ]
    for _ in range(800):
        for bounce in read_report(mutated(chance.choice(contents), chance)).bounces:
            assert bounce.as_json().keys() == {"address", "status", "hard", "reason"}


HEAD = b"From: MAILER-DAEMON@x.example\nReturn-Path: <>\nSubject: Undelivered Mail Returned to Sender\n"


@pytest.mark.parametrize(
    "content",
    {
        "spaces in a field": HEAD + b"X: " + b" " * 600_000,
        "continued spaces": HEAD + b"X: a" + b"\n " * 300_000,
        "nested parts": b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth) for depth in range(20_000)
        ),
        "many parts": HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 100_000,
        "many addresses": HEAD + b"\nunable to deliver\n" + b"a@b.example " * 60_000,
        "one long word": HEAD + b"\nunable to deliver\n" + b"a" * 500_000 + b"@b.example",
        "angles": HEAD + b"Content-Type: text/html\n\n" + b"<" * 500_000,
        "styles": HEAD + b"Content-Type: text/html\n\n" + b"<style></style>" * 30_000,
        "open styles": HEAD + b"Content-Type: text/html\n\n" + b"<style>" * 70_000,
        "many recipients": HEAD
        + b"Content-Type: message/delivery-status\n\n"
        + b"Final-Recipient: a@b.c\nAction: failed\n\n" * 9999,
        "words of a quota": HEAD
        + b"Content-Type: message/delivery-status\n\nFinal-Recipient: a@b.c\nDiagnostic-Code: smtp; "
        + b"over the its their quota is the " * 10_000,
        "encoded words": HEAD.replace(b"Undelivered", b"=?utf-8?q?" + b"=41" * 50_000 + b"?=") + b"\nx",
        "a charset that is none": HEAD.replace(b"Undelivered", "=?iso-88\ufffd9-1?q?=41?=".encode()) + b"\nx",
        "numbers": HEAD + b"\nunable to deliver\n" + b"5.5.5." * 80_000,
        "json": HEAD + b'\n{"notificationType":' + b'{"a":' * 100_000,
        "unknown charset": HEAD + b"Content-Type: text/plain; charset=punycode\n\n" + b"-" * 100_000,
        "nothing but NUL": b"\0" * 500_000,
        "nothing but CR": b"\r" * 500_000,
    }.items(),
    ids=lambda item: item[0],
)
def test_hostile_mail_ends(content):
    assert len(read_report(content[1]).bounces) <= 200  # that it comes to an end within the test's time is the point
