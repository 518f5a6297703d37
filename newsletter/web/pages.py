"""Render pages: in the reader's language, with the newsletter's colours, complete with the headers that keep them safe.

The language is what the reader chose on a page (``?lang=``), else the subscriber's own, else what the browser asks for,
else the newsletter's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Response, request

from newsletter.catalogs import CATALOGS, Catalog, match_catalog
from newsletter.web.assets import style_path
from newsletter.web.desk import Desk

LANGUAGES = {"en": "English", "fr": "Français", "zh-Hans": "简体中文"}
"""Languages that the pages speak, by tag, each in its own words."""


@dataclass(frozen=True, slots=True)
class Press:
    """Describe one button of a message: where it posts to and what it carries; ``is_quiet`` for a second choice."""

    label: str
    action: str
    fields: tuple[tuple[str, str], ...] = ()
    is_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Hold a page that says something: a heading, a few lines, buttons and links."""

    heading: str
    lines: tuple[str, ...] = ()
    buttons: tuple[Press, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    status: int = 200


def language_of(desk: Desk, own: str = "") -> str:
    """Return the tag of the language to speak; ``own`` is the subscriber's, where one is known."""
    chosen = request.args.get("lang", "")
    if chosen in LANGUAGES:
        return chosen
    if own:
        return _spoken(own)
    for tag, _ in request.accept_languages:
        found = match_catalog(tag)
        if found != CATALOGS[0] or tag.lower().startswith("en"):
            return _spoken(tag)
    return _spoken(desk.newsletter.language)


def _spoken(tag: str) -> str:
    return match_catalog(tag).replace("_", "-")


def words_for(desk: Desk, own: str = "") -> Catalog:
    """Return the words in the language to speak."""
    return desk.words(language_of(desk, own))


def render_page(desk: Desk, page: str, catalog: Catalog, *, status: int = 200, **context: Any) -> Response:
    """Return the page of the template ``web/NAME.html.j2``."""
    root, chosen = request.script_root, request.args.get("lang", "")
    html = desk.templates.get_template(f"web/{page}.html.j2").render(
        t=catalog.text,
        date=catalog.date,
        lang=catalog.tag,
        spoken=_spoken(catalog.tag),
        lang_query=f"?lang={chosen}" if chosen in LANGUAGES else "",
        dir=catalog.direction,
        languages=LANGUAGES,
        languages_here=f"{root}{quote(request.path)}",
        root=root,
        title=desk.identity.title,
        tagline=desk.newsletter.tagline,
        postal_lines=desk.newsletter.postal_address.splitlines(),
        style=style_path(desk),
        has_archive=desk.archive.is_dir(),
        **context,
    )
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Language"] = catalog.tag
    return response


def render_notice(desk: Desk, catalog: Catalog, notice: Notice) -> Response:
    """Return the page of a notice."""
    return render_page(desk, "notice", catalog, status=notice.status, notice=notice)


def bad_link(desk: Desk, catalog: Catalog | None = None) -> Response:
    """Return the page for a token that is forged, damaged, or of a key that was retired."""
    catalog = catalog or words_for(desk)
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("This link does not work"),
            lines=(
                say(
                    "Perhaps a part of it got lost on the way. Please open it from the mail itself, or copy all of it."
                ),
                say("You can also have a new link to your preferences sent to you."),
            ),
            links=((say("Send me a new link"), path_to("preferences")),),
            status=404,
        ),
    )


def nobody(desk: Desk, catalog: Catalog) -> Response:
    """Return the page for a link that is a proof's, or of somebody who was erased."""
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("Nobody is subscribed with this link"),
            lines=(
                say("It comes from a proof, or its subscription was erased. You get no mail from us because of it."),
            ),
            links=((say("Subscribe"), path_to("subscribe")),),
            status=404,
        ),
    )


def must_not_mail(desk: Desk, catalog: Catalog) -> Response:
    """Return the page for an address that must not be mailed."""
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("We cannot send to this address"),
            lines=(
                say("Mail to it came back, or its owner asked never to be mailed again."),
                say("Please subscribe with another address, or write to us: {address}", address=reply_address(desk)),
            ),
            links=((say("Subscribe"), path_to("subscribe")),),
            status=409,
        ),
    )


def reply_address(desk: Desk) -> str:
    """Return the address at which people answer."""
    return (desk.identity.reply_to or desk.identity.sender).address


def path_to(*parts: str) -> str:
    """Return the path of a page, in the language that was chosen; never an address with a Host, which may be forged."""
    chosen = request.args.get("lang", "")
    query = f"?lang={chosen}" if chosen in LANGUAGES else ""
    return f"{request.script_root}/{'/'.join(map(quote, parts))}{query}"


def chosen_of(values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``values`` that are ``known``, each once, in the order of ``known``."""
    return tuple(each for each in known if each in set(values))
