"""``newsletter bounces``: what it prints, in which form, and what it makes of files that it cannot read."""

import pytest
from bounce_mails import CASES
from newsroom import Newsroom, assert_told

ORDINARY = b"From: ann@example.org\nTo: editors@news.example.org\nSubject: hello\n\nGood issue.\n"


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def test_classify_prints_an_array_with_each_file_as_it_was_given(room):
    bounce, letter = room.write("a.eml", CASES[0].content), room.write("b.eml", ORDINARY)
    told = room.run("bounces", "classify", str(bounce), str(letter), "--json").json
    assert told == [
        {
            "file": str(bounce),
            "bounces": [{"address": "cat@example.org", "status": "5.1.1", "hard": True, "reason": "userunknown"}],
        },
        {"file": str(letter), "bounces": []},
    ]


def test_classify_for_people(room):
    bounce, letter = room.write("a.eml", CASES[0].content), room.write("b.eml", ORDINARY)
    answer = room.run("bounces", "classify", str(bounce), str(letter))
    lines = answer.out.splitlines()
    assert lines[:2] == [f"{bounce}: bounce", "  cat@example.org: hard, userunknown (550 5.1.1)"]
    assert lines[-1] == f"{letter}: ordinary"


def test_classify_needs_no_newsletter(room, tmp_path):
    (room.root / "newsletter.toml").unlink()
    assert room.run("bounces", "classify", str(room.write("a.eml", ORDINARY)), "--json").code == 0


def test_classify_tells_what_it_cannot_read(room):
    assert_told(room.run("bounces", "classify", "gone.eml"), 65, "gone.eml: cannot be read")
    assert_told(room.run("bounces", "classify"), 2, "Missing argument")


def test_classify_shows_no_control_characters(room):
    header = b"Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: failure notice\n\n"
    content = header + b"<a@b.example>:\n\x1b[31mred (#5.1.1)\n"
    assert "\x1b" not in room.run("bounces", "classify", str(room.write("a.eml", content))).out
