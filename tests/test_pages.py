"""Articles off their own pages, and digests off their feeds: fetched with care from a server of this machine."""

import datetime as dt
from collections.abc import Iterator

import pytest
from feed_server import FeedServer
from newsroom import Newsroom, assert_told
from test_digest import CONFIG as DIGEST
from test_digest import FIRST, TEMPLATE, WEEK
from test_picking import PAGE

import newsletter.cli.digest
import newsletter.cli.due
import newsletter.cli.sending
from newsletter.receiver import Receiver

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Port Post</title><link>http://port.example.com/</link>
{items}</channel></rss>"""
ITEM = """<item><title>{title}</title><link>https://port.example.com/{n}</link><guid>{n}</guid>
<description>What happened, in words, number {n}.</description><category>digital</category>
<pubDate>{date:%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>"""


@pytest.fixture
def site() -> Iterator[FeedServer]:
    with FeedServer() as site:
        site.pages = {"crane": PAGE.encode(), "pdf": b"%PDF", "empty": b"<html></html>"}
        site.types = {"crane": "text/html", "pdf": "application/pdf", "empty": "text/html"}
        site.moved = {"moved": (301, "/crane")}
        yield site


def feeds_of(site: FeedServer) -> str:
    return f'\n[feeds]\nports = ["{site.port}"]\nprivate_hosts = ["127.0.0.1"]\nevery = "1 minute"\n'


@pytest.fixture
def room(tmp_path, site):
    room = Newsroom(tmp_path)
    room.write("newsletter.toml", (tmp_path / "newsletter.toml").read_text() + feeds_of(site))
    return room


def test_a_bare_address_is_completed_from_its_page(room, site):
    path = room.issue(
        "2026-11-25", body=f"## Mine\n\n- {site.url + '/moved'}\n- {site.url + '/pdf'}\n- {site.url + '/none'}\n"
    )
    answer = room.run("fill", "2026-11-25")
    assert_told(answer, 1, "application/pdf instead of a page", "/none: ")
    text = path.read_text()
    link = f'- [A crane fell in the harbour]({site.url + "/crane"} "Port Post") {{date=2026-11-20}}\n'
    assert f"{link}  > Nobody was hurt on Friday" in text
    assert f"- {site.url + '/pdf'}\n- {site.url + '/none'}\n" in text
    assert "It is up again." in text


def test_where_a_redirect_leads_is_known_from_a_past_issue(room, site):
    room.issue("2026-11-18", body=f"## Mine\n\n- [The crane]({site.url + '/crane'})\n")
    path = room.issue("2026-11-25")
    before = path.read_text()
    answer = room.run("pick", "2026-11-25", "--add", site.url + "/moved", "--section", "Digital")
    assert_told(answer, 1, "was in 2026-11-18", "--follow-up 2026-11-18")
    assert path.read_text() == before


def test_a_page_of_the_own_network_is_not_asked(tmp_path, site):
    room = Newsroom(tmp_path)
    path = room.issue("2026-11-25", body=f"## Mine\n\n- {site.url + '/crane'}\n")
    before = path.read_text()
    assert room.run("fill", "2026-11-25").code == 1
    assert path.read_text() == before


def test_a_digest_fetches_its_feeds_week_by_week(tmp_path, site, monkeypatch):
    room = Newsroom(tmp_path, config=DIGEST + feeds_of(site))
    room.write("digest.md", TEMPLATE)
    room.subscribers("ada@example.org")

    def cron(now: dt.datetime, *titles: str) -> str:
        items = "".join(ITEM.format(title=title, n=title[:5], date=now - dt.timedelta(hours=5)) for title in titles)
        site.pages["feed"] = FEED.format(items=items).encode()
        for module in (newsletter.cli.due, newsletter.cli.sending, newsletter.cli.digest):
            monkeypatch.setattr(module, "utc_now", lambda: now)
        answer = room.run("digest")
        assert answer.code == 0, answer
        return answer.out

    with Receiver() as receiver:
        room.relay(receiver)
        assert room.run("feeds", "add", "--unseen", site.url + "/feed").code == 0
        assert "made with 2 articles" in cron(FIRST, "Alpha news of the pier", "Bravo opens a shop")
        assert len(receiver.messages) == 1
        assert "skipped, no new stories" in cron(FIRST + WEEK, "Bravo opens a shop")
        assert "made with 1 article" in cron(FIRST + 2 * WEEK, "Bravo opens a shop", "Delta tells of a whale")
        assert len(receiver.messages) == 2
