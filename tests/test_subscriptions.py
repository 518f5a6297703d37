"""What becomes of a row or a wish: who is added, what is kept of them, and how an import is accounted for."""

import datetime as dt

import pytest
from newsroom import Newsroom

from newsletter.config import load_project
from newsletter.errors import InputError
from newsletter.secretfile import load_keys
from newsletter.store import Change, SubscriptionState, open_store
from newsletter.subscriptions import DEFAULT_LIST, PersonWish, add_person, default_list, import_file, remove_person

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


@pytest.fixture
def store(room):
    project = load_project(room.root, {})
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        yield store


@pytest.fixture
def list_id(store):
    return default_list(store, NOW, "Weekly").list_id


def test_newsletter_has_one_list_from_the_start(store):
    first = default_list(store, NOW, "Weekly")
    assert (first.name, first.title) == (DEFAULT_LIST, "Weekly")
    assert default_list(store, NOW) == first


def test_what_a_row_says_is_kept(room, store, list_id):
    path = room.write("x.csv", "email,name,lang,tz,town\nANN@Example.org,Ann Lee,fr,Europe/Paris,Port\n")
    report = import_file(store, list_id, path, NOW)
    assert (report.taken, report.refused) == (1, 0)
    person = store.subscribers.find_subscriber(list_id, "ANN@example.org")
    assert (person.name, person.language, person.time_zone) == ("Ann Lee", "fr", "Europe/Paris")
    assert person.attributes == {"town": "Port"}
    assert person.origin == "import x.csv"
    assert person.state is SubscriptionState.ACTIVE


@pytest.mark.parametrize("zone", ["Europe/Pari", "../../etc/passwd", "\x00", "x" * 5000])
def test_zone_that_is_none_is_left_out(room, store, list_id, zone):
    import_file(store, list_id, room.write("x.csv", f"email,tz\nann@example.org,{zone}\n"), NOW)
    assert store.subscribers.find_subscriber(list_id, "ann@example.org").time_zone == ""


def test_import_of_many_is_accounted_for(room, store, list_id):
    rows = [f"p{number}@example.org" for number in range(2500)]
    text = "email\n" + "\n".join([*rows, *rows[:100], "junk"])
    report = import_file(store, list_id, room.write("x.csv", text), NOW)
    assert report.as_json() | {"lines": []} == {
        "added": 2500,
        "updated": 0,
        "unchanged": 100,
        "gone": 0,
        "refused": 1,
        "lines": [],
    }
    assert report.lines[0].line == 2602


def test_refused_lines_are_told_in_the_order_of_the_file(room, store, list_id):
    add_person(store, list_id, "left@example.org", NOW)
    remove_person(store, list_id, "left@example.org", NOW)
    text = "email\nleft@example.org\njunk\nann@example.org\nleft@example.org\n"
    report = import_file(store, list_id, room.write("x.csv", text), NOW)
    assert [row.line for row in report.lines] == [2, 3, 5]
    assert report.refused == 3


def test_one_person_is_added_and_removed(store, list_id):
    assert add_person(store, list_id, "ann@example.org", NOW, PersonWish(name=" Ann\n Lee\x1b ")) is Change.ADDED
    assert store.subscribers.find_subscriber(list_id, "ann@example.org").name == "Ann Lee"
    remove_person(store, list_id, "ANN@EXAMPLE.org".lower(), NOW)
    assert add_person(store, list_id, "ann@example.org", NOW) is Change.LEFT
    with pytest.raises(InputError, match="not on the list"):
        remove_person(store, list_id, "bob@example.org", NOW)
