"""Measure curation: 500 feeds from a local server, cold and unchanged; reading feeds; grouping 20,000 entries.

``python bench/feeds.py`` prints what it measured and writes ``bench/results/feeds-DATE.json``. Feeds are made up, in
the sizes of real ones: 30 entries of some 300 words. They come from 50 hosts, which are one server. CPU time stands
beside the wall time, which other work disturbs.
"""

import datetime as dt
import gc
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from feed_server import FeedServer  # noqa: E402

from newsletter.collector import collect  # noqa: E402
from newsletter.config import load_project  # noqa: E402
from newsletter.feed import NewFeed  # noqa: E402
from newsletter.feedchild import FeedReaders  # noqa: E402
from newsletter.store import open_store  # noqa: E402
from newsletter.stories import Entry, group_entries  # noqa: E402

FEEDS, ENTRIES, GROUPED = 500, 30, 20_000
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


def measured(what: Callable[[], object]) -> dict[str, float]:
    """Run once, and return wall and CPU time: ours, and that of ended children."""
    gc.collect()
    before, began = os.times(), time.perf_counter()
    what()
    wall, after = time.perf_counter() - began, os.times()
    own = after.user + after.system - before.user - before.system
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_s": round(wall, 2), "cpu_s": round(own, 2), "children_cpu_s": round(children, 2)}


def fetching() -> dict[str, object]:
    """Fetch all feeds cold, then again unchanged; the server's threads share our CPU time."""
    vocabulary = vocabulary_of(random.Random(1))
    with FeedServer("0.0.0.0") as server, tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "newsletter.toml").write_text(TOML.format(port=server.port, hosts=json.dumps(HOSTS)), encoding="utf-8")
        project = load_project(root, {})
        with open_store(project.store_url) as store:
            for number in range(FEEDS):
                server.pages[f"feed{number}"] = made_feed(number, vocabulary)
                store.feeds.add_feed(
                    NewFeed(url=f"http://{HOSTS[number % len(HOSTS)]}:{server.port}/feed{number}"), NOW
                )
            outcomes: list[str] = []

            def ask() -> None:
                outcomes[:] = [one.outcome for one in collect(project, store, store.feeds.load_feeds(), NOW)]

            cold = measured(ask)
            assert outcomes == ["read"] * FEEDS
            unchanged = measured(ask)
            assert outcomes == ["unchanged"] * FEEDS
            entries = sum(count for count, _ in store.feeds.count_entries(NOW).values())
    return {"feeds": FEEDS, "entries": entries, "cold": cold, "unchanged": unchanged}


def reading() -> dict[str, object]:
    """Read 200 feeds in one warm child."""
    vocabulary = vocabulary_of(random.Random(1))
    feeds = [made_feed(number, vocabulary) for number in range(200)]

    peak: list[int] = []

    def read() -> None:
        with FeedReaders(1) as readers:
            for feed in feeds:
                readers.parse(feed)
            peak.extend(readers.peaks_kb())

    cost = measured(read)
    megabytes = sum(map(len, feeds)) / 1e6
    cpu = cost["children_cpu_s"]
    return {"feeds": len(feeds), "megabytes": round(megabytes, 1), **cost, "feeds_per_cpu_s": round(len(feeds) / cpu),
            "peak_child_mb": round(max(peak) / 1024)}  # fmt: skip


def grouping() -> dict[str, object]:
    """Group entries of which each story has up to six, in other words."""
    chance = random.Random(2)
    vocabulary = vocabulary_of(chance)
    entries: list[Entry] = []
    while len(entries) < GROUPED:
        title, summary = chance.choices(vocabulary, k=9), words(chance, vocabulary, 40)
        at = NOW - dt.timedelta(minutes=chance.randint(0, 20_000))
        for source in range(chance.choice((1, 1, 1, 2, 3, 6))):
            told = [word if chance.random() < 0.8 else chance.choice(vocabulary) for word in title]
            number = len(entries)
            url = f"https://s{source}.example/{number}"
            entries.append(
                Entry(entry_id=number, feed=f"f{source}", source=f"S{source}", title=" ".join(told), url=url,
                      published_at=at + dt.timedelta(hours=source), summary=summary if source < 2 else "")
            )  # fmt: skip
    found: list[int] = []
    cost = measured(lambda: found.append(len(group_entries(entries))))
    return {"entries": len(entries), "stories": found[0], **cost}


def main() -> None:
    results: dict[str, object] = {"grouping": grouping(), "reading": reading(), "fetching": fetching()}
    results["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    results["machine"] = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }
    text = json.dumps(results, indent=2)
    print(text)
    today = dt.datetime.now(dt.UTC).date()
    (REPOSITORY / "bench" / "results" / f"feeds-{today}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
