"""Mail one message to one address outside the ledger: proofs, confirmations and other letters.

Such a mail is tried once and waited for; what the relay answers is handed back. Nothing is planned, recorded or tried
again here (``outbox`` does that for letters), and a proof's links unsubscribe nobody.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from newsletter.conformance import verify_message
from newsletter.dkim import Signer
from newsletter.errors import ProblemsError
from newsletter.identity import SenderIdentity
from newsletter.message import prepare_message
from newsletter.model import Edition, Message, Recipient, Reply
from newsletter.smtp import Answer, Connection
from newsletter.tokens import Keys


@dataclass(frozen=True, slots=True)
class Mailed:
    """Hold a single mail and what the relay answered; ``is_accepted`` says whether it took the mail."""

    message: Message
    answer: Answer

    @property
    def is_accepted(self) -> bool:
        """Tell whether the relay answered 2yz after the dot: all that anyone can know."""
        return isinstance(self.answer, Reply) and 200 <= self.answer.code < 300


def send_proof(
    edition: Edition,
    recipient: Recipient,
    *,
    identity: SenderIdentity,
    keys: Keys,
    connect: Callable[[], Connection],
    date: dt.datetime,
    dkim: Signer | None = None,
) -> Mailed:
    """Mail ``edition`` to ``recipient`` as a proof: the headers of a real message, and a subject that is marked.

    ``date`` is the aware instant of the mail; ``dkim`` signs it. Raises ProblemsError where the message is not what a
    message must be, InputError where it cannot be made for this address, RelayUnavailableError and ConfigError as
    ``connect`` does.
    """
    prepared = prepare_message(edition, identity, keys, date=date, proof=True, sign=dkim.at(date) if dkim else None)
    message = prepared.personalise(recipient)
    if problems := verify_message(message.content, domain=identity.domain):
        raise ProblemsError(problems)
    with connect() as connection:
        return Mailed(message, connection.transact(message, lambda: True))


def mail_letter(message: Message, connection: Connection) -> Mailed:
    """Carry a letter over an open connection, and wait for what the relay says.

    Raises InputError for a message or an address that cannot travel as it stands.
    """
    return Mailed(message, connection.transact(message, lambda: True))
