"""``newsletter subscribers``: lists come in line by line, nobody who left comes back, and every refusal is told."""

import datetime as dt
import os
import threading

import pytest
from newsroom import Newsroom, assert_told

from newsletter.config import load_project
from newsletter.secretfile import load_keys
from newsletter.store import SuppressionReason, open_store
from newsletter.subscriptions import LINES_KEPT


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def imported(room: Newsroom, content: str | bytes, *options: str):
    return room.run("subscribers", "import", str(room.write("people.csv", content)), *options)


def listed(room: Newsroom, *options: str) -> list[str]:
    return [line.split("\t")[0] for line in room.run("subscribers", "list", *options).out.splitlines()]


def test_import_counts_and_tells_each_bad_line(room):
    answer = imported(room, "email,name\nann@example.org,Ann\nnobody\nANN@EXAMPLE.org,Ann\nbob@example.org,\n\n,x\n")
    assert answer.code == 0
    assert answer.out == "2 added, 0 updated, 1 unchanged, 2 refused\n"
    first, second = answer.err.splitlines()[-2:]
    assert first.startswith(f"{room.root}/people.csv:3: refused: 'nobody' is no email address")
    assert second == f"{room.root}/people.csv:7: refused: no address: ,x"
    assert listed(room) == ["ann@example.org", "bob@example.org"]


def test_import_as_json(room):
    told = imported(room, "email\nann@example.org\nnobody\n", "--json").json
    assert told.pop("lines")[0]["line"] == 3
    assert told == {
        "format": 1,
        "list": "newsletter",
        "dry_run": False,
        "gone": 0,
        "added": 1,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
    }


def test_importing_twice_changes_nothing_and_knows_more(room):
    imported(room, "email,name,town\nann@example.org,,Port\n")
    assert imported(room, "email\nann@example.org\n").out.startswith("0 added, 0 updated, 1 unchanged")
    assert imported(room, "email,name\nann@example.org,Ann\n").out.startswith("0 added, 1 updated")
    (person,) = room.run("subscribers", "list", "--json").json["subscribers"]
    assert (person["name"], person["attributes"]) == ("Ann", {"town": "Port"})


@pytest.mark.parametrize(
    "content",
    [
        "email,name\nzoe@example.org,Zoé\n".encode("utf-8-sig"),
        "email;name\nzoe@example.org;Zoé\n".encode("cp1252"),
        "email\tname\nzoe@example.org\tZoé\n".encode("utf-16"),
    ],
)
def test_lists_of_other_programs(room, content):
    assert imported(room, content).code == 0
    assert room.run("subscribers", "list").out == "zoe@example.org\tZoé\tactive\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"email,name\n", "nobody could be imported: no lines below the heading"),
        (b"name\nAnn\n", "no column 'email'"),
        (b"email\nx\ny\n", "nobody could be imported: line 2: 'x' is no email address"),
        (b"PK\x03\x04rest", "save the list as CSV"),
    ],
)
def test_import_of_nobody_is_no_success(room, content, words):
    assert_told(imported(room, content), 65, "people.csv", words)
    assert listed(room) == []


def test_path_that_is_no_file_is_told(room):
    assert_told(room.run("subscribers", "import", str(room.root)), 2, "is a directory")
    assert_told(room.run("subscribers", "import", str(room.root / "gone.csv")), 65, "gone.csv", "No such file")


def test_list_can_come_through_a_pipe(room):
    pipe = room.root / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=["email\nann@example.org\n"])
    writer.start()
    answer = room.run("subscribers", "import", str(pipe))
    writer.join()
    assert answer.code == 0, answer
    assert listed(room) == ["ann@example.org"]


def test_many_refused_lines_are_counted_and_some_shown(room):
    junk = "\n".join(f"junk {number}" for number in range(LINES_KEPT + 500))
    answer = imported(room, f"email\nann@example.org\n{junk}\n")
    assert answer.out == f"1 added, 0 updated, 0 unchanged, {LINES_KEPT + 500} refused\n"
    assert "and 500 more lines were refused" in answer.err.splitlines()[-1]


# --- people who left -------------------------------------------------------------------------------------------------


def test_nobody_who_left_comes_back_by_an_import(room):
    imported(room, "email\nann@example.org\nbob@example.org\n")
    assert room.run("subscribers", "remove", "ann@example.org").out == "ann@example.org: removed from newsletter\n"
    answer = imported(room, "email\nann@example.org\ncho@example.org\n")
    assert "people.csv:2: refused: has unsubscribed or was removed" in answer.err
    assert listed(room) == ["bob@example.org", "cho@example.org"]
    assert listed(room, "--all") == ["ann@example.org", "bob@example.org", "cho@example.org"]
    assert_told(imported(room, "email\nann@example.org\n"), 65, "nobody could be imported", "not brought back")
    assert_told(room.run("subscribers", "add", "ann@example.org"), 1, "has left the list")


def test_suppressed_address_is_refused(room):
    imported(room, "email\nann@example.org\n")
    project = load_project(room.root, {})
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        store.subscribers.suppress_address("bob@example.org", SuppressionReason.COMPLAINT, now)
    assert_told(imported(room, "email\nbob@example.org\n"), 65, "must not be mailed")
    assert_told(room.run("subscribers", "add", "bob@example.org"), 1, "bob@example.org: suppressed")
    assert room.run("subscribers", "add", "bob@example.org", "--json").json["change"] == "suppressed"


# --- one person ------------------------------------------------------------------------------------------------------


def test_one_person_comes_and_goes(room):
    assert room.run("subscribers", "add", "ann@example.org", "--name", "Ann  Lee").out == "ann@example.org: added\n"
    assert room.run("subscribers", "add", "ann@example.org").out == "ann@example.org: unchanged\n"
    told = room.run("subscribers", "list", "--json").json
    assert told["counts"] == {"pending": 0, "active": 1, "unsubscribed": 0, "removed": 0}
    assert told["subscribers"][0]["name"] == "Ann Lee"
    assert room.run("subscribers", "remove", "ann@example.org", "--json").json["state"] == "removed"
    assert_told(room.run("subscribers", "remove", "bob@example.org"), 65, "bob@example.org is not on the list")


@pytest.mark.parametrize("address", ["nobody", "", "a@b", "ann@example.org\nBcc: x@example.org", "\ud800@example.org"])
def test_what_is_no_address_is_told(room, address):
    assert_told(room.run("subscribers", "add", address), 65, "is no email address")
    assert_told(room.run("subscribers", "remove", address), 65, "is no email address")


def test_names_cannot_steer_a_terminal(room):
    room.run("subscribers", "add", "ann@example.org", "--name", "A\x1b[31mnn\ud800\u202e")
    answer = room.run("subscribers", "list")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    assert "\u202e" not in answer.out
    assert room.run("subscribers", "list", "--json").code == 0


def test_list_prints_also_when_quiet(room):
    room.run("subscribers", "add", "ann@example.org")
    assert room.run("--quiet", "subscribers", "list").out.startswith("ann@example.org")
    assert room.run("--quiet", "subscribers", "add", "bob@example.org").out == ""
