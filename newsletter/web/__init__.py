"""The web pages between the newsletter and its readers: one module a concern, named like its address.

``make_app`` puts them together over a ``Desk``, which holds what they share. GET and HEAD never change anything, no
page sets a cookie, none needs a script. What a wish does is ``consent``'s; listening, threads and signals are
``serving``'s.
"""

from typing import TYPE_CHECKING

from newsletter.web.desk import Desk, Hook, HookAnswer, HookRequest

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Desk", "Hook", "HookAnswer", "HookRequest", "make_app"]


def make_app(desk: Desk) -> "Flask":
    """Return the WSGI application."""
    from flask import Flask

    from newsletter.web import (
        archive,
        assets,
        change,
        confirm,
        guard,
        healthz,
        hooks,
        preferences,
        rejoin,
        subscribe,
        unsubscribe,
    )

    app = Flask("newsletter", static_folder=None, template_folder=None)
    # Neither may lead anywhere by itself: such an answer would hold the Host that the client named.
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    guard.protect(app, desk)
    for concern in (
        subscribe,
        confirm,
        preferences,
        change,
        unsubscribe,
        rejoin,
        archive,
        hooks,
        healthz,
        assets,
    ):
        concern.register(app, desk)
    return app
