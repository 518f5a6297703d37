"""The picking screen on a terminal: keys in, lines out; what they mean is ``pickboard``'s."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.errors import InputError

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    from newsletter.pickboard import Board

_STYLES = {
    "title": "reverse",
    "cursor": "bold underline",
    "faint": "ansibrightblack",
    "good": "ansigreen",
    "odd": "ansiyellow bold",
}
_NAMES = {"c-i": "tab", "c-m": "enter", "c-j": "enter", "c-h": "backspace", "c-c": "q", "<sigint>": "q"}
_WATCH_S = 1.0


def show_board(board: "Board") -> None:
    """Show the screen until the editor ends it."""
    from prompt_toolkit.application import Application
    from prompt_toolkit.layout import Layout, Window
    from prompt_toolkit.layout.controls import FormattedTextControl
    from prompt_toolkit.styles import Style

    def text() -> "StyleAndTextTuples":
        size = app.output.get_size()
        lines = board.lines(size.columns, size.rows)
        shown: StyleAndTextTuples = []
        for number, (style, line) in enumerate(lines, 1):
            shown.append((f"class:{style}" if style else "", line if number == len(lines) else f"{line}\n"))
        return shown

    app: Application[None] = Application(
        layout=Layout(Window(FormattedTextControl(text, focusable=True, show_cursor=False), wrap_lines=False)),
        key_bindings=_bindings(board),
        full_screen=True,
        style=Style.from_dict(_STYLES),
        refresh_interval=_WATCH_S,
        before_render=lambda _: board.watch(),
    )
    app.ttimeoutlen = 0.05
    app.run()


def _bindings(board: "Board") -> "KeyBindings":
    from prompt_toolkit.application import run_in_terminal
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.keys import Keys

    bindings = KeyBindings()

    def press(event: "KeyPressEvent") -> None:
        pressed = event.key_sequence[0]
        key = str(getattr(pressed.key, "value", pressed.key))
        name = _NAMES.get(key, key)
        if name == "e" and not board.typing:
            run_in_terminal(lambda: board.press(name))  # the editor gets the terminal meanwhile
            return
        board.press(name)
        if board.is_over:
            event.app.exit()

    bindings.add(Keys.Any)(press)
    for key in ("tab", "enter", "escape", "backspace", "c-c", "up", "down", "pageup", "pagedown", "home", "end"):
        bindings.add(key, eager=key == "escape")(press)
    return bindings


def edit_in_editor(markdown: str) -> str:
    """Return what the editor's own program makes of a text; raise InputError where it cannot be run."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "article.md"
        path.write_text(markdown, encoding="utf-8")
        try:
            done = subprocess.run([*words, str(path)], check=False)  # noqa: S603 (the editor's own program)
        except OSError as error:
            raise InputError(f"{words[0]}: cannot be run: {error.strerror}; set $EDITOR to your editor") from None
        if done.returncode:
            raise InputError(f"{words[0]} ended with {done.returncode}; nothing was changed")
        return path.read_text(encoding="utf-8", errors="replace")
