"""What DNS tells receivers about us: each finding with how bad it is, and the very record to publish."""

import pytest
from test_spf import Table

from newsletter.diagnosis import Finding, Level, broken, worst
from newsletter.dkim import SigningKey, dns_record
from newsletter.dnsrecords import Answer, SilentResolver, is_domain, is_within, parents, read_tags, zone_line
from newsletter.errors import ConfigError
from newsletter.examine.dkim import examine_dkim, key_problem
from newsletter.examine.dmarc import examine_dmarc, read_policy
from newsletter.examine.mx import examine_mx
from newsletter.examine.names import MailNames, SeenFrom, find_addresses, is_same_organisation
from newsletter.examine.ptr import examine_ptr
from newsletter.examine.spf import amend_record, examine_spf

KEY = SigningKey("s2026", "rsa-sha256", 2048, "MIIB" + "A" * 388, lambda content: content)
FROM, RETURN = "news.example.org", "bounces@news.example.org"


def names(**changes) -> MailNames:
    values = {"from_domain": FROM, "return_path": RETURN, "relay_host": "mail.example.org"}
    return MailNames(**values | changes)


def only(findings) -> Finding:
    [finding] = findings
    return finding


# ---------------------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------------------


def test_the_worst_level_leaves_out_what_was_not_checked():
    levels = [Level.OK, Level.UNCHECKED, Level.WARNING, Level.ERROR]
    findings = [Finding("x", level, "") for level in levels]
    assert [worst(findings[:count]) for count in range(5)] == [Level.OK] * 3 + [Level.WARNING, Level.ERROR]


def test_an_error_s_message_is_parted_at_what_to_do():
    finding = broken("store", ConfigError("a: gone; it was there; put it back"), "why")
    assert (finding.found, finding.fix) == ("a: gone; it was there", "put it back")
    finding = broken("store", ConfigError("a: gone"), "why")
    assert finding.found == "a: gone"
    assert finding.fix


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("v=DKIM1; k=rsa; p=abc", {"v": "DKIM1", "k": "rsa", "p": "abc"}),
        ("v=DMARC1;p=none;", {"v": "DMARC1", "p": "none"}),
        (" p = a b ", {"p": "a b"}),
        ("p=", {"p": ""}),
        ("p=a=b", {"p": "a=b"}),
        ("p=a; p=b", None),
        ("hello", None),
        ("", None),
        ("p=a;;", None),
    ],
)
def test_tag_lists(text, tags):
    assert read_tags(text) == tags


def test_names_and_their_parents():
    assert parents("News.Example.org.") == ["news.example.org", "example.org", "org"]
    assert is_within("news.example.org", "example.org")
    assert is_within("example.org", "Example.ORG")
    assert not is_within("badexample.org", "example.org")
    assert not is_within("example.org", "news.example.org")
    assert is_domain("_dmarc.example.org")
    assert not is_domain("a" * 64 + ".org")
    assert not is_domain("-a.org")


def test_records_are_written_as_a_zone_file_has_them():
    assert zone_line("example.org", "MX", "10 mail.example.org.") == "example.org. IN MX 10 mail.example.org."
    assert zone_line("example.org", "TXT", "v=spf1 -all") == 'example.org. IN TXT "v=spf1 -all"'
    long = zone_line("s._domainkey.example.org", "TXT", "x" * 300)
    assert long == f's._domainkey.example.org. IN TXT ( "{"x" * 255}" "{"x" * 45}" )'


# ---------------------------------------------------------------------------------------------------------------------
# The address that receivers see
# ---------------------------------------------------------------------------------------------------------------------


def test_addresses_that_the_operator_names_count():
    assert find_addresses(names(sends_from=("192.0.2.7",)), Table()) == SeenFrom(("192.0.2.7",), is_ours=True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "10.1.2.3", "192.168.1.2", "fe80::1"])
def test_relay_nearby_passes_mail_on_from_elsewhere(host):
    seen = find_addresses(names(relay_host=host), Table())
    assert seen.addresses == ()
    assert host in seen.unknown


def test_relay_s_host_tells_where_it_is_in_our_own_domain():
    table = Table().add("mail.example.org", "A", "192.0.2.7", "10.0.0.7").add("mail.example.org", "AAAA", "2001:db8::7")
    assert find_addresses(names(), table) == SeenFrom(("192.0.2.7", "2001:db8::7"), is_ours=True)
    assert find_addresses(names(relay_host="192.0.2.7"), table) == SeenFrom(("192.0.2.7",), is_ours=True)
    table.add("smtp.provider.example", "A", "198.51.100.1")
    seen = find_addresses(names(relay_host="smtp.provider.example"), table)
    assert seen == SeenFrom(("198.51.100.1",), is_ours=False)


def test_relay_without_public_address_is_unknown():
    assert "no public address" in find_addresses(names(), Table()).unknown
    assert "no answer" in find_addresses(names(), Table().fail("mail.example.org", "A")).unknown


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mail.example.org", "news.example.org", True),
        ("example.org", "news.example.org", True),
        ("mail.example.org", "example.com", False),
        ("mail.example.co.uk", "news.example.co.uk", True),
        ("mail.provider.co.uk", "news.example.co.uk", False),
        ("mail.provider.org", "example.org", False),
        ("mail.example.fr", "news.example.fr", True),
    ],
)
def test_organisations_are_told_by_their_names(one, other, same):
    assert is_same_organisation(one, other) is same


# ---------------------------------------------------------------------------------------------------------------------
# MX and PTR
# ---------------------------------------------------------------------------------------------------------------------


def mx(table) -> Finding:
    return only(examine_mx(names(), table))


def test_mx():
    table = Table().add(FROM, "MX", "10 mx.example.org", "20 mx2.example.org").add("mx.example.org", "A", "192.0.2.7")
    finding = mx(table)
    assert finding.level is Level.WARNING
    assert "no address for mx2.example.org" in finding.found
    finding = mx(table.add("mx2.example.org", "AAAA", "2001:db8::7"))
    assert finding.level is Level.OK
    assert "mx.example.org, mx2.example.org" in finding.found


def test_mx_that_leads_nowhere():
    finding = mx(Table().add(FROM, "MX", "10 mx.example.org"))
    assert finding.level is Level.ERROR
    assert "mx.example.org. IN A 192.0.2.1" in finding.fix


def test_mx_that_is_missing():
    finding = mx(Table())
    assert finding.level is Level.ERROR
    assert finding.fix.endswith(f"\n{FROM}. IN MX 10 mail.{FROM}.")
    finding = mx(Table().add(FROM, "A", "192.0.2.7"))
    assert finding.level is Level.WARNING
    assert "own address" in finding.found


def test_null_mx():
    finding = mx(Table().add(FROM, "MX", "0 ."))
    assert finding.level is Level.ERROR
    assert "RFC 7505" in finding.found


def test_mx_that_dns_does_not_answer_for():
    assert mx(Table().fail(FROM, "MX")).level is Level.UNCHECKED
    table = Table().add(FROM, "MX", "10 mx.example.org").fail("mx.example.org", "A")
    assert mx(table).level is Level.OK  # that it cannot be looked up is no reason to say it is not there


def ptr(table, *addresses, is_ours=True, unknown=""):
    return list(examine_ptr(names(), SeenFrom(addresses, is_ours, unknown), table))


def test_ptr():
    table = Table().add("192.0.2.7", "PTR", "mail.example.org").add("mail.example.org", "A", "192.0.2.7")
    table.add("2001:db8::7", "PTR", "other.example.org").add("other.example.org", "AAAA", "2001:db8::8")
    four, six = ptr(table, "192.0.2.7", "2001:db8::7")
    assert (four.level, six.level) == (Level.OK, Level.ERROR)
    assert six.fix.endswith("\nother.example.org. IN AAAA 2001:db8::7")


def test_ptr_that_is_missing():
    finding = only(ptr(Table(), "192.0.2.7"))
    assert finding.level is Level.ERROR
    assert "7.2.0.192.in-addr.arpa. IN PTR mail.example.org." in finding.fix
    assert "mail.example.org. IN A 192.0.2.7" in finding.fix


def test_ptr_that_is_not_known_or_not_ours_is_not_checked():
    assert only(ptr(Table(), unknown="the relay is here")).level is Level.UNCHECKED
    assert only(ptr(Table(), "192.0.2.7", is_ours=False)).level is Level.UNCHECKED
    assert only(ptr(Table().fail("192.0.2.7", "PTR"), "192.0.2.7")).level is Level.UNCHECKED
    table = Table().add("192.0.2.7", "PTR", "mail.example.org").fail("mail.example.org", "A")
    assert only(ptr(table, "192.0.2.7")).level is Level.UNCHECKED


# ---------------------------------------------------------------------------------------------------------------------
# SPF
# ---------------------------------------------------------------------------------------------------------------------


def judge_spf(*records, address="192.0.2.7", is_ours=True, table=None) -> Finding:
    table = (table or Table()).add(FROM, "TXT", *records)
    return only(examine_spf(names(), SeenFrom((address,) if address else (), is_ours, "it is here"), table))


def test_spf_that_names_the_relay():
    finding = judge_spf("v=spf1 ip4:192.0.2.0/24 -all")
    assert finding.level is Level.OK
    assert "0 of 10" in finding.found
    finding = judge_spf(
        "v=spf1 include:spf.example.net -all", table=Table().add("spf.example.net", "TXT", "v=spf1 +all")
    )
    assert finding.level is Level.OK
    assert "1 of 10" in finding.found


def test_spf_that_does_not_name_the_relay():
    finding = judge_spf("v=spf1 mx ~all")
    assert finding.level is Level.ERROR
    assert finding.fix.endswith(f'{FROM}. IN TXT "v=spf1 mx ip4:192.0.2.7 ~all"')
    finding = judge_spf("v=spf1 mx ~all", is_ours=False)
    assert finding.level is Level.WARNING
    assert "other addresses" in finding.found
    assert "include:" in finding.fix


def test_spf_that_is_missing():
    finding = judge_spf("hello")
    assert finding.level is Level.ERROR
    assert f'{FROM}. IN TXT "v=spf1 ip4:192.0.2.7 -all"' in finding.fix
    assert '"v=spf1 a:mail.example.org -all"' in judge_spf("hello", is_ours=False).fix
    assert f'"v=spf1 a:mail.{FROM} -all"' in judge_spf("hello", address="", is_ours=False).fix


def test_spf_that_lets_everybody_in():
    finding = judge_spf("v=spf1 mx +all")
    assert finding.level is Level.WARNING
    assert '"v=spf1 mx ip4:192.0.2.7 -all"' in finding.fix


def test_spf_that_receivers_ignore():
    finding = judge_spf("v=spf1 -all", "v=spf1 mx -all")
    assert finding.level is Level.ERROR
    assert "join them" in finding.fix
    finding = judge_spf("v=spf1 ipv4:192.0.2.7 -all")
    assert finding.level is Level.ERROR
    assert "'ipv4:192.0.2.7'" in finding.found
    assert "RFC 7208" in finding.fix


def test_spf_that_asks_too_much_is_an_error_also_where_the_relay_comes_first():
    table = Table()
    for number in range(11):
        table.add(f"spf{number}.example.net", "TXT", "v=spf1 -all")
    includes = " ".join(f"include:spf{number}.example.net" for number in range(11))
    finding = judge_spf(f"v=spf1 ip4:192.0.2.7 {includes} -all", table=table)
    assert finding.level is Level.ERROR
    assert "include:spf10.example.net" in finding.found
    assert "ip4:" in finding.fix


def test_spf_with_too_many_names_that_are_not_there():
    finding = judge_spf("v=spf1 a:a.example.org a:b.example.org a:c.example.org -all")
    assert finding.level is Level.ERROR
    assert "DNS does not have" in finding.found


def test_spf_that_cannot_be_judged():
    finding = judge_spf("v=spf1 mx -all", address="")
    assert finding.level is Level.UNCHECKED
    assert "--sends-from" in finding.fix
    table = Table().fail("spf.example.net", "TXT")
    assert judge_spf("v=spf1 include:spf.example.net -all", table=table).level is Level.UNCHECKED
    table = Table().fail("gone.example.net", "A")
    assert judge_spf("v=spf1 a:gone.example.net -all", table=table).level is Level.UNCHECKED
    assert only(examine_spf(names(), SeenFrom(("192.0.2.7",)), Table().fail(FROM, "TXT"))).level is Level.UNCHECKED


@pytest.mark.parametrize(
    ("record", "amended"),
    [
        ("v=spf1", "v=spf1 ip4:192.0.2.7 -all"),
        ("v=spf1 -all", "v=spf1 ip4:192.0.2.7 -all"),
        ("v=spf1 mx ?all exp=why.example.org", "v=spf1 mx ip4:192.0.2.7 ?all exp=why.example.org"),
        ("v=spf1 mx redirect=spf.example.net", "v=spf1 mx ip4:192.0.2.7 redirect=spf.example.net"),
        ("v=spf1 all", "v=spf1 ip4:192.0.2.7 -all"),
    ],
)
def test_amended_record_names_the_address_before_its_end(record, amended):
    assert amend_record(record, "192.0.2.7") == amended
    table = Table().add("spf.example.net", "TXT", "v=spf1 -all").add(FROM, "TXT", amended)
    assert only(examine_spf(names(), SeenFrom(("192.0.2.7",), is_ours=True), table)).level is Level.OK


# ---------------------------------------------------------------------------------------------------------------------
# DKIM
# ---------------------------------------------------------------------------------------------------------------------


def dkim(*records, key=KEY) -> Finding:
    name, _ = dns_record(key, FROM)
    table = Table().add(name, "TXT", *records) if records else Table()
    return only(examine_dkim(names(keys=(key,), signed_by=FROM), table))


def test_dkim_record_that_is_ours():
    finding = dkim(dns_record(KEY, FROM)[1])
    assert (finding.check, finding.level) == ("dkim s2026", Level.OK)
    assert "2048" in finding.found
    assert (
        dkim(f"p={KEY.public[:50]} {KEY.public[50:]}").level is Level.OK
    )  # v= and k= have defaults, blanks are nothing
    assert dkim(f"v=DKIM1; h=sha1:sha256; s=*; t=s; n=hello; p={KEY.public}").level is Level.OK


def test_dkim_record_that_is_missing():
    finding = dkim()
    assert finding.level is Level.ERROR
    assert finding.fix == "publish:\n" + zone_line(*_record_args())


def _record_args():
    name, text = dns_record(KEY, FROM)
    return name, "TXT", text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; k=ed25519; p=abc", "kind ed25519"),
        ("v=DKIM1; p=MIIBother", "another key"),
        ("v=DKIM2; p=abc", "no DKIM key"),
        ("v=spf1 -all", "no DKIM key"),
        ("v=DKIM1; k=rsa", "no DKIM key"),
        (f"h=sha1; p={KEY.public}", "h=sha1"),
        (f"s=web; p={KEY.public}", "s=web"),
    ],
)
def test_dkim_record_that_is_not_ours(record, words):
    finding = dkim(record)
    assert finding.level is Level.ERROR
    assert words in finding.found
    assert dns_record(KEY, FROM)[1][:50] in finding.fix
    assert key_problem(KEY, record)


def test_dkim_record_in_doubt():
    text = dns_record(KEY, FROM)[1]
    assert dkim(text, text.replace("MIIB", "MIIC")).level is Level.ERROR
    assert dkim(f"{text}; t=y:s").level is Level.WARNING
    table = Table().fail(dns_record(KEY, FROM)[0], "TXT")
    assert only(examine_dkim(names(keys=(KEY,), signed_by=FROM), table)).level is Level.UNCHECKED


def test_without_keys_the_relay_may_sign():
    finding = only(examine_dkim(names(), Table()))
    assert finding.level is Level.UNCHECKED
    assert "--to" in finding.fix


# ---------------------------------------------------------------------------------------------------------------------
# DMARC
# ---------------------------------------------------------------------------------------------------------------------


def dmarc(table, **changes) -> Finding:
    return only(examine_dmarc(names(**changes), table))


def dmarc_table(**records) -> Table:
    table = Table()
    for domain, text in records.items():
        table.add(f"_dmarc.{domain.replace('_', '.')}", "TXT", text)
    return table


def test_dmarc_that_is_missing():
    finding = dmarc(Table().add(f"_dmarc.{FROM}", "TXT", "hello"))
    assert finding.level is Level.ERROR
    assert finding.fix.endswith(f'\n_dmarc.{FROM}. IN TXT "v=DMARC1; p=none"')


def test_dmarc_of_the_domain_itself_or_of_one_above():
    finding = dmarc(dmarc_table(news_example_org="v=DMARC1; p=reject"))
    assert finding.level is Level.OK
    assert f"_dmarc.{FROM} asks for reject" in finding.found
    finding = dmarc(dmarc_table(example_org="v=DMARC1; p=reject; sp=quarantine"))
    assert finding.level is Level.OK
    assert "_dmarc.example.org asks for quarantine" in finding.found
    assert "asks for none" in dmarc(dmarc_table(example_org="v=DMARC1; rua=mailto:me@example.org")).found


@pytest.mark.parametrize("text", ["v=DMARC1; p=strict", "v=DMARC1; p=none; p=none", "v=DMARC1; hello"])
def test_dmarc_that_cannot_be_read(text):
    finding = dmarc(dmarc_table(news_example_org=text))
    assert finding.level is Level.ERROR
    assert "v=DMARC1; p=none" in finding.fix


def test_dmarc_twice():
    table = Table().add(f"_dmarc.{FROM}", "TXT", "v=DMARC1; p=none", "v=DMARC1; p=reject")
    finding = dmarc(table)
    assert finding.level is Level.ERROR
    assert "2 DMARC records" in finding.found


def test_dmarc_that_dns_does_not_answer_for():
    assert dmarc(Table().fail("_dmarc.example.org", "TXT")).level is Level.UNCHECKED


def test_alignment_of_the_return_path():
    table = dmarc_table(example_org="v=DMARC1; p=reject")
    assert dmarc(table, return_path="bounces@lists.example.org").level is Level.OK
    finding = dmarc(table, return_path="bounces@provider.example.net")
    assert finding.level is Level.WARNING
    assert "bounce_address" in finding.fix
    strict = dmarc_table(example_org="v=DMARC1; p=reject; aspf=s")
    assert dmarc(strict).level is Level.OK
    assert dmarc(strict, return_path="bounces@example.org").level is Level.WARNING


def test_alignment_of_dkim():
    table = dmarc_table(example_org="v=DMARC1; p=reject; aspf=s")
    signed = {"return_path": "bounces@provider.example.net", "keys": (KEY,)}
    finding = dmarc(table, **signed, signed_by="example.org")
    assert finding.level is Level.OK
    assert "DKIM (example.org)" in finding.found
    finding = dmarc(table, **signed, signed_by="provider.example.net")
    assert finding.level is Level.ERROR
    assert "no message can pass" in finding.found
    watching = dmarc_table(example_org="v=DMARC1; p=none; adkim=s")
    assert dmarc(watching, **signed, signed_by="example.org").level is Level.WARNING


def test_the_organisation_is_found_by_walking_up():
    own, above, suffix = (
        ("news.example.co.uk", ["v=DMARC1"]),
        ("example.co.uk", ["v=DMARC1"]),
        ("co.uk", ["v=DMARC1; psd=y"]),
    )
    assert read_policy([own]).organisation == "news.example.co.uk"
    assert read_policy([own, above]).organisation == "example.co.uk"
    assert read_policy([own, above, suffix]).organisation == "example.co.uk"
    assert read_policy([own, suffix]).organisation == "example.co.uk"
    assert read_policy([("news.example.co.uk", ["v=DMARC1; psd=n"]), above]).organisation == "news.example.co.uk"
    assert read_policy([("co.uk", ["v=DMARC1; psd=y"])]).organisation == "co.uk"
    assert read_policy([("example.org", ["v=DMARC1; hello"])]) is None


def test_silence_is_an_answer():
    assert SilentResolver().look_up("example.org", "TXT") == Answer(trouble="DNS was not asked (--offline)")
