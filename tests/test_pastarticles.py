"""What past issues told is found again by page, by where an address led, by headline, and by headline and text."""

import pytest
from test_stories import labelled

from newsletter.pastarticles import Memory, PastArticle, Told

LONG = (
    "The harbour master said that the crane will be lifted out of the water on Tuesday. Nobody was hurt; the ferry to"
    " the islands was cancelled, and trucks were sent to other quays until the end of the week."
)
PAST = (
    PastArticle(slug="2026-11-11", url="https://example.com/lipstick", title="Lipstick sales rise"),
    PastArticle(
        slug="2026-11-18",
        url="http://www.example.com/crane/",
        title="Crane fell in the harbour of Example",
        text=LONG,
    ),
    PastArticle(slug="2026-11-18", url="https://t.example/short", title="Tides"),
)
REDIRECTS = {"t.example/short": "https://example.com/tides", "go.example/a": "https://example.com/crane"}


@pytest.mark.parametrize(
    ("told", "seen_in"),
    [
        (Told("https://example.com/crane?utm_source=x", "Another headline"), "2026-11-18"),
        (Told("https://other.example.com/1", "Crane fell in harbour of Example, no one hurt"), "2026-11-18"),
        (Told("https://other.example.com/2", "A crane was painted"), ""),
        (Told("https://other.example.com/3", "Wind brings down 40-tonne giant", LONG), "2026-11-18"),
        (Told("https://other.example.com/4", "Wind brings down 40-tonne giant"), ""),
        (Told("https://other.example.com/5", "Crane fell", "The ferry to the islands sails again since Monday."), ""),
        (Told("https://go.example/a", "Another headline"), "2026-11-18"),
        (Told("https://example.com/tides", "Another headline"), "2026-11-18"),
        (Told("https://go.example/b", "Another headline"), ""),
        (Told("mailto:x", "", ""), ""),
    ],
)
def test_what_a_past_issue_had_is_known(told, seen_in):
    assert Memory(PAST, REDIRECTS).find([told]) == seen_in
    assert Memory(()).find([told]) == ""


def test_the_latest_of_several_issues_is_named():
    past = [PastArticle(slug=slug, url="https://example.com/a", title="A") for slug in ("2026-11-18", "2026-11-11")]
    assert Memory(past).find([Told("https://example.com/a", "B")]) == "2026-11-18"
    assert Memory(past).find([Told("https://example.com/b"), Told("https://example.com/a")]) == "2026-11-18"


def test_other_stories_of_the_labelled_set_are_not_taken_for_seen():
    entries, story_of = labelled()
    first = {}
    for entry in sorted(entries, key=lambda entry: entry.published_at):
        first.setdefault(story_of[entry.entry_id], entry)
    past = [
        PastArticle(slug=str(number), url=entry.url, title=entry.title, text=entry.summary)
        for number, entry in first.items()
    ]
    memory, headlines = Memory(past), Memory(PastArticle(slug=a.slug, url=a.url, title=a.title) for a in past)
    later = [entry for entry in entries if entry not in first.values()]
    found = [(memory.find([Told("", each.title, each.summary)]), str(story_of[each.entry_id])) for each in later]
    right = sum(slug == own for slug, own in found)
    assert not [slug for slug, own in found if slug not in ("", own)]
    assert right >= 22
    assert right > sum(headlines.find([Told("", each.title, each.summary)]) != "" for each in later)
