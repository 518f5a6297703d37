"""``newsletter init`` and ``new``: what they write works at once, and nothing that is there is overwritten."""

import datetime as dt
import os
import re
import subprocess
import sys
import tomllib

import pytest
from newsroom import REPOSITORY, Newsroom, assert_told, spawn

from newsletter.config import PLACEHOLDER_POSTAL_ADDRESS, Config, load_project
from newsletter.scaffold import write_issue, write_project

TODAY = dt.date(2026, 11, 25)


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path / "project")


# --- init ------------------------------------------------------------------------------------------------------------


def test_new_newsletter_builds_at_once(tmp_path):
    made = spawn("-m", "newsletter", "init", "fresh", cwd=tmp_path)
    assert made.code == 0, made
    *_, last = made.out.splitlines()
    assert last.startswith("Then: newsletter ")
    built = spawn("-m", "newsletter", *last.split()[2:], cwd=tmp_path)
    assert built.code == 0, built
    assert built.err.count("[text.scaffold]") == len(built.err.splitlines()) > 4
    assert (tmp_path / "fresh/newsletter.secret").stat().st_mode & 0o777 == 0o600
    assert "newsletter.secret" in (tmp_path / "fresh/.gitignore").read_text()


def test_configuration_shows_every_key_it_names_with_a_comment(tmp_path):
    write_project(tmp_path, "Weekly", "me@example.org", TODAY)
    text = (tmp_path / "newsletter.toml").read_text()
    written = tomllib.loads(text)
    for section, keys in written.items():
        for key in keys:
            assert key in Config.__annotations__[section].__struct_encode_fields__
    assert written["newsletter"]["postal_address"] == PLACEHOLDER_POSTAL_ADDRESS
    assert set(written["newsletter"]) == set(Config.__annotations__["newsletter"].__struct_encode_fields__)
    assert text.count("#") > 20


def test_each_commented_setting_is_its_default_and_holds_when_uncommented(tmp_path):
    write_project(tmp_path, "Weekly", "me@example.org", TODAY)
    before = load_project(tmp_path, {}).config
    path = tmp_path / "newsletter.toml"
    text = path.read_text()
    path.write_text(re.sub(r"^# ([a-z_]+ = )", r"\1", text, flags=re.MULTILINE))
    written = tomllib.loads(path.read_text())
    for section in ("send", "web", "schedule", "digest", "feeds", "ranking", "monitoring"):
        assert written[section]
        assert not tomllib.loads(text)[section]
    assert load_project(tmp_path, {}).config == before
    lines = text.splitlines()
    assert len(lines) < 150
    assert max(map(len, lines)) <= 120
    for example in re.findall(r"\{[^}]+\}|\[\".*?\]", "\n".join(line for line in lines if line.startswith("#"))):
        assert tomllib.loads(f"example = {example}")["example"]


@pytest.mark.parametrize(
    ("title", "sender"),
    [
        ("Été “à la mer” — 中文 👨‍👩‍👧", "Zoé <zoe@example.org>"),
        ('Quote " and \\ {brace} %s', '"Lee, Ann" <ann@example.org>'),
        ("# not a comment", "me@bücher.example"),
    ],
)
def test_titles_and_senders_of_all_kinds(tmp_path, title, sender):
    room = Newsroom(tmp_path / "other")
    answer = room.run("init", str(tmp_path / "new"), "--title", title, "--from", sender, project=False)
    assert answer.code == 0, answer
    project = load_project(tmp_path / "new", {})
    assert (project.config.newsletter.title, project.config.newsletter.from_) == (title, sender)
    room.root = tmp_path / "new"
    (issue,) = (room.root / "issues").iterdir()
    assert room.run("build", issue.stem).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--title", ""], "no title"),
        (["--title", "a\x01b"], "no title"),
        (["--title", "\ud800"], "no title"),
        (["--from", "nobody"], "'nobody' is no email address"),
        (["--from", "a\x01@example.org"], "no sender"),
        (["--from", "é@example.org"], "write ASCII before the @"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_written(room, tmp_path, options, words):
    assert_told(room.run("init", str(tmp_path / "new"), *options, project=False), 65, words)
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(room, tmp_path):
    before = (room.root / "newsletter.toml").read_bytes()
    assert_told(room.run("init", str(room.root), project=False), 1, "newsletter.toml exists already")
    assert (room.root / "newsletter.toml").read_bytes() == before
    folder = tmp_path / "half"
    (folder / "issues").mkdir(parents=True)
    for name in (".gitignore", "newsletter.secret", f"issues/{TODAY}.md"):
        (folder / name).write_text("mine")
    write_project(folder, "Weekly", "me@example.org", TODAY)
    for name in (".gitignore", "newsletter.secret", f"issues/{TODAY}.md"):
        assert (folder / name).read_text() == "mine"
    assert (folder / "newsletter.toml").exists()


def test_folder_that_cannot_be_made_is_told(room, tmp_path):
    (tmp_path / "file").write_text("x")
    assert_told(room.run("init", str(tmp_path / "file"), project=False), 2, "is a file")
    assert_told(room.run("init", str(tmp_path / "file/below"), project=False), 65, "cannot be written")


def test_full_disk_leaves_no_half_of_a_file(room, tmp_path):
    """With no byte to be had, what could not be written is not there, and the next try works."""
    for command in (["--project", str(room.root), "new", "first"], ["init", str(tmp_path / "new")]):
        starved = subprocess.run(
            ["bash", "-c", 'ulimit -f 0; exec "$@"', "-", sys.executable, "-B", "-m", "newsletter", *command],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert starved.returncode == 65, starved
        assert "cannot be written: File too large" in starved.stderr
        assert room.run(*command, project=False).code == 0


def test_init_does_not_mind_the_environment(room, tmp_path):
    room.environ["NEWSLETTER_NEWSLETTER__SECRET_FILE"] = "elsewhere"
    assert room.run("init", str(tmp_path / "new"), project=False).code == 0
    assert (tmp_path / "new/newsletter.secret").exists()


# --- new -------------------------------------------------------------------------------------------------------------


def test_next_issue_is_a_week_later_with_the_next_number(room):
    room.issue("2026-11-11", "number: 9")
    room.issue("2026-11-18", "number: 10")
    path = write_issue(load_project(room.root, {}), None, "", dt.date(2026, 11, 20))
    assert path.name == "2026-11-25.md"
    assert "number: 11\n" in path.read_text()
    assert "date: 2026-11-25\n" in path.read_text()
    assert room.run("build", "2026-11-25").code == 0


def test_next_issue_is_never_in_the_past(room):
    room.issue("2020-01-01", "number: 9")
    assert write_issue(load_project(room.root, {}), None, "", TODAY).stem == str(TODAY)


def test_first_issue_is_todays(room):
    answer = room.run("new", "--json")
    assert answer.code == 0
    assert answer.json["file"].endswith(f"{answer.json['issue']}.md")
    assert "number:" not in (room.root / f"issues/{answer.json['issue']}.md").read_text()


def test_slug_and_subject_can_be_chosen(room):
    subject = 'Prices: "up" {{ name }} — 中文 #1'
    assert room.run("new", "special", "--subject", subject).code == 0
    assert room.run("build", "special").code == 0
    assert "— 中文 #1" in (room.root / "issues/special.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["../x"], "cannot name an issue"),
        (["2026-11-25.zh"], "kept for language editions"),
        (["x" * 200], "cannot name an issue"),
        (["fine", "--subject", "a\nb"], "no subject"),
        (["fine", "--subject", "\ud800"], "no subject"),
    ],
)
def test_what_can_be_no_issue_is_told(room, arguments, words):
    assert_told(room.run("new", *arguments), 65, words)
    assert not (room.root / "issues").exists()


def test_issue_that_is_there_is_not_overwritten(room):
    path = room.issue("2026-11-25")
    before = path.read_bytes()
    assert_told(room.run("new", "2026-11-25"), 65, "exists already")
    assert path.read_bytes() == before


def test_odd_files_beside_do_no_harm(room):
    room.issue("9999-12-31", "number: 99999999999999999999")
    room.issue("2026-11-18", "number: seven")
    room.write("issues/2026-11-19.md", b"\xff")
    (room.root / "issues/2026-11-20.md").mkdir()
    assert room.run("new").code == 0


def test_issues_folder_that_is_a_file_is_told(room):
    room.write("issues", "x")
    assert_told(room.run("new"), 65, "issues", "cannot be written")
