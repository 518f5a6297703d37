"""Take mail as fast as this machine can and keep nothing of it: the other end of a send that is measured.

``python bench/sink.py [PEM]`` prints its port on 127.0.0.1, answers every recipient with 250 and offers PIPELINING, and
STARTTLS where it is given a certificate with its key, until its standard input ends; then it prints how many messages
and bytes it took, as JSON. Where Postfix is installed, its smtp-sink is the usual far end (``sinking``).
"""

import contextlib
import getpass
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_END = b"\r\n.\r\n"
_REPLIES = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 50000000\r\n",
    b"HELO": b"250 sink\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Sink:
    """Listen on a free port of 127.0.0.1 and count what is taken."""

    def __init__(self, certificate: str = "") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._context:
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.messages = 0
        self.bytes = 0

    def serve(self) -> None:
        """Accept connections for ever, each in a thread of its own."""
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"220 sink\r\n")
        waiting = b""
        while data := connection.recv(65536):
            waiting += data
            replies = b""
            while b"\r\n" in waiting:
                line, _, waiting = waiting.partition(b"\r\n")
                verb = line[:4].upper()
                if self._context and verb == b"EHLO" and not isinstance(connection, ssl.SSLSocket):
                    replies += b"250-sink\r\n250 STARTTLS\r\n"
                    continue
                if self._context and verb == b"STAR":
                    connection.sendall(b"220 2.0.0 go on\r\n")
                    connection = self._context.wrap_socket(connection, server_side=True)
                    continue
                replies += _REPLIES.get(verb, b"250 2.0.0 OK\r\n")
                if verb == b"DATA":
                    connection.sendall(replies)
                    waiting, replies = self._take(connection, b"\r\n" + waiting), b"250 2.0.0 taken\r\n"
            connection.sendall(replies)
        connection.close()

    def _take(self, connection: socket.socket, start: bytes) -> bytes:
        """Read one message up to its final dot; return what came behind it."""
        tail, size = start, len(start) - 2
        while (end := tail.find(_END)) < 0:
            data = connection.recv(1 << 18)
            if not data:
                return b""
            size += len(data)
            tail = tail[-4:] + data
        rest = tail[end + len(_END) :]
        with self._lock:
            self.messages += 1
            self.bytes += size - len(rest) - 3
        return rest


def program(name: str) -> str:
    """Return the path of one of Postfix's programs, ``""`` where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


@contextlib.contextmanager
def sinking(certificate: Path | None = None, *, own: bool = False) -> Iterator[tuple[int, str]]:
    """Run a far end in a process of its own while the block lasts; yield its port, and what it is.

    It is smtp-sink, unless TLS or our ``own`` is asked for, or Postfix is not installed.
    """
    smtp_sink = program("smtp-sink")
    if smtp_sink and not own and not certificate:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        user = ["-u", getpass.getuser()] if os.geteuid() == 0 else []
        with subprocess.Popen([smtp_sink, *user, f"127.0.0.1:{port}", "100"]) as child:
            try:
                _wait_for(port)
                yield port, "smtp-sink"
            finally:
                child.terminate()
        return
    command = [sys.executable, __file__, *([str(certificate)] if certificate else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        try:
            yield int(child.stdout.readline()), "sink.py"
        finally:
            child.communicate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        if time.monotonic() > deadline:
            raise SystemExit("smtp-sink did not start")
        time.sleep(0.02)


def main() -> None:
    """Serve until standard input ends."""
    sink = Sink(*sys.argv[1:])
    print(sink.port, flush=True)
    threading.Thread(target=sink.serve, daemon=True).start()
    sys.stdin.read()
    print(json.dumps({"messages": sink.messages, "bytes": sink.bytes}), flush=True)


if __name__ == "__main__":
    main()
