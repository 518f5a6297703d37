"""Ask servers for what strangers' feeds name: politely, within limits, and never a host of the own network.

Each hop of a redirect is checked: scheme, port, and every address that the host's name resolves to; the connection goes
to one of those very addresses, so that no second look-up can lead elsewhere. Size, time and decompression are bounded
as a whole, not a piece at a time. One connection is open to a host at a time. Not here: what a feed holds
(``feedparse``), and when to ask again (``feed``).
"""

import contextlib
import datetime as dt
import email.utils
import queue
import re
import socket
import ssl
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpcore

from newsletter.errors import FeedError, TryLaterError
from newsletter.netranges import refusal_of

ACCEPT_FEEDS = (
    "application/atom+xml, application/rss+xml, application/rdf+xml, application/feed+json;q=0.9,"
    " application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.5"
)
SIZE_MAX = 5_000_000
"""Bytes that one answer may have, packed or unpacked."""
REDIRECTS_MAX = 5
_PORTS = {"http": 80, "https": 443}
_CHUNK = 65536
_PERMANENT, _TEMPORARY = frozenset((301, 308)), frozenset((302, 303, 307))
_BUSY = frozenset((429, 503))
_WORDS = {
    401: "wants a password",
    403: "refuses us",
    404: "there is nothing at this address",
    410: "it is gone for good",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Say what may be asked: ``ports`` beside 80 and 443, and hosts of the own network by name.

    An answer may take ``timeout_s`` with all its redirects, and each look-up of a name among it ``look_up_s``.
    """

    agent: str
    timeout_s: float = 20.0
    look_up_s: float = 5.0
    ports: frozenset[int] = frozenset()
    private_hosts: frozenset[str] = frozenset()
    size_max: int = SIZE_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hold what a server answered: 200 with content, 304, or 410.

    ``url`` is where it came from at last; ``moved_to`` is the address to ask from now on, ``""`` for the same.
    """

    status: int
    url: str
    moved_to: str = ""
    content: bytes = b""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""


_Read = Callable[[httpcore.Response], tuple[dict[str, Any], str]]
"""What reads an answer: its parts, and the address that it leads to, ``""`` for none."""


class Fetcher:
    """Ask for one address after the other; threads may share it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tls = ssl.create_default_context()
        self._hosts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def get(self, url: str, *, etag: str = "", last_modified: str = "", accept: str = ACCEPT_FEEDS) -> Answer:
        """Return what ``url`` answers; with the ``etag`` or ``last_modified`` of before, 304 where that still holds.

        Raises FeedError, in words that follow the name of the feed, for whatever else happens; TryLaterError where the
        server is busy.
        """
        condition = [(b"If-None-Match", etag.encode("latin-1", "ignore"))] if etag else []
        condition += [(b"If-Modified-Since", last_modified.encode("latin-1", "ignore"))] if last_modified else []
        parts = self._follow(url, [(b"Accept", accept.encode()), *condition], self._read)
        return Answer(**parts)

    def look(self, url: str) -> Answer:
        """Return which status ``url`` answers in the end, whatever it is, and where; nothing of the page is read.

        Raises FeedError where there is no answer, or the address may not be asked.
        """
        return Answer(**self._follow(url, [(b"Accept", b"text/html, */*;q=0.5")], _read_status))

    def _follow(self, url: str, headers: list[tuple[bytes, bytes]], read: _Read) -> dict[str, Any]:
        """Ask ``url``, and where it leads to; return the parts of the last answer."""
        deadline = time.monotonic() + self._policy.timeout_s
        moved_to, is_permanent = "", True
        for _ in range(REDIRECTS_MAX + 1):
            target = checked_target(url, self._policy)
            with self._turn(target.host):
                parts, location = self._ask(target, headers, deadline, read)
            if not location:
                return {**parts, "url": url, "moved_to": moved_to}
            url = urljoin(url, location)
            is_permanent = is_permanent and parts["status"] in _PERMANENT
            moved_to = url if is_permanent else moved_to
        raise FeedError(f"redirects more than {REDIRECTS_MAX} times")

    @contextlib.contextmanager
    def _turn(self, host: str) -> Iterator[None]:
        with self._guard:
            lock = self._hosts[host]
        with lock:
            yield

    def _ask(
        self, target: "Target", headers: list[tuple[bytes, bytes]], deadline: float, read: _Read
    ) -> tuple[dict[str, Any], str]:
        """Return the parts of an answer, and the address that it leads to, ``""`` for none."""
        own = [(b"Host", target.authority.encode()), (b"User-Agent", self._policy.agent.encode("latin-1", "replace"))]
        own += [(b"Accept-Encoding", b"gzip, deflate, br"), (b"Connection", b"close")]
        network = _Network(self._policy, deadline)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._policy.timeout_s)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=self._tls, max_connections=1, network_backend=network) as pool,
                pool.stream("GET", target.url, headers=own + headers, extensions={"timeout": timeouts}) as response,
            ):
                return read(response)
        except httpcore.TimeoutException:
            raise FeedError(f"took longer than {self._policy.timeout_s:g} seconds") from None
        except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
            raise FeedError(f"cannot be reached: {_plain(error)}") from None
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
            raise FeedError(f"answers what is no HTTP, or breaks off: {_plain(error)}") from None

    def _read(self, response: httpcore.Response) -> tuple[dict[str, Any], str]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        status = response.status
        location = headers.get("location", "").strip()
        if status in _PERMANENT | _TEMPORARY and location:
            return {"status": status}, location.encode("latin-1").decode("utf-8", "replace")
        if status in _BUSY:
            raise TryLaterError(f"is busy ({status})", _retry_after(headers.get("retry-after", "")))
        parts: dict[str, Any] = {
            "status": status,
            "etag": headers.get("etag", "")[:1000],
            "last_modified": headers.get("last-modified", "")[:200],
            "content_type": headers.get("content-type", "")[:200],
        }
        if status in (304, 410):
            return parts, ""
        if status != 200:
            raise FeedError(f"answers {status}: {_WORDS.get(status, 'no feed')}")
        unpack = _Unpacker(headers.get("content-encoding", ""), self._policy.size_max)
        return parts | {"content": unpack(response.iter_stream())}, ""


def _read_status(response: httpcore.Response) -> tuple[dict[str, Any], str]:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    location = headers.get("location", "").strip() if response.status in _PERMANENT | _TEMPORARY else ""
    return {"status": response.status}, location.encode("latin-1").decode("utf-8", "replace")


# ---------------------------------------------------------------------------------------------------------------------
# Where
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """Hold an address that may be asked, in ASCII; ``authority`` is host and port as the server's header has it."""

    url: str
    host: str
    authority: str


def checked_target(url: str, policy: Policy) -> Target:
    """Return the address to ask; raise FeedError where its scheme, port or host may not be asked."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        raise FeedError(f"{_shown(url)} is no address of the web") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not re.fullmatch(r"[a-z0-9_.:-]+", host):
        raise FeedError(f"{_shown(url)} is no address of the web; it begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise FeedError("holds a name or a password before the host, which is not sent")
    port = port or _PORTS[scheme]
    if port not in policy.ports | set(_PORTS.values()):
        raise FeedError(f"asks for port {port}; [feeds] ports lets it")
    shown_host = f"[{host}]" if ":" in host else host
    authority = shown_host if port == _PORTS[scheme] else f"{shown_host}:{port}"
    path = quote(parts.path or "/", safe="%/:=&?~+!$,;'@()*[]|")
    query = quote(parts.query, safe="%/:=&?~+!$,;'@()*[]|")
    return Target(urlunsplit((scheme, authority, path, query, "")), host, authority)


class _Network(httpcore.NetworkBackend):
    """Connect to an address that was checked, and let the whole of an answer take no longer than it may."""

    def __init__(self, policy: Policy, deadline: float) -> None:
        self._policy = policy
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Open a connection to one of the addresses of ``host``, in turn."""
        addresses = self._resolve(host, port)
        for address in addresses[:3]:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise httpcore.ConnectTimeout
            try:
                stream = self._inner.connect_tcp(address, port, min(left, 10.0), local_address, socket_options)
            except httpcore.ConnectError as error:
                problem = error
                continue
            return _Stream(stream, self._deadline)
        raise problem

    def _resolve(self, host: str, port: int) -> list[str]:
        addresses = _look_up(host, port, min(self._policy.look_up_s, self._deadline - time.monotonic()))
        if host.lower() not in self._policy.private_hosts:
            for address in addresses:
                if refusal := refusal_of(address):
                    raise FeedError(f"is not asked: {refusal}; [feeds] private_hosts can name {host}")
        return addresses


def _look_up(host: str, port: int, timeout_s: float) -> list[str]:
    """Return the addresses of ``host``; the system's resolver knows no limit, so a thread of its own waits for it.

    Raises FeedError where no answer comes in time, httpcore.ConnectError where the answer is that there are none.
    """
    found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            infos = []
        found.put(list(dict.fromkeys(str(info[4][0]) for info in infos)))

    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    try:
        addresses = found.get(timeout=max(timeout_s, 0.0))
    except queue.Empty:
        raise FeedError(f"cannot be reached: DNS says nothing of {host} within {timeout_s:.3g} seconds") from None
    if not addresses:
        raise httpcore.ConnectError(f"{host} has no address")
    return addresses


class _Stream(httpcore.NetworkStream):
    """Pass bytes on until the time of the whole answer is over."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def _left(self, timeout: float | None, late: type[Exception]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise late
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return self._inner.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of ``buffer``."""
        self._inner.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Begin TLS; the certificate is that of the host's name, whatever its address."""
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self._inner.get_extra_info(info)


# ---------------------------------------------------------------------------------------------------------------------
# What
# ---------------------------------------------------------------------------------------------------------------------


@dataclass
class _Unpacker:
    """Unpack a body while it comes, and stop where it grows too large."""

    encoding: str
    size_max: int
    found: bytearray = field(default_factory=bytearray)

    def __call__(self, chunks: Iterable[bytes]) -> bytes:
        names = [name.strip().lower() for name in self.encoding.split(",") if name.strip() not in ("", "identity")]
        if len(names) > 1:
            raise FeedError("is packed more than once")
        unpack = self._unpacking(names[0] if names else "")
        packed = 0
        try:
            for chunk in chunks:
                packed += len(chunk)
                self.found += unpack(chunk)
                if packed > self.size_max or len(self.found) > self.size_max:
                    raise FeedError(f"is larger than {self.size_max // 1_000_000} MB")
        except (zlib.error, _brotli_error()):
            raise FeedError(f"is packed as {names[0]}, and broken") from None
        return bytes(self.found)

    def _unpacking(self, name: str) -> Any:
        if name == "":
            return lambda chunk: chunk
        if name in ("gzip", "x-gzip"):
            gzip = zlib.decompressobj(zlib.MAX_WBITS | 32)
            return lambda chunk: gzip.decompress(chunk, self._room())
        if name == "deflate":
            return self._inflate
        if name == "br":
            import brotli

            decoder = brotli.Decompressor()
            return lambda chunk: decoder.process(chunk, output_buffer_limit=self._room())
        raise FeedError(f"is packed in a way that was not asked for: {name[:20]!r}")

    def _room(self) -> int:
        """Return how much may still come, and one byte more, so that too much is noticed."""
        return self.size_max - len(self.found) + 1

    _inflater: Any = None

    def _inflate(self, chunk: bytes) -> bytes:
        """Unpack deflate, which servers send with its header and without (RFC 9110 section 8.4.1.2)."""
        if self._inflater is None:
            has_header = len(chunk) > 1 and chunk[0] & 0x0F == 8 and (chunk[0] << 8 | chunk[1]) % 31 == 0
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        unpacked: bytes = self._inflater.decompress(chunk, self._room())
        return unpacked


def _brotli_error() -> type[Exception]:
    import brotli

    error: type[Exception] = brotli.error
    return error


def _retry_after(text: str) -> dt.timedelta | None:
    """Return how long a server wants to be left alone (RFC 9110 section 10.2.3), None for no word of it."""
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return dt.timedelta(seconds=int(text))
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
    return max(until - dt.datetime.now(dt.UTC), dt.timedelta())


def _plain(error: Exception) -> str:
    """Return an error of the network in few words."""
    return re.sub(r"^\[(?:Errno -?\d+|SSL:[^\]]*)\]\s*", "", str(error))[:200] or type(error).__name__


def _shown(url: str) -> str:
    return repr(url if len(url) <= 80 else f"{url[:80]}…")
