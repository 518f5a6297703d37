"""An SMTP relay with TLS and a login that does one thing wrong, once, at the stage and in the way that it is told.

What a stage is:

``connect``      the connection was taken, and nothing said; a reply here is said without listening, then it closes
``banner``       between the first line of the greeting and its last; a reply comes in the greeting's place
``ehlo`` … ``data``  in place of the reply to that command; ``handshake`` in place of TLS
``body``         some of the message has been read; the client is still writing, for the relay's buffer is small
``before dot``   all of the message has come (the client's SIZE says how much), and its dot was not read
``dot``          the message and its dot have come
``next mail``    in place of the reply to the MAIL of a session's second message
``quit``         in place of the reply to QUIT

In split bytes, everything that the relay says at the stage comes one octet a segment; it is what it should be. A slow
drip never comes to an end. Where the relay reads at the stage (``body``), it reads that way instead.
"""

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from certificates import Certificate

STAGES = (
    "connect",
    "banner",
    "ehlo",
    "starttls",
    "handshake",
    "auth",
    "mail",
    "rcpt",
    "data",
    "body",
    "before dot",
    "dot",
    "next mail",
    "quit",
)
FAULTS = ("reset", "close", "stall", "4xx", "421", "5xx", "garbage", "split", "drip")
REPLIES = {
    "4xx": dict.fromkeys(STAGES, "451 4.3.0 not now") | {"rcpt": "450 4.2.1 greylisted", "auth": "454 4.7.0 not now"},
    "421": dict.fromkeys(STAGES, "421 4.3.2 shutting down"),
    "5xx": dict.fromkeys(STAGES, "554 5.7.1 we do not like you")
    | {"rcpt": "550 5.1.1 no such user", "auth": "535 5.7.8 who are you?", "dot": "554 5.6.0 what is that?"},
}
GARBAGE = b"\x00\xff what?\r\n"
DRIP_S = 0.05


class _HangUp(Exception):
    """End this session."""


@dataclass
class ChaosRelay:
    """Listen while the ``with`` block lasts; ``fault`` strikes once, at the first session that comes to ``stage``.

    ``victim`` is the recipient whose message it struck, ``""`` where none was named yet; ``struck`` holds the port of
    that client. ``taken`` counts by recipient and Message-ID what came with its dot and was not refused.
    """

    stage: str
    fault: str
    certificate: Certificate
    features: tuple[str, ...] = ("PIPELINING", "SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES")
    has_struck: bool = False
    victim: str = ""
    struck: frozenset[int] = frozenset()
    sessions: int = 0
    taken: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that a client waits amid a message
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.context = self.certificate.server_context()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while not self.closing.is_set():
            try:
                sock, client = self._listener.accept()
            except OSError:
                return
            self.sessions += 1
            thread = threading.Thread(target=_Session(self, sock, client[1]).run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def strikes(self, stage: str, victim: str, client: int) -> bool:
        """Tell whether the fault strikes here and now, which it does once."""
        with self.lock:
            if self.has_struck or stage != self.stage:
                return False
            self.has_struck, self.victim, self.struck = True, victim, frozenset((client,))
            return True


class _Session:
    def __init__(self, relay: ChaosRelay, sock: socket.socket, client: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.relay = relay
        self.client = client
        self.sock: socket.socket | ssl.SSLSocket = sock
        self.buffer = b""
        self.is_split = False
        self.is_dripping = False
        self.pause_s: float | None = None
        self.is_open = False
        self.address = ""
        self.size = 0
        self.count = 0

    def run(self) -> None:
        with contextlib.suppress(_HangUp, OSError):
            self.sock.settimeout(0.1)
            self._greet()
            while True:
                self._answer(self._line().decode())
        with contextlib.suppress(OSError):
            self.sock.close()

    # -- reading and writing ------------------------------------------------------------------------------------------

    def _fill(self, limit: int = 4096) -> None:
        while not self.relay.closing.is_set():
            try:
                chunk = self.sock.recv(1 if self.is_dripping else limit)
            except TimeoutError:
                continue
            if self.is_dripping:
                self.relay.closing.wait(DRIP_S)
            if not chunk:
                break
            self.buffer += chunk
            return
        raise _HangUp

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _say(self, *lines: str) -> None:
        octets = "".join(f"{line}\r\n" for line in lines).encode()
        for piece in [octets[i : i + 1] for i in range(len(octets))] if self.is_split else [octets]:
            self.sock.sendall(piece)
            if self.is_split:
                time.sleep(0)

    def _reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _HangUp

    def _drip(self) -> None:
        while not self.relay.closing.wait(DRIP_S):
            self.sock.sendall(b"2")
        raise _HangUp

    def _shut(self, reply: str) -> None:
        """Say a last word, and close so that the client gets it."""
        self._say(reply)
        raw = self.sock.unwrap if isinstance(self.sock, ssl.SSLSocket) else None
        with contextlib.suppress(OSError, ValueError):
            if raw:
                self.sock.settimeout(0.2)
                self.sock = raw()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(2)
            while self.sock.recv(8192):
                pass
        raise _HangUp

    # -- the fault ----------------------------------------------------------------------------------------------------

    def _strike(self, stage: str) -> bool:
        """Do the fault where it is due; tell whether it took the place of what the relay would say."""
        if not self.relay.strikes(stage, self.address, self.client):
            return False
        fault = self.relay.fault
        if stage == "handshake" and fault in ("split", "drip"):
            self.pause_s = DRIP_S if fault == "drip" else 0.0
            return False
        if fault == "split":
            self.is_split = True
            return False
        if fault in REPLIES:
            self._reply(stage, REPLIES[fault][stage])
        elif fault == "garbage":
            self.sock.sendall(GARBAGE)
            if stage in ("connect", "handshake"):
                raise _HangUp
        elif fault == "drip" and stage == "body":
            self.is_dripping = True
        else:
            {"reset": self._reset, "close": self._close, "stall": self._stall, "drip": self._drip}[fault]()
        return True

    def _reply(self, stage: str, reply: str) -> None:
        if reply.startswith("421") or stage in ("connect", "handshake"):
            self._shut(reply)
        self._say(reply)

    def _close(self) -> None:
        raise _HangUp

    def _stall(self) -> None:
        self.relay.closing.wait()
        raise _HangUp

    def _at(self, stage: str, *lines: str) -> bool:
        """Answer, or do what is wrong here; tell whether the answer was the usual one."""
        if self._strike(stage):
            return False
        self._say(*lines)
        self.is_split = False
        return True

    # -- the session --------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        self._strike("connect")
        if self.relay.stage == "banner" and self.relay.fault not in REPLIES:
            self._say("220-relay")
        self._at("banner", "220 relay ready")
        self.is_split = False

    def _answer(self, line: str) -> None:
        word = line[:4].upper()
        handler = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STAR": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "QUIT": self._quit,
            "RSET": lambda _: self._say("250 2.0.0 ok"),
        }.get(word, lambda _: self._say("500 5.5.2 what?"))
        handler(line)

    def _ehlo(self, _line: str) -> None:
        is_secure = isinstance(self.sock, ssl.SSLSocket)
        words = ["relay", *self.relay.features, "AUTH PLAIN" if is_secure else "STARTTLS"]
        self._at("ehlo", *(f"250{' ' if word is words[-1] else '-'}{word}" for word in words))

    def _helo(self, _line: str) -> None:
        self._say("250 relay")

    def _starttls(self, _line: str) -> None:
        if not self._at("starttls", "220 2.0.0 go ahead"):
            return
        if self._strike("handshake"):
            raise _HangUp
        self.is_split = False
        self.sock.settimeout(10)
        if self.pause_s is not None:
            self.sock = _pumped(self.sock, self.relay.closing, self.pause_s)
            self.sock.settimeout(10)
        self.sock = self.relay.context.wrap_socket(self.sock, server_side=True)
        self.sock.settimeout(0.1)

    def _auth(self, _line: str) -> None:
        self._at("auth", "235 2.7.0 welcome")

    def _mail(self, line: str) -> None:
        self.address = ""
        self.size = int(found[1]) if (found := re.search(r"SIZE=(\d+)", line)) else 0
        self.count += 1
        self.is_open = False
        # Whose message it is, the client says only with RCPT; with pipelining it is in the buffer already.
        following = re.match(rb"RCPT TO:<(.*?)>", self.buffer)
        self.address = following[1].decode() if following else ""
        self.is_open = self._at("next mail" if self.count == 2 else "mail", "250 2.1.0 ok")

    def _rcpt(self, line: str) -> None:
        self.address = line.partition("<")[2].partition(">")[0]
        if not self.is_open:
            self._say("503 5.5.1 MAIL first")
        else:
            self.is_open = self._at("rcpt", "250 2.1.5 ok")

    def _data(self, _line: str) -> None:
        if not self.is_open:
            self._say("554 5.5.1 no valid recipients")
        elif self._at("data", "354 go ahead"):
            self._take()

    def _take(self) -> None:
        """Read the message; amid it, before its dot and after it, something may go wrong."""
        is_refused = False
        while (end := self.buffer.find(b"\r\n.\r\n")) < 0:
            if self.buffer:
                is_refused |= self._strike("body")
            missing = self.size - len(self.buffer)
            if self.size and not missing:
                is_refused |= self._strike("before dot")
            self._fill(missing if missing > 0 else 4096)
        text, self.buffer = self.buffer[: end + 2], self.buffer[end + 5 :]
        self.is_dripping = False
        if is_refused:
            return
        identity = re.search(rb"(?m)^Message-ID: *(\S+)\r$", text)
        is_refusal = self.relay.stage == "dot" and not self.relay.has_struck and self.relay.fault in REPLIES
        if not is_refusal:
            self.relay.taken.append((self.address, identity[1].decode() if identity else ""))
        self._at("dot", "250 2.0.0 taken")

    def _quit(self, _line: str) -> None:
        self._at("quit", "221 2.0.0 bye")
        raise _HangUp


def _pumped(sock: socket.socket, closing: threading.Event, pause: float) -> socket.socket:
    """Return a socket that speaks through ``sock``, one octet a segment, ``pause`` seconds apart."""
    near, far = socket.socketpair()

    def outwards() -> None:
        with contextlib.suppress(OSError):
            while chunk := far.recv(4096):
                for octet in chunk:
                    sock.sendall(bytes([octet]))
                    if closing.wait(pause) if pause else False:
                        return
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    def inwards() -> None:
        with contextlib.suppress(OSError):
            while chunk := sock.recv(4096):
                far.sendall(chunk)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)

    sock.settimeout(None)
    for work in (outwards, inwards):
        threading.Thread(target=work, daemon=True).start()
    return near
