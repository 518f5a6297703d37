"""From the pool into an issue: ``fill``, ``pick --add`` and the board behind the screen; nothing is lost."""

import datetime as dt
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from feed_server import FeedServer
from newsroom import Newsroom, assert_told

from newsletter.abstracts import lead_of, sentences_of
from newsletter.cadence import due_day, next_day, sends_at
from newsletter.config import load_project
from newsletter.curationsettings import ScheduleSection
from newsletter.errors import InputError, IssueError
from newsletter.feed import NewEntry, NewFeed
from newsletter.filling import Sources
from newsletter.pagefacts import read_page
from newsletter.pastarticles import Memory
from newsletter.pickboard import Board, columns, fit
from newsletter.picking import Picking
from newsletter.secretfile import load_keys
from newsletter.selecting import feed_names, matches, read_rules, select_stories
from newsletter.store import open_store
from newsletter.stories import Entry, Reason, Story
from newsletter.summarizer import ask_program, read_command

NOW = dt.datetime.now(dt.UTC)
POOL = (
    (
        "Port Post",
        "A crane fell in the harbour",
        "https://port.example.com/crane",
        "It is up again. Nobody was hurt.",
        (),
    ),
    ("Quay News", "A crane fell in the harbour today", "https://quay.example.com/c", "Wind was the reason.", ()),
    (
        "Port Post",
        "Ferries get a new timetable",
        "https://port.example.com/ferries",
        "From May on. Every hour.",
        ("digital",),
    ),
    ("港口报", "港口新时刻表公布", "https://gang.example.com/1", "从五月起每小时一班。", ("digital",)),
    (
        "Hostile",
        "{{ email }} <script>alert(1)</script>",
        "https://evil.example.com/x",
        "](https://x.example) {{ name }}",
        (),
    ),
)


def fill_pool(room: Newsroom, pool=POOL, at: dt.datetime = NOW) -> None:
    project = load_project(room.root, {})
    keys = load_keys(project, lambda _: None, lambda _: None)
    with open_store(project.store_url, address_key=keys.address_key) as store:
        for name in dict.fromkeys(source for source, *_ in pool):
            store.feeds.add_feed(NewFeed(url=f"https://{abs(hash(name))}.example.org/feed", title=name), at)
        for feed in store.feeds.load_feeds():
            entries = [
                NewEntry(
                    guid=url, url=url, title=title, summary=summary, tags=tags, published_at=at - dt.timedelta(hours=3)
                )
                for source, title, url, summary, tags in pool
                if source == feed.title
            ]
            store.feeds.record_read(feed, NewFeed(url=feed.url, title=feed.title), entries, at, at)


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    fill_pool(room)
    return room


# ---------------------------------------------------------------------------------------------------------------------
# fill
# ---------------------------------------------------------------------------------------------------------------------

RULES = """select:
  Most important news: {top: 1, min_sources: 2}
  Digital: {tags: [digital], limit: 5}
  Beauty: {tags: [beauty], skip_if_empty: true}"""


def test_rules_and_bare_addresses_are_filled_once(room):
    body = "Hello {{ name | default('you') }}.\n\n## Mine\n\n- https://port.example.com/ferries?utm_source=x\n- https://port.example.com/other\n"
    path = room.issue("2026-11-25", *RULES.splitlines(), body=body)
    dry = room.run("fill", "2026-11-25", "--offline", "--dry-run")
    assert "would add" in dry.out
    assert path.read_text().endswith(body)
    filled = room.run("fill", "2026-11-25", "--offline")
    assert filled.code == 1
    assert_told(filled, 1, "2026-11-25.md:", "not in the pool")
    text = path.read_text()
    assert (
        '- [Ferries get a new timetable](https://port.example.com/ferries "Port Post")\n  > From May on. Every hour.\n'
        in text
    )
    assert "- https://port.example.com/other\n" in text
    assert "## Most important news\n\n### [A crane fell in the harbour" in text
    assert text.count("ferries") == 1  # taken by the editor already
    assert '## Digital\n\n### [港口新时刻表公布](https://gang.example.com/1 "港口报")\n从五月起每小时一班。\n' in text
    assert "Beauty\n" not in text
    assert "Hello {{ name | default('you') }}." in text
    room.run("fill", "2026-11-25", "--offline")
    assert path.read_text() == text
    assert room.run("build", "2026-11-25").code == 0


def test_a_story_of_a_past_issue_is_not_chosen_again(room):
    room.issue(
        "2026-11-18", body="## Most important news\n\n### [A crane fell in the harbour](https://elsewhere.example/c)\n"
    )
    path = room.issue("2026-11-25", *RULES.splitlines(), body="")
    answer = room.run("fill", "2026-11-25", "--offline")
    assert_told(answer, 1, "Most important news: no story fits its rule", "skip_if_empty")
    assert "crane" not in path.read_text().partition("\n---\n")[2]


def test_an_article_is_read_off_its_own_page_and_where_it_stood_is_remembered(room):
    with FeedServer() as server:
        room.environ |= {"NEWSLETTER_FEEDS__PORTS": str(server.port), "NEWSLETTER_FEEDS__PRIVATE_HOSTS": "127.0.0.1"}
        server.moved["short"] = (302, "/crane")
        server.pages["crane"], server.types["crane"] = PAGE.encode(), "text/html"
        path = room.issue("2026-11-18", body=f"## Digital\n\n- {server.url}/short\n")
        assert room.run("fill", "2026-11-18").code == 0
        written = path.read_text()
        assert f'](http://127.0.0.1:{server.port}/crane "Port Post") {{date=2026-11-20}}\n' in written
        path.write_text(written.replace("/crane", "/elsewhere").replace("A crane fell in the harbour", "Harbour"))
        room.issue("2026-11-25", body=f"## Digital\n\n- {server.url}/short\n")
        assert_told(room.run("fill", "2026-11-25"), 1, "was in 2026-11-18", "{follow-up=2026-11-18}")


def test_a_program_drafts_summaries_and_its_failure_is_told(room):
    path = room.issue("2026-11-25", body="## Mine\n\n- https://port.example.com/ferries\n")
    program = f"{sys.executable} -c 'print(input().upper() + chr(123) * 2)'"
    assert room.run("fill", "2026-11-25", "--offline", "--summarize", program).code == 0
    assert "> FROM MAY ON. EVERY HOUR.{ {\n" in path.read_text()
    path = room.issue("2026-11-25", body="## Mine\n\n- https://port.example.com/ferries\n")
    answer = room.run("fill", "2026-11-25", "--offline", "--summarize", "no-such-program")
    assert "no-such-program: cannot be run" in answer.err
    assert "> From May on. Every hour.\n" in path.read_text()


@pytest.mark.parametrize(
    ("code", "timeout_s", "told"),
    [
        ("import time; time.sleep(60)", 0.5, "no summary within 0.5 s"),
        ("raise SystemExit('no key')", 60, "ended with 1: no key"),
        ("", 60, "printed no summary"),
    ],
)
def test_a_program_that_fails_is_told_with_its_reason(code: str, timeout_s: float, told: str) -> None:
    with pytest.raises(InputError, match=told):
        ask_program([sys.executable, "-c", code], "text", timeout_s=timeout_s)


def test_what_a_program_prints_is_cut():
    assert len(ask_program([sys.executable, "-c", "print('x' * 1000000)"], "text")) == 4000
    for command in ("'open", "", "  "):
        with pytest.raises(InputError, match="--summarize"):
            read_command(command)


# ---------------------------------------------------------------------------------------------------------------------
# Rules
# ---------------------------------------------------------------------------------------------------------------------


def story(
    number: int, title: str, *sources: str, hours: float = 1, tags: tuple[str, ...] = (), seen: str = ""
) -> Story:
    entries = tuple(
        Entry(
            entry_id=number * 10 + n,
            feed=f"https://www.{source.lower().replace(' ', '')}.example/feed",
            source=source,
            title=title,
            url=f"https://s{number}.example.com/{n}",
            published_at=NOW - dt.timedelta(hours=hours),
            tags=tags,
        )
        for n, source in enumerate(sources)
    )
    return Story(entries=entries, reasons=(Reason("x", 10.0 - number),), seen_in=seen)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({}, True),
        ({"min_sources": "2"}, True),
        ({"min_sources": "3"}, False),
        ({"since": "2 hours"}, True),
        ({"since": "30 minutes"}, False),
        ({"feeds": ["jing-daily"]}, True),
        ({"feeds": "technode, other"}, True),
        ({"feeds": ["technode.example"]}, True),
        ({"feeds": ["other"]}, False),
        ({"tags": ["DIGITAL"]}, True),
        ({"tags": ["beauty"]}, False),
    ],
)
def test_a_rule_takes_what_it_names(rule: dict[str, object], found: bool) -> None:
    read = read_rules({"A": rule}, "f.md")["A"]
    assert matches(read, story(1, "x", "Jing Daily", "Technode", tags=("digital",)), NOW) is found


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"top": "0"}, "top: '0' does not fit"),
        ({"limit": "many"}, "limit: 'many' does not fit"),
        ({"since": "a week"}, "since: 'a week' is no duration"),
        ({"feeds": {"a": "b"}}, "feeds: write a list"),
        ({"skip_if_empty": "maybe"}, "skip_if_empty: 'maybe'"),
    ],
)
def test_a_rule_that_cannot_be_read_is_told(rule: dict[str, object], told: str) -> None:
    with pytest.raises(IssueError, match=told):
        read_rules({"A": rule}, "f.md")


def test_a_story_stands_in_one_section_and_never_twice():
    stories = [story(1, "a", "S", "T"), story(2, "b", "S"), story(3, "c", "S", seen="2026-11-18"), story(4, "d", "S")]
    rules = read_rules({"A": {"top": "1"}, "B": {}}, "f.md")
    chosen = select_stories(rules, stories, NOW, ["http://www.s4.example.com/0?utm_source=x"])
    assert chosen == {"A": [stories[0]], "B": [stories[1]]}
    assert "jing-daily" in feed_names(story(1, "x", "Jing Daily").best)


# ---------------------------------------------------------------------------------------------------------------------
# pick --add
# ---------------------------------------------------------------------------------------------------------------------


def test_an_address_is_added_from_the_pool(room):
    path = room.issue("2026-11-25")
    answer = room.run(
        "pick",
        "2026-11-25",
        "--add",
        "https://port.example.com/ferries?fbclid=1",
        "--section",
        "Digital",
        "--json",
        "--offline",
    )
    assert answer.json["headline"] == "Ferries get a new timetable"
    assert path.read_text().endswith(
        "\n## Digital\n\n### [Ferries get a new timetable]"
        '(https://port.example.com/ferries "Port Post")\nFrom May on. Every hour.\n'
    )
    again = room.run("pick", "2026-11-25", "--add", "https://port.example.com/ferries", "--offline")
    assert_told(again, 65, "stands in this issue already")


def test_an_address_is_added_as_the_editor_says(room):
    path = room.issue("2026-11-25")
    said = ("--headline", "Ferries, hourly", "--summary", "In *May*.", "--source", "Me", "--rank", "1")
    assert room.run("pick", "2026-11-25", "--add", "https://new.example.com/x", *said, "--offline").code == 0
    assert (
        '## Most important news\n\n### [Ferries, hourly](https://new.example.com/x "Me")\nIn \\*May\\*.\n\n###'
        in path.read_text()
    )


def test_what_a_past_issue_had_is_added_only_as_its_follow_up(room):
    room.issue("2026-11-18", body="## Digital\n\n- [Ferries](https://www.port.example.com/ferries/)\n")
    path = room.issue("2026-11-25")
    add = ("pick", "2026-11-25", "--add", "https://port.example.com/ferries", "--section", "In brief", "--offline")
    before = path.read_text()
    assert_told(room.run(*add), 1, "was in 2026-11-18", "--follow-up 2026-11-18")
    assert path.read_text() == before
    assert room.run(*add, "--follow-up", "2026-11-18").code == 0
    assert '"Port Post") {follow-up=2026-11-18}\n' in path.read_text()


def test_an_approval_ends_with_the_first_edit(room):
    path = room.issue("2026-11-25")
    assert room.run("approve", "2026-11-25", "--by", "mark").code == 0
    assert room.run("pick", "2026-11-25", "--add", "https://port.example.com/ferries", "--offline").code == 0
    assert "approved:" not in path.read_text()


def test_the_screen_needs_a_terminal(room):
    room.issue("2026-11-25")
    assert_told(room.run("pick", "2026-11-25"), 65, "needs a terminal", "--add URL")


# ---------------------------------------------------------------------------------------------------------------------
# The board
# ---------------------------------------------------------------------------------------------------------------------


def board_of(room: Newsroom, stories: list[Story], edit=None) -> tuple[Board, Path]:
    path = room.issue("2026-11-25")
    picking = Picking(load_project(room.root, {}), path)
    return Board(picking, stories, Sources(find_entry=lambda _: None, memory=Memory(())), edit), path


STORIES = [story(n, f"Story {n} 港口新时刻表", "Source A", "Source B") for n in range(1, 30)]


def press(board: Board, *keys: str) -> str:
    for key in keys:
        board.press(key)
    return board.message


def test_a_story_is_sent_ranked_edited_and_taken_back(tmp_path):
    board, path = board_of(Newsroom(tmp_path), STORIES, lambda text: text.replace("Story 1", "My 1"))
    before = path.read_text()
    assert press(board, "1") == "added to Most important news"
    assert '### [Story 1 港口新时刻表](https://s1.example.com/0 "Source A")\n' in path.read_text()
    assert press(board, "[") == ""
    assert path.read_text().index("Story 1") < path.read_text().index("A crane fell](")
    assert press(board, "e") == "edited"
    assert "[My 1 港口" in path.read_text()
    assert press(board, "down", "n", *"Digital", "enter") == "added to Digital"
    assert "## Digital\n\n### [Story 2" in path.read_text()
    assert press(board, "x") == "taken out; u brings it back"
    assert press(board, "u", "u", "u", "u", "u") == "taken back"
    assert path.read_text() == before
    assert press(board, "u") == "nothing to take back"


def test_what_somebody_else_wrote_meanwhile_is_kept(tmp_path):
    board, path = board_of(Newsroom(tmp_path), STORIES)
    press(board, "1")
    path.write_text(path.read_text() + "\n## Theirs\n\nWords.\n")
    press(board, "down", "1")
    assert "## Theirs\n\nWords.\n" in path.read_text()
    assert "Story 2" in path.read_text()
    path.write_text("no issue at all")
    assert "front matter" in press(board, "u")
    assert path.read_text() == "no issue at all"


def test_stories_are_filtered_and_articles_moved(tmp_path):
    board, path = board_of(Newsroom(tmp_path), STORIES)
    press(board, "/", *"story 17", "enter")
    assert [one.best.title[:8] for one in board.shown] == ["Story 17"]
    press(board, "1", "tab", "end", "n", *"Later", "enter")
    assert "## Later\n\n### [Story 17" in path.read_text()
    press(board, "tab", "/", "escape", "/", "enter")
    assert len(board.shown) == len(STORIES)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 50), (40, 10), (20, 5), (8, 3)])
@pytest.mark.parametrize("keys", [(), ("tab",), ("?",), ("n", "x"), ("pagedown", "pagedown"), ("1", "tab", "end")])
def test_every_line_fits_the_terminal(tmp_path, width: int, height: int, keys: tuple[str, ...]) -> None:
    board, _ = board_of(Newsroom(tmp_path), STORIES)
    press(board, *keys)
    lines = board.lines(width, height)
    assert len(lines) <= height
    assert all(columns(text) <= width for _, text in lines)
    if height >= 10 and not keys:
        assert any(style == "cursor" and "Story" in text for style, text in lines)


def test_a_cut_line_says_so():
    assert fit("港口新时刻表", 7) == "港口新…"
    assert fit("abc\x1b[31m", 10) == "abc [31m"
    assert fit("abc", 3) == "abc"


# ---------------------------------------------------------------------------------------------------------------------
# Pages and first sentences
# ---------------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><title>A crane fell | Port Post</title>
<meta property="og:site_name" content="Port Post"><meta property="og:title" content="A crane fell in the harbour">
<meta property="article:published_time" content="2026-11-20T08:00:00Z"></head><body><nav>Home About</nav><article>
<h1>A crane fell in the harbour</h1><p>Nobody was hurt on Friday when a crane of Dr. Meyer's firm fell in the harbour.
It is up again.</p><p>The firm said that wind was the reason, and that a second crane would be looked at by its
engineers next week, so that the harbour can be used again.</p></article></body></html>"""


def test_a_page_says_headline_site_day_and_text():
    facts = read_page(PAGE.encode(), "https://port.example.com/crane")
    assert (facts.headline, facts.site, facts.date) == (
        "A crane fell in the harbour",
        "Port Post",
        dt.date(2026, 11, 20),
    )
    assert facts.text.startswith("Nobody was hurt on Friday when a crane of Dr. Meyer")


@pytest.mark.parametrize(
    "page", [b"", b"<" * 1_000_000, b"<div>" * 100_000, b"\xff\xfe\x00", b"<html><title></title></html>"]
)
def test_a_hostile_page_costs_itself_only(page: bytes) -> None:
    with pytest.raises(InputError, match=r"https://a\.example/x: .* by hand"):
        read_page(page, "https://a.example/x")


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. Li of the U.S. said no. He left.", ["Mr. Li of the U.S. said no.", "He left."]),
        ('"Why?" she asked. It cost 3.5 m.', ['"Why?" she asked.', "It cost 3.5 m."]),
        (
            "政策变了。商店必须公开！他说：「好。」然后走了。",
            ["政策变了。", "商店必须公开！", "他说：「好。」", "然后走了。"],
        ),
        ("Élan vital. À bientôt !", ["Élan vital.", "À bientôt !"]),
        ("one\n\ntwo", ["one", "two"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_do(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_the_first_sentences_stay_within_their_limit():
    assert lead_of("One two. Three four. " + "Five " * 90) == "One two. Three four."
    assert lead_of("政策变了。商店必须公开。" + "长" * 300) == "政策变了。商店必须公开。"
    for text in ("word " * 200, "政策" * 300, "x" * 1000):
        assert columns(lead_of(text)) <= 320
        assert lead_of(text).endswith("…")


# ---------------------------------------------------------------------------------------------------------------------
# The schedule
# ---------------------------------------------------------------------------------------------------------------------

WEEKLY = ScheduleSection(days=("wednesday",), time="08:00")


def test_new_writes_the_next_issue_of_the_schedule(tmp_path):
    config = (
        '[newsletter]\ntitle = "T"\nfrom = "T <t@example.org>"\ntime_zone = "Europe/Paris"\n'
        '[schedule]\ndays = ["wednesday"]\ntime = "07:30"\n'
        '[sections]\nlead = "Top"\n[sections.kinds]\n"Digital" = "articles"\n"In brief" = "brief"\n"Sources" = "text"\n'
    )
    room = Newsroom(tmp_path, config=config)
    room.issue("2031-01-01", "number: 41")
    room.run("new")
    text = (tmp_path / "issues" / "2031-01-08.md").read_text()
    assert "number: 42\n" in text
    assert "date: 2031-01-08\nsend_at: 2031-01-08 07:30\n---\n" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Top", "## Digital", "## In brief"]
    assert room.run("build", "2031-01-08").code == 0


def test_days_of_the_schedule():
    day = dt.date(2026, 11, 25)
    zone = ZoneInfo("Europe/Paris")
    assert next_day(WEEKLY, day) == dt.date(2026, 12, 2)
    at = sends_at(WEEKLY, day, zone)
    assert at == dt.datetime(2026, 11, 25, 7, tzinfo=dt.UTC)
    hour = dt.timedelta(hours=1)
    dues = [due_day(WEEKLY, at + hours * hour, hour, zone) for hours in (-2, -1, 0, 23, 24)]
    assert dues == [None, day, day, day, None]
    daily = ScheduleSection(days=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    assert due_day(daily, at, hour, zone) == day
    assert due_day(daily, at + 23 * hour, hour, zone) == day + dt.timedelta(days=1)
