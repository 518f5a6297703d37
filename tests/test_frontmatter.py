"""The front matter: what each key may hold, and what each mistake says."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import IssueError, Place
from newsletter.frontmatter import (
    KEYS,
    Entry,
    FrontMatter,
    as_approval,
    as_corrections,
    as_date,
    as_deadline,
    as_instant,
    as_language,
    as_names,
    as_rules,
    as_text,
    read_front_matter,
    with_approval,
    without_approval,
)
from newsletter.model import Approval, Correction

GOLDEN = Path(__file__).parent / "golden" / "issue"
HERE = Place("f.md", 2, 7)
PARIS = ZoneInfo("Europe/Paris")


def read(yaml: str, body: str = "") -> FrontMatter:
    return read_front_matter(f"---\n{yaml}\n---\n{body}", "f.md")


def refused(text: str) -> list[str]:
    with pytest.raises(IssueError) as caught:
        read_front_matter(text, "f.md")
    return [str(problem) for problem in caught.value.problems]


def entry(value: object) -> Entry:
    return Entry(value, HERE)


# ---------------------------------------------------------------------------------------------------------------------
# Where it begins and ends
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "body", "line"),
    [
        ("---\nsubject: x\n---\nbody\n", "body\n", 4),
        ("---  \nsubject: x\n...\nbody", "body", 4),
        ("---\n---\nbody", "body", 3),
        ("---\n\n\n---\n\nbody", "\nbody", 5),
        ("---\nsubject: x\n---", "", 4),
        ("---\nsubject: x\n---\t\n---\nb", "---\nb", 4),
    ],
)
def test_the_body_begins_below_the_second_line_of_dashes(text: str, body: str, line: int) -> None:
    front = read_front_matter(text, "f.md")
    assert (front.body, front.body_line) == (body, line)


EXAMPLE = "(begin the file with '---', 'subject: …', 'date: 2026-11-25', '---', each on a line of its own)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"f.md:1:1: no front matter: the file begins with an empty line {EXAMPLE}"),
        ("\n---\nsubject: x\n---\n", f"f.md:1:1: no front matter: the file begins with an empty line {EXAMPLE}"),
        ("# Title\n---\n", f"f.md:1:1: no front matter: the file begins with '# Title' {EXAMPLE}"),
        ("----\nsubject: x\n----\n", f"f.md:1:1: no front matter: the file begins with '----' {EXAMPLE}"),
        ("---\nsubject: x\n", "f.md:1:1: the front matter is not closed (end it with a line '---')"),
        ("---\nsubject: x\n ---\n", "f.md:1:1: the front matter is not closed (end it with a line '---')"),
        ("---\nsubject: x\n---\u3000\n", "f.md:1:1: the front matter is not closed (end it with a line '---')"),
        (
            "---\nsubject: " + "x" * 65_536 + "\n---\n",
            "f.md:1:1: the front matter has 65,545 characters; 65,536 may stand (move text below the second '---')",
        ),
    ],
)
def test_front_matter_that_is_missing_or_has_no_end_is_told(text: str, message: str) -> None:
    assert refused(text) == [message]


# ---------------------------------------------------------------------------------------------------------------------
# Keys and values
# ---------------------------------------------------------------------------------------------------------------------


def test_values_are_texts_lists_and_mappings_with_their_places() -> None:
    yaml = "number: 212\n'subject' :  \"a: b\"\ntopics: [x, y]\nselect:\n  News: {top: 5}\n"
    front = read(f"{yaml}preheader:\nlang: ~\naudience: null")
    assert {key: (each.value, each.place) for key, each in front.entries.items()} == {
        "number": ("212", Place("f.md", 2, 9)),
        "subject": ("a: b", Place("f.md", 3, 14)),
        "topics": (["x", "y"], Place("f.md", 4, 9)),
        "select": ({"News": {"top": "5"}}, Place("f.md", 6, 3)),
        "preheader": ("", Place("f.md", 7, 11)),
        "lang": ("", Place("f.md", 8, 7)),
        "audience": ("", Place("f.md", 9, 11)),
    }  # fmt: skip
    assert front.entries["select"].places == {"News": Place("f.md", 6, 3), "top": Place("f.md", 6, 10)}


@pytest.mark.parametrize(
    ("yaml", "key", "value"),
    [
        ("subject: yes", "subject", "yes"),
        ("subject: 2026-11-25", "subject", "2026-11-25"),
        ("subject: 0x10", "subject", "0x10"),
        ("subject: '~'", "subject", "~"),
        ("subject: |\n  two\n  lines\n", "subject", "two\nlines\n"),
        ("subject: >\n  two\n  lines", "subject", "two lines"),
        ("subject: two\n  lines", "subject", "two lines"),
        ('subject: "We are # 1"', "subject", "We are # 1"),
        ('subject: "x" # y', "subject", "x"),
        ("subject: a#1 and #2", "subject", None),
        ("subject: C#", "subject", "C#"),
        ("send_at: 2026-11-25 08:00   # wall time", "send_at", "2026-11-25 08:00"),
        ("number: 5 # five", "number", "5"),
        ("approved:  # later", "approved", ""),
        ("# a comment\nsubject: x", "subject", "x"),
        ("subject: “curly: quotes”", "subject", None),
        ('subject: "\\0\\x08\\ud800\\uFDD0\\uFDD2\\uFDD1\\u2028"', "subject", "  \ufffd\ufffd\ufffd\ufffd "),
    ],
)
def test_a_value_is_what_was_written(yaml: str, key: str, value: str | None) -> None:
    if value is None:
        assert "quotes" in refused(f"---\n{yaml}\n---\n")[0] or "comment" in refused(f"---\n{yaml}\n---\n")[0]
    else:
        assert read(yaml).entries[key].value == value


YAML = "the front matter is not valid YAML: "


def mistakes() -> str:
    return (GOLDEN / "front-matter-mistakes.txt").read_text(encoding="utf-8")


def test_each_mistake_says_where_it_stands_and_how_it_is_mended(golden: Callable[[str, bytes], None]) -> None:
    told = []
    for case in mistakes().split("%%\n"):
        yaml = "".join(line for line in case.splitlines(keepends=True) if not line.startswith("-> "))
        messages = refused(f"---\n{yaml}---\n")
        assert all(message.startswith("f.md:") for message in messages)
        told.append(yaml + "".join(f"-> {message.removeprefix('f.md:')}\n" for message in messages))
    assert len(told) > 40
    golden("issue/front-matter-mistakes.txt", "%%\n".join(told).encode())


def test_front_matter_that_nests_too_deeply_is_told() -> None:
    assert refused("---\n" + "[" * 1_000 + "\n---\n") == [f"f.md:2:1: {YAML}nested too deeply (write it anew)"]


def test_yaml_that_holds_what_no_text_may_is_told() -> None:
    assert refused("---\nsubject: a\x01b\n---\n") == [
        f"f.md:2:1: {YAML}unacceptable character #x0001: special characters are not allowed (write it anew)"
    ]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(refused("---\nfoo: 1\nbar: 2\nsubject: x # y\ndate: 1\ndate: 2\n---\n")) == 4


def test_no_front_matter_at_all_between_the_dashes_is_an_empty_one() -> None:
    assert read("").entries == {}
    assert read("# only a comment").entries == {}


# ---------------------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------------------


def test_texts_are_one_line() -> None:
    assert as_text(entry("two\n  lines ")) == "two lines"


@pytest.mark.parametrize(
    ("value", "names"),
    [("a, b,,c ", ("a", "b", "c")), (["a", " b"], ("a", "b")), ([""], ()), ("", ())],
)
def test_names_stand_in_a_list_or_between_commas(value: object, names: tuple[str, ...]) -> None:
    assert as_names(entry(value)) == names


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-25 08:00", dt.datetime(2026, 11, 25, 8, tzinfo=PARIS)),
        ("2026-11-25T08:00:30", dt.datetime(2026, 11, 25, 8, 0, 30, tzinfo=PARIS)),
        ("2026-11-25 08:00+09:00", dt.datetime(2026, 11, 24, 23, tzinfo=dt.UTC)),
        ("2026-11-25T08:00Z", dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_wall_time_in_the_zone_or_has_its_offset(text: str, instant: dt.datetime) -> None:
    found = as_instant(entry(text), PARIS)
    assert found == instant
    assert found.tzinfo is not None


def test_a_deadline_is_a_time_or_counts_from_send_at() -> None:
    send_at = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
    assert as_deadline(entry("36 hours"), PARIS, send_at) == dt.datetime(2026, 11, 26, 20, tzinfo=dt.UTC)
    assert as_deadline(entry("1 day"), PARIS, send_at) == dt.datetime(2026, 11, 26, 8, tzinfo=dt.UTC)
    assert as_deadline(entry("90minutes"), PARIS, send_at) == dt.datetime(2026, 11, 25, 9, 30, tzinfo=dt.UTC)
    assert as_deadline(entry("2026-11-26 08:00"), PARIS, None) == dt.datetime(2026, 11, 26, 8, tzinfo=PARIS)


@pytest.mark.parametrize("tag", ["en", "fr", "zh-Hans", "en-GB", "sr-Latn-RS", "yue"])
def test_a_language_is_a_tag(tag: str) -> None:
    assert as_language(entry(tag)) == tag


def test_selection_rules_are_kept_as_they_are() -> None:
    rules = {"News": {"top": "5", "since": "7 days"}, "Digital": {"feeds": ["a"], "skip_if_empty": "true"}}
    assert as_rules(entry(rules)) == rules


DIGEST = "0123456789abcdef" * 4
EARLY = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
LATE = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
TIME = "(write a time like 2026-11-25 08:00 (in Europe/Paris), or 2026-11-25T08:00+01:00)"
DAY = "(write a day like 2026-11-25)"


A_CORRECTION = "(write a list of lines like '- 2026-11-27: The share is 35 %, not 45 %.')"
NO_CORRECTIONS = f"is not a list of corrections {A_CORRECTION}"
NO_WORDS = f"a list is not a list of corrections: one has no words {A_CORRECTION}"
BY_APPROVE = "(write nothing here yourself; 'newsletter approve SLUG' does it)"
NO_DAY = f"{DIGEST} by x 2026-02-31"
COUNTS = "'not_after' counts from 'send_at', and there is none (add send_at, or write a time)"
BEFORE = "'not_after' lies before 'send_at': the issue would never be sent (write a later time)"
RULE = "select: News: unknown rule 'tap' (valid rules: top, since, min_sources, feeds, tags, limit, skip_if_empty)"


def instant(value: Entry) -> dt.datetime:
    return as_instant(value, PARIS)


def deadline(value: Entry) -> dt.datetime:
    return as_deadline(value, PARIS, EARLY)


def late(value: Entry) -> dt.datetime:
    return as_deadline(value, PARIS, LATE)


def no_send_at(value: Entry) -> dt.datetime:
    return as_deadline(value, PARIS, None)


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        (as_text, ["x"], "a list is not text (write one line of text)"),
        (as_text, {"x": ""}, "a mapping is not text (write one line of text)"),
        (as_names, {"a": "b"}, "a mapping is not a list of names (write names with commas between them, or a list)"),
        (as_names, [["a"]], "a list is not a list of names (write names with commas between them, or a list)"),
        (as_date, "25/11/2026", f"'25/11/2026' is not a date {DAY}"),
        (as_date, "2026-13-01", f"'2026-13-01' is not a date {DAY}"),
        (as_date, "2026-11-25 08:00", f"'2026-11-25 08:00' is not a date {DAY}"),
        (as_date, "20261125", f"'20261125' is not a date {DAY}"),
        (as_date, "２０２６-１１-２５", f"'２０２６-１１-２５' is not a date {DAY}"),
        (as_date, ["2026-11-25"], f"a list is not a date {DAY}"),
        (as_date, "x" * 100, f"'{'x' * 80}' is not a date {DAY}"),
        (instant, "tomorrow", f"'tomorrow' is not a time {TIME}"),
        (instant, "2026-11-25", f"'2026-11-25' is not a time {TIME}"),
        (instant, "2026-11-25 25:00", f"'2026-11-25 25:00' is not a time {TIME}"),
        (instant, "2026-11-25 08:00 CET", f"'2026-11-25 08:00 CET' is not a time {TIME}"),
        (instant, "2026-11-25 08:00 Europe/Mars", f"'2026-11-25 08:00 Europe/Mars' is not a time {TIME}"),
        (instant, "0001-01-01 00:00", f"'0001-01-01 00:00' is not a time {TIME}"),
        (instant, {"a": "b"}, f"a mapping is not a time {TIME}"),
        (deadline, "soon", f"'soon' is not a time {TIME}"),
        (no_send_at, "36 hours", COUNTS),
        (late, "9 days", "'9 days' is not a time (write a shorter time)"),
        (deadline, "2026-11-24 08:00", BEFORE),
        (as_language, "french!", "'french!' is not a language tag (write one like en, fr or zh-Hans)"),
        (as_language, ["fr"], "a list is not a language tag (write one like en, fr or zh-Hans)"),
        (as_approval, "yes", f"'yes' is not an approval {BY_APPROVE}"),
        (as_approval, NO_DAY, f"{NO_DAY[:80]!r} is not an approval {BY_APPROVE}"),
        (as_corrections, "wrong", f"'wrong' {NO_CORRECTIONS}"),
        (as_corrections, [], f"a list {NO_CORRECTIONS}"),
        (as_corrections, {"2026-11-27": "a", "2026-11-28": "b"}, f"a mapping {NO_CORRECTIONS}"),
        (as_corrections, [{"2026-11-27": " "}], NO_WORDS),
        (as_corrections, [{"2026-13-27": "a"}], "'2026-13-27' is not a date (write a day like 2026-11-25)"),
        (as_rules, "top: 5", "'top: 5' is not a set of rules (write Heading: {top: 5, since: 7 days})"),
        (as_rules, {"News": "5"}, "a mapping is not a set of rules (write Heading: {top: 5, since: 7 days})"),
        (as_rules, {"News": {"tap": "5"}}, RULE),
    ],
)  # fmt: skip
def test_a_value_that_may_not_stand_is_told_with_what_may(
    reader: Callable[[Entry], object], value: object, message: str
) -> None:
    with pytest.raises(IssueError) as caught:
        reader(entry(value))
    assert str(caught.value) == f"f.md:2:7: {message}"


def test_an_unknown_rule_is_told_at_its_own_place() -> None:
    with pytest.raises(IssueError) as caught:
        as_rules(read("select:\n  News: {top: 5}\n  Digital:\n    limt: 6").entries["select"])
    assert str(caught.value).startswith("f.md:5:5: select: Digital: unknown rule 'limt' (valid rules: top,")


# ---------------------------------------------------------------------------------------------------------------------
# The approval
# ---------------------------------------------------------------------------------------------------------------------

APPROVAL = Approval(DIGEST, "Margaux Lin", dt.date(2026, 11, 24))
LINE = f"approved: {DIGEST} by Margaux Lin 2026-11-24\n"


def test_an_approval_is_the_last_line_of_the_front_matter() -> None:
    text = "---\nsubject: x\n---\napproved: by nobody\n"
    approved = with_approval(text, APPROVAL)
    assert approved == f"---\nsubject: x\n{LINE}---\napproved: by nobody\n"
    assert as_approval(read_front_matter(approved, "f.md").entries["approved"]) == APPROVAL


def test_an_approval_replaces_the_one_before_and_keeps_line_ends() -> None:
    once = with_approval("---\r\nsubject: x\r\n---\r\nbody\r\n", APPROVAL)
    assert once == f"---\r\nsubject: x\r\n{LINE[:-1]}\r\n---\r\nbody\r\n"
    again = with_approval(once, Approval(DIGEST, " A\n B ", dt.date(2026, 11, 25)))
    assert again == f"---\r\nsubject: x\r\napproved: {DIGEST} by A B 2026-11-25\r\n---\r\nbody\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "---\nsubject: x\n---\nbody\napproved: x\n---\n",
        "---\nsubject: |\n  approved: x\n...\nbody",
        "---\n---\nbody",
        "no front matter\napproved: x\n",
        "---\nsubject: x\n---\u3000\napproved: y\n",
    ],
)
def test_the_text_without_its_approval_is_all_the_rest(text: str) -> None:
    assert without_approval(text) == text
    if text.startswith("---\nsubject: x\n---\n"):
        assert without_approval(with_approval(text, APPROVAL)) == text


# ---------------------------------------------------------------------------------------------------------------------
# Anything
# ---------------------------------------------------------------------------------------------------------------------

YAML_SIGNS = "abc:#-[]{}&*!|>'\"%@`,?~ \n\t.0"
ANY = st.text(st.sampled_from(YAML_SIGNS) | st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(ANY, st.sampled_from(["", "subject: ", "topics: "]))
def test_any_text_is_read_or_refused_with_places(text: str, key: str) -> None:
    whole = f"---\n{key}{text}\n---\n"
    places = []
    try:
        assert set(read_front_matter(whole, "f.md").entries) <= set(KEYS)
    except IssueError as error:
        places = [problem.place for problem in error.problems]
    assert all(place and 1 <= place.line <= whole.count("\n") + 1 for place in places)


def test_corrections_stand_in_the_order_of_their_days() -> None:
    front = read('corrections:\n  - 2026-11-28: "The  second:\n      one."\n  - 2026-11-27: The first.')
    assert as_corrections(front.entries["corrections"]) == (
        Correction(dt.date(2026, 11, 27), "The first."),
        Correction(dt.date(2026, 11, 28), "The second: one."),
    )
