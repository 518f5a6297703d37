"""Made-up people, and the faults dealt out to them."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.addresses import parse_address
from newsletter.faults import DEEDS, DOMAINS, Fault, deal_faults, make_people, parse_share


def addresses(count):
    return [person.address for person in make_people(count)]


def test_people_are_many_different_and_nobody():
    people = make_people(2000)
    assert len({person.address for person in people}) == 2000
    assert all(parse_address(person.address) == person.address for person in people)
    domains = Counter(person.address.partition("@")[2] for person in people)
    assert list(domains) != []
    assert [domain for domain, _ in domains.most_common()] == list(DOMAINS)
    assert all(domain.endswith(("example.com", "example.net", "example.org")) for domain in domains)
    assert {"王小明", ""} <= {person.name for person in people}


@pytest.mark.parametrize(
    ("text", "share"), [("5%", Fraction(1, 20)), ("0.5 %", Fraction(1, 200)), ("0%", 0), (" 100% ", 1)]
)
def test_share(text, share):
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["5", "0.05", "101%", "-1%", "%", "five %", "1e2%", "5%%"])
def test_what_is_no_share(text):
    with pytest.raises(ValueError, match="like 5%"):
        parse_share(text)


def test_kinds_are_dealt_by_their_weights():
    dealt = deal_faults(addresses(2000), Fraction(1, 20), 1)
    assert Counter(dealt.values()) == {fault: deed.weight for fault, deed in DEEDS.items()}
    strict = [address for address, fault in dealt.items() if fault is Fault.POLICY]
    assert all(address.endswith("@example.com") for address in strict)


@given(st.integers(1, 300), st.fractions(0, 1), st.integers())
def test_as_many_meet_a_fault_as_was_said(count, share, seed):
    people = addresses(count)
    dealt = deal_faults(people, share, seed)
    assert len(dealt) == round(count * share)
    assert dealt.keys() <= set(people)
    assert dealt == deal_faults(people, share, seed)


def test_another_seed_deals_to_others():
    people = addresses(200)
    assert deal_faults(people, Fraction(1, 10), 1) != deal_faults(people, Fraction(1, 10), 2)


def test_weights_are_parts_of_a_hundred():
    assert sum(deed.weight for deed in DEEDS.values()) == 100
    assert set(DEEDS) == set(Fault)
