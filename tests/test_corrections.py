"""Corrections: a note in the file and on the page, and one mail to everybody whom the first text reached."""

import csv
import re
from pathlib import Path

import pytest
from newsroom import CONFIG, Newsroom, assert_told

from newsletter.frontmatter import with_correction
from newsletter.model import Correction
from newsletter.receiver import Receiver

SLUG = "2026-11-25"
NOTE = "We wrote that nobody was hurt: one was, <slightly>."


@pytest.fixture
def receiver():
    with Receiver() as server:
        yield server


@pytest.fixture
def room(tmp_path: Path, receiver: Receiver) -> Newsroom:
    room = Newsroom(tmp_path / "weekly", config=CONFIG + 'url = "https://news.example.org"\n')
    room.relay(receiver)
    room.issue(SLUG)
    return room


def send(room: Newsroom, *addresses: str) -> None:
    room.subscribers(*addresses)
    assert room.run("approve", SLUG, "--by", "kim").code == 0
    assert room.run("send", SLUG, "--yes").code in (0, 1)


def subjects(receiver: Receiver) -> list[tuple[str, str]]:
    found = []
    for mail in receiver.messages:
        subject = re.search(rb"^Subject: (.*)\r$", mail.content, re.MULTILINE)
        found.append((mail.envelope.rcpt_to, subject[1].decode() if subject else ""))
    return sorted(found)


def test_those_who_got_the_first_text_get_the_correction_once(room, receiver):
    receiver.refuse("bob@example.org")
    send(room, "ann@example.org", "bob@example.org", "cy@example.org")
    assert room.run("subscribers", "remove", "cy@example.org").code == 0
    room.subscribers("late@example.org")
    plan = room.run("correct", SLUG, "--note", NOTE, "--readers", str(room.root / "readers.csv"))
    assert plan.code == 0
    assert "went out to 2 people" in plan.out
    assert "1 of them still want mail" in plan.out
    assert NOTE not in (room.root / f"issues/{SLUG}.md").read_text()
    with (room.root / "readers.csv").open(newline="") as stream:
        assert sorted(row[:2] for row in csv.reader(stream)) == [
            ["ann@example.org", "sent"],
            ["cy@example.org", "sent"],
            ["email", "state"],
        ]
    answer = room.run("correct", SLUG, "--note", NOTE, "--yes", "--by", "kim", "--json")
    assert answer.code == 0, answer
    assert {key: answer.json[key] for key in ("planned", "sent", "reached", "audience")} == {
        "planned": 1,
        "sent": 1,
        "reached": 2,
        "audience": 1,
    }
    again = room.run("correct", SLUG, "--note", NOTE, "--yes", "--json")
    assert (again.code, again.json["planned"], again.json["recorded"]) == (0, 1, 0)
    assert subjects(receiver) == [
        ("ann@example.org", "A crane fell"),
        ("ann@example.org", "Correction: A crane fell"),
        ("cy@example.org", "A crane fell"),
    ]
    mail = next(mail for mail in receiver.messages if b"Subject: Correction" in mail.content)
    assert b"https://news.example.org/archive/2026-11-25" in mail.content
    assert b"<slightly>" in mail.content.partition(b"text/html")[0]
    assert b"&lt;slightly&gt;" in mail.content.partition(b"text/html")[2]


def test_the_page_and_the_feeds_show_the_note_over_the_text_as_it_is_now(room):
    send(room, "ann@example.org")
    path = room.root / f"issues/{SLUG}.md"
    path.write_text(path.read_text().replace("Nobody was hurt", "One was hurt"))
    assert room.run("correct", SLUG, "--note", NOTE, "--yes", "--by", "kim").code == 0
    assert room.run("site").code == 0
    page = (room.root / f"site/archive/{SLUG}/index.html").read_text()
    assert "One was hurt" in page
    assert "<p>We wrote that nobody was hurt: one was, &lt;slightly&gt;.</p>" in page
    assert "article:modified_time" in page
    feed = (room.root / "site/archive/atom.xml").read_text()
    assert feed.index("&amp;lt;slightly&amp;gt;") < feed.index("One was hurt")
    updated, published = (re.findall(f"<{name}>(.*?)</{name}>", feed)[-1] for name in ("updated", "published"))
    assert updated >= published


def test_the_second_note_goes_to_the_first_readers_again(room, receiver):
    send(room, "ann@example.org")
    for note in ("One.", "Two."):
        assert room.run("correct", SLUG, "--note", note, "--yes", "--by", "kim").code == 0
    text = (room.root / f"issues/{SLUG}.md").read_text()
    assert re.search(r'corrections:\n  - [\d-]+: "One\."\n  - [\d-]+: "Two\."\napproved: ', text)
    assert [subject for _, subject in subjects(receiver)].count("Correction: A crane fell") == 2


def test_a_note_that_an_editor_wrote_into_the_file_is_mailed_without_note(room, receiver):
    send(room, "ann@example.org")
    path = room.root / f"issues/{SLUG}.md"
    path.write_text(path.read_text().replace("preheader:", "corrections:\n  - 2026-11-27: By hand.\npreheader:", 1))
    assert room.run("correct", SLUG, "--yes", "--by", "kim").code == 0
    assert ("ann@example.org", "Correction: A crane fell") in subjects(receiver)


def test_what_cannot_be_corrected_is_told(room, receiver):
    assert_told(room.run("correct", SLUG, "--note", "x"), 1, "has not gone out")
    receiver.defer("zoe@example.org")
    send(room, "zoe@example.org", "ann@example.org")
    assert_told(room.run("correct", SLUG, "--note", "x"), 1, "still going out", "1 people")
    assert_told(room.run("correct", "2020-01-01", "--note", "x"), 65, "2020-01-01")


def test_a_note_without_words_or_with_too_many_is_told(room):
    send(room, "ann@example.org")
    assert_told(room.run("correct", SLUG), 65, "--note")
    assert_told(room.run("correct", SLUG, "--note", "x" * 2001), 65, "2,001")
    assert_told(room.run("correct", SLUG, "--note", "a\x07b"), 65, "printable")
    assert "corrections" not in (room.root / f"issues/{SLUG}.md").read_text()


def test_where_nobody_is_left_the_note_stands_and_no_mail_goes(room, receiver):
    send(room, "ann@example.org")
    assert room.run("subscribers", "remove", "ann@example.org").code == 0
    assert_told(room.run("correct", SLUG, "--note", NOTE, "--yes", "--by", "kim"), 1, "no mail is needed")
    assert "nobody was hurt: one was" in (room.root / f"issues/{SLUG}.md").read_text()
    assert len(receiver.messages) == 1


def test_odd_front_matter_is_left_as_it_is(room):
    send(room, "ann@example.org")
    path = room.root / f"issues/{SLUG}.md"
    odd = path.read_text().replace("preheader:", "corrections: [{2026-11-26: One}]\npreheader:", 1)
    path.write_text(odd)
    assert_told(room.run("correct", SLUG, "--note", "Two", "--yes"), 65, "write it yourself")
    assert path.read_text() == odd


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("---\na: b\n---\nx", '---\na: b\ncorrections:\n  - 2026-11-27: "N \\"q\\""\n---\nx'),
        ("---\r\na: b\r\n---\r\nx", '---\r\na: b\r\ncorrections:\r\n  - 2026-11-27: "N \\"q\\""\r\n---\r\nx'),
        ("---\ncorrections:\n- 2026-11-26: x\na: b\n---\n",
         '---\ncorrections:\n- 2026-11-26: x\n  - 2026-11-27: "N \\"q\\""\na: b\n---\n'),
        ("---\na: b\napproved: z\n---\n", '---\na: b\ncorrections:\n  - 2026-11-27: "N \\"q\\""\napproved: z\n---\n'),
    ],
)  # fmt: skip
def test_a_note_is_written_below_the_others(before, after):
    import datetime as dt

    assert with_correction(before, Correction(dt.date(2026, 11, 27), 'N "q"')) == after
