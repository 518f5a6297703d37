"""The relay as it is seen from outside, by a real server that is well, or misbehaves by name."""

import datetime as dt

import pytest
from certificates import make_certificate
from smtp_server import SmtpServer

from newsletter.relaylook import RelayLook, look_at_relay
from newsletter.settings import SmtpSection


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def look(server, security="none", folder=None, **options) -> RelayLook:
    section = SmtpSection(host="127.0.0.1", port=server.port, security=security, helo="client", timeout=60, **options)
    return look_at_relay(section, folder, now)


def test_greeting_without_tls(tmp_path):
    with SmtpServer() as server:
        seen = look(server, folder=tmp_path)
    assert (seen.banner, seen.trouble, seen.protocol) == ("test server ready", "", "")
    assert not seen.offers_starttls
    assert seen.greeted_at is None
    assert server.commands == ["ehlo client", "QUIT"]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_certificate_that_is_accepted(tmp_path, security):
    certificate = make_certificate(tmp_path)
    with SmtpServer(security=security, certificate=certificate) as server:
        seen = look(server, security, tmp_path, ca_file="ca.pem")
    assert (seen.trouble, seen.distrust, seen.names) == ("", "", ("127.0.0.1",))
    assert seen.protocol.startswith("TLSv1.")
    assert seen.offers_starttls is (security == "starttls")
    assert seen.expires_at - now() > dt.timedelta(days=29)
    assert server.accepted == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "self-signed"), ({"host": "mail.example.org"}, "not valid for"), ({"expired": True}, "expired")],
)
def test_certificate_that_is_not_accepted_is_described(tmp_path, security, options, words):
    certificate = make_certificate(tmp_path, **options)
    with SmtpServer(security=security, certificate=certificate) as server:
        seen = look(server, security, tmp_path, **({"ca_file": "ca.pem"} if options else {}))
    assert words in seen.distrust or "unable to get local issuer" in seen.distrust
    assert seen.names == (options.get("host", "127.0.0.1"),)
    assert (seen.expires_at < now()) is ("expired" in options)
    assert not any(command.startswith("AUTH") for command in server.commands)


def test_starttls_that_is_not_offered_or_refused(tmp_path):
    with SmtpServer() as server:
        seen = look(server, "starttls", tmp_path)
    assert (seen.is_reached, seen.offers_starttls, seen.protocol, seen.trouble) == (True, False, "", "")
    with SmtpServer(security="starttls", certificate=make_certificate(tmp_path)) as server:
        server.say("starttls", "454 4.7.0 not now")
        seen = look(server, "starttls", tmp_path)
    assert seen.trouble == "it refuses STARTTLS: '454 4.7.0 not now'"


def test_nobody_there(tmp_path):
    with SmtpServer() as server:
        pass
    seen = look(server, folder=tmp_path)
    assert seen.trouble == "Connection refused"
    assert not seen.is_reached
    assert look(server, "tls", tmp_path).trouble == "Connection refused"


def test_host_that_does_not_exist(tmp_path):
    section = SmtpSection(host="no-such-host.invalid", port=25, security="none")
    assert look_at_relay(section, tmp_path, now).trouble
    section = SmtpSection(host="a" * 64 + ".invalid", port=25, security="none")
    assert look_at_relay(section, tmp_path, now).trouble


def test_relay_that_turns_us_away_or_speaks_nonsense(tmp_path):
    with SmtpServer() as server:
        server.say("connect", "421 4.3.2 not now")
        assert look(server, folder=tmp_path).trouble == "it answers a connection with '421 4.3.2 not now'"
        server.say("connect", "hello")
        assert "no SMTP reply" in look(server, folder=tmp_path).trouble
        server.close_at("connect")
        assert "closed the connection" in look(server, folder=tmp_path).trouble
        server.close_at("quit")
        assert look(server, folder=tmp_path).trouble == ""


def test_plain_server_where_tls_is_expected(tmp_path):
    with SmtpServer() as server:
        seen = look(server, "tls", tmp_path)
    assert "SSL" in seen.trouble or "wrong version" in seen.trouble.lower()
    assert not seen.is_reached


def test_certificate_file_that_is_missing(tmp_path):
    with SmtpServer() as server:
        assert "ca_file" in look(server, "tls", tmp_path, ca_file="gone.pem").trouble


def test_relay_that_does_not_answer_in_time(tmp_path):
    with SmtpServer() as server:
        server.stall_at("connect")
        section = SmtpSection(host="127.0.0.1", port=server.port, security="none", timeout=1)
        assert look_at_relay(section, tmp_path, now).trouble == "no answer in time"


@pytest.mark.parametrize(
    ("banner", "instant"),
    [
        (
            "mail.example.org ESMTP Exim 4.97 Wed, 25 Nov 2026 09:00:01 +0100",
            dt.datetime(2026, 11, 25, 8, 0, 1, tzinfo=dt.UTC),
        ),
        ("mail.example.org ESMTP Sendmail; 25 Nov 2026 08:00:00 +0000", dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)),
        ("mail.example.org ESMTP Postfix", None),
        ("mail.example.org 99 Nov 2026 08:00:00 +0000", None),
        ("mail.example.org 31 Dec 9999 23:59:59 -2300", None),
    ],
)
def test_time_in_a_greeting_is_read(tmp_path, banner, instant):
    with SmtpServer() as server:
        server.say("connect", f"220 {banner}")
        assert look(server, folder=tmp_path).greeted_at == instant
