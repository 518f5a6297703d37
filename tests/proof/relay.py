"""Answer SMTP in one thread as told, on a real socket; keep every dot, and let the proof look before it is answered.

``serve`` turns the loop once, so a process without threads (which may fork) can be a relay while it waits for a child.
"""

import re
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

FEATURES = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
_ID = re.compile(rb"(?m)^Message-ID: *(\S+)\r$")
HANG_UP = ""


@dataclass
class Dot:
    """One message that came complete with its dot; ``is_mail`` unless the answer refused it."""

    address: str
    message_id: str
    at: float
    is_mail: bool = True
    is_answered: bool = True


@dataclass
class Relay:
    """Listen on a free port of 127.0.0.1.

    ``rcpt`` and ``dot`` hold, by address, the answers that take the place of 250, each for one time; ``HANG_UP`` closes
    without an answer. ``on_rcpt`` and ``on_dot`` are called before the answer.
    """

    features: tuple[str, ...] = FEATURES
    rcpt: dict[str, list[str]] = field(default_factory=dict)
    dot: dict[str, list[str]] = field(default_factory=dict)
    on_rcpt: Callable[[str], None] | None = None
    on_dot: Callable[[Dot], None] | None = None
    dots: list[Dot] = field(default_factory=list)
    most_open: int = 0

    def __post_init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._open: set[_Session] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    def reset(self) -> None:
        """Forget every dot and every answer."""
        self.dots.clear()
        self.rcpt.clear()
        self.dot.clear()

    @property
    def mailed(self) -> Counter[str]:
        """Count for each address the messages that may have reached it."""
        return Counter(dot.address for dot in self.dots if dot.is_mail)

    @property
    def has_sessions(self) -> bool:
        """Tell whether a session is open."""
        return bool(self._open)

    def register(self, descriptor: int) -> None:
        """Let ``serve`` return also when ``descriptor`` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, "other")

    def unregister(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def serve(self, seconds: float) -> bool:
        """Answer what has come, or comes within ``seconds``; tell whether a registered descriptor can be read."""
        is_other = False
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with suppress(OSError):
                    self._accept()
            elif key.data == "other":
                is_other = True
            else:
                key.data.read()
        return is_other

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        session = _Session(self, sock)
        self._open.add(session)
        self.most_open = max(self.most_open, len(self._open))
        self._selector.register(sock, selectors.EVENT_READ, session)
        session.write("220 relay ready")

    def drop(self, session: "_Session") -> None:
        self._open.discard(session)
        self._selector.unregister(session.sock)
        session.sock.close()

    def drain(self) -> None:
        """Answer all that dead clients left in the sockets."""
        deadline = time.monotonic() + 10
        while self._open and time.monotonic() < deadline:
            self.serve(0.05)

    def close_child(self) -> None:
        """In a forked child: let go of the sockets, which are the parent's."""
        self._listener.close()
        for session in self._open:
            session.sock.close()

    # -- as a thread --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        assert self._thread is not None
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while not self._closing:
            self.serve(0.05)


class _Session:
    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.relay = relay
        self.sock = sock
        self.buffer = b""
        self.answers: list[str] = []
        self.in_text = False
        self.address = ""

    def write(self, line: str) -> None:
        self.answers.append(line)
        self.flush()

    def flush(self) -> None:
        octets = "".join(f"{line}\r\n" for line in self.answers).encode()
        self.answers.clear()
        if not octets:
            return
        with suppress(OSError):  # the client died; what it sent before is still to be read
            self.sock.sendall(octets)

    def read(self) -> None:
        try:
            chunk = self.sock.recv(65536)
        except OSError:
            chunk = b""
        if not chunk:
            self.relay.drop(self)
            return
        self.buffer += chunk
        is_going_on = self._work()
        self.flush()
        if not is_going_on:
            self.relay.drop(self)

    def _work(self) -> bool:
        """Answer every whole command and message in the buffer; False hangs up."""
        while True:
            if self.in_text:
                text, end, rest = (b"\r\n" + self.buffer).partition(b"\r\n.\r\n")
                if not end:
                    return True
                self.buffer, self.in_text = rest, False
                if not self._take(text):
                    return False
                continue
            line, end, rest = self.buffer.partition(b"\r\n")
            if not end:
                return True
            self.buffer = rest
            if not self._command(line.decode()):
                return False

    def _command(self, line: str) -> bool:
        word = line[:4].upper()
        if word in ("EHLO", "HELO"):
            words = ["relay", *self.relay.features]
            self.answers += [f"250{' ' if each is words[-1] else '-'}{each}" for each in words]
        elif word == "MAIL":
            self.address = ""
            self.answers.append("250 2.1.0 ok")
        elif word == "RCPT":
            return self._recipient(line)
        elif word == "DATA":
            if self.address:
                self.in_text = True
                self.answers.append("354 go ahead")
            else:
                self.answers.append("554 5.5.1 no valid recipients")
        elif word == "QUIT":
            self.write("221 2.0.0 bye")
            return False
        else:
            self.answers.append("250 2.0.0 ok")
        return True

    def _recipient(self, line: str) -> bool:
        address = line.partition("<")[2].partition(">")[0]
        if self.relay.on_rcpt:
            self.relay.on_rcpt(address)
        scripted = self.relay.rcpt.get(address)
        answer = scripted.pop(0) if scripted else "250 2.1.5 ok"
        if answer == HANG_UP:
            return False
        if answer.startswith("250"):
            self.address = address
        self.answers.append(answer)
        return True

    def _take(self, text: bytes) -> bool:
        """Take a message that came with its dot; False hangs up."""
        found = _ID.search(text + b"\r\n")
        scripted = self.relay.dot.get(self.address)
        answer = scripted.pop(0) if scripted else "250 2.0.0 taken"
        identity = found[1].decode() if found else ""
        dot = Dot(self.address, identity, time.monotonic(), answer[:1] in ("2", ""), answer != HANG_UP)
        self.relay.dots.append(dot)
        if self.relay.on_dot:
            self.relay.on_dot(dot)
        self.address = ""
        if answer == HANG_UP:
            return False
        self.answers.append(answer)
        return True
