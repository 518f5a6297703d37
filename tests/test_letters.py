"""Letters are whole messages: in three languages, as text and HTML, with one link, equal on every try."""

import dataclasses
import datetime as dt
import re

import pytest
from postbox import NOW, Postbox, link_in

from newsletter.catalogs import load_catalog
from newsletter.letters import LetterKind, LetterPlan, write_letter
from newsletter.tokens import SAMPLE_KEYS, Purpose, Token, expiry_hour, read_token, token_of

PURPOSES = {LetterKind.CONFIRM: Purpose.CONFIRM, LetterKind.CHANGE: Purpose.CHANGE_ADDRESS}


def plan(kind=LetterKind.CONFIRM, address="ann@example.org", **values) -> LetterPlan:
    purpose = PURPOSES.get(kind, Purpose.PREFERENCES)
    extra = expiry_hour(NOW, 168) if kind in PURPOSES else 0
    return LetterPlan(
        kind=kind,
        address=address,
        list_id=1,
        subscriber_id=7,
        written_at=NOW,
        token=Token(purpose, 1, 7, extra),
        until=NOW + dt.timedelta(days=7) if kind in PURPOSES else None,
        **values,
    )


@pytest.fixture
def frame(tmp_path):
    from smtp_server import SmtpServer

    from newsletter.store import open_store

    with open_store(f"sqlite:///{tmp_path / 'n.db'}", address_key=SAMPLE_KEYS.address_key) as store:
        yield Postbox(store, SmtpServer()).frame


def parsed(message):
    import email
    import email.policy

    return email.message_from_bytes(message.content, policy=email.policy.default)


@pytest.mark.parametrize("tag", ["en", "fr", "zh-Hans", "ar"])
@pytest.mark.parametrize("kind", LetterKind)
def test_every_letter_in_every_language_is_a_sound_message(frame, kind, tag):
    message = write_letter(plan(kind, shown="n•••@example.net"), frame, load_catalog(tag, "web"))
    lines = message.content.split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) <= 998
    message.content.decode("ascii")
    letter = parsed(message)
    assert not letter.defects
    assert [part.get_content_type() for part in letter.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"):
        assert len(letter.get_all(name)) == 1, name
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in letter
    assert re.fullmatch(r"https://news\.example\.org/(confirm|preferences|change)/[a-z2-7]{48}", link_in(letter))
    html = letter.get_body(["html"]).get_content()
    assert f'lang="{tag}"' in html
    assert ('dir="rtl"' in html) == (tag == "ar")
    assert re.search(r"<script|<img|<form|javascript:", html) is None
    assert "{" not in letter["Subject"]
    text = letter.get_body(["plain"]).get_content()
    assert "{" not in text
    assert "1 Quay Street" in text


def test_the_envelope_names_the_subscriber_and_no_send(frame):
    message = write_letter(plan(), frame, load_catalog("en", "web"))
    token = read_token(SAMPLE_KEYS, token_of(message.envelope.mail_from), Purpose.BOUNCE)
    assert token == Token(Purpose.BOUNCE, 1, 7, 0)
    assert message.envelope.rcpt_to == "ann@example.org"


def test_equal_plans_give_equal_bytes_and_other_wishes_other_messages(frame):
    words = load_catalog("en", "web")
    assert write_letter(plan(), frame, words) == write_letter(plan(), frame, words)
    later = dataclasses.replace(plan(), written_at=NOW + dt.timedelta(hours=1))
    assert write_letter(later, frame, words).message_id != write_letter(plan(), frame, words).message_id


def test_the_message_id_gives_no_address_away(frame):
    message = write_letter(plan(), frame, load_catalog("en", "web"))
    assert re.fullmatch(r"<[0-9a-f]{32}@news\.example\.org>", message.message_id)


def test_an_address_beyond_ascii_stays_out_of_the_header(frame):
    message = write_letter(plan(address="jürgen@example.org"), frame, load_catalog("en", "web"))
    message.content.decode("ascii")
    assert message.envelope.rcpt_to == "jürgen@example.org"


def test_a_projects_own_template_wins(frame, tmp_path):
    from newsletter.pagetemplates import open_templates

    (tmp_path / "letter").mkdir()
    (tmp_path / "letter" / "letter.html.j2").write_text('<p><a href="{{ letter.url }}">mine</a></p>')
    own = dataclasses.replace(frame, templates=open_templates(tmp_path))
    assert ">mine<" in parsed(write_letter(plan(), own, load_catalog("en", "web"))).get_body(["html"]).get_content()


def test_a_title_full_of_markup_is_escaped(frame):
    identity = dataclasses.replace(frame.identity, title='<script>"&')
    own = dataclasses.replace(frame, identity=identity)
    html = parsed(write_letter(plan(), own, load_catalog("en", "web"))).get_body(["html"]).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_letter_is_signed_like_every_mail(frame, tmp_path):
    import dkim as oracle
    from dkim_vectors import RSA_PEM

    from newsletter.config import DkimSection
    from newsletter.dkim import dns_record
    from newsletter.dkimkeys import load_signer

    (tmp_path / "dkim.pem").write_bytes(RSA_PEM)
    signer = load_signer(DkimSection(keys={"s2026": "dkim.pem"}), tmp_path, from_domain="news.example.org")
    signed = dataclasses.replace(frame, dkim=signer)
    message = write_letter(plan(), signed, load_catalog("fr", "web"))
    name, record = dns_record(signer.keys[0], "news.example.org")
    records = {f"{name}.".encode(): record.encode()}
    assert oracle.verify(message.content, dnsfunc=lambda asked, timeout=5: records.get(asked))
    assert write_letter(plan(), signed, load_catalog("fr", "web")) == message
