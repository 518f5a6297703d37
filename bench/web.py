"""Load the web pages on loopback: one-click POSTs, each of another reader, and pages of the archive.

``newsletter serve`` runs as its own process, several client processes ask over connections that they keep, and every
answer is timed and checked. At the end each POST that was answered 200 must be a row of the store, and no other.
"""

import datetime as dt
import http.client
import multiprocessing
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from measure import Figure, Report

from newsletter.store import NewSubscriber, SubscriptionState, open_store
from newsletter.tokens import Purpose, Signer, Token, new_secret_text, parse_keys

CLIENTS = 8
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

    def figures(self, name: str) -> tuple[Figure, ...]:
        """Return the rate, the server's CPU time for a request, and how long all but a hundredth waited at most."""
        details = {"requests": self.count, "p50_ms": self.at(0.5), "max_ms": max(self.times_ms)}
        values = {
            "rate": (self.what, self.count / self.seconds, "/s"),
            "cpu": (f"{self.what}: the server's CPU time", self.cpu_s / self.count, "s"),
            "p99": (f"{self.what}: 99 of 100 are answered within", self.at(0.99) / 1000, "s"),
        }
        return tuple(
            Figure(name=f"web.{name}.{key}", text=text, value=value, unit=unit, details=details)
            for key, (text, value, unit) in values.items()
        )


def measure_web(folder: Path, quick: bool) -> Report:
    """Load the pages; stop the benchmark where a request failed or a row is missing."""
    loads, lost = _measure(folder, 100 if quick else 4000, 2 if quick else CLIENTS)
    if lost or any(load.errors for load in loads.values()):
        raise SystemExit(f"web: {lost} rows are missing, {[load.errors for load in loads.values()]} requests failed")
    note = (
        f"{CLIENTS} client processes on the same machine, over connections that they keep; 8 threads of the server,"
        " SQLite with every commit on disk. Every one-click POST that was answered 200 is a row of the store and a line"
        " of the log of consent."
    )
    figures = tuple(figure for name, load in loads.items() for figure in load.figures(name))
    return Report(title="The web pages under load", figures=figures, notes=(note,))


def _measure(root: Path, count: int, clients: int) -> tuple[dict[str, Load], int]:
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
        loads = {
            "archive": _load("a page of the archive", pages, where, clients, server.pid),
            "page": _load("the page to unsubscribe", forms, where, clients, server.pid),
            "post": _load("one-click POSTs, each of another reader", posts, where, clients, server.pid),
        }
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
