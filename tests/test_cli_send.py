"""``newsletter send`` and ``status``: nothing is mailed by accident, nothing twice, and every row is accounted for."""

import dataclasses
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from email import message_from_bytes
from functools import partial
from pathlib import Path

import pytest
from certificates import make_certificate
from newsroom import BODY, CONFIG, REPOSITORY, Answer, Newsroom, assert_told
from smtp_server import SmtpServer
from webfront import wait_for

import newsletter.cli.sending
import newsletter.store
from newsletter.receiver import Receiver
from newsletter.store import open_store

SLUG = "2026-11-25"
PEOPLE = ("ada@example.org", "bob@example.org", "cho@example.net")
ACCOUNT = ("planned", "sent", "failed", "skipped", "bounced", "in_doubt", "open")


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    room.issue(SLUG)
    room.subscribers(*PEOPLE)
    return room


@pytest.fixture
def approved(room):
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    return room


@pytest.fixture
def receiver(room):
    with Receiver() as receiver:
        room.relay(receiver)
        yield receiver


def account(answer: Answer) -> tuple[int, ...]:
    return tuple(answer.json[name] for name in ACCOUNT)


# --- the plan --------------------------------------------------------------------------------------------------------


def test_without_yes_the_plan_is_shown_and_nothing_is_mailed(approved, receiver):
    answer = approved.run("send", SLUG)
    assert answer.code == 0
    assert "3 recipients" in answer.out
    assert "Nothing was sent." in answer.out
    assert receiver.messages == []
    assert "never sent" in approved.run("status", SLUG).err


def test_plan_as_json_closes_before_and_after_the_send(approved, receiver):
    before = approved.run("send", SLUG, "--json")
    assert account(before) == (3, 0, 0, 0, 0, 0, 3)
    assert before.json["format"] == 1
    assert before.json["approved"] is True
    assert before.json["audience"] == 3
    assert approved.run("send", SLUG, "--yes").code == 0
    assert account(approved.run("send", SLUG, "--json")) == (3, 3, 0, 0, 0, 0, 0)


def test_plan_of_an_unapproved_issue_says_so(room, receiver):
    assert "NOT APPROVED" in room.run("send", SLUG).out


def test_plan_says_that_the_frozen_edition_is_what_is_sent(approved, receiver):
    assert approved.run("send", SLUG, "--yes").code == 0
    approved.issue(SLUG, body=BODY + "\nMore.\n")
    assert "what was frozen then is what is sent" in approved.run("send", SLUG).out


# --- sending ---------------------------------------------------------------------------------------------------------


def test_yes_sends_and_a_second_run_sends_nothing_twice(approved, receiver):
    first = approved.run("send", SLUG, "--yes", "--json")
    assert first.code == 0
    assert account(first) == (3, 3, 0, 0, 0, 0, 0)
    assert sorted(message.envelope.rcpt_to for message in receiver.messages) == sorted(PEOPLE)
    second = approved.run("send", SLUG, "--yes", "--json")
    assert second.code == 0
    assert account(second) == (3, 3, 0, 0, 0, 0, 0)
    assert len(receiver.messages) == 3


def test_refused_and_deferred_addresses_are_no_failure(approved, receiver):
    receiver.refuse("bob@example.org")
    receiver.defer("cho@example.net")
    answer = approved.run("send", SLUG, "--yes")
    assert answer.code == 0
    assert "3 planned = 1 sent + 1 failed + 0 skipped + 0 bounced + 0 in doubt + 1 open" in answer.out
    assert "next attempt at" in answer.out
    status = approved.run("status", SLUG)
    assert status.code == 0
    assert "bob@example.org  refused: there is no such mailbox (550 5.1.1 no such mailbox)" in status.out
    assert account(approved.run("status", SLUG, "--json")) == (3, 1, 1, 0, 0, 0, 1)


def test_deferred_row_is_not_tried_before_it_is_due(approved, receiver):
    receiver.defer("cho@example.net")
    approved.run("send", SLUG, "--yes")
    receiver.accept("cho@example.net")
    approved.run("send", SLUG, "--yes")
    assert len(receiver.messages) == 2


@pytest.mark.parametrize("approve_first", [False, True])
def test_unapproved_issue_is_not_sent(room, receiver, approve_first):
    if approve_first:
        room.run("approve", SLUG, "--by", "mark")
        text = (room.root / f"issues/{SLUG}.md").read_text().replace("Nobody was hurt", "Somebody was hurt")
        room.write(f"issues/{SLUG}.md", text)
        line = text.splitlines().index("Somebody was hurt, and the crane is up again.") + 1
        parts = [f"{SLUG}.md:{line}: changed since mark approved it: Somebody was hurt", "newsletter approve"]
    else:
        parts = [f"issues/{SLUG}.md: not approved; 'newsletter approve {SLUG}' approves it"]
    assert_told(room.run("send", SLUG, "--yes"), 1, *parts)
    assert receiver.messages == []


def test_copy_of_an_approved_issue_is_not_approved(approved, receiver):
    approved.write("issues/2026-12-02.md", (approved.root / f"issues/{SLUG}.md").read_bytes())
    assert_told(approved.run("send", "2026-12-02", "--yes"), 1, "changed since mark approved it")


def test_issue_goes_to_somebody_or_stays(tmp_path, receiver):
    room = Newsroom(tmp_path / "empty")
    room.relay(receiver)
    room.issue(SLUG)
    room.run("approve", SLUG)
    assert_told(room.run("send", SLUG, "--yes"), 1, "nobody is on the list", "newsletter subscribers import FILE")
    room.subscribers("ada@example.org")
    assert account(room.run("send", SLUG, "--yes", "--json")) == (1, 1, 0, 0, 0, 0, 0)


def test_unknown_audience_lists_the_known_ones(room, receiver):
    room.issue(SLUG, "audience: readers")
    assert_told(room.run("send", SLUG), 65, "no list 'readers'", "lists: newsletter")


def test_send_late_wants_late(room, receiver):
    room.issue(SLUG, "send_at: 2020-01-01 08:00")
    room.run("approve", SLUG)
    assert_told(room.run("send", SLUG, "--yes"), 1, "too old now", "--late")
    assert room.run("send", SLUG, "--yes", "--late").code == 0
    assert len(receiver.messages) == 3


@pytest.mark.parametrize(
    ("mode", "headers"),
    [
        ("mailto", {"List-Unsubscribe": "<mailto:", "List-Unsubscribe-Post": None}),
        (
            "web",
            {"List-Unsubscribe": "<https://news.example.org/", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        ),
    ],
)
def test_unsubscribe_headers_follow_the_configuration(room, receiver, mode, headers):
    room.environ |= {
        "NEWSLETTER_NEWSLETTER__UNSUBSCRIBE": mode,
        "NEWSLETTER_NEWSLETTER__URL": "https://news.example.org",
    }
    room.run("approve", SLUG)
    assert room.run("send", SLUG, "--yes").code == 0
    message = message_from_bytes(receiver.messages[0].content)
    found = "".join(message["List-Unsubscribe"].split())
    assert found.startswith(headers["List-Unsubscribe"])
    assert "mailto:" in found
    assert ("https:" in found) == (mode == "web")
    assert message["List-Unsubscribe-Post"] == headers["List-Unsubscribe-Post"]


def test_readers_get_their_own_messages(approved, receiver):
    approved.run("subscribers", "add", "dee@example.org", "--name", "Dee Ray")
    approved.run("send", SLUG, "--yes")
    texts = {
        message.envelope.rcpt_to: message_from_bytes(message.content).get_payload(0).get_payload(decode=True).decode()
        for message in receiver.messages
    }
    assert "Good morning Dee Ray." in texts["dee@example.org"]
    assert "Good morning reader." in texts["ada@example.org"]
    assert len({message.envelope.mail_from for message in receiver.messages}) == 4


def test_status_of_every_issue(approved, receiver):
    assert approved.run("status").out.startswith("nothing was sent yet\n")
    upcoming = [{"issue": SLUG, "state": "approved", "send_at": None}]
    assert approved.run("status", "--json").json == {"format": 1, "sends": [], "upcoming": upcoming}
    approved.run("send", SLUG, "--yes")
    assert approved.run("status").out.splitlines()[1].split()[-7:] == ["3", "3", "0", "0", "0", "0", "0"]
    assert approved.run("status", "--json").json["sends"][0]["sent"] == 3
    assert approved.run("status", f"issues/{SLUG}.md").code == 0


# --- proofs ----------------------------------------------------------------------------------------------------------


def test_proof_of_an_unapproved_issue_is_marked_and_changes_nothing(room, receiver):
    answer = room.run("send", SLUG, "--to", "me@example.org", "--json")
    assert answer.code == 0
    assert account(answer) == (1, 1, 0, 0, 0, 0, 0)
    (mail,) = receiver.messages
    assert mail.envelope.rcpt_to == "me@example.org"
    subject = message_from_bytes(mail.content)["Subject"]
    assert subject != "A crane fell"
    assert "A crane fell" in subject
    assert "never sent" in room.run("status", SLUG).err


def test_refused_proof_is_told(room, receiver):
    receiver.refuse("me@example.org")
    assert_told(room.run("send", SLUG, "--to", "me@example.org"), 1, "not accepted", "no such mailbox")


def test_proof_to_what_is_no_address_is_told(room, receiver):
    assert_told(room.run("send", SLUG, "--to", "me"), 65, "'me' is no email address")


def test_lost_proof_is_the_relays_fault(room):
    with SmtpServer() as server:
        room.relay(server)
        server.close_at("data")
        assert_told(room.run("send", SLUG, "--to", "me@example.org"), 69, "not accepted")


def test_placeholder_address_is_warned_of(tmp_path, receiver):
    room = Newsroom(tmp_path / "fresh")
    room.relay(receiver)
    assert room.run("init", str(room.root / "new"), project=False).code == 0
    room.root /= "new"
    (issue,) = (room.root / "issues").glob("*.md")
    room.subscribers("ada@example.org")
    for arguments in (["approve", issue.stem], ["send", issue.stem], ["send", issue.stem, "--yes"]):
        answer = room.run(*arguments)
        assert answer.code == 0, answer
        assert "postal_address is still a placeholder" in answer.err
    assert len(receiver.messages) == 1
    assert room.run("--quiet", "send", issue.stem).err == ""


# --- relays that refuse, hang or vanish ------------------------------------------------------------------------------


def test_relay_that_is_not_there_is_69_and_nothing_is_charged(approved, monkeypatch):
    _wait_shortly(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    approved.environ |= {"NEWSLETTER_SMTP__HOST": "127.0.0.1", "NEWSLETTER_SMTP__PORT": str(port)}
    answer = approved.run("send", SLUG, "--yes", "--json")
    assert_told(answer, 69)
    assert account(answer) == (3, 0, 0, 0, 0, 0, 3)
    assert f"127.0.0.1:{port}: cannot connect" in answer.json["reason"]
    with Receiver() as receiver:
        approved.relay(receiver)
        assert account(approved.run("send", SLUG, "--yes", "--json")) == (3, 3, 0, 0, 0, 0, 0)


def _wait_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run try its relay as often as ever, without the seconds between."""
    usual = newsletter.cli.sending.sender_setup

    def hasty(*arguments):
        return dataclasses.replace(usual(*arguments), reconnect_waits_s=(0.01, 0.01))

    monkeypatch.setattr(newsletter.cli.sending, "sender_setup", hasty)


@pytest.mark.parametrize("slow", ["hang", "drip"])
def test_relay_that_hangs_does_not_hold_the_run(room, slow):
    with SmtpServer() as server:
        room.relay(server)
        room.environ["NEWSLETTER_SMTP__TIMEOUT"] = "1"
        if slow == "hang":
            server.stall_at("connect", times=None)
        else:
            server.drip_at("connect", 0.1, times=None)
        assert_told(room.run("send", SLUG, "--to", "me@example.org"), 69, f"127.0.0.1:{server.port}")


def test_relay_that_vanishes_after_the_dot_leaves_a_row_in_doubt(approved):
    with SmtpServer() as server:
        approved.relay(server)
        approved.environ["NEWSLETTER_SEND__DOUBT"] = "hold"
        server.drop_after_dot()
        answer = approved.run("send", SLUG, "--yes", "--json")
        assert answer.code == 1
        assert account(answer) == (3, 2, 0, 0, 0, 1, 0)
        assert approved.run("status", SLUG).code == 1
        assert approved.run("send", SLUG, "--yes").code == 1
        assert len(server.dotted) == 3


def test_relay_without_tls_gets_nothing(room):
    with SmtpServer() as server:
        room.relay(server, "starttls")
        assert_told(room.run("send", SLUG, "--to", "me@example.org"), 69, "does not offer STARTTLS", "Nothing was sent")
        room.relay(server, "tls")
        room.environ["NEWSLETTER_SMTP__TIMEOUT"] = "2"
        assert_told(room.run("send", SLUG, "--to", "me@example.org"), 69, "no TLS", "Nothing was sent")
        assert server.dotted == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_and_login_work_and_are_verified(room, tmp_path, security):
    certificate = make_certificate(tmp_path)
    with SmtpServer(security=security, certificate=certificate, users={"me": "pass"}) as server:
        room.relay(server, security)
        room.environ |= {"NEWSLETTER_SMTP__USERNAME": "me", "NEWSLETTER_SMTP__PASSWORD": "pass"}
        unknown = room.run("send", SLUG, "--to", "me@example.org")
        assert_told(unknown, 69, "certificate is not accepted", "ca_file")
        room.environ["NEWSLETTER_SMTP__CA_FILE"] = str(certificate.ca_file)
        assert room.run("send", SLUG, "--to", "me@example.org").code == 0
        room.environ["NEWSLETTER_SMTP__PASSWORD"] = "wrong"
        refused = room.run("send", SLUG, "--to", "me@example.org")
        assert_told(refused, 69, "refuses our login")
        assert "wrong" not in refused.err
        assert len(server.accepted) == 1


def test_password_is_not_sent_in_the_clear(room):
    room.environ |= {
        "NEWSLETTER_SMTP__HOST": "relay.example.org",
        "NEWSLETTER_SMTP__SECURITY": "none",
        "NEWSLETTER_SMTP__USERNAME": "me",
    }
    assert_told(room.run("send", SLUG, "--to", "me@example.org"), 78, "for all to read")


# --- stores and secrets ----------------------------------------------------------------------------------------------


def test_another_secret_is_refused_with_the_fix(approved, tmp_path):
    secret = approved.root / "newsletter.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    other = Newsroom(tmp_path / "other")
    other.subscribers("ada@example.org")
    (other.root / "newsletter.secret").replace(secret)
    for arguments in (["send", SLUG, "--yes"], ["subscribers", "list"], ["approve", SLUG]):
        assert_told(approved.run(*arguments), 78, "secret_file", "put the first line back")


def test_lost_secret_is_not_made_anew_beside_its_store(approved):
    secret = approved.root / "newsletter.secret"
    kept = secret.read_bytes()
    secret.unlink()
    for arguments in (["send", SLUG, "--yes"], ["send", SLUG, "--to", "me@example.org"], ["subscribers", "list"]):
        assert_told(approved.run(*arguments), 78, "there is no secret file", "backup")
        assert not secret.exists()
    secret.write_bytes(kept)
    assert approved.run("subscribers", "list").code == 0


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_store_that_is_no_database_is_told(room, content):
    for name in ("newsletter.db", "newsletter.db-wal", "newsletter.db-shm"):
        (room.root / name).unlink(missing_ok=True)
    room.write("newsletter.db", content)
    for arguments in (["send", SLUG], ["send", "--due"], ["status"], ["subscribers", "list"], ["migrate"]):
        assert_told(room.run(*arguments), 65, "newsletter.db", "restore the latest backup")


def test_store_in_a_folder_that_is_not_there_is_told(room):
    room.environ["NEWSLETTER_STORE__URL"] = "sqlite:///nowhere/newsletter.db"
    assert_told(room.run("send", SLUG), 75, "nowhere/newsletter.db", "[store] url")


def test_locked_store_is_75(approved, receiver, monkeypatch):
    # A command waits ten seconds for another; a tenth of one is as good here.
    monkeypatch.setattr(newsletter.store, "open_store", partial(open_store, timeout_s=0.1))
    holder = sqlite3.connect(approved.root / "newsletter.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        answer = approved.run("subscribers", "add", "dee@example.org")
    finally:
        holder.close()
    assert_told(answer, 75, "held by another command", "try again")


def test_second_run_at_the_same_time_is_75(approved, receiver):
    with open_store(f"sqlite:///{approved.root}/newsletter.db") as store, store.run_lock("somebody"):
        assert_told(approved.run("send", SLUG, "--yes"), 75, "another run holds the lock")
        assert approved.run("send", "--due").code == 0
    assert receiver.messages == []
    assert approved.run("send", SLUG, "--yes").code == 0
    assert len(receiver.messages) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_the_message_in_hand_finish(approved, number):
    with SmtpServer() as server:
        approved.relay(server)
        held = _HeldServer(server)
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", "--project", str(approved.root), "send", SLUG, "--yes", "--json"],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                **approved.environ,
                "NEWSLETTER_SEND__CONNECTIONS": "1",  # the others would have sent theirs by then
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        held.wait_for_first_dot()
        waits = waits_of(process.pid)
        process.send_signal(number)
        wait_for(lambda: waits_of(process.pid) > waits, what="the signal did not arrive")
        held.let_go()
        out, err = process.communicate(timeout=60)
    answer = Answer(process.returncode, out, err)
    assert answer.code == 75, answer
    assert answer.json["ending"] == "stopped"
    assert account(answer) == (3, 1, 0, 0, 0, 0, 2)
    with Receiver() as receiver:
        approved.relay(receiver)
        assert account(approved.run("send", SLUG, "--yes", "--json")) == (3, 3, 0, 0, 0, 0, 0)
        assert len(receiver.messages) == 2


class _HeldServer:
    """Hold back the answer to the first dot until the test says so."""

    def __init__(self, server: SmtpServer) -> None:
        self._arrived, self._free = threading.Event(), threading.Event()

        def act(session) -> None:
            self._arrived.set()
            self._free.wait(60)
            session.write(b"250 2.0.0 taken\r\n")

        server._add("dot", act, 1, 0)

    def wait_for_first_dot(self) -> None:
        assert self._arrived.wait(60)

    def let_go(self) -> None:
        self._free.set()


def waits_of(pid: int) -> int:
    """Return how often the main thread of a process has begun to wait: once more when it has handled a signal."""
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(re.search(r"(?m)^voluntary_ctxt_switches:\s+(\d+)", status)[1])


def test_progress_is_shown_on_a_terminal_and_nowhere_else(approved, receiver):
    reader, terminal = os.openpty()
    try:
        child = subprocess.run(
            [sys.executable, "-m", "newsletter", "--project", str(approved.root), "send", SLUG, "--yes"],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", **approved.environ},
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=60,
            check=False,
        )
        shown = os.read(reader, 100_000)
    finally:
        os.close(reader)
        os.close(terminal)
    assert child.returncode == 0
    assert b"3 done" in shown
    assert b"3 planned = 3 sent" in child.stdout
    assert len(receiver.messages) == 3


@pytest.mark.parametrize("arguments", [[], [SLUG, "--due"], [SLUG, "--yes", "--to", "a@b.org"], ["--due", "--yes"]])
def test_unclear_wish_is_a_usage_error(room, arguments):
    assert_told(room.run("send", *arguments), 2, "give one of")


def test_database_server_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("psycopg", reason="without psycopg no PostgreSQL is asked")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    room = Newsroom(tmp_path, config=CONFIG + f'[store]\nurl = "postgresql://me:hush@127.0.0.1:{port}/news"\n')
    room.issue(SLUG)
    for arguments in (["status"], ["send", "--due"], ["subscribers", "list"]):
        answer = room.run(*arguments)
        assert_told(answer, 75, "cannot be reached", "[store] url")
        assert "hush" not in answer.err
