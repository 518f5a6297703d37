"""Compile in a process that has the compiler loaded: what ``freezer`` starts, without half a second of imports.

One process a worker of pytest loads everything once, and forks for each command; what it forks gets the command's
arguments, environment and folder, as a fresh interpreter would, and dies by itself. ``Newsroom.run`` freezes by it
where a test's process ``allow``s it; who calls ``freeze_issue`` or ``Newsroom.spawn`` gets the real thing.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from newsletter.childprocess import child_environment

REPOSITORY = Path(__file__).parents[1]
_HEAD = 16
"""Octets of the length that stands before each question and answer, in decimal."""


class WarmCompiler:
    """Hold the process that forks; it ends with the one that made it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=child_environment(),
                start_new_session=True,
            )

    def close(self) -> None:
        self._ours.close()
        self._process.wait()

    def run_child(self, command: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
        """Do what ``freezer.run_child`` does."""
        assert command[:4] == [sys.executable, "-P", "-m", "newsletter"]
        question = {
            "arguments": command[4:],
            "environ": child_environment(),
            "cwd": str(Path.cwd()),
            "seconds": seconds,
        }
        out, err = os.memfd_create("out"), os.memfd_create("err")
        with os.fdopen(out, "rb") as said, os.fdopen(err, "rb") as complained, self._lock:
            body = json.dumps(question).encode()
            socket.send_fds(self._ours, [b"%*d" % (_HEAD, len(body))], [out, err])
            self._ours.sendall(body)
            code = json.loads(_receive(self._ours, int(_receive(self._ours, _HEAD))))
            if code is None:
                raise subprocess.TimeoutExpired(command, seconds)
            words = [os.pread(file.fileno(), 1 << 28, 0).decode("utf-8", "replace") for file in (said, complained)]
        return subprocess.CompletedProcess(command, code, *words)


class _Current:
    is_allowed = False
    compiler: WarmCompiler | None = None


def allow() -> None:
    """Let this process have a warm compiler, which is started when it is first asked for."""
    _Current.is_allowed = True


def current() -> WarmCompiler | None:
    """Return the warm compiler of this process, or None where nobody allowed one."""
    if _Current.is_allowed and _Current.compiler is None:
        _Current.compiler = WarmCompiler()
    return _Current.compiler


def stop() -> None:
    _Current.is_allowed = False
    if _Current.compiler:
        _Current.compiler.close()
        _Current.compiler = None


# ---------------------------------------------------------------------------------------------------------------------
# The process that forks
# ---------------------------------------------------------------------------------------------------------------------


def _receive(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = sock.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _serve(sock: socket.socket) -> None:
    """Answer each question with the exit code of the command, null where it took too long."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(sock, _HEAD, 2)
        if not head:
            return
        size = int(head + _receive(sock, _HEAD - len(head)))
        question = json.loads(_receive(sock, size))
        pid = os.fork()
        if pid == 0:
            sock.close()
            _become(question, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        answer = json.dumps(_await(pid, question["seconds"])).encode()
        sock.sendall(b"%*d" % (_HEAD, len(answer)) + answer)


def _await(pid: int, seconds: float) -> int | None:
    watched = os.pidfd_open(pid)
    try:
        is_over = bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)
    if not is_over:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if is_over else None


def _become(question: dict[str, object], out: int, err: int) -> None:
    """Be the command, and end with its code."""
    from newsletter.__main__ import main

    code: object = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.environ.clear()
        os.environ.update(question["environ"])
        time.tzset()
        os.chdir(question["cwd"])
        sys.argv = ["newsletter", *question["arguments"]]
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else code is not None)


def _main() -> None:
    import gc
    import tempfile

    from newsletter.cli import run

    with tempfile.TemporaryDirectory() as folder:  # what loads all that a build takes is a build
        run(["--quiet", "--project", str(REPOSITORY), "build", "2026-11-25", "--out", folder])
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        _serve(sock)


if __name__ == "__main__":
    _main()
