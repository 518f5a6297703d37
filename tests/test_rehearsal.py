"""``newsletter rehearse``: the real sender against the receiver that fails on purpose, and the account of it."""

import dataclasses
import datetime as dt
import hashlib
import json
import tempfile
import threading
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from newsroom import Newsroom, spawn

from newsletter.config import load_project
from newsletter.delivery import State
from newsletter.faults import Fault
from newsletter.model import Reply, Stage
from newsletter.rehearsal import CRON, Play, RehearsalClock, compare, rehearse
from newsletter.reports import Ending
from newsletter.store import LedgerRow
from newsletter.unreliable import Taken

START = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
SLUG = "2026-11-25"


def newsroom_at(root: Path) -> Newsroom:
    newsroom = Newsroom(root)
    newsroom.issue()
    return newsroom


def perform(root: Path, **play):
    newsroom_at(root)
    stop, progress = play.pop("stop", None), play.pop("progress", None)
    return rehearse(
        load_project(root, play.pop("environ", {})),
        root / "issues" / f"{SLUG}.md",
        Play(**play),
        lambda: START,
        stop=stop,
        progress=progress,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return one rehearsal in which half of the people meet a fault."""
    return perform(tmp_path_factory.mktemp("weekly"), recipients=60, share=Fraction(1, 2), seed=3)


# ---------------------------------------------------------------------------------------------------------------------
# What it comes to
# ---------------------------------------------------------------------------------------------------------------------


def test_promises_hold(done):
    assert done.holds
    assert done.is_finished
    assert done.account.closes
    assert done.comparison.missed == done.comparison.unowned == done.comparison.strangers == ()
    assert done.comparison.unnamed == ()


def test_each_fault_ends_as_it_must(done):
    ends = {fault: {str(state): count for state, count in counts.items()} for fault, counts in done.ends.items()}
    failing = {Fault.DEFERRED, Fault.UNKNOWN, Fault.POLICY}
    assert ends == {fault: {"failed" if fault in failing else "sent": count} for fault, count in done.dealt.items()}
    assert set(done.dealt) == set(Fault)


def test_the_account_is_that_of_the_faults(done):
    failed = sum(done.dealt[fault] for fault in (Fault.DEFERRED, Fault.UNKNOWN, Fault.POLICY))
    assert (done.account.planned, done.account.failed, done.account.sent) == (60, failed, 60 - failed)
    assert done.comparison.people == done.account.sent == done.answers["accepted"]
    assert done.comparison.taken == done.account.sent + done.dealt[Fault.SWALLOWED]
    assert done.answers["in doubt"] == done.dealt[Fault.SWALLOWED] + done.dealt[Fault.LOST]
    assert done.answers["refused for good"] == done.suppressed == done.dealt[Fault.UNKNOWN]
    assert done.answers["refused"] == done.dealt[Fault.POLICY]


def test_whoever_got_it_twice_is_named_and_got_the_same(done):
    assert len(done.comparison.repeated) == done.dealt[Fault.SWALLOWED] > 0
    for each in done.comparison.repeated:
        assert (each.times, each.is_named, each.is_same) == (2, True, True)
        assert each.message_id.endswith("@news.example.org>")


def test_runs_are_those_of_cron_and_take_days_without_waiting(done):
    assert done.runs[0].after < CRON
    assert [run.after // CRON for run in done.runs] == sorted({run.after // CRON for run in done.runs})
    assert done.runs[-1].ending is Ending.FINISHED
    assert Ending.UNAVAILABLE in {run.ending for run in done.runs}  # while the receiver was away
    assert dt.timedelta(days=4) < done.lasted < dt.timedelta(days=6)
    assert sum(run.recorded for run in done.runs) == done.answers.total()


def test_equal_seeds_come_to_equal_ends(tmp_path, done):
    again = perform(tmp_path, recipients=60, share=Fraction(1, 2), seed=3)
    assert (again.dealt, again.ends, again.account) == (done.dealt, done.ends, done.account)
    assert [each.address for each in again.comparison.repeated] == [each.address for each in done.comparison.repeated]


def test_without_faults_one_run_does_it_all(tmp_path):
    done = perform(tmp_path, recipients=30, share=Fraction(0))
    assert done.holds
    assert [run.ending for run in done.runs] == [Ending.FINISHED]
    assert (done.account.sent, done.comparison.taken, done.dealt) == (30, 30, {})


def test_where_doubts_pile_up_the_send_pauses_and_is_resumed(tmp_path):
    done = perform(tmp_path, recipients=90, share=Fraction(1))
    assert done.holds
    paused = [run.reason for run in done.runs if run.ending is Ending.PAUSED]
    assert paused
    assert any("never answered" in reason for reason in paused)


def test_rows_in_doubt_are_held_where_the_newsletter_holds_them(tmp_path):
    done = perform(tmp_path, recipients=40, share=Fraction(1, 4), environ={"NEWSLETTER_SEND__DOUBT": "hold"})
    assert done.holds
    assert done.account.in_doubt == done.dealt[Fault.SWALLOWED] + done.dealt[Fault.LOST]
    assert done.comparison.repeated == ()
    assert done.ends[Fault.LOST] == {State.IN_DOUBT: done.dealt[Fault.LOST]}


def test_stopped_rehearsal_says_that_it_is_not_over(tmp_path):
    stop, seen = threading.Event(), []

    def progress(result):
        seen.append(result)
        if len(seen) == 5:
            stop.set()

    done = perform(tmp_path, recipients=40, share=Fraction(0), stop=stop, progress=progress)
    assert not done.is_finished
    assert not done.holds
    assert done.comparison.holds
    assert done.account.open > 0
    assert done.account.closes


def test_nothing_of_the_newsletter_s_own_is_touched(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    newsroom = newsroom_at(tmp_path / "weekly")
    newsroom.subscribers("ann@example.org")
    before = {path: path.read_bytes() for path in newsroom.root.rglob("*") if path.is_file()}
    assert newsroom.run("rehearse", SLUG, "--recipients", "20", "--faults", "10%").code == 0
    assert {path: path.read_bytes() for path in newsroom.root.rglob("*") if path.is_file()} == before
    assert list(temporary.iterdir()) == []


def test_newsletter_without_store_and_secret_gets_neither(tmp_path):
    newsroom = newsroom_at(tmp_path)
    assert newsroom.run("rehearse", SLUG, "--recipients", "5", "--faults", "0%").code == 0
    assert not [
        path.name for path in tmp_path.iterdir() if path.name.startswith("newsletter.") and path.suffix != ".toml"
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The ledger held against the receiver
# ---------------------------------------------------------------------------------------------------------------------


def row(address, state, doubts=0):
    reply = Reply(250, "2.0.0", "OK", Stage.DOT)
    return LedgerRow(
        send_id=1,
        subscriber_id=1,
        edition_id=1,
        address=address,
        domain="example.com",
        state=state,
        doubts=doubts,
        attempts=1,
        next_attempt_at=None,
        reply=reply,
        reason="",
        changed_at=START,
    )


def taken(*contents):
    return [Taken("<1@example.org>", hashlib.sha256(content).digest()) for content in contents]


def test_comparison_finds_whoever_is_missed_and_whoever_is_owed():
    rows = (row("a@x", State.SENT), row("b@x", State.SENT), row("c@x", State.FAILED), row("d@x", State.FAILED, 1))
    found = compare(rows, {"b@x": taken(b"1"), "c@x": taken(b"1"), "d@x": taken(b"1"), "e@x": taken(b"1")})
    assert (found.missed, found.unowned, found.strangers) == (("a@x",), ("c@x",), ("e@x",))
    assert not found.holds
    assert (found.taken, found.people) == (4, 4)


def test_comparison_finds_who_got_it_twice_without_a_doubt_or_in_other_words():
    rows = (row("a@x", State.SENT), row("b@x", State.SENT, 1), row("c@x", State.SENT, 1))
    found = compare(rows, {"a@x": taken(b"1", b"1"), "b@x": taken(b"1", b"1"), "c@x": taken(b"1", b"2")})
    assert [each.address for each in found.repeated] == ["a@x", "b@x", "c@x"]
    assert [each.address for each in found.unnamed] == ["a@x", "c@x"]
    assert not found.holds


def test_clock_skips_to_the_next_run_of_cron():
    clock = RehearsalClock(START)
    clock.wait_for_cron(None)
    assert CRON <= clock.elapsed < CRON * 2
    clock.wait_for_cron(START + dt.timedelta(hours=1, minutes=2))
    assert dt.timedelta(hours=1, minutes=5) <= clock.elapsed < dt.timedelta(hours=1, minutes=6)
    clock.wait_for_cron(START)
    assert dt.timedelta(hours=1, minutes=10) <= clock.elapsed < dt.timedelta(hours=1, minutes=11)
    assert clock() - START - clock.elapsed < dt.timedelta(seconds=1)


# ---------------------------------------------------------------------------------------------------------------------
# The command
# ---------------------------------------------------------------------------------------------------------------------


def test_report_for_people(tmp_path):
    newsroom = newsroom_at(tmp_path)
    answer = newsroom.run("rehearse", SLUG, "--recipients", "40", "--faults", "50%")
    assert answer.code == 0, answer
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == f"Rehearsal of {SLUG}: A crane fell"
    assert max(map(len, lines)) <= 110
    assert not [line for line in lines if line.lstrip().startswith("NO ")]
    assert len([line for line in lines if line.startswith("  yes  ")]) == 5
    for words in (
        "greylisted",
        "40 planned = ",
        "sent once more",
        "nobody is missed",
        "newsletter doctor",
        "relay unavailable",
    ):
        assert words in answer.out
    assert "\x1b" not in answer.out


def test_report_for_programs(tmp_path):
    newsroom = newsroom_at(tmp_path)
    report = newsroom.run("rehearse", SLUG, "--recipients", "20", "--faults", "25%", "--json", "--seed", "7").json
    assert (report["format"], report["issue"], report["seed"], report["faults"]) == (1, SLUG, 7, 0.25)
    assert report["holds"] is True
    account = [report[name] for name in ("sent", "failed", "skipped", "bounced", "in_doubt", "open")]
    assert report["planned"] == sum(account) == 20
    assert sum(each["count"] for each in report["dealt"].values()) == 5
    assert report["missed"] == report["unowned"] == report["strangers"] == []
    assert report["runs"][-1]["ending"] == "finished"
    assert json.dumps(report)


def test_quiet_prints_nothing(tmp_path):
    answer = newsroom_at(tmp_path).run("--quiet", "rehearse", SLUG, "--recipients", "5")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_broken_promise_is_told(tmp_path, monkeypatch):
    def lose_one(rows, taken):
        found = compare(rows, taken)
        return dataclasses.replace(found, missed=("reader000001@example.com",))

    monkeypatch.setattr("newsletter.rehearsal.compare", lose_one)
    answer = newsroom_at(tmp_path).run("rehearse", SLUG, "--recipients", "5", "--faults", "0%")
    assert answer.code == 1
    assert "NO   nobody is missed" in answer.out
    assert "not so for reader000001@example.com" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["2026-01-01"], 65, "no issue"),
        ([SLUG, "--faults", "5"], 2, "like 5%"),
        ([SLUG, "--recipients", "0"], 2, "0 is not in the range"),
        ([], 2, "Missing argument"),
    ],
)
def test_wrong_usage(tmp_path, arguments, code, words):
    answer = newsroom_at(tmp_path).run("rehearse", *arguments)
    assert answer.code == code
    assert words in answer.err


def test_issue_that_cannot_be_compiled_is_told_as_ever(tmp_path):
    newsroom = newsroom_at(tmp_path)
    newsroom.write(f"issues/{SLUG}.md", "---\nsubject: [hello\n---\n")
    answer = newsroom.run("rehearse", SLUG)
    assert answer.code == 65
    assert f"{SLUG}.md" in answer.err


def test_rehearsal_imports_no_compiler_library(tmp_path):
    newsroom = newsroom_at(tmp_path)
    code = (
        "import sys; from newsletter.cli import run;"
        f"code = run(['--project', {str(tmp_path)!r}, 'rehearse', '{SLUG}', '--recipients', '3', '--faults', '0%']);"
        "print(code, {'jinja2', 'mjml', 'premailer', 'feedparser'} & set(sys.modules))"
    )
    answer = spawn("-c", code, cwd=newsroom.root)
    assert answer.out.splitlines()[-1] == "0 set()"


def test_counts_are_of_the_sender_s_answers(done):
    assert set(done.answers) <= {"accepted", "deferred", "refused", "refused for good", "in doubt", "nothing mailed"}
    assert Counter(done.answers)["deferred"] >= done.dealt[Fault.GREYLISTED] + 2 * done.dealt[Fault.FULL]
