"""Measure how many personalised messages of 70 KB one core makes a second, beside the standard library in the same run.

``python bench/personalise.py`` prints medians and the ratio; ``--json`` prints them as JSON. The peer fills the same
texts as strings and serialises an ``EmailMessage``. Both results are parsed and compared before the clock runs.
"""

import argparse
import datetime as dt
import email
import email.message
import email.policy
import json
import platform
import statistics
import time
from collections.abc import Callable

from newsletter.addresses import Mailbox
from newsletter.edition import freeze
from newsletter.identity import SenderIdentity
from newsletter.message import PreparedMessage, prepare_message
from newsletter.model import Edition, Part, Recipient, Slot
from newsletter.tokens import SAMPLE_KEYS

SIZE = 70_000
DATE = dt.datetime(2026, 11, 25, 8, 0, tzinfo=dt.UTC)
SENTENCE = (
    "Regulators in Beijing published draft rules on facial recognition; brands must ask before they scan a face. "
)
IDENTITY = SenderIdentity(
    sender=Mailbox("China Market Weekly", "editor@news.example.org"),
    title="China Market Weekly",
    list_id="weekly.news.example.org",
    bounce_address="bounces@news.example.org",
    url="https://news.example.org",
    unsubscribe="web",
)


def main() -> None:
    """Run both ways and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=4000, help="messages a round; the peer makes a fortieth")
    arguments = parser.parse_args()

    edition = _edition()
    prepared = prepare_message(edition, IDENTITY, SAMPLE_KEYS, date=DATE, send_id=1)
    recipients = [
        Recipient(number, 1, f"reader{number}@example.org", ("Ann Lee", "Zoë", "王小明")[number % 3])
        for number in range(1, arguments.messages + 1)
    ]
    size = len(prepared.personalise(recipients[0]).content)
    _check_equal(prepared, edition, recipients[2])
    few = recipients[: max(len(recipients) // 40, 1)]
    ours = _rate(lambda: _make(prepared, recipients), len(recipients), arguments.rounds)
    peer = _rate(lambda: [_peer(edition, recipient) for recipient in few], len(few), arguments.rounds)
    result = {
        "format": 1,
        "python": platform.python_version(),
        "message_bytes": size,
        "slots": sum(isinstance(piece, Slot) for piece in (*edition.html, *edition.text)),
        "personalise_per_s": round(ours),
        "email_message_per_s": round(peer),
        "ratio": round(ours / peer, 1),
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"message of {size:,} bytes, {result['slots']} slots, one core, medians of {arguments.rounds} rounds")
        print(f"  PreparedMessage.personalise   {ours:10,.0f} messages/s")
        print(f"  strings, then EmailMessage   {peer:10,.0f} messages/s")
        print(f"  ratio                         {ours / peer:10.1f}")


def _edition() -> Edition:
    """Return an edition whose message has about 70 KB, with the slots that a real one has."""
    paragraphs = f'<p style="margin:0 0 12px 0;font-size:15px">{SENTENCE * 4}</p>\n' * (SIZE // 525)
    html: Part = (
        "<!doctype html><html><body>\n<p>Good morning ",
        Slot("name", "reader"),
        ',</p>\n<p><a href="',
        Slot("browser_url"),
        '">View in browser</a></p>\n' + paragraphs + '<p>China Market Weekly, 1 Example Street</p>\n<p><a href="',
        Slot("unsubscribe_url"),
        '">Unsubscribe</a> ',
        Slot("email"),
        "</p>\n</body></html>\n",
    )
    text: Part = (
        "Good morning ",
        Slot("name", "reader"),
        ",\n\n" + (SENTENCE + "\n") * 20 + "\nUnsubscribe: ",
        Slot("unsubscribe_url"),
        "\n",
    )
    return freeze(
        Edition(
            issue="2026-11-25",
            subject=("China reins in facial recognition",),
            preheader="",
            html=html,
            text=text,
            date=DATE.date(),
            language="en",
        )
    )


def _make(prepared: PreparedMessage, recipients: list[Recipient]) -> None:
    for recipient in recipients:
        prepared.personalise(recipient)


def _peer(edition: Edition, recipient: Recipient) -> bytes:
    """Make the message as most programs do: fill strings, build an EmailMessage, serialise it."""
    url = f"https://news.example.org/unsubscribe/{recipient.subscriber_id:048}"
    values = {
        "name": recipient.name,
        "email": recipient.address,
        "unsubscribe_url": url,
        "browser_url": "https://news.example.org/archive/2026-11-25",
    }
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["Date"] = DATE
    message["From"] = str(IDENTITY.sender)
    message["To"] = f"{recipient.name} <{recipient.address}>"
    message["Subject"] = "".join(str(piece) for piece in edition.subject)
    message["Message-ID"] = f"<{recipient.subscriber_id}@news.example.org>"
    message["List-Id"] = "<weekly.news.example.org>"
    message["List-Unsubscribe"] = f"<{url}>"
    message.set_content(_filled(edition.text, values), cte="quoted-printable")
    message.add_alternative(_filled(edition.html, values), subtype="html", cte="quoted-printable")
    return message.as_bytes()


def _filled(part: Part, values: dict[str, str]) -> str:
    return "".join(values[piece.field] or piece.default if isinstance(piece, Slot) else piece for piece in part)


def _check_equal(prepared: PreparedMessage, edition: Edition, recipient: Recipient) -> None:
    """Stop where the two ways do not give the same readable text."""
    texts = []
    for content in (prepared.personalise(recipient).content, _peer(edition, recipient)):
        body = email.message_from_bytes(content, policy=email.policy.default).get_body(("html",))
        assert body is not None
        texts.append(body.get_content().replace("\r\n", "\n").partition("Unsubscribe")[0].partition("1 Example")[0])
    assert texts[0] == texts[1], "the two ways differ"


def _rate(run: Callable[[], object], count: int, rounds: int) -> float:
    """Return the median of messages a second over the rounds, after one that warms up."""
    run()
    rates = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


if __name__ == "__main__":
    main()
