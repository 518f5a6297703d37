"""The SMTP edge against a real server that misbehaves by name: what each breakdown is taken for."""

import threading
import time

import pytest
from certificates import make_certificate
from impatience import end_waits
from smtp_server import FEATURES, SmtpServer

from newsletter.config import SmtpSection
from newsletter.errors import ConfigError, InputError, RelayUnavailableError
from newsletter.model import Envelope, Message, Reply, Stage
from newsletter.smtp import DOT_TIMEOUT, Answer, Connection, Lost, Withheld, open_transport

CONTENT = b"Subject: hello\r\n\r\nGood morning.\r\n"
PLAIN = tuple(feature for feature in FEATURES if feature != "PIPELINING")
BIG = CONTENT + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 200_000
"""More than the socket buffers hold, so that a server that stops reading is noticed before the dot."""


def message(to="ann@example.org", content=CONTENT, mail_from="bounces@news.example.org"):
    return Message(Envelope(mail_from, to), "<1@news.example.org>", content)


def section(server, **changes):
    return SmtpSection(
        **{"host": server.host, "port": server.port, "security": "none", "helo": "client", "timeout": 20} | changes
    )


def transact(server, *messages, before_dot=lambda: True, dot_timeout=20, **changes) -> list[Answer]:
    with open_transport(section(server, **changes), dot_timeout=dot_timeout) as connection:
        connection._dot_timeout = dot_timeout
        return [connection.transact(each, before_dot) for each in messages or [message()]]


@pytest.fixture(params=["pipelined", "one by one"])
def server(request):
    with SmtpServer(features=FEATURES if request.param == "pipelined" else PLAIN) as server:
        yield server


# --- the transaction -----------------------------------------------------------------------------------------------


def test_accepted_message_arrives_byte_for_byte(server):
    content = b"Subject: x\r\n\r\n" + bytes(range(32, 127)) + b"\r\n" * 3
    [reply] = transact(server, message(content=content))
    assert reply == Reply(250, "2.0.0", "taken", Stage.DOT)
    [accepted] = server.accepted
    assert accepted.content == content
    assert (accepted.mail_from, accepted.rcpt_to) == ("bounces@news.example.org", ("ann@example.org",))


def test_many_messages_travel_over_one_connection(server):
    replies = transact(server, *(message(f"r{number}@example.org") for number in range(20)))
    assert [reply.code for reply in replies] == [250] * 20
    assert server.sessions == 1
    assert [each.rcpt_to for each in server.accepted] == [(f"r{number}@example.org",) for number in range(20)]


def test_mark_comes_before_the_dot(server):
    seen = []
    transact(server, before_dot=lambda: seen.append(list(server.dotted)) or True)
    assert seen == [[]]
    assert len(server.dotted) == 1


def test_withheld_dot_is_never_written(server):
    with open_transport(section(server)) as connection:
        assert connection.transact(message(), lambda: False) == Withheld()
        assert not connection.is_open
    server.stop()
    assert server.dotted == []


def test_failing_mark_passes_through_without_a_dot(server):
    def before_dot():
        raise OSError("disk full")

    with open_transport(section(server)) as connection:
        with pytest.raises(OSError, match="disk full"):
            connection.transact(message(), before_dot)
        assert not connection.is_open
    server.stop()
    assert server.dotted == []


def test_refused_recipient_leaves_the_connection_usable(server):
    server.refuse("bob@example.org", 550, "5.1.1 no such user")
    server.defer("eve@example.org", 451, "4.7.1 come back")
    bob, eve, ann = transact(server, message("bob@example.org"), message("eve@example.org"), message())
    assert bob == Reply(550, "5.1.1", "no such user", Stage.RCPT)
    assert eve == Reply(451, "4.7.1", "come back", Stage.RCPT)
    assert ann.code == 250
    assert server.sessions == 1
    assert [each.rcpt_to for each in server.dotted] == [("ann@example.org",)]


@pytest.mark.parametrize("stage", ["mail", "data", "dot"])
def test_refusal_names_its_stage(server, stage):
    server.say(stage, "550 5.7.1 not from you")
    refused, accepted = transact(server, message(), message())
    assert refused == Reply(550, "5.7.1", "not from you", Stage(stage))
    assert accepted.code == 250
    assert len(server.accepted) == 1


def test_354_for_a_refused_recipient_is_answered_by_a_dot_that_accepts_nothing():
    with SmtpServer() as server:
        server.refuse("bob@example.org")
        server.say("data", "354 go ahead all the same")
        # The server reads the lone dot as a command, and answers it; then the next message must find it in step.
        refused, accepted = transact(server, message("bob@example.org"), message())
        assert (refused.code, refused.stage) == (550, Stage.RCPT)
        assert accepted.code == 250
        assert "." in server.commands


def test_354_for_a_refused_sender_closes_without_a_dot():
    with SmtpServer() as server:
        server.say("mail", "550 5.7.1 not you")
        server.say("rcpt", "250 ok")
        server.say("data", "354 go ahead")
        with open_transport(section(server)) as connection:
            assert connection.transact(message(), lambda: True).stage is Stage.MAIL
            assert not connection.is_open
        assert "." not in server.commands


def test_refused_reset_closes_and_keeps_the_refusal(server):
    server.refuse("bob@example.org")
    server.say("rset", "500 what?")
    with open_transport(section(server)) as connection:
        assert connection.transact(message("bob@example.org"), lambda: True).code == 550
        assert not connection.is_open


def test_refusal_in_hand_outlives_the_connection(server):
    server.refuse("bob@example.org")
    server.close_at("data" if "PIPELINING" in server.features else "rset")
    [reply] = transact(server, message("bob@example.org"))
    assert (reply.code, reply.stage) == (550, Stage.RCPT)


def test_pipelining_writes_the_envelope_at_once():
    with SmtpServer() as server:
        server.stall_at("mail")
        with open_transport(section(server, timeout=0.3)) as connection:
            writes = []
            write = connection._wire.write
            connection._wire.write = lambda octets, seconds: writes.append(octets) or write(octets, seconds)
            connection.transact(message(), lambda: True)
        assert [write.count(b"\r\n") for write in writes] == [3]


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_421_closes_at_any_stage(server, stage):
    server.shut_at(stage)
    with open_transport(section(server)) as connection:
        reply = connection.transact(message(), lambda: True)
        assert (reply.code, reply.enhanced, reply.stage) == (421, "4.3.2", Stage(stage))
        assert not connection.is_open


def test_421_between_messages_answers_the_next_mail(server):
    server.say("dot", "250 2.0.0 taken", "421 4.4.2 too many messages")
    first, second = transact(server, message(), message())
    assert first.code == 250
    assert (second.code, second.stage) == (421, Stage.MAIL)


def test_multi_line_reply_is_one_reply(server):
    server.say("dot", "550-5.7.1 we do not", "550-5.7.1 like", "550 5.7.1 this")
    [reply] = transact(server)
    assert reply == Reply(550, "5.7.1", "we do not like this", Stage.DOT)


def test_replies_in_single_octets_are_read(server):
    server.split_replies()
    assert [reply.code for reply in transact(server, message(), message())] == [250, 250]


def test_lines_that_would_need_dot_stuffing_are_refused_before_anything_is_written(server):
    for content in (b"A: b\r\n\r\n.\r\n", b".A: b\r\n", b"A: b\r\n\r\n.hidden\r\n", b"A: b\r\n\r\nno end"):
        with pytest.raises(InputError, match="=2E"):
            transact(server, message(content=content))
    assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.parametrize(
    "address", ["a@example.org>\r\nRCPT TO:<b@example.org", "a b@example.org", "<a@example.org>", "a\x00@b", "\ud800@b"]
)
def test_address_that_would_leave_its_place_is_refused(server, address):
    with pytest.raises(InputError, match="envelope"):
        transact(server, message(address))
    with pytest.raises(InputError, match="envelope"):
        transact(server, message(mail_from=address))
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_size_and_smtputf8_are_said_where_they_are_offered(server):
    [reply] = transact(server, message("zoë@example.org"))
    assert reply.code == 250
    assert f"MAIL FROM:<bounces@news.example.org> SIZE={len(CONTENT)} SMTPUTF8" in server.commands
    assert server.accepted[0].rcpt_to == ("zoë@example.org",)


def test_address_beyond_ascii_without_smtputf8_is_refused_in_the_relays_place():
    with SmtpServer(features=("8BITMIME",)) as server:
        refused, accepted = transact(server, message("zoë@example.org"), message())
        assert (refused.code, refused.enhanced, refused.stage) == (553, "5.6.7", Stage.RCPT)
        assert "SMTPUTF8" in refused.text
        assert accepted.code == 250
        assert server.commands[1] == "MAIL FROM:<bounces@news.example.org>"


# --- pipelining across messages ------------------------------------------------------------------------------------


def chain(server, *messages, before_dot=lambda: True, **changes) -> list[Answer]:
    """Carry the messages one behind the other, each with the next behind its dot, as far as the connection goes."""
    answers = []
    with open_transport(section(server, **changes), dot_timeout=20) as connection:
        connection._dot_timeout = 20
        for current, following in zip(messages, [*messages[1:], None], strict=True):
            answers.append(connection.transact(current, before_dot, lambda following=following: following))
            if not connection.is_open:
                break
    return answers


def recorded_writes(connection) -> list[bytes]:
    writes = []
    write = connection._wire.write
    connection._wire.write = lambda octets, seconds: writes.append(octets) or write(octets, seconds)
    return writes


def test_next_envelope_travels_behind_the_dot():
    ann, bob = message(), message("bob@example.org")
    with SmtpServer() as server, open_transport(section(server)) as connection:
        writes = recorded_writes(connection)
        assert connection.transact(ann, lambda: True, lambda: bob).code == 250
        assert connection.has_begun(bob)
        assert not connection.has_begun(ann)
        assert connection.transact(bob, lambda: True).code == 250
        assert not connection.has_begun(bob)
        envelopes = [f"RCPT TO:<{each}@example.org>\r\nDATA\r\n".encode() for each in ("ann", "bob")]
        assert writes[0].endswith(envelopes[0])
        assert writes[1] == writes[3] == CONTENT
        assert writes[2].startswith(b".\r\nMAIL FROM:")
        assert writes[2].endswith(envelopes[1])
        assert writes[4:] == [b".\r\n"]
        assert [each.rcpt_to[0] for each in server.accepted] == ["ann@example.org", "bob@example.org"]


def test_nothing_travels_behind_the_dot_where_the_relay_does_not_offer_it():
    ann, bob = message(), message("bob@example.org")
    with SmtpServer(features=PLAIN) as server, open_transport(section(server)) as connection:
        assert connection.transact(ann, lambda: True, lambda: bob).code == 250
        assert not connection.has_begun(bob)
        assert sum(command.startswith("MAIL") for command in server.commands) == 1
        assert connection.transact(bob, lambda: True).code == 250


def test_following_is_asked_after_the_mark():
    asked = []
    with SmtpServer() as server, open_transport(section(server)) as connection:
        connection.transact(message(), lambda: asked.append("mark") or True, lambda: asked.append("following"))
        connection.transact(message(), lambda: False, lambda: pytest.fail("it was asked without a mark"))
    assert asked == ["mark", "following"]


def test_replies_are_matched_one_by_one(server):
    server.refuse("bob@example.org", 550, "5.1.1 no such user")
    server.say("dot", "451 4.3.0 not now", after=1)
    server.split_replies()
    names = ["ann", "bob", "eve", "joe"]
    ann, bob, eve, joe = chain(server, *(message(f"{name}@example.org") for name in names))
    assert (ann.code, ann.stage) == (250, Stage.DOT)
    assert (bob.code, bob.stage) == (550, Stage.RCPT)
    assert (eve.code, eve.stage) == (451, Stage.DOT)
    assert (joe.code, joe.stage) == (250, Stage.DOT)
    assert [each.rcpt_to[0][:3] for each in server.dotted] == ["ann", "eve", "joe"]
    assert server.sessions == 1


@pytest.mark.parametrize("stage", ["mail", "data"])
def test_refused_envelope_behind_a_dot_is_taken_back(stage):
    with SmtpServer() as server:
        server.say(stage, "451 4.3.0 not now", after=1)
        ann, bob, eve = chain(server, *(message(f"{name}@example.org") for name in ("ann", "bob", "eve")))
        assert (bob.code, bob.stage) == (451, Stage(stage))
        assert (ann.code, eve.code) == (250, 250)
        assert server.commands.count("RSET") == 1


def test_354_behind_a_dot_for_a_refused_recipient_is_answered_by_a_dot_that_accepts_nothing():
    with SmtpServer() as server:
        server.refuse("bob@example.org")
        server.say("data", "354 go ahead all the same", after=1)
        ann, bob, eve = chain(server, *(message(f"{name}@example.org") for name in ("ann", "bob", "eve")))
        assert (bob.code, bob.stage) == (550, Stage.RCPT)
        assert (ann.code, eve.code) == (250, 250)
        assert [each.rcpt_to[0][:3] for each in server.dotted] == ["ann", "eve"]


def test_message_that_cannot_travel_is_not_begun_and_told_in_its_turn():
    broken, beyond = message(content=b"A: b\r\n\r\n.\r\n"), message("zoë@example.org")
    with SmtpServer(features=("PIPELINING",)) as server, open_transport(section(server)) as connection:
        for each in (broken, beyond):
            assert connection.transact(message(), lambda: True, lambda each=each: each).code == 250
            assert not connection.has_begun(each)
        with pytest.raises(InputError, match="=2E"):
            connection.transact(broken, lambda: True)
        assert connection.transact(beyond, lambda: True).enhanced == "5.6.7"
        assert len(server.accepted) == 2


def test_begun_message_must_be_the_next():
    with SmtpServer() as server, open_transport(section(server)) as connection:
        connection.transact(message(), lambda: True, lambda: message("bob@example.org"))
        with pytest.raises(ValueError, match="another message"):
            connection.transact(message("eve@example.org"), lambda: True)


def test_begun_message_that_is_given_up_closes_without_a_word():
    with SmtpServer() as server:
        with open_transport(section(server)) as connection:
            connection.transact(message(), lambda: True, lambda: message("bob@example.org"))
        server.stop()
        words = [command.split(" ")[0].upper() for command in server.commands]
        # How much of the begun envelope the server reads before the connection closes is a matter of timing.
        assert words[:4] == ["EHLO", "MAIL", "RCPT", "DATA"]
        assert words[4:] == ["MAIL", "RCPT", "DATA"][: len(words) - 4]
        assert len(server.dotted) == 1


@pytest.mark.parametrize("fault", ["close_at", "reset_at", "garbage_at", "shut_at"])
def test_lost_answer_to_the_dot_takes_the_begun_message_along(fault):
    ann, bob = message(), message("bob@example.org")
    with SmtpServer() as server, open_transport(section(server)) as connection:
        getattr(server, fault)("dot")
        answer = connection.transact(ann, lambda: True, lambda: bob)
        assert (answer.code == 421) if fault == "shut_at" else answer.in_doubt
        assert not connection.is_open
        assert not connection.has_begun(bob)
        assert len(server.dotted) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at", "shut_at"])
def test_fault_at_a_begun_message_is_proven_unsent(stage, fault, monkeypatch):
    with SmtpServer() as server:
        end_waits(monkeypatch, lambda: server.struck)
        getattr(server, fault)(stage, after=1)
        ann, bob = chain(server, message(), message("bob@example.org"))
        if isinstance(bob, Lost):
            assert (bob.stage, bob.in_doubt) == (Stage(stage), False)
        else:
            assert bob.code == 421
        # A reset may take the answer along that was on its way before it.
        assert ann.code == 250 if isinstance(ann, Reply) else ann.in_doubt
        assert len(server.dotted) == 1


def test_withheld_dot_of_a_begun_message_is_never_written():
    marks = iter([True, False])
    with SmtpServer() as server:
        ann, bob = chain(server, message(), message("bob@example.org"), before_dot=lambda: next(marks))
        assert (ann.code, bob) == (250, Withheld())
        server.stop()
        assert len(server.dotted) == 1


# --- the connection is lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at"])
def test_lost_before_the_dot_is_proven_unsent(server, stage, fault, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    getattr(server, fault)(stage)
    [lost] = transact(server)
    assert (lost.stage, lost.in_doubt) == (Stage(stage), False)
    assert lost.reason
    assert server.dotted == []


@pytest.mark.parametrize("fault", ["drop_before_dot", "stall_at"])
def test_lost_amid_the_message_is_proven_unsent(server, fault, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    server.drop_before_dot() if fault == "drop_before_dot" else server.stall_at("body")
    [lost] = transact(server, message(content=BIG), before_dot=lambda: pytest.fail("the mark was asked"))
    assert (lost.stage, lost.in_doubt) == (Stage.DATA, False)
    assert server.dotted == []


@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at"])
def test_lost_after_the_dot_is_in_doubt(server, fault, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    getattr(server, fault)("dot")
    [lost] = transact(server)
    assert (lost.stage, lost.in_doubt) == (Stage.DOT, True)
    assert len(server.dotted) == 1


def test_354_as_the_answer_to_the_dot_is_in_doubt(server):
    server.say("dot", "354 again?")
    assert transact(server)[0].in_doubt


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("552 5.3.4 too big", Reply(552, "5.3.4", "too big", Stage.DATA)),
        ("421 4.3.2 shutting down", Reply(421, "4.3.2", "shutting down", Stage.DATA)),
        ("250 2.0.0 taken", Lost(Stage.DATA, in_doubt=False, reason="'250 2.0.0 taken' answers no DATA")),
        ("354 go on", Lost(Stage.DATA, in_doubt=False, reason="'354 go on' before the final dot")),
    ],
)
def test_answer_before_the_dot_is_no_acceptance(server, line, answer):
    server.say("body", line)
    spoken = threading.Event()
    with open_transport(section(server)) as connection:
        has_answer = connection._wire.has_answer

        def wait_for_it() -> bool:
            # What the server says early comes when it comes; here we let it.
            while not (found := has_answer()):
                time.sleep(0.005)
            spoken.set()
            return found

        connection._wire.has_answer = wait_for_it
        assert connection.transact(message(), lambda: pytest.fail("the mark was asked")) == answer
        assert spoken.is_set()
        assert not connection.is_open


def test_reply_that_drips_for_ever_ends_with_the_deadline(server):
    server.drip_at("mail", 0.01)
    [lost] = transact(server, timeout=0.5)
    assert lost == Lost(Stage.MAIL, in_doubt=False, reason="no answer in time")


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"x" * 100_000, "a line of more than 4096 octets"),
        (b"250-more\r\n" * 20_000, "a reply of more than 65536 octets"),
        (b"250-a\r\n550 b\r\n", "'550 b' is no SMTP reply"),
        (b"abc\r\n", "'abc' is no SMTP reply"),
        (b"999 no\r\n", "'999 no' is no SMTP reply"),
        (b"250\xa0ok\r\n", "'250\ufffdok' is no SMTP reply"),
        (b"250\x1b[31m\r\n", "'250 [31m' is no SMTP reply"),
        (b"\r\n", "'' is no SMTP reply"),
    ],
    ids=["long line", "many lines", "two codes", "letters", "no class", "no space", "escape", "empty"],
)
def test_garbage_is_bounded_and_no_answer(server, octets, reason):
    server.garbage_at("mail", octets)
    assert transact(server) == [Lost(Stage.MAIL, in_doubt=False, reason=reason)]


def test_final_dot_waits_ten_minutes_at_the_least(server):
    with open_transport(section(server, timeout=1)) as connection:
        assert connection._dot_timeout == DOT_TIMEOUT == 600
    with open_transport(section(server, timeout=900)) as connection:
        assert connection._dot_timeout == 900


def test_silent_quit_is_no_error(server, monkeypatch):
    end_waits(monkeypatch, lambda: server.struck)
    server.stall_at("quit")
    assert transact(server)[0].code == 250


# --- opening -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_verified_tls_and_login(certificate, security):
    with SmtpServer(security=security, certificate=certificate, users={"me": "secret"}) as server:
        [reply] = transact(
            server, security=security, ca_file=str(certificate.ca_file), username="me", password="secret"
        )
        assert reply.code == 250
        assert [command.split()[0].upper() for command in server.commands[:3]] == (
            ["EHLO", "STARTTLS", "EHLO"] if security == "starttls" else ["EHLO", "AUTH", "MAIL"]
        )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_unknown_authority_is_not_accepted(certificate, security):
    with SmtpServer(security=security, certificate=certificate, users={"me": "secret"}) as server:
        with pytest.raises(RelayUnavailableError, match=r"certificate is not accepted.*ca_file"):
            transact(server, security=security, username="me", password="secret")
        assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


@pytest.mark.parametrize(
    ("changes", "words"), [({"host": "other.example.org"}, "mismatch"), ({"expired": True}, "expired")]
)
def test_bad_certificate_is_not_accepted(tmp_path, changes, words):
    bad = make_certificate(tmp_path, **changes)
    with SmtpServer(security="starttls", certificate=bad) as server, pytest.raises(RelayUnavailableError, match=words):
        transact(server, security="starttls", ca_file=str(bad.ca_file))


def test_stripped_starttls_is_never_a_downgrade():
    with SmtpServer(users={"me": "secret"}) as server:
        with pytest.raises(RelayUnavailableError, match=r'does not offer STARTTLS; set .* security = "tls"'):
            transact(server, security="starttls", username="me", password="secret")
        assert not any(command.startswith(("AUTH", "MAIL")) for command in server.commands)


def test_refused_starttls_is_never_a_downgrade(certificate):
    with SmtpServer(security="starttls", certificate=certificate) as server:
        server.say("starttls", "454 4.7.0 not now")
        with pytest.raises(RelayUnavailableError, match="refuses STARTTLS: '454"):
            transact(server, security="starttls")


def test_plain_text_behind_starttls_is_not_taken_over(certificate):
    with SmtpServer(security="starttls", certificate=certificate) as server:
        server.say("starttls", "220 go ahead", "250-injected", "250 AUTH PLAIN")
        with pytest.raises(RelayUnavailableError, match="plain text follows"):
            transact(server, security="starttls", ca_file=str(certificate.ca_file))


def test_tls_to_a_port_that_speaks_none(certificate):
    with SmtpServer() as server, pytest.raises(RelayUnavailableError, match=r"no TLS.*port and security"):
        transact(server, security="tls")


@pytest.mark.parametrize("stage", ["connect", "ehlo", "starttls", "handshake", "auth"])
@pytest.mark.parametrize("fault", ["close_at", "reset_at", "stall_at", "garbage_at", "shut_at"])
def test_relay_that_fails_while_opening_is_unavailable(certificate, stage, fault):
    with SmtpServer(security="starttls", certificate=certificate, users={"me": "secret"}) as server:
        getattr(server, fault)(stage, times=None)
        with pytest.raises(RelayUnavailableError, match=f"{server.host}:{server.port}: "):
            transact(
                server,
                security="starttls",
                ca_file=str(certificate.ca_file),
                username="me",
                password="secret",
                timeout=0.5 if fault == "stall_at" else 20,
            )
        assert server.dotted == []


def test_nobody_listens():
    with SmtpServer() as server:
        server.stop()
        with pytest.raises(RelayUnavailableError, match="cannot connect: Connection refused; check"):
            transact(server)


def test_host_without_an_address():
    with pytest.raises(RelayUnavailableError, match="cannot connect"):
        open_transport(SmtpSection(host="relay.invalid", security="none", timeout=5))


def test_busy_banner_is_unavailable(server):
    server.say("connect", "554 5.3.2 no service")
    with pytest.raises(RelayUnavailableError, match=r"'554 5.3.2 no service'; try again later"):
        transact(server)


def test_refused_login_says_what_to_check(certificate):
    with SmtpServer(security="tls", certificate=certificate, users={"me": "secret"}) as server:
        with pytest.raises(RelayUnavailableError, match=r"refuses our login: '535 .*check username") as caught:
            transact(server, security="tls", ca_file=str(certificate.ca_file), username="me", password="wr0ng")
        assert "wr0ng" not in str(caught.value)


def test_login_where_none_is_offered(server):
    with pytest.raises(RelayUnavailableError, match="AUTH"):
        transact(server, username="me", password="secret")


def test_password_is_never_sent_in_the_clear_beyond_this_machine():
    with pytest.raises(ConfigError, match='for all to read; set security to "starttls"'):
        open_transport(SmtpSection(host="relay.example.org", security="none", username="me", password="secret"))


def test_password_beyond_ascii_is_a_mistake_of_the_configuration():
    with SmtpServer(users={"me": "secret"}) as server, pytest.raises(ConfigError, match="ASCII"):
        transact(server, username="me", password="sécret")


def test_password_comes_from_a_file(tmp_path):
    (tmp_path / "smtp.password").write_text("secret\n")
    with SmtpServer(users={"me": "secret"}) as server:
        with open_transport(
            section(server, username="me", password_file="smtp.password"), folder=tmp_path
        ) as connection:
            assert connection.transact(message(), lambda: True).code == 250
        with pytest.raises(ConfigError, match=r"password_file: .*nothing.*correct its path"):
            open_transport(section(server, username="me", password_file="nothing"), folder=tmp_path)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_unusable_ca_file_is_a_mistake_of_the_configuration(certificate, tmp_path, text):
    if text:
        (tmp_path / "own-ca.pem").write_text(text)
    with (
        SmtpServer(security="tls", certificate=certificate) as server,
        pytest.raises(ConfigError, match=r"ca_file: .*own-ca.pem"),
    ):
        open_transport(section(server, security="tls", ca_file="own-ca.pem"), folder=tmp_path)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_usual_ports(monkeypatch, security, port):
    asked = []

    def create_connection(address, timeout):
        asked.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("newsletter.smtp.socket.create_connection", create_connection)
    with pytest.raises(RelayUnavailableError, match=f"relay.example.org:{port}: "):
        open_transport(SmtpSection(host="relay.example.org", security=security))
    assert asked == [("relay.example.org", port)]


def test_leaving_the_block_says_quit(server):
    with open_transport(section(server)) as connection:
        assert isinstance(connection, Connection)
    assert not connection.is_open
    server.stop()
    assert server.commands[-1] == "QUIT"
