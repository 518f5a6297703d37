"""A newsletter whose letters are really posted: a store, an SMTP server, a clock that is told the time."""

import datetime as dt
import email
import email.policy
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from pathlib import Path

from smtp_server import SmtpServer

from newsletter.catalogs import Catalog, load_catalog
from newsletter.config import NewsletterSection, SmtpSection, ThemeSection
from newsletter.consent import Ask, Limits
from newsletter.identity import identity_of
from newsletter.letters import LetterFrame
from newsletter.outbox import Posted, PostOffice, post_letters
from newsletter.pagetemplates import open_templates
from newsletter.smtp import open_transport
from newsletter.store import Evidence, NewSubscriber, Store, SubscriptionState, Way
from newsletter.tokens import SAMPLE_KEYS, Purpose, Token, expiry_hour, read_token

NOW = dt.datetime(2026, 11, 25, 8, 20, tzinfo=dt.UTC)
SECTION = NewsletterSection(
    title="Harbour Weekly",
    from_="Harbour Weekly <weekly@news.example.org>",
    url="https://news.example.org",
    unsubscribe="web",
)
TEMPLATES = open_templates(Path("/nowhere"))
FORM = Evidence(Way.FORM, "192.0.2.0")


@cache
def _catalog(tag: str) -> Catalog:
    return load_catalog(tag or "en", "web")


@dataclass
class Postbox:
    """Hold a store with one list, and post its letters to ``server``."""

    store: Store
    server: SmtpServer
    now: dt.datetime = NOW
    section: NewsletterSection = SECTION
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.list_id = self.store.subscribers.ensure_list("newsletter", NOW, "Harbour Weekly").list_id

    @property
    def frame(self) -> LetterFrame:
        return LetterFrame(
            identity=identity_of(self.section),
            keys=SAMPLE_KEYS,
            theme=ThemeSection(),
            templates=TEMPLATES,
            postal_address="1 Quay Street\n12345 Port",
        )

    @property
    def office(self) -> PostOffice:
        smtp = SmtpSection(host=self.server.host, port=self.server.port, security="none", helo="me", timeout=60)
        return PostOffice(
            frame=self.frame,
            limits=self.limits,
            catalog_of=_catalog,
            connect=lambda: open_transport(smtp),
            clock=lambda: self.now,
        )

    def pass_time(self, **parts: float) -> None:
        self.now += dt.timedelta(**parts)

    def ask(self, address: str = "ann@example.org", **values: object) -> Ask:
        return Ask(address=address, evidence=FORM, **{"list_ids": (self.list_id,), **values})

    def post(self) -> Posted:
        return post_letters(self.store, self.office)

    def letters(self) -> list[EmailMessage]:
        """Return what the server took, oldest first."""
        return [
            email.message_from_bytes(each.content, policy=email.policy.default) for each in list(self.server.accepted)
        ]

    def join(self, address: str = "ann@example.org", list_id: int = 0, **values: object) -> int:
        """Put somebody on the list as active; return their number."""
        list_id = list_id or self.list_id
        self.store.subscribers.add_subscriber(list_id, NewSubscriber(address=address, **values), NOW, origin="test")
        return self.store.subscribers.find_subscriber(list_id, address).subscriber_id

    def state(self, address: str = "ann@example.org", list_id: int = 0) -> SubscriptionState | None:
        found = self.store.subscribers.find_subscriber(list_id or self.list_id, address)
        return found.state if found else None

    def token(
        self, purpose: Purpose, subscriber_id: int, list_id: int | None = None, extra: int | None = None
    ) -> Token:
        if extra is None:
            extra = expiry_hour(self.now, 24) if purpose in (Purpose.CONFIRM, Purpose.RESUBSCRIBE) else 0
        return Token(purpose, self.list_id if list_id is None else list_id, subscriber_id, extra)


def link_in(letter: EmailMessage) -> str:
    """Return the one link of a letter, the same in text and HTML."""
    text, html = (letter.get_body([kind]).get_content() for kind in ("plain", "html"))
    [link] = set(re.findall(r"(?:https?://|mailto:)\S+", text))
    found = {each.replace("&amp;", "&") for each in re.findall(r'href="([^"]+)"', html)}
    assert found == {link}, (found, link)
    return link


def token_in(letter: EmailMessage, purpose: Purpose) -> Token:
    """Return the token of a letter's link."""
    text = re.search(r"[a-z2-7]{48}", link_in(letter))
    token = read_token(SAMPLE_KEYS, text[0], purpose)
    assert token is not None, link_in(letter)
    return token
