"""The preview without a browser: what its frames show, who may ask, and that an issue in pieces leaves the mail be."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from newsroom import BODY, CONFIG, REPOSITORY, Newsroom, assert_told
from smtp_server import SmtpServer
from test_images import make_png
from webfront import wait_for

from newsletter.config import load_project
from newsletter.preview.answers import Ask, Checked, Failed, Note, Picture, Shown, Sizes
from newsletter.preview.app import Front, make_app
from newsletter.preview.child import Workshop
from newsletter.preview.compiling import CompilingChild
from newsletter.preview.frames import frame_html
from newsletter.preview.inbox import snippet_of
from newsletter.preview.readers import NAMELESS_READER, SAMPLE_READER, find_reader
from newsletter.preview.studio import Studio
from newsletter.preview.watching import look

SLUG = "2026-11-25"
NOW = dt.datetime(2026, 11, 25, 8, 30, tzinfo=dt.UTC)


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    room.issue(SLUG, body=BODY + "\n![A crane](images/a.png)\n")
    room.write("issues/images/a.png", make_png(30, 20))
    return room


def path_of(room: Newsroom, slug: str = SLUG) -> Path:
    return room.root / f"issues/{slug}.md"


# --- frames and inboxes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mail", "snippet"),
    [
        ("<html><head><title>T</title><style>p {}</style></head><body><p>One</p><p>two</p></body></html>", "One two"),
        ("<body><div style='display:none'>The preheader" + "\u034f\u2007" * 70 + "</div><p>not this</p></body>", None),
        ("<p>a &amp; b<br>c</p>", "a & b c"),
        ("<body>" + "\u034f\u2007" * 70 + "no preheader</body>", ""),
        ("<body>" + "word " * 500 + "</body>", ("word " * 60)[:300]),
        ("", ""),
    ],
)
def test_the_inbox_shows_the_first_words_up_to_the_filler(mail, snippet):
    assert snippet_of(mail) == ("The preheader" if snippet is None else snippet)


@pytest.mark.parametrize(("scheme", "on", "off"), [("light", "light", "dark"), ("dark", "dark", "light")])
def test_a_frame_is_in_one_scheme_whatever_the_system_says(scheme, on, off):
    mail = (
        "<head><style>@media (prefers-color-scheme: dark) {a} @media ( prefers-color-scheme:light ){b}</style></head>"
    )
    shown = frame_html(mail, scheme, {})
    always, never = ("{a}", "{b}") if on == "dark" else ("{b}", "{a}")
    assert re.search(rf"\(min-width:0\) ?{re.escape(always)}", shown)
    assert re.search(rf"\(max-width:0\) ?{re.escape(never)}", shown)
    assert f'<base target="_blank"><style>:root{{color-scheme:{scheme}}}</style>' in shown
    assert off not in shown.partition("</style>")[0]


def test_pictures_of_the_mail_come_from_this_machine():
    mail = (
        '<img src="https://x.example/a.png"><img src="https://x.example/a.png?b=1&amp;c=2"><img src="https://y/z.png">'
    )
    shown = frame_html(mail, "light", {"https://x.example/a.png": "/1", "https://x.example/a.png?b=1&c=2": "/2"})
    assert re.findall(r'src="([^"]+)"', shown) == ["/1", "/2", "https://y/z.png"]


# --- who may ask -----------------------------------------------------------------------------------------------------

SHOWN = Shown(
    slug=SLUG,
    title="Harbour Weekly",
    sender="Harbour Weekly",
    address="weekly@news.example.org",
    subject="</script><script>alert(1)</script>",
    snippet="More",
    send_at="",
    html='<head></head><body><img src="cid:a@x">Hello</body>',
    text="Hello",
    headers="Subject: x",
    sizes=Sizes(html=10, text=5, pictures=3, message=40),
    pictures={"cid:a@x": Picture("0a", "image/png", b"png")},
    fields=(),
    variant="the whole issue",
    watched=(),
    seconds=0.01,
    source={f"issues/{SLUG}.md": "---\n"},
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def front(room):
    """Serve a studio that shows one mail and watches nothing."""
    studio = Studio(load_project(room.root, {}), path_of(room), None, lambda: NOW)
    studio._take(SHOWN, studio.state)
    sent = []

    def send_proof(issue, to):
        sent.append((issue.stem, to))
        return True, f"proof to {to}"

    front = Front(studio=studio, token="page-secret", frame_token="frame-secret", send_proof=send_proof)
    client = make_app(front).test_client()
    client.environ_base["HTTP_HOST"] = "127.0.0.1:8000"
    return client, studio, sent


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/page-secret/", {}, 200),
        ("GET", "/page-secret/", {"Host": "localhost:8000"}, 200),
        ("GET", "/page-secret/style.css", {}, 200),
        ("GET", "/page-secret/preview.js", {}, 200),
        ("GET", "/page-secret/state", {}, 200),
        ("GET", f"/page-secret/source?file=issues/{SLUG}.md", {}, 200),
        ("GET", "/frame/frame-secret/mail/1", {}, 200),
        ("GET", "/frame/frame-secret/picture/0a", {}, 200),
        # Nobody without the secret, and neither secret opens what the other does.
        ("GET", "/", {}, 404),
        ("GET", "//", {}, 404),
        ("GET", "/wrong/", {}, 404),
        ("GET", "/page-secret", {}, 404),
        ("GET", "/frame-secret/", {}, 404),
        ("GET", "/frame-secret/state", {}, 404),
        ("GET", "/frame/page-secret/mail/1", {}, 404),
        ("GET", "/frame/frame-secret/picture/../../state", {}, 404),
        ("POST", "/frame-secret/proof", JSON, 404),
        # Names that a stranger's DNS can lead here.
        ("GET", "/page-secret/", {"Host": "evil.example:8000"}, 421),
        ("GET", "/page-secret/", {"Host": "127.0.0.1.evil.example"}, 421),
        ("GET", "/frame/frame-secret/mail/1", {"Host": "evil.example"}, 421),
        ("POST", "/page-secret/proof", {**JSON, "Host": "evil.example"}, 421),
        # Reading changes nothing; writing takes the page itself.
        ("GET", "/page-secret/proof", {}, 404),
        ("GET", "/page-secret/issue", {}, 404),
        ("POST", "/page-secret/proof", {"Content-Type": "text/plain"}, 403),
        ("POST", "/page-secret/proof", {"Content-Type": "application/x-www-form-urlencoded"}, 403),
        ("POST", "/page-secret/proof", {**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/page-secret/proof", {**JSON, "Sec-Fetch-Site": "same-site"}, 403),
        ("POST", "/page-secret/proof", {**JSON, "Origin": "http://evil.example"}, 403),
        ("POST", "/page-secret/proof", {**JSON, "Origin": "null"}, 403),
        # Files are those of the issue alone.
        ("GET", "/page-secret/source?file=newsletter.toml", {}, 404),
        ("GET", "/page-secret/source?file=../../etc/passwd", {}, 404),
    ],
)
def test_who_may_ask_for_what(front, method, path, headers, status):
    client, _, sent = front
    answer = client.open(path, method=method, headers=headers, data='{"to": "a@example.org"}' if headers else None)
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert sent == []
    assert answer.headers["Cache-Control"] in ("no-store", "private, max-age=3600, immutable")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'unsafe" not in policy
    if path.startswith("/frame") and status == 200:
        assert "sandbox" in policy
        assert "script" not in policy
        assert "page-secret" not in answer.get_data(as_text=True), "a mail never learns the page's secret"


def test_what_stands_in_a_mail_is_no_markup_of_the_page(front):
    client, *_ = front
    page = client.get("/page-secret/").get_data(as_text=True)
    assert "<script>alert" not in page
    state = re.search(r'<script id="state" type="application/json">(.*?)</script>', page)[1]
    assert json.loads(state)["shown"]["subject"] == SHOWN.subject
    assert page.count("<script") == 2


def test_images_are_off_by_policy(front):
    client, *_ = front
    for query, allowed in (("images=off", "img-src 'none'"), ("images=on", "img-src 'self' https: http: data:")):
        assert allowed in client.get(f"/frame/frame-secret/mail/1?{query}").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("wish", "content", "status", "words"),
    [
        ("proof", {"to": "a@example.org"}, 200, "proof to a@example.org"),
        ("proof", {}, 422, "'to' is missing"),
        ("proof", {"to": ["a"]}, 422, "'to' is missing"),
        ("proof", "no object", 422, "'to' is missing"),
        ("reader", {"reader": "nameless"}, 200, ""),
        ("reader", {"reader": "nobody@example.org"}, 422, "there is no list yet"),
        ("reader", {"reader": "no address"}, 422, "no address"),
        ("issue", {"issue": SLUG}, 200, ""),
        ("issue", {"issue": "2020-01-01"}, 422, "there is no issue '2020-01-01'"),
        ("issue", {"issue": "../newsletter.toml"}, 422, "there is no issue"),
        ("issue", {"issue": "/etc/hostname.md"}, 422, "there is no issue"),
        ("proof", {"to": "x" * 5000}, 413, ""),
    ],
)
def test_wishes(front, wish, content, status, words):
    client, _, sent = front
    answer = client.post(f"/page-secret/{wish}", json=content, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert words in answer.get_data(as_text=True)
    assert sent == ([(SLUG, "a@example.org")] if wish == "proof" and status == 200 else [])


def test_no_proof_of_an_issue_that_does_not_compile(front):
    client, studio, sent = front
    studio._take(Failed(notes=(Note(severity="error", words="broken"),)), studio.state)
    assert client.post("/page-secret/proof", json={"to": "a@example.org"}).status_code == 422
    assert sent == []


# --- what is shown ---------------------------------------------------------------------------------------------------


def answers_of(room: Newsroom, reader=SAMPLE_READER, slug: str = SLUG):
    ask = Ask(path=str(path_of(room, slug)), recipient=reader.recipient, topics=reader.topics)
    workshop = Workshop(room.root)
    shown = workshop.ask(ask)
    return [shown, workshop.check()] if isinstance(shown, Shown) else [shown]


def test_an_issue_is_shown_as_its_reader_gets_it(room):
    shown, checked = answers_of(room)
    assert isinstance(shown, Shown)
    assert isinstance(checked, Checked)
    assert "Good morning Robin Reader." in shown.text
    assert "Good morning Robin Reader." in shown.html
    assert (shown.subject, shown.snippet) == ("A crane fell", "And more")
    assert "List-Unsubscribe:" in shown.headers
    assert shown.sizes.message > shown.sizes.html > shown.sizes.text > 100
    assert [(each.name, each.value, each.is_default) for each in shown.fields] == [("name", "Robin Reader", False)]
    ((address, picture),) = shown.pictures.items()
    assert address in shown.html
    assert picture.content == make_png(30, 20)
    nameless, _ = answers_of(room, NAMELESS_READER)
    assert "Good morning reader." in nameless.text
    assert [(each.value, each.is_default) for each in nameless.fields] == [("reader", True)]


def test_hosted_pictures_are_shown_before_they_are_published(room):
    room.write("newsletter.toml", CONFIG + 'url = "https://news.example.org"\nimages = "hosted"\n')
    shown, _ = answers_of(room)
    (address,) = shown.pictures
    assert address.startswith("https://news.example.org/archive/")
    assert address not in frame_html(shown.html, "light", {address: "/picture"})


@pytest.mark.parametrize(
    ("change", "words", "file", "line"),
    [
        (lambda room: room.issue(SLUG, "sbject: x"), "unknown key 'sbject'", f"issues/{SLUG}.md", 5),
        (lambda room: room.issue(SLUG, body="{{ nme }}"), "unknown merge field", f"issues/{SLUG}.md", 6),
        (lambda room: room.issue(SLUG, body="![x](no.png)"), "cannot be read", f"issues/{SLUG}.md", 6),
        (lambda room: room.write("templates/email/quote.mjml.j2", "{% if %}"), "Expected", "templates", 1),
        (lambda room: room.write("newsletter.toml", CONFIG + "colour = 1"), "unknown key", "", 0),
        (lambda room: path_of(room).unlink(), "cannot be read", "", 0),
    ],
)
def test_a_mistake_is_told_with_its_place(room, change, words, file, line):
    change(room)
    if file == "templates":
        room.issue(SLUG, body="## The line {kind=quote}\n\n> Quoted.\n")
    (failed,) = answers_of(room)
    assert isinstance(failed, Failed)
    note = failed.notes[0]
    assert words in note.words
    assert note.file.startswith(file)
    assert note.line == line
    assert all(name.endswith((".md", ".j2")) for name in failed.source), "the configuration may hold passwords"
    assert (note.file in failed.source) == bool(file)


def test_what_keeps_a_mail_from_being_sent_is_told_beside_it(room):
    room.write("newsletter.toml", CONFIG.replace("Harbour Weekly, 1 Quay Street, 12345 Port, France", ""))
    shown, checked = answers_of(room)
    assert isinstance(shown, Shown)
    assert any(note.severity == "error" and "postal_address" in note.words for note in checked.notes)


def test_findings_stand_at_their_lines(room):
    room.issue(SLUG, body=BODY + "\nRead [more](#).\n")
    _, checked = answers_of(room)
    note = next(note for note in checked.notes if note.rule.startswith("links."))
    assert (note.file, note.line) == (f"issues/{SLUG}.md", 13)


# --- readers ---------------------------------------------------------------------------------------------------------


def test_a_subscriber_is_shown_their_own_mail(room):
    room.write("people.csv", "email,name,city,topics\nann@example.org,Ann,Lyon,beauty\n")
    room.issue(SLUG, body=BODY + "\n## Shops {topics=retail}\n\nOnly retail {{ attributes.city }}.\n")
    with pytest.raises(Exception, match="there is no list yet"):
        find_reader(load_project(room.root, {}), "ann@example.org")
    assert not (room.root / "newsletter.db").exists(), "looking makes no store"
    room.run("subscribers", "import", "--topics-from", "topics", str(room.root / "people.csv"))
    project = load_project(room.root, {})
    ann = find_reader(project, " ANN@example.org ".strip())
    assert (ann.recipient.name, ann.topics) == ("Ann", ("beauty",))
    shown, _ = answers_of(room, ann)
    assert "Good morning Ann." in shown.text
    assert "Only retail" not in shown.text
    assert shown.variant == "no section with topics"
    whole, _ = answers_of(room, replace(ann, topics=()))
    assert "Only retail Lyon." in whole.text
    with pytest.raises(Exception, match="nobody on the lists has the address bob"):
        find_reader(project, "bob@example.org")


# --- watching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda room: path_of(room).write_text("---\nsubject: x\n---\n"),
        lambda room: room.write("newsletter.toml", CONFIG + 'tagline = "x"\n'),
        lambda room: room.write("templates/email/quote.mjml.j2", "x"),
        lambda room: room.write("issues/images/a.png", make_png(31, 20)),
        lambda room: room.issue("2026-12-02"),
        lambda room: path_of(room).unlink(),
        lambda room: room.write("new", path_of(room).read_bytes()).replace(path_of(room)),
    ],
    ids=["issue", "configuration", "template", "picture", "another issue", "gone", "replaced"],
)
def test_every_way_of_saving_is_seen(room, change):
    project = load_project(room.root, {})
    watched = (str(room.root / "issues/images/a.png"),)
    before = look(project, path_of(room), watched)
    assert before == look(project, path_of(room), watched)
    change(room)
    assert look(project, path_of(room), watched) != before


def test_the_last_good_version_stays_while_the_issue_is_in_pieces(room):
    workshop = Workshop(room.root)
    with Studio(load_project(room.root, {}), path_of(room), workshop, lambda: NOW) as studio:
        good = wait_for(lambda: studio.state if studio.state.is_checked else None)
        room.issue(SLUG, body="{{ nme }}")
        broken = wait_for(lambda: studio.state if studio.state.failed else None)
        assert broken.shown is good.shown
        assert broken.mail == good.mail, "frames stay as they are"
        assert broken.number > good.number
        room.issue(SLUG, subject="Mended")
        mended = wait_for(lambda: studio.state if not studio.state.failed else None)
        assert mended.shown.subject == "Mended"
        room.issue("2026-12-02", subject="Another")
        studio.choose(issue=path_of(room, "2026-12-02"), reader=NAMELESS_READER)
        other = wait_for(lambda: studio.state if studio.state.shown else None)
        assert (other.shown.subject, other.reader) == ("Another", NAMELESS_READER)
        room.issue("2026-12-02", body="![x](images/new.png)")
        wait_for(lambda: studio.state.failed)
        room.write("issues/images/new.png", make_png(9, 9))
        wait_for(lambda: not studio.state.failed, what="an image that was missing came, and was not seen")


def test_who_waits_is_told_of_news_and_let_go_at_the_end(room):
    studio = Studio(load_project(room.root, {}), path_of(room), None, lambda: NOW)
    assert studio.wait(after=0, seconds=0.01).number == 0
    studio._take(SHOWN, studio.state)
    assert studio.wait(after=0, seconds=60).number == 1
    studio.stop()
    started = time.monotonic()
    studio.wait(after=1, seconds=120)
    assert time.monotonic() - started < 60


def test_a_child_that_dies_costs_one_answer(room):
    ask = Ask(path=str(path_of(room)), recipient=SAMPLE_READER.recipient)
    with CompilingChild(room.root) as child:
        process = child._process
        os.kill(process.pid, signal.SIGKILL)
        failed = child.ask(ask)
        assert isinstance(failed, Failed)
        assert "broke the compiler" in failed.notes[0].words
        assert isinstance(child.ask(ask), Shown)
        assert isinstance(child.check(), Checked)
        child._limit_s = 0.01
        os.kill(child._process.pid, signal.SIGSTOP)
        late = child.ask(ask)
        assert "more than" in late.notes[0].words
        second = child._process
    assert process.poll() is not None
    assert second is None


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_serves_mails_a_proof_and_ends_in_order(room):
    with SmtpServer() as relay:
        room.relay(relay)
        environ = {"PATH": os.environ["PATH"], "HOME": str(room.root), "PYTHONPATH": str(REPOSITORY), **room.environ}
        command = [sys.executable, "-m", "newsletter", "--project", str(room.root), "preview", "--no-open"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline()
            url = re.fullmatch(rf"preview of {SLUG}: (http://127\.0\.0\.1:\d+/[\w-]{{32}}/)\n", line)[1]
            assert ask_json("GET", f"{url}state?after=0")["issue"] == SLUG
            answer = ask_json("POST", f"{url}proof", {"to": "me@example.org"})
            assert answer["accepted"], answer
            assert answer["words"].startswith(f"proof of {SLUG} to me@example.org")
            assert [each.rcpt_to for each in relay.accepted] == [("me@example.org",)]
            relay.refuse("me@example.org", 550)
            assert not ask_json("POST", f"{url}proof", {"to": "me@example.org"})["accepted"]
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert out == ""


def ask_json(method: str, url: str, content: dict | None = None) -> dict:
    import urllib.request

    body = json.dumps(content).encode() if content is not None else None
    asked = urllib.request.Request(url, body, JSON if body else {}, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def test_what_cannot_be_previewed_is_told(room, tmp_path):
    assert_told(room.run("preview", "2020-01-01"), 65, "no issue '2020-01-01'")
    empty = Newsroom(tmp_path / "empty")
    assert_told(empty.run("preview"), 65, "holds no issue yet")
    with SmtpServer() as taken:
        assert_told(room.run("preview", "--port", str(taken.port)), 78, "cannot listen", "choose another port")
