"""A message is the same bytes on every attempt, holds each value where it belongs, and is what a message must be."""

import dataclasses
import datetime as dt
import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.addresses import Mailbox
from newsletter.conformance import verify_message
from newsletter.edition import freeze
from newsletter.errors import InputError, UnrenderableError
from newsletter.headers import clean_line
from newsletter.identity import SenderIdentity
from newsletter.message import FIELDS, VALUE_MAX, browser_url, prepare_message, unsubscribe_uris
from newsletter.model import Edition, Recipient, Resource, Slot, marker
from newsletter.tokens import SAMPLE_KEYS, Purpose, Token, parse_keys, read_token, sign, token_of

DATE = dt.datetime(2026, 11, 25, 8, 0, tzinfo=dt.timezone(dt.timedelta(hours=1)))
POSTAL = "China Market Weekly, 1 Example Street, 75001 Paris"
MAILTO = SenderIdentity(
    sender=Mailbox("China Market Weekly", "editor@news.example.org"),
    title="China Market Weekly",
    list_id="weekly.news.example.org",
    bounce_address="bounces@news.example.org",
)
WEB = dataclasses.replace(
    MAILTO,
    url="https://news.example.org",
    unsubscribe="web",
    reply_to=Mailbox("Die Redaktion für Sie", "desk@example.org"),
)
ANN = Recipient(subscriber_id=258, list_id=1, address="ann@example.com", name="Ann <Lee> & Söhne")
PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(range(100))
RESOURCES = (
    Resource("logo@news.example.org", "logo.png", "image/png", PNG),
    Resource("chart@news.example.org", "Börse 图.png", "image/png", b""),
)


def edition(**changes):
    values = {
        "issue": "2026-11-25",
        "subject": ("China reins in facial recognition",),
        "preheader": "",
        "html": (
            '<!doctype html>\n<html lang="en"><body>\n<p>Hello ',
            Slot("name", "reader"),
            ', from <b title="',
            Slot("city"),
            '">',
            Slot("city", "your town"),
            "</b></p>\n.dots\nFrom here on: 80 % = good\n<p>",
            "政策 " * 30,
            '</p><p><a href="',
            Slot("browser_url"),
            '">View in browser</a> <a href="',
            Slot("unsubscribe_url"),
            '">Unsubscribe</a></p><p>',
            Slot("email"),
            f" {POSTAL}</p></body></html>",
        ),
        "text": (
            "Hello ",
            Slot("name", "reader"),
            "\n",
            Slot("city", "your town"),
            f"\n\n.dots\nFrom here\n{'政策 ' * 30}\nUnsubscribe: ",
            Slot("unsubscribe_url"),
            "\nBrowser: ",
            Slot("browser_url", "none"),
            f"\n{POSTAL}\n",
        ),
        "date": dt.date(2026, 11, 25),
        "language": "en",
        **changes,
    }
    return freeze(Edition(**values))


def message_of(recipient=ANN, identity=WEB, keys=SAMPLE_KEYS, send_id=7, proof=False, **changes):
    return prepare_message(edition(**changes), identity, keys, date=DATE, send_id=send_id, proof=proof).personalise(
        recipient
    )


def parsed(message):
    return email.message_from_bytes(message.content, policy=email.policy.default)


def part_of(message, kind):
    return parsed(message).get_body((kind,)).get_content().replace("\r\n", "\n")


def verified(message):
    return verify_message(message.content, domain="news.example.org", postal_address=POSTAL)


HTML_RESOURCES = (
    '<html><body><img src="cid:logo@news.example.org" alt="a"><img src="cid:chart@news.example.org" alt="b">',
)
CASES = {
    "web": {},
    "mailto": {"identity": MAILTO},
    "proof": {"proof": True},
    "related": {"resources": RESOURCES, "html": (*HTML_RESOURCES, *edition().html)},
    "unicode": {
        "recipient": dataclasses.replace(ANN, name="王小明", address="王@example.com", attributes={"city": "上海"}),
        "subject": ("致 ", Slot("name", "读者"), "：人脸识别新规出台，品牌须先征得同意，方可采集顾客面部信息"),
        "identity": dataclasses.replace(WEB, title="中国周刊", sender=Mailbox("中国周刊", "editor@news.example.org")),
        "language": "zh-Hans",
        "issue": "2026-11-25.zh",
    },
}


@pytest.mark.parametrize("name", CASES)
def test_messages_byte_by_byte(name, golden):
    message = message_of(**CASES[name])
    assert verified(message) == ()
    golden(f"message/{name}.eml", message.content)
    golden(f"message/{name}.envelope", f"{message.envelope.mail_from}\n{message.envelope.rcpt_to}\n".encode())


# Each value in its place


def test_values_are_escaped_for_their_place():
    recipient = dataclasses.replace(ANN, attributes={"city": '"><script>alert(1)</script>'})
    message = message_of(recipient)
    html, text = part_of(message, "html"), part_of(message, "plain")
    assert "Hello Ann &lt;Lee&gt; &amp; Söhne, from" in html
    assert 'title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">&quot;&gt;&lt;script&gt;' in html
    assert text.startswith('Hello Ann <Lee> & Söhne\n"><script>alert(1)</script>\n')
    assert verified(message) == ()


def test_defaults_stand_in_for_empty_values():
    message = message_of(dataclasses.replace(ANN, name=" \r\n\0", attributes={"city": ""}))
    assert part_of(message, "plain").startswith("Hello reader\nyour town\n")
    assert 'from <b title="">your town</b>' in part_of(message, "html")


def test_defaults_are_escaped_too():
    message = message_of(dataclasses.replace(ANN, name=""), html=("<p>", Slot("name", "<you>"), "</p>"))
    assert part_of(message, "html") == "<p>&lt;you&gt;</p>\n"


def test_attributes_cannot_stand_in_for_the_fixed_fields():
    recipient = dataclasses.replace(ANN, attributes=dict.fromkeys(FIELDS, "forged") | {"\0token": "forged"})
    assert message_of(recipient).content == message_of(ANN).content


@pytest.mark.parametrize("mode", ["web", "mailto"])
@pytest.mark.parametrize("kind", ["html", "plain"])
def test_the_link_in_the_parts_is_the_first_of_list_unsubscribe(mode, kind):
    message = message_of(**CASES[mode])
    first = re.findall("<([^>]+)>", parsed(message)["List-Unsubscribe"])[0]
    part = part_of(message, kind)
    assert (f'href="{first}"' if kind == "html" else f"Unsubscribe: {first}\n") in part
    token = token_of(first.removeprefix("mailto:").partition("?")[0]) if mode == "mailto" else first.rpartition("/")[2]
    assert read_token(SAMPLE_KEYS, token, Purpose.UNSUBSCRIBE) == Token(Purpose.UNSUBSCRIBE, 1, 258, 7)


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_the_link_to_preferences_is_signed_and_stands_in_both_parts_in_web_mode_only(kind):
    slot = Slot("preferences_url", "ask us & wait")
    parts = {"html": (*edition().html, "<p>", slot, "</p>"), "text": (*edition().text, slot, " ", slot, "\n")}
    for proof, subscriber_id in ((False, 258), (True, 0)):
        text = part_of(message_of(proof=proof, **parts), kind)
        (found, *again) = re.findall(r"https://news\.example\.org/preferences/(\w+)", text)
        assert again == [found] * (kind == "plain")
        token = Token(Purpose.PREFERENCES, 1, subscriber_id)
        assert (found, read_token(SAMPLE_KEYS, found, Purpose.PREFERENCES)) == (sign(SAMPLE_KEYS, token), token)
    assert verified(message_of(**parts)) == ()
    by_mail = part_of(message_of(identity=MAILTO, **parts), kind)
    assert ("ask us &amp; wait" if kind == "html" else "ask us & wait ask us & wait") in by_mail
    assert "/preferences/" not in by_mail


def test_list_unsubscribe_has_https_only_in_web_mode():
    web, mailto = parsed(message_of()), parsed(message_of(identity=MAILTO))
    token = sign(SAMPLE_KEYS, Token(Purpose.UNSUBSCRIBE, 1, 258, 7))
    assert web["List-Unsubscribe"] == ", ".join(f"<{uri}>" for uri in unsubscribe_uris(WEB, token))
    assert web["List-Unsubscribe"].startswith("<https://news.example.org/unsubscribe/aeb")
    assert web["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mailto["List-Unsubscribe"] == f"<mailto:bounces+{token}@news.example.org?subject=unsubscribe>"
    assert "List-Unsubscribe-Post" not in mailto


def test_a_site_without_web_unsubscribing_still_has_the_archive():
    message = message_of(identity=dataclasses.replace(MAILTO, url="https://news.example.org"))
    assert "Browser: https://news.example.org/archive/2026-11-25\n" in part_of(message, "plain")
    assert "https" not in parsed(message)["List-Unsubscribe"]


def test_without_a_site_the_archive_link_shows_its_default():
    assert browser_url(MAILTO, "x") == ""
    assert "Browser: none\n" in part_of(message_of(identity=MAILTO), "plain")


def test_a_slug_is_quoted_in_the_archive_link():
    assert browser_url(WEB, "2026/11 é") == "https://news.example.org/archive/2026%2F11%20%C3%A9"


@pytest.mark.parametrize(
    "html", [(), ("",), (Slot("name"),), ("a", "b"), ("a", Slot("name"), "", Slot("name"), "b\r\n"), ("a\r",)]
)
def test_a_part_ends_in_one_line_break_that_it_may_be_given(html):
    message = message_of(dataclasses.replace(ANN, name="N"), html=html)
    shown = (
        "".join(piece if isinstance(piece, str) else "N" for piece in html).replace("\r\n", "\n").replace("\r", "\n")
    )
    assert part_of(message, "html") == (shown if shown.endswith("\n") else shown + "\n")


values = st.text(st.characters(exclude_categories=()), max_size=90)
statics = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=90)
slots = st.sampled_from([Slot("name", "reader"), Slot("city"), Slot("email")])


@given(st.lists(st.one_of(statics, slots), max_size=6).map(tuple), values, values)
def test_parts_decode_to_the_text_with_the_values_put_in(part, name, city):
    recipient = Recipient(1, 1, "ann@example.com", name, attributes={"city": city})
    message = message_of(recipient, html=part, text=part, subject=("S",))
    known = {"name": clean_line(name) or "reader", "city": clean_line(city), "email": "ann@example.com"}
    wanted = "".join(piece if isinstance(piece, str) else known[piece.field] for piece in part) + "\n"
    (text, html) = email.message_from_bytes(message.content).get_payload()
    assert text.get_payload(decode=True).decode() == wanted.replace("\n", "\r\n")
    escaped = {key: email_escape(value) for key, value in known.items()}
    wanted = "".join(piece if isinstance(piece, str) else escaped[piece.field] for piece in part) + "\n"
    assert html.get_payload(decode=True).decode() == wanted.replace("\n", "\r\n")
    broken = {problem.rule for problem in verify_message(message.content)}
    assert broken.isdisjoint(
        {"line-ends", "line-length", "seven-bit", "header-syntax", "encoding", "structure", "injection"}
    )


def email_escape(value):
    """Escape as HTML has it, written apart from the module under test."""
    for character, reference in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#x27")):
        value = value.replace(character, f"&{reference};")
    return value


# Headers


def test_every_header_stands_once_and_in_order():
    assert parsed(message_of()).keys() == [
        *("Date", "From", "Reply-To", "To", "Subject", "Message-ID", "List-Id", "List-Unsubscribe"),
        *("List-Unsubscribe-Post", "Feedback-ID", "MIME-Version", "Content-Type"),
    ]


def test_header_values_read_back():
    message = parsed(message_of())
    assert message["Date"].datetime == DATE
    assert message["From"].addresses[0].addr_spec == "editor@news.example.org"
    assert message["Reply-To"].addresses[0].display_name == "Die Redaktion für Sie"
    assert message["To"].addresses[0].display_name == "Ann <Lee> & Söhne"
    assert message["List-Id"] == '"China Market Weekly" <weekly.news.example.org>'
    assert message["Feedback-ID"] == "2026-11-25:en:issue:weeklynewsexamp"


@pytest.mark.parametrize("title", ["中国周刊", "x" * 61, "=?utf-8?q?a?="])
def test_a_title_that_needs_encoding_stays_out_of_list_id(title):
    message = message_of(identity=dataclasses.replace(WEB, title=title))
    assert parsed(message)["List-Id"] == "<weekly.news.example.org>"


def test_a_title_with_quotes_is_quoted():
    message = message_of(identity=dataclasses.replace(WEB, title='The "A" \\ B'))
    assert b'List-Id: "The \\"A\\" \\\\ B" <weekly' in message.content


@pytest.mark.parametrize(
    ("changes", "feedback_id"),
    [
        ({"issue": "a:b c"}, "a-b-c:en:issue"),
        ({"issue": "周"}, "-:en:issue"),
        ({"issue": "x" * 90, "language": ""}, "x" * 40 + ":-:issue"),
    ],
)
def test_a_feedback_id_holds_plain_fields(changes, feedback_id):
    assert parsed(message_of(**changes))["Feedback-ID"] == f"{feedback_id}:weeklynewsexamp"


def test_a_short_list_id_still_gives_a_sender_of_five_characters():
    message = message_of(identity=dataclasses.replace(WEB, list_id="a.b"))
    assert parsed(message)["Feedback-ID"].endswith(":ab000")


def test_a_name_in_the_subject_is_filled_and_cannot_forge_a_header():
    recipient = dataclasses.replace(ANN, name="A =?UTF-8?Q?=0A?=Bcc: x@example.com\r\nBcc: y@example.com")
    message = message_of(recipient, subject=("For ", Slot("name", "you"), ": news"))
    assert parsed(message)["Subject"] == "For A = ?UTF-8?Q?=0A?=Bcc: x@example.com Bcc: y@example.com: news"
    assert parsed(message)["Bcc"] is None
    assert {problem.rule for problem in verified(message)} <= set()
    assert (
        parsed(message_of(dataclasses.replace(ANN, name=""), subject=(Slot("name", "You"), "!")))["Subject"] == "You!"
    )


@given(values, values)
def test_any_name_and_subject_make_a_conforming_message(name, city):
    recipient = dataclasses.replace(ANN, name=name, attributes={"city": city})
    message = message_of(recipient, subject=("News for ", Slot("name", "you"), Slot("city")))
    assert verified(message) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": ()}, "the subject is empty"),
        ({"subject": ("  ",)}, "the subject is empty"),
        ({"subject": ("A\nBcc: x@example.com",)}, "the subject holds a line break"),
        ({"subject": ("A =?UTF-8?Q?=0A?=Bcc: x@example.com",)}, "the subject holds a line break"),
        ({"subject": ("A =?UTF-8?Q?", Slot("name", "=0A?="))}, "the subject holds a line break"),
        ({"subject": ("Leave: ", Slot("unsubscribe_url"))}, "the subject holds {{ unsubscribe_url }}"),
        ({"subject": ("Choose: ", Slot("preferences_url"))}, "the subject holds {{ preferences_url }}"),
        ({"html": ("a\0b",)}, "the html part holds the character U+0000 at 1"),
        ({"text": ("a\x1bb",)}, "the plain part holds the character U+001B at 1"),
        ({"html": (f"a{marker(0)}",)}, "U+FDD0"),
        ({"html": ("a\ud800",)}, "U+D800"),
        ({"resources": (Resource("a b", "a.png", "image/png", b""),)}, "Content-ID 'a b'"),
        ({"resources": (Resource("a", "a.png", "image/png", b""),)}, "like logo@example.org"),
        ({"resources": (Resource("a@b", "a.png", "image/png\r\nX: y", b""),)}, "a type is like image/png"),
    ],
)
def test_text_that_no_message_may_hold_is_refused(changes, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        message_of(**changes)


def test_only_a_frozen_edition_and_an_aware_date_are_taken():
    loose = dataclasses.replace(edition(), digest="")
    with pytest.raises(ValueError, match="frozen"):
        prepare_message(loose, WEB, SAMPLE_KEYS, date=DATE)
    with pytest.raises(ValueError, match="aware"):
        prepare_message(edition(), WEB, SAMPLE_KEYS, date=DATE.replace(tzinfo=None))


# One recipient


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@",
        "ann@",
        "a b@example.org",
        "ann@example.org\r\nBcc: x@example.org",
        "ann@example.org, eve@example.org",
        "<ann@example.org>",
        "a@b@example.org",
        "a\u202eb@example.org",
        "a\ud800@example.org",
        "ann@exämple.org",
        "x" * 250 + "@example.org",
    ],
)
def test_an_address_that_cannot_be_mailed_makes_the_row_unrenderable(address):
    with pytest.raises(UnrenderableError, match="is no address"):
        message_of(dataclasses.replace(ANN, address=address))


@pytest.mark.parametrize("value", ["x" * (VALUE_MAX + 1), "王" * (VALUE_MAX // 3 + 1), "\ud800" * VALUE_MAX])
@pytest.mark.parametrize("field", ["name", "city"])
def test_a_value_over_64_kb_makes_the_row_unrenderable(value, field):
    recipient = (
        dataclasses.replace(ANN, name=value) if field == "name" else dataclasses.replace(ANN, attributes={field: value})
    )
    with pytest.raises(UnrenderableError, match=f"the value of '{field}' is longer than 64 KB"):
        message_of(recipient)


def test_a_value_of_64_kb_is_rendered():
    message = message_of(dataclasses.replace(ANN, attributes={"city": "." * VALUE_MAX}))
    assert "." * VALUE_MAX in part_of(message, "plain")
    assert {problem.rule for problem in verified(message)} == {"html-size"}


def test_a_value_that_is_not_used_does_not_matter():
    message_of(dataclasses.replace(ANN, attributes={"story": "x" * 10**6}))


def test_the_envelope_names_the_delivery_and_the_recipient():
    envelope = message_of().envelope
    assert envelope.rcpt_to == "ann@example.com"
    assert read_token(SAMPLE_KEYS, token_of(envelope.mail_from), Purpose.BOUNCE) == Token(Purpose.BOUNCE, 1, 258, 7)


def test_an_address_beyond_ascii_stands_in_the_envelope_alone():
    message = message_of(dataclasses.replace(ANN, address="zoë@example.com", name=""))
    assert message.envelope.rcpt_to == "zoë@example.com"
    assert parsed(message)["To"] == "undisclosed-recipients:;"
    assert verified(message) == ()


def test_message_ids_are_the_recipients_own_and_give_nothing_away():
    prepared = prepare_message(edition(), WEB, SAMPLE_KEYS, date=DATE, send_id=7)
    ids = {prepared.personalise(dataclasses.replace(ANN, subscriber_id=number)).message_id for number in range(1, 200)}
    assert len(ids) == 199
    message = prepared.personalise(ANN)
    assert re.fullmatch(r"<[0-9a-f]{32}@news\.example\.org>", message.message_id)
    assert parsed(message)["Message-ID"] == message.message_id
    assert (
        prepared.personalise(dataclasses.replace(ANN, address="new@example.com", name="")).message_id
        == message.message_id
    )


@pytest.mark.parametrize(
    "other",
    [{"send_id": 8}, {"text": ("other\n",)}, {"proof": True}, {"recipient": dataclasses.replace(ANN, list_id=2)}],
)
def test_another_send_edition_or_list_has_another_message_id(other):
    assert message_of(**other).message_id != message_of().message_id


def test_every_attempt_has_the_same_bytes_and_rotation_keeps_the_message_id():
    assert message_of() == message_of()
    first = "a-secret-for-this-test-and-for-no-other-use"
    before, after = (message_of(keys=parse_keys(text)) for text in (first, f"{first}\n{first}-and-more"))
    assert before.message_id == after.message_id
    assert before.envelope != after.envelope


# Proofs


def test_a_proof_is_marked_and_unsubscribes_nobody():
    message = message_of(proof=True)
    assert parsed(message)["Subject"] == "[Proof] China reins in facial recognition"
    assert parsed(message)["Newsletter-Proof"] == "yes"
    for uri in re.findall("<([^>]+)>", parsed(message)["List-Unsubscribe"]):
        token = token_of(uri.removeprefix("mailto:").partition("?")[0]) or uri.rpartition("/")[2]
        assert read_token(SAMPLE_KEYS, token, Purpose.UNSUBSCRIBE).subscriber_id == 0
    assert read_token(SAMPLE_KEYS, token_of(message.envelope.mail_from), Purpose.BOUNCE).subscriber_id == 0
    assert verified(message) == ()


def test_proofs_differ_by_recipient_and_by_instant():
    later = prepare_message(edition(), WEB, SAMPLE_KEYS, date=DATE + dt.timedelta(seconds=1), send_id=7, proof=True)
    other = message_of(dataclasses.replace(ANN, address="eve@example.com"), proof=True)
    assert len({message_of(proof=True).message_id, later.personalise(ANN).message_id, other.message_id}) == 3


def test_nothing_but_a_proof_is_marked():
    assert "Newsletter-Proof" not in parsed(message_of())
    assert parsed(message_of())["Subject"] == "China reins in facial recognition"


# Images


def test_images_stand_beside_the_html():
    message = parsed(message_of(**CASES["related"]))
    text, related = message.iter_parts()
    assert (text.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    assert related["Content-Type"].params["type"] == "text/html"
    html, logo, chart = related.iter_parts()
    assert html.get_content_type() == "text/html"
    assert logo.get_content() == PNG
    assert (logo["Content-ID"], logo.get_filename()) == ("<logo@news.example.org>", "logo.png")
    assert logo.get_content_disposition() == "inline"
    assert chart.get_filename() == "Börse 图.png"
    assert chart.get_content() == b""


def test_a_long_filename_keeps_its_end():
    resource = Resource("a@b.org", "x" * 300 + ".png", "image/png", b"1")
    message = parsed(message_of(resources=(resource,)))
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    assert names == ["x" * 56 + ".png"]
