"""``/archive/…``: the files of the static archive that ``newsletter site`` wrote, as any web server would serve them.

Only files below the folder are served, whatever a path says and wherever a link points. ``/archive/SLUG``, the address
that every mail has, leads to ``/archive/SLUG/``, so that the page's own links are right.
"""

import mimetypes
import os
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, abort, request, send_file

from newsletter.web.desk import Desk

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
_FEEDS = {"atom.xml": "application/atom+xml", "rss.xml": "application/rss+xml"}
_PAGE_S, _IMAGE_S = 300, 86_400


def register(app: Flask, desk: Desk) -> None:
    """Serve the files of the archive."""

    def serve(path: str = "") -> Response:
        return _serve(desk, path)

    for rule, name in (("/archive/", "archive_index"), ("/archive/<path:path>", "archive")):
        app.add_url_rule(rule, name, serve, methods=["GET"], provide_automatic_options=False)


def _serve(desk: Desk, path: str) -> Response:
    file = find_file(desk.archive, path)
    if file is None:
        abort(404)
    if file.name == "index.html" and not request.path.endswith("/") and not path.endswith("index.html"):
        return _to_folder(path)
    response = send_file(file, mimetype=type_of(file), conditional=True, etag=True, max_age=None)
    is_image = type_of(file).startswith(("image/", "font/"))
    response.headers["Cache-Control"] = f"public, max-age={_IMAGE_S if is_image else _PAGE_S}"
    if file.suffix == ".svg":  # a picture may hold a script, which must not run as one of our pages
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response


def _to_folder(path: str) -> Response:
    """Lead to the folder's page by a relative address, which no Host can forge."""
    name = path.rstrip("/").rpartition("/")[2] or "archive"
    return Response("", 301, headers={"Location": f"{quote(name)}/", "Cache-Control": f"public, max-age={_PAGE_S}"})


def find_file(folder: Path, path: str) -> Path | None:
    """Return the file that ``path`` means below ``folder``: itself, its ``index.html``, or with ``.html``; else None.

    Hidden files, paths that leave the folder, and links that lead out of it mean nothing.
    """
    pieces = [piece for piece in path.split("/") if piece]
    if any(piece.startswith(".") or "\\" in piece or "\0" in piece for piece in pieces):
        return None
    base = folder.joinpath(*pieces)
    for candidate in (base, base / "index.html", base.with_name(f"{base.name}.html") if pieces else base):
        try:
            real = candidate.resolve(strict=True)
            if real.is_file() and real.is_relative_to(folder.resolve()) and os.access(real, os.R_OK):
                return real
        except (OSError, ValueError, RuntimeError):
            continue
    return None


def type_of(file: Path) -> str:
    """Return the media type of a file by its name; what is not known is an octet-stream, which no browser runs."""
    known = _FEEDS.get(file.name) or _TYPES.get(file.suffix.lower())
    guessed = known or mimetypes.guess_type(file.name)[0] or ""
    return guessed if known or guessed.startswith("image/") else "application/octet-stream"
