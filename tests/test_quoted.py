"""Quoted-printable blocks join to the text with the values put in, whatever the text, and need nothing from a relay."""

import email
import quopri
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.quoted import LINE_MAX, encode_static, encode_value

# Text that tends to find the corners: long runs, dots and "From " where a line may begin, trailing white space.
corners = st.lists(
    st.sampled_from(
        ["a", "x" * 73, "x" * 74, "x" * 75, "x" * 76, ".", "..", "From ", "=", " ", "\t", "é", "王", "👩‍🚀", "\n", "\0"]
    ),
    max_size=12,
).map("".join)
texts = st.one_of(corners, st.text())
values = texts.map(lambda text: re.sub(r"[\r\n]", " ", text))


def check(encoded: bytes) -> None:
    """Check what holds of every encoded body that ends in CRLF or not at all."""
    assert encoded.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", encoded)
    for line in encoded.split(b"\r\n"):
        assert len(line) <= LINE_MAX
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
    assert not re.search(rb"=(?![0-9A-F]{2}|\r\n)", encoded)
    assert b"=_" not in encoded


@given(st.lists(st.tuples(texts, values), max_size=4), texts)
@example([("a", ""), ("", "")], "")
@example([("a ", " ")], "\n")
@example([("x" * 76, "=" * 80)], ".\n")
@example([("From", " me")], "From you\n")
def test_blocks_join_to_the_text_with_the_values_put_in(pairs, last):
    encoded = b"".join(encode_static(static, before_slot=True) + encode_value(value) for static, value in pairs)
    encoded += encode_static(last + "\n")
    check(encoded)
    plain = "".join(re.sub(r"\r\n?", "\n", static) + value for static, value in pairs)
    plain += re.sub(r"\r\n?", "\n", last + "\n")
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n") == plain.encode()
    parsed = email.message_from_bytes(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded)
    assert parsed.get_payload(decode=True) == plain.replace("\n", "\r\n").encode()


@given(values)
def test_a_value_decodes_to_itself_and_ends_in_a_soft_break(value):
    encoded = encode_value(value)
    check(encoded)
    assert encoded == b"" or encoded.endswith(b"=\r\n")
    assert quopri.decodestring(encoded) == value.encode()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("", b""),
        ("Ann", b"Ann=\r\n"),
        ("Ann ", b"Ann =\r\n"),
        (".Ann", b"=2EAnn=\r\n"),
        ("From Ann", b"=46rom Ann=\r\n"),
        ("From", b"From=\r\n"),
        ("a=b", b"a=3Db=\r\n"),
        ("Zoë", b"Zo=C3=AB=\r\n"),
        ("a\tb", b"a=09b=\r\n"),
        ("x" * 75, b"x" * 75 + b"=\r\n"),
        ("x" * 76, b"x" * 75 + b"=\r\nx=\r\n"),
        ("x" * 75 + ".", b"x" * 75 + b"=\r\n=2E=\r\n"),
        ("." * 76, b"=2E" + b"." * 72 + b"=\r\n=2E..=\r\n"),
        ("x" * 74 + "é", b"x" * 74 + b"=\r\n=C3=A9=\r\n"),
        ("x" * 72 + "é", b"x" * 72 + b"=C3=\r\n=A9=\r\n"),
        ("x" * 75 + "From me", b"x" * 75 + b"=\r\n=46rom me=\r\n"),
    ],
)
def test_values_byte_by_byte(value, encoded):
    assert encode_value(value) == encoded


@pytest.mark.parametrize(
    ("text", "before_slot", "encoded"),
    [
        ("", False, b""),
        ("", True, b""),
        ("a\nb\n", False, b"a\r\nb\r\n"),
        ("a\nb\n", True, b"a\r\nb\r\n"),
        ("a\r\nb\rc", False, b"a\r\nb\r\nc"),
        ("Hello ", True, b"Hello =\r\n"),
        ("Hello ", False, b"Hello=20"),
        ("a \nb\t\n", False, b"a=20\r\nb=09\r\n"),
        ("x" * 76, False, b"x" * 76),
        ("x" * 76, True, b"x" * 75 + b"=\r\nx=\r\n"),
        ("x" * 77, False, b"x" * 75 + b"=\r\nxx"),
        ("x" * 75 + " ", False, b"x" * 75 + b"=\r\n=20"),
        (".\n..\nFrom me\n", False, b"=2E\r\n=2E.\r\n=46rom me\r\n"),
    ],
)
def test_static_text_byte_by_byte(text, before_slot, encoded):
    assert encode_static(text, before_slot=before_slot) == encoded
