"""Tokens have a format that is fixed for good, and nothing but a signed one is ever accepted."""

import base64
import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.tokens import (
    EXPIRING,
    SAMPLE_KEYS,
    SECRET_MIN,
    TOKEN_LENGTH,
    Purpose,
    Signer,
    Token,
    expiry_hour,
    is_expired,
    new_secret_text,
    parse_keys,
    read_token,
    sign,
    tagged_address,
    token_of,
    verp_address,
)

EXAMPLE = "an-example-secret-of-no-use-at-all"
OTHER = "another-secret-that-is-of-no-use-either"
THIRD = "third-secret-of-this-file-and-the-last-one"
NOW = dt.datetime(2026, 11, 25, 8, 30, tzinfo=dt.UTC)

VECTORS = [
    (Token(Purpose.BOUNCE, 0, 0, 0), "aeaqaaaaaaaaaaaaaaaaaaaa37hpavsjxh2tauzycfmz7xjx"),
    (Token(Purpose.BOUNCE, 1, 258, 7), "aeaqaaabaaaaaaabaiaaaaahnun3apgk27khz2nrs25q47ip"),
    (Token(Purpose.UNSUBSCRIBE, 1, 258, 7), "aebaaaabaaaaaaabaiaaaaahze4423iff2dfczk725etudv3"),
    (Token(Purpose.CONFIRM, 2, 10**9, 498_800), "aebqaaacaaadxgwkaaaaphdquhndwijgz3nmrl5pj62syan2"),
    (Token(Purpose.ARCHIVE, 2**24 - 1, 2**48 - 1, 2**32 - 1), "aed777777777777777777777qf5sduuq26ee7nkuff7kgia4"),
]


@pytest.mark.parametrize(("token", "text"), VECTORS)
def test_vectors_are_fixed_for_good(token, text):
    keys = parse_keys(EXAMPLE)
    assert sign(keys, token) == text
    assert read_token(keys, text, token.purpose) == token


def test_the_derived_keys_are_fixed_for_good():
    keys = parse_keys(f"{EXAMPLE}\n{OTHER}\n")
    assert keys.address_key.hex() == "5b645337c02ad5f49a5dcf385a18894f9972344561f9ce40cb8bc97c50bd46e8"
    assert keys.message_key.hex() == "7692862fcc6f340895673e7237dfc99cb1852ea7ea6458d99a1aede1cf2ad6f5"
    assert keys.fingerprint == "af9af69a6e38494d"
    assert sign(keys, VECTORS[1][0]) == "aiaqaaabaaaaaaabaiaaaaahst4yuxs7isvmfr7dmr5ln6g3"


def test_purposes_keep_their_numbers():
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "BOUNCE": 1,
        "UNSUBSCRIBE": 2,
        "CONFIRM": 3,
        "PREFERENCES": 4,
        "RESUBSCRIBE": 5,
        "CHANGE_ADDRESS": 6,
        "ARCHIVE": 7,
    }


tokens = st.builds(
    Token,
    st.sampled_from(Purpose),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**48 - 1),
    st.integers(0, 2**32 - 1),
)


@given(tokens, st.booleans())
def test_a_token_reads_back_in_any_case_and_for_its_purpose_only(token, upper):
    text = sign(SAMPLE_KEYS, token)
    assert len(text) == TOKEN_LENGTH
    assert text == text.lower()
    for purpose in Purpose:
        found = read_token(SAMPLE_KEYS, text.upper() if upper else text, purpose)
        assert found == (token if purpose == token.purpose else None)


def test_tokens_of_other_lists_and_subscribers_differ():
    texts = {
        sign(SAMPLE_KEYS, Token(Purpose.UNSUBSCRIBE, a, b, c)) for a in range(5) for b in range(5) for c in range(5)
    }
    assert len(texts) == 125


def test_the_base32_is_that_of_rfc_4648():
    text = sign(SAMPLE_KEYS, VECTORS[4][0])
    assert base64.b32encode(base64.b32decode(text.upper())).decode().lower() == text


def test_no_forged_token_is_accepted():
    generator = random.Random(4)
    text = sign(SAMPLE_KEYS, Token(Purpose.UNSUBSCRIBE, 1, 258, 7))
    content = base64.b32decode(text, casefold=True)
    flipped = [
        bytes(byte ^ (1 << bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(content))
        for bit in range(240)
    ]
    # The right key number and purpose before noise; a real payload before noise; a real signature behind noise.
    forged = [content[:2] + generator.randbytes(28) for _ in range(50_000)]
    forged += [content[:15] + generator.randbytes(15) for _ in range(25_000)]
    forged += [content[:2] + generator.randbytes(13) + content[15:] for _ in range(25_000)]
    forged += flipped
    accepted = [
        one
        for one in forged
        if one != content and read_token(SAMPLE_KEYS, base64.b32encode(one).decode(), Purpose.UNSUBSCRIBE)
    ]
    assert len(forged) > 100_000
    assert accepted == []


def test_every_other_character_at_every_place_is_refused():
    text = sign(SAMPLE_KEYS, Token(Purpose.BOUNCE, 1, 2, 3))
    for index, right in enumerate(text):
        for wrong in set("abcdefghijklmnopqrstuvwxyz234567") - {right}:
            assert read_token(SAMPLE_KEYS, text[:index] + wrong + text[index + 1 :], Purpose.BOUNCE) is None


@given(st.one_of(st.text(), st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567=018", min_size=48, max_size=48)))
def test_malformed_tokens_are_none(text):
    assert read_token(SAMPLE_KEYS, text, Purpose.BOUNCE) is None


@pytest.mark.parametrize(
    "text", ["", "a" * 47, "a" * 49, "é" * 48, "\0" * 48, "=" * 48, "0" * 48, "ſ" * 48, "a" * 40 + "=" * 8]
)
def test_odd_tokens_are_none(text):
    assert read_token(SAMPLE_KEYS, text, Purpose.BOUNCE) is None


@pytest.mark.parametrize("numbers", [(2**24, 0, 0), (0, 2**48, 0), (0, 0, 2**32), (-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_numbers_that_do_not_fit_are_a_bug(numbers):
    with pytest.raises(ValueError, match="does not fit"):
        Token(Purpose.BOUNCE, *numbers)


# Keys


def test_appending_a_line_rotates_and_old_tokens_still_work():
    token = Token(Purpose.UNSUBSCRIBE, 1, 2, 3)
    old, new = parse_keys(EXAMPLE), parse_keys(f"{EXAMPLE}\n{OTHER}\n")
    assert new.signer == 2
    assert sign(new, token) != sign(old, token)
    assert read_token(new, sign(old, token), Purpose.UNSUBSCRIBE) == token
    assert read_token(old, sign(new, token), Purpose.UNSUBSCRIBE) is None
    assert (new.address_key, new.message_key, new.fingerprint) == (old.address_key, old.message_key, old.fingerprint)


@pytest.mark.parametrize("retired", [f"{OTHER} retired", "retired", f"{OTHER}\tretired # leaked in 2027"])
def test_a_retired_line_keeps_its_number_and_is_refused(retired):
    token = Token(Purpose.UNSUBSCRIBE, 1, 2, 3)
    leaked = sign(parse_keys(f"{EXAMPLE}\n{OTHER}"), token)
    third = sign(parse_keys(f"{EXAMPLE}\n{OTHER}\n{THIRD}"), token)
    keys = parse_keys(f"{EXAMPLE}\n{retired}\n{THIRD}\n")
    assert keys.signer == 3
    assert read_token(keys, leaked, Purpose.UNSUBSCRIBE) is None
    assert read_token(keys, third, Purpose.UNSUBSCRIBE) == token
    assert parse_keys(f"{EXAMPLE}\n{retired}").signer == 1


def test_a_retired_root_still_gives_the_address_key():
    keys = parse_keys(f"{EXAMPLE} retired\n{OTHER}\n")
    assert keys.address_key == parse_keys(EXAMPLE).address_key
    assert keys.token_keys[0] is None
    assert keys.signer == 2


def test_comments_blank_lines_and_a_byte_order_mark_do_not_count():
    text = f"\ufeff# ours\r\n\r\n  {EXAMPLE}  # since 2026\r\n   \r\n#{OTHER}\r\n"
    assert parse_keys(text) == parse_keys(EXAMPLE)


def test_keys_do_not_show_secrets():
    keys = parse_keys(EXAMPLE)
    assert EXAMPLE not in repr(keys)
    assert keys.address_key.hex() not in repr(keys)
    assert repr(keys.address_key) not in repr(keys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no secret"),
        ("# only a comment\n", "no secret"),
        ("tooshort\n", "newsletter.secret:1: a secret of 8 characters"),
        (f"{EXAMPLE}\n\nshort\n", "newsletter.secret:3: a secret of 5"),
        (f"{EXAMPLE} {OTHER}\n", "white space"),
        (f"{EXAMPLE} retired now\n", "white space"),
        (f"{EXAMPLE}\n{EXAMPLE}\n", "newsletter.secret:2: the same secret"),
        ("retired\n", "the first secret is the root"),
        (f"{EXAMPLE} retired\n", "every secret is retired"),
        ("é" * SECRET_MIN, "ASCII"),
        ("\udcff" * SECRET_MIN, "ASCII"),
        ("\0" * SECRET_MIN, "ASCII"),
        ("\n".join(f"{EXAMPLE}-{number}" for number in range(128)), "a token can number 127"),
    ],
)
def test_a_bad_secret_file_is_refused_without_showing_it(text, expected):
    with pytest.raises(ConfigError) as caught:
        parse_keys(text, "newsletter.secret")
    assert expected in str(caught.value)
    assert "newsletter.secret" in str(caught.value)
    assert EXAMPLE not in str(caught.value)


def test_the_last_key_that_a_token_can_number_works():
    keys = parse_keys("\n".join(f"{EXAMPLE}-{number}" for number in range(127)))
    token = Token(Purpose.BOUNCE, 1, 2, 3)
    assert keys.signer == 127
    assert read_token(keys, sign(keys, token), Purpose.BOUNCE) == token


def test_a_new_secret_file_gives_keys():
    text = new_secret_text(bytes(range(40)))
    assert parse_keys(text).signer == 1
    assert parse_keys(text) != parse_keys(new_secret_text(bytes(40)))
    assert len(text.splitlines()[-1]) >= SECRET_MIN
    with pytest.raises(ValueError, match="random bytes"):
        new_secret_text(bytes(31))


def test_a_retired_key_does_not_sign():
    keys = parse_keys(f"{EXAMPLE} retired\n{OTHER}\n")
    broken = type(keys)(keys.token_keys, keys.address_key, keys.message_key, signer=1)
    with pytest.raises(ValueError, match="retired"):
        Signer(broken)


# Expiry


def test_expiring_tokens_are_good_for_at_least_their_hours():
    token = Token(Purpose.CONFIRM, 1, 2, expiry_hour(NOW, 48))
    assert not is_expired(token, NOW)
    assert not is_expired(token, NOW + dt.timedelta(hours=48))
    assert is_expired(token, NOW + dt.timedelta(hours=49))
    exact = Token(Purpose.CONFIRM, 1, 2, expiry_hour(NOW.replace(minute=0), 1))
    assert is_expired(exact, NOW.replace(hour=9, minute=0))
    assert not is_expired(exact, NOW.replace(hour=8, minute=59))


def test_unsubscribe_and_bounce_tokens_never_expire():
    assert {Purpose.UNSUBSCRIBE, Purpose.BOUNCE, Purpose.PREFERENCES, Purpose.ARCHIVE}.isdisjoint(EXPIRING)
    assert not is_expired(Token(Purpose.UNSUBSCRIBE, 1, 2, 0), NOW)


# Return paths


def test_a_return_path_names_its_delivery():
    token = Token(Purpose.BOUNCE, 3, 4, 5)
    address = verp_address(SAMPLE_KEYS, "bounces@news.example.org", token)
    assert address == f"bounces+{sign(SAMPLE_KEYS, token)}@news.example.org"
    assert read_token(SAMPLE_KEYS, token_of(address), Purpose.BOUNCE) == token
    assert read_token(SAMPLE_KEYS, token_of(f" <{address.upper()}> "), Purpose.BOUNCE) == token


def test_the_local_part_has_64_octets_at_most():
    text = "a" * TOKEN_LENGTH
    assert len(tagged_address("b" * 15 + "@example.org", text).partition("@")[0]) == 64
    with pytest.raises(ConfigError, match="15 characters"):
        tagged_address("b" * 16 + "@example.org", text)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bounces@example.org",
        "bounces+short@example.org",
        "+@",
        "bounces+" + "a" * 48,
        "@",
        "a" * 48 + "@example.org",
    ],
)
def test_an_address_without_a_token_has_none(address):
    assert token_of(address) == ""


@given(st.text())
def test_any_text_may_be_asked_for_its_token(text):
    assert read_token(SAMPLE_KEYS, token_of(text), Purpose.BOUNCE) is None
