"""Stories: grouped as people would (a labelled set), the same in any order, ranked with a reason for every point."""

import datetime as dt
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.likeness import Collection, pieces_of
from newsletter.pastarticles import Memory, PastArticle
from newsletter.stories import Entry, Ranking, Story, group_entries, rank_stories

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
LABELLED = Path(__file__).parent / "stories" / "labelled.tsv"


def entry(number: int, title: str, source: str = "", hours: float = 0, **values: object) -> Entry:
    values = {"url": f"https://e{number}.example.com/a", **values}
    source = source or f"source {number}"
    at = NOW - dt.timedelta(hours=hours)
    return Entry(entry_id=number, feed=source, source=source, title=title, published_at=at, **values)


# ---------------------------------------------------------------------------------------------------------------------
# The labelled set
# ---------------------------------------------------------------------------------------------------------------------


def labelled() -> tuple[list[Entry], dict[int, int]]:
    """Return the entries of the set, and the story of each by its number."""
    entries, story_of = [], {}
    lines = [line for line in LABELLED.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    for number, line in enumerate(lines):
        story, source, hours, title, summary = line.split("\t")
        entries.append(entry(number, title, source, -float(hours), summary=summary))
        story_of[number] = int(story)
    return entries, story_of


def measure(keep: Callable[[int], bool]) -> tuple[float, float]:
    """Return precision and recall over pairs of entries, of the stories that ``keep`` takes, among all of the set."""
    entries, story_of = labelled()
    found = {one.entry_id: number for number, story in enumerate(group_entries(entries)) for one in story.entries}
    right = wrong = missed = 0
    for one, other in itertools.combinations([number for number in found if keep(story_of[number])], 2):
        together, same = found[one] == found[other], story_of[one] == story_of[other]
        right += together and same
        wrong += together and not same
        missed += same and not together
    return right / (right + wrong), right / (right + missed)


def test_entries_are_grouped_as_people_would():
    chosen_on, measured_on = measure(lambda story: story % 2 == 1), measure(lambda story: story % 2 == 0)
    assert chosen_on >= (0.99, 0.83)
    assert measured_on[0] >= 0.87
    assert measured_on[1] >= 0.83


def test_the_set_has_all_that_makes_it_hard():
    entries, story_of = labelled()
    assert len(entries) >= 110
    assert len(set(story_of.values())) >= 50
    assert sum(any("\u4e00" <= character <= "\u9fff" for character in one.title) for one in entries) >= 25


# ---------------------------------------------------------------------------------------------------------------------
# Grouping
# ---------------------------------------------------------------------------------------------------------------------


def groups(*entries: Entry) -> list[list[int]]:
    return [sorted(one.entry_id for one in story.entries) for story in group_entries(entries)]


def test_one_page_is_one_story_whatever_its_headlines_and_addresses():
    page = "https://example.com/2026/crane"
    found = groups(
        entry(1, "A crane fell", url=page),
        entry(2, "Harbour: accident", url="http://www.example.com/2026/crane/?utm_source=feed", hours=300),
        entry(3, "Tide tables", url="https://example.com/2026/tide"),
    )
    assert sorted(found) == [[1, 2], [3]]


def test_the_same_words_a_year_later_tell_another_story():
    title = "Singles’ Day breaks its record with 74 billion dollars"
    assert groups(entry(1, title), entry(2, title, hours=24)) == [[1, 2]]
    assert groups(entry(1, title), entry(2, title, hours=24 * 365)) == [[2], [1]]


def test_a_column_is_a_story_each_time():
    found = groups(
        entry(1, "Morning briefing: what to know today", "Ledger", 24),
        entry(2, "Morning briefing: five stories for Thursday", "Ledger"),
    )
    assert found == [[1], [2]]


def test_entries_without_address_or_title_stay_alone():
    assert groups(entry(1, "", url=""), entry(2, "", url=""), entry(3, "…", url="mailto:x")) == [[1], [2], [3]]


def test_the_order_of_entries_does_not_count():
    entries, _ = labelled()
    wanted = group_entries(entries)
    for seed in range(3):
        shuffled = entries[:]
        random.Random(seed).shuffle(shuffled)
        assert group_entries(shuffled) == wanted


def test_the_weightier_source_is_the_one_to_select_then_the_one_with_words():
    title = "A crane fell in the harbour of Example"
    story = group_entries(
        [
            entry(1, title, "Bare"),
            entry(2, title, "Told", summary="Nobody was hurt."),
            entry(3, title, "Heavy", hours=-1, weight=2.0),
        ]
    )[0]
    assert [one.source for one in story.entries] == ["Heavy", "Told", "Bare"]
    assert story.sources == ("Heavy", "Told", "Bare")
    assert story.best.source == "Heavy"


def test_many_entries_of_one_pattern_cost_no_square():
    entries = [entry(number, f"Report on market number {number}", f"s{number % 50}") for number in range(3000)]
    assert sum(len(story.entries) for story in group_entries(entries)) == 3000


# ---------------------------------------------------------------------------------------------------------------------
# Likeness
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Cat", [" cat "]),
        ("Crane", [" cra", "cran", "rane"]),
        ("ＣＲＡＮＥ", [" cra", "cran", "rane"]),
        ("$92m", [" 92 ", " m "]),
        ("人脸识别", ["人脸", "脸识", "识别"]),
        ("小米SU7", ["小米", " su ", " 7 "]),
        ("猫", ["猫"]),
    ],
)
def test_texts_are_cut_into_pieces(text, pieces):
    assert list(pieces_of(text)) == pieces


def test_rare_pieces_count_more_than_common_ones():
    collection = Collection(["China bans scanners", *(f"China sells goods {number}" for number in range(50))])
    scanner, goods = collection.fingerprint("China scanners"), collection.fingerprint("China goods")
    rare, common = collection.fingerprint("scanners"), collection.fingerprint("China")
    assert collection.likeness(rare, scanner) > collection.likeness(common, scanner)
    assert collection.likeness(scanner, scanner) == pytest.approx(1)
    assert collection.likeness(scanner, goods) < 0.3
    assert collection.likeness(collection.fingerprint(""), scanner) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Ranking
# ---------------------------------------------------------------------------------------------------------------------


def ranked(*entries: Entry, past: tuple[PastArticle, ...] = (), **weights: object) -> tuple[Story, ...]:
    return rank_stories(group_entries(entries), Ranking(**weights), NOW, Memory(past))


def words(story: Story) -> list[tuple[str, float]]:
    return [(reason.words, round(reason.points, 2)) for reason in story.reasons]


def test_every_point_has_a_reason():
    title = "A crane fell in the harbour of Example"
    told, quiet = ranked(
        entry(1, title, "Post", 36, weight=1.5),
        entry(2, title, "Wire", 40),
        entry(3, "Lipstick sales rise", "Pier", 72, tags=("Beauty",)),
        topics={"beauty": ["BEAUTY"], "ships": ["vessel"]},
    )
    assert words(told) == [("2 sources: Post, Wire", 3.0), ("36 h old", 1.0), ("Post weighs 1.5", 0.5)]
    assert told.points == pytest.approx(4.5)
    assert words(quiet) == [("1 source: Pier", 0.0), ("3 days old", 0.5), ("topic beauty", 1.5)]
    assert quiet.topics == ("beauty",)


def test_many_sources_are_counted_and_a_few_are_named():
    title = "A crane fell in the harbour of Example"
    (story,) = ranked(*(entry(number, title) for number in range(7)))
    assert story.reasons[0].words == "7 sources: source 0, source 1, source 2, source 3 and 3 more"


def test_weights_decide_the_order():
    entries = (
        entry(1, "A crane fell in the harbour", "Post", 72),
        entry(2, "A crane fell in the harbour", "Wire", 72),
        entry(3, "Lipstick sales rise", "Pier", 0),
    )
    assert [story.best.source for story in ranked(*entries)] == ["Post", "Pier"]
    assert [story.best.source for story in ranked(*entries, sources=0.5)] == ["Pier", "Post"]


def test_what_comes_from_the_future_is_as_new_as_can_be():
    (story,) = ranked(entry(1, "Tomorrow", hours=-48))
    assert words(story)[1] == ("0 h old", 2.0)


def test_what_a_past_issue_had_is_ranked_last_with_the_reason():
    past = (PastArticle(slug="2026-11-18", url="https://example.com/crane", title="A crane fell"),)
    new, seen = ranked(
        entry(1, "A crane fell", url="https://example.com/crane?utm_source=x"), entry(2, "Tides", hours=9), past=past
    )
    assert (new.seen_in, seen.seen_in) == ("", "2026-11-18")
    assert ("was in 2026-11-18", -10.0) in words(seen)
