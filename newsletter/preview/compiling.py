"""Ask the compiling child, start it anew when it broke, and end it where it takes too long.

What an issue or a theme does to a native parser costs that one answer; the page and its last good version stay.
"""

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from newsletter.childprocess import child_environment
from newsletter.preview.answers import ERROR, Answer, Ask, Check, Failed, Note, Question

CHILD_S = 30.0
"""Seconds that one answer may take."""


class CompilingChild:
    """Hold the child; a context manager that ends it. For one thread at a time."""

    def __init__(self, root: Path, *, limit_s: float = CHILD_S) -> None:
        self._root = root
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the child, so that it is warm by the time that it is asked."""
        self._start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, ask: Ask) -> Answer:
        """Return ``Shown``, or ``Failed``: also where the child broke, or took too long."""
        return self._exchange(ask)

    def check(self) -> Answer:
        """Return ``Checked``, or ``Failed`` where the child broke over it."""
        return self._exchange(Check())

    def close(self) -> None:
        """End the child; closing twice does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603
                # -P: a module that lies in the current folder must not stand in for one of Python's.
                [sys.executable, "-P", "-m", "newsletter.preview.child", str(self._root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C is for the parent, which ends it
            )
        return self._process

    def _exchange(self, question: Question) -> Answer:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._limit_s, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:  # the pipe of a child that ended
            line = b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            return self._ended(process)
        answer: Answer = msgspec.json.decode(line, type=Answer)
        return answer

    def _ended(self, process: "subprocess.Popen[bytes]") -> Failed:
        self.close()
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit {process.returncode}"
        words = f"compiling it broke the compiler, or took more than {self._limit_s:.0f} s ({how})"
        return Failed(notes=(Note(severity=ERROR, words=words, fix="undo what was changed last, and save again"),))
