"""Replies as text; what a relay does on the wire is tested with the whole of ``smtp``, in test_smtp.py."""

import socket

import pytest
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
