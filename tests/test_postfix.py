"""Mail through a real Postfix to real mailboxes, and to Postfix's smtp-sink: what no server of ours can pretend."""

import email
import email.policy
import re
from collections import Counter

import dkim
import pytest
from dkim_vectors import ED25519_PEM, RSA_PEM
from newsroom import Newsroom
from postfix_server import PostfixServer, running_sink
from proof.scene import (
    IDENTITY,
    Clock,
    connector,
    fill_store,
    leave,
    make_edition,
    make_setup,
    open_scene,
    people,
    rows_of,
    run_to_end,
)

from newsletter.delivery import State
from newsletter.dkim import Signer, dns_record
from newsletter.dkimkeys import parse_key
from newsletter.message import prepare_message
from newsletter.model import Recipient
from newsletter.sender import run_send
from newsletter.tokens import SAMPLE_KEYS

ADDED = re.compile(rb"(?:(?:Return-Path|X-Original-To|Delivered-To|Received): .*\n(?:[ \t].*\n)*)+")
"""What Postfix puts before a message."""


def sent_bytes(message: bytes) -> bytes:
    """Return a delivered message as it was sent, but for CRLF."""
    added = ADDED.match(message)
    assert added, message[:500]
    return message[added.end() :]


@pytest.fixture
def scene(tmp_path):
    """Return what plans a send to the people it is given, on a store of its own."""

    def plan(*addresses, edition=None):
        url = f"sqlite:///{tmp_path / 'store.db'}"
        return url, fill_store(url, addresses, edition)

    return plan


# --- to mailboxes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["none", "starttls"])
def test_every_byte_reaches_the_mailbox(postfix: PostfixServer, scene, security):
    # Long lines, a dot at the start of one, trailing blanks, and letters beyond ASCII: what mail on its way may harm.
    edition = make_edition(".dot\n..dots\nblank \n中国 – Zoë\n" + "long " * 300 + "\n")
    url, send_id = scene(*people(12), edition=edition)
    secure = {"security": security, "ca_file": str(postfix.certificate.ca_file)}
    with open_scene(url) as store:
        report = run_to_end(store, send_id, make_setup(connector(postfix.port, **secure), Clock()), Clock())
        rows = rows_of(store, send_id)
        date = store.sends.load_send(send_id).started_at
    assert (report.account.sent, report.account.open) == (12, 0)
    prepared = prepare_message(edition, IDENTITY, SAMPLE_KEYS, date=date, send_id=send_id)
    for address, row in rows.items():
        [message] = postfix.wait_for_mail(address.partition("@")[0])
        list_id = 1
        wanted = prepared.personalise(Recipient(row.subscriber_id, list_id, address)).content
        assert sent_bytes(message) == wanted.replace(b"\r\n", b"\n")
        assert message.startswith(b"Return-Path: <bounces+")


def test_signatures_outlive_the_relay(postfix: PostfixServer, scene):
    """Over several connections each, what Postfix delivered still verifies; and not if a word of it is changed."""
    edition = make_edition("中国 – trailing blanks   \n\n\n")
    url, send_id = scene(*people(20), edition=edition)
    signer = Signer(IDENTITY.domain, (parse_key(RSA_PEM, "rsa", "rsa"), parse_key(ED25519_PEM, "ed", "ed")))
    records = dict(dns_record(key, signer.domain) for key in signer.keys)
    with open_scene(url) as store:
        setup = make_setup(connector(postfix.port), Clock(), 4, dkim=signer)
        assert run_send(store, send_id, setup).account.sent == 20

    def look_up(name: bytes, timeout: float = 0) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    for user in (address.partition("@")[0] for address in people(20)):
        [message] = postfix.wait_for_mail(user)
        delivered = message.replace(b"\n", b"\r\n")
        changed = delivered.replace(b"Main Street", b"Wall Street")
        assert [dkim.DKIM(delivered).verify(index, look_up) for index in (0, 1)] == [True, True]
        with pytest.raises(dkim.ValidationError, match="body hash"):
            dkim.DKIM(changed).verify(0, look_up)


def test_whole_way_from_the_command_to_the_mailbox(postfix: PostfixServer, tmp_path):
    room = Newsroom(tmp_path / "room")
    room.relay(postfix)
    room.issue()
    room.subscribers("ann@readers.test", "bob@readers.test", "nobody-knows@readers.test", "cyd+news@readers.test")
    assert room.run("approve", "2026-11-25").code == 0
    answer = room.run("send", "2026-11-25", "--yes", "--json")
    assert (answer.json["sent"], answer.json["failed"], answer.json["open"]) == (3, 1, 0), answer
    for user in ("ann", "bob", "cyd"):
        [message] = postfix.wait_for_mail(user)
        parsed = email.message_from_bytes(message, policy=email.policy.default)
        assert parsed["Subject"] == "A crane fell"
        assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
        assert "A crane fell" in parsed.get_body(("plain",)).get_content()
    again = room.run("send", "2026-11-25", "--yes", "--json")
    assert again.code == 0, again
    postfix.wait_until_idle()
    assert [len(postfix.inbox(user)) for user in ("ann", "bob", "cyd")] == [1, 1, 1]


def test_unknown_user_is_a_hard_bounce(postfix: PostfixServer, scene):
    url, send_id = scene("ann@readers.test", "nobody-knows@readers.test", "bob@readers.test")
    with open_scene(url) as store:
        run_send(store, send_id, make_setup(connector(postfix.port), Clock()))
        rows = rows_of(store, send_id)
        unknown = rows["nobody-knows@readers.test"]
        assert (unknown.state, unknown.attempts) == (State.FAILED, 1)
        assert (unknown.reply.code, unknown.reply.enhanced) == (550, "5.1.1")
        assert store.subscribers.find_suppression("nobody-knows@readers.test")
        assert not store.subscribers.find_suppression("ann@readers.test")
    assert len(postfix.wait_for_mail("ann")) == len(postfix.wait_for_mail("bob")) == 1


def test_foreign_domain_is_refused_because_of_us(postfix: PostfixServer, scene):
    """A relay that does not relay for us says nothing about the reader, who stays on the list."""
    url, send_id = scene("ann@elsewhere.test")
    with open_scene(url) as store:
        run_send(store, send_id, make_setup(connector(postfix.port), Clock()))
        row = rows_of(store, send_id)["ann@elsewhere.test"]
        assert (row.state, row.reply.code, row.reply.enhanced) == (State.FAILED, 554, "5.7.1")
        assert not store.subscribers.find_suppression("ann@elsewhere.test")


def test_bounce_after_acceptance_comes_to_the_return_path(postfix: PostfixServer, scene):
    url, send_id = scene("ghost@readers.test", "ann@readers.test")
    with open_scene(url) as store:
        report = run_send(store, send_id, make_setup(connector(postfix.port), Clock()))
    assert report.account.sent == 2
    [dsn] = postfix.wait_for_mail("bounces")
    parsed = email.message_from_bytes(dsn, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Delivered-To"].startswith("bounces+")
    status = parsed.get_payload(1).get_payload()
    assert (status[1]["Final-Recipient"], status[1]["Status"]) == ("rfc822; ghost@readers.test", "5.1.1")
    assert parsed.get_payload(2).get_payload(0)["Message-ID"].endswith(f"@{IDENTITY.domain}>")


def test_greylisted_is_sent_when_its_time_has_come(postfix: PostfixServer, scene):
    url, send_id = scene("greylisted@readers.test", "ann@readers.test")
    clock = Clock()
    with open_scene(url) as store:
        setup = make_setup(connector(postfix.port), clock)
        assert run_send(store, send_id, setup).account.open == 1
        row = rows_of(store, send_id)["greylisted@readers.test"]
        assert (row.state, row.attempts, row.reply.code) == (State.PENDING, 1, 450)
        clock.forward(minutes=1)
        assert run_send(store, send_id, setup).account.open == 1, "it is not due yet"
        postfix.lift_greylisting()
        clock.forward(minutes=6)
        assert run_send(store, send_id, setup).account.sent == 2
    assert len(postfix.wait_for_mail("greylisted")) == len(postfix.wait_for_mail("ann")) == 1


def test_what_the_queue_puts_off_is_sent_once(postfix: PostfixServer, scene):
    """Accepted is not delivered, and no reason to mail again: the relay keeps at it."""
    url, send_id = scene("full@readers.test", "ann@readers.test")
    clock = Clock()
    with open_scene(url) as store:
        setup = make_setup(connector(postfix.port), clock)
        assert run_send(store, send_id, setup).account.sent == 2
        postfix.wait_for_mail("ann")
        postfix.wait_for_log("status=deferred")
        clock.forward(hours=1)
        assert run_send(store, send_id, setup).recorded == 0
    postfix.open_mailbox()
    postfix.wait_for_mail("full")
    postfix.wait_until_idle()
    assert len(postfix.inbox("full")) == 1


def test_who_leaves_gets_nothing(postfix: PostfixServer, scene):
    url, send_id = scene("ann@readers.test", "bob@readers.test")
    with open_scene(url) as store:
        assert leave(store, "bob@readers.test")
        account = run_send(store, send_id, make_setup(connector(postfix.port), Clock())).account
    assert (account.sent, account.skipped) == (1, 1)
    postfix.wait_for_mail("ann")
    postfix.wait_until_idle()
    assert not postfix.inbox("bob")


# --- to smtp-sink ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-p",), ("-e",), ("-8", "-E")], ids=["pipelining", "plain", "helo", "bare"])
def test_sink_gets_every_message_once(tmp_path, scene, options):
    url, send_id = scene(*people(60))
    (tmp_path / "sink").mkdir()
    with running_sink(tmp_path / "sink", *options) as sink, open_scene(url) as store:
        report = run_send(store, send_id, make_setup(connector(sink.port), Clock()))
        taken = sink.messages()
    assert (report.account.sent, report.account.open) == (60, 0)
    assert Counter(recipient for recipient, _ in taken) == Counter(people(60))
    for recipient, content in taken:
        assert f"\nTo: {recipient}\n".encode() in content


@pytest.mark.parametrize(
    ("options", "state", "attempts"),
    [
        (("-r", "RCPT"), State.PENDING, 1),
        (("-r", "DATA"), State.PENDING, 1),
        (("-r", "."), State.PENDING, 1),
        (("-f", "."), State.FAILED, 1),
        (("-f", "RCPT"), State.FAILED, 1),
        (("-Q", "MAIL"), State.PENDING, 0),
        (("-Q", "RCPT"), State.PENDING, 0),
        (("-q", "DATA"), State.PENDING, 0),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else None,
)
def test_sink_that_will_not_take_it(tmp_path, scene, options, state, attempts):
    """A server of others misbehaves as it can: nobody is lost, and trouble of the connection is charged to nobody."""
    url, send_id = scene(*people(3))
    (tmp_path / "sink").mkdir()
    with running_sink(tmp_path / "sink", *options) as sink, open_scene(url) as store:
        run_send(store, send_id, make_setup(connector(sink.port), Clock()))
        rows = rows_of(store, send_id)
        account = store.sends.account(send_id)
    assert {(row.state, row.attempts) for row in rows.values()} == {(state, attempts)}
    assert account.closes


def test_sink_that_hangs_up_after_the_dot_leaves_doubt(tmp_path, scene):
    url, send_id = scene(*people(3))
    (tmp_path / "sink").mkdir()
    with running_sink(tmp_path / "sink", "-q", ".") as sink, open_scene(url) as store:
        run_send(store, send_id, make_setup(connector(sink.port), Clock(), doubt="hold"))
        rows = rows_of(store, send_id)
    assert {(row.state, row.doubts) for row in rows.values()} == {(State.IN_DOUBT, 1)}
