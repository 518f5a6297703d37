"""``/preferences``: a letter with one's own link; ``/preferences/TOKEN``: choose all that a person can."""

from flask import Flask, Response, request

from newsletter.addresses import parse_address
from newsletter.catalogs import Catalog
from newsletter.consent import (
    NAME_MAX,
    Answer,
    Asked,
    ask_address,
    ask_preferences,
    choose,
    choose_lists,
    find_subscriptions,
    keep_address,
    masked,
    rest,
)
from newsletter.errors import InputError
from newsletter.headers import clean_line
from newsletter.store import Preferences, Subscriber, SubscriptionState
from newsletter.tokens import Purpose, Token, sign
from newsletter.web.desk import Desk
from newsletter.web.pages import (
    LANGUAGES,
    bad_link,
    chosen_of,
    language_of,
    must_not_mail,
    nobody,
    path_to,
    render_page,
    words_for,
)
from newsletter.web.subscribe import TRAP, asked_page
from newsletter.web.unsubscribe import PAUSES

_ADDRESS_MAX = 254


def register(app: Flask, desk: Desk) -> None:
    """Serve both pages, and take their forms."""

    def ask_page() -> Response:
        return _ask_page(desk)

    def ask() -> Response:
        return _ask(desk)

    def show(token: str) -> Response:
        return _show(desk, desk.read(token, Purpose.PREFERENCES))

    def press(token: str) -> Response:
        return _press(desk, desk.read(token, Purpose.PREFERENCES))

    for path, name, view, method in (
        ("/preferences", "link_page", ask_page, "GET"),
        ("/preferences", "link", ask, "POST"),
        ("/preferences/<token>", "preferences_page", show, "GET"),
        ("/preferences/<token>", "preferences", press, "POST"),
    ):
        app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


# ---------------------------------------------------------------------------------------------------------------------
# A letter with one's own link
# ---------------------------------------------------------------------------------------------------------------------


def _ask_page(desk: Desk, wrong: str = "", status: int = 200) -> Response:
    written = request.form.get("email", "")[:_ADDRESS_MAX]
    return render_page(desk, "link", words_for(desk), status=status, wrong=wrong, written=written, trap=TRAP)


def _ask(desk: Desk) -> Response:
    """Write down who asks for their link; the answer is the same for every address."""
    catalog = words_for(desk)
    try:
        address = parse_address(request.form.get("email", "")[: _ADDRESS_MAX + 1])
    except InputError:
        return _ask_page(desk, _no_address(catalog), 422)
    asked = Asked.TAKEN
    if not request.form.get(TRAP):
        ask = desk.ask(address, request.remote_addr or "", language=language_of(desk))
        asked = ask_preferences(desk.store, ask, desk.clock(), desk.limits)
        desk.ring()
    return asked_page(desk, catalog, asked)


def _no_address(catalog: Catalog) -> str:
    say = catalog.text
    return say("Please write a whole address, like me@example.org.")


# ---------------------------------------------------------------------------------------------------------------------
# The preferences
# ---------------------------------------------------------------------------------------------------------------------


def _show(desk: Desk, token: Token | None, done: str = "", wrong: str = "", status: int = 200) -> Response:
    """Return the page; ``done`` says what was just changed, ``wrong`` what could not be used."""
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    if not found:
        return nobody(desk, words_for(desk))
    person = found[0]
    catalog = words_for(desk, person.language)
    resting = person.paused_until if person.paused_until and person.paused_until > desk.clock() else None
    change = desk.store.outbox.find_address_change(token.subscriber_id)
    unsubscribe = sign(desk.keys, Token(Purpose.UNSUBSCRIBE, token.list_id, token.subscriber_id))
    return render_page(
        desk,
        "preferences",
        catalog,
        status=status,
        done=done,
        wrong=wrong,
        person=person,
        address=masked(str(person.address)),
        speaks=LANGUAGES if person.language in ("", *LANGUAGES) else {person.language: person.language, **LANGUAGES},
        lists=_lists(desk, found),
        topics=_topics(desk, person),
        pauses=PAUSES,
        resting=resting,
        new_address=masked(change.address) if change else "",
        name_max=NAME_MAX,
        unsubscribe=path_to("unsubscribe", unsubscribe),
        is_active=any(each.state is SubscriptionState.ACTIVE for each in found),
    )


def _lists(desk: Desk, found: tuple[Subscriber, ...]) -> list[tuple[int, str, bool]]:
    """Return number, title and whether the person is on it, of each list to choose; none where there is one alone."""
    active = {each.list_id for each in found if each.state is SubscriptionState.ACTIVE}
    numbers = list(dict.fromkeys([*(each.list_id for each in desk.lists()), *sorted(active)]))
    return [(number, desk.title_of(number), number in active) for number in numbers] if len(numbers) > 1 else []


def _topics(desk: Desk, person: "Subscriber") -> list[tuple[str, str, bool]]:
    """Return name, title and whether it is chosen, of each topic; the person's own that are not offered stay."""
    offered = {**desk.web.topics, **{each: each for each in person.topics if each not in desk.web.topics}}
    return [(name, title, name in person.topics) for name, title in offered.items()] if offered else []


def _press(desk: Desk, token: Token | None) -> Response:
    """Do what a button of the page says; a POST that says nothing known changes nothing."""
    if token is None:
        return bad_link(desk)
    found = find_subscriptions(desk.store, token)
    if not found:
        return nobody(desk, words_for(desk))
    wish = request.form.get("do", "")
    act = {"save": _save, "rest": _rest, "resume": _rest, "move": _move, "keep": _keep}.get(wish)
    return act(desk, token, found) if act else _show(desk, token)


def _save(desk: Desk, token: Token, found: tuple[Subscriber, ...]) -> Response:
    person, evidence, now = found[0], desk.evidence(request.remote_addr or ""), desk.clock()
    language = request.form.get("language", "")
    offered = [name for name, _, _ in _topics(desk, person)]
    wanted = Preferences(
        name=clean_line(request.form.get("name", ""))[:NAME_MAX],
        language=language if language in (*LANGUAGES, person.language) else None,
        topics=chosen_of(request.form.getlist("topic"), offered) if offered else None,
    )
    choose(desk.store, token, wanted, now, evidence)
    choices = _lists(desk, found)
    if choices:
        numbers = {str(number): number for number, _, _ in choices}
        ticked = chosen_of(request.form.getlist("list"), tuple(numbers))
        joined = choose_lists(desk.store, token, [numbers[each] for each in ticked], now, evidence)
        if joined is Answer.REFUSED:
            return must_not_mail(desk, words_for(desk, person.language))
    say = words_for(desk, wanted.language or person.language).text
    return _show(desk, token, done=say("Saved."))


def _rest(desk: Desk, token: Token, found: tuple[Subscriber, ...]) -> Response:
    say = words_for(desk, found[0].language).text
    try:
        weeks = 0 if request.form.get("do") == "resume" else int(request.form.get("weeks", ""))
        rest(desk.store, token, weeks, desk.clock(), desk.evidence(request.remote_addr or ""))
    except (ValueError, InputError):
        return _show(desk, token, wrong=say("Please choose how long the break lasts."), status=422)
    return _show(desk, token, done=say("Your break has begun.") if weeks else say("Your break is over."))


def _move(desk: Desk, token: Token, found: tuple[Subscriber, ...]) -> Response:
    catalog = words_for(desk, found[0].language)
    try:
        address = parse_address(request.form.get("email", "")[: _ADDRESS_MAX + 1])
    except InputError:
        return _show(desk, token, wrong=_no_address(catalog), status=422)
    ask = desk.ask(address, request.remote_addr or "", language=catalog.tag)
    asked = ask_address(desk.store, token, ask, desk.clock(), desk.limits)
    desk.ring()
    return asked_page(desk, catalog, asked)


def _keep(desk: Desk, token: Token, found: tuple[Subscriber, ...]) -> Response:
    keep_address(desk.store, token)
    say = words_for(desk, found[0].language).text
    return _show(desk, token, done=say("Your address stays as it is."))
