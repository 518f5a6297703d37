"""``/unsubscribe/TOKEN``: leave with one press, or with none at all where a mail provider does it for the reader.

POST takes what RFC 8058 prescribes, as application/x-www-form-urlencoded or multipart/form-data, without cookie or
redirect: ``List-Unsubscribe=One-Click``. It is idempotent, and answers 200 for every token that we signed, whoever it
was of. The token never expires.
"""

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden

from newsletter.catalogs import Catalog
from newsletter.consent import REJOIN_HOURS, Answer, find_subscriptions, leave, masked, rest, say_why
from newsletter.errors import InputError
from newsletter.store import Subscriber, SubscriptionState, Way
from newsletter.tokens import Purpose, Token, expiry_hour, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, bad_link, nobody, path_to, render_notice, render_page, words_for

_ONE_CLICK = "list-unsubscribe=one-click"
PAUSES = (2, 4, 8, 12)
"""Weeks that are offered for a pause."""
REASONS = ("often", "content", "never", "other")
"""Reasons that are offered; the log of consent keeps these words."""
_STANDING = (SubscriptionState.ACTIVE, SubscriptionState.PENDING)


def register(app: Flask, desk: Desk) -> None:
    """Serve the page, and take its buttons and the one click."""

    def show(token: str) -> Response:
        return _show(desk, desk.read(token, Purpose.UNSUBSCRIBE))

    def press(token: str) -> Response:
        found = desk.read(token, Purpose.UNSUBSCRIBE)
        return _one_click(desk, found) if _is_one_click() else _press(desk, found)

    path = "/unsubscribe/<token>"
    app.add_url_rule(path, "leave_page", show, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule(path, "leave", press, methods=["POST"], provide_automatic_options=False)


def _is_one_click() -> bool:
    """Tell whether a POST is what RFC 8058 section 3.2 prescribes, however its client labelled it."""
    if request.form:
        return request.form.get("List-Unsubscribe", "").strip().lower() == "one-click"
    return request.get_data(as_text=True).strip().lower() == _ONE_CLICK


def _one_click(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return Response("This link is damaged or forged.\n", 404, content_type="text/plain; charset=utf-8")
    evidence = desk.evidence(request.remote_addr or "", Way.ONE_CLICK)
    answer = leave(desk.store, token, desk.clock(), evidence)
    text = "A proof's link: nobody was unsubscribed.\n" if answer is Answer.NOBODY else "You are unsubscribed.\n"
    return Response(text, 200, content_type="text/plain; charset=utf-8")


def _show(desk: Desk, token: Token | None) -> Response:
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    if not found:
        return nobody(desk, words_for(desk))
    catalog = words_for(desk, found[0].language)
    if not _standing(token, found):
        return _left(desk, catalog, token, found, asks_why=False)
    return _question(desk, catalog, token, found)


def _standing(token: Token, found: tuple[Subscriber, ...]) -> list[Subscriber]:
    return [each for each in found if each.state in _STANDING and token.list_id in (0, each.list_id)]


def _question(desk: Desk, catalog: Catalog, token: Token, found: tuple[Subscriber, ...]) -> Response:
    others = [each for each in found if each.state in _STANDING and each.list_id != token.list_id]
    return render_page(
        desk,
        "unsubscribe",
        catalog,
        list_title=desk.title_of(token.list_id),
        address=masked(str(found[0].address)),
        other_titles=[desk.title_of(each.list_id) for each in others] if token.list_id else [],
        pauses=PAUSES,
        paused_until=found[0].paused_until if _is_resting(desk, found[0]) else None,
        preferences=path_to("preferences"),
    )


def _is_resting(desk: Desk, person: "Subscriber") -> bool:
    return person.paused_until is not None and person.paused_until > desk.clock()


def _press(desk: Desk, token: Token | None) -> Response:
    """Do what a button of the page says; a POST that says nothing known changes nothing."""
    if token is None:
        return bad_link(desk)
    if request.headers.get("Sec-Fetch-Site", "") == "cross-site":
        raise Forbidden
    found = find_subscriptions(desk.store, token)
    if not found:
        return nobody(desk, words_for(desk))
    catalog = words_for(desk, found[0].language)
    evidence = desk.evidence(request.remote_addr or "")
    wish = request.form.get("do", "")
    if wish in ("leave", "leave-all"):
        leave(desk.store, token, desk.clock(), evidence, everywhere=wish == "leave-all")
        return _left(desk, catalog, token, found, asks_why=True)
    if wish == "why":
        say_why(desk.store, token, _reason(), evidence)
        return _thanks(desk, catalog)
    if wish == "rest":
        return _rest(desk, catalog, token)
    return _show(desk, token)


def _reason() -> str:
    """Return the reason that was given: a word of ours, and what the reader wrote."""
    word = request.form.get("reason", "")
    words = request.form.get("words", "")
    return ": ".join(filter(None, (word if word in REASONS else "", words)))


def _rest(desk: Desk, catalog: Catalog, token: Token) -> Response:
    say = catalog.text
    try:
        weeks = int(request.form.get("weeks", ""))
        rest(desk.store, token, weeks, desk.clock(), desk.evidence(request.remote_addr or ""))
    except (ValueError, InputError):
        return _show(desk, token)
    person = find_subscriptions(desk.store, token)[0]
    until = person.paused_until
    if until is None or not _is_resting(desk, person):
        return _show(desk, token)
    lines = (say("You get no issue until {date}. Then it goes on by itself.", date=catalog.date(until.date())),)
    return render_notice(desk, catalog, Notice(heading=say("Have a good break"), lines=lines))


def _left(desk: Desk, catalog: Catalog, token: Token, found: tuple[Subscriber, ...], *, asks_why: bool) -> Response:
    hour = expiry_hour(desk.clock(), REJOIN_HOURS)
    list_id = token.list_id or found[0].list_id
    back = sign(desk.keys, Token(Purpose.RESUBSCRIBE, list_id, token.subscriber_id, hour))
    return render_page(
        desk,
        "left",
        catalog,
        list_title=desk.title_of(token.list_id),
        address=masked(str(found[0].address)),
        asks_why=asks_why,
        reasons=REASONS,
        here=path_to("unsubscribe", sign(desk.keys, token)),
        rejoin=path_to("rejoin", back),
    )


def _thanks(desk: Desk, catalog: Catalog) -> Response:
    say = catalog.text
    lines = (say("What you wrote helps us to do better."),)
    return render_notice(desk, catalog, Notice(heading=say("Thank you"), lines=lines))
