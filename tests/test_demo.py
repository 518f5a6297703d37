"""``newsletter demo`` needs nothing, shows every step, and leaves what it says it leaves."""

import re
from email import message_from_bytes
from pathlib import Path

import pytest
from newsroom import Newsroom, assert_told, spawn

from newsletter.demo import DEFERRED, PEOPLE, REFUSED


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Run the demo in an empty folder, with a broken configuration beside it and in the environment."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "newsletter.toml").write_text("broken = [")
    (folder / "tmp").mkdir()
    answer = spawn("-m", "newsletter", "demo", cwd=folder, TMPDIR=str(folder / "tmp"), NEWSLETTER_SMTP__PORT="x")
    assert answer.code == 0, answer
    assert answer.err == ""
    return answer.out


def test_every_step_has_its_time_and_sizes(shown):
    assert re.search(r"compile .* edition [0-9a-f]{12} in \d\.\d\d s", shown)
    assert re.search(r"HTML [\d.]+ kB, text [\d.]+ kB, \d images [\d.]+ kB, message [\d.]+ kB", shown)
    assert re.search(r"plan +6 recipients frozen in \d+ ms", shown)
    assert re.search(r"send +to the receiver at 127\.0\.0\.1:\d+ in \d+ ms", shown)


def test_each_recipient_is_accounted_for(shown):
    for address, _ in PEOPLE:
        assert address in shown
    assert re.search(f"refuse +{REFUSED} +550", shown)
    assert re.search(f"defer +{DEFERRED} +451", shown)
    assert "6 planned = 4 sent + 1 failed + 0 skipped + 0 bounced + 0 in doubt + 1 open" in shown


def test_files_that_are_named_are_there(shown):
    paths = dict(re.findall(r"^(html|txt|eml) +(/.*)$", shown, re.MULTILINE))
    assert set(paths) == {"html", "txt", "eml"}
    contents = {kind: Path(path).read_bytes() for kind, path in paths.items()}
    assert contents["html"].startswith(b"<!doctype html>")
    assert message_from_bytes(contents["eml"])["Subject"]
    folder = Path(paths["html"]).parents[2]
    assert [path.name for path in folder.iterdir()] == ["build"]


def test_keep_keeps_a_newsletter_that_works(tmp_path):
    room = Newsroom(tmp_path)
    assert room.run("demo", "--keep", str(tmp_path / "kept"), project=False).code == 0
    room.root = tmp_path / "kept"
    told = room.run("status", "--json").json["sends"][0]
    assert (told["planned"], told["sent"], told["failed"], told["open"]) == (6, 4, 1, 1)
    assert room.run("send", told["issue"], "--json").json["approved"] is True
    assert len(room.run("subscribers", "list").out.splitlines()) == 6


def test_demo_as_json(tmp_path):
    told = Newsroom(tmp_path).run("demo", "--json", "--keep", str(tmp_path / "kept"), project=False).json
    assert (told["format"], told["planned"], told["sent"], told["received"]) == (1, 6, 4, 4)
    assert set(told["seconds"]) == {"compile", "plan", "send"}
    assert Path(told["files"]["message.eml"]).exists()
    assert len(told["recipients"]) == 6


def test_folder_that_is_not_new_is_left_alone(tmp_path):
    room = Newsroom(tmp_path / "project")
    assert_told(room.run("demo", "--keep", str(room.root), project=False), 65, "is not empty")
    assert [path.name for path in room.root.iterdir()] == ["newsletter.toml"]
    room.write("file", "x")
    assert_told(room.run("demo", "--keep", str(room.root / "file/below"), project=False), 65, "cannot be written")
    assert_told(room.run("demo", "--keep", str(room.root / "file"), project=False), 2, "is a file")


def test_quiet_demo_says_nothing(tmp_path):
    answer = Newsroom(tmp_path).run("--quiet", "demo", "--keep", str(tmp_path / "kept"), project=False)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
