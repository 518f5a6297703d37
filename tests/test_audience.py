"""An audience is read as its grammar says, and every mistake names its place and what may stand there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience import (
    DEPTH_MAX,
    TERMS_MAX,
    TEXT_MAX,
    All,
    Audience,
    Either,
    Equals,
    Has,
    Not,
    OnList,
    Traits,
    list_names,
    matches,
    parse_audience,
)
from newsletter.errors import IssueError, Place

HERE = Place("issues/a.md", 4, 11)
FR, BEAUTY = Equals("language", "fr"), Has("beauty")
WEEKLY, MONTHLY = OnList("weekly"), OnList("monthly")


def parse(text: str) -> Audience:
    return parse_audience(text, HERE)


@pytest.mark.parametrize(
    ("text", "lists", "condition"),
    [
        ("", (), None),
        ("  ", (), None),
        ("weekly", ("weekly",), None),
        ("weekly, monthly", ("weekly", "monthly"), None),
        ("weekly or monthly or weekly", ("weekly", "monthly"), None),
        ("中文", ("中文",), None),
        ('language = "fr" and topics has "beauty"', (), All((FR, BEAUTY))),
        ('language="fr"', (), FR),
        ('language != "fr"', (), Not(FR)),
        ('topics has "Big Data"', (), Has("big-data")),
        ("not weekly", (), Not(WEEKLY)),
        ("not not weekly", ("weekly",), Not(Not(WEEKLY))),
        ("weekly and monthly", ("weekly", "monthly"), All((WEEKLY, MONTHLY))),
        ("weekly and not monthly", ("weekly",), All((WEEKLY, Not(MONTHLY)))),
        ('weekly and (language = "fr" or topics has "beauty")', ("weekly",), All((WEEKLY, Either((FR, BEAUTY))))),
        ('weekly or language = "fr" and topics has "beauty"', ("weekly",), Either((WEEKLY, All((FR, BEAUTY))))),
        ('attributes.town = "St. John\'s; DROP"', (), Equals("town", "St. John's; DROP", True)),
        ('attributes.language = ""', (), Equals("language", "", True)),
        ('domain = "example.org"', (), Equals("domain", "example.org")),
    ],
)
def test_what_is_read(text, lists, condition):
    assert parse(text) == Audience(lists, condition)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("language = fr", 22, 'write it like "fr"'),
        ('langauge = "fr"', 11, "unknown field 'langauge'"),
        ("weekly and", 21, "'the end' stands where a list, a field"),
        ("and weekly", 11, "'and' stands where"),
        ("weekly monthly", 18, "'monthly' stands where 'and', 'or' or the end was awaited"),
        ("(weekly", 18, "stands where ')' was awaited"),
        ("weekly)", 17, "')' stands where"),
        ('language = "fr', 22, 'text stands between two "'),
        ("language", 11, "what it is compared with is missing"),
        ("topics", 11, "what it is compared with is missing"),
        ('topics = "beauty"', 11, "unknown field 'topics'"),
        ('attributes. = "x"', 11, "unknown field 'attributes.'"),
        ("weekly !", 18, "cannot be read"),
        ("weekly,", 18, "'the end' stands where"),
        ("not", 14, "'the end' stands where"),
        ("x" * (TEXT_MAX + 1), 11, "2000 may stand"),
        (" or ".join(["a"] * (TERMS_MAX + 1)), 11 + 5 * TERMS_MAX, "more than 60 comparisons"),
        ("(" * (DEPTH_MAX + 1) + "a", 11 + DEPTH_MAX, "more than 30 levels"),
        ("not " * 400 + "a", 11 + 4 * DEPTH_MAX, "more than 30 levels"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, column, words):
    with pytest.raises(IssueError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert (problem.place.file, problem.place.line, problem.place.column) == ("issues/a.md", 4, column)
    assert problem.message.startswith("audience: ")
    assert words in str(problem)


@given(st.text(alphabet='ab "=!(),.notrhs\u4e2d\x00', max_size=30) | st.text(max_size=20))
def test_any_text_is_read_or_told(text):
    try:
        parse(text)
    except IssueError as error:
        assert error.problems[0].place.line == 4


def test_every_list_is_named_once():
    assert list_names(parse("a and not (b or a and not c)").condition) == ("a", "b", "c")
    assert list_names(None) == ()


ANN = Traits(
    lists={"weekly"},
    language="fr-CA",
    name="Ann",
    time_zone="Europe/Paris",
    domain="example.org",
    topics={"beauty"},
    attributes={"town": "Lyon"},
)


@pytest.mark.parametrize(
    ("text", "is_match"),
    [
        ('language = "fr"', True),
        ('language = "FR-ca"', True),
        ('language = "f"', False),
        ('language = ""', False),
        ('language = "fr-CA-x"', False),
        ('name = "Ann" and domain = "example.org"', True),
        ('name = "ann"', False),
        ('time_zone != "Europe/Paris"', False),
        ('topics has "beauty" and not topics has "retail"', True),
        ('attributes.town = "Lyon"', True),
        ('attributes.town = "lyon" or attributes.size = ""', True),
        ('attributes.size != "L"', True),
        ("weekly and not monthly", True),
        ("monthly or not weekly", False),
    ],
)
def test_who_matches(text, is_match):
    assert matches(parse(text).condition, ANN) is is_match


def test_everybody_matches_no_condition():
    assert matches(None, Traits())
