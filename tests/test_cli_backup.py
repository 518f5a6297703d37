"""A backup is whole, private and made in use; one that is put back does not mail again by itself."""

import datetime as dt
import shutil
import sqlite3

import pytest
from newsroom import Newsroom, assert_told

from newsletter.receiver import Receiver

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path / "weekly")
    room.subscribers("ada@example.org", "bob@example.org")
    return room


def test_backup_is_whole_private_and_replaces_nothing(room, tmp_path):
    file = tmp_path / "copy.db"
    with sqlite3.connect(room.root / "newsletter.db") as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM subscribers").fetchone()
        assert "whole" in room.run("backup", str(file)).out
    assert file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(file) as copy:
        assert copy.execute("SELECT COUNT(*) FROM subscribers").fetchone() == (2,)
    assert_told(room.run("backup", str(file)), 65, "is there already")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "weekly"]


def test_backup_says_what_is_missing(room, tmp_path):
    assert_told(room.run("backup", str(tmp_path / "no" / "copy.db")), 65, "cannot be written")
    assert_told(Newsroom(tmp_path / "empty").run("backup", str(tmp_path / "x.db")), 65, "no store yet")
    room.environ["NEWSLETTER_STORE__URL"] = "postgresql://db/news"
    assert_told(room.run("backup", str(tmp_path / "x.db")), 65, "pg_dump")


def test_damaged_store_gives_no_backup(room, tmp_path):
    path = room.root / "newsletter.db"
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    assert room.run("backup", str(tmp_path / "copy.db")).code in (65, 75)
    assert not (tmp_path / "copy.db").exists()


def test_restored_backup_does_not_mail_again(room, tmp_path):
    file, store = tmp_path / "copy.db", room.root / "newsletter.db"
    with Receiver() as receiver:
        room.relay(receiver)
        for day in (24, 25):
            room.timed_issue(f"2026-11-{day}", NOW - dt.timedelta(hours=1))
        room.run("approve", "2026-11-24")
        assert room.run("send", "--due").err.count("not approved") == 1
        assert room.run("backup", str(file)).code == 0
        room.run("approve", "2026-11-25")
        assert room.run("send", "--due").code == 0
        assert len(receiver.messages) == 4
        for leftover in room.root.glob("newsletter.db-*al"):
            leftover.unlink()
        shutil.copy(file, store)
        refused = room.run("send", "--due")
        assert refused.code != 0
        assert "--adopt" in refused.err
        assert len(receiver.messages) == 4
