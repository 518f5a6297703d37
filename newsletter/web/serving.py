"""Serve the pages: put a server together from the configuration, and post letters beside it.

Its loop is ``listening``'s; what a page does stands in its own module.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
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
from newsletter.web.listening import Server

if TYPE_CHECKING:
    from flask import Flask


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


@contextmanager
def open_server(office: PostOffice, desk: Desk, host: str, port: int, threads: int) -> Iterator[Server]:
    """Listen, and post letters beside it as long as the block lasts; ``Server.run`` answers requests.

    Raises ConfigError where the address cannot be had.
    """
    postman = Postman(desk.store, office)
    rung = replace(desk, ring=postman.ring)
    try:
        server = Server(
            wsgi_app(rung),
            host,
            port,
            threads,
            url_prefix=urlsplit(desk.identity.url).path,
            max_request_body_size=HOOK_MAX,
            # ProxyFix reads these headers, and only where proxies are configured.
            clear_untrusted_proxy_headers=not desk.web.proxies,
        )
    except ConfigError as error:
        raise ConfigError(f"[web] host, port: {error}") from None
    try:
        with postman:
            yield server
    finally:
        server.close()
