"""``newsletter bounces``: what it prints, in which form, and what it makes of files that it cannot read."""

import email
import email.policy
import os
import re
import shutil
import subprocess
import sys

import pytest
from bounce_mails import CASES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from newsroom import REPOSITORY, Newsroom, assert_told
from smtp_server import SmtpServer

ORDINARY = b"From: ann@example.org\nTo: editors@news.example.org\nSubject: hello\n\nGood issue.\n"


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def test_classify_prints_an_array_with_each_file_as_it_was_given(room):
    bounce, letter = room.write("a.eml", CASES[0].content), room.write("b.eml", ORDINARY)
    told = room.run("bounces", "classify", str(bounce), str(letter), "--json").json
    assert told == [
        {
            "file": str(bounce),
            "bounces": [{"address": "cat@example.org", "status": "5.1.1", "hard": True, "reason": "userunknown"}],
        },
        {"file": str(letter), "bounces": []},
    ]


def test_classify_for_people(room):
    bounce, letter = room.write("a.eml", CASES[0].content), room.write("b.eml", ORDINARY)
    answer = room.run("bounces", "classify", str(bounce), str(letter))
    lines = answer.out.splitlines()
    assert lines[:2] == [f"{bounce}: bounce", "  cat@example.org: hard, userunknown (550 5.1.1)"]
    assert lines[-1] == f"{letter}: ordinary"


def test_classify_needs_no_newsletter(room, tmp_path):
    (room.root / "newsletter.toml").unlink()
    assert room.run("bounces", "classify", str(room.write("a.eml", ORDINARY)), "--json").code == 0


def test_classify_tells_what_it_cannot_read(room):
    assert_told(room.run("bounces", "classify", "gone.eml"), 65, "gone.eml: cannot be read")
    assert_told(room.run("bounces", "classify"), 2, "Missing argument")


def test_classify_shows_no_control_characters(room):
    header = b"Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: failure notice\n\n"
    content = header + b"<a@b.example>:\n\x1b[31mred (#5.1.1)\n"
    assert "\x1b" not in room.run("bounces", "classify", str(room.write("a.eml", content))).out


# ---------------------------------------------------------------------------------------------------------------------
# read, list, mark, undo
# ---------------------------------------------------------------------------------------------------------------------

SLUG = "2026-11-25"
BOUNCES = '\n[bounces]\nmaildir = "mail"\n'


@pytest.fixture(scope="module")
def sent_once(tmp_path_factory):
    """Send an issue to three people through a relay that takes it all; return the folder, and who got what."""
    room = Newsroom(tmp_path_factory.mktemp("room") / "weekly")
    room.write("newsletter.toml", (room.root / "newsletter.toml").read_text() + BOUNCES)
    room.issue(SLUG)
    room.subscribers("ann@example.org", "bob@example.org", "cyd@example.org")
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    with SmtpServer() as server:
        room.relay(server)
        assert room.run("send", SLUG, "--yes").code == 0
        return room.root, {message.rcpt_to[0]: message for message in server.accepted}


@pytest.fixture
def weekly(sent_once, tmp_path):
    """Return a copy of that newsroom, with an empty Maildir."""
    root = tmp_path / "weekly"
    shutil.copytree(sent_once[0], root)
    for name in ("new", "cur", "tmp"):
        (root / "mail" / name).mkdir(parents=True)
    return Newsroom(root, config=(sent_once[0] / "newsletter.toml").read_text())


@pytest.fixture
def messages(sent_once):
    return sent_once[1]


def returned(message, reply: str = "550 5.1.1 user unknown", number: int = 1) -> bytes:
    """Return the bounce of a message, sent to its return path."""
    (recipient,) = message.rcpt_to
    return (
        f"Return-Path: <>\nDelivered-To: {message.mail_from}\nFrom: MAILER-DAEMON@mx.example\nTo: {message.mail_from}\n"
        f"Message-ID: <{number}@mx.example>\nSubject: Undelivered\n"
        "Content-Type: multipart/report; boundary=b\n\n--b\n\nsorry\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nAction: failed\n"
        f"Final-Recipient: rfc822; {recipient}\nDiagnostic-Code: smtp; {reply}\n\n--b--\n"
    ).encode()


def active(room: Newsroom) -> list[str]:
    return [person["address"] for person in room.run("subscribers", "list", "--json").json["subscribers"]]


def test_read_a_maildir_twice(weekly, messages):
    weekly.write("mail/new/1.a", returned(messages["ann@example.org"]))
    weekly.write("mail/new/2.b", returned(messages["bob@example.org"], "552 5.2.2 mailbox full", 2))
    weekly.write("mail/new/3.c", CASES[0].content)
    weekly.write("mail/new/4.d", ORDINARY)
    answer = weekly.run("bounces", "read")
    assert answer.code == 0, answer
    assert answer.out.splitlines() == [
        f"suppressed: ann@example.org in {SLUG}: hard, userunknown",
        f"counted: bob@example.org in {SLUG}: soft, mailboxfull",
        "unsigned: cat@example.org: userunknown",
        "    cat@example.org Error message: 550 - 5.1.1 No such user here",
        "4 mails: 1 counted, 1 left alone, 1 suppressed, 1 unsigned",
    ]
    assert len(list((weekly.root / "mail/cur").iterdir())) == 4
    assert weekly.run("bounces", "read").out == "no mail waits\n"
    (weekly.root / "mail/new/9.again").write_bytes(returned(messages["ann@example.org"]))
    assert weekly.run("bounces", "read", "--json").json["counts"] == {"read before": 1}
    status = weekly.run("status", SLUG, "--json").json
    assert (status["bounced"], status["sent"]) == (2, 1)


def test_read_an_mbox(weekly, messages):
    file = weekly.write("mbox", b"From x Thu Jan  1 00:00:00 2026\n" + returned(messages["ann@example.org"]) + b"\n")
    for counts in ({"suppressed": 1}, {"read before": 1}):
        assert weekly.run("bounces", "read", "--mbox", str(file), "--json").json["counts"] == counts


def test_a_mail_through_a_pipe(weekly, messages):
    def pipe(content: bytes, **environ: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "newsletter", "--project", str(weekly.root), "bounces", "read", "--stdin"]
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environ}
        return subprocess.run(command, input=content, env=bare, capture_output=True, timeout=120, check=False)

    done = pipe(returned(messages["ann@example.org"]))
    assert (done.returncode, done.stdout.splitlines()[0][:10]) == (0, b"suppressed")
    again = pipe(returned(messages["bob@example.org"]), NEWSLETTER_STORE__URL="sqlite:////gone/newsletter.db")
    assert again.returncode == 75, "a mail server keeps the mail and tries again"
    (weekly.root / "newsletter.toml").write_text("nonsense")
    assert pipe(b"").returncode == 75


def test_leaving_by_the_address_in_the_header(weekly, messages):
    header = messages["bob@example.org"].content.decode().partition("\r\n\r\n")[0].replace("\r\n ", " ")
    (uri,) = re.findall(r"^List-Unsubscribe: <mailto:([^>?]+)\?subject=(unsubscribe)>", header, re.MULTILINE)
    mail = f"From: bob@example.org\nTo: {uri[0]}\nSubject: {uri[1]}\nMessage-ID: <1@x.example>\n\n"
    weekly.write("mail/new/1.a", mail)
    assert weekly.run("bounces", "read").out.startswith("left: bob@example.org")
    assert active(weekly) == ["ann@example.org", "cyd@example.org"]


def test_mark_list_and_undo(weekly):
    assert weekly.run("bounces", "list").out == "nothing came back\n"
    told = weekly.run("bounces", "mark", "ann@example.org", "--send", SLUG)
    assert told.out.startswith("ann@example.org: suppressed; 'newsletter bounces undo ann@example.org'")
    line = weekly.run("bounces", "list").out
    assert line.endswith(f"ann@example.org  {SLUG}  hard marked by an operator, suppressed\n")
    assert weekly.run("status", SLUG, "--json").json["bounced"] == 1
    undone = weekly.run("bounces", "undo", "ann@example.org")
    assert undone.out.startswith("ann@example.org: undone: hard, marked by an operator")
    assert undone.out.endswith("they are mailed again\n")
    assert weekly.run("status", SLUG, "--json").json["bounced"] == 0
    (one,) = weekly.run("bounces", "list", "ann@example.org", "--json").json["bounces"]
    assert one["fate"] == "undone"
    assert_told(weekly.run("bounces", "undo", "ann@example.org"), 65, "nothing of ann@example.org came back")
    assert_told(weekly.run("bounces", "mark", "zoe@example.org"), 65, "zoe@example.org is on no list")
    assert_told(weekly.run("bounces", "list", "--send", "2020-01-01"), 65, "was never sent")


def test_read_says_where_mail_may_lie(room):
    assert_told(room.run("bounces", "read"), 78, "[bounces] names no place", "maildir, mbox or imap_host")
    assert_told(room.run("bounces", "read", "--maildir", "gone"), 78, "gone is no Maildir")
    assert_told(room.run("bounces", "read", "--maildir", "a", "--stdin"), 2, "name one of")
    room.environ["NEWSLETTER_BOUNCES__IMAP_HOST"] = "mail.example.org"
    assert_told(room.run("bounces", "read"), 78, "imap_username: is missing")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('maildir = "a"\nmbox = "b"', "mbox: stands beside maildir"),
        ('imap_host = "mail.example.org"\nimap_username = "b"\nimap_security = "none"', "for all to read"),
        ("soft_limit = 1000", "write 0 to 100"),
        ('sns_topics = ["bounces"]', "write its ARN"),
    ],
)
def test_settings_that_may_not_stand(room, lines, told):
    room.write("newsletter.toml", (room.root / "newsletter.toml").read_text() + f"\n[bounces]\n{lines}\n")
    assert_told(room.run("bounces", "list"), 78, "[bounces]", told)


# ---------------------------------------------------------------------------------------------------------------------
# Through a real mail server
# ---------------------------------------------------------------------------------------------------------------------


def test_a_real_postfix_returns_mail_and_the_reader_is_suppressed(tmp_path, postfix):
    room = Newsroom(tmp_path / "weekly")
    mail = postfix.maildir("bounces")
    room.write("newsletter.toml", (room.root / "newsletter.toml").read_text() + f'[bounces]\nmaildir = "{mail}"\n')
    room.issue(SLUG)
    room.subscribers("ann@readers.test", "ghost@readers.test")
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    room.relay(postfix)
    assert room.run("send", SLUG, "--yes").code == 0
    postfix.wait_for_mail("ann")
    postfix.wait_for_mail("bounces")
    postfix.wait_until_idle()
    answer = room.run("bounces", "read")
    assert answer.out.splitlines() == [
        f"suppressed: ghost@readers.test in {SLUG}: hard, userunknown",
        "1 mail: 1 suppressed",
    ], answer
    account = room.run("status", SLUG, "--json").json
    assert (account["sent"], account["bounced"]) == (1, 1)
    room.issue("2026-12-02")
    assert room.run("approve", "2026-12-02", "--by", "mark").code == 0
    assert room.run("send", "2026-12-02", "--json").json["audience"] == 1


def test_subscribing_by_mail_takes_a_letter_and_an_answer(weekly):
    """The whole way of a newsletter without pages: ask, get a letter, send what its button writes, be a reader."""
    ask = "From: Dan <dan@example.org>\nTo: bounces+subscribe@news.example.org\nMessage-ID: <{}@x.example>\n{}\n\n"
    weekly.write("mail/new/1.a", ask.format(1, "Subject: hello"))
    weekly.write("mail/new/2.b", ask.format(2, "Subject: away\nAuto-Submitted: auto-replied"))
    with SmtpServer() as server:
        weekly.relay(server)
        assert weekly.run("bounces", "read").out.startswith("asked: dan@example.org: subscribe")
        (letter,) = server.accepted
        assert letter.rcpt_to == ("dan@example.org",)
        assert "dan@example.org" not in active(weekly)
        text = letter.content.replace(b"=\r\n", b"").decode()
        (to,) = set(re.findall(r"mailto:(bounces\+\w+@news\.example\.org)\?subject=3Dconfirm", text))
        answer = f"From: dan@example.org\nTo: {to}\nSubject: confirm\nMessage-ID: <3@x.example>\n"
        weekly.write("mail/new/3.c", answer + "Auto-Submitted: auto-replied\n\nI am away.\n")
        assert weekly.run("bounces", "read").out == "1 mail: 1 left alone\n"
        weekly.write("mail/new/4.d", answer.replace("<3@", "<4@") + "\n")
        assert weekly.run("bounces", "read").out.startswith("confirmed: dan@example.org")
        assert len(server.accepted) == 1
    assert active(weekly)[-1] == "dan@example.org"


def test_letters_by_mail_are_in_the_newsletters_language_and_signed(weekly):
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (weekly.root / "dkim.pem").write_bytes(pem)
    weekly.environ |= {"NEWSLETTER_NEWSLETTER__LANGUAGE": "fr", "NEWSLETTER_DKIM__KEYS": '{s = "dkim.pem"}'}
    weekly.write("mail/new/1.a", "From: dan@example.org\nTo: bounces+subscribe@news.example.org\nMessage-ID: <1@x>\n\n")
    with SmtpServer() as server:
        weekly.relay(server)
        assert weekly.run("bounces", "read").code == 0
        (letter,) = server.accepted
    assert letter.content.startswith(b"DKIM-Signature: ")
    subject = str(email.message_from_bytes(letter.content, policy=email.policy.default)["Subject"])
    assert subject == "Confirmez votre abonnement à Harbour Weekly"


def test_letters_wait_while_the_relay_is_away(weekly):
    weekly.environ |= {"NEWSLETTER_SMTP__HOST": "127.0.0.1", "NEWSLETTER_SMTP__PORT": "1"}
    weekly.write("mail/new/1.a", "From: dan@example.org\nTo: bounces+subscribe@news.example.org\nMessage-ID: <1@x>\n\n")
    answer = weekly.run("bounces", "read")
    assert answer.code == 0
    assert "letters wait" in answer.err
