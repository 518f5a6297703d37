"""``newsletter subscribers``: lists, exports that come back as they were, one person's data, and erasing it."""

import csv
import io
import stat

import pytest
from newsroom import Newsroom, assert_told
from test_listcolumns import PAYLOADS


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def imported(room: Newsroom, content: str, *options: str):
    return room.run("subscribers", "import", str(room.write("people.csv", content)), *options)


def people(room: Newsroom, *options: str) -> list[dict[str, object]]:
    return room.run("subscribers", "list", "--all", "--json", *options).json["subscribers"]


def shown(room: Newsroom, address: str = "ann@example.org"):
    return room.run("subscribers", "show", address, "--json").json


# --- imports ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(room):
    text = "email,status\nann@example.org,active\nbob@example.org,unsubscribed\nx,active\n"
    dry = imported(room, text, "--dry-run")
    assert dry.out.startswith("1 added, 0 updated, 0 unchanged, 1 refused, 1 kept away")
    assert dry.out.rstrip().endswith("nothing was written (--dry-run)")
    assert people(room) == []
    assert imported(room, text).out.startswith("1 added, 0 updated, 0 unchanged, 1 refused, 1 kept away")
    assert [(person["address"], person["state"]) for person in people(room)] == [
        ("ann@example.org", "active"),
        ("bob@example.org", "unsubscribed"),
    ]


def test_the_report_says_what_became_of_each_line(room):
    report = room.root / "report.csv"
    imported(room, "email,status\nann@example.org,\n=cmd,\nbob@example.org,cleaned\n", "--report", str(report))
    rows = list(csv.reader(report.open(encoding="utf-8")))
    assert rows[0] == ["line", "email", "became", "reason"]
    assert sorted(row[:3] for row in rows[1:]) == [
        ["2", "ann@example.org", "added"],
        ["3", "'=cmd", "refused"],
        ["4", "bob@example.org", "gone"],
    ]
    assert "no email address" in next(row[3] for row in rows if row[0] == "3")
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_the_origin_of_consent_is_kept(room):
    imported(room, "email\nann@example.org\n", "--origin", "form at the fair, November 2026")
    data = shown(room)
    assert data["subscriptions"][0]["origin"] == "form at the fair, November 2026"
    (line,) = data["consents"]
    assert (line["event"], line["way"], line["source"]) == ("imported", "import", "people.csv:2")


def test_an_import_of_people_who_left_is_no_failure_and_keeps_them_away(room):
    assert imported(room, "email,status\nann@example.org,unsubscribed\n").code == 0
    assert_told(imported(room, "email\nann@example.org\n"), 65, "nobody could be imported", "has unsubscribed")


# --- exports ---------------------------------------------------------------------------------------------------------

EVERYTHING = (
    "email,name,lang,tz,topics,status,town,note\n"
    'ann@example.org,Ann,fr,Europe/Paris,"beauty, Big Data",active,Lyon,"a, b"\n'
    "bob@example.org,Bob,,,,pending,,\n"
    "cyd@example.org,Cyd,,,,unsubscribed,,\n"
    "dan@bücher.example,Dän,zh-Hant,,,active,台北,😀\n"
    "=1+1@example.org,=1+1,,,,active,\"=cmd|'/C calc'!A0\",'=x\n"
)


def test_an_export_comes_back_as_it_was(room, tmp_path):
    imported(room, EVERYTHING, "--origin", "fair")
    room.run("subscribers", "suppress", "bob@example.org", "--reason", "asked by phone")
    room.run("subscribers", "add", "eve@example.org", "--attribute", "Status=odd", "--attribute", "tz=odd")
    target = room.root / "out.csv"
    assert room.run("subscribers", "export", str(target)).out.startswith(f"{target}: 6 subscribers of newsletter")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    other = Newsroom(tmp_path / "other")
    assert other.run("subscribers", "import", str(target)).code == 0
    again = other.root / "again.csv"
    other.run("subscribers", "export", str(again))
    assert again.read_bytes() == target.read_bytes()
    assert people(other) == people(room)
    assert shown(other, "bob@example.org")["suppression"]["reason"] == "operator"


def test_no_cell_of_an_export_is_a_formula(room):
    for number, payload in enumerate(PAYLOADS):
        room.run(
            "subscribers", "add", f"p{number}@example.org", "--name", payload, "--attribute", f"{payload}k=x{payload}"
        )
    text = room.run("subscribers", "export").out
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in row), row


def test_an_export_of_the_active_only(room):
    imported(room, EVERYTHING)
    rows = list(csv.DictReader(io.StringIO(room.run("subscribers", "export", "--active").out)))
    assert {row["status"] for row in rows} == {"active"}
    assert len(rows) == 3


def test_an_export_that_cannot_be_written_is_told(room):
    assert_told(room.run("subscribers", "export", str(room.root / "no" / "out.csv")), 65, "cannot be written")


# --- lists -----------------------------------------------------------------------------------------------------------


def test_somebody_may_be_on_two_lists(room):
    assert room.run("subscribers", "lists", "add", "monthly", "--title", "The Monthly").out == "monthly: made\n"
    imported(room, "email\nann@example.org\n")
    imported(room, "email\nann@example.org\nbob@example.org\n", "--list", "monthly")
    told = room.run("subscribers", "lists").out.splitlines()
    assert told == ["newsletter\tWeekly\t1 active", "monthly\tThe Monthly\t2 active"] or told[1].endswith("2 active")
    room.run("subscribers", "remove", "ann@example.org", "--list", "monthly")
    states = {each["list"]: each["state"] for each in shown(room)["subscriptions"]}
    assert states == {"newsletter": "active", "monthly": "removed"}
    answer = room.run("subscribers", "remove", "ann@example.org", "--everywhere")
    assert answer.out == "ann@example.org: removed from newsletter\n"
    assert_told(room.run("subscribers", "remove", "ann@example.org", "--everywhere"), 65, "is on no list")


def test_lists_have_plain_names_and_are_told_where_they_are_missing(room):
    for name in ("Monthly", "a b", "not", "-x", "x" * 61, "a'--"):
        assert_told(room.run("subscribers", "lists", "add", "--", name), 65, "lower-case letters")
    assert_told(room.run("subscribers", "list", "--list", "nope"), 65, "no list 'nope'", "lists add nope")
    room.run("subscribers", "lists", "add", "monthly")
    assert_told(room.run("subscribers", "lists", "add", "monthly"), 65, "already")
    assert room.run("subscribers", "lists", "rename", "monthly", "yearly", "--title", "T").code == 0
    assert room.run("subscribers", "lists", "rename", "yearly", "yearly", "--title", "U").code == 0
    assert_told(room.run("subscribers", "lists", "rename", "newsletter", "x"), 65, "keeps its name")
    assert_told(room.run("subscribers", "lists", "rename", "yearly", "newsletter"), 65, "already")
    assert_told(room.run("subscribers", "lists", "rename", "gone", "x"), 65, "no list 'gone'")
    lists = room.run("subscribers", "lists", "--json").json["lists"]
    assert [(each["name"], each["title"]) for each in lists][1] == ("yearly", "U")


# --- one person ------------------------------------------------------------------------------------------------------


def test_what_is_known_of_somebody_is_shown(room):
    room.run(
        "subscribers", "add", "ann@example.org", "--name", "Ann", "--language", "fr", "--time-zone", "Europe/Paris",
        "--topic", "Beauty", "--topic", "big data", "--attribute", "Town=Lyon", "--origin", "paper form",
    )  # fmt: skip
    data = shown(room)
    assert (data["name"], data["language"], data["time_zone"]) == ("Ann", "fr", "Europe/Paris")
    assert (data["topics"], data["attributes"]) == (["beauty", "big-data"], {"town": "Lyon"})
    assert data["deliveries"] == []
    told = room.run("subscribers", "show", "ann@example.org").out
    for words in ("Europe/Paris", "beauty, big-data", "Lyon", "list newsletter: active", "origin: paper form", "added"):
        assert words in told
    assert_told(room.run("subscribers", "show", "bob@example.org"), 65, "nothing is known")
    bad = room.run("subscribers", "add", "bob@example.org", "--time-zone", "Mars")
    assert_told(bad, 65, "'Mars' is no time zone")
    assert_told(room.run("subscribers", "add", "bob@example.org", "--attribute", "x"), 2, "city=Lyon")


def test_who_left_comes_back_where_they_asked_anew(room):
    imported(room, "email\nann@example.org\n")
    room.run("subscribers", "remove", "ann@example.org")
    assert_told(room.run("subscribers", "add", "ann@example.org"), 1, "--readmit")
    assert room.run("subscribers", "add", "ann@example.org", "--readmit").out == "ann@example.org: added\n"


def test_a_suppression_is_set_and_lifted(room):
    suppress = ("subscribers", "suppress", "Ann@Example.org")
    assert room.run(*suppress, "--reason", "a lawyer's letter").out == "Ann@Example.org: suppressed\n"
    assert "already" in room.run(*suppress).out
    assert shown(room)["suppression"]["note"] == "a lawyer's letter"
    assert_told(room.run("subscribers", "add", "ann@example.org"), 1, "suppressed")
    assert "may be mailed again" in room.run(*suppress, "--lift").out
    assert "was not suppressed" in room.run(*suppress, "--lift").out


def test_erasing_says_what_goes_and_goes_with_yes_alone(room):
    imported(room, "email,name,town\nann@example.org,Ann,Lyon\n")
    first = room.run("subscribers", "erase", "ann@example.org")
    assert first.code == 0
    assert "Lyon" in first.out
    assert "--yes erases" in first.out
    assert people(room)[0]["name"] == "Ann"
    assert "erased" in room.run("subscribers", "erase", "ann@example.org", "--yes").out
    assert people(room)[0]["address"] is None
    assert shown(room)["suppression"]["reason"] == "erased"
    assert_told(imported(room, "email\nann@example.org\n"), 65, "must not be mailed")
    for path in room.root.rglob("*.db*"):
        assert b"Lyon" not in path.read_bytes() or path.name.endswith("-wal")
    assert_told(room.run("subscribers", "erase", "bob@example.org", "--yes"), 65, "nothing is known")
