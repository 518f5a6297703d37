"""The web pages over a real store, asked without a socket in between; and over a socket, as their own process."""

import contextlib
import dataclasses
import datetime as dt
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from flask.testing import FlaskClient
from postbox import NOW, SECTION, Postbox
from werkzeug.test import TestResponse

from newsletter.config import ThemeSection, WebSection
from newsletter.identity import identity_of
from newsletter.pagetemplates import open_templates, palette
from newsletter.tokens import SAMPLE_KEYS, Purpose, sign
from newsletter.web import Desk, make_app
from newsletter.web.serving import Words

REPOSITORY = Path(__file__).parents[1]
TEMPLATES = open_templates(Path("/nowhere"))
WORDS = Words("en")
WEB = WebSection(topics={"retail": "Shops", "beauty": "Beauty"})


@dataclass
class Front:
    """Ask the pages of a postbox's newsletter; ``client`` is a browser without JavaScript and cookies."""

    box: Postbox
    archive: Path = Path("/nowhere")
    web: WebSection = WEB
    hooks: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk(
            newsletter=SECTION,
            web=self.web,
            identity=identity_of(SECTION),
            store=self.box.store,
            keys=SAMPLE_KEYS,
            templates=TEMPLATES,
            words=WORDS,
            clock=lambda: self.box.now,
            archive=self.archive,
            style=TEMPLATES.get_template("web/style.css.j2").render(theme=palette(ThemeSection())),
            hooks=self.hooks,
        )
        self.app = make_app(self.desk)
        self.client: FlaskClient = self.app.test_client(use_cookies=True)

    def get(self, path: str, **values) -> TestResponse:
        return self.client.get(path, **values)

    def post(self, path: str, data=None, **values) -> TestResponse:
        return self.client.post(path, data=data or {}, **values)

    def path(self, purpose: Purpose, subscriber_id: int, list_id: int | None = None, extra: int | None = None) -> str:
        """Return the path of a page with a signed token."""
        names = {
            Purpose.CONFIRM: "confirm",
            Purpose.PREFERENCES: "preferences",
            Purpose.UNSUBSCRIBE: "unsubscribe",
            Purpose.RESUBSCRIBE: "rejoin",
            Purpose.CHANGE_ADDRESS: "change",
        }
        return f"/{names[purpose]}/{sign(SAMPLE_KEYS, self.box.token(purpose, subscriber_id, list_id, extra))}"

    def content(self) -> list[str]:
        """Return everything the store holds, so that two moments can be compared."""
        return list(self.box.store.database._connection.iterdump())


def with_web(front: Front, **values) -> Front:
    """Return the same front with other settings of ``[web]``."""
    import msgspec

    return dataclasses.replace(front, web=msgspec.structs.replace(front.web, **values))


def heading(response: TestResponse) -> str:
    """Return the heading of a page."""
    found = re.search(r"<h1>(.*?)</h1>", response.get_data(as_text=True), re.DOTALL)
    return found[1] if found else ""


# ---------------------------------------------------------------------------------------------------------------------
# A process of its own
# ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Served:
    """Hold a server that runs as ``newsletter serve``."""

    process: subprocess.Popen
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def ask(self, method: str, path: str, form: dict | None = None, headers: dict | None = None) -> tuple[int, str]:
        """Ask for one page over a connection of its own; return status and text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        body = urlencode(form) if form is not None else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        try:
            connection.request(method, path, body, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def served(root: Path, environ: dict[str, str], *arguments: str) -> Iterator[Served]:
    """Run ``newsletter serve`` on a free port while the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "newsletter", "--project", str(root), "serve", "--port", "0", *arguments],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": str(root), "PYTHONPATH": str(REPOSITORY), **environ},
        stdout=subprocess.PIPE,
        stderr=(root / "serve.err").open("ab"),
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"at http://([\d.]+):(\d+)", line)
        assert found, (line, (root / "serve.err").read_text())
        yield Served(process, found[1], int(found[2]))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        process.stdout.close()


def wait_for(condition, seconds: float = 60.0, what: str = "it did not come"):
    """Return what ``condition`` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


def path_of(url: str) -> str:
    """Return the path of an absolute URL."""
    return urlsplit(url).path


__all__ = ["NOW", "Front", "Served", "heading", "path_of", "served", "wait_for", "with_web"]

HOUR = dt.timedelta(hours=1)
