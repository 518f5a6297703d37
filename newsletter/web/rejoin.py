"""``/rejoin/TOKEN``: undo having left, from the page that says so."""

from flask import Flask, Response

from newsletter.consent import Answer, rejoin
from newsletter.tokens import Purpose, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, Press, path_to
from newsletter.web.tokenpage import Visit, add_token_page


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""
    add_token_page(app, desk, "rejoin", Purpose.RESUBSCRIBE, show=_show, press=_press)


def _show(visit: Visit) -> Response:
    desk, token, say = visit.desk, visit.token, visit.catalog.text
    if is_expired(token, desk.clock()):
        return _too_late(visit)
    return visit.tell(
        Notice(
            heading=say("Come back to {title}?", title=desk.title_of(token.list_id)),
            buttons=(Press(say("Subscribe me again"), path_to("rejoin", sign(desk.keys, token))),),
        )
    )


def _press(visit: Visit) -> Response:
    desk, token, say = visit.desk, visit.token, visit.catalog.text
    answer = rejoin(desk.store, token, desk.clock(), visit.evidence)
    if answer is Answer.EXPIRED:
        return _too_late(visit)
    lines = (say("Welcome back: the next issue of {title} will come to you.", title=desk.title_of(token.list_id)),)
    return visit.refuse(answer) or visit.tell(Notice(heading=say("You are subscribed"), lines=lines))


def _too_late(visit: Visit) -> Response:
    say = visit.catalog.text
    return visit.tell(
        Notice(
            heading=say("This link is too old"),
            lines=(say("You can subscribe again at any time."),),
            links=((say("Subscribe"), path_to("subscribe")),),
            status=410,
        )
    )
