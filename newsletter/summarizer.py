"""Ask a program of the editor's for a draft summary: the text goes to its standard input, the summary comes back.

No shell is involved, the program has a limited time and may answer with a limited length; what it answers is text, and
is escaped like any other that comes from outside.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile

from newsletter.errors import InputError

TIMEOUT_S = 60
"""Seconds that a program has for one text."""
ANSWER_MAX = 4000
"""Characters of an answer that are used."""
_ANSWER_BYTES_MAX = 64_000
_TEXT_MAX = 100_000


def read_command(command: str) -> list[str]:
    """Return a command line as its words; raise InputError where it has none, or quotes that are left open."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"--summarize {command!r}: {error}; close its quotes") from None
    if not words:
        raise InputError("--summarize: write a command that reads a text and prints its summary")
    return words


def ask_program(words: list[str], text: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """Return what the program prints for ``text``, as one line.

    Raises InputError where it cannot be run, takes longer than ``timeout_s``, ends with an error, or says nothing.
    """
    name = words[0]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(  # noqa: S603 (the editor's own command, and no shell)
                words, stdin=subprocess.PIPE, stdout=answer, stderr=errors, start_new_session=True
            )
        except (OSError, ValueError) as error:
            raise InputError(f"{name}: cannot be run: {getattr(error, 'strerror', None) or error}") from None
        try:
            process.communicate(text[:_TEXT_MAX].encode("utf-8", "replace"), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise InputError(f"{name}: no summary within {timeout_s:g} s") from None
        except BaseException:
            _end(process)
            raise
        answer.seek(0)
        errors.seek(0)
        said = " ".join(answer.read(_ANSWER_BYTES_MAX).decode("utf-8", "replace").split())[:ANSWER_MAX]
        if process.returncode:
            last = errors.read(4000).decode("utf-8", "replace").strip().splitlines()[-1:]
            raise InputError(f"{name}: ended with {process.returncode}{f': {last[0][:200]}' if last else ''}")
    if not said:
        raise InputError(f"{name}: printed no summary")
    return said


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
