"""``newsletter approve``: one line is written, nothing else changes, and any later change takes the approval back."""

import datetime as dt
import os
import re

import pytest
from newsroom import BODY, Newsroom, assert_told
from test_images import make_png

from newsletter.compiler import load_issue
from newsletter.config import load_project
from newsletter.freezer import freeze_issue
from newsletter.secretfile import load_keys
from newsletter.sources import approve_issue
from newsletter.store import open_store
from newsletter.unapproved import explain_change
from newsletter.worker import plan_issue

SLUG = "2026-11-25"


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    room.issue(SLUG, body=BODY + "\n![x](images/a.png)\n")
    room.write("issues/images/a.png", make_png(30, 20))
    return room


def is_approved(room: Newsroom) -> bool:
    answer = room.run("build", SLUG, "--json")
    assert answer.code == 0, answer
    return answer.json["approved"]


def test_approval_is_one_line_of_the_front_matter(room):
    path = room.root / f"issues/{SLUG}.md"
    before = path.read_text().splitlines()
    zone = load_project(room.root, {}).zone
    days = [dt.datetime.now(zone).date()]
    answer = room.run("approve", SLUG, "--by", "mark")
    days.append(dt.datetime.now(zone).date())  # another, at midnight
    assert answer.code == 0
    assert "approved by mark" in answer.out
    after = path.read_text().splitlines()
    (line,) = [line for line in after if line.startswith("approved:")]
    digest = room.run("build", SLUG, "--json").json["source_digest"]
    assert line in [f"approved: {digest} by mark {day}" for day in days]
    assert [other for other in after if other != line] == before
    assert is_approved(room)


def test_what_would_be_sent_is_shown(room):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", subject="\"Hello {{ name | default('you') }}\"")
    answer = room.run("approve", SLUG)
    assert answer.code == 0, answer
    for words in (SLUG, "Hello {name}", "And more", "2026-11-25 08:00 Europe/Paris (07:00 UTC)", "HTML", "message"):
        assert words in answer.out


def test_a_dry_run_shows_it_and_approves_nothing(room):
    before = (room.root / f"issues/{SLUG}.md").read_bytes()
    room.subscribers("ada@example.org", "bob@example.org")
    answer = room.run("approve", SLUG, "--dry-run")
    assert answer.code == 0, answer
    assert "audience   2 recipients" in answer.out
    assert re.search(r"findings   (none|\d warning)", answer.out)
    assert re.search(r"size       HTML \d+\.\d kB, \d+% of what Gmail shows", answer.out)
    assert answer.out.endswith("nothing was approved\n")
    assert (room.root / f"issues/{SLUG}.md").read_bytes() == before
    told = room.run("approve", SLUG, "--dry-run", "--json").json
    assert (told["approved"], told["audience"], told["checks"]["errors"]) == (False, 2, 0)
    assert not is_approved(room)


def test_what_changed_since_the_latest_approval_is_counted(room):
    room.run("approve", SLUG, "--by", "mark")
    assert "changed    nothing since mark approved it on " in room.run("approve", SLUG, "--dry-run").out
    _text(room)
    room.environ["NEWSLETTER_THEME__ACCENT"] = "#123456"
    words = "changed    1 passage, 1 template, image or setting since mark approved it on "
    assert words in room.run("approve", SLUG, "--dry-run").out


def test_an_error_is_shown_with_everything_else_and_refuses(room):
    path = room.issue(SLUG, body=BODY + "\nRead [more](https://example.com/x?utm_source=y) and [this](#).\n")
    before = path.read_bytes()
    answer = room.run("approve", SLUG)
    assert_told(answer, 1, "not approved")
    assert "subject    A crane fell" in answer.out
    assert re.search(r"findings   \d error", answer.out)
    assert path.read_bytes() == before
    told = room.run("approve", SLUG, "--json")
    assert told.code == 1
    assert told.out == ""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["send_at: 2020-01-01 08:00"], "too late: only --late sends it"),
        (["send_at: 2020-01-01 08:00", "not_after: 2100-01-01 08:00"], "that is past: the next run sends it"),
        (["send_at: 2100-01-01 08:00"], "2100-01-01 08:00 Europe/Paris (07:00 UTC)\n"),
    ],
)
def test_a_time_that_has_passed_is_told(room, lines, words):
    room.issue(SLUG, *lines)
    assert words in room.run("approve", SLUG, "--dry-run").out


def test_approval_as_json(room):
    told = room.run("approve", SLUG, "--by", "mark", "--json").json
    assert (told["format"], told["issue"], told["by"]) == (1, SLUG, "mark")
    assert len(told["source_digest"]) == len(told["edition_digest"]) == 64
    assert told["message_bytes"] > 10_000


def test_approving_needs_no_terminal_and_takes_the_login_name(room):
    answer = room.spawn("approve", SLUG, LOGNAME="grace")
    assert answer.code == 0
    assert "approved by grace" in answer.out


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_byte_order_mark_are_kept(room, end, mark):
    path = room.root / f"issues/{SLUG}.md"
    content = (mark + path.read_text().replace("\n", end)).encode()
    path.write_bytes(content)
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    approved = path.read_bytes()
    (line,) = [line for line in approved.splitlines(keepends=True) if line.startswith(b"approved:")]
    assert line.endswith(end.encode())
    assert approved.replace(line, b"") == content
    assert is_approved(room)


def test_approving_again_takes_the_place_of_the_first(room):
    for name in ("mark", "ann"):
        assert room.run("approve", SLUG, "--by", name).code == 0
    text = (room.root / f"issues/{SLUG}.md").read_text()
    assert text.count("approved:") == 1
    assert "by ann" in text


def test_mode_and_symbolic_link_of_the_file_are_kept(room):
    path = room.root / f"issues/{SLUG}.md"
    real = room.root / "real.md"
    path.replace(real)
    real.chmod(0o640)
    path.symlink_to("../real.md")
    assert room.run("approve", SLUG).code == 0
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "approved:" in real.read_text()
    assert not list((room.root / "issues").glob(".*"))


def test_approving_what_was_frozen_says_so(room):
    project = load_project(room.root, {})
    room.subscribers("ada@example.org")
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        frozen = freeze_issue(project, room.root / f"issues/{SLUG}.md", approved_only=False)
        plan_issue(store, frozen, dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
    assert "was frozen before" in room.run("approve", SLUG).err


# --- what takes it back ----------------------------------------------------------------------------------------------


def _text(room: Newsroom) -> None:
    path = room.root / f"issues/{SLUG}.md"
    path.write_text(path.read_text().replace("Nobody", "Somebody"))


def _front_matter(room: Newsroom) -> None:
    path = room.root / f"issues/{SLUG}.md"
    path.write_text(path.read_text().replace("And more", "And less"))


def _send_at(room: Newsroom) -> None:
    path = room.root / f"issues/{SLUG}.md"
    path.write_text(path.read_text().replace("date:", "send_at: 2026-11-25 08:00\ndate:"))


def _image(room: Newsroom) -> None:
    room.write("issues/images/a.png", make_png(31, 20))


def _template(room: Newsroom) -> None:
    room.write("templates/email/quote.mjml.j2", "{# mine #}")


def _partial(room: Newsroom) -> None:
    room.write("templates/shared.mjml.j2", "mine")


def _setting(name: str, value: str):
    def change(room: Newsroom) -> None:
        room.environ[f"NEWSLETTER_{name}"] = value

    change.__name__ = name.lower()
    return change


CHANGES = [
    _text,
    _front_matter,
    _send_at,
    _image,
    _template,
    _partial,
    _setting("NEWSLETTER__TITLE", "Other"),
    _setting("NEWSLETTER__TAGLINE", "Other"),
    _setting("NEWSLETTER__FROM", "other@news.example.org"),
    _setting("NEWSLETTER__REPLY_TO", "other@news.example.org"),
    _setting("NEWSLETTER__URL", "https://other.example.org"),
    _setting("NEWSLETTER__POSTAL_ADDRESS", "Elsewhere 1"),
    _setting("NEWSLETTER__LANGUAGE", "fr"),
    _setting("NEWSLETTER__TIME_ZONE", "Asia/Tokyo"),
    _setting("NEWSLETTER__LIST_ID", "other.example.org"),
    _setting("NEWSLETTER__BOUNCE_ADDRESS", "other@news.example.org"),
    _setting("SECTIONS__LEAD", "Other"),
    _setting("SECTIONS__KINDS", '{"Most important news" = "brief"}'),
    _setting("THEME__ACCENT", "#123456"),
    _setting("THEME__FONT", "Georgia"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_any_change_takes_the_approval_back(room, change):
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    change(room)
    assert not is_approved(room)


@pytest.mark.parametrize(
    "change",
    [
        _setting("NEWSLETTER__SECRET_FILE", "other.secret"),
        _setting("SMTP__HOST", "relay.example.org"),
        _setting("STORE__URL", "sqlite:///other.db"),
        lambda room: room.write("templates/web/page.html.j2", "x"),
        lambda room: room.write("templates/email/.quote.mjml.j2.swp", "x"),
        lambda room: room.write("templates/email/quote.mjml.j2~", "x"),
        lambda room: room.write("issues/images/other.png", make_png()),
        lambda room: room.issue("2026-12-02"),
    ],
)
def test_what_reaches_no_mail_changes_nothing(room, change):
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    change(room)
    assert is_approved(room)


def test_approval_is_back_with_the_text(room):
    room.run("approve", SLUG, "--by", "mark")
    path = room.root / f"issues/{SLUG}.md"
    approved = path.read_bytes()
    _text(room)
    assert not is_approved(room)
    path.write_bytes(approved)
    assert is_approved(room)


# --- what cannot be approved -----------------------------------------------------------------------------------------


def test_issue_that_does_not_compile_is_not_approved(room):
    path = room.issue(SLUG, body="{{ 7*7 }}")
    before = path.read_bytes()
    assert_told(room.run("approve", SLUG), 65, "unknown merge field")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["Mark: the chief", "Ann # Lee", "x" * 300, "\ud800", "line\nbreak: x"])
def test_name_that_cannot_stand_in_the_file_is_told(room, name):
    path = room.root / f"issues/{SLUG}.md"
    before = path.read_bytes()
    assert_told(room.run("approve", SLUG, "--by", name), 65, f"issues/{SLUG}.md", "leave ':' and '#' out")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "  "])
def test_nobody_cannot_approve(room, name):
    assert_told(room.run("approve", SLUG, "--by", name), 2, "write who approves")


def test_file_with_line_ends_of_old_is_told(room):
    path = room.root / f"issues/{SLUG}.md"
    content = path.read_bytes().replace(b"\n", b"\r")
    path.write_bytes(content)
    assert_told(room.run("approve", SLUG), 65, "line ends")
    assert path.read_bytes() == content


@pytest.mark.parametrize("line", ['"approved": x', "approved:\n  x"])
def test_approval_written_by_hand_is_told(room, line):
    room.issue(SLUG, line)
    assert_told(room.run("approve", SLUG), 65, "newsletter approve")


def test_issue_without_postal_address_is_not_approved(room):
    room.environ["NEWSLETTER_NEWSLETTER__POSTAL_ADDRESS"] = " "
    assert_told(room.run("approve", SLUG), 78, "postal_address", "Name, street, city, country")


def test_mail_that_is_too_long_is_not_approved(room):
    room.issue(SLUG, body="\n\n".join("word " * 2000 for _ in range(15)))
    assert_told(room.run("approve", SLUG), 1, "size.gmail-clip")
    assert not is_approved(room)


def test_store_that_fails_leaves_the_file_alone(room):
    room.write("newsletter.db", "no database" * 100)
    path = room.root / f"issues/{SLUG}.md"
    before = path.read_bytes()
    assert_told(room.run("approve", SLUG), 65, "newsletter.db")
    assert path.read_bytes() == before


def test_file_that_changes_meanwhile_is_not_approved(room):
    project = load_project(room.root, {})
    loaded = load_issue(project, room.root / f"issues/{SLUG}.md")
    _text(room)
    with pytest.raises(Exception, match="changed while it was being approved"):
        approve_issue(project, loaded, "mark", dt.date(2026, 11, 20))


def test_folder_that_cannot_be_written_is_told(room, monkeypatch):
    project = load_project(room.root, {})
    path = room.root / f"issues/{SLUG}.md"
    loaded = load_issue(project, path)
    (path.parent / f".{path.name}.{os.getpid()}.new").mkdir()
    with pytest.raises(Exception, match="cannot be written: Is a directory"):
        approve_issue(project, loaded, "mark", dt.date(2026, 11, 20))
    assert "approved" not in path.read_text()


# --- who is told what changed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_text, f"issues/{SLUG}.md:12: changed since mark approved it: Somebody was hurt"),
        (_image, "its text is as approved; changed since mark approved it: image images/a.png"),
        (_template, "its text is as approved; changed since mark approved it: templates/email/quote.mjml.j2"),
        (_partial, "its text is as approved; changed since mark approved it: templates/shared.mjml.j2"),
        (
            _setting("THEME__ACCENT", "#123456"),
            "its text is as approved; changed since mark approved it: [theme] accent",
        ),
    ],
    ids=["text", "image", "template", "new template", "setting"],
)
def test_what_changed_since_the_approval_is_named(room, change, words):
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    change(room)
    project = load_project(room.root, {**room.environ})
    with open_store(project.store_url) as store:
        told = explain_change(project, store.issues.latest_approval(SLUG), room.root / f"issues/{SLUG}.md")
    assert told.replace(f"{room.root}/", "").startswith(words)


def test_a_send_says_what_changed_since_the_approval(room):
    room.subscribers("ada@example.org")
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    _template(room)
    words = "its text is as approved; changed since mark approved it: templates/email/quote.mjml.j2"
    assert_told(room.run("send", SLUG, "--yes"), 1, f"'newsletter diff {SLUG}' shows what", words)
