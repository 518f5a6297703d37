"""What every command is given, and how it prints: readable on a terminal, plain under cron, JSON where asked for."""

import datetime as dt
import os
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
        """Read the secret file, made on first use."""
        from newsletter.secretfile import load_keys

        return load_keys(project, lambda text: click.echo(f"note: {text}", err=True))

    def open_store(self, project: "Project", keys: "Keys") -> "Store":
        """Open the store, made on first use."""
        from newsletter.store import open_store

        return open_store(project.store_url, address_key=keys.address_key)

    def say(self, text: str = "") -> None:
        """Print a line for a person, unless --quiet."""
        if not self.quiet:
            click.echo(text)

    def warn(self, problem: "Problem | str") -> None:
        """Print what is odd and yet no error, to standard error."""
        if not self.quiet:
            click.echo(f"warning: {problem}", err=True)


def utc_now() -> dt.datetime:
    """Return the current instant; the clock of every command."""
    return dt.datetime.now(dt.UTC)


def echo_json(content: dict[str, Any]) -> None:
    """Print ``content`` as one JSON object that names its format."""
    import json

    from newsletter.model import FORMAT

    click.echo(json.dumps({"format": FORMAT, **content}, ensure_ascii=False, indent=2))


def size(count: int) -> str:
    """Return a number of bytes in words, in units of 1,000."""
    return f"{count} B" if count < 1000 else f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
