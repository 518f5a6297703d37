"""A good message breaks no rule; for each rule a message that breaks it is caught; nothing makes the check fail."""

import email
from email.quoprimime import body_encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.conformance import RULES, verify_message

GOLDEN = Path(__file__).parent / "golden" / "message"
GOOD = (GOLDEN / "web.eml").read_bytes()
RELATED = (GOLDEN / "related.eml").read_bytes()
MAILTO = (GOLDEN / "mailto.eml").read_bytes()
UNICODE = (GOLDEN / "unicode.eml").read_bytes()
DOMAIN = "news.example.org"
POSTAL = "China Market Weekly\n1 Example Street, 75001 Paris"
BODY_TAG = b'<html lang=3D"en"><body>\r\n'
CODED = b"=?utf-8?q?Zo=C3=AB?="


def broken(content, **known):
    return {problem.rule for problem in verify_message(content, **known)}


def swapped(old, new, content=GOOD):
    assert old in content
    return content.replace(old, new, 1)


def field(name, value, content=GOOD):
    """Return the message with the value of a field exchanged, or without the field where ``value`` is None."""
    head, _, body = content.partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b"\0").split(b"\r\n")
    assert any(line.lower().startswith(name.lower() + b":") for line in lines)
    kept = [line for line in lines if not line.lower().startswith(name.lower() + b":")]
    added = [] if value is None else [name + b": " + value]
    return b"\r\n".join([*kept, *added]).replace(b"\0", b"\r\n ") + b"\r\n\r\n" + body


def quoted(code):
    return body_encode(code.decode("latin-1"), maxlinelen=75, eol="\r\n").encode("ascii") + b"=\r\n"


def html(code, content=GOOD):
    """Return the message with ``code`` at the start of the HTML's body, shown before all else."""
    return swapped(BODY_TAG, BODY_TAG + quoted(code), content)


def after(code):
    """Return the message with ``code`` in the HTML's body behind visible text."""
    return swapped(b"</b></p>\r\n", b"</b></p>\r\n" + quoted(code))


def added(line):
    return swapped(b"MIME-Version", line + b"\r\nMIME-Version")


@pytest.mark.parametrize("name", ["web", "mailto", "proof", "related", "unicode"])
def test_a_good_message_breaks_no_rule(name):
    assert verify_message((GOLDEN / f"{name}.eml").read_bytes(), domain=DOMAIN, postal_address=POSTAL) == ()


BROKEN = {
    "line-ends": [
        GOOD.replace(b"\r\n", b"\n"),
        swapped(b"Hello", b"Hel\nlo"),
        swapped(b"Hello", b"Hel\rlo"),
        GOOD + b"no end",
        b"",
    ],
    "line-length": [added(b"X-Long: " + b"x" * 991), swapped(b"Hello", b"x" * 1000)],
    "seven-bit": [added("X-Name: Zoë".encode()), swapped(b"Hello", b"Hel\0lo"), swapped(b"Hello", "Hellö".encode())],
    "header-syntax": [
        added(b"no field here"),
        added(b": no name"),
        added(b"Bad Name: x"),
        added(b"X-Folded: x\r\n \t"),
        b" starts: folded\r\n" + GOOD,
    ],
    "field-count": [
        *(
            added(GOOD[GOOD.index(name) :].split(b"\r\n")[0])
            for name in (b"From:", b"To:", b"Date:", b"Subject:", b"Message-ID:")
        ),
        *(
            added(name + b": x")
            for name in (b"mime-version", b"Content-Type", b"List-Id", b"List-Unsubscribe", b"Feedback-ID")
        ),
        *(field(name, None) for name in (b"From", b"To", b"Date", b"Subject", b"Message-ID", b"MIME-Version")),
        *(field(name, None) for name in (b"List-Id", b"List-Unsubscribe", b"Feedback-ID", b"Content-Type")),
        added(b"Reply-To: a@b.org"),
        added(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
    ],
    "encoded-word": [
        field(b"List-Id", CODED + b" <weekly.example.org>"),
        field(b"List-Unsubscribe", b"=?utf-8?q?=3Chttps=3A//a=2Eorg=3E?="),
        field(b"Message-ID", CODED),
        field(b"From", b'"' + CODED + b'" <a@news.example.org>'),
        field(b"From", b"A <" + CODED + b"@news.example.org>"),
        field(b"Subject", b"=?utf-8?q?" + b"x" * 64 + b"?="),
        field(b"Subject", b"=?utf-8?b?w6nD?="),
        field(b"Subject", b"=?utf-8?q?=E7=8E?= =?utf-8?q?=8B?="),
        field(b"Subject", b"=?nonsense?q?a?="),
        field(b"Subject", b"x" * 60 + b" " + CODED),
    ],
    "injection": [
        field(b"Subject", b"A =?UTF-8?Q?=0A?=Bcc: x@example.com"),
        field(b"Subject", b"=?utf-8?b?QQ0KQmNjOiB4QGV4YW1wbGUuY29t?="),
        field(b"To", b"=?utf-8?q?A=0D=0ABcc:?= <a@example.org>"),
        field(b"Subject", b"A\x0bB"),
        field(b"Subject", b"=?utf-8?q?a?b=0A?=Bcc: x@example.com"),
        field(b"Subject", b"=?utf-8?b?a?= =?utf-8?q?=0A?=Bcc: x@example.com"),
    ],
    "to": [
        field(b"To", b"a@example.org, b@example.org"),
        field(b"To", b"Ann"),
        field(b"To", b"List: a@example.org, b@example.org;"),
    ],
    "date": [
        field(b"Date", b"yesterday"),
        field(b"Date", b"Wed, 25 Nov 2026 08:00:00 -0000"),
        field(b"Date", b"0 0 0"),
    ],
    "subject": [field(b"Subject", b"")],
    "message-id": [
        field(b"Message-ID", b"1@example.org"),
        field(b"Message-ID", b"<1>"),
        field(b"Message-ID", b"<1@example.org> <2@example.org>"),
        field(b"Message-ID", b"<ann@example.com>"),
        field(b"Message-ID", b"<ann=example.com.7@news.example.org>"),
    ],
    "mime-version": [field(b"MIME-Version", b"1.1")],
    "list-id": [
        field(b"List-Id", b"weekly.example.org"),
        field(b"List-Id", b"<weekly>"),
        field(b"List-Id", b"<weekly example.org>"),
        field(b"List-Id", b'"A" <a@example.org>'),
    ],
    "list-unsubscribe": [
        field(b"List-Unsubscribe", b"https://a.org/u"),
        field(b"List-Unsubscribe", b"<mailto:a@b.org>, <https://a.org/u>"),
        field(b"List-Unsubscribe", b"<https://a.org/u>"),
        field(b"List-Unsubscribe", b"<http://a.org/u>, <mailto:a@b.org>"),
        field(b"List-Unsubscribe", b"<http://127.0.0.1.a.org/u>, <mailto:a@b.org>"),
        field(b"List-Unsubscribe", b"<https://a.org/u>, <https://a.org/v>, <mailto:a@b.org>"),
        field(b"List-Unsubscribe", b"<https://a.org/ u>"),
    ],
    "one-click": [
        field(b"List-Unsubscribe-Post", None),
        field(b"List-Unsubscribe-Post", b"List-Unsubscribe=Yes"),
        swapped(b"MIME-Version", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version", MAILTO),
    ],
    "feedback-id": [
        field(b"Feedback-ID", b"weekly"),
        field(b"Feedback-ID", b"a:b:c:d:sender"),
        field(b"Feedback-ID", b"a:b:c:four"),
        field(b"Feedback-ID", b"a:b:c:sixteen-letters-"),
    ],
    "auto-submitted": [added(b"Auto-Submitted: auto-generated"), added(b"auto-submitted: no")],
    "structure": [
        swapped(b"multipart/alternative", b"multipart/mixed"),
        swapped(b"multipart/alternative", b"text/plain"),
        swapped(b"text/plain", b"text/markdown"),
        swapped(b"text/html", b"text/plain"),
        swapped(b"text/plain", b"text/html")
        .replace(b"text/html", b"text/plain")
        .replace(b"text/plain", b"text/html", 1),
        GOOD[: GOOD.rindex(b"\r\n--")] + b"\r\n",
        swapped(b".alt--", b".alt\r\nContent-Type: text/calendar\r\n\r\nx\r\n" + GOOD[GOOD.rindex(b"--=_") :]),
        swapped(b"Content-Type: text/html", b"Content-Type: image/png", RELATED),
        b"\r\n\r\n",
    ],
    "encoding": [
        swapped(b"charset=utf-8", b"charset=iso-8859-1"),
        swapped(b"; charset=utf-8", b""),
        swapped(b"Encoding: quoted-printable", b"Encoding: 7bit"),
        swapped(b"Hello", b"x" * 80),
        swapped(b"Hello =\r\n", b"Hello \r\n"),
        swapped(b"Hello", b"Hel=lo"),
        swapped(b"Hello", b"Hel=e9lo"),
        swapped(b"Hello", b"Hel=FFlo"),
        swapped(b"=2Edots", b".dots"),
        swapped(b"=46rom", b"From"),
    ],
    "html-size": [html(b"<p>" + b"x" * 70 + b"</p>" + (b"\n" + b"x" * 70) * 1500)],
    "unsubscribe-link": [
        GOOD.replace(b"Unsubscribe</a>", b"</a>"),
        swapped(b"Unsubscribe: https://news.example.org/unsubscribe/", b"Unsubscribe: https://news.example.org/"),
        swapped(b">Unsubscribe</a>", b"><b style=3D'display:none'>Unsubscribe</b></a>"),
    ],
    "active-content": [
        html(b"<script>alert(1)</script>"),
        html(b"<SCRIPT src='x'></SCRIPT>"),
        html(b"<form action='/x'></form>"),
        html(b"<iframe src='https://a.org'></iframe>"),
        html(b"<input>"),
        html(b"<p onclick='x()'>x</p>"),
        html(b"<img src='x' onerror='x()'>"),
        html(b"<a href='javascript:x()'>x</a>"),
        html(b"<a href=' java&#9;script&#58;x()'>x</a>"),
        html(b"<a href='data:text/html,x'>x</a>"),
        html(b"<meta http-equiv='Refresh' content='0'>"),
        html(b"<!--[if mso]><form></form><![endif]-->"),
        html(b"<object></object>"),
    ],
    "unresolved-field": [
        html(b"<p>{{ name }}</p>"),
        html(b'<p>{{name|default("x")}}</p>'),
        html(b"<p>{% if x %}</p>"),
        html(b"<p>*|FNAME|*</p>"),
        html(b"<a href='https://a.org/{{ email }}'>x</a>"),
        html("<p>\ufdd0\ufdd2\ufdd1</p>".encode()),
        swapped(b"Hello =\r\n", b"Hello {{ name }} =\r\n"),
        field(b"Subject", b"News for {{ name }}"),
    ],
    "hidden-content": [
        after(b"<div style='display:none'>win money</div>"),
        after(b"<div style='color:red;DISPLAY: NONE !important'>win money</div>"),
        after(b"<p style='visibility:hidden'>win money</p>"),
        after(b"<p style='font-size:0px'>win money</p>"),
        after(b"<p style='opacity:0'>win money</p>"),
        after(b"<p style='max-height:0;overflow:hidden'>win money</p>"),
        after(b"<p style='mso-hide:all'>win money</p>"),
        after(b"<p style='text-indent:-9999px'>win money</p>"),
        after(b"<p hidden>win money</p>"),
        html(b"<div style='display:none'>preheader</div><div style='display:none'>win money</div>"),
    ],
    "inline-image": [
        html(b"<img src='cid:missing@example.org'>"),
        html(b"<img src='cid:missing@example.org'>", RELATED),
        swapped(b"cid:logo@news", b"cid:other@news", RELATED),
        RELATED.replace(b"chart@", b"logo@"),
    ],
}


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_each_rule_is_caught_where_it_is_broken(rule):
    for content in BROKEN[rule]:
        problems = [problem for problem in verify_message(content) if problem.rule == rule]
        assert problems, content[:400]
        for problem in problems:
            assert problem.message
            assert problem.hint
            assert str(problem).isprintable()


ALONE = (
    "auto-submitted",
    "active-content",
    "hidden-content",
    "unresolved-field",
    "feedback-id",
    "one-click",
    "html-size",
)


@pytest.mark.parametrize("rule", ALONE)
def test_a_broken_rule_does_not_drag_others_along(rule):
    for content in BROKEN[rule]:
        assert broken(content, domain=DOMAIN, postal_address=POSTAL) == {rule}


def test_from_is_one_mailbox_at_our_domain():
    assert broken(GOOD, domain="example.org") == {"from"}
    assert broken(GOOD, domain="NEWS.example.org") == set()
    for value in (
        b"a@news.example.org, b@news.example.org",
        b"Nobody",
        b"A: a@news.example.org, b@news.example.org;",
        b"<>",
    ):
        assert "from" in broken(field(b"From", value), domain=DOMAIN)
    assert "from" in broken(field(b"From", b"Nobody"))


def test_the_postal_address_is_shown_in_both_parts():
    assert broken(GOOD, postal_address="2 Other Street") == {"postal-address"}
    assert len(verify_message(GOOD, postal_address="2 Other Street")) == 2
    assert broken(swapped(b"1 Example Street", b"1 Example=\r\n=20\r\nStreet"), postal_address=POSTAL) == set()
    hidden = GOOD.replace(b"</p><p>=\r\nann@", b"</p><p style=3D'display:none'>=\r\nann@")
    assert hidden != GOOD
    assert "postal-address" in broken(hidden, postal_address=POSTAL)


HARMLESS = [
    html(b"<div style='display:none;opacity:0;overflow:hidden;max-height:0px'>preheader &#847;&zwnj;&nbsp;</div>"),
    after(b"<div style='display:none'> &#847;&zwnj;&nbsp; <img src='https://a.org/dark.png'></div>"),
    after(b"<td style='font-size:0px'> <div style='font-size:15px'>shown</div> </td>"),
    after(b"<p style='font-size:0.9em;opacity:0.5;line-height:0;height:0'>shown</p>"),
    after(b"<p><code>{{ name }}</code> and <pre>{% if x %}</pre></p>"),
    after(b"<p>{{ }} {{ 7*7 }} {{}} {x} 100% {%}</p>"),
    after(b"<p>One on-line option, once: javascript: is a scheme</p>"),
    after(b"<img src='data:image/png;base64,AA==' alt=''>"),
    after(b"<!--[if mso | IE]><table><tr><td><![endif]--><p>x</p><!--[if mso | IE]></td></tr></table><![endif]-->"),
    after(b"<![if !mso]><p>x</p><![endif]>"),
    field(b"List-Unsubscribe", b"<http://127.0.0.1:8000/unsubscribe/x>, <mailto:a@b.org>"),
    field(b"List-Unsubscribe", b"<http://localhost/unsubscribe/x>, <mailto:a@b.org>"),
    field(b"To", b"undisclosed-recipients:;"),
    field(b"Subject", b"A =? b ?= c"),
    added(b"X-Folded: a\r\n b"),
    UNICODE,
    RELATED,
]


@pytest.mark.parametrize("content", HARMLESS)
def test_what_is_harmless_is_let_through(content):
    assert broken(content, domain=DOMAIN) == set()


def test_a_field_shown_as_code_may_stand_in_the_text_part_too():
    code = swapped(b"Hello =\r\n", b"Hello {{ name }} =\r\n", after(b"<code>{{  name }}</code>"))
    assert broken(code) == set()


@given(st.binary())
def test_any_bytes_can_be_checked(content):
    assert verify_message(content)


@given(st.binary(max_size=60), st.integers(0, len(RELATED)))
def test_any_damage_can_be_checked(noise, at):
    verify_message(RELATED[:at] + noise + RELATED[at + len(noise) :], domain=DOMAIN, postal_address=POSTAL)


def test_real_mail_can_be_checked():
    folder = Path(__file__).parents[1].parent / "shared" / "data" / "ordinary-mail"
    if not folder.is_dir():
        pytest.skip("the shared folder of real mail is not here")
    for path in sorted(folder.iterdir()):
        assert broken(path.read_bytes()), path.name


@pytest.mark.parametrize(
    "content",
    [
        b"<div>" * 100_000,
        b"<a href='x'>" * 20_000,
        b"</p>" * 100_000,
        b"<p style='" + b";" * 100_000 + b"'>",
        b"<" * 100_000,
        b"<!--" * 50_000,
        b"{{" * 50_000,
        b"{{ a " * 20_000,
        b"&" * 100_000,
    ],
)
def test_hostile_html_is_read_in_time(content):
    verify_message(html(content))


def test_the_standard_library_agrees_that_the_messages_have_no_defects():
    for path in GOLDEN.glob("*.eml"):
        message = email.message_from_bytes(path.read_bytes())
        assert [defect for part in message.walk() for defect in part.defects] == []


def test_a_message_id_that_only_happens_to_end_like_an_address_gives_nothing_away():
    content = field(b"To", b"a@news.example.org", field(b"Message-ID", b"<3f0a@news.example.org>"))
    assert "message-id" not in broken(content)
    assert "message-id" in broken(field(b"Message-ID", b"<x.a@news.example.org>", content))
    assert "message-id" in broken(field(b"Message-ID", b"<a@news.example.org>", content))
