"""Single mails outside the ledger: a proof is marked, says what the relay answered, and unsubscribes nobody."""

import datetime as dt
import quopri
import re

import pytest
from sender_world import IDENTITY, make_edition
from smtp_server import SmtpServer

from newsletter.config import SmtpSection
from newsletter.errors import ProblemsError, RelayUnavailableError, UnrenderableError
from newsletter.mailer import send_proof
from newsletter.model import Recipient, Stage
from newsletter.smtp import Lost, open_transport
from newsletter.tokens import SAMPLE_KEYS, Purpose, read_token, token_of

DATE = dt.datetime(2026, 11, 24, 17, 30, tzinfo=dt.UTC)
EDITOR = Recipient(subscriber_id=0, list_id=0, address="editor@example.org")


@pytest.fixture
def server():
    with SmtpServer() as server:
        yield server


def proof(server, recipient=EDITOR, edition=None, date=DATE):
    return send_proof(
        edition or make_edition(),
        recipient,
        identity=IDENTITY,
        keys=SAMPLE_KEYS,
        connect=lambda: open_transport(SmtpSection(host=server.host, port=server.port, security="none", helo="me")),
        date=date,
    )


def test_proof_is_marked_and_otherwise_like_the_real_message(server):
    mailed = proof(server)
    assert mailed.is_accepted
    [accepted] = server.accepted
    assert accepted.content == mailed.message.content
    assert b"\r\nSubject: [Proof] This week's most important news\r\n" in accepted.content
    for name in (b"List-Id", b"List-Unsubscribe", b"From", b"Message-ID", b"MIME-Version"):
        assert re.search(rb"(?m)^" + name + rb": ", accepted.content)


def test_links_and_return_path_of_a_proof_are_nobodys(server):
    proof(server, Recipient(subscriber_id=7, list_id=3, address="editor@example.org"))
    [accepted] = server.accepted
    token = read_token(SAMPLE_KEYS, token_of(accepted.mail_from), Purpose.BOUNCE)
    assert token is not None
    assert token.subscriber_id == 0
    found = re.findall(r"\+([a-z2-7]{48})@", quopri.decodestring(accepted.content).decode())
    tokens = [read_token(SAMPLE_KEYS, each, Purpose.UNSUBSCRIBE) for each in found]
    assert tokens
    assert {token.subscriber_id for token in tokens} == {0}


def test_two_proofs_are_two_messages(server):
    first = proof(server).message
    second = proof(server, date=DATE + dt.timedelta(minutes=1)).message
    assert first.message_id != second.message_id


def test_refusal_is_handed_back(server):
    server.refuse("editor@example.org", 550, "5.1.1 no such user")
    mailed = proof(server)
    assert not mailed.is_accepted
    assert (mailed.answer.code, mailed.answer.stage) == (550, Stage.RCPT)
    assert str(mailed.answer) == "550 5.1.1 no such user"


def test_loss_is_handed_back_and_says_what_is_known(server):
    server.close_at("mail")
    server.drop_after_dot()
    before, after = proof(server), proof(server)
    assert isinstance(before.answer, Lost)
    assert not before.is_accepted
    assert str(before.answer).endswith("; nothing was mailed")
    assert not after.is_accepted
    assert str(after.answer).startswith("no answer to DOT: ")
    assert str(after.answer).endswith("; whether it was mailed is not known")


def test_message_that_breaks_a_rule_is_not_mailed(server):
    with pytest.raises(ProblemsError, match="unsubscribe"):
        proof(server, edition=make_edition(html=("<p>no way to leave</p>",)))
    assert server.commands == []


def test_address_that_no_message_can_have(server):
    with pytest.raises(UnrenderableError):
        proof(server, Recipient(0, 0, "a b@example.org"))
    assert server.commands == []


def test_relay_that_is_down(server):
    server.stop()
    with pytest.raises(RelayUnavailableError, match="cannot connect"):
        proof(server)
