"""Payloads for every rule of security that the pages must keep: what strangers send is data, never more."""

import base64
import random
import re
from pathlib import Path

import pytest
from lxml import html
from postbox import NOW, Postbox
from smtp_server import SmtpServer
from webfront import Front, heading

from newsletter import consent
from newsletter.store import SubscriptionState, open_store
from newsletter.tokens import SAMPLE_KEYS, Purpose, Signer, Token, expiry_hour, parse_keys, read_token, sign
from newsletter.web.archive import find_file, type_of
from newsletter.web.desk import masked_network
from newsletter.web.guard import ARCHIVE_POLICY, FORM_MAX, POLICY

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7*7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${7*7}",
    "\u202e\u2066evil",
    "\x00\x1b[31m",
    "<!--",
    "&lt;script&gt;",
)
HEADERS = (
    "ann@example.org\r\nBcc: victim@example.com",
    "ann@example.org\nSubject: pills",
    "ann@example.org%0d%0aBcc:victim@example.com",
    "ann@example.org, victim@example.com",
    "ann@example.org;victim@example.com",
    '"ann\r\nBcc: victim@example.com"@example.org',
    "<ann@example.org> <victim@example.com>",
    "=?utf-8?q?ann=0d=0aBcc=3a?=@example.org",
    "ann@example.org\x00@victim.example",
    "ann@example.org\u2028Bcc: victim@example.com",
)


@pytest.fixture
def front(tmp_path):
    with (
        SmtpServer() as server,
        open_store(f"sqlite:///{tmp_path / 'n.db'}", address_key=SAMPLE_KEYS.address_key) as store,
    ):
        yield Front(Postbox(store, server), archive=tmp_path / "archive")


# ---------------------------------------------------------------------------------------------------------------------
# Markup, headers, redirects
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", MARKUP)
def test_markup_stays_text_wherever_it_is_shown(front, payload):
    ann = front.box.join()
    preferences, leave = front.path(Purpose.PREFERENCES, ann), front.path(Purpose.UNSUBSCRIBE, ann)
    pages = [
        front.post("/subscribe", {"email": payload, "name": payload, "list": payload, "topic": payload}),
        front.post("/preferences", {"email": payload}),
        front.get("/subscribe", query_string={"lang": payload, "next": payload, "email": payload, "name": payload}),
        front.post(preferences, {"do": "save", "name": payload, "language": payload, "topic": payload}),
        front.get(preferences),
        front.post(preferences, {"do": "move", "email": payload}),
        front.post(leave, {"do": "leave"}),
        front.post(leave, {"do": "why", "reason": payload, "words": payload}),
        front.get("/" + payload.replace("\x00", "")),
        front.get("/archive/" + payload.replace("\x00", "")),
        front.get("/confirm/" + payload.replace("\x00", "")),
    ]
    for page in pages:
        assert page.status_code < 500
        for element in html.fromstring(page.text).iter():
            assert element.tag not in ("script", "svg", "img", "iframe", html.HtmlComment)
            assert not [name for name in element.attrib if name.startswith("on") or name == "style"]
            assert not element.get("href", "").startswith(("javascript", "data", "//"))
            assert (element.text or "").strip() != "49"
    reasons = [line.evidence.reason for line in front.box.store.choices.load_consents(ann)]
    assert any(payload.split("\x00")[0][:4] in reason for reason in reasons) or payload.startswith("\x00")


@pytest.mark.parametrize("payload", HEADERS)
def test_no_address_brings_a_header_or_a_second_recipient_into_a_mail(front, payload):
    for path, extra in (("/subscribe", {}), ("/preferences", {})):
        front.post(path, {"email": payload, **extra})
    front.post(front.path(Purpose.PREFERENCES, front.box.join("holder@example.org")), {"do": "move", "email": payload})
    front.box.post()
    for accepted in front.box.server.accepted:
        assert "victim" not in "".join(accepted.rcpt_to)
        head = accepted.content.partition(b"\r\n\r\n")[0]
        assert not re.search(rb"(?im)^(bcc|cc):", head)
        assert b"pills" not in head


@pytest.mark.parametrize("payload", [*MARKUP, "Ann\r\nBcc: victim@example.com", "=?utf-8?q?=0aBcc=3a?="])
def test_no_name_leaves_its_place_in_a_mail(front, payload):
    front.post("/subscribe", {"email": "ann@example.org", "name": payload})
    front.box.post()
    [accepted] = front.box.server.accepted
    assert b"victim" not in accepted.content
    assert b"alert" not in accepted.content
    name = front.box.store.subscribers.find_subscriber(front.box.list_id, "ann@example.org").name
    assert not re.search(r"[\x00-\x1f\x7f]", name)


@pytest.mark.parametrize("value", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nothing_redirects_where_a_parameter_says(front, value):
    ann = front.box.join()
    query = dict.fromkeys(("next", "url", "redirect", "return", "lang", "to"), value)
    for method in ("GET", "POST"):
        for path in ("/subscribe", front.path(Purpose.UNSUBSCRIBE, ann), front.path(Purpose.PREFERENCES, ann)):
            page = front.client.open(path, method=method, query_string=query, data=query if method == "POST" else None)
            assert "Location" not in page.headers
            assert "evil" not in page.text


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Original-URL", "X-Forwarded-Prefix", "Forwarded"])
def test_a_forged_host_stands_nowhere(front, name):
    front.archive.joinpath("x").mkdir(parents=True)
    front.archive.joinpath("x", "index.html").write_text("x")
    headers = {name: "host=evil.example" if name == "Forwarded" else "evil.example"}
    for path in ("/subscribe", "/archive/x", "/nothing", front.path(Purpose.UNSUBSCRIBE, front.box.join())):
        page = front.get(path, headers=headers)
        assert "evil" not in page.text + str(page.headers)
    front.post("/subscribe", {"email": "ann2@example.org"}, headers=headers)
    front.box.post()
    assert b"evil" not in front.box.server.accepted[0].content
    assert b"https://news.example.org/confirm/" in front.box.server.accepted[0].content.replace(b"=\r\n", b"")


# ---------------------------------------------------------------------------------------------------------------------
# Sizes and types
# ---------------------------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_is_read(front):
    ann = front.box.join()
    before = front.content()
    large = "x" * (FORM_MAX + 1)
    for path in (
        "/subscribe",
        "/preferences",
        front.path(Purpose.UNSUBSCRIBE, ann),
        front.path(Purpose.PREFERENCES, ann),
    ):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            page = front.post(path, {"email": large, "List-Unsubscribe": "One-Click", "do": "leave"}, content_type=kind)
            assert page.status_code == 413, path
            assert heading(page) == "That is too much"
        assert front.post(path, large, content_type="text/plain").status_code in (200, 413, 422)
    many = {f"f{n}": "x" for n in range(900)}
    assert front.post("/subscribe", many, content_type="multipart/form-data").status_code == 413
    assert front.content() == before


@pytest.mark.parametrize(
    "kind",
    ["application/json", "text/xml", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "x", ""],
)
@pytest.mark.parametrize(
    "body", [b'{"email": "ann@example.org"}', b"<x/>", b"\xff\xfe\x00", b"email=ann%40example.org", b""]
)
def test_a_body_of_another_kind_is_no_form(front, kind, body):
    ann = front.box.join("bob@example.org")
    before = front.content()
    for path in ("/subscribe", "/preferences"):
        assert front.post(path, body, content_type=kind).status_code in (413, 422)
    for purpose in (Purpose.UNSUBSCRIBE, Purpose.PREFERENCES):
        assert front.post(front.path(purpose, ann), body, content_type=kind).status_code in (200, 413)
    assert front.content() == before


def test_texts_are_cut_to_what_is_kept(front):
    ann = front.box.join()
    front.post(front.path(Purpose.PREFERENCES, ann), {"do": "save", "name": "n" * 5000})
    leave = front.path(Purpose.UNSUBSCRIBE, ann)
    front.post(leave, {"do": "leave"})
    front.post(leave, {"do": "why", "words": "w" * 5000})
    assert len(front.box.store.subscribers.load_subscriber(front.box.list_id, ann).name) == consent.NAME_MAX
    reasons = [len(line.evidence.reason) for line in front.box.store.choices.load_consents(ann)]
    assert max(reasons) == consent.REASON_MAX


# ---------------------------------------------------------------------------------------------------------------------
# Headers, other sites, cookies
# ---------------------------------------------------------------------------------------------------------------------


def every_page(front) -> list:
    ann = front.box.join()
    paths = ["/", "/subscribe", "/preferences", "/nothing", "/confirm/x", "/healthz", "/archive/none"]
    paths += [front.path(purpose, ann) for purpose in (Purpose.UNSUBSCRIBE, Purpose.PREFERENCES, Purpose.CONFIRM)]
    answers = [(path, front.get(path)) for path in paths]
    answers += [(path, front.post(path)) for path in ("/subscribe", "/preferences", "/healthz", "/nothing")]
    front.app.view_functions["leave_page"] = lambda token: 1 // 0
    return [*answers, ("bug", front.get(front.path(Purpose.UNSUBSCRIBE, ann)))]


def test_every_answer_is_fenced_in(front):
    for path, page in every_page(front):
        policy = page.headers["Content-Security-Policy"]
        assert policy == (ARCHIVE_POLICY if path.startswith("/archive") else POLICY)
        assert "unsafe" not in policy
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "Set-Cookie" not in page.headers
        assert "Access-Control-Allow-Origin" not in page.headers
        if page.mimetype == "text/html":
            assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page.text), path
            assert re.search(r"<meta name=\"robots\" content=\"noindex", page.text) or path in (
                "/",
                "/subscribe",
                "/preferences",
            )
        if "/archive" not in path:
            assert page.headers["Cache-Control"] == "no-store", path


def test_a_bug_tells_nothing_of_itself(front):
    path, page = every_page(front)[-1]
    assert (path, page.status_code) == ("bug", 500)
    assert "ZeroDivision" not in page.text
    assert "Traceback" not in page.text


def test_pages_with_a_token_are_indexed_nowhere(front):
    ann = front.box.join()
    for purpose in (Purpose.UNSUBSCRIBE, Purpose.PREFERENCES, Purpose.CONFIRM, Purpose.RESUBSCRIBE):
        page = front.get(front.path(purpose, ann))
        assert page.headers["X-Robots-Tag"] == "noindex"
        assert "noindex, nofollow" in page.text
    assert "X-Robots-Tag" not in front.get("/subscribe").headers
    robots = front.get("/robots.txt").text
    assert "Disallow: /unsubscribe/" in robots
    assert "Disallow: /archive" not in robots


def test_another_sites_page_can_press_no_button(front):
    ann = front.box.join()
    front.post("/subscribe", {"email": "pat@example.org"})
    front.box.post()
    pat = front.box.store.subscribers.find_subscriber(front.box.list_id, "pat@example.org").subscriber_id
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    before = front.content()
    wishes = (
        (front.path(Purpose.CONFIRM, pat), {}),
        (front.path(Purpose.UNSUBSCRIBE, ann), {"do": "leave"}),
        (front.path(Purpose.PREFERENCES, ann), {"do": "save", "name": "Mallory"}),
        (front.path(Purpose.PREFERENCES, ann), {"do": "move", "email": "mallory@example.org"}),
        ("/preferences", {"email": "ann@example.org"}),
    )
    for path, form in wishes:
        assert front.post(path, form, headers=foreign).status_code == 403, path
    assert front.content() == before
    for site in ("same-origin", "none", "same-site", ""):
        assert front.post(front.path(Purpose.CONFIRM, pat), headers={"Sec-Fetch-Site": site}).status_code == 200


def test_what_other_sites_may_do_they_may(front):
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert front.post("/subscribe", {"email": "ann@example.org"}, headers=foreign).status_code == 200
    one_click = {"List-Unsubscribe": "One-Click"}
    assert front.post(front.path(Purpose.UNSUBSCRIBE, front.box.join()), one_click, headers=foreign).status_code == 200


# ---------------------------------------------------------------------------------------------------------------------
# Paths
# ---------------------------------------------------------------------------------------------------------------------

PATHS = (
    "../secret",
    "..%2fsecret",
    "%2e%2e/secret",
    "....//secret",
    "..\\secret",
    "x/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "x/%00/../../secret",
    "~root/.bashrc",
    ".newsletter-site.json",
    ".git/config",
    "x/.hidden",
    "link",
    "linked/secret",
    "C:\\secret",
    "x%00.html",
    "a" * 5000,
    "/".join("a" * 2000),
)


@pytest.fixture
def archive(tmp_path) -> Path:
    folder = tmp_path / "archive"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "index.html").write_text("fine")
    (folder / "x" / ".hidden").write_text("SECRET")
    (folder / ".newsletter-site.json").write_text("SECRET")
    (tmp_path / "secret").write_text("SECRET")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    return folder


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leaves_the_archive(front, archive, path):
    for whole in (f"/archive/{path}", f"/archive/x/{path}"):
        page = front.get(whole)
        assert page.status_code in (301, 308, 404), whole
        assert "SECRET" not in page.text
        assert "root:" not in page.text
        assert "://" not in page.headers.get("Location", "")
        assert not page.headers.get("Location", "").startswith("//")
    found = find_file(archive, path)
    assert found is None or found.is_relative_to(archive.resolve())


def test_a_redirect_stays_on_the_site_however_the_folder_is_called(front, archive):
    (archive / "evil.example").mkdir()
    (archive / "evil.example" / "index.html").write_text("x")
    for path in ("/archive//evil.example", "/archive///evil.example"):
        location = front.get(path).headers.get("Location", "")
        assert not location.startswith(("//", "http")), location


def test_what_is_not_known_is_no_page_of_ours():
    assert type_of(Path("x.exe")) == "application/octet-stream"
    assert type_of(Path("x.xhtml")) == "application/octet-stream"
    assert type_of(Path("x.html")) == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("<script>", ""),
        ("", ""),
        ("192.0.2.77, 10.0.0.1", ""),
        ("fe80::1%eth0\r\nx", "fe80::"),
    ],
)
def test_where_somebody_came_from_is_kept_with_its_end_masked(address, masked):
    assert masked_network(address) == masked


# ---------------------------------------------------------------------------------------------------------------------
# Forged tokens
# ---------------------------------------------------------------------------------------------------------------------

BITS = range(240)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def flipped(random_: random.Random, token: str) -> str:
    """Return a token with one to three of its 240 bits turned: five bits a character."""
    characters = list(token)
    for bit in random_.sample(BITS, random_.randint(1, 3)):
        at = bit // 5
        characters[at] = ALPHABET[ALPHABET.index(characters[at]) ^ 1 << bit % 5]
    return "".join(characters)


def forgeries(count: int, seed: int = 20261128):
    """Yield forged tokens: bits turned, random ones, and those of another secret."""
    random_ = random.Random(seed)
    own, other = Signer(SAMPLE_KEYS), Signer(parse_keys("another-secret-that-is-not-this-newsletters\n"))
    purposes = list(Purpose)
    for number in range(count):
        if number % 4 == 3:
            yield "".join(random_.choices(ALPHABET, k=48))
            continue
        token = Token(random_.choice(purposes), random_.randrange(5), random_.randrange(1, 500), random_.randrange(900))
        yield other.sign(token) if number % 4 == 2 else flipped(random_, own.sign(token))


PURPOSES = {purpose.value: purpose for purpose in Purpose}


def claimed_purpose(text: str) -> Purpose:
    """Return the purpose that a token claims; any other than the one it claims is refused in any case."""
    first = int.from_bytes(base64.b32decode(text[:8], casefold=True), "big")
    return PURPOSES.get(first >> 24 & 0xFF, Purpose.UNSUBSCRIBE)


def test_none_of_a_hundred_thousand_forged_tokens_is_accepted():
    accepted, tried = [], 0
    for text in forgeries(100_000):
        tried += 1
        if read_token(SAMPLE_KEYS, text, claimed_purpose(text)) is not None:
            accepted.append(text)
    assert tried == 100_000
    assert accepted == []


def test_every_single_bit_and_every_other_purpose_counts():
    genuine = sign(SAMPLE_KEYS, Token(Purpose.UNSUBSCRIBE, 1, 7, 3))
    content = base64.b32decode(genuine, casefold=True)
    for bit in range(240):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        text = base64.b32encode(bytes(turned)).decode().lower()
        assert all(read_token(SAMPLE_KEYS, text, purpose) is None for purpose in Purpose), bit
    assert [purpose for purpose in Purpose if read_token(SAMPLE_KEYS, genuine, purpose)] == [Purpose.UNSUBSCRIBE]


def test_hundreds_of_forged_tokens_are_no_link_over_http_and_touch_no_row(front):
    for n in range(20):
        front.box.join(f"r{n}@example.org")
    before = front.content()
    pages = ("unsubscribe", "confirm", "preferences", "change", "rejoin")
    for number, text in enumerate(forgeries(600, seed=7)):
        path = f"/{pages[number % 5]}/{text}"
        form = {"List-Unsubscribe": "One-Click"} if number % 5 == 0 else {"do": "save", "name": "Mallory"}
        assert front.post(path, form).status_code == 404
    assert front.content() == before


def test_an_hour_that_was_changed_makes_an_old_link_no_younger(front):
    ann = front.box.join()
    old = Token(Purpose.RESUBSCRIBE, front.box.list_id, ann, expiry_hour(NOW, -48))
    front.post(front.path(Purpose.UNSUBSCRIBE, ann), {"do": "leave"})
    text = sign(SAMPLE_KEYS, old)
    assert front.post(f"/rejoin/{text}").status_code == 410
    content = bytearray(base64.b32decode(text, casefold=True))
    content[11:15] = (expiry_hour(NOW, 48)).to_bytes(4, "big")
    assert front.post(f"/rejoin/{base64.b32encode(bytes(content)).decode().lower()}").status_code == 404
    assert front.box.state() is SubscriptionState.UNSUBSCRIBED
