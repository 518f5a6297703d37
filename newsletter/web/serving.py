"""Serve the pages: listen, answer in threads, post letters beside it, and end in order when told to.

A server's loop, its signals and what it is put together from stand here; what a page does stands in its own module.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from newsletter.catalogs import Catalog, load_catalog
from newsletter.config import Project
from newsletter.dkim import Signer
from newsletter.errors import ConfigError
from newsletter.identity import identity_of
from newsletter.letters import LetterFrame
from newsletter.outbox import Postman, PostOffice
from newsletter.pagetemplates import open_templates, palette
from newsletter.smtp import Connection
from newsletter.store import Store
from newsletter.tokens import Keys
from newsletter.web import Desk, Hook, make_app
from newsletter.web.guard import HOOK_MAX

if TYPE_CHECKING:
    from flask import Flask

_IDLE_S = 60
_SHUTDOWN_S = 10.0


class Words:
    """Read each catalog once; the newsletter's own language stands for ``""``."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._read: dict[str, Catalog] = {}

    def __call__(self, tag: str) -> Catalog:
        """Return the words of pages and letters for a language tag."""
        tag = tag or self._own
        if tag not in self._read:
            self._read[tag] = load_catalog(tag, "web")
        return self._read[tag]


def open_desk(
    project: Project,
    store: Store,
    keys: Keys,
    *,
    clock: Callable[[], dt.datetime],
    hooks: Mapping[str, Hook] | None = None,
) -> Desk:
    """Return what the pages of a project share; raise ConfigError where there can be no pages."""
    newsletter = project.config.newsletter
    if not newsletter.url:
        raise ConfigError("[newsletter] url: the pages need an address of their own; write 'https://news.example.org'")
    templates = open_templates(project.templates_dir)
    desk = Desk(
        newsletter=newsletter,
        web=project.config.web,
        # Letters that pages ask for lead back to the pages, also while issues still tell to leave by mail.
        identity=replace(identity_of(newsletter), unsubscribe="web"),
        store=store,
        keys=keys,
        templates=templates,
        words=Words(newsletter.language),
        clock=clock,
        archive=project.root / project.config.web.site / "archive",
        style=templates.get_template("web/style.css.j2").render(theme=palette(project.config.theme)),
        hooks=hooks or {},
    )
    desk.lists()
    return desk


def open_office(
    project: Project, desk: Desk, connect: Callable[[], Connection], dkim: Signer | None = None
) -> PostOffice:
    """Return what posting letters needs; ``connect`` opens a connection to the relay, ``dkim`` signs."""
    return PostOffice(
        frame=LetterFrame(
            identity=desk.identity,
            keys=desk.keys,
            theme=project.config.theme,
            templates=desk.templates,
            postal_address=desk.newsletter.postal_address,
            dkim=dkim,
        ),
        limits=desk.limits,
        catalog_of=desk.words,
        connect=connect,
        clock=desk.clock,
    )


def wsgi_app(desk: Desk) -> Callable[..., Iterable[bytes]]:
    """Return the application as a server runs it: behind as many proxies as ``[web] proxies`` says.

    Only what those proxies wrote of a client is believed; without any, the client is who connects.
    """
    from werkzeug.middleware.proxy_fix import ProxyFix

    app: Flask = make_app(desk)
    if desk.web.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=desk.web.proxies, x_proto=desk.web.proxies)  # type: ignore[method-assign]
    return app


class Server:
    """Listen at an address with some threads; ``port`` is the one that was taken where 0 was asked for."""

    def __init__(self, desk: Desk, host: str, port: int, threads: int) -> None:
        """Listen; raise ConfigError where that address cannot be had."""
        from waitress.server import create_server

        self._map: dict[int, Any] = {}
        try:
            self._server: Any = create_server(
                wsgi_app(desk),
                map=self._map,
                host=host,
                port=port,
                threads=threads,
                ident="",
                url_prefix=urlsplit(desk.identity.url).path,
                max_request_body_size=HOOK_MAX,
                max_request_header_size=32 * 1024,
                channel_timeout=_IDLE_S,
                connection_limit=1000,
                # ProxyFix reads these headers, and only where proxies are configured.
                clear_untrusted_proxy_headers=not desk.web.proxies,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"[web] host, port: cannot listen at {host}:{port}: {reason}; choose another") from None
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


@contextmanager
def open_server(office: PostOffice, desk: Desk, host: str, port: int, threads: int) -> Iterator[Server]:
    """Listen, and post letters beside it as long as the block lasts; ``Server.run`` answers requests.

    Raises ConfigError where the address cannot be had.
    """
    postman = Postman(desk.store, office)
    server = Server(replace(desk, ring=postman.ring), host, port, threads)
    try:
        with postman:
            yield server
    finally:
        server.close()
