"""Plan a send on a store of its own and carry it to a relay through the real sender; print what that took.

``python bench/mailing.py`` reads one JSON line of ``Mailing`` and prints one of ``Carried``. A process of its own,
because memory and CPU time are measured, and because each round must start from nothing.
"""

import datetime as dt
import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personalise import IDENTITY, SENTENCE

from newsletter.config import SmtpSection
from newsletter.edition import freeze
from newsletter.message import prepare_message
from newsletter.model import Edition, Recipient, Slot
from newsletter.sender import SenderSetup, run_send
from newsletter.smtp import open_transport
from newsletter.store import NewSubscriber, SendPlan, open_store
from newsletter.subscriptions import default_list
from newsletter.tokens import SAMPLE_KEYS

NOW = dt.datetime(2026, 11, 25, 7, 0, tzinfo=dt.UTC)
SIZE = 55_000
"""Bytes of a message, about."""
_ADDRESS_KEY = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """Say what to send where; ``ca_file`` asks for TLS, ``dkim`` names a PEM file with the key to sign with."""

    store: str
    count: int
    port: int
    size: int = SIZE
    connections: int = 1
    ca_file: str = ""
    dkim: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Say what it took: seconds of the send itself, from the lock to the report, and CPU seconds of this process."""

    sent: int
    seconds: float
    user_s: float
    system_s: float


def main() -> None:
    """Do the mailing that standard input describes."""
    mailing = Mailing(**json.loads(sys.stdin.readline()))
    with open_store(mailing.store, address_key=_ADDRESS_KEY) as store:
        list_id = default_list(store, NOW).list_id
        people = (NewSubscriber(address=person.address, name=person.name) for person in recipients(mailing.count))
        for _ in store.subscribers.import_subscribers(list_id, people, NOW, origin="bench"):
            pass
        edition_id = store.editions.save_edition(make_edition(mailing.size), NOW)
        plan = SendPlan(issue="2026-11-25", list_ids=(list_id,), editions={"": edition_id}, source_digest="")
        send_id = store.sends.plan_send(plan, NOW).send_id
        setup = _setup(mailing)
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        report = run_send(store, send_id, setup)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    carried = Carried(
        sent=report.account.sent,
        seconds=seconds,
        user_s=after.ru_utime - before.ru_utime,
        system_s=after.ru_stime - before.ru_stime,
    )
    print(json.dumps(asdict(carried)))


def _setup(mailing: Mailing) -> SenderSetup:
    section = SmtpSection(
        host="127.0.0.1",
        port=mailing.port,
        security="starttls" if mailing.ca_file else "none",
        ca_file=mailing.ca_file,
        helo="client",
    )
    return SenderSetup(
        identity=IDENTITY,
        keys=SAMPLE_KEYS,
        connect=lambda: open_transport(section),
        connections=mailing.connections,
        clock=lambda: dt.datetime.now(dt.UTC),
        dkim=_signer(mailing.dkim) if mailing.dkim else None,
    )


def _signer(path: str) -> Any:
    from newsletter.dkim import Signer
    from newsletter.dkimkeys import parse_key

    return Signer(IDENTITY.domain, (parse_key(Path(path).read_bytes(), "bench", path),))


def recipients(count: int) -> Iterator[Recipient]:
    """Return people of four domains, numbered from 1."""
    domains = ("example.org", "example.com", "example.net", "mail.example.org")
    for number in range(1, count + 1):
        yield Recipient(number, 1, f"reader{number:07}@{domains[number % 4]}", ("Ann Lee", "Zoë", "王小明")[number % 3])


def messages(count: int, size: int = SIZE) -> Iterator[tuple[str, bytes]]:
    """Return the recipient and the bytes of the messages that such a mailing carries, for the peers to send."""
    prepared = prepare_message(make_edition(size), IDENTITY, SAMPLE_KEYS, date=NOW, send_id=1)
    for recipient in recipients(count):
        yield recipient.address, prepared.personalise(recipient).content


def make_edition(size: int = SIZE) -> Edition:
    """Return an edition whose message has about ``size`` bytes, with the slots that a real one has."""
    paragraph = f'<p style="margin:0 0 12px 0;font-size:15px">{SENTENCE * 4}</p>\n'
    return freeze(
        Edition(
            issue="2026-11-25",
            subject=("China reins in facial recognition",),
            preheader="",
            html=(
                "<!doctype html><html><head><title>Weekly</title></head><body>\n<p>Good morning ",
                Slot("name", "reader"),
                ",</p>\n"
                + paragraph * max((size - 4_500) // 525, 0)
                + "<p>Weekly, 1 Main Street</p>\n"
                + '<p><a href="',
                Slot("unsubscribe_url"),
                '">Unsubscribe</a> ',
                Slot("email"),
                "</p>\n</body></html>\n",
            ),
            text=(
                "Good morning ",
                Slot("name", "reader"),
                ",\n\n" + (SENTENCE + "\n") * min(max(size // 500, 1), 20) + "\nWeekly, 1 Main Street\nUnsubscribe: ",
                Slot("unsubscribe_url"),
                "\n",
            ),
            date=NOW.date(),
            language="en",
        )
    )


if __name__ == "__main__":
    main()
