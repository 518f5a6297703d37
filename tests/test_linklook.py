"""Asking links: each once, one of a site at a time, never a private host; answers are kept for a day or an hour."""

import json
import threading
import time
from pathlib import Path

import pytest
from feed_server import FeedServer

from newsletter.errors import FeedError
from newsletter.fetcher import Answer, Policy
from newsletter.linklook import KEPT_BAD_S, KEPT_S, ask_links


@pytest.fixture
def server():
    with FeedServer() as server:
        server.pages = {"a": b"a" * 50, "b": b"b"}
        server.gone = {"gone"}
        yield server


def policy(server: FeedServer, **more) -> Policy:
    return Policy(
        agent="newsletter/test",
        timeout_s=60,
        ports=frozenset({server.port}),
        private_hosts=frozenset({"127.0.0.1"}),
        **more,
    )


def test_each_link_is_asked_once_and_one_of_a_site_at_a_time(server):
    urls = [f"{server.url}/{name}" for name in ("a", "b", "gone", "a", "missing")]
    answers = ask_links(urls, policy(server), pause_s=0)
    assert {url.rpartition("/")[2]: answer.status for url, answer in answers.items()} == {
        "a": 200,
        "b": 200,
        "gone": 410,
        "missing": 404,
    }
    assert answers[urls[0]].words == ""
    assert answers[urls[4]].words == "answers 404: there is nothing at this address"
    assert sorted(path for path, _ in server.seen) == ["/a", "/b", "/gone", "/missing"]
    assert server.open_most == 1
    assert server.seen[0][1]["User-Agent"] == "newsletter/test"


def test_between_two_links_of_a_site_there_is_a_pause(server):
    started = time.monotonic()
    ask_links([f"{server.url}/a", f"{server.url}/b"], policy(server), pause_s=0.2)
    assert time.monotonic() - started >= 0.2


def test_sites_are_asked_at_the_same_time(server):
    """Two sites wait for each other: asked one behind the other, neither would ever answer."""
    barrier = threading.Barrier(2, timeout=60)

    class Meeting:
        def look(self, url):
            barrier.wait()
            return type("A", (), {"status": 200, "url": url})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("newsletter.linklook.Fetcher", lambda _policy: Meeting())
        answers = ask_links(["https://one.example/", "https://two.example/"], policy(server))
    assert [answer.status for answer in answers.values()] == [200, 200]


def test_a_link_that_moved_is_followed(server):
    server.moved["old"] = (301, "/a")
    [answer] = ask_links([f"{server.url}/old"], policy(server)).values()
    assert (answer.status, answer.words, answer.url) == (200, "", f"{server.url}/a")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data", "http://localhost/"]
)
def test_no_link_leads_into_the_own_network(server, url):
    [answer] = ask_links([url], Policy(agent="x", timeout_s=3)).values()
    assert answer.status == 0
    assert "private or special network" in answer.words


def test_good_answers_are_kept_for_a_day_and_bad_ones_for_an_hour(server, tmp_path: Path):
    kept, now = tmp_path / "build" / "links.json", [1_000_000.0]
    urls = [f"{server.url}/a", f"{server.url}/gone"]

    def ask() -> list[str]:
        before = len(server.seen)
        ask_links(urls, policy(server), kept=kept, clock=lambda: now[0], pause_s=0)
        return sorted(path for path, _ in server.seen[before:])

    assert ask() == ["/a", "/gone"]
    assert ask() == []
    now[0] += KEPT_BAD_S
    assert ask() == ["/gone"]
    now[0] += KEPT_S
    assert ask() == ["/a", "/gone"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"answers": 3}', b'{"answers": {"u": {"at": "x"}}}', b"\xff"])
def test_a_broken_memory_is_no_memory(server, tmp_path: Path, content: bytes):
    kept = tmp_path / "links.json"
    kept.write_bytes(content)
    ask_links([f"{server.url}/a"], policy(server), kept=kept, pause_s=0)
    assert list(json.loads(kept.read_text())["answers"]) == [f"{server.url}/a"]


def test_a_memory_that_cannot_be_written_is_no_error(server):
    assert ask_links([f"{server.url}/a"], policy(server), kept=Path("/proc/nowhere/links.json"))


@pytest.mark.parametrize(
    ("answers", "works"),
    [
        ({"http://a.example/": (200, "https://a.example/")}, True),
        ({"http://a.example/": (200, "http://a.example/"), "https://a.example/": (200, "https://a.example/")}, True),
        ({"http://a.example/": (200, "http://a.example/"), "https://a.example/": (404, "https://a.example/")}, False),
        ({"http://a.example/": (200, "http://a.example/"), "https://a.example/": (200, "http://a.example/")}, False),
        ({"http://a.example/": (200, "http://a.example/")}, False),
        ({"http://a.example/": (500, "http://a.example/")}, False),
    ],
)
def test_whether_https_works_is_looked_at(answers, works: bool):
    class Web:
        def look(self, url):
            if url not in answers:
                raise FeedError("cannot be reached: no such host")
            status, led_to = answers[url]
            return Answer(status=status, url=led_to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("newsletter.linklook.Fetcher", lambda _policy: Web())
        [answer] = ask_links(["http://a.example/"], Policy(agent="x")).values()
    assert answer.https is works


def test_an_address_that_is_none_is_an_answer(server):
    answers = ask_links(["http://[::", f"{server.url}/busy", f"{server.url}/status-500"], policy(server), pause_s=0)
    told = [(answer.status, answer.words) for answer in answers.values()]
    assert told[0][0] == 0
    assert told[1:] == [(429, "answers 429: is busy"), (500, "answers 500")]
