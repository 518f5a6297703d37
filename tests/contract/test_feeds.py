"""What both stores keep of feeds and of their entries: health, identity, pages, and what is pruned."""

import datetime as dt

import pytest

from newsletter.feed import Feed, FeedState, NewEntry, NewFeed
from newsletter.store import Saved

from .conftest import NOW, later

HOUR = dt.timedelta(hours=1)
HEAD = NewFeed(url="https://a.example/feed", title="The A", site="https://a.example/")


@pytest.fixture
def feeds(world):
    return world.store.feeds


@pytest.fixture
def feed(feeds) -> Feed:
    feeds.add_feed(NewFeed(url="https://a.example/feed", weight=1.5, tags=("retail", "big data")), NOW)
    return feeds.load_feeds()[0]


def entry(guid: str, **values: object) -> NewEntry:
    url = f"https://a.example/{guid}"
    return NewEntry(**({"guid": guid, "url": url, "title": f"Title {guid}", "published_at": NOW - HOUR} | values))


def read(feeds, feed, *entries: NewEntry, now=NOW) -> Saved:
    return feeds.record_read(feed, HEAD, entries, now, now + HOUR, language="fr", validators=('"e1"', "Wed"))


def test_a_feed_is_added_once(feeds, feed):
    assert not feeds.add_feed(NewFeed(url="https://a.example/feed", title="Other"), later(days=1))
    assert feeds.load_feeds() == (feed,)
    assert (feed.weight, feed.tags, feed.state, feed.name) == (1.5, ("retail", "big data"), "active", feed.url)
    assert (feed.added_at, feed.next_fetch_at, feed.asked_at, feed.error) == (NOW, NOW, None, "")


def test_reading_keeps_validators_and_learns_the_title_once(feeds, feed):
    assert read(feeds, feed, entry("1")) == Saved(1, 0)
    known = feeds.load_feeds()[0]
    assert (known.title, known.site, known.language) == ("The A", "https://a.example/", "fr")
    assert (known.etag, known.last_modified) == ('"e1"', "Wed")
    assert (known.asked_at, known.succeeded_at, known.read_at, known.next_fetch_at) == (NOW, NOW, NOW, NOW + HOUR)
    feeds.change_feed(feed.feed_id, title="My A", weight=2, tags=())
    read(feeds, feed, now=later(hours=1))
    changed = feeds.load_feeds()[0]
    assert (changed.title, changed.weight, changed.tags) == ("My A", 2, ())


def test_failures_are_counted_until_it_goes_well(feeds, feed):
    for number in (1, 2):
        feeds.record_failure(feed.feed_id, "answers 500\ud800", later(hours=number), later(hours=2 * number))
    broken = feeds.load_feeds()[0]
    assert (broken.failures, broken.error, broken.succeeded_at) == (2, "answers 500\ufffd", None)
    assert (broken.asked_at, broken.next_fetch_at) == (later(hours=2), later(hours=4))
    feeds.record_unchanged(feed.feed_id, later(hours=5), later(hours=6))
    well = feeds.load_feeds()[0]
    assert (well.failures, well.error, well.succeeded_at, well.read_at) == (0, "", later(hours=5), None)


def test_a_retired_feed_keeps_its_entries_and_can_be_resumed(feeds, feed):
    read(feeds, feed, entry("1"))
    feeds.retire_feed(feed.feed_id, "gone (410)", later(hours=1))
    assert feeds.load_feeds()[0].state is FeedState.RETIRED
    assert len(feeds.load_entries(NOW - HOUR, NOW)) == 1
    assert feeds.set_state(feed.feed_id, FeedState.ACTIVE, later(hours=2))
    assert not feeds.set_state(feed.feed_id, FeedState.ACTIVE, later(hours=3))
    assert feeds.load_feeds()[0].next_fetch_at == later(hours=2)


def test_a_feed_moves_unless_another_lives_there(feeds, feed):
    feeds.add_feed(NewFeed(url="https://b.example/feed"), NOW)
    assert not feeds.move_feed(feed.feed_id, "https://b.example/feed")
    assert feeds.move_feed(feed.feed_id, "https://c.example/feed")
    assert [known.url for known in feeds.load_feeds()] == ["https://c.example/feed", "https://b.example/feed"]


def test_reading_again_changes_what_the_publisher_changed_and_no_instant(feeds, feed):
    read(feeds, feed, entry("1"), entry("2"))
    again = entry("1", title="Better", published_at=NOW + HOUR)
    assert read(feeds, feed, again, entry("2"), entry("3"), now=later(days=1)) == Saved(1, 1)
    first = feeds.load_entries(NOW - 9 * HOUR, later(days=2))[0]
    assert (first.title, first.published_at) == ("Better", NOW - HOUR)
    assert (first.feed, first.source, first.language, first.weight) == (feed.url, "The A", "fr", 1.5)
    assert first.tags == ("retail", "big data")


def test_one_guid_in_two_feeds_is_two_entries(feeds, feed):
    feeds.add_feed(NewFeed(url="https://b.example/feed"), NOW)
    other = feeds.load_feeds()[1]
    assert read(feeds, feed, entry("1")) == read(feeds, other, entry("1")) == Saved(1, 0)
    assert {known.feed for known in feeds.load_entries(NOW - HOUR, NOW)} == {feed.url, other.url}
    assert feeds.count_entries(NOW) == {feed.feed_id: (1, 0), other.feed_id: (1, 0)}
    assert feeds.remove_feed(feed.feed_id)
    assert not feeds.remove_feed(feed.feed_id)
    assert [known.feed for known in feeds.load_entries(NOW - HOUR, NOW)] == [other.url]


def test_one_guid_twice_in_a_feed_is_one_entry(feeds, feed):
    assert read(feeds, feed, entry("1"), entry("1", title="Again")) == Saved(1, 1)


def test_entries_without_a_date_or_from_the_future_are_of_now(feeds, feed):
    read(feeds, feed, entry("1", published_at=None), entry("2", published_at=later(days=400)))
    assert [known.published_at for known in feeds.load_entries(NOW, NOW)] == [NOW, NOW]
    assert feeds.count_entries(NOW) == {feed.feed_id: (2, 2)}


def test_a_page_is_found_however_its_address_is_written(feeds, feed):
    read(feeds, feed, entry("1", url="https://a.example/story?id=7"))
    assert feeds.find_page("http://www.a.example/story/?utm_source=x&id=7")[0].title == "Title 1"
    assert feeds.find_page("https://a.example/story?id=8") == feeds.find_page("mailto:x@a.example") == ()


def test_what_a_feed_lists_no_more_is_pruned_and_nothing_else(feeds, feed):
    read(feeds, feed, entry("old"), entry("kept"))
    read(feeds, feed, entry("kept"), now=later(days=30))
    assert feeds.prune_entries(later(days=-1)) == 0
    assert feeds.prune_entries(later(days=20)) == 1
    assert feeds.prune_entries(later(days=99)) == 0  # it would come back as new
    assert [known.title for known in feeds.load_entries(NOW - HOUR, NOW)] == ["Title kept"]


def test_texts_that_no_database_keeps_are_kept_as_far_as_they_go(feeds, feed):
    read(feeds, feed, entry("1\x00", title="a\ud800b", tags=("one\ntwo", " "), source="S"))
    assert read(feeds, feed, entry("1\x00", title="a\ud800b", tags=("one\ntwo",), source="S")) == Saved(0, 0)
    known = feeds.load_entries(NOW - HOUR, NOW)[0]
    assert (known.title, known.tags[0], known.source) == ("a\ufffdb", "one two", "S")


def test_where_an_address_led_is_remembered_once(feeds):
    feeds.record_redirect("https://t.example/a?utm_source=x", "https://a.example/1")
    feeds.record_redirect("https://t.example/a", "https://a.example/2")
    feeds.record_redirect("https://www.a.example/3/", "http://a.example/3")
    feeds.record_redirect("mailto:x", "https://a.example/4")
    assert feeds.load_redirects() == {"t.example/a": "https://a.example/2"}
