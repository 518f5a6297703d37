"""What every command is given, and how it prints: readable on a terminal, plain under cron, JSON where asked for."""

import datetime as dt
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from newsletter.config import Project
    from newsletter.errors import Problem
    from newsletter.store import Store
    from newsletter.tokens import Keys

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
"""The option of every command that reports."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Match what could steer a terminal or turn the order of a line: control, bidirectional and half characters."""


@dataclass(frozen=True, slots=True)
class App:
    """Hold what the options before the command said."""

    root: Path
    quiet: bool

    def project(self) -> "Project":
        """Read the configuration; raise ConfigError where it cannot be used."""
        from newsletter.config import load_project

        return load_project(self.root, os.environ)

    def keys(self, project: "Project") -> "Keys":
        """Read the secret file, made on first use; raise ConfigError where a store was made with another."""
        from newsletter.secretfile import load_keys

        return load_keys(
            project, lambda text: click.echo(f"note: {text}", err=True), lambda keys: _check(project, keys)
        )

    @contextmanager
    def open_store(self, project: "Project", keys: "Keys") -> "Iterator[Store]":
        """Open the store, made on first use."""
        from newsletter.store import open_store

        with open_store(project.store_url, address_key=keys.address_key) as store:
            yield store

    def print(self, text: str) -> None:
        """Print a line that was asked for."""
        click.echo(printable(text))

    def say(self, text: str = "") -> None:
        """Print a line for a person, unless --quiet."""
        if not self.quiet:
            self.print(text)

    def warn(self, problem: "Problem | str") -> None:
        """Print what is odd and yet no error, to standard error, unless --quiet."""
        if not self.quiet:
            self.note(f"warning: {problem}")

    def note(self, text: str) -> None:
        """Print what is worth knowing beside the answer, to standard error."""
        click.echo(printable(text), err=True)

    def complain(self, text: str) -> None:
        """Print what went wrong, to standard error."""
        self.note("\n".join(f"error: {line}" for line in text.splitlines()))


def _check(project: "Project", keys: "Keys") -> None:
    """Raise ConfigError where there is a store that was made with other keys."""
    from newsletter.worker import open_known_store

    with open_known_store(project, keys.address_key):
        pass


def printable(text: str) -> str:
    """Return ``text`` without what could steer a terminal; names and replies come from strangers."""
    return _CONTROLS.sub("\ufffd", text)


def utc_now() -> dt.datetime:
    """Return the current instant; the clock of every command."""
    return dt.datetime.now(dt.UTC)


def in_zone(instant: dt.datetime | None, project: "Project") -> str:
    """Return an instant in the newsletter's zone and in UTC."""
    if instant is None:
        return "(no send_at: cron never sends it)"
    local, utc = instant.astimezone(project.zone), instant.astimezone(dt.UTC)
    return f"{local:%Y-%m-%d %H:%M} {project.zone.key} ({utc:%H:%M} UTC)"


def login_name() -> str:
    """Return the name of who runs the command, as reports and approvals show it."""
    import getpass

    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "somebody"


def echo_json(content: dict[str, Any]) -> None:
    """Print ``content`` as one JSON object that names its format."""
    import json

    from newsletter.model import FORMAT

    click.echo(json.dumps({"format": FORMAT, **content}, ensure_ascii=False, indent=2))


def size(count: int) -> str:
    """Return a number of bytes in words, in units of 1,000."""
    return f"{count} B" if count < 1000 else f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
