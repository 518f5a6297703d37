"""``/rejoin/TOKEN``: undo having left, from the page that says so."""

from flask import Flask, Response, request

from newsletter.catalogs import Catalog
from newsletter.consent import Answer, find_subscriptions, rejoin
from newsletter.tokens import Purpose, Token, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, Press, bad_link, must_not_mail, nobody, path_to, render_notice, words_for


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""

    def show(token: str) -> Response:
        return _show(desk, desk.read(token, Purpose.RESUBSCRIBE))

    def press(token: str) -> Response:
        return _press(desk, desk.read(token, Purpose.RESUBSCRIBE))

    app.add_url_rule("/rejoin/<token>", "rejoin_page", show, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/rejoin/<token>", "rejoin", press, methods=["POST"], provide_automatic_options=False)


def _show(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    catalog = words_for(desk, found[0].language if found else "")
    if not found:
        return nobody(desk, catalog)
    if is_expired(token, desk.clock()):
        return _too_late(desk, catalog)
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("Come back to {title}?", title=desk.title_of(token.list_id)),
            buttons=(Press(say("Subscribe me again"), path_to("rejoin", sign(desk.keys, token))),),
        ),
    )


def _press(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    catalog = words_for(desk, found[0].language if found else "")
    answer = rejoin(desk.store, token, desk.clock(), desk.evidence(request.remote_addr or ""))
    if answer is Answer.NOBODY:
        return nobody(desk, catalog)
    if answer is Answer.REFUSED:
        return must_not_mail(desk, catalog)
    if answer is Answer.EXPIRED:
        return _too_late(desk, catalog)
    say = catalog.text
    lines = (say("Welcome back: the next issue of {title} will come to you.", title=desk.title_of(token.list_id)),)
    return render_notice(desk, catalog, Notice(heading=say("You are subscribed"), lines=lines))


def _too_late(desk: Desk, catalog: Catalog) -> Response:
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("This link is too old"),
            lines=(say("You can subscribe again at any time."),),
            links=((say("Subscribe"), path_to("subscribe")),),
            status=410,
        ),
    )
