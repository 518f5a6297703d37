"""Keep the pages safe: headers on every answer, limits on every body, no request from another site's page, kind errors.

There is no session and no cookie, so nothing can be forged across sites but by who has the token. Browsers say where a
request comes from (Sec-Fetch-Site); one from another site's page is refused all the same, save where such are meant:
the subscribe form, which may stand on any page, and what mail providers and webhooks post.
"""

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from newsletter.errors import StoreError
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, path_to, render_notice, words_for

FORM_MAX, HOOK_MAX = 16 * 1024, 1024 * 1024
"""Octets of the body of a form, and of what a provider posts."""
FORM_PARTS_MAX = 200
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ARCHIVE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https: data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}
_FROM_ANYWHERE = frozenset({"subscribe", "leave", "hook"})
"""Endpoints that other sites may post to: they take no token, or are told by mail providers to leave."""
_INDEXED = frozenset({"subscribe_form", "archive", "archive_index", "style", "robots"})
"""Endpoints that search engines may show, and caches may keep."""
_log = logging.getLogger(__name__)


def protect(app: Flask, desk: Desk) -> None:
    """Put limits, headers and error pages around every page of ``app``."""
    app.config.update(
        MAX_CONTENT_LENGTH=FORM_MAX, MAX_FORM_MEMORY_SIZE=FORM_MAX, MAX_FORM_PARTS=FORM_PARTS_MAX, SECRET_KEY=None
    )

    def look_first() -> Response | None:
        if request.endpoint == "hook":
            request.max_content_length = HOOK_MAX
        is_foreign = request.headers.get("Sec-Fetch-Site", "") == "cross-site"
        if request.method == "POST" and is_foreign and request.endpoint not in _FROM_ANYWHERE:
            return _foreign(desk)
        return None

    def add_headers(response: Response) -> Response:
        is_archive = (request.endpoint or "").startswith("archive")
        response.headers.setdefault("Content-Security-Policy", ARCHIVE_POLICY if is_archive else POLICY)
        # Mails and feeds show the pictures of the archive.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin" if is_archive else "same-origin"
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint not in _INDEXED:
            response.headers.setdefault("X-Robots-Tag", "noindex")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Vary", "Accept-Language")
        return response

    app.before_request(look_first)
    app.after_request(add_headers)
    app.register_error_handler(HTTPException, lambda error: _error_page(desk, error))
    app.register_error_handler(StoreError, lambda error: _store_page(desk, error))
    app.register_error_handler(Exception, lambda error: _bug_page(desk, error))


def _foreign(desk: Desk) -> Response:
    catalog = words_for(desk)
    say = catalog.text
    lines = (say("It was asked for by a page of another site. Please open the link from our mail itself."),)
    return render_notice(desk, catalog, Notice(heading=say("Nothing was changed"), lines=lines, status=403))


def _error_page(desk: Desk, error: HTTPException) -> Response:
    """Return the page for an error of HTTP, in kind words."""
    catalog = words_for(desk)
    say = catalog.text
    code = error.code or 500
    if code == 404:
        heading, line = say("There is no such page"), say("Please look at the address again.")
    elif code == 405:
        heading, line = say("This cannot be done here"), say("Please go back, and use the buttons on the page.")
    elif code == 413:
        heading, line = say("That is too much"), say("What you sent is too large. Please write less, and try again.")
    else:
        heading, line = say("That did not work"), say("Please go back and try again.")
    links = ((say("To the first page"), path_to("")),)
    response = render_notice(desk, catalog, Notice(heading=heading, lines=(line,), links=links, status=code))
    if code == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ("GET",)))
    return response


def _store_page(desk: Desk, error: StoreError) -> Response:
    """Return the page for a store that cannot be used now: what was asked was not done, and may be tried again."""
    _log.error("the store cannot be used: %s", error)
    catalog = words_for(desk)
    say = catalog.text
    lines = (say("Something is being repaired here. Nothing was changed. Please try again in a few minutes."),)
    response = render_notice(desk, catalog, Notice(heading=say("Please try again soon"), lines=lines, status=503))
    response.headers["Retry-After"] = "120"
    return response


def _bug_page(desk: Desk, error: Exception) -> Response:
    """Return the page for a bug; what happened stands in the log alone."""
    _log.error("a bug of a page", exc_info=error)
    catalog = words_for(desk)
    say = catalog.text
    lines = (say("This is our mistake, not yours. Please try again later."),)
    return render_notice(desk, catalog, Notice(heading=say("That did not work"), lines=lines, status=500))
