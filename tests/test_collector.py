"""From a server to ranked stories, on real sockets: health, redirects, 410, backoff, lists of feeds, finding feeds."""

import datetime as dt
import json

import pytest
from feed_server import FeedServer, rss

from newsletter.cli import run
from newsletter.collector import collect
from newsletter.config import load_project
from newsletter.errors import InputError
from newsletter.feed import FeedState, NewFeed, next_fetch
from newsletter.feedlinks import find_feed_links
from newsletter.opml import read_opml
from newsletter.store import open_store

NOW = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)
TOML = """
[newsletter]
title = "Weekly & more"
from = "w@example.org"
url = "https://news.example.org"
[feeds]
ports = ["{port}"]
private_hosts = ["127.0.0.1"]
timeout = 60
"""


@pytest.fixture
def server():
    with FeedServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path, server):
    (tmp_path / "issues").mkdir()
    (tmp_path / "newsletter.toml").write_text(TOML.format(port=server.port))
    return tmp_path


@pytest.fixture
def project(folder):
    return load_project(folder, {})


@pytest.fixture
def store(project):
    with open_store(project.store_url) as store:
        yield store


def add(store, server, *paths: str) -> None:
    for path in paths:
        store.feeds.add_feed(NewFeed(url=f"{server.url}/{path}"), NOW)


def fetch(project, store, now=NOW, **values) -> dict:
    feeds = [feed for feed in store.feeds.load_feeds() if feed.state == "active"]
    results = collect(project, store, feeds, now, **values)
    return {result.feed.url.rpartition("/")[2]: result for result in results}


def test_one_broken_feed_never_stops_the_run(project, store, server):
    server.pages |= {"good": rss("One", "Two"), "page": b"<html>no feed</html>"}
    add(store, server, "good", "page", "status-500", "loop-0", "bomb-gzip", "garbage", "short", "busy-7200")
    store.feeds.add_feed(NewFeed(url="http://localhost:1/"), NOW)
    store.feeds.add_feed(NewFeed(url="gopher://x"), NOW)
    found = fetch(project, store)
    assert len(found) == 10
    assert (found["good"].outcome, found["good"].new) == ("read", 2)
    assert {name for name, result in found.items() if result.outcome == "failed"} == set(found) - {"good"}
    assert "web page" in found["page"].error
    feeds = {feed.url.rpartition("/")[2]: feed for feed in store.feeds.load_feeds()}
    assert feeds["status-500"].next_fetch_at == NOW + dt.timedelta(hours=1)
    assert feeds["busy-7200"].next_fetch_at == NOW + dt.timedelta(hours=2)
    assert feeds["good"].next_fetch_at == NOW + dt.timedelta(minutes=30)
    assert server.open_most == 1  # one host: one at a time
    assert all("+https://news.example.org" in headers["User-Agent"] for _, headers in server.seen)


def test_unchanged_feeds_are_not_read_and_changed_ones_are(project, store, server):
    server.pages["feed"] = rss("One")
    add(store, server, "feed")
    assert fetch(project, store)["feed"].new == 1
    assert fetch(project, store)["feed"].outcome == "unchanged"
    server.pages["feed"] = rss("One, again", "Two")
    result = fetch(project, store)["feed"]
    assert (result.new, result.changed) == (1, 1)


def test_feeds_that_move_or_go_are_remembered(project, store, server):
    server.pages["new"] = rss("One")
    server.moved["old"] = (301, "/new")
    server.moved["while"] = (302, "/new")
    server.gone.add("gone")
    add(store, server, "old", "while", "gone")
    found = fetch(project, store)
    assert found["old"].moved_to == f"{server.url}/new"
    assert found["gone"].outcome == "retired"
    feeds = store.feeds.load_feeds()
    assert [feed.url.rpartition("/")[2] for feed in feeds] == ["new", "while", "gone"]
    assert feeds[2].state is FeedState.RETIRED


def test_a_dry_run_keeps_nothing_and_since_leaves_out(project, store, server):
    date = "<pubDate>Wed, 25 Nov 2020 08:00:00 GMT</pubDate>"
    server.pages |= {"new": rss("One"), "old": rss("Old", more=date)}
    add(store, server, "new", "old")
    before = store.feeds.load_feeds()
    assert fetch(project, store, is_dry=True)["new"].found == 1
    assert store.feeds.load_feeds() == before
    assert store.feeds.count_entries(NOW) == {}
    assert fetch(project, store)["old"].found == 0
    server.pages["old"] += b" "
    assert fetch(project, store, since=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))["old"].new == 1


def test_waiting_doubles_up_to_a_day_and_heeds_the_server():
    every = dt.timedelta(minutes=30)
    waits = [next_fetch(every, failures, NOW) - NOW for failures in (0, 1, 2, 5, 6, 60)]
    assert waits == [every, 2 * every, 4 * every, 32 * every, dt.timedelta(days=1), dt.timedelta(days=1)]
    assert next_fetch(every, 1, NOW, dt.timedelta(days=99)) == NOW + dt.timedelta(days=7)
    assert next_fetch(every, 1, NOW, dt.timedelta()) == NOW + 2 * every


def test_the_week_of_an_editor_on_the_command_line(folder, server, capsys):
    def told(*arguments: str, code: int = 0) -> str:
        assert run(["--project", str(folder), *arguments]) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    page = b'<html><head><link rel="alternate" type="application/rss+xml" title="C" href="/comments">'
    page += b'<link rel="alternate" type="application/rss+xml" href="/feed"></head>'
    server.pages |= {"": page, "feed": rss("Tea in Shanghai", "Ships in Suez"), "comments": rss("x", title="Comments")}
    server.types[""] = "text/html"
    assert "no feeds yet" in told("feeds", "list")
    assert "no feeds yet" in told("fetch")
    assert "A feed: added" in told("feeds", "add", f"{server.url}/", "--weight", "2", "--tag", "tea")
    assert "was there already" in told("feeds", "add", f"{server.url}/feed")
    assert "answers 404" in told("feeds", "add", f"{server.url}/none", code=65)
    assert "added" in told("feeds", "add", f"{server.url}/none", "--unseen", "--title", "None")
    assert "2 entries found, nothing kept" in told("fetch", "--dry-run")
    out = told("fetch")
    assert "None: answers 404" in out
    assert "2 feeds asked: 1 failed, 1 read; 2 new entries" in out
    assert "no feed is due" in told("fetch")
    assert "1 unchanged" in told("fetch", "--feed", "a feed")
    out = told("feeds", "list")
    assert "well" in out
    assert "there is nothing at this address" in out
    assert "A feed: 2 entries" in told("feeds", "check", code=1)
    assert "Tea in Shanghai" in told("stories")
    listed = json.loads(told("feeds", "list", "--json"))["feeds"]
    assert (listed[0]["weight"], listed[0]["tags"], listed[0]["entries_a_week"]) == (2, ["tea"], 0.5)
    told("feeds", "pause", "none")
    assert json.loads(told("fetch", "--all", "--json"))["counts"] == {"unchanged": 1}
    told("feeds", "resume", "none")
    assert "fits 2 feeds" in told("feeds", "remove", "127.0.0.1", code=65)
    exported = told("feeds", "export")
    assert 'title="A feed"' in exported
    (folder / "list.opml").write_text(exported)
    assert "removed" in told("feeds", "remove", "a feed")
    assert "no stories" in told("stories")
    assert "1 feeds added, 1 were there" in told("feeds", "import", str(folder / "list.opml"))
    assert json.loads(told("feeds", "list", "--json"))["feeds"][-1]["weight"] == 2


def test_lists_of_feeds_are_read_with_folders_as_tags():
    opml = """<opml><body><outline text="News"><outline text="A &amp; B" xmlUrl="https://a.example/f"
    htmlUrl="https://a.example" category="/x/,y"/><outline text="Deep">
    <outline title="C" xmlurl=" https://c.example "/></outline></outline>
    <outline xmlUrl="https://a.example/f"/><outline text="no feed"/></body></opml>"""
    first, second = read_opml(opml.encode(), "f.opml")
    assert (first.url, first.title, first.tags) == ("https://a.example/f", "A & B", ("News", "x", "y"))
    assert (second.url, second.tags) == ("https://c.example", ("News", "Deep"))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"<opml/>",
     b'<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]><opml><outline text="&x;"/></opml>',
     b"<opml>" + b"<outline>" * 100_000, b"<" * 1_000_000],
    ids=["empty", "text", "none", "entity", "nested", "signs"],
)  # fmt: skip
def test_what_is_no_list_of_feeds_is_told(content):
    with pytest.raises(InputError, match=r"f\.opml: (names no feed|is no OPML)"):
        read_opml(content, "f.opml")


def test_feeds_are_found_in_pages():
    html = '<base href="https://b.example/x/"><link rel="ALTERNATE home" type="application/atom+xml" href="f">'
    html += '<link rel="alternate" type="application/json" href="/wp-json/1"><link rel="stylesheet" href="s">'
    assert [link.url for link in find_feed_links(html + "<" * 9999, "https://a.example/")] == ["https://b.example/x/f"]
