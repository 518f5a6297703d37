"""``/`` and ``/subscribe``: the form, and the one answer that every address gets."""

from flask import Flask, Response, request

from newsletter.addresses import parse_address
from newsletter.catalogs import Catalog
from newsletter.consent import NAME_MAX, Asked, ask_subscription
from newsletter.errors import InputError
from newsletter.headers import clean_line
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, chosen_of, language_of, path_to, render_notice, render_page, words_for

TRAP = "website"
"""A field that people do not see and programs fill in."""
_ADDRESS_MAX = 254


def register(app: Flask, desk: Desk) -> None:
    """Serve the form, and take what is written into it."""

    def form() -> Response:
        return _form(desk, words_for(desk))

    def take() -> Response:
        return _take(desk)

    for path in ("/", "/subscribe"):
        app.add_url_rule(path, "subscribe_form", form, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule("/subscribe", "subscribe", take, methods=["POST"], provide_automatic_options=False)


def _form(desk: Desk, catalog: Catalog, *, wrong: str = "", status: int = 200) -> Response:
    """Return the form, filled with what was written where ``wrong`` says what cannot be used of it."""
    lists = desk.lists()
    ticked = request.form.getlist("list") or [each.name for each in lists[:1]]
    return render_page(
        desk,
        "subscribe",
        catalog,
        status=status,
        wrong=wrong,
        written=request.form.get("email", "")[:_ADDRESS_MAX],
        name=request.form.get("name", "")[:NAME_MAX],
        action=path_to("subscribe"),
        lists=[(each.name, each.title, each.name in ticked) for each in lists] if len(lists) > 1 else [],
        topics=[(topic, title, topic in request.form.getlist("topic")) for topic, title in desk.web.topics.items()],
        trap=TRAP,
    )


def _take(desk: Desk) -> Response:
    """Write down what was asked; the answer depends on nothing but the form and how often was asked."""
    catalog = words_for(desk)
    say = catalog.text
    lists = {each.name: each.list_id for each in desk.lists()}
    wanted = chosen_of(request.form.getlist("list"), tuple(lists)) or tuple(lists)[:1]
    try:
        address = parse_address(request.form.get("email", "")[: _ADDRESS_MAX + 1])
    except InputError:
        return _form(desk, catalog, wrong=say("Please write a whole address, like me@example.org."), status=422)
    if request.form.get(TRAP):
        return asked_page(desk, catalog, Asked.TAKEN)
    ask = desk.ask(
        address,
        request.remote_addr or "",
        list_ids=tuple(lists[name] for name in wanted),
        name=clean_line(request.form.get("name", ""))[:NAME_MAX],
        language=language_of(desk),
        topics=chosen_of(request.form.getlist("topic"), tuple(desk.web.topics)),
    )
    asked = ask_subscription(desk.store, ask, desk.clock(), desk.limits)
    desk.ring()
    return asked_page(desk, catalog, asked)


def asked_page(desk: Desk, catalog: Catalog, asked: Asked) -> Response:
    """Return the answer to whoever asked for a letter: the same for every address."""
    say = catalog.text
    if asked is Asked.TAKEN:
        return render_notice(
            desk,
            catalog,
            Notice(
                heading=say("Please look into your mailbox"),
                lines=(
                    say("If this address can get mail from us, a message with a link is on its way."),
                    say("Nothing there after ten minutes? Look into the spam folder, then ask again here."),
                ),
            ),
        )
    line = (
        say("There were many requests from your network. Please try again in an hour.")
        if asked is Asked.TOO_OFTEN
        else say("There are very many requests at the moment. Please try again in an hour.")
    )
    response = render_notice(desk, catalog, Notice(heading=say("Please try again later"), lines=(line,), status=429))
    response.headers["Retry-After"] = "3600"
    return response
