"""Addresses are parsed, normalised and hashed the same way for ever, and refused with what to write instead."""

import contextlib

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.addresses import (
    _PLAIN,
    Mailbox,
    address_hash,
    domain_of,
    needs_smtputf8,
    parse_address,
    parse_mailbox,
)
from newsletter.errors import InputError

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Bob@Example.ORG", "Bob@example.org"),
        ("  bob@example.org\n", "bob@example.org"),
        ("mailto:bob@example.org", "bob@example.org"),
        ("bob+tag@example.org", "bob+tag@example.org"),
        ("bob@exämple.de", "bob@xn--exmple-cua.de"),
        ("bob@straße.de", "bob@xn--strae-oqa.de"),
        ("BOB@XN--STRAE-OQA.DE", "BOB@xn--strae-oqa.de"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("zoe\u0308@example.org", "zoë@example.org"),
        ("me@localhost", "me@localhost"),
        ("me@mail.local", "me@mail.local"),
        ("me@relay.test", "me@relay.test"),
        ("me@nowhere.invalid", "me@nowhere.invalid"),
    ],
)
def test_a_good_address_is_normalised(text, address):
    assert parse_address(text) == address
    assert parse_address(address) == address


@settings(max_examples=40)
@given(
    st.one_of(st.from_regex(_PLAIN, fullmatch=True), st.from_regex(r"[a-z+._-]{1,9}@[a-z0-9.-]{1,20}", fullmatch=True))
)
def test_a_plain_address_is_what_the_library_makes_of_it(text):
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        assert not _PLAIN.fullmatch(text)
    else:
        if _PLAIN.fullmatch(text):
            assert text == f"{found.local_part}@{found.ascii_domain}" == parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "@example.org",
        "bob@",
        "bob@example",
        "a@b@example.org",
        "a..b@example.org",
        '"a b"@example.org',
        "bob@[127.0.0.1]",
        "bob@127.0.0.1",
        "bob@exa mple.org",
        "bob@example.org, eve@example.org",
        "bob\r\nBcc: eve@example.org",
        "bob\0@example.org",
        "bob@example.org\x00",
        "\ud800@example.org",
        "x" * 65 + "@example.org",
        "Bob <bob@example.org>",
        "x" * 300 + "@" + "y" * 5000 + ".org",
    ],
)
def test_a_bad_address_is_refused_with_what_to_write(text):
    with pytest.raises(InputError) as caught:
        parse_address(text)
    message = str(caught.value)
    assert "me@example.org" in message
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("bob@example.org", Mailbox("", "bob@example.org")),
        ("Bob <bob@Example.org>", Mailbox("Bob", "bob@example.org")),
        ("<bob@example.org>", Mailbox("", "bob@example.org")),
        (' "Bob, \\"the\\" Builder" <bob@example.org> ', Mailbox('Bob, "the" Builder', "bob@example.org")),
        ("周刊 <bob@example.org>", Mailbox("周刊", "bob@example.org")),
    ],
)
def test_a_mailbox_is_a_name_and_an_address(text, mailbox):
    assert parse_mailbox(text) == mailbox
    assert parse_mailbox(str(mailbox)).address == mailbox.address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bob",
        "Bob <bob>",
        "A <a@example.org> B <b@example.org>",
        "Bob\r\nBcc: x <bob@example.org>",
        "B\0 <b@example.org>",
    ],
)
def test_a_bad_mailbox_is_refused(text):
    with pytest.raises(InputError):
        parse_mailbox(text)


def test_the_domain_is_what_deliveries_are_grouped_by():
    assert domain_of("Bob@Example.org") == "example.org"
    assert domain_of(parse_address("bob@exämple.de")) == "xn--exmple-cua.de"


def test_only_a_local_part_beyond_ascii_needs_smtputf8():
    assert needs_smtputf8(parse_address("zoë@example.org"))
    assert not needs_smtputf8(parse_address("zoe@exämple.de"))


def test_hashes_are_fixed_for_good():
    assert address_hash(KEY, "bob@example.org").hex() == (
        "9e5ae95e98e9f63e933e15b70041d0e42737395dd26bcbfadad388a6d1c2ef84"
    )
    assert address_hash(KEY, "straße@example.org").hex() == (
        "5870552475c05fc7db7d31000d12d413e70d5466c3d893ba3e853bcc23c283a3"
    )


@pytest.mark.parametrize("same", ["BOB@example.org", "Bob@EXAMPLE.org"])
def test_case_does_not_change_the_hash(same):
    assert address_hash(KEY, same) == address_hash(KEY, "bob@example.org")


def test_the_hash_depends_on_key_and_address():
    assert address_hash(KEY, "bob@example.org") != address_hash(KEY, "bob@example.net")
    assert address_hash(KEY, "bob@example.org") != address_hash(bytes(32), "bob@example.org")


@given(st.text())
def test_parsing_gives_an_address_or_a_refusal(text):
    with contextlib.suppress(InputError):
        address = parse_address(text)
        assert parse_address(address) == address
        assert domain_of(address).isascii()
        assert len(address_hash(KEY, address)) == 32
