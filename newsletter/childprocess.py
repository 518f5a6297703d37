"""Start processes of our own, which must find this package wherever it lies, and ask them one thing after the other.

What is asked, and what a child may cost, stands in the modules that start one: ``freezer``, the keeper of the archive,
the preview and ``feedchild``.
"""

import contextlib
import os
import select
import struct
import sys
import time
from pathlib import Path
from typing import IO

_LENGTH = struct.Struct(">I")


def child_environment() -> dict[str, str]:
    """Return the child's environment: it finds this package wherever it is, and speaks UTF-8."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), "PYTHONIOENCODING": "utf-8"}


class AskedChild:
    """Hold a child that answers each question with one frame (``read_frame``); one thread at a time may ask it.

    ``module`` is one of ours whose function ``serve`` the child calls, with ``arguments`` as text.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        import subprocess  # not for those who want the environment alone

        end = len(arguments) + 1
        places = f"import sys; sys.path[:] = sys.argv[{end}:]"
        program = f"{places}; from {module} import serve; serve(*sys.argv[1:{end}])"
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter, our own words)
            [sys.executable, "-I", "-c", program, *arguments, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def tell(self, body: bytes) -> None:
        """Send a frame that has no answer; raise OSError where the child is gone."""
        write_frame(self._questions, body)

    def ask(self, body: bytes, seconds: float) -> bytes:
        """Send a frame and return the one that answers it; raise TimeoutError, or OSError where the child is gone."""
        self.tell(body)
        deadline = time.monotonic() + seconds
        return self._receive(_LENGTH.unpack(self._receive(_LENGTH.size, deadline))[0], deadline)

    def _receive(self, size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            ready, _, _ = select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise TimeoutError
            piece = os.read(self._answers.fileno(), size - len(found))
            if not piece:
                raise ConnectionResetError
            found += piece
        return bytes(found)

    def ending(self) -> int:
        """Return how a child that is gone ended, by its exit code or the negative number of a signal."""
        return self._process.wait(timeout=5)

    def close(self) -> None:
        """End the child; closing twice does nothing."""
        self._process.kill()
        for stream in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, its length in four octets before it; None where the stream ends."""
    head = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Write a frame."""
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()
