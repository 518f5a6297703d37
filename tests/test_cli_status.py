"""``newsletter status``: what came of a send, for people on a terminal, for cron, for programs, and as a CSV file."""

import csv
import datetime as dt
import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from newsroom import REPOSITORY, Newsroom, assert_told
from smtp_server import SmtpServer

from newsletter.cli import status
from newsletter.delivery import State
from newsletter.listcolumns import guard_cell
from newsletter.store import open_store

SLUG = "2026-11-25"
PEOPLE = ("ada@example.org", "bob@example.org", "cho@example.net", "dov@example.net", "eve@example.com")
SEVEN = ("planned", "sent", "failed", "skipped", "bounced", "in_doubt", "open")


@pytest.fixture(scope="module")
def sent_once(tmp_path_factory) -> Path:
    """Send an issue: ada and eve accepted, bob refused with a steering text, cho deferred, dov against policy."""
    room = Newsroom(tmp_path_factory.mktemp("room") / "weekly")
    room.issue(SLUG)
    room.subscribers(*PEOPLE)
    assert room.run("approve", SLUG, "--by", "mark").code == 0
    with SmtpServer() as server:
        room.relay(server)
        server.refuse("bob@example.org", text="5.1.1 \x1b[31m[bold]no[/bold] such user")
        server.defer("cho@example.net")
        server.refuse("dov@example.net", text="5.7.1 =cmd|'/c calc'!A1")
        assert room.run("send", SLUG, "--yes").code == 0
    return room.root


@pytest.fixture
def room(sent_once, tmp_path) -> Newsroom:
    root = tmp_path / "weekly"
    shutil.copytree(sent_once, root)
    return Newsroom(root)


def on_terminal(room: Newsroom, *arguments: str) -> str:
    """Run a command whose output is a terminal of 120 columns, and return all that it wrote."""
    parent, child = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "newsletter", "--project", str(room.root), *arguments]
    with subprocess.Popen(command, stdout=child, stderr=child, stdin=child, env=environ) as process:
        os.close(child)
        pieces = []
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                break
            if not piece:
                break
            pieces.append(piece)
    os.close(parent)
    assert process.returncode == 0, b"".join(pieces)
    return b"".join(pieces).decode()


# -- one send ---------------------------------------------------------------------------------------------------------


def test_the_account_comes_first_and_the_parts_explain_it(room):
    answer = room.run("status", SLUG)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == f"{SLUG}: sending"
    assert lines[1].strip() == "5 planned = 2 sent + 2 failed + 0 skipped + 0 bounced + 0 in doubt + 1 open"
    assert "  example.com        1     1       0        0        0         0     0" in lines
    assert any("550 5.1.1  rcpt  there is no such mailbox; suppressed: never mailed again" in line for line in lines)
    assert any("550 5.7.1  rcpt  a policy of the receiver's is against it; about us" in line for line in lines)
    assert any("451 4.7.1  rcpt  put off, as greylisting does; tried again" in line for line in lines)
    assert any("1 for a later attempt: next attempt at" in line for line in lines)
    assert any("bob@example.org  refused: there is no such mailbox (550 5.1.1" in line for line in lines)


def test_a_server_steers_no_terminal_and_writes_no_markup(room):
    plain, shown = room.run("status", SLUG).out, on_terminal(room, "status", SLUG)
    for text in (plain, shown):
        assert "[31m[bold]no[/bold] such user" in text, "as it stands"
        assert "\x1b[31m[bold]" not in text


def test_a_terminal_gets_colour_and_a_bar(room):
    shown = on_terminal(room, "status", SLUG)
    assert "\x1b[" in shown
    assert "█" in shown
    assert "░" in shown
    assert "────" in shown
    for words in ("By domain", "By last reply", "The latest trouble", "tries the failed ones once more"):
        assert words in shown
    assert "\x1b[" not in room.run("status", SLUG).out


def test_a_glance_on_a_terminal(room):
    shown = on_terminal(room, "status")
    assert SLUG in shown
    assert "planned" in shown


def test_rich_is_loaded_on_a_terminal_only(room):
    script = (
        "import sys; from newsletter.cli import run; "
        f"run(['--project', {str(room.root)!r}, 'status', {SLUG!r}]); print('rich' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert child.stdout.splitlines()[-1] == "False"


def test_json_closes_and_its_parts_add_up(room):
    found = room.run("status", SLUG, "--json").json
    assert found["format"] == 1
    assert tuple(found[name] for name in SEVEN) == (5, 2, 2, 0, 0, 0, 1)
    assert found["closes"] is True
    for part in ("domains", "editions"):
        for name in SEVEN:
            rest = found["other_domains"][name] if part == "domains" else 0
            assert sum(each[name] for each in found[part]) + rest == found[name], (part, name)
    assert {(each["kind"], each["enhanced"], each["count"]) for each in found["replies"]} == {
        ("refused", "5.1.1", 1),
        ("refused", "5.7.1", 1),
        ("deferred", "4.7.1", 1),
    }
    assert {each["address"] for each in found["latest"]} == {"bob@example.org", "cho@example.net", "dov@example.net"}
    assert (found["left"]["due"], found["left"]["waiting"]) == (0, 1)
    assert found["rate"]["best_minute"] == 2
    assert found["rate"]["per_second"] > 0


def change_rows(room: Newsroom, state: State, count: int = 1) -> None:
    """Bring ``count`` of the waiting rows, planned anew, to another end."""
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}") as store:
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        send_id = store.sends.find_send(SLUG).send_id
        rows = store.ledger.claim_deliveries(send_id, "test", count, now)
        assert len(rows) == count
        if state is State.IN_DOUBT:
            store.ledger.advance_deliveries(send_id, "test", (), rows, now, via="relay.example.org #3")
            store.ledger.recover_deliveries(send_id, {"test"}, now)


def test_rows_in_doubt_are_named_and_the_exit_code_tells(room):
    change_rows(room, State.IN_DOUBT)
    answer = room.run("status", SLUG)
    assert answer.code == 1
    assert "In doubt, now or once: they may have it twice, or not at all" in answer.out
    assert "cho@example.net  in doubt      1  relay.example.org #3" in answer.out
    assert f"newsletter resolve {SLUG}" in answer.out
    (doubt,) = room.run("status", SLUG, "--json").json["doubts"]
    assert (doubt["address"], doubt["via"]) == ("cho@example.net", "relay.example.org #3")
    assert room.run("status").code == 1


def test_a_paused_send_says_why_and_how_it_goes_on(room):
    with open_store(f"sqlite:///{room.root / 'newsletter.db'}") as store:
        store.sends.pause_send(store.sends.find_send(SLUG).send_id, "they refuse us", dt.datetime.now(dt.UTC))
    answer = room.run("status", SLUG)
    assert answer.code == 1
    assert answer.out.startswith(f"{SLUG}: paused: they refuse us\n")
    assert f"newsletter send {SLUG} --yes" in answer.out
    assert room.run("status", "--json").json["sends"][0]["reason"] == "they refuse us"


def test_what_was_never_sent_has_no_status(room):
    assert_told(room.run("status", "2026-12-02"), 65, "was never sent")
    assert_told(room.run("status", "--failed", "x.csv"), 2, "--failed goes with an ISSUE")


# -- the file of failures ---------------------------------------------------------------------------------------------


def test_the_file_names_who_did_not_get_it_and_why(room, tmp_path):
    path = tmp_path / "failed.csv"
    answer = room.run("status", SLUG, "--failed", str(path))
    assert f"{path}: 2 rows" in answer.out
    bob, dov = csv.DictReader(path.open(encoding="utf-8", newline=""))
    assert (bob["address"], bob["state"], bob["code"]) == ("bob@example.org", "failed", "550 5.1.1")
    assert bob["meaning"] == "there is no such mailbox"
    assert dov["reply"].startswith("'=cmd|"), "no spreadsheet takes it for a formula"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "it holds addresses"
    assert list(tmp_path.glob(".failed*")) == []
    assert room.run("status", SLUG, "--failed", str(path), "--json").json["failed_rows"] == 2


def test_a_file_that_cannot_be_written_is_told_and_an_older_one_stays(room, tmp_path):
    assert_told(room.run("status", SLUG, "--failed", str(tmp_path / "no" / "failed.csv")), 65, "cannot be written")


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_no_cell_is_a_formula(cell):
    assert guard_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "ann@example.org", "a=b", "550 5.1.1", " =1"])
def test_plain_cells_stay_as_they_are(cell):
    assert guard_cell(cell) == cell


# -- every issue ------------------------------------------------------------------------------------------------------


def test_every_issue_at_a_glance(room):
    out = room.run("status").out.splitlines()
    assert out[0].split() == ["issue", "state", "when", *"planned sent failed skipped bounced in doubt open".split()]
    assert out[1].split()[:2] == [SLUG, "sending"]
    assert out[1].split()[-7:] == ["5", "2", "2", "0", "0", "0", "1"]


def test_what_was_not_sent_yet_is_shown_above(room):
    room.issue("2026-12-02", "send_at: 2026-12-02 08:00")
    room.issue("2026-12-02.fr")
    room.write("issues/2026-12-09.md", "no front matter")
    lines = [line.split() for line in room.run("status").out.splitlines()[1:]]
    assert lines[:2] == [["2026-12-09", "unreadable"], ["2026-12-02", "draft", "2026-12-02", "08:00"]]
    assert lines[2][:2] == [SLUG, "sending"]
    found = room.run("status", "--json").json["upcoming"]
    assert [(each["issue"], each["state"]) for each in found] == [("2026-12-09", "unreadable"), ("2026-12-02", "draft")]
    assert found[1]["send_at"] == "2026-12-02T08:00:00+01:00"


def test_the_latest_issues_come_first_and_all_on_demand(room, monkeypatch):
    monkeypatch.setattr(status, "_LATEST", 0)
    assert room.run("status", "--json").json == {"format": 1, "sends": [], "upcoming": [], "more": 1}
    assert len(room.run("status", "--all", "--json").json["sends"]) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "1 h 30 min"),
        (86400 * 2, "2 days 0 h"),
        (86400 * 4 + 7300, "4 days 2 h"),
    ],
)
def test_lengths_of_time_in_words(seconds, words):
    assert status._span(dt.timedelta(seconds=seconds)) == words
