"""``/confirm/TOKEN``: a page with one button, and what the button does. Opening the page changes nothing."""

from flask import Flask, Response, request

from newsletter.consent import Answer, ask_again, confirm, masked
from newsletter.store import Subscriber, SubscriptionState
from newsletter.tokens import Purpose, Token, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, Press, path_to
from newsletter.web.subscribe import asked_page
from newsletter.web.tokenpage import Visit, add_token_page


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""
    add_token_page(app, desk, "confirm", Purpose.CONFIRM, show=_show, press=_press)


def _show(visit: Visit) -> Response:
    pending = [each for each in visit.found if each.state is SubscriptionState.PENDING]
    if not pending and any(each.state is SubscriptionState.ACTIVE for each in visit.found):
        return _welcome(visit)
    if not pending or is_expired(visit.token, visit.desk.clock()):
        return _too_late(visit)
    return _question(visit, pending)


def _question(visit: Visit, pending: list[Subscriber]) -> Response:
    desk, say = visit.desk, visit.catalog.text
    titles = [desk.title_of(each.list_id) for each in pending]
    return visit.tell(
        Notice(
            heading=say("One last step"),
            lines=(
                say(
                    "{title} will be sent to {address} once you press the button.",
                    title=", ".join(titles),
                    address=masked(str(pending[0].address)),
                ),
            ),
            buttons=(Press(say("Yes, subscribe me"), path_to("confirm", sign(desk.keys, visit.token))),),
        )
    )


def _press(visit: Visit) -> Response:
    desk, token = visit.desk, visit.token
    if request.form.get("again"):
        ask = desk.ask("", request.remote_addr or "", language=visit.catalog.tag)
        asked = ask_again(desk.store, token, ask, desk.clock(), desk.limits)
        desk.ring()
        return asked_page(desk, visit.catalog, asked)
    answer = confirm(desk.store, token, desk.clock(), visit.evidence)
    if answer is Answer.EXPIRED:
        return _too_late(visit)
    return visit.refuse(answer) or _welcome(visit)


def _welcome(visit: Visit) -> Response:
    desk, token, say = visit.desk, visit.token, visit.catalog.text
    preferences = sign(desk.keys, Token(Purpose.PREFERENCES, token.list_id, token.subscriber_id))
    links = [(say("Choose language and topics"), path_to("preferences", preferences))]
    if desk.archive.is_dir():
        links.append((say("Read the latest issues"), f"{path_to('archive').partition('?')[0]}/"))
    return visit.tell(
        Notice(
            heading=say("You are subscribed"),
            lines=(
                say("The next issue of {title} will come to you.", title=desk.identity.title),
                say("Every issue has a link with which you can leave again at any time."),
            ),
            links=tuple(links),
        )
    )


def _too_late(visit: Visit) -> Response:
    desk, say = visit.desk, visit.catalog.text
    return visit.tell(
        Notice(
            heading=say("This link is too old"),
            lines=(say("It worked for a while only, or you have left meanwhile. We will gladly send you a new one."),),
            buttons=(
                Press(say("Send me a new link"), path_to("confirm", sign(desk.keys, visit.token)), (("again", "1"),)),
            ),
            status=410,
        )
    )
