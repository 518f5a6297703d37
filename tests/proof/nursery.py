"""Fork processes that send, be their relay, and kill them: for a process of a single thread, which alone may fork."""

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from proof.relay import Relay

MODULES = {"sqlite": "sqlite", "postgresql": "postgres"}


def in_child(work: Callable[[], Any]) -> None:
    """Do the work of a forked child, and end without any clean-up of the parent's; what it returns is its status."""
    code = 99
    try:
        code = work() or 0
    except BaseException:  # told on stderr, and by the status
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def warm_up(store: str) -> None:
    """Load once what every child would load for itself: a child costs a few milliseconds then, not a hundred."""
    for name in (f"newsletter.store.{MODULES[store]}", "email.feedparser", "encodings.idna", "smtplib", "ssl"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


class Nursery:
    """Hold the living children, and answer their mail."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.living: dict[int, int] = {}
        self.statuses: list[int] = []
        """How children ended that were not killed."""

    def bear(self, work: Callable[[], Any]) -> int:
        """Fork a child that does ``work``; return its process id."""
        pid = os.fork()
        if pid == 0:
            self.relay.close_child()
            for descriptor in self.living.values():
                os.close(descriptor)
            in_child(work)
        self.living[pid] = os.pidfd_open(pid)
        self.relay.register(self.living[pid])
        return pid

    def kill(self, pid: int) -> None:
        """Kill a child as the kernel does when memory is short."""
        os.kill(pid, signal.SIGKILL)

    def serve(self, seconds: float) -> int:
        """Answer the mail of at most ``seconds``; return how many children ended."""
        if not self.relay.serve(seconds):
            return 0
        return sum(self._reap(pid) for pid in list(self.living))

    def wait(self) -> None:
        """Serve until every child has ended."""
        while self.living:
            self.serve(5)
        self.relay.drain()

    def _reap(self, pid: int) -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            return False
        descriptor = self.living.pop(pid)
        self.relay.unregister(descriptor)
        os.close(descriptor)
        if not os.WIFSIGNALED(status):
            self.statuses.append(os.waitstatus_to_exitcode(status))
        return True
