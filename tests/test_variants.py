"""An issue is cut to topics: the lead and what has no topics go to everybody, and equal cuts have one name."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.config import SectionsSection
from newsletter.errors import InputError
from newsletter.issue import parse_issue
from newsletter.variants import NO_TOPICS, WHOLE, TopicalSections, cut_issue, topical_sections, variant_words

TEXT = """\
---
subject: Hello
date: 2026-11-25
---
Good morning. ![tower](images/tower.png)

## Most important news {topics=beauty}

### [A crane fell](https://example.com/crane)
![a crane](images/crane.png)

## Beauty {topics=Beauty,retail}

### [A cream](https://example.com/cream)
![a cream](images/cream%20&.png)

## Retail {topics=retail}

- [A shop](https://example.com/shop)

## In brief

- [A park](https://example.com/park)
  > with ![a park](images/park.png) in it
"""


@pytest.fixture
def issue():
    return parse_issue(
        TEXT, slug="2026-11-25", file="issues/2026-11-25.md", zone=ZoneInfo("UTC"), sections=SectionsSection()
    )


def names(issue) -> list[str]:
    return [section.name for section in issue.sections]


def test_the_lead_goes_to_everybody_whatever_it_says(issue):
    assert topical_sections(issue) == TopicalSections((("beauty", "retail"), ("retail",)))
    assert topical_sections(issue).known == ("beauty", "retail")


@pytest.mark.parametrize(
    ("chosen", "variant"),
    [
        ((), WHOLE),
        (("retail",), WHOLE),
        (("beauty", "retail"), WHOLE),
        (("beauty",), "beauty"),
        (("beauty", "sport"), "beauty"),
        (("sport",), NO_TOPICS),
    ],
)
def test_which_variant_somebody_gets(issue, chosen, variant):
    assert topical_sections(issue).variant_of(chosen) == variant


def test_an_issue_without_topics_has_one_variant():
    assert TopicalSections().variant_of(["beauty"]) == WHOLE
    assert not TopicalSections()


def test_a_variant_has_its_sections_and_their_images_alone(issue):
    assert cut_issue(issue, WHOLE) is issue
    cut = cut_issue(issue, "beauty")
    assert names(cut) == ["Most important news", "Beauty", "In brief"]
    assert [image.src for image in cut.images] == [image.src for image in issue.images]
    none = cut_issue(issue, NO_TOPICS)
    assert names(none) == ["Most important news", "In brief"]
    assert [image.src for image in none.images] == ["images/tower.png", "images/crane.png", "images/park.png"]
    assert len(issue.images) == 4


def test_topics_as_an_editor_names_them(issue):
    sections = topical_sections(issue)
    assert sections.variant_called(" Beauty ") == "beauty"
    assert sections.variant_called("retail, beauty") == WHOLE
    assert sections.variant_called("-") == NO_TOPICS
    assert TopicalSections().variant_called("-") == WHOLE
    with pytest.raises(InputError, match="no section has the topic 'sport'; topics of the issue: beauty, retail"):
        sections.variant_called("sport")


def test_variants_have_words():
    assert variant_words(WHOLE) == "the whole issue"
    assert variant_words(NO_TOPICS) == "no section with topics"
    assert variant_words("beauty,big-data") == "the sections on beauty, big-data"


TOPIC = st.sampled_from("abcde")
SECTIONS = st.lists(st.sets(TOPIC, min_size=1, max_size=3), max_size=5).map(
    lambda topics: TopicalSections(tuple(tuple(sorted(each)) for each in topics))
)


def inside(sections: TopicalSections, chosen) -> list[bool]:
    return [bool(set(chosen) & set(topics)) for topics in sections.topics]


@given(SECTIONS, st.sets(TOPIC, min_size=1), st.sets(TOPIC, min_size=1))
def test_two_people_get_one_variant_where_they_get_the_same_sections(sections, ann, bob):
    one, other = (sections.variant_of(chosen) for chosen in (ann, bob))
    assert (one == other) == (inside(sections, ann) == inside(sections, bob))


@given(SECTIONS, st.sets(TOPIC, min_size=1))
def test_a_variant_by_its_name_has_the_sections_that_were_asked_for(sections, chosen):
    variant = sections.variant_of(chosen)
    if variant == WHOLE:
        assert all(inside(sections, chosen))
    else:
        asked = [] if variant == NO_TOPICS else variant.split(",")
        assert inside(sections, asked) == inside(sections, chosen)
