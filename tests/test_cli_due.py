"""``send.py`` and ``newsletter send --due``: what is due goes out once, each trouble is told once, else silence."""

import dataclasses
import datetime as dt
import subprocess
import sys

import pytest
from newsroom import BODY, REPOSITORY, Newsroom, assert_told, spawn
from smtp_server import SmtpServer

import newsletter.cli.due
import newsletter.cli.sending
from newsletter.belonging import HostGuard
from newsletter.errors import BusyError
from newsletter.receiver import Receiver

NOW = dt.datetime.now(dt.UTC)
HOUR = dt.timedelta(hours=1)
DUE, EARLY, EXPIRED = NOW - HOUR, NOW + HOUR, NOW - 30 * HOUR


@pytest.fixture
def room(tmp_path):
    room = Newsroom(tmp_path)
    room.subscribers("ada@example.org", "bob@example.org")
    return room


@pytest.fixture
def receiver(room):
    with Receiver() as receiver:
        room.relay(receiver)
        yield receiver


def approved(room: Newsroom, slug: str, send_at: dt.datetime, *lines: str) -> None:
    room.timed_issue(slug, send_at, *lines)
    assert room.run("approve", slug, "--by", "mark").code == 0


def later(monkeypatch: pytest.MonkeyPatch, by: dt.timedelta) -> None:
    """Put the clock of commands forward."""
    for module in (newsletter.cli.due, newsletter.cli.sending):
        monkeypatch.setattr(module, "utc_now", lambda: dt.datetime.now(dt.UTC) + by)


def test_due_issue_goes_out_once(room, receiver):
    approved(room, "2026-11-25", DUE)
    first = room.run("send", "--due")
    assert first.code == 0
    assert "2 planned = 2 sent" in first.out
    assert len(receiver.messages) == 2
    second = room.run("send", "--due")
    assert (second.code, second.out, second.err) == (0, "", "")
    assert len(receiver.messages) == 2


def test_whether_the_store_is_a_copy_is_looked_at_under_the_runs_lock(room, receiver, monkeypatch):
    """Else a run that counts its epoch amid the look makes the store seem restored, and cron complains."""
    approved(room, "2026-11-25", DUE)
    looks = []

    def admit(_guard, store):
        lock = store.run_lock("another")
        with pytest.raises(BusyError), lock:
            pass
        looks.append(store)

    monkeypatch.setattr(HostGuard, "admit", admit)
    assert room.run("send", "--due").code == 0
    assert looks
    assert len(receiver.messages) == 2


def test_a_run_that_finds_another_at_the_look_is_silent(room, receiver, monkeypatch):
    approved(room, "2026-11-25", DUE)

    def admit(_guard, store):
        raise BusyError("another run holds the lock")

    monkeypatch.setattr(HostGuard, "admit", admit)
    answer = room.run("send", "--due")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert receiver.messages == []


def test_script_for_cron_does_the_same(room, receiver):
    approved(room, "2026-11-25", DUE)
    script = str(REPOSITORY / "send.py")
    first = spawn(script, cwd=room.root, **room.environ)
    assert first.code == 0, first
    assert "2 sent" in first.out
    assert spawn(script, cwd=room.root, **room.environ) == spawn(script, "--json", cwd=room.root, **room.environ)
    assert len(receiver.messages) == 2


def test_script_for_cron_takes_the_project_first(room, receiver, tmp_path):
    approved(room, "2026-11-25", DUE)
    script, elsewhere = str(REPOSITORY / "send.py"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    first = spawn(script, "--project", str(room.root), "--json", cwd=elsewhere, **room.environ)
    assert first.json["sent"] == 2, first
    again = spawn(script, "-q", f"--project={room.root}", "--json", cwd=elsewhere, **room.environ)
    assert (again.code, again.out, again.err) == (0, "", "")
    assert_told(spawn(script, cwd=elsewhere), 78, "newsletter.toml: no such file", "--project DIR")


@pytest.mark.parametrize("send_at", [EARLY, None])
def test_early_and_untimed_issues_wait_in_silence(room, receiver, send_at):
    room.issue("2026-11-25", *([f"send_at: {send_at.isoformat()}"] if send_at else []))
    room.run("approve", "2026-11-25")
    answer = room.run("send", "--due")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert receiver.messages == []


def test_newsletter_without_issues_or_store_is_silent(tmp_path):
    room = Newsroom(tmp_path)
    answer = spawn(str(REPOSITORY / "send.py"), cwd=room.root)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["newsletter.toml"]


def _expired(room: Newsroom) -> None:
    approved(room, "2026-11-20", EXPIRED)


def _expired_and_never_approved(room: Newsroom) -> None:
    room.timed_issue("2026-11-20", EXPIRED)


def _not_after(room: Newsroom) -> None:
    approved(room, "2026-11-20", DUE, "not_after: 30 minutes")


def _unapproved(room: Newsroom) -> None:
    room.timed_issue("2026-11-20", DUE)


def _changed(room: Newsroom) -> None:
    approved(room, "2026-11-20", DUE)
    path = room.root / "issues/2026-11-20.md"
    path.write_text(path.read_text().replace("Nobody", "Somebody"))


def _broken(room: Newsroom) -> None:
    room.timed_issue("2026-11-20", DUE, "subjct: x")


def _broken_body(room: Newsroom) -> None:
    approved(room, "2026-11-20", DUE)
    path = room.root / "issues/2026-11-20.md"
    path.write_text(path.read_text() + "\n![gone](images/gone.png)\n")


def _unknown_audience(room: Newsroom) -> None:
    approved(room, "2026-11-20", DUE, "audience: nobody")


def _odd_name(room: Newsroom) -> None:
    room.timed_issue("last week", DUE)


def _language_edition(room: Newsroom) -> None:
    room.timed_issue("2026-11-20.zh", DUE)


def _symlink_to_itself(room: Newsroom) -> None:
    (room.root / "issues").mkdir(exist_ok=True)
    (room.root / "issues/2026-11-20.md").symlink_to("2026-11-20.md")


TROUBLES = {
    _expired: (1, "2026-11-20 was due at", "too old now", "--late"),
    _expired_and_never_approved: (1, "2026-11-20 was due at", "too old now"),
    _not_after: (1, "too old now"),
    _unapproved: (1, "2026-11-20 is due and not approved", "newsletter approve 2026-11-20"),
    _changed: (1, "changed since mark approved it", "Somebody was hurt"),
    _broken: (65, "issues/2026-11-20.md:6:1: unknown key 'subjct'"),
    _broken_body: (65, "images/gone.png", "cannot be read"),
    _unknown_audience: (65, "no list 'nobody'"),
    _odd_name: (65, "'last week' cannot name an issue"),
    _language_edition: (65, "kept for language editions"),
    _symlink_to_itself: (65, "cannot be read"),
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__.strip("_"))
def test_trouble_is_told_once_and_others_go_out(room, receiver, trouble):
    trouble(room)
    approved(room, "2026-11-25", DUE)
    code, *words = TROUBLES[trouble]
    first = room.run("send", "--due")
    assert_told(first, code, *words)
    assert "2026-11-25: finished" in first.out
    assert len(receiver.messages) == 2
    second = room.run("send", "--due")
    assert (second.code, second.out, second.err) == (0, "", "")
    assert len(receiver.messages) == 2


def test_trouble_is_told_once_also_where_there_is_no_store_yet(tmp_path):
    room = Newsroom(tmp_path)
    room.timed_issue("2026-11-25", DUE)
    assert_told(room.run("send", "--due"), 1, "not approved")
    assert room.run("send", "--due").err == ""


def test_same_trouble_is_news_once_the_file_changed(room):
    room.timed_issue("2026-11-25", DUE)
    assert "not approved" in room.run("send", "--due").err
    room.timed_issue("2026-11-25", DUE, "author: Ann")
    assert "not approved" in room.run("send", "--due").err


def test_issue_that_was_told_still_goes_out_once_it_can(room, receiver):
    room.timed_issue("2026-11-25", DUE)
    room.run("send", "--due")
    room.run("approve", "2026-11-25")
    assert "2 sent" in room.run("send", "--due").out


def test_mended_setting_lets_an_untouched_file_go_out(room, receiver):
    approved(room, "2026-11-25", DUE)
    room.environ["NEWSLETTER_THEME__ACCENT"] = "#123456"
    assert_told(room.run("send", "--due"), 1, "changed since mark approved it: [theme] accent")
    assert room.run("send", "--due").err == ""
    del room.environ["NEWSLETTER_THEME__ACCENT"]
    assert "2 sent" in room.run("send", "--due").out


def test_empty_list_does_not_use_the_issue_up(tmp_path, receiver):
    room = Newsroom(tmp_path / "empty")
    room.relay(receiver)
    approved(room, "2026-11-25", DUE)
    assert_told(room.run("send", "--due"), 1, "nobody is on the list")
    room.subscribers("ada@example.org")
    assert "1 sent" in room.run("send", "--due").out


def test_late_sends_what_is_too_old(room, receiver):
    _expired(room)
    room.run("send", "--due")
    assert "2 sent" in room.run("send", "--due", "--late").out


def test_draft_that_is_broken_is_not_told_long_before_its_time(room):
    room.timed_issue("2026-12-24", NOW + 100 * HOUR, "subjct: x")
    answer = room.run("send", "--due")
    assert (answer.code, answer.err) == (0, "")


def test_files_of_editors_are_no_issues(room, receiver):
    approved(room, "2026-11-25", EARLY)
    text = (room.root / "issues/2026-11-25.md").read_bytes()
    for name in (".#2026-11-25.md", "2026-11-25.md~", ".2026-11-25.md.swp", "notes.txt"):
        room.write(f"issues/{name}", text)
    (room.root / "issues/folder.md").mkdir()
    (room.root / "issues/gone.md").symlink_to("nowhere")
    answer = room.run("send", "--due")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_issues_folder_that_is_a_file_is_told(room):
    room.write("issues", "x")
    assert_told(room.run("send", "--due"), 65, "issues: cannot be read")


def test_wall_time_is_read_in_the_newsletters_zone(room, receiver):
    """08:00 in Paris has come, 08:00 in Los Angeles has not; the file does not change."""
    wall = (NOW - HOUR).astimezone(dt.timezone(dt.timedelta(hours=1))).replace(tzinfo=None)
    room.issue("2026-11-25", f"send_at: {wall:%Y-%m-%d %H:%M}")
    room.environ["NEWSLETTER_NEWSLETTER__TIME_ZONE"] = "America/Los_Angeles"
    room.run("approve", "2026-11-25")
    assert room.run("send", "--due").out == ""
    room.environ["NEWSLETTER_NEWSLETTER__TIME_ZONE"] = "Africa/Lagos"  # an hour east of Greenwich, all year
    room.run("approve", "2026-11-25")
    assert "2 sent" in room.run("send", "--due").out


def test_changed_zone_is_noticed_though_no_file_changed(room):
    wall = (NOW + HOUR).astimezone(dt.timezone(dt.timedelta(hours=1))).replace(tzinfo=None)
    room.issue("2026-11-25", f"send_at: {wall:%Y-%m-%d %H:%M}")
    room.environ["NEWSLETTER_NEWSLETTER__TIME_ZONE"] = "Africa/Lagos"
    assert room.run("send", "--due").err == ""
    room.environ["NEWSLETTER_NEWSLETTER__TIME_ZONE"] = "Asia/Tokyo"
    assert "not approved" in room.run("send", "--due").err


# --- sends that are not finished -------------------------------------------------------------------------------------


def test_deferred_row_is_tried_again_when_it_is_due(room, receiver, monkeypatch):
    approved(room, "2026-11-25", DUE)
    receiver.defer("bob@example.org")
    assert "1 open" in room.run("send", "--due").out
    receiver.accept("bob@example.org")
    assert room.run("send", "--due").out == ""
    later(monkeypatch, dt.timedelta(minutes=7))
    assert "2 planned = 2 sent" in room.run("send", "--due").out
    assert [message.envelope.rcpt_to for message in receiver.messages] == ["ada@example.org", "bob@example.org"]


def test_relay_that_is_down_is_69_and_the_send_goes_on_later(room, monkeypatch):
    approved(room, "2026-11-25", DUE)
    usual = newsletter.cli.sending.sender_setup
    monkeypatch.setattr(
        newsletter.cli.sending,
        "sender_setup",
        lambda *arguments: dataclasses.replace(usual(*arguments), reconnect_waits_s=(0.01,)),
    )
    with SmtpServer() as server:
        room.relay(server)
        server.shut_at("connect", times=None)
        answer = room.run("send", "--due", "--json")
        assert answer.code == 69
        assert (answer.json["planned"], answer.json["sent"], answer.json["open"]) == (2, 0, 2)
    with Receiver() as receiver:
        room.relay(receiver)
        assert room.run("send", "--due", "--json").json["sent"] == 2
        assert len(receiver.messages) == 2


def test_paused_send_waits_for_an_operator(room, receiver):
    approved(room, "2026-11-25", DUE)
    people = [f"p{number}@example.com" for number in range(12)]
    room.subscribers(*people)
    for person in people:
        receiver.refuse(person, 550, "5.7.1 we do not like you")
    assert room.run("send", "--due").code == 1
    assert room.run("status", "2026-11-25").code == 1
    answer = room.run("send", "--due")
    assert (answer.code, answer.out) == (0, "")
    for person in people:
        receiver.accept(person)
    assert room.run("send", "2026-11-25", "--yes").code == 0


def test_two_runs_at_once_send_nothing_twice(room, receiver):
    approved(room, "2026-11-25", DUE)
    approved(room, "2026-11-26", DUE)
    command = [sys.executable, "-m", "newsletter", "--project", str(room.root), "send", "--due"]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), **room.environ}
    runs = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        assert err == ""
    room.run("send", "--due")
    received = sorted(message.envelope.rcpt_to for message in receiver.messages)
    assert received == ["ada@example.org"] * 2 + ["bob@example.org"] * 2
    assert len({message.content for message in receiver.messages}) == 4


def test_several_sends_are_one_json_object_with_their_sums(room, receiver):
    approved(room, "2026-11-24", DUE)
    approved(room, "2026-11-25", DUE)
    _unapproved(room)
    answer = room.run("send", "--due", "--json")
    assert answer.code == 1
    assert (answer.json["planned"], answer.json["sent"], answer.json["open"]) == (4, 4, 0)
    assert [send["issue"] for send in answer.json["sends"]] == ["2026-11-24", "2026-11-25"]
    assert "not approved" in answer.json["problems"][0]
    assert room.run("send", "--due", "--json").out == ""


def test_body_of_another_issue_is_never_sent(room, receiver):
    """Each issue's readers get that issue."""
    approved(room, "2026-11-24", DUE)
    room.issue("2026-11-25", f"send_at: {DUE.isoformat()}", body=BODY.replace("crane", "ferry"), subject="A ferry")
    room.run("approve", "2026-11-25")
    room.run("send", "--due")
    subjects = sorted(b"Subject: A ferry" in message.content for message in receiver.messages)
    assert subjects == [False, False, True, True]
