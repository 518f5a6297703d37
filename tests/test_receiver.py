"""The embedded receiver: it keeps what it accepts, and answers each recipient as scripted."""

import smtplib
import socket

import pytest

from newsletter.model import Envelope, Message, Stage
from newsletter.receiver import Received, Receiver
from newsletter.smtp import open_transport

CONTENT = b"Subject: hello\r\n\r\nGood morning.\r\n"


def send(receiver, *addresses, content=CONTENT):
    with open_transport(receiver.section) as connection:
        return [
            connection.transact(Message(Envelope("me@example.org", to), "<1@example.org>", content), lambda: True)
            for to in addresses
        ]


def test_accepted_message_is_kept_byte_for_byte():
    with Receiver() as receiver:
        [reply] = send(receiver, "ann@example.org")
    assert (reply.code, reply.stage) == (250, Stage.DOT)
    assert receiver.messages == [Received(Envelope("me@example.org", "ann@example.org"), CONTENT)]


def test_each_recipient_is_answered_as_scripted():
    with Receiver() as receiver:
        receiver.refuse("bob@example.org", 550, "5.1.1 no such mailbox")
        receiver.defer("eve@example.org", 451)
        bob, eve, ann = send(receiver, "bob@example.org", "eve@example.org", "ann@example.org")
        receiver.accept("eve@example.org")
        [again] = send(receiver, "eve@example.org")
    assert (bob.code, bob.enhanced, bob.stage) == (550, "5.1.1", Stage.RCPT)
    assert (eve.code, eve.enhanced) == (451, "4.2.1")
    assert (ann.code, again.code) == (250, 250)
    assert [each.envelope.rcpt_to for each in receiver.messages] == ["ann@example.org", "eve@example.org"]


def test_dots_are_unstuffed():
    with Receiver() as receiver, smtplib.SMTP(receiver.host, receiver.port, local_hostname="localhost") as client:
        client.sendmail("me@example.org", ["ann@example.org"], "Subject: dots\n\n.one\n..two\n")
    assert receiver.messages[0].content == b"Subject: dots\r\n\r\n.one\r\n..two\r\n"


def test_message_to_several_is_kept_once_for_each():
    with Receiver() as receiver, smtplib.SMTP(receiver.host, receiver.port, local_hostname="localhost") as client:
        client.sendmail("me@example.org", ["ann@example.org", "bob@example.org"], CONTENT)
    assert [each.envelope.rcpt_to for each in receiver.messages] == ["ann@example.org", "bob@example.org"]


def test_each_message_is_announced():
    seen = []
    with Receiver(on_message=seen.append) as receiver:
        send(receiver, "ann@example.org", "bob@example.org")
    assert seen == receiver.messages
    assert len(seen) == 2


def test_address_beyond_ascii_is_taken():
    with Receiver() as receiver:
        [reply] = send(receiver, "zoë@example.org")
    assert reply.code == 250
    assert receiver.messages[0].envelope.rcpt_to == "zoë@example.org"


def test_it_listens_on_this_machine_alone_and_only_within_the_block():
    with Receiver() as receiver:
        assert receiver.host == "127.0.0.1"
        [listening] = receiver._server.sockets
        assert listening.getsockname() == ("127.0.0.1", receiver.port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((receiver.host, receiver.port), 5)


def test_receiver_that_cannot_listen_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(Receiver, "host", "192.0.2.1")
    receiver = Receiver()
    with pytest.raises(OSError, match="assign"):
        receiver.__enter__()
    assert not receiver._thread.is_alive()


def test_open_session_does_not_keep_the_block_from_ending():
    with Receiver() as receiver:
        connection = open_transport(receiver.section)
    assert (
        connection.transact(
            Message(Envelope("a@example.org", "b@example.org"), "<1@x>", CONTENT), lambda: True
        ).in_doubt
        is False
    )
    connection.close()


def test_two_receivers_stand_beside_each_other():
    with Receiver() as one, Receiver() as two:
        assert one.port != two.port
        send(two, "ann@example.org")
    assert (len(one.messages), len(two.messages)) == (0, 1)
