"""SPF: which addresses a domain lets send, by RFC 7208; the cases follow its sections and examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.dnsrecords import Answer
from newsletter.spf import LOOKUPS_MAX, Result, check_host, count_lookups, is_spf

SENDER = "bounces@example.org"


class Table:
    """Answer from a table; what is not in it does not exist."""

    def __init__(self, **zone):
        self.zone = {}
        self.questions = []

    def add(self, name, kind, *records):
        self.zone[name, kind] = Answer(tuple(records))
        return self

    def fail(self, name, kind):
        self.zone[name, kind] = Answer(trouble="no answer within 5 s")
        return self

    def look_up(self, name, kind):
        self.questions.append((name, kind))
        return self.zone.get((name, kind), Answer())


def judge(record, address="192.0.2.7", table=None, sender=SENDER):
    return check_host(address, "example.org", sender, (table or Table()).add("example.org", "TXT", record))


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 +all", "192.0.2.7", Result.PASS),
        ("v=spf1 -all", "192.0.2.7", Result.FAIL),
        ("v=spf1 ~all", "192.0.2.7", Result.SOFTFAIL),
        ("v=spf1 ?all", "192.0.2.7", Result.NEUTRAL),
        ("v=spf1", "192.0.2.7", Result.NEUTRAL),
        ("V=SPF1 IP4:192.0.2.7 -ALL", "192.0.2.7", Result.PASS),
        ("v=spf1  ip4:192.0.2.0/24   -all ", "192.0.2.7", Result.PASS),
        ("v=spf1 ip4:192.0.2.128/25 -all", "192.0.2.7", Result.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::7", Result.PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", "192.0.2.7", Result.FAIL),
        ("v=spf1 ip4:192.0.2.7 -all", "::ffff:192.0.2.7", Result.PASS),
        ("v=spf1 -ip4:192.0.2.7 +all", "192.0.2.7", Result.FAIL),
        ("v=spf1 unknown=what -all", "192.0.2.7", Result.FAIL),
        ("v=spf1 -all ip4:192.0.2.7", "192.0.2.7", Result.FAIL),
    ],
)
def test_terms_without_lookup(record, address, result):
    assert judge(record, address).result is result


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ipv4:192.0.2.7 -all",
        "v=spf1 ip4:192.0.2.0/33 -all",
        "v=spf1 ip4:192.0.2 -all",
        "v=spf1 ip4 -all",
        "v=spf1 ip4:2001:db8::1 -all",
        "v=spf1 ip6:192.0.2.7 -all",
        "v=spf1 all:example.org",
        "v=spf1 all/24",
        "v=spf1 include -all",
        "v=spf1 include: -all",
        "v=spf1 include:/24 -all",
        "v=spf1 include:example.net/24 -all",
        "v=spf1 exists -all",
        "v=spf1 a/33 -all",
        "v=spf1 a//129 -all",
        "v=spf1 a: -all",
        "v=spf1 +-all",
        "v=spf1 -all,",
        "v=spf1 redirect=a.example.net redirect=b.example.net",
        "v=spf1 redirect=",
        "v=spf1 -all include",  # behind what decides, and yet wrong (section 4.6)
        "v=spf1 exists:%{x}.example.org -all",
        "v=spf1 exists:%a.example.org -all",
        "v=spf1 exists:%{d0}.example.org -all",
    ],
)
def test_mistake_spoils_the_record(record):
    verdict = judge(record)
    assert verdict.result is Result.PERMERROR
    assert verdict.reason
    assert verdict.record == record


def test_only_what_says_v_spf1_is_a_record():
    assert [is_spf(text) for text in ("v=spf1", "V=spf1 -all")] == [True, True]
    assert not any(is_spf(text) for text in ("v=spf10 -all", "v=spf1\t-all", "spf1 -all", ""))


def test_none_several_and_silent():
    assert check_host("192.0.2.7", "example.org", SENDER, Table()).result is Result.NONE
    table = Table().add("example.org", "TXT", "google-site-verification=1", "v=spf1 -all")
    assert check_host("192.0.2.7", "example.org", SENDER, table).result is Result.FAIL
    table.add("example.org", "TXT", "v=spf1 -all", "v=spf1 +all")
    verdict = check_host("192.0.2.7", "example.org", SENDER, table)
    assert verdict.result is Result.PERMERROR
    assert "2 SPF records" in verdict.reason
    verdict = check_host("192.0.2.7", "example.org", SENDER, Table().fail("example.org", "TXT"))
    assert verdict.result is Result.TEMPERROR
    assert "no answer" in verdict.reason


@pytest.mark.parametrize("domain", ["org", "", "a..example.org", f"{'a' * 64}.example.org"])
def test_what_is_no_domain_has_no_record(domain):
    assert check_host("192.0.2.7", domain, SENDER, Table()).result is Result.NONE


def test_a_and_mx():
    table = Table().add("example.org", "A", "192.0.2.7").add("mail.example.net", "A", "198.51.100.9")
    table.add("example.org", "MX", "10 mail.example.net", "20 gone.example.net")
    table.add("example.org", "AAAA", "2001:db8::7")
    assert judge("v=spf1 a -all", table=table).reason == "a"
    assert judge("v=spf1 a:example.org -all", table=table).result is Result.PASS
    assert judge("v=spf1 a -all", "192.0.2.8", table).result is Result.FAIL
    assert judge("v=spf1 a/24 -all", "192.0.2.8", table).result is Result.PASS
    assert judge("v=spf1 a/24//64 -all", "2001:db8::8", table).result is Result.PASS
    assert judge("v=spf1 a//64 -all", "192.0.2.8", table).result is Result.FAIL
    assert judge("v=spf1 mx -all", "198.51.100.9", table).result is Result.PASS
    assert judge("v=spf1 mx/28 -all", "198.51.100.1", table).result is Result.PASS
    assert judge("v=spf1 mx -all", "192.0.2.7", table).result is Result.FAIL


def test_mx_with_too_many_names():
    table = Table().add("example.org", "MX", *(f"10 mail{n}.example.org" for n in range(11)))
    verdict = judge("v=spf1 mx -all", table=table)
    assert verdict.result is Result.PERMERROR
    assert "10 MX" in verdict.reason


@pytest.mark.parametrize(
    ("included", "result"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", Result.PASS),
        ("v=spf1 -all", Result.SOFTFAIL),
        ("v=spf1 ~all", Result.SOFTFAIL),
        ("v=spf1 ?all", Result.SOFTFAIL),
        ("v=spf1 nonsense", Result.PERMERROR),
        (None, Result.PERMERROR),
    ],
)
def test_include(included, result):
    table = Table()
    if included:
        table.add("spf.example.net", "TXT", included)
    verdict = judge("v=spf1 include:spf.example.net ~all", table=table)
    assert verdict.result is result
    assert verdict.lookups == 1


def test_silence_of_an_included_record_is_temporary():
    table = Table().fail("spf.example.net", "TXT")
    assert judge("v=spf1 include:spf.example.net -all", table=table).result is Result.TEMPERROR
    table = Table().fail("mail.example.net", "A")
    assert judge("v=spf1 a:mail.example.net -all", table=table).result is Result.TEMPERROR


def test_redirect_takes_the_other_record_s_result_and_domain():
    table = Table().add("spf.example.net", "TXT", "v=spf1 a -all").add("spf.example.net", "A", "192.0.2.7")
    assert judge("v=spf1 redirect=spf.example.net", table=table).result is Result.PASS
    assert judge("v=spf1 redirect=spf.example.net", "192.0.2.8", table).result is Result.FAIL
    assert judge("v=spf1 ?all redirect=spf.example.net", table=table).result is Result.NEUTRAL
    assert judge("v=spf1 redirect=gone.example.net", table=table).result is Result.PERMERROR


def test_ten_terms_may_ask_and_no_more():
    table = Table()
    for number in range(12):
        table.add(f"a{number}.example.org", "A", "198.51.100.1")
    ten = " ".join(f"a:a{number}.example.org" for number in range(10))
    verdict = judge(f"v=spf1 {ten} -all", table=table)
    assert (verdict.result, verdict.lookups) == (Result.FAIL, LOOKUPS_MAX)
    verdict = judge(f"v=spf1 {ten} a:a10.example.org -all", table=table)
    assert verdict.result is Result.PERMERROR
    assert "a:a10.example.org" in verdict.reason


def test_record_that_includes_itself_ends():
    table = Table().add("example.net", "TXT", "v=spf1 include:example.net -all")
    assert judge("v=spf1 include:example.net -all", table=table).result is Result.PERMERROR
    table = Table().add("example.net", "TXT", "v=spf1 redirect=example.net")
    assert judge("v=spf1 redirect=example.net", table=table).result is Result.PERMERROR


def test_two_terms_may_get_nothing_and_no_more():
    assert judge("v=spf1 a:x.example.org exists:y.example.org -all").result is Result.FAIL
    verdict = judge("v=spf1 a:x.example.org mx:y.example.org exists:z.example.org -all")
    assert verdict.result is Result.PERMERROR
    assert "z.example.org" in verdict.reason


def test_ptr_needs_the_way_back():
    table = (
        Table()
        .add("192.0.2.7", "PTR", "mail.example.org", "liar.example.net")
        .add("mail.example.org", "A", "192.0.2.7")
    )
    assert judge("v=spf1 ptr -all", table=table).result is Result.PASS
    assert judge("v=spf1 ptr:example.net -all", table=table).result is Result.FAIL
    assert judge("v=spf1 ptr:ample.org -all", table=table).result is Result.FAIL


@pytest.mark.parametrize(
    ("spec", "asked"),
    [  # section 7.4, for strong-bad@email.example.com
        ("%{s}.x", "strong-bad@email.example.com.x"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}.x", "com.x"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}.x", "strong-bad.x"),
        ("%{l-}.x", "strong.bad.x"),
        ("%{lr}.x", "strong-bad.x"),
        ("%{lr-}.x", "bad.strong.x"),
        ("%{l1r-}.x", "strong.x"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{h}", "helo.example.com"),
        ("%{S}.x", "strong-bad%40email.example.com.x"),
        ("a%%b%_c%-d.x", "a%b c%20d.x"),
        ("%{p}.x", "unknown.x"),
        ("%{d}.", "email.example.com"),
        ("%{l}." + "a." * 130 + "%{o}", "a." * 118 + "email.example.com"),
    ],
)
def test_macros(spec, asked):
    table = Table().add("email.example.com", "TXT", f"v=spf1 exists:{spec} -all")
    check_host("192.0.2.3", "email.example.com", "strong-bad@email.example.com", table, helo="helo.example.com")
    assert (asked, "A") in table.questions


def test_macros_of_ipv6_and_of_validated_names():
    table = Table().add("example.org", "TXT", "v=spf1 exists:%{ir}.%{v}.%{d} exists:%{p} -all")
    table.add("2001:db8::cb01", "PTR", "mx.example.org").add("mx.example.org", "AAAA", "2001:db8::cb01")
    check_host("2001:db8::cb01", "example.org", SENDER, table)
    reversed_ = "1.0.b.c" + ".0" * 20 + ".8.b.d.0.1.0.0.2"
    assert (f"{reversed_}.ip6.example.org", "A") in table.questions
    assert ("mx.example.org", "A") in table.questions


def test_counting_walks_everything_and_asks_only_for_records():
    table = Table().add("spf.example.net", "TXT", "v=spf1 a mx exists:%{i}.%{p}.x ptr ip4:192.0.2.0/24 ~all")
    table.add("example.org", "TXT", "v=spf1 include:spf.example.net a mx -all")
    verdict = count_lookups("example.org", table)
    assert (verdict.result, verdict.lookups) == (Result.FAIL, 7)
    assert table.questions == [("example.org", "TXT"), ("spf.example.net", "TXT")]
    table.add("example.org", "TXT", "v=spf1 include:spf.example.net include:spf.example.net a mx -all")
    verdict = count_lookups("example.org", table)
    assert (verdict.result, verdict.lookups) == (Result.PERMERROR, 11)


TERMS = st.one_of(
    st.sampled_from(
        ["all", "a", "mx", "ptr", "include:example.net", "redirect=example.net", "exists:%{ir}.x", "a:%{d2}/24"]
    ),
    st.text(st.characters(codec="ascii", exclude_characters=" "), max_size=20),
)


@given(st.lists(st.tuples(st.sampled_from(["", "+", "-", "~", "?"]), TERMS), max_size=14))
def test_any_record_gets_a_result(terms):
    record = " ".join(["v=spf1", *(f"{sign}{term}" for sign, term in terms)])
    table = Table().add("example.net", "TXT", record)
    verdict = judge(record, table=table)
    assert verdict.result in Result
    assert verdict.lookups <= LOOKUPS_MAX + 1
