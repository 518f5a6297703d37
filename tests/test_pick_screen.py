"""The picking screen in a real terminal: keys in, Markdown out, an editor in between, small windows, other writers."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from newsroom import REPOSITORY, Newsroom
from test_picking import fill_pool

BODY = "Good morning.\n\n## Most important news\n\n## Digital\n\n## In brief {kind=brief}\n"
EDITOR = "#!/bin/sh\nsed -i 's/Ferries/Boats/' \"$1\"\n"


class Terminal:
    """Run a program in a window of tmux, and read what it shows."""

    def __init__(self, folder: Path, command: str, columns: int, lines: int) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux.socket"), "-f", "/dev/null"]
        self._run("new-session", "-d", "-x", str(columns), "-y", str(lines), command)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def shows(self, *parts: str) -> str:
        """Wait until all of ``parts`` are on the screen; return it."""
        screen, deadline = "", time.monotonic() + 60
        while time.monotonic() < deadline:
            screen = self._run("capture-pane", "-p")
            if all(part in screen for part in parts):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{parts} not on the screen:\n{screen}")

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False, timeout=30)


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    if shutil.which("tmux") is None:
        if os.environ.get("REQUIRE_REAL_PARTS") or os.environ.get("CI") == "true":
            pytest.fail("no tmux; .ci/parts installs it")
        pytest.skip("no tmux on this machine")
    room = Newsroom(tmp_path / "room")
    fill_pool(room)
    room.issue("2026-11-25", body=BODY)
    return room


@pytest.fixture
def terminal(room: Newsroom, tmp_path: Path) -> Iterator[Terminal]:
    editor = room.write("editor.sh", EDITOR)
    editor.chmod(0o755)
    run = f"{sys.executable} -m newsletter --project {room.root} pick 2026-11-25"
    command = f"cd {REPOSITORY} && env EDITOR={editor} TERM=screen {run}; echo ended with $?; sleep 60"
    terminal = Terminal(tmp_path, command, 80, 24)
    try:
        yield terminal
    finally:
        terminal.close()


def test_an_issue_is_picked_by_keyboard(room: Newsroom, terminal: Terminal) -> None:
    path = room.root / "issues" / "2026-11-25.md"
    terminal.shows("4 stories", "1 Most important news  2 Digital  3 In brief", "? keys  q end")
    terminal.press("1")
    terminal.shows("added to Most important news", "✓")
    terminal.press("/")
    terminal.press("-l", "Ferries")
    terminal.press("Enter")
    terminal.shows("1 stories with 'Ferries'")
    terminal.press("3")
    terminal.shows("added to In brief")
    terminal.press("e")
    terminal.shows("edited")
    assert (
        '- [Boats get a new timetable](https://port.example.com/ferries "Port Post")\n  > From May' in path.read_text()
    )
    terminal.press("Tab")
    terminal.shows("A crane fell in the harbour", "Boats get a new timetable")
    path.write_text(path.read_text() + "\n## Theirs\n\nWords of another editor.\n")
    terminal.shows("changed by somebody else", "Theirs")
    terminal.press("x")
    terminal.shows("taken out")
    terminal.press("u")
    terminal.shows("taken back")
    terminal.resize(34, 9)
    terminal.shows("2026-11-25", "› ")
    terminal.press("?")
    terminal.shows("keys")
    terminal.press("q")
    terminal.shows("ended with 0")
    text = path.read_text()
    assert text.startswith("---\n")
    assert "## Most important news\n\n### [A crane fell in the harbour" in text
    assert text.endswith("## Theirs\n\nWords of another editor.\n")
    assert room.run("build", "2026-11-25").code == 0
