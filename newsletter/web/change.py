"""``/change/TOKEN``: confirm a new address, by a button on a page that was opened from its own mailbox."""

from flask import Flask, Response, request

from newsletter.catalogs import Catalog
from newsletter.consent import Answer, confirm_address, find_subscriptions, masked
from newsletter.tokens import Purpose, Token, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, Press, bad_link, must_not_mail, nobody, path_to, render_notice, words_for


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""

    def show(token: str) -> Response:
        return _show(desk, desk.read(token, Purpose.CHANGE_ADDRESS))

    def press(token: str) -> Response:
        return _press(desk, desk.read(token, Purpose.CHANGE_ADDRESS))

    app.add_url_rule("/change/<token>", "change_page", show, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/change/<token>", "change", press, methods=["POST"], provide_automatic_options=False)


def _show(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    catalog = words_for(desk, found[0].language if found else "")
    if not found:
        return nobody(desk, catalog)
    change = desk.store.outbox.find_address_change(token.subscriber_id)
    if change is None or change.hour != token.extra or is_expired(token, desk.clock()):
        return _too_late(desk, catalog)
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("Use this address?"),
            lines=(
                say(
                    "{title} will go to {address} from now on.",
                    title=desk.identity.title,
                    address=masked(change.address),
                ),
            ),
            buttons=(Press(say("Yes, use this address"), path_to("change", sign(desk.keys, token))),),
        ),
    )


def _press(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    catalog = words_for(desk, found[0].language if found else "")
    answer = confirm_address(desk.store, token, desk.clock(), desk.evidence(request.remote_addr or ""))
    if answer is Answer.NOBODY:
        return nobody(desk, catalog)
    if answer is Answer.REFUSED:
        return must_not_mail(desk, catalog)
    if answer is Answer.EXPIRED:
        return _too_late(desk, catalog)
    say = catalog.text
    lines = (say("The next issue of {title} will come to your new address.", title=desk.identity.title),)
    return render_notice(desk, catalog, Notice(heading=say("Your address is changed"), lines=lines))


def _too_late(desk: Desk, catalog: Catalog) -> Response:
    say = catalog.text
    return render_notice(
        desk,
        catalog,
        Notice(
            heading=say("This link is too old"),
            lines=(say("It was used already, or another address was asked for since. Your preferences say which."),),
            links=((say("Send me a new link"), path_to("preferences")),),
            status=410,
        ),
    )
