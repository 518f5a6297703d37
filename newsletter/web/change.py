"""``/change/TOKEN``: confirm a new address, by a button on a page that was opened from its own mailbox."""

from flask import Flask, Response

from newsletter.consent import Answer, confirm_address, masked
from newsletter.tokens import Purpose, is_expired, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, Press, path_to
from newsletter.web.tokenpage import Visit, add_token_page


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its button."""
    add_token_page(app, desk, "change", Purpose.CHANGE_ADDRESS, show=_show, press=_press)


def _show(visit: Visit) -> Response:
    desk, token, say = visit.desk, visit.token, visit.catalog.text
    change = desk.store.outbox.find_address_change(token.subscriber_id)
    if change is None or change.hour != token.extra or is_expired(token, desk.clock()):
        return _too_late(visit)
    address = masked(change.address)
    return visit.tell(
        Notice(
            heading=say("Use this address?"),
            lines=(say("{title} will go to {address} from now on.", title=desk.identity.title, address=address),),
            buttons=(Press(say("Yes, use this address"), path_to("change", sign(desk.keys, token))),),
        )
    )


def _press(visit: Visit) -> Response:
    desk, say = visit.desk, visit.catalog.text
    answer = confirm_address(desk.store, visit.token, desk.clock(), visit.evidence)
    if answer is Answer.EXPIRED:
        return _too_late(visit)
    lines = (say("The next issue of {title} will come to your new address.", title=desk.identity.title),)
    return visit.refuse(answer) or visit.tell(Notice(heading=say("Your address is changed"), lines=lines))


def _too_late(visit: Visit) -> Response:
    say = visit.catalog.text
    return visit.tell(
        Notice(
            heading=say("This link is too old"),
            lines=(say("It was used already, or another address was asked for since. Your preferences say which."),),
            links=((say("Send me a new link"), path_to("preferences")),),
            status=410,
        )
    )
