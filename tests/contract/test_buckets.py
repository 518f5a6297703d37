"""Token buckets outlive a run."""

from .conftest import NOW, later


def test_buckets_come_back_until_they_are_full(world):
    buckets = world.store.buckets
    assert buckets.load_buckets(NOW) == {}
    buckets.save_buckets({"relay": later(seconds=1), "relay gmail.com": later(hours=1)})
    buckets.save_buckets({"relay": later(seconds=3)})
    assert buckets.load_buckets(NOW) == {"relay": later(seconds=3), "relay gmail.com": later(hours=1)}
    assert buckets.load_buckets(later(seconds=3)) == {"relay gmail.com": later(hours=1)}


def test_full_buckets_are_forgotten(world):
    buckets = world.store.buckets
    buckets.save_buckets({"a": NOW, "b": later(seconds=1), "c": later(seconds=2)})
    assert buckets.forget_full_buckets(later(seconds=1)) == 2
    assert buckets.forget_full_buckets(later(seconds=1)) == 0
    assert buckets.load_buckets(NOW) == {"c": later(seconds=2)}
