"""Frame a page with a signed token and a button: who reads it, in which language, and what they are told if nobody.

GET shows, POST presses; a token that is none of ours, or of nobody any more, is answered here. What a page says, and
what its button does, is the page's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, request

from newsletter.catalogs import Catalog
from newsletter.consent import Answer, find_subscriptions
from newsletter.store import Evidence, Subscriber
from newsletter.tokens import Purpose, Token
from newsletter.web.desk import Desk
from newsletter.web.pages import Notice, bad_link, must_not_mail, nobody, render_notice, words_for


@dataclass(frozen=True, slots=True)
class Visit:
    """Hold who came with a token: ``found`` are the subscriptions of the person that it names, none for nobody."""

    desk: Desk
    catalog: Catalog
    token: Token
    found: tuple[Subscriber, ...]

    @property
    def evidence(self) -> Evidence:
        """Return how the visitor's wish is known."""
        return self.desk.evidence(request.remote_addr or "")

    def tell(self, notice: Notice) -> Response:
        """Return a page that says ``notice``."""
        return render_notice(self.desk, self.catalog, notice)

    def refuse(self, answer: Answer) -> Response | None:
        """Return the page for a wish of nobody, or of somebody who must not be mailed; None for any other."""
        if answer is Answer.NOBODY:
            return nobody(self.desk, self.catalog)
        return must_not_mail(self.desk, self.catalog) if answer is Answer.REFUSED else None


View = Callable[[Visit], Response]


def add_token_page(app: Flask, desk: Desk, name: str, purpose: Purpose, *, show: View, press: View) -> None:
    """Serve ``/NAME/TOKEN``: GET shows the page to somebody who is known, POST takes its button."""

    def visit(token: str) -> Visit | None:
        read = desk.read(token, purpose)
        if read is None:
            return None
        found = tuple(find_subscriptions(desk.store, read))
        return Visit(desk, words_for(desk, found[0].language if found else ""), read, found)

    def get(token: str) -> Response:
        found = visit(token)
        if found is None:
            return bad_link(desk)
        return show(found) if found.found else nobody(desk, found.catalog)

    def post(token: str) -> Response:
        found = visit(token)
        return bad_link(desk) if found is None else press(found)

    path = f"/{name}/<token>"
    app.add_url_rule(path, f"{name}_page", get, methods=["GET"], provide_automatic_options=False)
    app.add_url_rule(path, name, post, methods=["POST"], provide_automatic_options=False)
