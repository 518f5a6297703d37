"""Questions to a real name server on this machine: what it answers, and that it does not answer, are values."""

import pytest
from dns_server import DnsServer, closed_port

from newsletter.dnslook import Dns
from newsletter.dnsrecords import Answer
from newsletter.errors import InputError


@pytest.fixture
def server():
    with DnsServer() as server:
        yield server


def test_each_kind_of_record_is_read(server):
    server.txt("example.org", "v=spf1 -all", 'café "quoted"')
    server.add("example.org", "MX", "20 b.example.org.", "5 a.example.org.")
    server.host("mail.example.org", "192.0.2.7")
    server.host("mail.example.org", "2001:db8::7")
    dns = Dns(server.address)
    assert dns.look_up("example.org", "TXT").records == ('café "quoted"', "v=spf1 -all")
    assert dns.look_up("Example.ORG.", "MX").records == ("5 a.example.org", "20 b.example.org")
    assert dns.look_up("mail.example.org", "A").records == ("192.0.2.7",)
    assert dns.look_up("mail.example.org", "AAAA").records == ("2001:db8::7",)
    assert dns.look_up("192.0.2.7", "PTR").records == ("mail.example.org",)
    assert dns.look_up("2001:db8::7", "PTR").records == ("mail.example.org",)


def test_null_mx_keeps_its_dot(server):
    server.add("example.org", "MX", "0 .")
    assert Dns(server.address).look_up("example.org", "MX").records == ("0 .",)


def test_nothing_there_is_an_answer(server):
    server.txt("example.org", "hello")
    dns = Dns(server.address)
    assert dns.look_up("example.org", "MX") == Answer()
    assert dns.look_up("other.example.org", "TXT") == Answer()


def test_record_longer_than_a_datagram_arrives_whole(server):
    server.txt("long.example.org", "k" * 4000)
    assert Dns(server.address).look_up("long.example.org", "TXT").records == ("k" * 4000,)


def test_alias_is_followed(server):
    server.add("s1._domainkey.example.org", "CNAME", "s1.provider.example.net.")
    server.txt("s1.provider.example.net", "v=DKIM1; p=abc")
    assert Dns(server.address).look_up("s1._domainkey.example.org", "TXT").records == ("v=DKIM1; p=abc",)


def test_trouble_is_told_and_not_raised(server):
    server.failing.add("broken.example.org")
    server.silent.add("mute.example.org")
    dns = Dns(server.address, timeout_s=0.3)
    assert "SERVFAIL" in dns.look_up("broken.example.org", "TXT").trouble
    assert dns.look_up("mute.example.org", "TXT") == Answer(trouble="no answer within 0.3 s")
    assert "label" in dns.look_up(f"{'a' * 64}.example.org", "A").trouble
    assert dns.look_up("no address", "PTR").trouble
    assert Dns(f"127.0.0.1:{closed_port()}", timeout_s=0.3).look_up("example.org", "A").trouble


def test_after_three_questions_without_answer_none_is_asked(server):
    names = [f"mute{number}.example.org" for number in range(5)]
    server.silent.update(names)
    server.txt("example.org", "hello")
    dns = Dns(server.address, timeout_s=0.2)
    assert dns.look_up("example.org", "TXT").records
    troubles = [dns.look_up(name, "TXT").trouble for name in names]
    assert ["not asked any more" in trouble for trouble in troubles] == [False] * 3 + [True] * 2
    assert names[3] not in {name for name, _ in server.questions}
    assert dns.look_up("example.org", "TXT").records == ("hello",)


def test_each_question_is_asked_once(server):
    server.txt("example.org", "hello")
    dns = Dns(server.address)
    assert dns.look_up("example.org", "TXT") == dns.look_up("EXAMPLE.org.", "TXT")
    assert server.questions == [("example.org", "TXT")]


def test_machine_without_resolver_says_so(monkeypatch):
    import dns.resolver

    def refuse(*_args, **_options):
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver, "Resolver", refuse)
    assert "--resolver" in Dns().look_up("example.org", "A").trouble


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_name_server_is_an_address(text, where):
    assert Dns(text)._server == where


@pytest.mark.parametrize(
    "text", ["dns.example.org", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:dns", "[::1", ":53", "1.2.3"]
)
def test_anything_else_is_no_name_server(text):
    with pytest.raises(InputError, match="no name server"):
        Dns(text)
