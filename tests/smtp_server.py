"""A real SMTP server on 127.0.0.1 whose misbehaviour is injected by name; it keeps what it accepted.

Stages, in the order of a session: ``connect`` (the banner), ``ehlo``, ``starttls``, ``handshake``, ``auth``, ``mail``,
``rcpt``, ``data``, ``body`` (some of the message has come), ``dot`` (the whole message and its dot have come),
``rset``, ``quit``. Where a fault stands for a stage, it takes the place of what the server would do there; ``times``
bounds how often.

>>> with SmtpServer() as server:
...     server.refuse("bob@example.org", 550, "5.1.1 no such user")
...     server.drop_after_dot()
"""

import base64
import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from certificates import Certificate

FEATURES = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Accepted:
    """One message that this server took: after the dot, it answered 250 or would have."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes


class _HangUp(Exception):
    """End this session."""


@dataclass
class _Fault:
    act: Callable[["_Session"], None]
    times: int | None
    after: int = 0
    every: int = 1


@dataclass
class SmtpServer:
    """Listen on a free port of 127.0.0.1 as long as the ``with`` block lasts."""

    features: tuple[str, ...] = FEATURES
    security: str = "none"
    certificate: Certificate | None = None
    users: dict[str, str] = field(default_factory=dict)

    accepted: list[Accepted] = field(default_factory=list, init=False)
    """What was answered with 250 after the dot."""
    dotted: list[Accepted] = field(default_factory=list, init=False)
    """What came complete with its dot, whatever was answered."""
    commands: list[str] = field(default_factory=list, init=False)
    """Every command line of every session, in order."""
    sessions: int = field(default=0, init=False)
    struck: set[int] = field(default_factory=set, init=False)
    """The ports of the clients to which it fell silent, or spoke too slowly ever to come to an end."""

    def __post_init__(self) -> None:
        self._faults: dict[str, list[_Fault]] = {}
        self._recipients: dict[str, tuple[str, int | None]] = {}
        self._poison: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *_args: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the listener and every session; a relay that vanishes."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)

    # --- misbehaviour by name ------------------------------------------------------------------------------------

    def refuse(self, address: str, code: int = 550, text: str = "5.1.1 no such user") -> None:
        """Answer RCPT TO for ``address`` with ``code`` for good."""
        self._recipients[address] = (f"{code} {text}", None)

    def defer(self, address: str, code: int = 451, text: str = "4.7.1 try later", times: int | None = None) -> None:
        """Answer RCPT TO for ``address`` with ``code``, the first ``times`` times or always."""
        self._recipients[address] = (f"{code} {text}", times)

    def hang_up_on(self, address: str) -> None:
        """Close the connection whenever the message is to ``address``, at its DATA."""
        self._poison.add(address)

    def limit_sessions(self, messages: int) -> None:
        """Answer MAIL with 421 after so many messages in one session."""
        self._limit = messages

    def say(self, stage: str, *lines: str, times: int | None = 1, after: int = 0) -> None:
        """Answer ``stage`` with ``lines`` instead; ``after`` lets so many pass first."""
        answer = "".join(f"{line}\r\n" for line in lines).encode()
        self._add(stage, lambda session: session.write(answer), times, after)

    def shut_at(self, stage: str, times: int | None = 1, after: int = 0) -> None:
        """Answer ``stage`` with 421 and close."""

        self._add(stage, _Session.shut, times, after)

    def close_at(self, stage: str, times: int | None = 1, after: int = 0) -> None:
        """Close the connection at ``stage`` without a word."""

        def act(_session: "_Session") -> None:
            raise _HangUp

        self._add(stage, act, times, after)

    def reset_at(self, stage: str, times: int | None = 1, after: int = 0) -> None:
        """Reset the connection at ``stage``: the client sees ECONNRESET."""

        def act(session: "_Session") -> None:
            session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _HangUp

        self._add(stage, act, times, after)

    def stall_at(self, stage: str, times: int | None = 1, after: int = 0) -> None:
        """Say nothing at ``stage`` until the test is over."""

        def act(session: "_Session") -> None:
            self.struck.add(session.client)
            self._closing.wait()
            raise _HangUp

        self._add(stage, act, times, after)

    def garbage_at(
        self, stage: str, octets: bytes = b"\x00\xff what?\r\n", times: int | None = 1, after: int = 0
    ) -> None:
        """Answer ``stage`` with octets that are no SMTP reply."""
        self._add(stage, lambda session: session.write(octets), times, after)

    def drip_at(self, stage: str, pause: float, times: int | None = 1) -> None:
        """Answer ``stage`` one octet at a time, ``pause`` seconds apart, without ever coming to an end."""

        def act(session: "_Session") -> None:
            self.struck.add(session.client)
            while not self._closing.wait(pause):
                session.write(b"2")
            raise _HangUp

        self._add(stage, act, times, 0)

    def drop_after_dot(self, times: int | None = 1, after: int = 0, every: int = 1) -> None:
        """Take the message, and close before the answer to its dot; ``every`` second or third time only."""
        self.close_at("dot", times, after)
        self._faults["dot"][-1].every = every

    def drop_before_dot(self, times: int | None = 1, after: int = 0) -> None:
        """Close amid the message, before its dot."""
        self.reset_at("body", times, after)

    def split_replies(self) -> None:
        """Send every reply one octet a segment."""
        self._split = True

    _split = False
    _limit = 0

    # --- the server ----------------------------------------------------------------------------------------------

    def _add(self, stage: str, act: Callable[["_Session"], None], times: int | None, after: int) -> None:
        self._faults.setdefault(stage, []).append(_Fault(act, times, after))

    def take_fault(self, stage: str) -> _Fault | None:
        with self._lock:
            for fault in self._faults.get(stage, []):
                if fault.after:
                    fault.after -= 1
                elif fault.times is None or fault.times:
                    fault.times = fault.times and fault.times - 1
                    fault.after = fault.every - 1
                    return fault
        return None

    def answer_recipient(self, address: str) -> str:
        with self._lock:
            answer, times = self._recipients.get(address, ("250 2.1.5 ok", None))
            if times is not None:
                self._recipients[address] = (answer, times - 1)
                if times == 1:
                    del self._recipients[address]
            return answer

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                sock, client = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.sessions += 1
                self._sockets.append(sock)
            thread = threading.Thread(target=_Session(self, sock, client[1]).run, daemon=True)
            self._threads.append(thread)
            thread.start()


class _Session:
    """Hold one connection and walk it through the commands."""

    def __init__(self, server: SmtpServer, sock: socket.socket, client: int) -> None:
        self.server = server
        self.sock = sock
        self.client = client
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file: BinaryIO = sock.makefile("rb")
        self.secure = False
        self.mail_from: str | None = None
        self.rcpt_to: list[str] = []
        self.taken = 0

    def run(self) -> None:
        with contextlib.suppress(_HangUp, OSError, ssl.SSLError):
            if self.server.security == "tls":
                self.shake_hands()
            self.at("connect", "220 test server ready")
            while line := self.file.readline():
                command = line.decode("utf-8", "replace").strip()
                with self.server._lock:
                    self.server.commands.append(command)
                self.answer(command)
        self.file.close()
        self.sock.close()

    def write(self, octets: bytes) -> None:
        if not self.server._split:
            self.sock.sendall(octets)
            return
        for octet in octets:
            self.sock.sendall(bytes([octet]))
            time.sleep(0)

    def shut(self) -> None:
        """Say 421 and end the session."""
        self.write(b"421 4.3.2 shutting down\r\n")
        # To close with octets unread would reset the connection, and could take the 421 away from the client.
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(8192):
            pass
        raise _HangUp

    def at(self, stage: str, *lines: str, before: Callable[[], object] = bool) -> bool:
        """Answer ``stage``, or do what was injected for it; tell whether the answer was the usual one.

        ``before`` is called right before the usual answer: whoever reads that must find it done.
        """
        fault = self.server.take_fault(stage)
        if fault is not None:
            fault.act(self)
            return False
        before()
        self.write("".join(f"{line}\r\n" for line in lines).encode())
        return True

    def answer(self, command: str) -> None:
        word = command.upper().split(" ")[0]
        handler = {
            "EHLO": self.ehlo,
            "HELO": self.ehlo,
            "STARTTLS": self.starttls,
            "AUTH": self.auth,
            "MAIL": self.mail,
            "RCPT": self.rcpt,
            "DATA": self.take_message,
            "RSET": self.rset,
            "QUIT": self.quit,
        }.get(word)
        if handler is None:
            self.write(b"500 5.5.2 what?\r\n")
        else:
            handler(command)

    def ehlo(self, _command: str) -> None:
        features = list(self.server.features)
        if self.server.security == "starttls" and not self.secure:
            features.append("STARTTLS")
        if self.server.users:
            features.append("AUTH PLAIN LOGIN")
        words = ["test server", *features]
        self.at("ehlo", *(f"250{' ' if word is words[-1] else '-'}{word}" for word in words))

    def starttls(self, _command: str) -> None:
        if self.at("starttls", "220 2.0.0 go ahead"):
            self.shake_hands()

    def shake_hands(self) -> None:
        fault = self.server.take_fault("handshake")
        if fault is not None:
            fault.act(self)
        assert self.server.certificate is not None
        self.sock = self.server.certificate.server_context().wrap_socket(self.sock, server_side=True)
        with self.server._lock:
            self.server._sockets.append(self.sock)
        self.file = self.sock.makefile("rb")
        self.secure = True

    def auth(self, command: str) -> None:
        """Take PLAIN with an initial response."""
        decoded = base64.b64decode(command.rsplit(" ", maxsplit=1)[-1]).decode()
        _, user, password = decoded.split("\0") if decoded.count("\0") == 2 else ("", "", "")
        known = user and self.server.users.get(user) == password
        self.at("auth", "235 2.7.0 welcome" if known else "535 5.7.8 who are you?")

    def mail(self, command: str) -> None:
        if self.server._limit and self.taken >= self.server._limit:
            self.shut()
        if self.at("mail", "250 2.1.0 ok"):
            self.mail_from = re.search(r"<(.*?)>", command)[1]
            self.rcpt_to = []

    def rcpt(self, command: str) -> None:
        address = re.search(r"<(.*?)>", command)[1]
        answer = "503 5.5.1 MAIL first" if self.mail_from is None else self.server.answer_recipient(address)
        if self.at("rcpt", answer) and answer.startswith("250"):
            self.rcpt_to.append(address)

    def take_message(self, _command: str) -> None:
        fault = self.server.take_fault("data")
        if fault is not None:
            fault.act(self)
            return
        if self.server._poison.intersection(self.rcpt_to):
            raise _HangUp
        if not self.rcpt_to:
            self.write(b"554 5.5.1 no valid recipients\r\n")
            return
        self.write(b"354 go ahead\r\n")
        self.read_content()

    def read_content(self) -> None:
        """Read up to the final dot, and answer it."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise _HangUp
            if not lines and (fault := self.server.take_fault("body")):
                fault.act(self)
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = Accepted(self.mail_from or "", tuple(self.rcpt_to), b"".join(lines))
        self.mail_from, self.rcpt_to = None, []
        self.taken += 1
        self.server.dotted.append(message)
        self.at("dot", "250 2.0.0 taken", before=lambda: self.server.accepted.append(message))

    def rset(self, _command: str) -> None:
        self.mail_from, self.rcpt_to = None, []
        self.at("rset", "250 2.0.0 ok")

    def quit(self, _command: str) -> None:
        self.at("quit", "221 2.0.0 bye")
        raise _HangUp
