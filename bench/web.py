"""Load the web pages on loopback: one-click POSTs, each of another reader, and pages of the archive.

``newsletter serve`` runs as its own process, several client processes ask over connections that they keep, and every
answer is timed and checked. At the end each POST that was answered 200 must be a row of the store, and no other.

::

    python bench/web.py                 # 10,000 one-click POSTs and as many pages; writes bench/results/web-DATE.md
    python bench/web.py --quick         # toy sizes: shows that it runs, measures nothing
"""

import argparse
import datetime as dt
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from newsletter.store import NewSubscriber, SubscriptionState, open_store
from newsletter.tokens import Purpose, Signer, Token, new_secret_text, parse_keys

RESULTS = Path(__file__).parent / "results"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOW = dt.datetime.now(dt.UTC)
CONFIG = """\
[newsletter]
title = "Harbour Weekly"
from = "Harbour Weekly <weekly@news.example.org>"
url = "http://localhost"
unsubscribe = "web"
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """Describe one request and the status that must answer it."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Hold what came of many requests; times in milliseconds."""

    what: str
    count: int
    seconds: float
    times_ms: tuple[float, ...]
    errors: int
    cpu_s: float = 0.0

    def at(self, share: float) -> float:
        """Return the time within which this share of the requests was answered."""
        ordered = sorted(self.times_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def as_json(self) -> dict[str, object]:
        """Return what the results keep of the load."""
        return {
            "what": self.what,
            "requests": self.count,
            "errors": self.errors,
            "per_second": round(self.count / self.seconds, 1),
            "server_cpu_ms": round(self.cpu_s / self.count * 1000, 2),
            "p50_ms": round(self.at(0.5), 2),
            "p99_ms": round(self.at(0.99), 2),
            "max_ms": round(max(self.times_ms), 2),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load and print it; return 1 where a request failed or a row is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="requests of each kind")
    parser.add_argument("--clients", type=int, default=8, help="connections at once")
    parser.add_argument("--quick", action="store_true", help="toy sizes; nothing is written")
    options = parser.parse_args(arguments)
    count = 200 if options.quick else options.count
    with tempfile.TemporaryDirectory(prefix="newsletter-web-") as folder:
        loads, lost = _measure(Path(folder), count, options.clients)
    report = _report(loads, lost, options.clients)
    print(report)
    if not options.quick:
        _write(report, loads, lost, options.clients)
    return int(lost > 0 or any(load.errors for load in loads))


def _measure(root: Path, count: int, clients: int) -> tuple[list[Load], int]:
    paths = _prepare(root, count)
    server = subprocess.Popen(
        [sys.executable, "-m", "newsletter", "--project", str(root), "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        found = re.search(r"http://([\d.]+):(\d+)", server.stdout.readline() if server.stdout else "")
        assert found
        where = (found[1], int(found[2]))
        posts = [Ask("POST", path, "List-Unsubscribe=One-Click") for path in paths]
        pages = [Ask("GET", "/archive/2026-11-25/")] * count
        forms = [Ask("GET", path) for path in paths[: count // 4]]
        loads = [
            _load("archive page", pages, where, clients, server.pid),
            _load("unsubscribe page", forms, where, clients, server.pid),
            _load("one-click POST", posts, where, clients, server.pid),
        ]
    finally:
        server.terminate()
        server.wait(30)
    return loads, _lost(root, count)


def _prepare(root: Path, count: int) -> list[str]:
    """Make a newsletter with ``count`` readers and an archive; return the path of each one's unsubscribe link."""
    (root / "newsletter.toml").write_text(CONFIG)
    (root / "newsletter.secret").write_text(new_secret_text(os.urandom(40)))
    page = root / "site" / "archive" / "2026-11-25" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>" + "<p>A paragraph of the archive.</p>\n" * 800)
    keys = parse_keys((root / "newsletter.secret").read_text())
    with open_store(f"sqlite:///{root / 'newsletter.db'}", address_key=keys.address_key) as store:
        list_id = store.subscribers.ensure_list("newsletter", NOW).list_id
        people = (NewSubscriber(address=f"r{number}@example.org") for number in range(count))
        for _ in store.subscribers.import_subscribers(list_id, people, NOW, origin="bench"):
            pass
        numbers = [each.subscriber_id for each in store.subscribers.list_subscribers(list_id)]
    sign = Signer(keys).sign
    return [f"/unsubscribe/{sign(Token(Purpose.UNSUBSCRIBE, list_id, number, 1))}" for number in numbers]


def _load(what: str, asks: list[Ask], where: tuple[str, int], clients: int, server: int) -> Load:
    """Send ``asks`` over so many connections at once, each in a process of its own."""
    shares = [(where, asks[number::clients]) for number in range(clients)]
    with multiprocessing.Pool(clients) as pool:
        pool.map(abs, range(clients))  # the processes are there before the clock runs
        begin, cpu_before = time.perf_counter(), _cpu_of(server)
        answers = pool.map(_ask_all, shares, chunksize=1)
        seconds = time.perf_counter() - begin
    times = tuple(each for answer in answers for each in answer[0])
    errors = sum(answer[1] for answer in answers)
    return Load(what, len(asks), seconds, times, errors, _cpu_of(server) - cpu_before)


def _ask_all(share: tuple[tuple[str, int], list[Ask]]) -> tuple[list[float], int]:
    """Send requests one after the other over one connection; return the times in ms, and how many were no 200."""
    where, asks = share
    connection = http.client.HTTPConnection(*where, timeout=60)
    times, errors = [], 0
    for ask in asks:
        begin = time.perf_counter()
        try:
            connection.request(ask.method, ask.path, ask.body or None, FORM if ask.body else {})
            answer = connection.getresponse()
            answer.read()
            errors += answer.status != 200
        except (OSError, http.client.HTTPException):
            errors += 1
            connection.close()
        times.append((time.perf_counter() - begin) * 1000)
    connection.close()
    return times, errors


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lost(root: Path, count: int) -> int:
    """Return how many of the readers are not unsubscribed in the store, or have no line in the log of consent."""
    keys = parse_keys((root / "newsletter.secret").read_text())
    with open_store(f"sqlite:///{root / 'newsletter.db'}", address_key=keys.address_key) as store:
        left = store.subscribers.count_subscribers(1)[SubscriptionState.UNSUBSCRIBED]
        logged = sum(
            line.event == "left" and line.evidence.way == "one-click"
            for each in store.subscribers.list_subscribers(1)
            for line in store.choices.load_consents(each.subscriber_id)
        )
    return max(count - left, count - logged)


def _report(loads: list[Load], lost: int, clients: int) -> str:
    rows = [load.as_json() for load in loads]
    keys = ("what", "requests", "errors", "per_second", "server_cpu_ms", "p50_ms", "p99_ms", "max_ms")
    lines = [
        f"# The web pages under load, {NOW:%Y-%m-%d}",
        "",
        f"`python bench/web.py --count {loads[0].count}`: {clients} client processes on the same machine, connections",
        "kept, SQLite with every commit on disk, 8 threads;",
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}: other work ran all the time; it changes the",
        "CPU time of the server for each request the least.",
        "",
        "| " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|---|" + "--:|" * (len(keys) - 1),
        *("| " + " | ".join(str(row[key]) for key in keys) + " |" for row in rows),
        "",
        f"One-click POSTs answered 200 that are not in the store and its log of consent: {lost}.",
    ]
    return "\n".join(lines) + "\n"


def _write(report: str, loads: list[Load], lost: int, clients: int) -> None:
    name = f"web-{NOW:%Y-%m-%d}"
    content = {"clients": clients, "lost": lost, "loads": [load.as_json() for load in loads]}
    (RESULTS / f"{name}.md").write_text(report, encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
