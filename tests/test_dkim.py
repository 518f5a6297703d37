"""What we sign verifies with dkimpy, anything that is tampered with does not, and pieces make no difference."""

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import dkim as dkimpy
import pytest
from dkim.canonicalization import Relaxed as PeerRelaxed
from dkim_vectors import ED25519_PEM, RFC_FIELDS, RFC_MESSAGE, RFC_RECORDS, RSA_PEM
from hypothesis import given
from hypothesis import strategies as st

from newsletter.addresses import Mailbox
from newsletter.conformance import verify_message
from newsletter.dkim import (
    OVERSIGNED,
    SIGNED,
    BodyHasher,
    Signer,
    SigningKey,
    _select_fields,
    dns_record,
    relax,
)
from newsletter.dkimkeys import parse_key
from newsletter.edition import freeze
from newsletter.errors import InputError, UnrenderableError
from newsletter.identity import SenderIdentity
from newsletter.message import prepare_message
from newsletter.model import Edition, Recipient, Slot
from newsletter.tokens import SAMPLE_KEYS

GOLDENS = sorted((Path(__file__).parent / "golden" / "message").glob("*.eml"))
AT = dt.datetime(2026, 11, 25, 8, 0, tzinfo=dt.timezone(dt.timedelta(hours=1)))
DOMAIN = "news.example.org"


@pytest.fixture(autouse=True)
def at_the_time_of_the_send(monkeypatch):
    """Let dkimpy, which looks at t= and x=, read the mail an hour after it was signed."""
    monkeypatch.setattr(dkimpy, "time", SimpleNamespace(time=lambda: AT.timestamp() + 3600))


RFC_KEYS = (parse_key(RSA_PEM, "test", "rsa"), parse_key(ED25519_PEM, "brisbane", "ed25519"))


@functools.cache
def fresh_key(selector: str) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = generate_private_key(65537, 2048)
    return parse_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), selector, selector)


def signer_of(*keys: SigningKey, **changes) -> Signer:
    return Signer(DOMAIN, keys or RFC_KEYS, **changes)


def verdicts(message: bytes, signer: Signer, records: dict[str, str] | None = None) -> list[bool]:
    """Return what dkimpy says of each signature, from the top."""
    known = records if records is not None else dict(dns_record(key, signer.domain) for key in signer.keys)
    verifier = dkimpy.DKIM(message)
    count = len(re.findall(rb"(?m)^DKIM-Signature:", message))
    return [_verdict(verifier, index, known) for index in range(count)]


def _verdict(verifier: dkimpy.DKIM, index: int, records: dict[str, str]) -> bool:
    try:
        return verifier.verify(
            idx=index, dnsfunc=lambda name, timeout=0: records.get(name.decode().rstrip("."), "").encode()
        )
    except dkimpy.DKIMException:
        return False


def signed(message: bytes, signer: Signer | None = None) -> bytes:
    return (signer or signer_of()).sign(message, AT) + message


def tags_of(field: bytes) -> dict[str, str]:
    """Read a signature as a receiver does."""
    value = re.sub(rb"\s+", b"", field.partition(b":")[2]).decode("ascii")
    return dict(tag.split("=", 1) for tag in value.rstrip(";").split(";"))


# The vectors


@pytest.mark.parametrize("key", RFC_KEYS, ids=lambda key: key.algorithm)
def test_the_signatures_of_rfc_8463_are_ours_too(key):
    header, _, body = RFC_MESSAGE.partition(b"\r\n\r\n")
    hasher = BodyHasher()
    hasher.update(body)
    field = RFC_FIELDS[key.selector]
    assert base64.b64encode(hasher.digest()).decode() == tags_of(field)["bh"]

    names, fields = _select_fields(header + b"\r\n")
    assert [name.decode() for name in dict.fromkeys(names)] == ["from", "to", "subject", "date", "message-id"]
    start = b"dkim-signature:" + re.sub(rb"\s+", b" ", field[: field.index(b" b=") + 3].partition(b": ")[2])
    assert base64.b64encode(key.sign(fields + start)).decode() == tags_of(field)["b"]


@pytest.mark.parametrize("key", RFC_KEYS, ids=lambda key: key.algorithm)
def test_the_records_of_rfc_8463_are_ours_too(key):
    name, text = dns_record(key, "football.example.com")
    assert text == RFC_RECORDS[name]


def test_the_oracle_knows_the_vectors():
    message = b"".join(RFC_FIELDS.values()) + RFC_MESSAGE
    assert verdicts(message, signer_of(), RFC_RECORDS) == [True, True]


def test_a_message_signed_with_the_keys_of_rfc_8463():
    signer = Signer("football.example.com", RFC_KEYS)
    assert verdicts(signed(RFC_MESSAGE, signer), signer, RFC_RECORDS) == [True, True]


# What we sign


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_every_golden_message_verifies_and_is_still_what_a_message_must_be(path):
    signer = signer_of(fresh_key("s2026"), *RFC_KEYS, lifetime=dt.timedelta(days=30))
    message = signed(path.read_bytes(), signer)
    assert verdicts(message, signer) == [True, True, True]
    assert verify_message(message, domain=DOMAIN) == ()


def test_signatures_byte_by_byte(golden):
    web = next(path for path in GOLDENS if path.stem == "web").read_bytes()
    golden("dkim/web.fields", signer_of(lifetime=dt.timedelta(days=30)).sign(web, AT))


def test_a_signature_names_what_it_covers():
    web = next(path for path in GOLDENS if path.stem == "web").read_bytes()
    fields = re.split(rb"\r\n(?=DKIM)", signer_of().sign(web, AT))
    for key, field in zip(RFC_KEYS, fields, strict=True):
        tags = tags_of(field)
        assert {name: tags[name] for name in ("v", "a", "c", "d", "s", "t")} == {
            "v": "1",
            "a": key.algorithm,
            "c": "relaxed/relaxed",
            "d": DOMAIN,
            "s": key.selector,
            "t": str(int(AT.timestamp())),
        }
        assert "x" not in tags
        assert "l" not in tags
        covered = tags["h"].split(":")
        for name in SIGNED:
            assert covered.count(name.decode()) == 1 + (name in OVERSIGNED), name
        assert max(map(len, field.split(b"\r\n"))) <= 78


def test_fields_that_do_not_stand_are_not_named_unless_oversigned():
    tags = tags_of(signer_of(RFC_KEYS[0]).sign(b"From: a@example.org\r\n\r\n", AT))
    assert tags["h"] == "from:from:to:subject:date"


def test_a_lifetime_ends():
    signer = signer_of(lifetime=dt.timedelta(days=30))
    message = signed(RFC_MESSAGE, signer)
    assert int(tags_of(message)["x"]) - int(tags_of(message)["t"]) == 30 * 86400
    assert verdicts(message, signer) == [True, True]


def test_an_expired_signature_does_not_verify():
    # dkimpy forgives clocks ten hours, and the mail is read after one.
    early = signer_of(lifetime=dt.timedelta(hours=1)).sign(RFC_MESSAGE, AT - dt.timedelta(hours=12)) + RFC_MESSAGE
    assert verdicts(early, signer_of()) == [False, False]


def test_equal_input_gives_equal_bytes():
    assert signed(RFC_MESSAGE) == signed(RFC_MESSAGE)
    assert signer_of().sign(RFC_MESSAGE, AT) == signer_of().sign(RFC_MESSAGE, AT.astimezone(dt.UTC))


def test_fields_in_relaxed_form():
    # RFC 6376 section 3.4.5 has the like; dkimpy cannot read a space before the colon.
    names, fields = _select_fields(b"SUBJect \t: Y\t\r\n\tZ  \r\nFrom:\ta@example.org\r\nX: no\r\nSubject:\r\n")
    assert names == [*[b"from"] * 2, b"to", *[b"subject"] * 3, b"date"]
    assert fields == b"from:a@example.org\r\nsubject:\r\nsubject:Y Z\r\n"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        signer_of().sign(RFC_MESSAGE, AT.replace(tzinfo=None))


# Tampering


def fields_of(message: bytes) -> list[bytes]:
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    return re.findall(rb"[!-9;-~]+:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", header)


COVERED = [
    pytest.param(path, name, id=f"{path.stem}-{name.decode()}")
    for path in GOLDENS
    for name in SIGNED
    if any(field.lower().startswith(name + b":") for field in fields_of(path.read_bytes()))
]


@pytest.mark.parametrize(("path", "name"), COVERED)
def test_each_covered_field_counts(path, name):
    message = signed(path.read_bytes())
    (field,) = (field for field in fields_of(message) if field.lower().startswith(name + b":"))
    changed = field[:-2].rstrip(b">;") + b"x\r\n"
    for tampered in (message.replace(field, changed), message.replace(field, b"")):
        assert tampered != message
        assert verdicts(tampered, signer_of()) == [False, False]


@pytest.mark.parametrize("name", sorted(OVERSIGNED))
@pytest.mark.parametrize("is_above", [True, False])
def test_no_field_that_readers_see_can_be_added(name, is_above):
    web = next(path for path in GOLDENS if path.stem == "web").read_bytes()
    message, added = signed(web), name + b": something else\r\n"
    assert verdicts(message, signer_of()) == [True, True]
    at = 0 if is_above else message.index(b"\r\n\r\n") + 2
    assert verdicts(message[:at] + added + message[at:], signer_of()) == [False, False]


@pytest.mark.parametrize("change", [b"s=3Dx", b"", b"\r\n\r\nP.S."])
def test_the_body_counts(change):
    web = next(path for path in GOLDENS if path.stem == "web").read_bytes()
    message = signed(web)
    assert verdicts(message.replace(b"View in browser", change), signer_of()) == [False, False]
    assert verdicts(message + change + b"x\r\n", signer_of()) == [False, False]


def test_signatures_count_themselves():
    message = signed(RFC_MESSAGE)
    for old, new in ((b"d=news.", b"d=news2."), (b"t=1", b"t=2"), (b"h=from:from:", b"h=from:")):
        assert old in message
        assert not any(verdicts(message.replace(old, new), signer_of(), {**RFC_RECORDS}))


def test_what_relays_may_do_does_not_matter():
    message = signed(RFC_MESSAGE)
    refolded = message.replace(b"\r\nSubject: Is dinner", b"\r\nSUBJECT:\tIs \r\n\t  dinner")
    padded = refolded.replace(b"Joe.\r\n", b"Joe. \t\r\n\r\n \r\n").replace(b"game.  Are", b"game. Are")
    received = b"Received: from relay by mx; Wed, 25 Nov 2026 08:00:00 +0000\r\n" + padded
    assert received.count(b"\r\n") == message.count(b"\r\n") + 4
    assert verdicts(received, signer_of()) == [True, True]


# Rotation


def test_two_selectors_sign_while_the_old_key_still_stands():
    old, new = fresh_key("s2026"), fresh_key("s2027")
    signer = signer_of(old, new)
    message = signed(RFC_MESSAGE, signer)
    assert verdicts(message, signer) == [True, True]
    assert verdicts(message, signer, dict([dns_record(new, DOMAIN)])) == [False, True]
    assert verdicts(message, signer, dict([dns_record(old, DOMAIN)])) == [True, False]


def test_a_selector_with_another_ones_key_does_not_verify():
    old, new = fresh_key("s2026"), fresh_key("s2027")
    swapped = dict(dns_record(key, DOMAIN) for key in (dataclasses.replace(old, selector="s2027"), new))
    assert verdicts(signed(RFC_MESSAGE, signer_of(old)), signer_of(old), swapped) == [False]


# What is refused


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"From: a@example.org\r\nSubject: caf\xc3\xa9\r\n\r\n", "beyond ASCII"),
        (b"From: a@example.org\nSubject: x\r\n\r\n", "lone CR or LF"),
        (b"From: a@example.org\rSubject: x\r\n\r\n", "lone CR or LF"),
        (b"From: a@example.org\r\nSubject\r\n\r\n", "no header field"),
        (b" continued: x\r\nFrom: a@example.org\r\n\r\n", "no header field"),
        (b"From: a@example.org\r\n: x\r\n\r\n", "no header field"),
        (b"Subject: x\r\n\r\n", "exactly one"),
        (b"From: a@example.org\r\nfrom : b@example.org\r\n\r\n", "exactly one"),
        (b"From: a@example.org\r\n", "no blank line"),
        (b"", "no blank line"),
    ],
)
def test_headers_that_cannot_be_signed(message, words):
    with pytest.raises(InputError, match=words):
        signer_of().sign(message, AT)


@pytest.mark.parametrize("value", [b"To: \xff@example.org\r\n", b"To: a\n", b"To: a\r\nx\r\n", b"a\r\n\r\nb\r\n"])
def test_what_fills_a_hole_of_the_header_is_refused_for_that_recipient(value):
    prepared = signer_of().prepare((b"From: a@example.org\r\n", b"", b"Subject: x\r\n\r\nbody\r\n"), AT)
    pieces = (b"From: a@example.org\r\n", value, b"Subject: x\r\n\r\nbody\r\n")
    with pytest.raises(UnrenderableError):
        prepared.sign(pieces)


# Bodies, however they are cut

BODY_BITS = st.sampled_from([b" ", b"\t", b"\r\n", b"\r\n", b"\r", b"\n", b"a", b"bc", b"=\r\n", b"  x ", b"\xe9", b""])
PIECES = st.lists(st.lists(BODY_BITS, max_size=6).map(b"".join), max_size=8)


def naive_hash(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4, word for word, line by line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return hashlib.sha256(b"".join(line + b"\r\n" for line in lines)).digest()


@given(PIECES)
def test_a_body_has_one_hash_however_it_is_cut(pieces):
    streamed, prepared = BodyHasher(), BodyHasher()
    for piece in pieces:
        streamed.update(piece)
        streamed.digest()  # looking changes nothing
        prepared.take(relax(piece))
    assert streamed.digest() == prepared.digest() == naive_hash(b"".join(pieces))


@given(PIECES, PIECES, PIECES)
def test_a_copy_goes_on_by_itself(shared, first, second):
    start = BodyHasher()
    for piece in shared:
        start.update(piece)
    one, two = start.copy(), start.copy()
    for hasher, pieces in ((one, first), (two, second)):
        for piece in pieces:
            hasher.update(piece)
        assert hasher.digest() == naive_hash(b"".join([*shared, *pieces]))
    assert start.digest() == naive_hash(b"".join(shared))


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"b  c", b"=20"]), max_size=12).map(b"".join))
def test_the_naive_form_is_the_oracles(body):
    body += b"\r\n" if body else b""  # what a relay is given always ends in one
    assert naive_hash(body) == hashlib.sha256(PeerRelaxed.canonicalize_body(body)).digest()


@given(PIECES, st.data())
def test_holes_make_no_difference(body, data):
    header = (b"From: a@example.org\r\nTo: ", b"ann@example.org", b"\r\n", b"Subject: x\r\n\r\n" + b"".join(body[:1]))
    filled = (*header, *body[1:])
    holes = {1, *data.draw(st.sets(st.integers(len(header), max(len(filled) - 1, len(header)))))}
    template = tuple(b"" if index in holes else piece for index, piece in enumerate(filled))
    prepared = signer_of(RFC_KEYS[1]).prepare(template, AT)
    assert prepared.sign(filled) == signer_of(RFC_KEYS[1]).sign(b"".join(filled), AT)
    assert signer_of(RFC_KEYS[1]).at(AT)(template)(filled) == prepared.sign(filled)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n\r\n", b" \t\r\n \r\n", b"a", b"a\r\n\r\n \r\n", b"\r\na"])
def test_odd_bodies_verify(body):
    message = b"From: a@example.org\r\n\r\n" + body + b"\r\n" * (not body.endswith(b"\r\n"))
    assert verdicts(signed(message), signer_of()) == [True, True]


WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=90)
SPACE = st.sampled_from([" ", "  ", "\t", "\r\n ", "\r\n\t", " \r\n  \t"])
VALUES = st.lists(st.tuples(SPACE, WORDS), min_size=1, max_size=6).map(
    lambda words: "".join(space + word for space, word in words)
)
NAMES = st.sampled_from(["Subject", "To", "DATE", "list-id", "Reply-To", "X-Other", "Feedback-ID"])
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=1200).map(str.encode)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.lists(LINES, max_size=8), st.booleans())
def test_any_header_and_body_verify(fields, lines, from_first):
    header = [f"{name}:{value}\r\n" for name, value in fields]
    header.insert(0 if from_first else len(header), "From: Ann  Lee\r\n\t<ann@example.org>\r\n")
    message = "".join(header).encode("ascii") + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
    assert verdicts(signed(message), signer_of()) == [True, True]


# Messages as they are made

IDENTITY = SenderIdentity(
    sender=Mailbox("China Market Weekly", f"editor@{DOMAIN}"),
    title="China Market Weekly",
    list_id=f"weekly.{DOMAIN}",
    bounce_address=f"bounces@{DOMAIN}",
    url=f"https://{DOMAIN}",
    unsubscribe="web",
)
SEAMS = st.sampled_from(["", " ", "  ", "\n", "\n\n", "\n \n", ",  or", "\t.", " \n"])


def edition_of(before: str, after: str) -> Edition:
    return freeze(
        Edition(
            issue="2026-11-25",
            subject=("To ", Slot("name", "you")),
            preheader="",
            html=("<p>", Slot("name", "you"), after, Slot("city"), before, Slot("unsubscribe_url"), "</p>\n\n"),
            text=(before, Slot("name"), Slot("city"), after, Slot("unsubscribe_url"), before),
            date=AT.date(),
            language="en",
        )
    )


@given(SEAMS, SEAMS, st.text(max_size=90), st.text(max_size=90))
def test_prepared_messages_sign_like_their_bytes(before, after, name, city):
    prepared = prepare_message(edition_of(before, after), IDENTITY, SAMPLE_KEYS, date=AT, send_id=1)
    signer = signer_of(RFC_KEYS[1])
    signature = signer.prepare(prepared.pieces, AT)
    content = prepared.personalise(Recipient(7, 1, "ann@example.com", name, attributes={"city": city})).content
    # What stands in the holes, found between the static pieces.
    pattern = b"".join(b"(%b)" % (re.escape(piece) if piece else b".*?") for piece in prepared.pieces)
    found = re.fullmatch(pattern, content, re.DOTALL)
    assert found
    assert signature.sign(found.groups()) == signer.sign(content, AT)
