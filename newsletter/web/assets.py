"""``/assets/style.css`` and ``/robots.txt``: the one style sheet of the pages, and what crawlers should leave alone."""

import hashlib

from flask import Flask, Response, request

from newsletter.web.desk import Desk

_YEAR_S, _HOUR_S = 31_536_000, 3600
_PERSONAL = ("confirm", "preferences", "change", "unsubscribe", "rejoin", "hooks")


def register(app: Flask, desk: Desk) -> None:
    """Serve the style sheet, made once, and robots.txt."""

    def style() -> Response:
        response = Response(desk.style, content_type="text/css; charset=utf-8")
        is_named = request.args.get("v") == _version(desk)
        age = f"public, max-age={_YEAR_S}, immutable" if is_named else f"public, max-age={_HOUR_S}"
        response.headers["Cache-Control"] = age
        return response

    def robots() -> Response:
        lines = ["User-agent: *", *(f"Disallow: /{each}/" for each in _PERSONAL)]
        response = Response("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")
        response.headers["Cache-Control"] = f"public, max-age={_HOUR_S}"
        return response

    app.add_url_rule("/assets/style.css", "style", style, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/robots.txt", "robots", robots, methods=["GET"], provide_automatic_options=False)


def style_path(desk: Desk) -> str:
    """Return the path of the style sheet, with its version, so that it may be kept for good."""
    return f"/assets/style.css?v={_version(desk)}"


def _version(desk: Desk) -> str:
    return hashlib.sha256(desk.style.encode()).hexdigest()[:12]
