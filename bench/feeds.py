"""Measure curation: 500 feeds from a local server, cold and unchanged; reading feeds; grouping 20,000 entries.

Feeds are made up, in the sizes of real ones: 30 entries of some 300 words. They come from 50 hosts, which are one
server. CPU time stands beside the wall time, which other work disturbs.
"""

import datetime as dt
import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import REPOSITORY, Figure, Report, Sample, Samples, Target, time_figure
from peak import peak_kb

from newsletter.collector import collect
from newsletter.config import load_project
from newsletter.feed import NewFeed
from newsletter.feedchild import FeedReaders
from newsletter.store import open_store
from newsletter.stories import Entry, Story, group_entries

sys.path.append(str(REPOSITORY / "tests"))

from feed_server import FeedServer

ENTRIES = 30
HOSTS = [f"127.0.0.{number}" for number in range(2, 52)]
NOW = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)
TOML = """[newsletter]
title = "Bench"
from = "w@example.org"
[feeds]
ports = ["{port}"]
private_hosts = {hosts}
timeout = 120
"""


def words(chance: random.Random, vocabulary: list[str], count: int) -> str:
    return " ".join(chance.choices(vocabulary, k=count))


def vocabulary_of(chance: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbg"
    return ["".join(chance.choices(letters, k=chance.randint(3, 10))) for _ in range(8000)]


def made_feed(number: int, vocabulary: list[str]) -> bytes:
    chance = random.Random(number)
    items = "".join(
        f"<item><title>{words(chance, vocabulary, 9)}</title><link>https://s{number}.example/{entry}?utm_source=x</link>"
        f"<guid>{entry}</guid><pubDate>{NOW - dt.timedelta(hours=entry):%a, %d %b %Y %H:%M:%S} GMT</pubDate>"
        f"<description><![CDATA[<p>{words(chance, vocabulary, 150)}</p><p>{words(chance, vocabulary, 150)}</p>]]>"
        "</description></item>"
        for entry in range(ENTRIES)
    )
    return f'<rss version="2.0"><channel><title>Feed {number}</title>{items}</channel></rss>'.encode()


def measure_feeds(folder: Path, quick: bool) -> Report:
    """Group entries, read feeds in a child, and fetch feeds from a server that is in this process."""
    figures = [
        *_grouping(400 if quick else 20_000),
        *_reading(3 if quick else 200),
        *_fetching(folder, 5 if quick else 500),
        Figure(name="feeds.memory", text="memory of it all, the server and its feeds among it",
               value=peak_kb() * 1024, unit="B"),
    ]  # fmt: skip
    note = (
        f"Feeds of {ENTRIES} entries of 300 words, from {len(HOSTS)} hosts that are one server in this process; every"
        " commit is on the disk. User CPU time counts the children that read."
    )
    return Report(title="Feeds and stories", figures=tuple(figures), notes=(note,))


def _timed(what: Callable[[], object]) -> Sample:
    """Run once; the user CPU time is that of this process and of its ended children."""
    gc.collect()
    before, began = os.times(), time.perf_counter()
    what()
    wall, after = time.perf_counter() - began, os.times()
    return Sample(wall, after.user + after.children_user - before.user - before.children_user)


def _fetching(folder: Path, count: int) -> list[Figure]:
    """Fetch all feeds cold, then again unchanged."""
    vocabulary = vocabulary_of(random.Random(1))
    with FeedServer("0.0.0.0") as server:
        (folder / "newsletter.toml").write_text(
            TOML.format(port=server.port, hosts=json.dumps(HOSTS)), encoding="utf-8"
        )
        project = load_project(folder, {})
        with open_store(project.store_url) as store:
            for number in range(count):
                server.pages[f"feed{number}"] = made_feed(number, vocabulary)
                store.feeds.add_feed(
                    NewFeed(url=f"http://{HOSTS[number % len(HOSTS)]}:{server.port}/feed{number}"), NOW
                )
            outcomes: list[str] = []

            def ask() -> None:
                outcomes[:] = [one.outcome for one in collect(project, store, store.feeds.load_feeds(), NOW)]

            cold = _timed(ask)
            assert outcomes == ["read"] * count
            unchanged = _timed(ask)
            assert outcomes == ["unchanged"] * count
            entries = sum(found for found, _ in store.feeds.count_entries(NOW).values())
    return [
        time_figure("feeds.cold", f"fetch {count:,} feeds, {entries:,} entries", Samples((cold,))),
        time_figure("feeds.unchanged", f"fetch {count:,} feeds, all unchanged (304)", Samples((unchanged,))),
    ]


def _reading(count: int) -> list[Figure]:
    """Read feeds in one warm child."""
    vocabulary = vocabulary_of(random.Random(1))
    feeds = [made_feed(number, vocabulary) for number in range(count)]
    peak: list[int] = []

    def read() -> None:
        with FeedReaders(1) as readers:
            for feed in feeds:
                readers.parse(feed)
            peak.extend(readers.peaks_kb())

    sample = _timed(read)
    text = f"read {count:,} feeds ({sum(map(len, feeds)) / 1e6:.1f} MB) in one child"
    return [
        time_figure("feeds.read", text, Samples((sample,))),
        Figure(name="feeds.read.memory", text=f"{text}: its memory", value=max(peak) * 1024, unit="B",
               target=Target(200_000_000)),
    ]  # fmt: skip


def _grouping(count: int) -> list[Figure]:
    entries = made_entries(count)
    found: list[Story] = []
    sample = _timed(lambda: found.extend(group_entries(entries)))
    text = f"group {count:,} entries into {len(found):,} stories"
    return [time_figure("feeds.group", text, Samples((sample,)), Target(10))]


def made_entries(count: int) -> list[Entry]:
    """Return entries of which each story has up to six, in other words."""
    chance = random.Random(2)
    vocabulary = vocabulary_of(chance)
    entries: list[Entry] = []
    while len(entries) < count:
        title, summary = chance.choices(vocabulary, k=9), words(chance, vocabulary, 40)
        at = NOW - dt.timedelta(minutes=chance.randint(0, count))
        for source in range(chance.choice((1, 1, 1, 2, 3, 6))):
            told = [word if chance.random() < 0.8 else chance.choice(vocabulary) for word in title]
            number = len(entries)
            url = f"https://s{source}.example/{number}"
            entries.append(
                Entry(entry_id=number, feed=f"f{source}", source=f"S{source}", title=" ".join(told), url=url,
                      published_at=at + dt.timedelta(hours=source), summary=summary if source < 2 else "")
            )  # fmt: skip
    return entries
