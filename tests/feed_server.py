"""A web server on a real socket that serves feeds, and misbehaves where a path asks for it."""

import gzip
import hashlib
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>{title}</title><link>https://site.example/</link>
<language>en</language>{items}</channel></rss>"""
ITEM = "<item><title>{0}</title><link>https://site.example/{1}</link><guid>{1}</guid>{2}</item>"


def rss(*titles: str, title: str = "A feed", more: str = "") -> bytes:
    items = "".join(ITEM.format(text, number, more) for number, text in enumerate(titles))
    return RSS.format(title=title, items=items).encode()


class FeedServer:
    """Serve ``pages`` (path to bytes) with ETags; other paths misbehave as ``_Handler`` says."""

    def __init__(self, listen: str = "127.0.0.1") -> None:
        self.pages: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.gone: set[str] = set()
        self.moved: dict[str, tuple[int, str]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.open_now = self.open_most = 0
        server = self

        class Handler(_Handler):
            world = server

        self._server = ThreadingHTTPServer((listen, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    world: FeedServer
    is_over = False

    def log_message(self, *_):
        pass

    def do_GET(self):
        world = self.world
        world.seen.append((self.path, dict(self.headers)))
        self.is_over = False
        world.open_now += 1
        world.open_most = max(world.open_most, world.open_now)
        try:
            self._answer(self.path.lstrip("/"))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self._ended()

    def _ended(self) -> None:
        """Count a request as over; called before the first byte of the answer, for the asker may go on from there."""
        if not self.is_over:
            self.is_over = True
            self.world.open_now -= 1

    def _answer(self, path: str) -> None:
        world = self.world
        if path in world.gone:
            return self._send(410, b"gone")
        if path in world.moved:
            status, target = world.moved[path]
            return self._send(status, b"", Location=target)
        if path in world.pages:
            return self._page(world.pages[path], world.types.get(path, "application/rss+xml"))
        return getattr(self, f"_{path.partition('-')[0]}", self._missing)(path.partition("-")[2])

    def _page(self, content: bytes, kind: str) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            return self._send(304, b"", ETag=etag)
        return self._send(
            200, content, ETag=etag, **{"Content-Type": kind, "Last-Modified": "Wed, 25 Nov 2026 08:00:00 GMT"}
        )

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        time.sleep(0.01)
        self._ended()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _missing(self, _):
        self._send(404, b"no")

    def _loop(self, number):
        self._send(302, b"", Location=f"/loop-{int(number or 0) + 1}")

    def _busy(self, wait):
        self._send(429, b"", **({"Retry-After": wait} if wait else {}))

    def _status(self, code):
        self._send(int(code), b"x")

    def _packed(self, how):
        content = rss("packed")
        pack = {
            "gzip": gzip.compress,
            "deflate": zlib.compress,
            "br": brotli.compress,
            "raw": lambda c: zlib.compress(c)[2:-4],
        }
        self._send(200, pack[how](content), **{"Content-Encoding": "deflate" if how == "raw" else how})

    def _bomb(self, how):
        zeros = bytes(20_000_000)
        content = gzip.compress(zeros, 1) if how == "gzip" else brotli.compress(zeros, quality=1)
        self._send(200, content, **{"Content-Encoding": how})

    def _broken(self, how):
        self._send(200, b"no such thing at all", **{"Content-Encoding": how})

    def _large(self, _):
        self._send(200, b"x" * 6_000_000)

    def _drip(self, what):
        self.send_response(200)
        if what == "headers":
            for _ in range(100):
                self.wfile.write(b"X-Slow: 1\r\n")
                self.wfile.flush()
                time.sleep(0.1)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)

    def _short(self, _):
        self._ended()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x")

    def _garbage(self, _):
        self._ended()
        self.wfile.write(b"\x00\x01\x02 nothing of HTTP\r\n\r\n")
