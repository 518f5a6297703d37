"""Listen at an address with waitress, answer in threads, and end in order: what every server of pages shares.

What the pages are is given as a WSGI application; which options a server needs is said where it is opened.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from newsletter.errors import ConfigError

_IDLE_S = 60
_SHUTDOWN_S = 10.0


class Server:
    """Listen at an address with some threads; ``port`` is the one that was taken where 0 was asked for."""

    def __init__(self, app: Callable[..., Iterable[bytes]], host: str, port: int, threads: int, **options: Any) -> None:
        """Listen; raise ConfigError where that address cannot be had. ``options`` are waitress' own."""
        from waitress.server import create_server

        self._map: dict[int, Any] = {}
        try:
            self._server: Any = create_server(
                app,
                map=self._map,
                host=host,
                port=port,
                threads=threads,
                ident="",
                max_request_header_size=32 * 1024,
                channel_timeout=_IDLE_S,
                connection_limit=1000,
                **options,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot listen at {host}:{port}: {reason}; choose another port") from None
        listening = getattr(self._server, "effective_listen", None) or [(host, self._server.effective_port)]
        self.host, self.port = host, int(listening[0][1])

    def run(self, stop: threading.Event) -> None:
        """Answer requests until ``stop`` is set, then those that were begun, for ten seconds at the most."""
        while not stop.is_set():
            self._turn(0.5)
        self._stop_listening()
        end = time.monotonic() + _SHUTDOWN_S
        while self._is_busy() and time.monotonic() < end:
            self._turn(0.05)
        self._server.task_dispatcher.shutdown()
        self.close()

    def close(self) -> None:
        """Close every socket."""
        from waitress import wasyncore

        wasyncore.close_all(self._map)

    def _turn(self, timeout_s: float) -> None:
        from waitress import wasyncore

        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)

    def _stop_listening(self) -> None:
        from waitress import wasyncore
        from waitress.server import BaseWSGIServer

        for each in [one for one in self._map.values() if isinstance(one, BaseWSGIServer)]:
            wasyncore.dispatcher.close(each)

    def _is_busy(self) -> bool:
        """Tell whether a request was begun that is not answered to its end."""
        from waitress.channel import HTTPChannel

        channels = [each for each in self._map.values() if isinstance(each, HTTPChannel)]
        return any(each.requests or each.request or each.total_outbufs_len for each in channels)
