"""Read an SMTP relay's replies off a socket: bounded lines, one deadline for each reply, foreign text made printable.

The relay is not trusted to end a line, to speak in time or to say anything sensible (RFC 5321 section 4.2); whatever it
does instead is an OSError here. Not here: what is said to it (``smtp``), and what a reply means (``delivery``).
"""

import re
import select
import socket
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from newsletter.model import Reply, Stage

if TYPE_CHECKING:
    import ssl

# Far beyond the 512 octets of RFC 5321 section 4.5.3.1.5, for the sake of wordy relays, yet bounded.
_LINE_MAX, _REPLY_MAX, _TEXT_MAX = 4096, 65536, 500

_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r?\n")
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")


class GarbageError(ConnectionError):
    """Raise for an answer that is no SMTP reply, or none to what was asked; the connection cannot be used further."""


class Wire:
    """Read bounded lines before a deadline; smtplib takes it for its socket and its file alike.

    The socket does not block: it is asked first and waited for only where it must be, which is two calls of the system
    a message fewer than with a timeout of its own, and as many chances fewer that another thread takes over.
    """

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self.sock = sock
        self.timeout = timeout
        self._buffer = bytearray()
        self._deadline = 0.0
        self._room = 0
        self._poll = select.poll()
        self._would_read: tuple[type[OSError], ...] = (BlockingIOError,)
        self._would_write: tuple[type[OSError], ...] = (BlockingIOError,)
        self._is_secure = False
        sock.setblocking(False)
        self._poll.register(sock, select.POLLIN)
        self._allow(timeout)

    def write(self, octets: bytes, seconds: float) -> None:
        """Write ``octets`` within ``seconds``; raise OSError when the connection is gone or does not take them."""
        self._allow(seconds)
        sent = self._send(octets)
        while sent < len(octets):
            sent += self._send(memoryview(octets)[sent:])

    def secure(self, context: "ssl.SSLContext", host: str) -> "ssl.SSLSocket":
        """Go on over TLS; return the secured socket. Raises OSError, or ValueError for a name that no host has."""
        import ssl

        self.sock.settimeout(self.timeout)
        self.sock = secured = context.wrap_socket(self.sock, server_hostname=host)
        secured.setblocking(False)
        # Either may be wanted for either: TLS renews its keys when it likes (RFC 8446 section 4.6.3).
        self._would_read = (BlockingIOError, ssl.SSLWantReadError)
        self._would_write = (BlockingIOError, ssl.SSLWantWriteError)
        self._is_secure = True
        return secured

    def sendall(self, octets: bytes) -> None:
        """Write a command of smtplib's, which then reads the reply line by line."""
        self.write(octets, self.timeout)

    def readline(self, _limit: int = -1) -> bytes:
        """Return one line with its end; raise OSError when there is none in time, or it is longer than any reply."""
        searched = 0
        while not (end := self._buffer.find(b"\n", searched) + 1):
            searched = len(self._buffer)
            if searched > _LINE_MAX:
                raise GarbageError(f"a line of more than {_LINE_MAX} octets")
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._room -= end
        if self._room < 0:
            raise GarbageError(f"a reply of more than {_REPLY_MAX} octets")
        return line

    def has_answer(self) -> bool:
        """Tell whether the relay has spoken unasked, without waiting; raise OSError when it has hung up."""
        if self._is_secure:  # what came over the network may be less than a byte of an answer
            with suppress(*self._would_read):
                self._take()
        elif self._poll.poll(0):
            self._take()
        return bool(self._buffer)

    def close(self) -> None:
        """Close the socket; smtplib calls this too, and twice does no harm."""
        self.sock.close()

    def read_reply(self, stage: Stage, seconds: float) -> Reply:
        """Read one reply, of one or more lines that must agree on the code (RFC 5321 section 4.2.1)."""
        self._allow(seconds)
        line = self.readline()
        if line[3:4] == b" ":
            # Most replies are one line, and most of those were said before.
            return _parse_line(line, stage)
        return self._read_lines(line, stage)

    def _read_lines(self, line: bytes, stage: Stage) -> Reply:
        code, texts, more = b"", [], True
        while more:
            line = line or self.readline()
            match = _REPLY_LINE.fullmatch(line)
            if match is None or code not in (b"", match[1]):
                raise GarbageError(f"'{clean_text(line)}' is no SMTP reply")
            code, more = match[1], match[2] == b"-"
            texts.append(clean_text(match[3] or b""))
            line = b""
        return parse_reply(int(code), texts, stage)

    def _allow(self, seconds: float) -> None:
        # One deadline for a whole reply: a relay that spreads its octets thinly must not hold us for ever.
        self._deadline = time.monotonic() + seconds
        self._room = _REPLY_MAX

    def _send(self, octets: bytes | memoryview) -> int:
        """Return how many octets went, 0 where it had to wait first."""
        try:
            return self.sock.send(octets)
        except self._would_write:
            self._wait_for(select.POLLOUT)
        except self._would_read:
            self._wait_for(select.POLLIN)
        return 0

    def _fill(self) -> None:
        """Wait for octets, and take them."""
        if not self._is_secure:  # else octets may be in hand that no call of the system knows of
            self._wait_for(select.POLLIN)
        try:
            self._take()
        except self._would_read:
            self._wait_for(select.POLLIN)
        except self._would_write:
            self._wait_for(select.POLLOUT)

    def _take(self) -> None:
        chunk = self.sock.recv(8192)
        if not chunk:
            raise ConnectionResetError("the relay closed the connection")
        self._buffer += chunk

    def _wait_for(self, what: int) -> None:
        """Wait until the socket can be read or written; raise TimeoutError at the deadline."""
        left = self._deadline - time.monotonic()
        if what != select.POLLIN:
            self._poll.modify(self.sock, what)
        is_ready = left > 0 and self._poll.poll(left * 1000)
        if what != select.POLLIN:
            self._poll.modify(self.sock, select.POLLIN)
        if not is_ready:
            raise TimeoutError("timed out")


@lru_cache(maxsize=64)
def _parse_line(line: bytes, stage: Stage) -> Reply:
    """Return the reply that one line is, and no more follows."""
    match = _REPLY_LINE.fullmatch(line)
    if match is None:
        raise GarbageError(f"'{clean_text(line)}' is no SMTP reply")
    return parse_reply(int(match[1]), [clean_text(match[3] or b"")], stage)


def parse_reply(code: int, texts: list[str], stage: Stage) -> Reply:
    """Join the texts of a reply's lines into one, and take the enhanced status out of them (RFC 2034 section 4)."""
    enhanced = ""
    rest = []
    for text in texts:
        match = _ENHANCED.match(text)
        # A status of another class than the code is a word of the text, not a status.
        if match and match[1] == str(code)[0]:
            enhanced = enhanced or match[0].strip()
            text = text[match.end() :]  # noqa: PLW2901
        rest.append(text)
    return Reply(code, enhanced, " ".join(filter(None, rest))[:_TEXT_MAX], stage)


def clean_text(foreign: bytes | str) -> str:
    """Make foreign text one printable line of bounded length: it ends up in reports and terminals."""
    text = foreign if isinstance(foreign, str) else foreign.decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())[:_TEXT_MAX]
