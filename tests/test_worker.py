"""What is due is decided by the clock, the zone and the ledger; what is wrong is told once; what is frozen stays."""

import datetime as dt
import threading

import pytest
from newsroom import BODY, Newsroom
from test_glance import make_send

from newsletter.config import Project, load_project
from newsletter.delivery import SendState
from newsletter.errors import InputError, NotAllowedError
from newsletter.freezer import freeze_issue
from newsletter.launch import next_step
from newsletter.opening import OpeningRules, Step
from newsletter.secretfile import load_keys
from newsletter.store import Send, Store, StoredApproval, open_store
from newsletter.subscriptions import default_list
from newsletter.unapproved import explain_change
from newsletter.worker import (
    find_due,
    find_unfinished,
    hold_expired,
    open_known_store,
    plan_issue,
    refuse_late,
    resolve_audience,
    tell_once,
)

SLUG = "2026-11-25"
APPROVED = f"approved: {'0' * 64} by mark 2026-11-20"
MORNING = dt.datetime(2026, 11, 25, 7, tzinfo=dt.UTC)
"""08:00 in Paris."""
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


@pytest.fixture
def project(room):
    return load_project(room.root, {})


@pytest.fixture
def store(project):
    with open_store(project.store_url, address_key=load_keys(project).address_key) as store:
        yield store


def due_slugs(project: Project, store: Store | None, now: dt.datetime, late: bool = False) -> dict[str, str]:
    return {each.path.stem: str(each.trouble or "") for each in find_due(project, store, now, late)}


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_store", [False, True])
def test_issue_is_due_from_its_time_on(room, project, store, with_store):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    known = store if with_store else None
    second = dt.timedelta(seconds=1)
    assert due_slugs(project, known, MORNING - second) == {}
    assert due_slugs(project, known, MORNING) == {SLUG: ""}
    assert due_slugs(project, known, MORNING + 24 * HOUR) == {SLUG: ""}
    assert "too old now" in due_slugs(project, known, MORNING + 24 * HOUR + second)[SLUG]
    assert due_slugs(project, known, MORNING + 48 * HOUR, late=True) == {SLUG: ""}


def test_not_after_is_heeded_before_approval(room, project):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", "not_after: 2 hours")
    assert "not approved" in due_slugs(project, None, MORNING + HOUR)[SLUG]
    assert "too old now" in due_slugs(project, None, MORNING + 3 * HOUR)[SLUG]


def test_not_after_counts_hours_also_where_clocks_change(room, project):
    room.issue(SLUG, "send_at: 2026-10-24 20:00", "not_after: 12 hours", APPROVED)
    start = dt.datetime(2026, 10, 24, 18, tzinfo=dt.UTC)
    assert due_slugs(project, None, start + 12 * HOUR) == {SLUG: ""}
    assert "too old" in due_slugs(project, None, start + 12 * HOUR + dt.timedelta(minutes=1))[SLUG]


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("Europe/Paris", "2026-03-29 02:30", "2026-03-29T01:30+00:00"),  # a gap: the clocks show 03:30
        ("Europe/Paris", "2026-10-25 02:30", "2026-10-25T00:30+00:00"),  # a fold: the first of the two
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03T15:45+00:00"),  # a gap of half an hour
        ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30+00:00"),
        ("Pacific/Kiritimati", "2026-11-25 08:00", "2026-11-24T18:00+00:00"),
        ("Pacific/Pago_Pago", "2026-11-25 08:00", "2026-11-25T19:00+00:00"),
    ],
)
def test_wall_times_are_met_also_where_clocks_change(room, zone, wall, instant):
    project = load_project(room.root, {"NEWSLETTER_NEWSLETTER__TIME_ZONE": zone})
    room.issue(SLUG, f"send_at: {wall}", APPROVED)
    due_at = dt.datetime.fromisoformat(instant)
    assert due_slugs(project, None, due_at - dt.timedelta(minutes=1)) == {}
    assert due_slugs(project, None, due_at) == {SLUG: ""}


def test_offset_stands_over_the_zone(room, project):
    room.issue(SLUG, "send_at: 2026-11-25T08:00-05:00", APPROVED)
    assert due_slugs(project, None, MORNING + 5 * HOUR) == {}
    assert due_slugs(project, None, MORNING + 6 * HOUR) == {SLUG: ""}


# --- what the store remembers ----------------------------------------------------------------------------------------


def test_unchanged_file_is_not_read_again_before_its_time(room, project, store, monkeypatch):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    assert due_slugs(project, store, MORNING - HOUR) == {}
    monkeypatch.setattr("newsletter.worker._read_head", None)
    assert due_slugs(project, store, MORNING - HOUR) == {}


def test_moved_issue_is_noticed(room, project, store):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    assert due_slugs(project, store, MORNING - 2 * HOUR) == {}
    room.issue(SLUG, "send_at: 2026-11-25 07:00", APPROVED)
    assert due_slugs(project, store, MORNING - HOUR) == {SLUG: ""}


def test_forgotten_files_are_forgotten(room, project, store):
    path = room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    find_due(project, store, MORNING)
    path.unlink()
    assert due_slugs(project, store, MORNING) == {}
    assert store.issues.load_issue_files() == {}


def test_frozen_issue_is_the_ledgers(room, project, store):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    make_send(store, SLUG, "frozen", MORNING)
    assert due_slugs(project, store, MORNING) == {}


def test_trouble_is_told_once_until_the_file_changes(room, project, store):
    path = room.issue(SLUG, "send_at: 2026-11-25 08:00")
    (issue,) = find_due(project, store, MORNING)
    assert tell_once(store, issue.path, str(issue.trouble))
    assert not tell_once(store, issue.path, str(issue.trouble))
    assert tell_once(store, issue.path, "something else")
    path.write_text(path.read_text() + "\nMore.\n")
    (issue,) = find_due(project, store, MORNING)
    assert tell_once(store, issue.path, str(issue.trouble))


def test_memory_of_another_version_does_no_harm(room, project, store):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    find_due(project, store, MORNING - HOUR)
    with store.database.transaction():
        store.database._connection.execute("UPDATE issue_files SET verdict = 'timed'")
    assert due_slugs(project, store, MORNING) == {SLUG: ""}


def test_no_store_is_made_only_to_look(project):
    with open_known_store(project) as store:
        assert store is None
    assert not (project.root / "newsletter.db").exists()


# --- sends that wait -------------------------------------------------------------------------------------------------


def unfinished(store: Store, now: dt.datetime, late: bool = False) -> list[Send]:
    return find_unfinished(store, OpeningRules(), now, late)


def steps(store: Store, now: dt.datetime, late: bool = False) -> list[Step]:
    return [next_step(store, send, OpeningRules(), now, late=late).step for send in unfinished(store, now, late)]


def test_send_that_was_never_begun_is_held_when_its_time_has_passed(store):
    make_send(store, SLUG, "frozen", MORNING)
    assert unfinished(store, MORNING - HOUR) == []
    assert steps(store, MORNING + 6 * HOUR) == [Step.START]
    assert steps(store, MORNING + 25 * HOUR) == [Step.EXPIRE]
    (send,) = unfinished(store, MORNING + 25 * HOUR)
    assert f"newsletter send {SLUG} --yes --late" in hold_expired(store, send, MORNING + 25 * HOUR)
    assert store.sends.load_send(send.send_id).state is SendState.HELD
    assert unfinished(store, MORNING + 26 * HOUR) == []


def test_send_that_was_begun_goes_on_however_late(store):
    make_send(store, SLUG, "sending", MORNING)
    assert [send.state for send in unfinished(store, MORNING + 48 * HOUR)] == [SendState.SENDING]


def test_late_lets_an_old_send_begin(store):
    make_send(store, SLUG, "frozen", MORNING)
    assert steps(store, MORNING + 48 * HOUR, late=True) == [Step.START]


def test_approved_issue_is_frozen_a_veto_window_before_its_time(room, project, store):
    room.issue(SLUG, "send_at: 2026-11-25 08:00", APPROVED)
    room.issue("2026-11-26", "send_at: 2026-11-25 08:00")
    quarter = dt.timedelta(minutes=15)
    for known in (None, store):
        early = find_due(project, known, MORNING - quarter - dt.timedelta(seconds=1), lead=quarter)
        assert early == []
        assert [each.path.stem for each in find_due(project, known, MORNING - quarter, lead=quarter)] == [SLUG]
        assert len(find_due(project, known, MORNING, lead=quarter)) == 2, "what is not approved is told at its time"


# --- freezing --------------------------------------------------------------------------------------------------------


def test_frozen_issue_is_what_a_build_makes(room, project):
    path = room.issue(SLUG, "send_at: 2026-11-25 08:00", "audience: newsletter")
    frozen = freeze_issue(project, path, approved_only=False)
    assert frozen.edition.issue == SLUG
    assert frozen.send_at == MORNING
    assert frozen.audience == "newsletter"
    assert not frozen.approved
    again = freeze_issue(project, path, approved_only=False)
    assert again.edition.digest == frozen.edition.digest


def test_freezing_does_not_mind_what_lies_in_the_current_folder(room, project, monkeypatch):
    path = room.issue(SLUG)
    room.write("json.py", "raise SystemExit(3)")
    room.write("newsletter/__init__.py", "raise SystemExit(3)")
    monkeypatch.chdir(room.root)
    assert freeze_issue(project, path, approved_only=False).edition.issue == SLUG


def test_freezing_speaks_utf8_in_every_locale(room, project, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    frozen = freeze_issue(project, room.issue(SLUG, "audience: 中文", subject="你好"), approved_only=False)
    assert frozen.edition.subject == ("你好",)
    assert frozen.audience == "中文"


def test_issue_that_kills_its_compiler_is_told(room, project, monkeypatch):
    path = room.issue(SLUG)
    room.write("shim/sitecustomize.py", "import os, sys\nif 'build' in sys.argv: os.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(room.root / "shim"))
    with pytest.raises(InputError, match=r"killed the compiler \(signal 11\); nothing was sent"):
        freeze_issue(project, path, approved_only=False)


def test_issue_that_takes_too_long_is_told(room, project, monkeypatch):
    monkeypatch.setattr("newsletter.freezer.CHILD_SECONDS", 0.01)
    with pytest.raises(InputError, match="was stopped"):
        freeze_issue(project, room.issue(SLUG), approved_only=False)


def test_mistakes_keep_their_words_and_places(room, project):
    room.issue(SLUG, "subjct: x", "lange: en")
    with pytest.raises(InputError) as caught:
        freeze_issue(project, room.root / f"issues/{SLUG}.md", approved_only=False)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"issues/{SLUG}.md:5:1: unknown key 'subjct'")
    assert second.startswith(f"issues/{SLUG}.md:6:1: unknown key 'lange'")


# --- which line changed ----------------------------------------------------------------------------------------------


def explained(room: Newsroom, before: str, after: str, *, approved_above: bool = True) -> str:
    """Return what is said of an issue that was approved with ``before`` as its body, and now has ``after``."""
    approval = f"approved: {'a' * 64} by mark 2026-11-20\n"
    head = f"---\n{approval}subject: s\n---\n" if approved_above else f"---\nsubject: s\n{approval}---\n"
    stored = StoredApproval(issue=SLUG, source_digest="a" * 64, text=head + before, by="mark", at=MORNING)
    answer = explain_change(load_project(room.root, {}), stored, room.write("x.md", head + after))
    return answer.replace(f"{room.root}/", "")


@pytest.mark.parametrize("above", [True, False])
def test_changed_line_is_named_with_its_number_in_the_file(room, above):
    same = {"approved_above": above}
    assert explained(room, "one\ntwo\n", "one\nTWO\n", **same) == "x.md:6: changed since mark approved it: TWO"
    assert explained(room, "one\n", "one\ntwo\n", **same) == "x.md:6: changed since mark approved it: two"
    assert "x.md:6" in explained(room, "one\ntwo\nthree\n", "one\nthree\n", **same)
    assert "lines were taken out here" in explained(room, "one\ntwo\nthree\n", "one\nthree\n", **same)


def test_change_elsewhere_is_said_to_be_elsewhere(room):
    assert "an image, a template or a setting" in explained(room, "one\n", "one\n")


def test_approval_that_is_not_the_files_own_explains_nothing(room, project):
    path = room.issue(SLUG, APPROVED)
    stored = StoredApproval(issue=SLUG, source_digest="b" * 64, text="old", by="ann", at=MORNING)
    assert explain_change(project, stored, path) == ""
    assert explain_change(project, None, path) == ""
    assert explain_change(project, stored, room.root / "gone.md") == ""


# --- planning --------------------------------------------------------------------------------------------------------


def test_audience_names_lists(store):
    own = default_list(store, MORNING)
    other = store.subscribers.ensure_list("partners", MORNING)
    assert resolve_audience(store, "", MORNING).list_ids == (own.list_id,)
    assert resolve_audience(store, "partners, newsletter", MORNING).list_ids == (other.list_id, own.list_id)
    assert resolve_audience(store, "not partners", MORNING).list_ids == (own.list_id,)
    for text in ("press", "newsletter and not press"):
        with pytest.raises(InputError, match="no list 'press'; lists: newsletter, partners"):
            resolve_audience(store, text, MORNING)


def test_planning_is_refused_for_nobody_and_done_once(room, project, store):
    frozen = freeze_issue(project, room.issue(SLUG), approved_only=False)
    with pytest.raises(NotAllowedError, match="nobody is on the list"):
        plan_issue(store, frozen, MORNING)
    make_send(store, "other", "cancelled", MORNING)
    first = plan_issue(store, frozen, MORNING)
    assert plan_issue(store, frozen, MORNING + HOUR) == first
    assert first.planned == 1


def test_late_start_wants_a_word(room, project):
    frozen = freeze_issue(project, room.issue(SLUG, "send_at: 2026-11-25 08:00"), approved_only=False)
    refuse_late(frozen, MORNING + HOUR, late=False)
    refuse_late(frozen, MORNING + 48 * HOUR, late=True)
    with pytest.raises(NotAllowedError, match="2026-11-25 08:00"):
        refuse_late(frozen, MORNING + 48 * HOUR, late=False)


def test_find_due_works_beside_itself(room, project, store):
    """Two runs look at the same files at once; neither breaks the other's memory."""
    for number in range(20):
        room.issue(f"issue-{number}", "send_at: 2026-11-25 08:00", body=BODY)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(find_due(project, store, MORNING)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 4
