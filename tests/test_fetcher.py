"""Servers are asked politely and within limits, and no address of the own network is ever asked; on real sockets."""

import datetime as dt
import socket
import threading
import time

import pytest
from feed_server import FeedServer, rss

from newsletter.errors import FeedError, TryLaterError
from newsletter.fetcher import Fetcher, Policy, _retry_after, checked_target
from newsletter.netranges import refusal_of


@pytest.fixture(scope="module")
def server():
    with FeedServer() as server:
        server.pages["feed"] = rss("One")
        yield server


def policy(server, **values) -> Policy:
    return Policy(
        **(
            {
                "agent": "newsletter/1 (+https://n.example)",
                "ports": frozenset((server.port,)),
                "private_hosts": frozenset(("127.0.0.1",)),
                "timeout_s": 30.0,
            }
            | values
        )
    )


@pytest.fixture
def get(server):
    fetcher = Fetcher(policy(server))
    return lambda path, **values: fetcher.get(f"{server.url}/{path}", **values)


def test_a_feed_comes_with_validators_and_then_not_again(get, server):
    first = get("feed")
    assert (first.status, first.content, first.moved_to) == (200, rss("One"), "")
    assert first.content_type == "application/rss+xml"
    assert get("feed", etag=first.etag, last_modified=first.last_modified).status == 304
    headers = server.seen[-1][1]
    assert headers["User-Agent"] == "newsletter/1 (+https://n.example)"
    assert headers["If-Modified-Since"] == "Wed, 25 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(("status", "moved"), [(301, True), (308, True), (302, False), (307, False), (303, False)])
def test_only_what_moved_for_good_is_remembered(get, server, status, moved):
    server.moved = {"old": (status, "/feed#x"), "older": (301, "/old")}
    answer = get("old")
    assert answer.content == rss("One")
    assert answer.moved_to == (f"{server.url}/feed#x" if moved else "")
    assert get("older").moved_to == (f"{server.url}/feed#x" if moved else f"{server.url}/old")


@pytest.mark.parametrize("how", ["gzip", "deflate", "raw", "br"])
def test_packed_answers_are_unpacked(get, how):
    assert get(f"packed-{how}").content == rss("packed")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("loop-0", "redirects more than 5 times"),
        ("bomb-gzip", "larger than 5 MB"),
        ("bomb-br", "larger than 5 MB"),
        ("large", "larger than 5 MB"),
        ("broken-gzip", "packed as gzip, and broken"),
        ("broken-br", "packed as br, and broken"),
        ("broken-zstd", "packed in a way that was not asked for"),
        ("short", "breaks off"),
        ("garbage", "no HTTP"),
        ("nothing", "answers 404: there is nothing"),
        ("status-500", "answers 500"),
        ("status-204", "answers 204"),
        ("status-301", "answers 301"),
    ],
)
def test_what_goes_wrong_is_told_in_words(get, path, words):
    with pytest.raises(FeedError, match=words):
        get(path)


@pytest.mark.parametrize("path", ["drip-body", "drip-headers"])
def test_slow_drips_end_in_time(server, path):
    began = time.monotonic()
    with pytest.raises(FeedError, match=r"longer than 0\.5 seconds"):
        Fetcher(policy(server, timeout_s=0.5)).get(f"{server.url}/{path}")
    assert time.monotonic() - began < 16  # the drip alone takes twenty seconds and more


def test_a_name_server_that_is_silent_costs_its_own_time_and_no_more(server, monkeypatch):
    ask, answers = socket.getaddrinfo, threading.Event()

    def ask_late(host, *args, **values):
        if host == "slow.example":
            answers.wait(30)
        return ask(host if host != "slow.example" else "127.0.0.1", *args, **values)

    monkeypatch.setattr(socket, "getaddrinfo", ask_late)
    fetcher = Fetcher(policy(server, look_up_s=0.2, private_hosts=frozenset(("127.0.0.1", "slow.example"))))
    began = time.monotonic()
    with pytest.raises(FeedError, match=r"DNS says nothing of slow\.example within 0\.2 seconds"):
        fetcher.get(f"http://slow.example:{server.port}/feed")
    assert time.monotonic() - began < 25  # the whole answer may take thirty
    assert fetcher.get(f"{server.url}/feed").status == 200
    answers.set()
    assert fetcher.get(f"http://slow.example:{server.port}/feed").status == 200


@pytest.mark.parametrize(("wait", "seconds"), [("120", 120), ("", None), ("soon", None)])
def test_a_busy_server_says_when_to_come_back(get, wait, seconds):
    with pytest.raises(TryLaterError, match="is busy") as caught:
        get(f"busy-{wait}")
    assert caught.value.retry_after == (dt.timedelta(seconds=seconds) if seconds else None)


def test_a_busy_server_may_name_a_date():
    assert _retry_after("Wed, 25 Nov 2099 08:00:00 GMT") > dt.timedelta(days=1000)
    assert _retry_after("Wed, 25 Nov 1999 08:00:00 GMT") == dt.timedelta()


# ---------------------------------------------------------------------------------------------------------------------
# What must not be asked
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://a.example/x", "gopher://a.example", "http://", "http:///x", "javascript:alert(1)",
        "http://a.example:22/", "http://a.example:99999/", "http://u:p@a.example/", "http://a b.example/",
        "http://[::1/", "http://a.example\r\nX: y/", "//a.example/x", "data:text/xml,<rss/>", "http://%31/",
    ],
)  # fmt: skip
def test_addresses_that_are_none_of_the_web_are_refused(url):
    with pytest.raises(FeedError):
        checked_target(url, Policy(agent="x"))


def test_addresses_are_written_in_ascii():
    assert checked_target("HTTP://Bücher.example/ä b?q=ü#x", Policy(agent="x")).url == (
        "http://xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC"
    )
    with pytest.raises(FeedError, match=r"\[feeds\] ports"):
        checked_target("https://a.example:8443/", Policy(agent="x"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "192.0.0.8",
        "192.0.0.170", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "203.0.113.5",
        "::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fec0::1", "ff02::1", "::127.0.0.1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606:4700::5efe:7f00:1", "2001:db8::1", "100::1", "5f00::1", "x",
    ],
)  # fmt: skip
def test_private_and_special_addresses_are_refused(address):
    assert refusal_of(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4007::1", "64:ff9b::808:808", "::ffff:8.8.8.8"],
)
def test_addresses_of_the_internet_are_asked(address):
    assert refusal_of(address) == ""


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "[::1]", "[::ffff:7f00:1]"]
)
def test_the_own_machine_is_not_asked_by_any_of_its_names(server, host):
    asked = len(server.seen)
    with pytest.raises(FeedError, match=r"not asked|no address|be reached"):
        Fetcher(policy(server, private_hosts=frozenset())).get(f"http://{host}:{server.port}/feed")
    assert len(server.seen) == asked


def test_a_redirect_to_the_own_machine_is_not_followed(server):
    server.moved = {"in": (302, f"http://localhost:{server.port}/feed"), "out": (301, "file:///etc/passwd")}
    with pytest.raises(FeedError, match=r"not asked: .* private or special"):
        Fetcher(policy(server)).get(f"{server.url}/in")
    with pytest.raises(FeedError, match="no address of the web"):
        Fetcher(policy(server)).get(f"{server.url}/out")
    server.moved = {"port": (302, "http://127.0.0.1:22/")}
    with pytest.raises(FeedError, match="port 22"):
        Fetcher(policy(server)).get(f"{server.url}/port")
