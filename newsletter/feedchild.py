"""Read feeds in child processes that end where one costs too much; they stay warm, so that hundreds go fast.

A child may use ``CPU_MAX_S`` seconds of the processor for one feed and ``MEMORY_MAX`` bytes in all. Where it ends, that
feed has failed, and the next one gets a new child. Nothing of this process is at stake: the child holds no connection,
no store and no secret, and is told nothing but the bytes.
"""

import contextlib
import queue
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from newsletter.childprocess import AskedChild, read_frame, write_frame
from newsletter.errors import FeedError
from newsletter.feed import ParsedFeed

CPU_MAX_S = 2.0
"""Processor time for one feed."""
MEMORY_MAX = 200 * 1024 * 1024
"""Bytes that a child may have of its own."""
_WALL_MAX_S = 60.0
"""Seconds that one feed may take on a machine that has other things to do."""


class _Request(msgspec.Struct, array_like=True, frozen=True):
    url: str
    content_type: str
    content: bytes


class _Reply(msgspec.Struct, array_like=True, frozen=True):
    feed: ParsedFeed | None
    error: str = ""


class FeedReaders:
    """Hold up to ``count`` children; a context manager that ends them. Threads may share it."""

    def __init__(self, count: int = 2, cpu_s: float = CPU_MAX_S) -> None:
        self._cpu_s = cpu_s
        self._children: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(count):
            self._children.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while True:
            try:
                child = self._children.get_nowait()
            except queue.Empty:
                return
            if child is not None:
                child.close()

    def peaks_kb(self) -> list[int]:
        """Return the most memory, in kilobytes, that each child that waits has had so far, where the system tells."""
        with self._children.mutex:
            waiting = [child for child in self._children.queue if child is not None]
        return [peak for child in waiting if (peak := child.peak_kb())]

    def parse(self, content: bytes, content_type: str = "", url: str = "") -> ParsedFeed:
        """Return what ``content`` holds, as ``feedparse.parse_feed`` reads it; raise FeedError where it cannot."""
        child = self._children.get()
        try:
            if child is None:
                child = _Child(self._cpu_s)
            return child.parse(_Request(url, content_type, content))
        except _ChildEndedError as error:
            assert child is not None
            child.close()
            child = None
            raise FeedError(f"cannot be read: {error}") from None
        finally:
            self._children.put(child)


class _ChildEndedError(Exception):
    """Raise where a child ended, or had to be ended, over a feed."""


class _Child:
    def __init__(self, cpu_s: float) -> None:
        self._child = AskedChild("newsletter.feedchild", str(cpu_s))

    def parse(self, request: _Request) -> ParsedFeed:
        try:
            answer = self._child.ask(msgspec.msgpack.encode(request), _WALL_MAX_S)
        except TimeoutError:
            raise _ChildEndedError("it took too long") from None
        except OSError:
            raise _ChildEndedError(self._why()) from None
        reply = msgspec.msgpack.decode(answer, type=_Reply)
        if reply.feed is None:
            raise FeedError(reply.error)
        return reply.feed

    def _why(self) -> str:
        is_slow = self._child.ending() == -signal.SIGPROF
        return "it costs too much time" if is_slow else "it costs too much, or breaks the reader"

    def peak_kb(self) -> int:
        """Return the most memory that the child has had, 0 where the system does not tell."""
        try:
            status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)

    def close(self) -> None:
        """End the child; closing twice does nothing."""
        self._child.close()


# ---------------------------------------------------------------------------------------------------------------------
# In the child
# ---------------------------------------------------------------------------------------------------------------------


def serve(cpu_s: str) -> None:
    """Answer one request after the other until standard input ends; what runs in a child."""
    _limit_memory()
    while (body := read_frame(sys.stdin.buffer)) is not None:
        signal.setitimer(signal.ITIMER_PROF, float(cpu_s))  # its signal ends the process, native code or not
        reply = _answer(body)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_frame(sys.stdout.buffer, msgspec.msgpack.encode(reply))


def _answer(body: bytes) -> _Reply:
    from newsletter.feedparse import parse_feed

    request = msgspec.msgpack.decode(body, type=_Request)
    try:
        return _Reply(parse_feed(request.content, request.content_type, request.url))
    except FeedError as error:
        return _Reply(None, str(error))
    except MemoryError:
        return _Reply(None, "cannot be read: it costs too much memory")
    except Exception as error:  # a reader of foreign bytes may fail in any way; that is news of the feed
        return _Reply(None, f"cannot be read: {type(error).__name__}")


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # best effort where the system has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MAX, MEMORY_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
