"""Measure the most memory that a build takes, and a send to 10,000 through the real sender to a real receiver.

The receiver is another process, whose memory does not count; it takes messages as fast as Python can. The send is what
``newsletter send SLUG --yes`` does: plan, claim, personalise, SMTP, one commit a message. Where the issue was approved
with another store, a child process compiles it beforehand.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from corpus import illustrated_issue, make_project
from measure import Figure, Report, clean_environ, newsletter_command, output_of

from newsletter.config import Project

_SLUG = "issue"
_PEAK = str(Path(__file__).with_name("peak.py"))


@dataclass(frozen=True, slots=True)
class Peak:
    """Hold what one command printed, its peak of memory and that of its largest child, in bytes.

    ``together`` is the most that it and its children had at one time, as looked at every few milliseconds, and 0 where
    the system does not tell; memory that they share counts for each of them. ``planning_s`` are seconds of planning.
    """

    said: str
    own: int
    children: int
    together: int = 0
    planning_s: float = 0.0


@dataclass(slots=True)
class Taken:
    """Hold what the receiver took, known once it has ended."""

    port: int
    messages: int = 0
    bytes: int = 0


def measure_memory(folder: Path, quick: bool) -> Report:
    """Build, then send, and return peaks, the send's throughput and what it left in the store."""
    articles, count = (5, 40) if quick else (25, 10_000)
    embedded = make_project(folder / "embedded", {_SLUG: illustrated_issue(articles)})
    hosted = make_project(folder / "hosted", {_SLUG: illustrated_issue(articles)}, hosted=True)
    nothing = run_at_peak(embedded, folder, ["--help"])
    build = run_at_peak(embedded, folder, ["build", _SLUG, "--out", str(folder / "out")])
    figures = [
        _bytes_figure("memory.help", "newsletter --help, for comparison", nothing.own),
        _bytes_figure("memory.build", f"newsletter build, {articles} illustrated articles", build.own),
    ]
    return Report(title="Memory, and a whole send", figures=(*figures, *_send(hosted, folder, count)))


def _send(project: Project, folder: Path, count: int) -> Iterator[Figure]:
    people = folder / "people.csv"
    people.write_text("email,name\n" + "".join(_people(count)), encoding="utf-8")
    newsletter = [*newsletter_command(), "--project", str(project.root)]
    output_of([*newsletter, "subscribers", "import", str(people)], folder)
    output_of([*newsletter, "approve", _SLUG], folder)
    before = store_bytes(project) - compiled_bytes(project)
    compiling = run_at_peak(project, folder, ["send", _SLUG, "--json"])  # the plan, which is compiled as it stands
    with receiving() as taken:
        smtp = {"HOST": "127.0.0.1", "PORT": str(taken.port), "SECURITY": "none"}
        environ = {f"NEWSLETTER_SMTP__{key}": value for key, value in smtp.items()}
        peak = run_at_peak(project, folder, ["send", _SLUG, "--yes", "--json"], environ)
    report = json.loads(peak.said)
    if not report["sent"] == taken.messages == count:
        raise SystemExit(f"{count} messages were to be sent, {report['sent']} were, {taken.messages} arrived")
    seconds = (_instant(report["ended_at"]) - _instant(report["started_at"])).total_seconds()
    size = taken.bytes / taken.messages
    details = {"messages": taken.messages, "message_bytes": round(size), "seconds": round(seconds, 3)}
    yield _bytes_figure(
        "memory.send", f"send to {count:,} ({size / 1000:.0f} kB a message), all of its processes", peak.together
    )
    yield _bytes_figure(
        "memory.send.child",
        "the child process that compiles where the approval was of another store",
        compiling.children,
    )
    yield Figure(
        name="send.rate",
        text=f"the same send, one connection, one durable commit a message, {size / 1000:.0f} kB a message",
        value=count / seconds,
        unit="/s",
        details=details,
    )
    left = store_bytes(project) - before - edition_bytes(project)
    yield Figure(
        name="send.store", text="bytes of the store for each recipient of a finished send", value=left / count, unit="B"
    )


def _people(count: int) -> Iterator[str]:
    domains = ("example.org", "example.com", "example.net", "mail.example.org")
    for number in range(count):
        yield f"reader{number:06}@{domains[number % 4]},Reader {number}\n"


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _bytes_figure(name: str, text: str, count: int) -> Figure:
    return Figure(name=name, text=text, value=count, unit="B")


def store_bytes(project: Project) -> int:
    """Return the size of the store's file once its log is worked in, without the pages that it holds free."""
    _query(project, "PRAGMA wal_checkpoint(TRUNCATE)")
    free = int(_query(project, "PRAGMA freelist_count")) * int(_query(project, "PRAGMA page_size"))
    return Path(project.store_url.removeprefix("sqlite:///")).stat().st_size - free


def edition_bytes(project: Project) -> int:
    """Return the size of all editions in the store."""
    return int(_query(project, "SELECT sum(length(CAST(content AS BLOB))) FROM editions"))


def compiled_bytes(project: Project) -> int:
    """Return the size of what approvals compiled, which moves to the editions when it is sent."""
    return int(_query(project, "SELECT coalesce(sum(length(CAST(content AS BLOB))), 0) FROM compiled_issues"))


def _query(project: Project, sql: str) -> Any:
    import sqlite3

    connection = sqlite3.connect(project.store_url.removeprefix("sqlite:///"))
    try:
        return connection.execute(sql).fetchone()[0]
    finally:
        connection.close()


def run_at_peak(project: Project, folder: Path, arguments: list[str], environ: dict[str, str] | None = None) -> Peak:
    """Run one command of the newsletter in a fresh process, and return what it printed and its peak."""
    note = folder / "peak"
    command = [sys.executable, _PEAK, str(note), "--project", str(project.root), *arguments]
    with Watch() as watch:
        said = output_of(command, folder, environ)
    own, children, planning_s = note.read_text(encoding="ascii").split()
    return Peak(said, int(own) * 1024, int(children) * 1024, watch.most, float(planning_s))


class Watch:
    """Look again and again, while the block lasts, at how much memory the children of this process have in all."""

    def __init__(self) -> None:
        self.most = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._before = {pid for pid, _ in descendants(os.getpid())}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.02):
            found = [each for each in descendants(os.getpid()) if each[0] not in self._before]
            self.most = max(self.most, sum(resident_bytes(pid, parent) for pid, parent in found))


def descendants(pid: int) -> list[tuple[int, int]]:
    """Return the processes that ``pid`` started, and those that they did, each with its parent; none where unknown."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):  # of every thread: it is a thread that starts a child
        with suppress(OSError):
            children = [int(each) for each in path.read_text(encoding="ascii").split()]
            found += [(child, pid) for child in children]
            found += [each for child in children for each in descendants(child)]
    return found


def resident_bytes(pid: int, parent: int) -> int:
    """Return a process' resident memory now, 0 where it is gone, or shares its parent's because it only starts."""
    try:
        if Path(f"/proc/{pid}/cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes():
            return 0
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


@contextmanager
def receiving() -> Iterator[Taken]:
    """Run the receiver while the block lasts; what it took is known afterwards."""
    command = [sys.executable, str(Path(__file__).with_name("sink.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environ()
    ) as child:
        assert child.stdout
        taken = Taken(int(child.stdout.readline()))
        try:
            yield taken
        finally:
            said, _ = child.communicate()
        counted = json.loads(said)
        taken.messages, taken.bytes = counted["messages"], counted["bytes"]
