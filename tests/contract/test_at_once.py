"""Several statements at once: in one transaction of their own, or as part of the one that is open."""

from contextlib import nullcontext

import pytest

from newsletter.errors import StoreError

SAVE, DELETE = "save_bucket", "forget_full_buckets"


@pytest.fixture(params=["in a run", "without its lock"])
def database(request, world):
    world.is_checked = False
    with world.store.run_lock("me") if request.param == "in a run" else nullcontext():
        yield world.store.database


def buckets(database) -> dict[str, int]:
    return dict(database.rows("load_buckets", now=0))


def bucket(name: str, full_at: int) -> dict[str, object]:
    return {"name": name, "full_at": full_at}


def test_each_tells_what_it_touched_and_all_is_committed(database, world):
    save = (SAVE, [bucket("a", 1), bucket("b", 2), bucket("c", 30)])
    assert database.change_at_once([save, (DELETE, [{"now": 2}, {"now": 2}]), (SAVE, [])]) == [
        [True, True, True],
        [True, False],
        [],
    ]
    with pytest.raises(ZeroDivisionError), database.transaction():
        raise ZeroDivisionError
    assert buckets(database) == {"c": 30}


def test_what_fails_takes_all_with_it_and_the_next_goes_on(database):
    for _ in range(2):
        with pytest.raises(StoreError):
            database.change_at_once([(SAVE, [bucket("a", 1)]), (SAVE, [bucket("b", None)]), (SAVE, [bucket("c", 3)])])
        assert buckets(database) == {}
    assert database.change_at_once([(SAVE, [bucket("d", 4)])]) == [[True]]
    assert buckets(database) == {"d": 4}


def test_inside_a_transaction_they_are_part_of_it(database):
    def save_and_break() -> None:
        with database.transaction():
            database.change_at_once([(SAVE, [bucket("a", 1)])])
            assert buckets(database) == {"a": 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save_and_break()
    assert buckets(database) == {}
