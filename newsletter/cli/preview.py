"""``newsletter preview``: show an issue as its mail on a page of this machine, and follow each save."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, utc_now

if TYPE_CHECKING:
    from newsletter.config import Project

_PROOF_S = 180


@click.command("preview")
@click.argument("issue", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen at.  [default: a free one]")
@click.option("--open/--no-open", "opens", default=None, help="Open the page in your browser.  [default: on a desktop]")
@click.pass_obj
def command(app: App, issue: str | None, port: int, opens: bool | None) -> None:
    """Show ISSUE, or the newest one, as its mail; the page follows each save of it, of a template or a setting.

    Phone and desktop, light and dark, without images, as plain text, in the inbox; with its size, the findings at their
    lines, and a proof to yourself. The page is for this machine alone: its address holds a secret that is new each
    time. Ctrl-C ends it.
    """
    from newsletter.cli.sending import stop_on_signals
    from newsletter.preview.serving import open_preview

    project = app.project()
    path = _find(project, issue)

    def send_proof(issue: Path, address: str) -> tuple[bool, str]:
        return _send_proof(project, issue, address)

    with (
        stop_on_signals() as stop,
        open_preview(project, path, port=port, clock=utc_now, send_proof=send_proof) as preview,
    ):
        app.print(f"preview of {path.stem}: {preview.url}")
        app.note("stop with Ctrl-C")
        if opens or (opens is None and sys.stdout.isatty() and _has_desktop()):
            threading.Thread(target=_open, args=(preview.url,), daemon=True).start()
        preview.run(stop)


def _find(project: "Project", name: str | None) -> Path:
    from newsletter.config import find_issue, list_slugs
    from newsletter.errors import InputError

    if name is not None:
        return find_issue(project, name).absolute()
    slugs = list_slugs(project)
    if not slugs:
        raise InputError(f"{project.issues_dir} holds no issue yet; 'newsletter new' writes one")
    return find_issue(project, slugs[-1]).absolute()


def _has_desktop() -> bool:
    """Tell whether there is a screen to open a browser on, rather than a text browser in this terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)


def _send_proof(project: "Project", issue: Path, address: str) -> tuple[bool, str]:
    """Mail a proof as ``newsletter send --to`` does, in a process of its own; return whether it was accepted."""
    from newsletter.childprocess import child_environment

    command = [sys.executable, "-P", "-m", "newsletter", "--project", str(project.root), "send", f"--to={address}"]
    try:
        child = subprocess.run(  # noqa: S603
            [*command, "--", str(issue)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PROOF_S,
            env=child_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"the relay did not answer within {_PROOF_S} s"
    lines = (child.stdout if child.returncode == 0 else child.stderr).strip().splitlines()
    words = [line.removeprefix("error: ") for line in lines if not line.startswith(("warning:", "note:"))]
    return child.returncode == 0, "; ".join(words) or f"exit {child.returncode}"
