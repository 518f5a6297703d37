"""Replies as text; what a relay does on the wire is tested with the whole of ``smtp``, in test_smtp.py."""

import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from certificates import make_certificate
from hypothesis import given
from hypothesis import strategies as st

from newsletter.model import Stage
from newsletter.wire import Wire, clean_text, parse_reply


@pytest.mark.parametrize(
    ("code", "texts", "expected"),
    [
        (550, ["5.1.1 no such user"], ("5.1.1", "no such user")),
        (550, ["no such user"], ("", "no such user")),
        (550, ["4.1.1 odd"], ("", "4.1.1 odd")),
        (250, ["2.0.0"], ("2.0.0", "")),
        (250, ["1.2.3.4 is here"], ("", "1.2.3.4 is here")),
        (550, ["5.7.1 a", "5.7.1 b", "c"], ("5.7.1", "a b c")),
        (550, [], ("", "")),
    ],
)
def test_enhanced_status_is_taken_out_of_the_text(code, texts, expected):
    reply = parse_reply(code, texts, Stage.RCPT)
    assert (reply.enhanced, reply.text) == expected


@given(st.integers(200, 599), st.lists(st.text(), max_size=5))
def test_any_text_makes_a_reply_of_bounded_length(code, texts):
    reply = parse_reply(code, texts, Stage.DOT)
    assert len(reply.text) <= 500
    assert reply.enhanced == "" or reply.enhanced[0] == str(code)[0]


def test_reply_that_is_late_has_timed_out_even_where_octets_are_there():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"250 ")
        wire = Wire(ours, timeout=20)
        assert wire.has_answer()
        with pytest.raises(TimeoutError):
            wire.read_reply(Stage.MAIL, seconds=0)


@given(st.text() | st.binary())
def test_foreign_text_becomes_one_printable_line(foreign):
    text = clean_text(foreign)
    assert text.isprintable()
    assert len(text) <= 500
    assert text == text.strip()


BIG = b"".join(b"line %07d\r\n" % number for number in range(200_000))
"""Far more than the buffers of a connection hold."""


@contextmanager
def a_wire(tls, tmp_path):
    """Yield a wire, secured where ``tls`` says so, and the relay's end of it."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(20)
    with ours, theirs:
        wire = Wire(ours, timeout=20)
        if not tls:
            yield wire, theirs
            return
        certificate = make_certificate(tmp_path, host="relay.example")
        secured = []
        accept = threading.Thread(
            target=lambda: secured.append(certificate.server_context().wrap_socket(theirs, server_side=True))
        )
        accept.start()
        context = ssl.create_default_context(cafile=str(certificate.ca_file))
        with wire.secure(context, "relay.example"):
            accept.join()
            with secured[0] as relay:
                yield wire, relay


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_slow_relay_gets_every_octet_once_and_in_order(tls, tmp_path):
    with a_wire(tls, tmp_path) as (wire, relay):
        writing = threading.Thread(target=wire.write, args=(BIG, 60))
        writing.start()
        found = bytearray()
        while len(found) < len(BIG) and (piece := relay.recv(3001)):
            found += piece
        writing.join()
        relay.sendall(b"250-2.0.0 Ok\r\n")
        relay.sendall(b"250 2.0.0 queued\r\n")
        assert wire.read_reply(Stage.DOT, 20).text == "Ok queued"
    assert bytes(found) == BIG


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_relay_that_takes_nothing_times_out(tls, tmp_path):
    with a_wire(tls, tmp_path) as (wire, _), pytest.raises(TimeoutError):
        wire.write(BIG, 0.2)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_relay_that_says_nothing_times_out_and_can_be_asked_without_a_wait(tls, tmp_path):
    with a_wire(tls, tmp_path) as (wire, relay):
        assert not wire.has_answer()
        with pytest.raises(TimeoutError):
            wire.read_reply(Stage.MAIL, 0.1)
        relay.sendall(b"421 closing\r\n")
        assert wire.read_reply(Stage.MAIL, 20).code == 421


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_relay_that_hangs_up_is_noticed(tls, tmp_path):
    with a_wire(tls, tmp_path) as (wire, relay):
        relay.close()
        with pytest.raises(OSError, match=r"closed|EOF|reset|violation"):
            wire.read_reply(Stage.MAIL, 20)
