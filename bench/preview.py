"""Measure the preview as an editor meets it: from the command to the page and to the mail, and from a save to its mail.

The page is asked over HTTP as its script asks; where Chromium and playwright are installed, a real browser is opened as
well, and tells when it painted first and when the new mail stood in its frames.
"""

import http.client
import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from corpus import illustrated_issue, make_project
from measure import Figure, Report, Target, newsletter_command

from newsletter.config import Project

_PAINT, _RELOAD = Target(1.0), Target(0.3)
_SLUG = "issue"


def measure_preview(folder: Path, quick: bool) -> Report:
    """Start previews one after the other, then save an issue many times under one of them."""
    articles, starts, saves = (4, 1, 3) if quick else (40, 7, 25)
    project = make_project(folder / "preview", {_SLUG: illustrated_issue(articles)})
    begun = [_start(project) for _ in range(starts)]
    with _previewed(project) as url:
        followed = _save_many(project, url, saves)
        browser = _in_browser(project, url, 1 if quick else 7, saves)
    of = f"an issue of {articles} illustrated articles"
    figures = [
        _figure("preview.page", "from the command to its page", [page for page, _ in begun], _PAINT),
        _figure("preview.mail", f"from the command to the mail of {of}, compiled", [mail for _, mail in begun]),
        _figure("preview.follow", f"from a save of {of} to its mail, by HTTP", followed, _RELOAD),
    ]
    if browser:
        paints, shown = browser
        figures += [
            _figure("preview.paint", "from opening the page to its first paint, in Chromium", paints, _PAINT),
            _figure("preview.shown", f"from a save of {of} to the mail in both frames, in Chromium", shown, _RELOAD),
        ]
    notes = () if browser else ("Chromium or playwright is not installed; what a browser adds was not measured.",)
    return Report(title="Preview", figures=tuple(figures), notes=notes)


def _figure(name: str, text: str, times_s: Sequence[float], target: Target | None = None) -> Figure:
    ordered = sorted(times_s)
    details = {"rounds": len(ordered), "p90_s": round(ordered[int(len(ordered) * 0.9)], 4), "worst_s": ordered[-1]}
    value = statistics.median(ordered)
    return Figure(name=name, text=text, value=value, unit="s", best=ordered[0], target=target, details=details)


@contextmanager
def _previewed(project: Project) -> Iterator[str]:
    """Run a preview and yield its address, once it was printed."""
    command = [*newsletter_command(), "--project", str(project.root), "preview", _SLUG, "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            yield found[0] if found else sys.exit("the preview did not start")
        finally:
            process.terminate()


def _ask(url: str, path: str = "") -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=60)
    try:
        connection.request("GET", parts.path + path)
        return connection.getresponse().read()
    finally:
        connection.close()


def _start(project: Project) -> tuple[float, float]:
    """Start a preview; return the seconds until its page came, and until the mail was there."""
    started = time.perf_counter()
    with _previewed(project) as url:
        _ask(url)
        page = time.perf_counter() - started
        _wait(url, 0)
        return page, time.perf_counter() - started


def _wait(url: str, mail: int) -> int:
    """Return the number of the first mail after ``mail``."""
    number = 0
    while True:
        state = json.loads(_ask(url, f"state?after={number}"))
        if state["mail"] > mail and state["shown"]:
            return int(state["mail"])
        number = state["number"]


def _save_many(project: Project, url: str, saves: int) -> list[float]:
    """Save the issue again and again, each time with other words; return the seconds until each mail was there."""
    mail, times = _wait(url, 0), []
    for number in range(saves):
        time.sleep(0.6)  # nobody saves while the checks of the last save are still at it
        _save(project, number)
        started = time.perf_counter()
        mail = _wait(url, mail)
        times.append(time.perf_counter() - started)
    return times


def _save(project: Project, number: int) -> None:
    path = project.issues_dir / f"{_SLUG}.md"
    text = re.sub(r"(?m)^subject: .*$", f"subject: Save number {number}", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


def _in_browser(project: Project, url: str, visits: int, saves: int) -> tuple[list[float], list[float]] | None:
    """Return the seconds to the first paint of each visit, and from each save to its mail; None without a browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    shown = "performance.getEntriesByName('mail-shown')"
    paints, times = [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for visit in range(visits):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            paints.append(page.wait_for_function(f"() => {paint}").json_value() / 1000)
            page.wait_for_function(f"() => {shown}.length === 2")
            if visit < visits - 1:
                page.close()
        for number in range(saves):
            page.wait_for_timeout(600)
            page.evaluate("performance.clearMarks()")
            _save(project, 1000 + number)
            started = time.time()
            last = f"() => {shown}.length === 2 && performance.timeOrigin + {shown}[1].startTime"
            times.append(page.wait_for_function(last).json_value() / 1000 - started)
        browser.close()
    return paints, times
