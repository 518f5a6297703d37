"""A newsletter's folder in which commands are run as its users run them: in this process, or in one of their own."""

import contextlib
import datetime as dt
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm_compiler
from smtp_server import SmtpServer

from newsletter.cli import run
from newsletter.receiver import Receiver

REPOSITORY = Path(__file__).parents[1]
CONFIG = """\
[newsletter]
title = "Harbour Weekly"
from = "Harbour Weekly <weekly@news.example.org>"
postal_address = "Harbour Weekly, 1 Quay Street, 12345 Port, France"
time_zone = "Europe/Paris"
"""
BODY = """\
Good morning {{ name | default("reader") }}.

## Most important news

### [A crane fell](https://example.com/crane "Port Post")
Nobody was hurt, and the crane is up again.
"""


@dataclass(frozen=True)
class Answer:
    """Hold what a command printed and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON object that was printed."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Newsroom:
    """Write a newsletter's files and run commands on it; ``environ`` holds what commands see beside PATH and HOME."""

    def __init__(self, root: Path, *, config: str = CONFIG) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        root.mkdir(parents=True, exist_ok=True)
        self.write("newsletter.toml", config)

    # --- files -------------------------------------------------------------------------------------------------------

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def issue(self, slug: str = "2026-11-25", *lines: str, body: str = BODY, subject: str = "A crane fell") -> Path:
        """Write an issue whose front matter has ``lines`` beside its subject and date."""
        front = [f"subject: {subject}", "date: 2026-11-25", "preheader: And more", *lines]
        return self.write(f"issues/{slug}.md", "\n".join(["---", *front, "---", body]))

    def timed_issue(self, slug: str, send_at: dt.datetime, *lines: str) -> Path:
        return self.issue(slug, f"send_at: {send_at.isoformat(timespec='seconds')}", *lines)

    def subscribers(self, *addresses: str) -> None:
        path = self.write("people.csv", "email\n" + "\n".join(addresses))
        assert self.run("subscribers", "import", str(path)).code == 0

    def relay(self, server: Receiver | SmtpServer, security: str = "none") -> None:
        """Let commands send to ``server``."""
        self.environ |= {
            "NEWSLETTER_SMTP__HOST": server.host,
            "NEWSLETTER_SMTP__PORT": str(server.port),
            "NEWSLETTER_SMTP__SECURITY": security,
            "NEWSLETTER_SMTP__HELO": "localhost",
        }

    # --- commands ----------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, project: bool = True) -> Answer:
        """Run a command in this process; what it starts to compile an issue is forked from a warm process."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
                patch.delenv(name)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            if compiler := warm_compiler.current():
                patch.setattr("newsletter.freezer.run_child", compiler.run_child)
            code = run([*self._before(project), *arguments])
        return Answer(code, out.getvalue(), err.getvalue())

    def spawn(self, *arguments: str, project: bool = True, **environ: str) -> Answer:
        """Run a command in a process of its own."""
        return spawn("-m", "newsletter", *self._before(project), *arguments, cwd=self.root, **self.environ, **environ)

    def _before(self, project: bool) -> list[str]:
        return ["--project", str(self.root)] if project else []


def spawn(*arguments: str, cwd: Path, **environ: str) -> Answer:
    """Run Python with ``arguments`` in ``cwd``; its environment is bare but for PATH, HOME and ``environ``."""
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(REPOSITORY)}
    child = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**bare, **environ},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
    return Answer(child.returncode, child.stdout, child.stderr)


def assert_told(answer: Answer, code: int, *parts: str) -> None:
    """Assert that a command ended with ``code`` and told why in words, without a trace."""
    assert answer.code == code, answer
    assert "Traceback" not in answer.err, answer
    assert "bug:" not in answer.err, answer
    for part in parts:
        assert part in answer.err, answer
