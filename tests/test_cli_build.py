"""``newsletter build``: the same bytes everywhere, and every bad input told with its place or rendered harmless."""

import json
import os
import shutil
from email import message_from_bytes
from pathlib import Path

import pytest
from newsroom import BODY, CONFIG, REPOSITORY, Newsroom, assert_told
from test_images import make_gif, make_jpeg, make_png

SLUG = "2026-11-25"
FILES = ["edition.json", "email.html", "email.txt", "message.eml"]


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path / "project")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- what it writes --------------------------------------------------------------------------------------------------


def test_build_writes_four_files(room, out):
    room.issue(SLUG)
    answer = room.run("build", SLUG, "--out", str(out))
    assert answer.code == 0
    assert sorted(contents(out / SLUG)) == FILES
    for name in FILES:
        assert str(out / SLUG / name) in answer.out
    edition = json.loads((out / SLUG / "edition.json").read_text())
    assert edition["format"] == 1
    message = message_from_bytes((out / SLUG / "message.eml").read_bytes())
    assert message["Subject"] == "A crane fell"
    assert "Good morning Robin Reader." in (out / SLUG / "email.txt").read_text()
    assert "Good morning Robin Reader." in (out / SLUG / "email.html").read_text()


def test_build_takes_a_file_and_keeps_mjml(room, out, tmp_path):
    shutil.copy(room.issue(SLUG), tmp_path / "elsewhere.md")
    answer = room.run("build", str(tmp_path / "elsewhere.md"), "--out", str(out), "--keep-mjml")
    assert answer.code == 0, answer
    assert sorted(contents(out / "elsewhere")) == sorted([*FILES, "email.mjml"])
    assert (out / "elsewhere/email.mjml").read_text().startswith("<mjml")


def test_build_without_out_writes_below_the_project(room):
    room.issue(SLUG)
    assert room.run("build", SLUG).code == 0
    assert sorted(contents(room.root / "build" / SLUG)) == FILES


def test_build_as_json(room, out):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", "audience: newsletter", body="Only a text.")
    answer = room.run("build", SLUG, "--out", str(out), "--json")
    assert answer.err == ""
    told = answer.json
    assert told["format"] == 1
    assert told["issue"] == SLUG
    assert told["approved"] is False
    assert told["send_at"] == "2026-11-25T08:00:00+01:00"
    assert told["files"]["email.html"] == str(out / SLUG / "email.html")
    assert told["bytes"]["email.html"] == (out / SLUG / "email.html").stat().st_size
    assert "no articles" in told["warnings"][0]
    assert len(told["edition_digest"]) == len(told["source_digest"]) == 64
    assert told["stages"]


def test_warnings_stand_beside_the_answer(room, out):
    room.issue(SLUG, body="Only a text.")
    answer = room.run("build", SLUG, "--out", str(out))
    assert f"warning: issues/{SLUG}.md:1:1: the issue has no articles" in answer.err
    assert room.run("--quiet", "build", SLUG, "--out", str(out)).err == ""
    assert room.run("--quiet", "build", SLUG, "--out", str(out)).out == ""


def test_only_approved_issues_with_approved(room, out):
    room.issue(SLUG)
    assert_told(room.run("build", SLUG, "--approved", "--out", str(out)), 1, "not approved")
    room.run("approve", SLUG)
    assert room.run("build", SLUG, "--approved", "--out", str(out)).code == 0


# --- the same bytes everywhere ---------------------------------------------------------------------------------------


def test_equal_input_gives_equal_bytes(tmp_path, out):
    """Twice, and with another zone, locale, hash seed, umask, folder and project path."""
    body = BODY + "\n![x](images/a.png)\n"
    rooms = [Newsroom(tmp_path / "one"), Newsroom(tmp_path / "another place" / "ünï")]
    for room in rooms:
        room.issue(SLUG, "number: 7", "lang: fr", body=body)
        room.write("issues/images/a.png", make_png(30, 20))
    assert rooms[0].spawn("build", SLUG, "--out", str(out / "a"), PYTHONHASHSEED="1", TZ="Pacific/Kiritimati").code == 0
    assert rooms[0].spawn("build", SLUG, "--out", str(out / "b"), PYTHONHASHSEED="2", LC_ALL="C", LANG="C").code == 0
    before = os.umask(0o077)
    try:
        (out / "elsewhere").mkdir()
        elsewhere = Newsroom(out / "elsewhere")
        answer = elsewhere.spawn(
            "--project",
            str(rooms[1].root),
            "build",
            str(rooms[1].root / f"issues/{SLUG}.md"),
            "--out",
            "../c",
            project=False,
            PYTHONHASHSEED="3",
            LC_ALL="zh_CN.UTF-8",
        )
    finally:
        os.umask(before)
    assert answer.code == 0, answer
    found = contents(out / "a")
    assert len(found) == 5
    assert contents(out / "b") == found
    assert contents(out / "c") == found


def test_sample_issues_show_their_images_from_files(room, out):
    """Each sample builds, and its HTML shows every local image from a file that is there."""
    for path in sorted((REPOSITORY / "issues").glob("*.md")):
        answer = room.run("--project", str(REPOSITORY), "build", path.stem, "--out", str(out), project=False)
        assert answer.code == 0, answer
        html = (out / path.stem / "email.html").read_text()
        assert "cid:" not in html
        for image in (out / path.stem / "images").iterdir():
            assert f'src="images/{image.name}"' in html


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"), [("a.png", make_png(30, 20)), ("b c.jpg", make_jpeg(30, 20)), ("é.gif", make_gif(30, 20))]
)
def test_embedded_image_travels_inside_the_message(room, out, name, content):
    room.write(f"issues/images/{name}", content)
    room.issue(SLUG, body=BODY + f"\n![x](<images/{name}>)\n")
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    message = message_from_bytes((out / SLUG / "message.eml").read_bytes())
    (part,) = (part for part in message.walk() if part.get_content_maintype() == "image")
    assert part.get_payload(decode=True) == content
    html = (out / SLUG / "email.html").read_text()
    assert part["Content-ID"].strip("<>") not in html
    assert (out / SLUG / "images" / name).read_bytes() == content
    assert "images/" in html


def test_hosted_images_have_absolute_addresses(room, out):
    room.environ |= {
        "NEWSLETTER_NEWSLETTER__IMAGES": "hosted",
        "NEWSLETTER_NEWSLETTER__URL": "https://news.example.org/",
    }
    room.write("issues/images/a.png", make_png(30, 20))
    room.write("shared.png", make_png(40, 20))
    room.issue(SLUG, body=BODY + "\n![x](images/a.png) ![y](../shared.png)\n")
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    message = message_from_bytes((out / SLUG / "message.eml").read_bytes())
    assert not [part for part in message.walk() if part.get_content_maintype() == "image"]
    html = (out / SLUG / "email.html").read_text()
    assert f"https://news.example.org/archive/{SLUG}/images/a.png" in html
    assert ".." not in html
    published = [path for path in contents(out / SLUG) if path.startswith("images/")]
    assert len(published) == 2
    for path in published:
        assert f"https://news.example.org/archive/{SLUG}/{path}" in html


def test_image_of_the_project_that_lies_above_the_issue_is_shown(room, out):
    room.write("shared.png", make_png(30, 20))
    room.issue(SLUG, body=BODY + "\n![x](../shared.png)\n")
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    (image,) = (out / SLUG / "images").iterdir()
    assert image.name.endswith("-shared.png")
    assert f"images/{image.name}" in (out / SLUG / "email.html").read_text()


def test_logo_lies_beside_the_configuration(tmp_path, out):
    room = Newsroom(tmp_path / "logo", config=CONFIG + '[theme]\nlogo = "art/logo.png"\nlogo_width = 100\n')
    room.issue(SLUG)
    assert_told(room.run("build", SLUG, "--out", str(out)), 78, "newsletter.toml: [theme] logo", "art/logo.png")
    room.write("art/logo.png", make_png(300, 60))
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    html = (out / SLUG / "email.html").read_text()
    assert 'src="art/logo.png"' in html
    assert 'width="100"' in html
    room.write("issues/art/logo.png", make_png(30, 20))
    room.issue(SLUG, body=BODY + "\n![x](art/logo.png)\n")
    assert_told(room.run("build", SLUG, "--out", str(out)), 65, "is another file than [theme] logo")


def _link_outside(room: Newsroom) -> None:
    outside = room.root.parent / "outside.png"
    outside.write_bytes(make_png())
    (room.root / "issues/images").mkdir(parents=True)
    (room.root / "issues/images/a.png").symlink_to(outside)


def _link_to_itself(room: Newsroom) -> None:
    (room.root / "issues/images").mkdir(parents=True)
    (room.root / "issues/images/a.png").symlink_to("a.png")


def _pipe(room: Newsroom) -> None:
    (room.root / "issues/images").mkdir(parents=True)
    os.mkfifo(room.root / "issues/images/a.png")


def _holding(content: bytes):
    return lambda room: room.write("issues/images/a.png", content)


@pytest.mark.parametrize(
    ("prepare", "src", "words"),
    [
        (lambda room: None, "images/a.png", "No such file or directory"),
        (_holding(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "images/a.png", "no image that mail clients show"),
        (_holding(make_png()[:-20]), "images/a.png", "is cut off"),
        (_holding(make_png().replace(b"IDAT", b"IDAX")), "images/a.png", "is damaged"),
        (_holding(make_png() + bytes(2_000_000)), "images/a.png", "2,000,000 an image may have"),
        (_holding(b""), "images/a.png", "no image that mail clients show"),
        (_link_outside, "images/a.png", "lies outside the newsletter's folder"),
        (_link_to_itself, "images/a.png", "cannot be read"),
        (_pipe, "images/a.png", "is no file"),
        (lambda room: None, "../../../../../../etc/passwd", "lies outside the newsletter's folder"),
        (lambda room: None, "/etc/passwd", "lies outside the newsletter's folder"),
        (lambda room: None, "../newsletter.toml", "no image that mail clients show"),
        (lambda room: None, "..", "is no file"),
        (lambda room: None, "a%00b.png", "cannot be read"),
        (lambda room: None, "x" * 4000, "cannot be read"),
    ],
)
def test_image_that_cannot_be_used_is_told_with_its_place(room, prepare, src, words):
    prepare(room)
    room.issue(SLUG, body=BODY + f"\n![x]({src})\n")
    for command in ("build", "approve"):
        assert_told(room.run(command, SLUG), 65, f"issues/{SLUG}.md:13:", words)


def test_every_bad_image_is_told_at_once(room):
    room.issue(SLUG, body=BODY + "\n![x](a.png)\n\n![y](b.png)\n")
    assert len(room.run("build", SLUG).err.splitlines()) == 2


# --- bad issues ------------------------------------------------------------------------------------------------------

HEAD = "---\nsubject: A crane fell\ndate: 2026-11-25\n---\n"
BAD = {
    "empty": ("", "no front matter"),
    "no front matter": ("hello\n", "no front matter"),
    "unclosed": ("---\nsubject: x\n", "not closed"),
    "no subject": ("---\ndate: 2026-11-25\n---\n", "'subject' is missing"),
    "unknown key": ("---\nsubjct: x\n---\n", ":2:1: unknown key 'subjct'"),
    "colon": (
        "---\nsubject: China: a year\n---\n",
        ':2:10: subject: a value with a colon needs quotes (write subject: "',
    ),
    "tag": ("---\nsubject: !!python/object/apply:os.system [id]\n---\n", ":2:10:"),
    "bad date": ("---\nsubject: x\ndate: 2026-13-45\n---\n", ":3:7: '2026-13-45'"),
    "bad time": ("---\nsubject: x\ndate: 2026-11-25\nsend_at: tomorrow\n---\n", ":4:10: 'tomorrow'"),
    "far time": ("---\nsubject: x\ndate: 2026-11-25\nsend_at: 0001-01-01 00:00\n---\n", ":4:10:"),
    "far deadline": (
        "---\nsubject: x\ndate: 2026-11-25\nsend_at: 9999-12-31 23:59\nnot_after: 9999 days\n---\n",
        ":5:12:",
    ),
    "5 MB": (HEAD + "x" * 5_000_000, "5,000,0"),
    "5 MB subject": ("---\nsubject: " + "x" * 5_000_000 + "\n---\n", "5,000,0"),
    "NUL": (HEAD + "a\0b", ":5:2: a NUL character"),
    "lone surrogate": (HEAD.encode() + b"a\xed\xa0\x80b", ":5:2: byte 0xed is not UTF-8"),
    "latin 1": (HEAD.encode() + b"caf\xe9", ":5:4: byte 0xe9 is not UTF-8"),
    "UTF-16": (HEAD.encode("utf-16"), "UTF-16"),
    "deep quotes": (HEAD + ">" * 10_000 + " x", "nested"),
    "deep lists": (HEAD + "- " * 10_000 + "x", "nested"),
    "deep brackets": (HEAD + "[" * 10_000 + "x" + "]" * 10_000, "brackets"),
    "deep images": (HEAD + "![" * 10_000 + "x", "brackets"),
    "deep emphasis": (HEAD + "*" * 10_000 + "x" + "*" * 10_000, "nested"),
    "deep tags": (HEAD + "<b>" * 10_000 + "x", "nested"),
    "deep YAML": ("---\nselect: " + "[" * 1_000 + "\n---\n", "nested too deeply"),
    "sum in braces": (HEAD + "{{ 7*7 }}", "unknown merge field {{ 7*7 }}"),
    "merge field in a link": (HEAD + "### [x](https://example.com/{{ email }})\n", "a merge field stands in a link"),
    "header in a word": (
        '---\nsubject: "A =?UTF-8?Q?=0A?=Bcc: x@example.com"\ndate: 2026-11-25\n---\n',
        ":2:10: subject: an encoded-word",
    ),
    "header in base64": ('---\nsubject: "=?utf-8?b?QQpCY2M6IHhAZS5vcmc=?="\ndate: 2026-11-25\n---\n', "encoded-word"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_issue_is_told_with_its_place(room, name):
    content, words = BAD[name]
    room.write(f"issues/{SLUG}.md", content)
    for command in ("build", "approve"):
        assert_told(room.run(command, SLUG), 65, f"error: issues/{SLUG}.md:", words)


@pytest.mark.parametrize("name", ["5 MB", "deep quotes", "NUL", "header in a word"])
def test_bad_issue_is_told_by_send_too(room, name):
    content, words = BAD[name]
    room.write(f"issues/{SLUG}.md", content)
    for arguments in ([], ["--yes"], ["--to", "me@example.org"]):
        assert_told(room.run("send", SLUG, *arguments), 65, words)


@pytest.mark.parametrize("name", ["deep quotes", "deep tags", "5 MB"])
def test_bad_issue_ends_a_process_of_its_own_in_order(room, name):
    room.write(f"issues/{SLUG}.md", BAD[name][0])
    assert_told(room.spawn("build", SLUG), 65)


HARMLESS = {
    "MJML": '</mj-text></mj-column><mj-raw><script>alert(1)</script></mj-raw><mj-include path="/etc/passwd" />',
    "script": '<script>alert(1)</script><iframe src="https://example.com"></iframe><p onclick="alert(1)">x</p>',
    "addresses": "[a](javascript:alert(1)) [b](java&#115;cript:alert(1)) [c](data:text/html,x) <vbscript:x>",
    "controls": "a\x01b\x1b[31mc\x7fd\u202ee\ufdd0\ufdd1",
    "entities": "&#0; &#xD800; &#x110000; &bogus; &#1;",
    "comments": "<!-- x --!> <![CDATA[ y ]]> <?php z ?> <!--[if mso]>w<![endif]-->",
}


FORBIDDEN = (
    "<script",
    "<iframe",
    "onclick",
    "<mj-",
    "</mj-",
    "root:",
    'href="javascript',
    'href="java&',
    'href="data:',
)


@pytest.mark.parametrize("name", HARMLESS)
def test_foreign_code_is_rendered_harmless(room, out, name):
    room.issue(SLUG, body=BODY + "\n" + HARMLESS[name] + "\n")
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    approved = room.run("approve", SLUG)
    assert approved.code == (1 if name == "addresses" else 0), approved
    assert ("[links.scheme]" in approved.err) == (name == "addresses")
    html = (out / SLUG / "email.html").read_text()
    text = (out / SLUG / "email.txt").read_text()
    for forbidden in FORBIDDEN:
        assert forbidden not in html
    for character in "\0\x01\x1b\x7f\ufdd0\ufdd1":
        assert character not in html + text


def test_template_code_in_an_issue_is_text(room, out):
    room.issue(SLUG, body=BODY + "\n{% include 'email/footer.mjml.j2' %} {# gone? #} `{{ 7*7 }}`\n")
    assert room.run("build", SLUG, "--out", str(out)).code == 0
    text = (out / SLUG / "email.txt").read_text()
    assert "{% include" in text
    assert "{# gone? #}" in text
    assert "{{ 7*7 }}" in text


# --- templates with mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<mj-text>{% if %}</mj-text>", "footer.mjml.j2:1"),
        ("\n\n{{ nothing.here }}", "footer.mjml.j2:3:1: 'nothing' is undefined"),
        ("<mj-text>x</mj-tex>", "footer.mjml.j2:1"),
        ('<mj-include path="/etc/passwd" />', "<mj-include> cannot be used"),
        ('{{ "".__class__.__mro__ }}', "unsafe"),
        ("{{ 1/0 }}", "division by zero"),
        ("{% for i in range(10**9) %}x{% endfor %}", "footer.mjml.j2:1"),
        (b"caf\xe9", "not UTF-8"),
    ],
)
def test_template_with_a_mistake_is_told_with_its_place(room, content, words):
    room.write("templates/email/footer.mjml.j2", content)
    room.issue(SLUG)
    for command in ("build", "approve"):
        assert_told(room.run(command, SLUG), 65, words)


def test_own_template_wins_and_others_stay(room, out):
    room.issue(SLUG)
    room.write(
        "templates/email/quote.mjml.j2",
        (REPOSITORY / "templates/email/quote.mjml.j2").read_bytes(),
    )
    assert room.run("build", SLUG, "--out", str(out)).code == 0


# --- places that cannot be used --------------------------------------------------------------------------------------


def test_out_that_is_a_file_is_told(room):
    room.issue(SLUG)
    room.write("file", "x")
    assert_told(room.run("build", SLUG, "--out", str(room.root / "file")), 2, "is a file")
    assert_told(room.run("build", SLUG, "--out", str(room.root / "file/below")), 65, "cannot be written", "--out")
    room.write(f"folder/{SLUG}", "x")
    assert_told(room.run("build", SLUG, "--out", str(room.root / "folder")), 65, "cannot be written", "--out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_told(room):
    room.issue(SLUG)
    (room.root / "build" / SLUG).mkdir(parents=True)
    (room.root / "build" / SLUG / "email.html").symlink_to("/dev/full")
    assert_told(room.run("build", SLUG), 65, "email.html: cannot be written: No space left on device")


def test_project_that_is_not_there_is_told(room, tmp_path):
    assert_told(room.run("--project", str(tmp_path / "gone"), "build", SLUG, project=False), 78, "gone", "init DIR")
    room.write("file", "x")
    assert_told(room.run("--project", str(room.root / "file"), "build", SLUG, project=False), 2, "is a file")


@pytest.mark.parametrize("slug", ["../project/issues/2026-11-25", "..", "", "a b", "x" * 5000, "\udcff", "%s", "{x}"])
def test_weird_slug_is_told(room, slug):
    room.issue(SLUG)
    for command in ("build", "approve", "send"):
        assert_told(room.run(command, slug), 65, "cannot name an issue")


def test_slugs_of_all_scripts_work(room, out):
    room.issue("二零二六")
    assert room.run("build", "二零二六", "--out", str(out)).code == 0
    assert room.run("approve", "二零二六").code == 0
    assert (out / "二零二六/email.html").exists()


def test_slug_of_a_language_edition_builds_and_is_not_approved(room, out):
    room.issue("2026-11-25.zh")
    assert room.run("build", "2026-11-25.zh", "--out", str(out)).code == 0
    assert_told(room.run("approve", "2026-11-25.zh"), 65, "kept for language editions")
