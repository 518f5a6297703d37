"""Attributes in braces at the end of a heading or item."""

import datetime as dt

import pytest

from newsletter.attributes import read_attributes, split_attributes
from newsletter.errors import IssueError, Place

HERE = Place("f.md", 3, 5)
EVERY = ("kind", "topics", "date", "follow-up", "waive")


@pytest.mark.parametrize(
    ("text", "before", "braces"),
    [
        ("Title {kind=brief}", "Title", "{kind=brief}"),
        ("Title{kind=brief topics=a,b}  ", "Title", "{kind=brief topics=a,b}"),
        ("{kind=brief}", "", "{kind=brief}"),
        (" by A {x} {date=2026-11-20}", " by A {x}", "{date=2026-11-20}"),
        ("Title", "Title", ""),
        ("Title {}", "Title {}", ""),
        ("Title {secrets}", "Title {secrets}", ""),
        ("Title {knd=brief}", "Title {knd=brief}", ""),
        ("Title {kind}", "Title {kind}", ""),
        ("Title {kind = brief}", "Title {kind = brief}", ""),
        ("Title {kind=brief} more", "Title {kind=brief} more", ""),
        ("Title {kind=a{b}}", "Title {kind=a{b}}", ""),
        ("a" + " " * 100_000 + "b", "a" + " " * 100_000 + "b", ""),
    ],
)
def test_braces_are_attributes_where_their_first_word_is_one(text: str, before: str, braces: str) -> None:
    assert split_attributes(text) == (before, braces)


def test_every_attribute_is_read() -> None:
    braces = "{kind=brief topics=a,b date=2026-11-20 follow-up=2026-11-18 waive=link-text}"
    assert read_attributes(braces, EVERY, ("brief",), HERE) == {
        "kind": "brief",
        "topics": ("a", "b"),
        "date": dt.date(2026, 11, 20),
        "follow-up": "2026-11-18",
        "waive": ("link-text",),
    }


@pytest.mark.parametrize(
    ("braces", "allowed", "message"),
    [
        ("{kind=list}", EVERY, "f.md:3:5: {kind=list}: unknown kind (kinds here: lead, brief)"),
        ("{kind=}", EVERY, "f.md:3:5: {kind=}: unknown kind (kinds here: lead, brief)"),
        ("{kind=brief b}", ("kind", "date"), "f.md:3:5: {b}: unknown attribute 'b' (here may stand: kind, date)"),
        ("{date=x}", ("kind",), "f.md:3:5: {date=x}: unknown attribute 'date' (here may stand: kind)"),
        ("{kind=x}", (), "f.md:3:5: {kind=x}: unknown attribute 'kind' (no attributes may stand on this heading)"),
        ("{date=20/11/2026}", EVERY, "f.md:3:5: {date=20/11/2026} cannot be read (write it like date=2026-11-20)"),
        ("{topics=,}", EVERY, "f.md:3:5: {topics=,} cannot be read (write it like topics=beauty,retail)"),
        ("{waive=}", EVERY, "f.md:3:5: {waive=} cannot be read (write it like waive=CHECK-ID)"),
        ("{follow-up=../x}", EVERY, "f.md:3:5: {follow-up=../x} cannot be read (write it like follow-up=2026-11-18)"),
    ],
)  # fmt: skip
def test_what_may_not_stand_is_told_with_what_may(braces: str, allowed: tuple[str, ...], message: str) -> None:
    with pytest.raises(IssueError) as caught:
        read_attributes(braces, allowed, ("lead", "brief"), HERE)
    assert str(caught.value) == message
