"""The pages of the preview: one with everything on it, the mail for its frames, and the few things that it can do.

Every path begins with a secret of this run. The frames have one of their own, which opens nothing but the mail and its
pictures: what stands in a mail never learns the other. Nothing in a mail can run: no script is allowed there, by the
frame's sandbox and by the policy of its own answer. Requests that name another host than this machine are refused (a
name that a stranger's DNS leads here), and so is whatever another site posts.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from newsletter.body_rules import HTML_MAX
from newsletter.config import Project, find_issue, list_slugs
from newsletter.errors import InputError, NewsletterError
from newsletter.preview.answers import Note, Shown
from newsletter.preview.frames import DARK, LIGHT, frame_html
from newsletter.preview.readers import find_reader
from newsletter.preview.studio import State, Studio

BODY_MAX = 4096
"""Bytes that a request may have."""
_WAIT_S = 20.0
_ASSETS = Path(__file__).parent / "assets"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; font-src https:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Hold what the pages share.

    ``token`` opens the page, ``frame_token`` the mail alone. ``send_proof`` mails an issue to an address and returns
    whether it was accepted, with the words of the answer; ``proof_to`` is whom the page offers at first.
    """

    studio: Studio
    token: str
    frame_token: str
    send_proof: Callable[[Path, str], tuple[bool, str]]
    proof_to: str = ""


def make_app(front: Front) -> Flask:
    """Return the WSGI application."""
    app = Flask("newsletter.preview", static_folder=None, template_folder=None)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.config.update(MAX_CONTENT_LENGTH=BODY_MAX)
    _protect(app, front)
    _serve_page(app, front)
    _serve_mail(app, front)
    _serve_wishes(app, front)
    return app


# ---------------------------------------------------------------------------------------------------------------------
# Who may ask
# ---------------------------------------------------------------------------------------------------------------------


def _protect(app: Flask, front: Front) -> None:
    def look_first() -> Response | None:
        host = request.host.rpartition(":")[0] or request.host
        if host not in ("127.0.0.1", "localhost"):
            return _words("this preview is for this machine alone", 421)
        wanted = front.frame_token if (request.endpoint or "").startswith("frame") else front.token
        given = str((request.view_args or {}).pop("token", ""))
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            return _words("open the address that 'newsletter preview' printed", 404)
        return _refuse_foreign() if request.method == "POST" else None

    def add_headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
        return response

    app.before_request(look_first)
    app.after_request(add_headers)
    app.register_error_handler(NewsletterError, lambda error: _words(str(error), 422))


def _refuse_foreign() -> Response | None:
    """Refuse what another site's page posts: such a page can send no JSON, and browsers say where it is from."""
    is_own = request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    origin = request.headers.get("Origin", f"http://{request.host}")
    if request.mimetype == "application/json" and is_own and origin == f"http://{request.host}":
        return None
    return _words("this was not asked by the preview's own page", 403)


def _words(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# The page
# ---------------------------------------------------------------------------------------------------------------------


def _serve_page(app: Flask, front: Front) -> None:
    shell = (_ASSETS / "page.html").read_text(encoding="utf-8")

    def page() -> Response:
        if not request.path.endswith("/"):  # what the page asks for stands below it
            return _words("open the address that 'newsletter preview' printed", 404)
        content = json.dumps(_content(front, front.studio.state), ensure_ascii=True).replace("<", "\\u003c")
        return Response(shell.replace("{state}", content), content_type="text/html; charset=utf-8")

    def style() -> Response:
        return Response((_ASSETS / "style.css").read_text(encoding="utf-8"), content_type="text/css; charset=utf-8")

    def script() -> Response:
        text = (_ASSETS / "preview.js").read_text(encoding="utf-8")
        return Response(text, content_type="text/javascript; charset=utf-8")

    def state() -> Response:
        after = request.args.get("after", "0")
        found = front.studio.wait(int(after) if after.isdecimal() else 0, _WAIT_S)
        return _json(_content(front, found))

    def source() -> Response:
        text = front.studio.state.source.get(request.args.get("file", ""))
        return _words("no such file", 404) if text is None else _json({"text": text})

    _rule(app, "/<token>/", "page", page)
    _rule(app, "/<token>/style.css", "style", style)
    _rule(app, "/<token>/preview.js", "script", script)
    _rule(app, "/<token>/state", "state", state)
    _rule(app, "/<token>/source", "source", source)


def _content(front: Front, state: State) -> dict[str, Any]:
    """Return what the page is made of."""
    project = front.studio.project
    return {
        "number": state.number,
        "mail": state.mail,
        "frames": f"/frame/{front.frame_token}",
        "issue": state.issue.stem,
        "issues": _issues(project, state.issue),
        "reader": {"key": state.reader.key, "label": state.reader.label},
        "proofTo": front.proof_to,
        "clip": HTML_MAX,
        "failed": [_note(note) for note in state.failed],
        "found": [_note(note) for note in state.found],
        "checked": state.is_checked,
        "files": sorted(state.source),
        "shown": _shown(project, state, state.shown) if state.shown else None,
    }


def _shown(project: Project, state: State, shown: Shown) -> dict[str, Any]:
    at = state.shown_at.astimezone(project.zone) if state.shown_at else None
    sizes = shown.sizes
    return {
        "title": shown.title,
        "sender": shown.sender,
        "address": shown.address,
        "subject": shown.subject,
        "snippet": shown.snippet,
        "sendAt": shown.send_at,
        "text": shown.text,
        "headers": shown.headers,
        "variant": shown.variant,
        "sizes": {name: getattr(sizes, name) for name in sizes.__struct_fields__},
        "fields": [{"name": each.name, "value": each.value, "default": each.is_default} for each in shown.fields],
        "at": f"{at:%H:%M:%S}" if at else "",
        "ms": round(shown.seconds * 1000),
    }


def _note(note: Note) -> dict[str, Any]:
    return {name: getattr(note, name) for name in note.__struct_fields__}


def _issues(project: Project, issue: Path) -> list[str]:
    """Return the slugs to choose from, the newest first; a file from elsewhere stands before them."""
    slugs = list_slugs(project)[::-1]
    return slugs if issue.stem in slugs else [issue.stem, *slugs]


def _json(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), content_type="application/json; charset=utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# The mail in its frames
# ---------------------------------------------------------------------------------------------------------------------


def _serve_mail(app: Flask, front: Front) -> None:
    def mail(number: int) -> Response:  # the number keeps frames from showing an older one
        shown = front.studio.state.shown
        if shown is None:
            return _words(f"there is no mail {number} yet", 404)
        scheme = DARK if request.args.get("scheme") == DARK else LIGHT
        base = f"/frame/{front.frame_token}/picture"
        places = {address: f"{base}/{picture.name}" for address, picture in shown.pictures.items()}
        response = Response(frame_html(shown.html, scheme, places), content_type="text/html; charset=utf-8")
        images = "'none'" if request.args.get("images") == "off" else "'self' https: http: data:"
        response.headers["Content-Security-Policy"] = _MAIL_POLICY.format(images=images)
        return response

    def picture(name: str) -> Response:
        shown = front.studio.state.shown
        for each in shown.pictures.values() if shown else ():
            if each.name == name:
                response = Response(each.content, content_type=each.media_type)
                response.headers["Cache-Control"] = "private, max-age=3600, immutable"
                response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
                return response
        return _words("no such picture", 404)

    _rule(app, "/frame/<token>/mail/<int:number>", "frame_mail", mail)
    _rule(app, "/frame/<token>/picture/<name>", "frame_picture", picture)


# ---------------------------------------------------------------------------------------------------------------------
# What the page can ask for
# ---------------------------------------------------------------------------------------------------------------------


def _serve_wishes(app: Flask, front: Front) -> None:
    studio = front.studio

    def choose_issue() -> Response:
        slug = _wish("issue")
        if slug != studio.state.issue.stem:
            if slug not in list_slugs(studio.project):
                raise InputError(f"there is no issue {slug[:100]!r}")
            studio.choose(issue=find_issue(studio.project, slug))
        return _json({})

    def choose_reader() -> Response:
        studio.choose(reader=find_reader(studio.project, _wish("reader")))
        return _json({})

    def proof() -> Response:
        if studio.state.failed:
            raise InputError("the issue does not compile as it stands; mend it first")
        accepted, words = front.send_proof(studio.state.issue, _wish("to"))
        return _json({"accepted": accepted, "words": words})

    for name, view in (("issue", choose_issue), ("reader", choose_reader), ("proof", proof)):
        app.add_url_rule(f"/<token>/{name}", name, view, methods=["POST"], provide_automatic_options=False)


def _wish(name: str) -> str:
    """Return a text of the JSON object that was posted; raise InputError for anything else."""
    posted = request.get_json(silent=True)
    value = posted.get(name) if isinstance(posted, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"'{name}' is missing")
    return value


def _rule(app: Flask, path: str, name: str, view: Callable[..., Response]) -> None:
    app.add_url_rule(path, name, view, methods=["GET"], provide_automatic_options=False)
