"""``/confirm/TOKEN``: a page with one button, and what the button does. Opening the page changes nothing."""

from flask import Flask, Response, request

from newsletter.catalogs import Catalog
from newsletter.consent import Answer, ask_again, confirm, find_subscriptions, masked
from newsletter.store import Subscriber, SubscriptionState
from newsletter.tokens import Purpose, Token, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import (
    Notice,
    Press,
    bad_link,
    must_not_mail,
    nobody,
    path_to,
    render_notice,
    words_for,
)
from newsletter.web.subscribe import asked_page


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""

    def show(token: str) -> Response:
        return _show(desk, desk.read(token, Purpose.CONFIRM))

    def press(token: str) -> Response:
        return _press(desk, desk.read(token, Purpose.CONFIRM))

    app.add_url_rule("/confirm/<token>", "confirm_page", show, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/confirm/<token>", "confirm", press, methods=["POST"], provide_automatic_options=False)


def _show(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    if not found:
        return nobody(desk, words_for(desk))
    catalog = words_for(desk, found[0].language)
    pending = [each for each in found if each.state is SubscriptionState.PENDING]
    if not pending and any(each.state is SubscriptionState.ACTIVE for each in found):
        return _welcome(desk, catalog, token)
    if not pending or is_expired(token, desk.clock()):
        return _too_late(desk, catalog, token)
    return _question(desk, catalog, token, pending)


def _question(desk: Desk, catalog: Catalog, token: Token, pending: list[Subscriber]) -> Response:
    say = catalog.text
    titles = [desk.title_of(each.list_id) for each in pending]
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("One last step"),
            lines=(
                say(
                    "{title} will be sent to {address} once you press the button.",
                    title=", ".join(titles),
                    address=masked(str(pending[0].address)),
                ),
            ),
            buttons=(Press(say("Yes, subscribe me"), path_to("confirm", sign(desk.keys, token))),),
        ),
    )


def _press(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    catalog = words_for(desk, found[0].language if found else "")
    address = request.remote_addr or ""
    if request.form.get("again"):
        ask = desk.ask("", address, language=catalog.tag)
        asked = ask_again(desk.store, token, ask, desk.clock(), desk.limits)
        desk.ring()
        return asked_page(desk, catalog, asked)
    answer = confirm(desk.store, token, desk.clock(), desk.evidence(address))
    if answer is Answer.NOBODY:
        return nobody(desk, catalog)
    if answer is Answer.REFUSED:
        return must_not_mail(desk, catalog)
    return _too_late(desk, catalog, token) if answer is Answer.EXPIRED else _welcome(desk, catalog, token)


def _welcome(desk: Desk, catalog: Catalog, token: Token) -> Response:
    say = catalog.text
    preferences = sign(desk.keys, Token(Purpose.PREFERENCES, token.list_id, token.subscriber_id))
    links = [(say("Choose language and topics"), path_to("preferences", preferences))]
    if desk.archive.is_dir():
        links.append((say("Read the latest issues"), f"{path_to('archive').partition('?')[0]}/"))
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("You are subscribed"),
            lines=(
                say("The next issue of {title} will come to you.", title=desk.identity.title),
                say("Every issue has a link with which you can leave again at any time."),
            ),
            links=tuple(links),
        ),
    )


def _too_late(desk: Desk, catalog: Catalog, token: Token) -> Response:
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("This link is too old"),
            lines=(say("It worked for a while only, or you have left meanwhile. We will gladly send you a new one."),),
            buttons=(Press(say("Send me a new link"), path_to("confirm", sign(desk.keys, token)), (("again", "1"),)),),
            status=410,
        ),
    )
