"""Hands-free: weeks pass, cron runs, and what is new goes out once; what is not new does not."""

import datetime as dt

import pytest
from newsroom import Newsroom, assert_told
from test_picking import fill_pool

import newsletter.cli.digest
import newsletter.cli.due
import newsletter.cli.sending
from newsletter.receiver import Receiver

CONFIG = """\
[newsletter]
title = "Harbour Weekly"
from = "Harbour Weekly <weekly@news.example.org>"
postal_address = "Harbour Weekly, 1 Quay Street, 12345 Port, France"
time_zone = "Europe/Paris"

[schedule]
days = ["wednesday"]

[digest]
template = "digest.md"
"""
TEMPLATE = """\
---
subject: "Harbour, {date}: {headline}"
select:
  Most important news: {top: 1, skip_if_empty: true}
  Digital: {tags: [digital], skip_if_empty: true}
---
Good morning {{ name | default("reader") }}.
"""
FIRST = dt.datetime(2030, 1, 2, 7, 0, tzinfo=dt.UTC)  # 08:00 in Paris, a Wednesday
WEEK = dt.timedelta(days=7)
CRANE = ("Port Post", "A crane fell: {{ email }}", "https://port.example.com/crane", "It is up again.", ())
FERRIES = ("Port Post", "Ferries get a new timetable", "https://port.example.com/ferries", "From May on.", ("digital",))
AGAIN = ("Quay News", "Ferries get a new timetable", "https://quay.example.com/f?utm_source=x", "Again.", ("digital",))
WHALE = ("Quay News", "Whale seen off the pier", "https://quay.example.com/whale", "It left again.", ())


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path, config=CONFIG)
    room.write("digest.md", TEMPLATE)
    room.subscribers("ada@example.org", "bob@example.org")
    return room


@pytest.fixture
def receiver(room):
    with Receiver() as receiver:
        room.relay(receiver)
        yield receiver


@pytest.fixture
def cron(room, monkeypatch):
    def run_at(now: dt.datetime):
        for module in (newsletter.cli.due, newsletter.cli.sending, newsletter.cli.digest):
            monkeypatch.setattr(module, "utc_now", lambda: now)
        return room.run("digest")

    return run_at


def test_weeks_go_out_by_themselves_and_nothing_is_told_twice(room, receiver, cron):
    minute = dt.timedelta(minutes=1)
    fill_pool(room, (CRANE, FERRIES), FIRST - 90 * minute)
    assert cron(FIRST - 2 * 60 * minute).out == ""
    made = cron(FIRST - 50 * minute)
    assert "2030-01-02: made with 2 articles, approved by digest" in made.out, made
    assert receiver.messages == []
    text = (room.root / "issues" / "2030-01-02.md").read_text()
    assert "send_at: 2030-01-02 08:00\napproved: " in text
    sent = cron(FIRST + minute)
    assert "2 planned = 2 sent" in sent.out, sent
    assert len(receiver.messages) == 2
    assert cron(FIRST + 5 * minute).out == ""

    fill_pool(room, (AGAIN,), FIRST + WEEK - 90 * minute)
    assert "2030-01-09: skipped, no new stories" in cron(FIRST + WEEK - 50 * minute).out
    assert not (room.root / "issues" / "2030-01-09.md").exists()

    fill_pool(room, (AGAIN, WHALE), FIRST + 2 * WEEK - 90 * minute)
    late = cron(FIRST + 2 * WEEK + minute)
    assert "2030-01-16: made with 1 article" in late.out
    assert "2 planned = 2 sent" in late.out
    assert len(receiver.messages) == 4
    assert "Ferries" not in (room.root / "issues" / "2030-01-16.md").read_text()


def test_a_headline_can_be_no_merge_field_of_the_subject(room, receiver, cron):
    fill_pool(room, (CRANE,), FIRST - dt.timedelta(hours=2))
    cron(FIRST)
    assert 'subject: "Harbour, 2030-01-02: A crane fell: ( ( email ))"' in (
        (room.root / "issues" / "2030-01-02.md").read_text()
    )
    assert len(receiver.messages) == 2


def test_an_editors_file_is_left_alone(room, receiver, cron):
    fill_pool(room, (CRANE,), FIRST - dt.timedelta(hours=2))
    path = room.timed_issue("2030-01-02", FIRST)
    before = path.read_bytes()
    answer = cron(FIRST)
    assert "not approved" in answer.err
    assert path.read_bytes() == before
    assert receiver.messages == []


def test_a_section_that_must_not_be_empty_holds_the_issue_back(room, receiver, cron):
    room.write("digest.md", TEMPLATE.replace("{tags: [digital], skip_if_empty: true}", "{tags: [digital]}"))
    fill_pool(room, (CRANE,), FIRST - dt.timedelta(hours=2))
    assert_told(cron(FIRST), 1, "no story for Digital", "skip_if_empty: true")
    assert not list((room.root / "issues").glob("*.md"))


def test_an_issue_in_which_a_check_finds_an_error_is_not_made(room, receiver, cron):
    unfinished = ("Port Post", "TODO: a headline", "https://port.example.com/todo", "Soon.", ("digital",))
    fill_pool(room, (CRANE, unfinished), FIRST - dt.timedelta(hours=2))
    assert_told(cron(FIRST), 1, "[text.placeholder]", "2030-01-02: not approved: 1 error; change the template")
    assert not list((room.root / "issues").glob("*.md"))
    assert receiver.messages == []
    room.environ["NEWSLETTER_CHECKS__OFF"] = "text.placeholder"
    assert "made with 2 articles" in cron(FIRST - dt.timedelta(minutes=50)).out


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("---\nsubject: x\n---\n", "has no rules"),
        ("---\nsubject: x\ndate: 2030-01-02\nselect:\n  A: {top: 1}\n---\n", "'date' is set anew"),
        ("---\nsubject: x\nselect:\n  A: {top: many}\n---\n", "top: 'many' does not fit"),
    ],
)
def test_a_template_that_cannot_be_used_is_told(room, cron, template, told):
    room.write("digest.md", template)
    answer = cron(FIRST)
    assert answer.code != 0
    assert told in answer.err
