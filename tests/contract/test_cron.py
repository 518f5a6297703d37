"""Cron by the minute, with the clock put forward: veto window, canary, deferrals, holds, on each kind of store.

Commands run in this process against a real SMTP server; each minute of a simulated morning is one ``send --due``.
"""

import datetime as dt
import email
import email.policy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from newsroom import BODY, CONFIG, Answer, Newsroom, assert_told

import newsletter.cli.cancel
import newsletter.cli.due
import newsletter.cli.hold
import newsletter.cli.release
import newsletter.cli.send
import newsletter.cli.sending
import newsletter.launch
from newsletter.receiver import Receiver
from newsletter.store.dialect import POSTGRESQL, SQLITE

from .kinds import Kind, Sqlite

SLUG = "2026-11-25"
EIGHT = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
EDITOR = "mark@desk.example"
OPENING = f"""
[send]
veto = "15 minutes"
editors = ["{EDITOR}"]
canary = "10 %"
canary_wait = "10 minutes"
"""
CLOCKED = (
    newsletter.cli.due,
    newsletter.cli.sending,
    newsletter.cli.send,
    newsletter.cli.hold,
    newsletter.cli.release,
    newsletter.cli.cancel,
)


@dataclass
class Morning:
    """A newsletter whose commands see a clock that the test puts forward; ``said`` is what cron printed, and when."""

    room: Newsroom
    receiver: Receiver
    people: list[str]
    now: dt.datetime = EIGHT
    said: dict[str, Answer] = field(default_factory=dict)

    def cron(self, start: str, end: str, step: int = 1) -> None:
        """Run ``send --due --json`` each minute (or every ``step``) from ``start`` to ``end``, both included."""
        self.now = at(start)
        while self.now <= at(end):
            answer = self.room.run("send", "--due", "--json")
            if answer.out or answer.err or answer.code:
                self.said[f"{self.now:%H:%M}"] = answer
            self.now += step * MINUTE

    def run(self, when: str, *arguments: str) -> Answer:
        self.now = at(when)
        return self.room.run(*arguments)

    def line(self, when: str) -> dict:
        """Return the one line that cron printed at ``when``."""
        out = self.said[when].out
        assert out.count("\n") == 1, out
        return json.loads(out)

    @property
    def mailed(self) -> Counter[str]:
        return Counter(message.envelope.rcpt_to for message in self.receiver.messages)

    @property
    def readers_mailed(self) -> int:
        return sum(count for address, count in self.mailed.items() if address != EDITOR)

    def to_editor(self) -> list[email.message.EmailMessage]:
        return [
            email.message_from_bytes(message.content, policy=email.policy.default)
            for message in self.receiver.messages
            if message.envelope.rcpt_to == EDITOR
        ]


def at(clock: str) -> dt.datetime:
    hour, minute = map(int, clock.split(":"))
    return EIGHT.replace(hour=hour, minute=minute)


@pytest.fixture(params=[SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.proof)])
def kind(request, tmp_path) -> Iterator[Kind]:
    """Make a store; on PostgreSQL a few tests alone run without being asked for."""
    if request.param == SQLITE:
        yield Sqlite(tmp_path)
        return
    postgres = request.getfixturevalue("postgres")
    yield postgres
    postgres.drop_bare()


both_kinds = pytest.mark.parametrize("kind", [SQLITE, POSTGRESQL], indirect=True)


@pytest.fixture
def morning(kind, tmp_path, monkeypatch) -> Iterator[Morning]:
    room = Newsroom(tmp_path / "weekly", config=CONFIG.replace("Europe/Paris", "UTC") + OPENING)
    room.environ["NEWSLETTER_STORE__URL"] = kind.bare()
    people = [f"p{number}@d{number % 7}.example" for number in range(200)]
    with Receiver() as receiver:
        room.relay(receiver)
        morning = Morning(room, receiver, people)
        for module in CLOCKED:
            monkeypatch.setattr(module, "utc_now", lambda: morning.now)
        room.subscribers(*people)
        room.timed_issue(SLUG, EIGHT)
        assert room.run("approve", SLUG, "--by", "mark").code == 0
        yield morning


@both_kinds
def test_a_morning_with_veto_canary_and_deferrals(morning):
    for person in morning.people[3::40]:
        morning.receiver.defer(person)
    morning.cron("07:30", "08:04")
    for person in morning.people[3::40]:
        morning.receiver.accept(person)
    morning.cron("08:05", "08:40")
    assert list(morning.said)[:2] == ["07:45", "08:00"], "nothing is said before, and nothing in between"
    assert "mark@desk.example told; it goes out at 2026-11-25 08:00 UTC" in morning.line("07:45")["events"][0]
    first = morning.line("08:00")
    assert (first["planned"], first["sends"][0]["state"]) == (200, "canary")
    assert first["sent"] + first["open"] == 200
    assert first["sent"] <= 20
    assert {answer.code for answer in morning.said.values()} == {0}
    assert sorted(morning.mailed.values()) == [1] * 200 + [2], "each reader once, the editor the edition and the note"
    assert morning.mailed[EDITOR] == 2
    last = morning.line(list(morning.said)[-1])
    assert (last["planned"], last["sent"], last["open"], last["sends"][0]["state"]) == (200, 200, 0, "finished")


def test_the_rest_follows_ten_minutes_after_the_first_share(morning):
    morning.cron("07:45", "08:05", 5)
    morning.cron("08:09", "08:09")
    assert morning.readers_mailed == 20
    morning.cron("08:10", "08:11")
    assert list(morning.said) == ["07:45", "08:00", "08:10"]
    assert morning.readers_mailed == 200


def test_editors_get_the_exact_edition_and_how_to_stop_it(morning):
    morning.cron("07:45", "08:10", 5)
    proof, note = morning.to_editor()
    assert proof["Subject"] == "[Proof] A crane fell"
    assert note["Subject"] == "Goes out at 08:00 unless held: A crane fell"
    assert note["Auto-Submitted"] == "auto-generated"
    text = note.get_content()
    for words in (
        "goes out by itself on Wednesday 2026-11-25 at 08:00 UTC",
        "audience   200 recipients",
        "canary     the first 20, then 10 min of rest, then the others",
        f'newsletter hold {SLUG} --reason "why"',
        f"newsletter release {SLUG} --corrected",
    ):
        assert words in text
    reader = next(
        email.message_from_bytes(message.content, policy=email.policy.default)
        for message in morning.receiver.messages
        if message.envelope.rcpt_to == morning.people[0]
    )
    for kind in ("html", "plain"):
        seen, read = (message.get_body((kind,)).get_content() for message in (proof, reader))
        assert _without_tokens(seen) == _without_tokens(read)


def _without_tokens(text: str) -> str:
    import re

    return re.sub(r"bounces\+[a-z0-9]+@", "bounces@", text)


@both_kinds
def test_a_held_send_waits_and_goes_out_corrected_after_a_new_window(morning):
    morning.cron("07:45", "07:50", 5)
    held = morning.run("07:50", "hold", SLUG, "--by", "mark", "--reason", "a typo")
    assert held.code == 0
    assert "2026-11-25 is held: held by mark: a typo" in held.out
    assert f"newsletter release {SLUG} --corrected" in held.out
    assert_told(morning.run("07:55", "send", SLUG, "--yes", "--late"), 1, "held by mark: a typo", "newsletter release")
    morning.cron("07:56", "08:30", 10)
    assert morning.readers_mailed == 0
    morning.room.issue(SLUG, f"send_at: {EIGHT.isoformat()}", body=BODY.replace("crane", "ferry"), subject="A ferry")
    assert_told(morning.run("08:40", "release", SLUG, "--corrected"), 1, "not approved")
    assert morning.room.run("approve", SLUG, "--by", "mark").code == 0
    assert_told(morning.run("08:41", "release", SLUG), 1, "--corrected", "--as-frozen")
    assert morning.run("08:42", "release", SLUG, "--corrected").code == 0
    morning.said.clear()
    morning.cron("08:43", "09:10", 5)
    assert list(morning.said) == ["08:43", "08:58", "09:08"], "told, the first share, the others"
    assert morning.readers_mailed == 200
    subjects = Counter(
        message.content.split(b"Subject: ")[1].split(b"\r\n")[0] for message in morning.receiver.messages
    )
    assert subjects[b"A ferry"] == 200
    assert subjects[b"[Proof] A crane fell"] == subjects[b"[Proof] A ferry"] == 1


def test_a_held_send_goes_as_it_was_frozen_if_so_wanted(morning):
    morning.cron("07:45", "07:45")
    assert morning.run("07:46", "hold", SLUG).code == 0
    assert "held: held by" in morning.run("07:47", "hold", SLUG, "--reason", "again").out, "the first reason stands"
    assert morning.run("07:50", "release", SLUG).code == 0, "the file did not change"
    morning.cron("07:51", "08:12", 3)
    assert morning.readers_mailed == 200
    assert morning.mailed[EDITOR] == 2, "told once"


def test_hold_before_anything_was_frozen_is_faster_than_cron(morning):
    held = morning.run("07:30", "hold", SLUG, "--reason", "not today")
    assert held.code == 0
    morning.cron("07:31", "08:31", 10)
    assert (morning.said, morning.receiver.messages) == ({}, [])


def test_hold_stops_what_is_under_way_and_release_goes_on(morning):
    morning.cron("07:45", "08:05", 5)
    assert morning.readers_mailed == 20
    held = morning.run("08:05", "hold", SLUG, "--reason", "wrong link", "--json")
    assert (held.json["state"], held.json["sent"]) == ("paused", 20)
    morning.cron("08:06", "08:30", 6)
    assert morning.readers_mailed == 20
    assert_told(morning.run("08:31", "release", SLUG, "--corrected"), 1, "cannot be corrected")
    assert "is sending" in morning.run("08:32", "release", SLUG).out
    morning.cron("08:33", "08:34")
    assert sorted(morning.mailed.values()) == [1] * 200 + [2]


def test_cancel_ends_it_and_the_account_closes(morning):
    morning.cron("07:45", "08:05", 5)
    assert "Nothing happened" in morning.run("08:06", "cancel", SLUG).out
    ended = morning.run("08:06", "cancel", SLUG, "--yes", "--json")
    assert (ended.json["state"], ended.json["sent"], ended.json["skipped"], ended.json["open"]) == (
        "cancelled",
        20,
        180,
        0,
    )
    morning.cron("08:07", "08:30", 5)
    assert morning.readers_mailed == 20
    for command in (("hold", SLUG), ("release", SLUG)):
        assert_told(morning.run("08:31", *command), 1, "cancelled")


def test_too_many_refusals_of_the_first_share_pause_the_send(morning):
    for person in morning.people[::4]:
        morning.receiver.refuse(person, 550, "5.1.1 no such user")
    morning.cron("07:45", "08:30", 5)
    assert list(morning.said) == ["07:45", "08:00"], "told once"
    paused = morning.said["08:00"]
    assert paused.code == 1
    line = morning.line("08:00")
    assert "of the first 20 were refused" in line["problems"][0]
    assert line["sent"] + line["failed"] == 20
    assert morning.readers_mailed == line["sent"]
    status = morning.room.run("status", SLUG)
    assert status.code == 1
    assert "canary" in status.out
    assert morning.run("09:00", "release", SLUG).code == 0
    morning.cron("09:01", "09:01")
    assert morning.line("09:01")["open"] == 0


def test_without_a_relay_the_editors_are_not_told_and_nothing_starts(morning):
    relay = dict(morning.room.environ)
    morning.room.environ["NEWSLETTER_SMTP__PORT"] = "1"
    morning.cron("07:45", "08:04", 5)
    assert {answer.code for answer in morning.said.values()} == {69}
    assert morning.receiver.messages == []
    morning.said.clear()
    morning.room.environ |= relay
    morning.cron("08:05", "08:31", 5)
    assert list(morning.said) == ["08:05", "08:20", "08:30"], "the window is whole"
    assert sorted(morning.mailed.values()) == [1] * 200 + [2]


def test_an_editor_who_is_refused_for_good_is_told_of_once_and_holds_everything(morning):
    morning.receiver.refuse(EDITOR, 550, "5.1.1 no such user")
    morning.cron("07:45", "08:20", 5)
    assert list(morning.said) == ["07:45"]
    assert_told(morning.said["07:45"], 1, f"not told: {EDITOR}", "5.1.1", "until an editor is, it does not go out")
    assert morning.readers_mailed == 0
    morning.receiver.accept(EDITOR)
    morning.cron("08:21", "08:47", 5)
    assert morning.readers_mailed == 200


def test_one_editor_of_two_is_enough_and_the_other_is_named(morning):
    morning.room.environ["NEWSLETTER_SEND__EDITORS"] = f"zoe@desk.example, {EDITOR}"
    morning.receiver.defer("zoe@desk.example")
    morning.cron("07:45", "08:12", 5)
    assert "zoe@desk.example" in morning.line("07:45")["problems"][0]
    assert morning.mailed["zoe@desk.example"] == 0
    assert morning.mailed[EDITOR] == 2
    assert sum(morning.mailed.values()) == 202


class Death(BaseException):
    """End a run as a signal would, wherever it is."""


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_run_that_dies_between_freezing_and_telling_loses_no_window(morning, monkeypatch, where):
    usual = newsletter.launch._tell

    def dying(*arguments: object) -> object:
        if where == "after":
            usual(*arguments)
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(newsletter.launch, "_tell", dying)
        with pytest.raises(Death):
            morning.cron("07:45", "07:45")
    morning.cron("07:50", "08:20", 5)
    assert list(morning.said) == ["07:50", "08:05", "08:15"], "told at 07:50: a whole window before the first share"
    assert morning.mailed[EDITOR] == (4 if where == "after" else 2), "at least once"
    assert morning.readers_mailed == 200


def test_what_the_window_makes_too_old_is_held_and_told_once(morning):
    morning.room.timed_issue(SLUG, EIGHT, "not_after: 10 minutes")
    assert morning.room.run("approve", SLUG, "--by", "mark").code == 0
    morning.cron("08:05", "08:40", 3)
    assert list(morning.said) == ["08:05", "08:11"]
    assert_told(morning.said["08:11"], 1, "too old", f"newsletter send {SLUG} --yes --late")
    assert_told(morning.run("08:41", "release", SLUG), 1, "too old", "--late")
    assert morning.run("08:42", "send", SLUG, "--yes", "--late").code == 0
    assert morning.readers_mailed == 200


@both_kinds
def test_a_run_that_meets_another_ends_at_once_and_well(morning, kind):
    from newsletter.store import open_store, owner_name

    with (
        open_store(morning.room.environ["NEWSLETTER_STORE__URL"]) as store,
        store.run_lock(owner_name(EIGHT)),
    ):
        morning.cron("07:45", "08:02", 5)
    assert morning.said == {}
    assert morning.receiver.messages == []
    morning.cron("08:03", "08:28", 5)
    assert list(morning.said) == ["08:03", "08:18", "08:28"]
