"""What an editor reads of the pool: stories with reasons, against every link of past issues."""

import datetime as dt
import json

import pytest

from newsletter.cli import run
from newsletter.config import load_project
from newsletter.feed import NewEntry, NewFeed
from newsletter.pool import load_memory, load_stories, past_articles
from newsletter.store import open_store

NOW = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)
TOML = """
[newsletter]
title = "Weekly"
from = "w@example.org"

[ranking]
seen = -20

[ranking.topics]
beauty = ["lipstick", "口红"]
"""
ISSUE = """---
subject: x
---
An [editorial *link*](https://e.example/one "E").

## Most important news

### [Tea house opens [again]](https://www.d.example/tea/?utm_source=us "D") [short]
> *Words* of [the house](https://d.example/house), {{ name }}
> and more. ![cup](images/cup.png)
{date=2026-11-20}

- https://d.example/bare?x=(1)

### [Broken](https://
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "issues").mkdir()
    (tmp_path / "newsletter.toml").write_text(TOML)
    (tmp_path / "issues" / "2026-11-21.md").write_text(ISSUE)
    return tmp_path


@pytest.fixture
def project(folder):
    return load_project(folder, {})


def fill(project, now=NOW) -> None:
    with open_store(project.store_url) as store:
        for host, weight in (("a", 1), ("b", 2), ("c", 1)):
            store.feeds.add_feed(NewFeed(url=f"https://{host}.example/feed", title=host.upper(), weight=weight), now)
        a, b, c = store.feeds.load_feeds()
        save(store, a, now, ("Lipstick sales double in Shanghai this winter", "https://a.example/1", 1))
        save(store, b, now, ("Lipstick sales double this winter in Shanghai", "https://b.example/2", 2))
        save(store, c, now, ("A tea house opens", "https://d.example/tea", 3), ("Old news", "https://c.example/9", 999))


def save(store, feed, now, *rows) -> None:
    entries = [
        NewEntry(guid=url, url=url, title=title, published_at=now - dt.timedelta(hours=age)) for title, url, age in rows
    ]
    store.feeds.record_read(feed, NewFeed(url=feed.url), entries, now, now)


def test_stories_are_ranked_with_reasons_and_what_was_seen(project):
    fill(project)
    with open_store(project.store_url) as store:
        first, last = load_stories(project, store, NOW - WEEK, NOW, memory=load_memory(project, store))
        assert first.sources == ("B", "A")
        assert first.topics == ("beauty",)
        words = [reason.words for reason in first.reasons]
        assert words == ["2 sources: B, A", "1 h old", "B weighs 2", "topic beauty"]
        assert (last.seen_in, last.reasons[-1].points) == ("2026-11-21", -20)
        unseen = load_stories(project, store, NOW - WEEK, NOW, memory=load_memory(project, store, without="2026-11-21"))
        assert [story.seen_in for story in unseen] == ["", ""]


def test_past_articles_are_the_links_of_issues_even_of_those_that_do_not_compile(project, folder):
    (folder / "issues" / "odd.md").write_bytes(b"\xff\xfe [x](https://o.example/a_(b)) ")
    words = "[short] Words of the house, {{ name }} and more."
    assert [(one.slug, one.title, one.url, one.text) for one in past_articles(project)] == [
        ("2026-11-21", "editorial link", "https://e.example/one", ""),
        ("2026-11-21", "Tea house opens [again]", "https://www.d.example/tea/?utm_source=us", words),
        ("2026-11-21", "the house", "https://d.example/house", ""),
        ("2026-11-21", "", "https://d.example/bare?x=(1)", ""),
        ("odd", "x", "https://o.example/a_(b)", ""),
    ]


def test_stories_on_the_command_line(project, folder, capsys):
    base = ["--project", str(folder), "stories"]
    assert run(base) == 0
    assert "newsletter feeds add" in capsys.readouterr().out
    fill(project, dt.datetime.now(dt.UTC))
    assert run(base) == 0
    out = capsys.readouterr().out
    assert out.index("Lipstick sales double this") < out.index("A tea house opens")
    assert "2 sources: B, A (+3.0); 1 h old" in out
    assert "was in 2026-11-21 (-20.0)" in out
    assert "Old news" not in out
    assert run([*base, "--since", "2026-01-01", "--topic", "beauty", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 1
    assert [entry["source"] for entry in told["stories"][0]["entries"]] == ["B", "A"]
    assert run([*base, "--limit", "1"]) == 0
    assert "1 of 2 stories" in capsys.readouterr().out


def test_mistakes_on_the_command_line_are_told(folder, capsys):
    assert run(["--project", str(folder), "stories", "--topic", "cars"]) == 2
    assert "there are: beauty" in capsys.readouterr().err
    assert run(["--project", str(folder), "stories", "--since", "soon"]) == 2
    assert "7d, 36h" in capsys.readouterr().err
