"""Header fields are 7-bit, folded, injection-proof, and read back by the standard library as what was meant."""

import email
import email.policy
import re
from email.header import decode_header, make_header

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.addresses import Mailbox
from newsletter.errors import InputError
from newsletter.headers import (
    LINE_IDEAL,
    LINE_MAX,
    NAME_MAX,
    clean_header_text,
    clean_line,
    encoded_words,
    mailbox_header,
    refuse_injection,
    structured_header,
    text_header,
    uris_header,
)

anything = st.text(st.characters(exclude_categories=()))
awkward = st.lists(
    st.sampled_from(
        [
            "a",
            " ",
            "  ",
            '"',
            "\\",
            "<",
            ">",
            ",",
            "(",
            ")",
            "@",
            "=?",
            "?=",
            "=?utf-8?q?a?=",
            "é",
            "王",
            "👩‍🚀",
            "word",
            "x" * 80,
            ".",
            ":",
            ";",
            "_",
        ]
    ),
    max_size=15,
).map("".join)
texts = st.one_of(anything, awkward)

INJECTIONS = [
    "A\r\nBcc: x@example.com",
    "A\nBcc: x@example.com",
    "A\rBcc: x@example.com",
    "A\0B",
    "A\x0bB",
    "A\x85Bcc: x@example.com",
    "A\u2028Bcc: x@example.com",
    "A =?UTF-8?Q?=0A?=Bcc: x@example.com",
    "A =?UTF-8?Q?=0D=0A?=Bcc: x@example.com",
    "=?utf-8?b?QQ0KQmNjOiB4QGV4YW1wbGUuY29t?=",
    "=?utf-7?q?A+AAoBcc:?=",
    "=?unicode_escape?q?=5Cn?= Bcc: x@example.com",
    "=?utf-16?b?CgA=?=",
    "=?utf-8?q?=3D=3Futf-8=3FQ=3F=3D0A=3F=3D?= Bcc: x@example.com",
    "=?utf-8?b?a?= =?utf-8?q?=0A?=Bcc: x@example.com",
    "=?utf-16?q?=0ABcc:_x@example.com?=",
    "=?nonsense?q?=0A?= Bcc: x@example.com",
]


def nested(text, depth):
    """Return ``text`` inside of encoded-words inside of encoded-words."""
    for _ in range(depth):
        text = "=?utf-8?q?" + "".join(f"={octet:02X}" for octet in text.encode()) + "?="
    return text


INJECTIONS += [nested("A\nBcc: x@example.com", 3), nested("A\nB", 5)]


def check(field: bytes) -> None:
    """Check what holds of every field."""
    assert field.isascii()
    assert field.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", field)
    lines = field.decode().split("\r\n")[:-1]
    for index, line in enumerate(lines):
        assert len(line) <= LINE_MAX
        assert line.strip()
        assert bool(index) == line.startswith(" ")
        assert not line.endswith(" ")
        for word in re.findall(r"=\?\S*?\?[qb]\?\S*?\?=", line):
            assert len(word) <= 75
            assert len(line) <= 76
            decode_header(word)[0][0].decode("utf-8")


def parsed(field: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(field + b"\r\n", policy=email.policy.default)


# Unstructured text


@given(texts)
@example("x" * 2000)
@example("word " * 300)
@example("a" + " " * 100 + "b")
@example(" ".join(["=?utf-8?q?a?="] * 3))
def test_any_subject_reads_back(text):
    text = clean_line(text)
    field = text_header("Subject", text)
    check(field)
    raw = email.message_from_bytes(field + b"\r\n")["Subject"]
    assert str(make_header(decode_header(re.sub(r"\r\n(?=[ \t])", "", raw)))) == text
    assert parsed(field)["Subject"] == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_subjects_stay_plain_and_short(text):
    text = clean_line(text)
    field = text_header("Subject", text)
    if "=?" not in text and all(len(word) < 60 for word in text.split(" ")) and "  " not in text:
        assert field.replace(b"\r\n ", b" ") == f"Subject: {text}".rstrip().encode() + b"\r\n"
        assert all(len(line) <= LINE_IDEAL for line in field.split(b"\r\n"))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("China reins in", b"Subject: China reins in\r\n"),
        ("", b"Subject:\r\n"),
        ("Zoë", b"Subject: =?utf-8?q?Zo=C3=AB?=\r\n"),
        ("王小明", b"Subject: =?utf-8?b?546L5bCP5piO?=\r\n"),
        ("100 % sure?", b"Subject: 100 % sure?\r\n"),
        ("What =?utf-8?q?a?= is", b"Subject: =?utf-8?b?V2hhdCA9P3V0Zi04P3E/YT89IGlz?=\r\n"),
        ("w" * 60 + " " + "v" * 60, b"Subject: " + b"w" * 60 + b"\r\n " + b"v" * 60 + b"\r\n"),
        ("é" * 10, b"Subject: =?utf-8?b?w6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\r\n"),
        (
            "王" * 20,
            b"Subject: =?utf-8?b?" + b"546L" * 13 + b"?=\r\n =?utf-8?b?" + b"546L" * 7 + b"?=\r\n",
        ),
    ],
)
def test_subjects_byte_by_byte(text, field):
    assert text_header("Subject", text) == field


# Mailboxes


@given(texts)
@example("x" * 250)
@example("Doe, Jane " * 10)
@example('"')
@example("\\")
def test_any_display_name_reads_back(name):
    name = clean_line(name)
    field = mailbox_header("To", Mailbox(name, "ann@example.org"))
    check(field)
    message = parsed(field)
    (address,) = message["To"].addresses
    assert address.addr_spec == "ann@example.org"
    assert not message["To"].defects
    raw = re.sub(r"\r\n(?=[ \t])", "", email.message_from_bytes(field + b"\r\n")["To"])
    shown = raw.removesuffix("<ann@example.org>").rstrip() if name else ""
    is_quoted = shown.startswith('"')
    shown = re.sub(r"\\(.)", r"\1", shown[1:-1]) if is_quoted else str(make_header(decode_header(shown)))
    assert shown == name[:NAME_MAX].strip()


@given(texts)
def test_an_address_beyond_ascii_stays_out_of_the_header(name):
    field = mailbox_header("To", Mailbox(clean_line(name), "zoë@example.org"))
    check(field)
    header = parsed(field)["To"]
    assert header.addresses == ()
    assert len(header.groups) == 1
    assert not header.defects


@pytest.mark.parametrize(
    ("mailbox", "field"),
    [
        (Mailbox("", "a@b.org"), b"To: a@b.org\r\n"),
        (Mailbox("Ann Lee", "a@b.org"), b"To: Ann Lee <a@b.org>\r\n"),
        (Mailbox("Lee, Ann", "a@b.org"), b'To: "Lee, Ann" <a@b.org>\r\n'),
        (Mailbox('A "B" \\ C', "a@b.org"), b'To: "A \\"B\\" \\\\ C" <a@b.org>\r\n'),
        (Mailbox("A.  B", "a@b.org"), b'To: "A.  B" <a@b.org>\r\n'),
        (Mailbox("Zoë", "a@b.org"), b"To: =?utf-8?q?Zo=C3=AB?= <a@b.org>\r\n"),
        (Mailbox("a@b.org", "a@b.org"), b'To: "a@b.org" <a@b.org>\r\n'),
        (Mailbox("N" * 60, "a@example.org"), b"To: " + b"N" * 60 + b"\r\n <a@example.org>\r\n"),
        (
            Mailbox("N" * 75, "a@b.org"),
            b"To: =?utf-8?q?" + b"N" * 60 + b"?=\r\n =?utf-8?q?" + b"N" * 15 + b"?= <a@b.org>\r\n",
        ),
        (Mailbox("", "zoë@b.org"), b"To: undisclosed-recipients:;\r\n"),
        (Mailbox("Zoë", "zoë@b.org"), b"To: =?utf-8?q?Zo=C3=AB?= :;\r\n"),
    ],
)
def test_mailboxes_byte_by_byte(mailbox, field):
    assert mailbox_header("To", mailbox) == field
    check(field)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.integers(25, 76))
def test_encoded_words_fit_and_never_cut_a_character(text, first_room):
    words = encoded_words(text, first_room)
    assert len(words[0]) <= first_room
    assert all(len(word) <= 75 for word in words)
    assert "".join(decode_header(word)[0][0].decode("utf-8") for word in words) == text


# Structured fields


def test_uris_stand_whole_on_lines_of_their_own():
    long = "https://news.example.org/" + "a" * 200
    assert uris_header("List-Unsubscribe", (long, "mailto:b@c.org")) == (
        f"List-Unsubscribe: <{long}>,\r\n <mailto:b@c.org>\r\n".encode()
    )
    assert uris_header("List-Unsubscribe", ("mailto:b@c.org",)) == b"List-Unsubscribe: <mailto:b@c.org>\r\n"


@pytest.mark.parametrize(
    "uri", ["https://a b", "https://a>", "https://é", "https://a\r\nBcc: x", "https://a,b", "x" * 990]
)
def test_what_is_no_uri_is_refused(uri):
    with pytest.raises(InputError):
        uris_header("List-Unsubscribe", (uri,))


@pytest.mark.parametrize("value", ["", " a", "a ", "a  b", "é", "a\r\nB: c", "a\tb", "\0", "x" * 998])
def test_a_structured_value_is_printable_ascii_on_one_line(value):
    with pytest.raises(InputError):
        structured_header("List-Id", value)


def test_a_structured_value_stands_as_it_is():
    assert structured_header("List-Id", '"A B" <a.example.org>') == b'List-Id: "A B" <a.example.org>\r\n'


# Injection


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_in_our_own_text_is_refused(text):
    with pytest.raises(InputError, match="the subject holds a line break") as caught:
        refuse_injection(text, "the subject")
    assert str(caught.value).replace("…", "").isprintable()


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_in_foreign_text_becomes_harmless(text):
    for field in (
        text_header("Subject", clean_header_text(text)),
        mailbox_header("To", Mailbox(clean_header_text(text), "a@b.org")),
    ):
        check(field)
        message = email.message_from_bytes(field + b"\r\n", policy=email.policy.default)
        assert list(message) == [field.partition(b":")[0].decode()]
        again = message.as_bytes(policy=email.policy.SMTP)
        assert not re.search(rb"^Bcc", again, re.MULTILINE | re.IGNORECASE)
        once = str(make_header(decode_header(str(message[field.partition(b":")[0].decode()]))))
        assert not re.search(r"[\r\n\0\x0b\x85\u2028]", once)


@pytest.mark.parametrize(
    "text",
    [
        "Plain",
        "=?utf-8?q?fine?=",
        "a =? b ?= c",
        "=?utf-8?b?!!!?=",
        "=?utf-8?q??=",
        "=?x?y?z?=",
        "=?x?q?z?=",
        "=?utf-8?b?a?=",
        "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=",
        "王 👩‍🚀",
        "=?utf-8?q?caf=C3=A9?=",
    ],
)
def test_harmless_text_is_left_alone(text):
    refuse_injection(text, "the subject")
    assert clean_header_text(text) == text


@given(anything)
def test_cleaning_gives_one_line_of_characters(text):
    cleaned = clean_line(text)
    cleaned.encode("utf-8")
    assert cleaned == cleaned.strip() == clean_line(cleaned)
    assert len((cleaned + "x").splitlines()) == 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef]", cleaned)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Ann", "Ann"),
        (" Ann\r\n\tLee\0 ", "Ann Lee"),
        ("a\ud800b\ufdd0\uffff", "a\ufffdb\ufffd\ufffd"),
        ("a\u202eb\u2069\ufeff", "ab"),
        ("👩\u200d🚀\u3000x\u00a0y", "👩\u200d🚀\u3000x\u00a0y"),
    ],
)
def test_cleaning_by_example(text, cleaned):
    assert clean_line(text) == cleaned


@given(texts)
def test_text_that_passes_brings_nothing_out_when_decoded(text):
    cleaned = clean_header_text(text)
    refuse_injection(cleaned, "x")
