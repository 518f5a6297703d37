"""The scene of tests that send: a store, a relay's address and a clock, and what to ask them afterwards."""

import dataclasses
import datetime as dt
import re
from collections import Counter

from newsletter.config import NewsletterSection, SmtpSection
from newsletter.delivery import State
from newsletter.edition import edition_digest
from newsletter.identity import identity_of
from newsletter.model import Edition, Slot
from newsletter.sender import SenderSetup, run_send
from newsletter.smtp import open_transport
from newsletter.store import NewSubscriber, SendPlan, SubscriptionState, open_store
from newsletter.tokens import SAMPLE_KEYS

START = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
IDENTITY = identity_of(
    NewsletterSection(
        title="China Market Weekly",
        from_="China Market Weekly <editor@news.example.org>",
        url="https://news.example.org",
    )
)


def make_edition(**changes) -> Edition:
    parts = {
        "html": (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Weekly</title></head><body><p>Hello ',
            Slot("name", "reader"),
            '.</p><p><a href="',
            Slot("unsubscribe_url"),
            '">Unsubscribe</a> — 1 Main Street, Springfield</p></body></html>\n',
        ),
        "text": ("Hello ", Slot("name", "reader"), ".\n\nUnsubscribe: ", Slot("unsubscribe_url"), "\n1 Main Street\n"),
    }
    edition = Edition(
        issue="2026-11-25",
        preheader="Five stories",
        date=dt.date(2026, 11, 25),
        language="en",
        **{"subject": ("This week's most important news",)} | parts | changes,
    )
    return dataclasses.replace(edition, digest=edition_digest(edition))


class Clock:
    """Stand at an instant until it is put forward; each look is a microsecond later than the last."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(microseconds=1)
        return self.now

    def forward(self, **delta) -> None:
        self.now += dt.timedelta(**delta)


class World:
    """Hold a store, a relay's address and a clock, and send."""

    def __init__(self, path) -> None:
        self.path = path
        self.clock = Clock()
        self.store = open_store(f"sqlite:///{path}", address_key=SAMPLE_KEYS.address_key)
        self.list_id = self.store.subscribers.ensure_list("weekly", START).list_id
        self.connections = 0

    def plan(self, *people, edition=None) -> int:
        for person in people:
            new = person if isinstance(person, NewSubscriber) else NewSubscriber(address=person)
            self.store.subscribers.add_subscriber(self.list_id, new, START, origin="test")
        edition_id = self.store.editions.save_edition(edition or make_edition(), START)
        plan = SendPlan(issue="2026-11-25", list_ids=(self.list_id,), editions={"": edition_id}, source_digest="0" * 64)
        self.send_id = self.store.sends.plan_send(plan, START).send_id
        return self.send_id

    def setup(self, relay, *, timeout=20.0, dot_timeout=20.0, **changes) -> SenderSetup:
        def connect():
            self.connections += 1
            section = SmtpSection(host=relay.host, port=relay.port, security="none", helo="client", timeout=timeout)
            connection = open_transport(section)
            connection._dot_timeout = dot_timeout
            return connection

        values = {"identity": IDENTITY, "keys": SAMPLE_KEYS, "connect": connect, "clock": self.clock}
        return SenderSetup(**values | {"reconnect_waits_s": (0.0, 0.0, 0.0)} | changes)

    def run(self, relay, *, stop=None, progress=None, **changes):
        """Run the send once, and check that its account closes and nothing is left in anybody's hands."""
        report = run_send(self.store, self.send_id, self.setup(relay, **changes), stop=stop, progress=progress)
        assert report.account.closes
        assert not self.rows(State.CLAIMED, State.TRANSMITTING)
        assert report.unrecorded == ()
        return report

    def rows(self, *states):
        return {row.address: row for row in self.store.ledger.list_deliveries(self.send_id, states or None)}

    def states(self):
        return {address: row.state for address, row in self.rows().items()}

    def leave(self, address):
        person = self.store.subscribers.find_subscriber(self.list_id, address)
        self.store.subscribers.change_subscription(
            self.list_id, person.subscriber_id, SubscriptionState.UNSUBSCRIBED, self.clock()
        )


def people(count, domain="example.org"):
    return [f"r{number}@{domain}" for number in range(count)]


def mailed(server) -> Counter:
    return Counter(address for message in server.accepted for address in message.rcpt_to)


def message_id(message) -> bytes:
    return re.search(rb"(?m)^Message-ID: (.*)\r$", message.content)[1]
