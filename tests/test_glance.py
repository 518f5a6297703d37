"""The glance of cron never says "nothing" where the full look finds something; and it loads next to nothing."""

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from newsroom import CONFIG, REPOSITORY, Newsroom, spawn

from newsletter.config import Project, load_project
from newsletter.edition import freeze
from newsletter.errors import IssueError
from newsletter.glance import front_matter_of, is_near, is_over, may_be_due
from newsletter.issue import decode_issue, read_head
from newsletter.model import Edition
from newsletter.schedule import Verdict, due
from newsletter.store import NewSubscriber, SendPlan, Store, open_store
from newsletter.subscriptions import default_list
from newsletter.worker import find_due

NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
ZONES = ("UTC", "Europe/Paris", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/St_Johns", "Australia/Lord_Howe")
ZONED = CONFIG.replace("Europe/Paris", "{zone}")
KEY = b"k" * 32

# --- issues as editors write them ------------------------------------------------------------------------------------

FORMS = (
    "send_at: {day} {time}",
    "send_at:   {day}T{time}:00   # as agreed",
    "send_at: '{day} {time}'",
    'send_at: "{day} {time}"',
    "send_at: {day}T{time}+14:00",
    "send_at: {day}T{time}-12:00",
    "send_at: {day}T{time}Z",
    "send_at: {day}",
    '"send_at": {day} {time}',
    "? send_at\n: {day} {time}",
    "send_at:\n  {day} {time}",
    "send_at: >-\n  {day}\n  {time}",
    "# send_at: 1999-01-01 00:00\nsend_at: {day} {time}",
    'author: "a\n  send_at: 1999-01-01 00:00"\nsend_at: {day} {time}',
    'author: "a\nsend_at: 1999-01-01 00:00\nb"\nsend_at: {day} {time}',
    "send_at: {day} {time}\nsend_at: {day} {time}",
    "send_at: soon",
    "",
)
DEADLINES = ("", "not_after: 30 days", "not_after: 2027-01-01 00:00", "not_after: never", "not_after: 1 minute")
EXTRAS = ("", "author: Ann", "subjct: x", "topics: [a, b", "author: " + "x" * 5000, "# " + "字" * 20000)
PLAIN = b"---\nsubject: s\ndate: 2026-11-25\nsend_at: 2026-11-25 12:00\n---\n"
QUOTED = PLAIN.replace(b"date:", b'author: "a\nsend_at: 1999-01-01 00:00\nb"\ndate:')
ENDS = ("\n", "\r\n", "\r")


@st.composite
def issues(draw: st.DrawFn) -> tuple[bytes, dt.datetime]:
    """Draw an issue file, and the wall time that is named in it."""
    wall = dt.datetime(2026, 11, 25) + draw(st.timedeltas(dt.timedelta(days=-20), dt.timedelta(days=20)))
    send_at = draw(st.sampled_from(FORMS)).format(day=wall.date(), time=wall.strftime("%H:%M"))
    lines = [send_at, draw(st.sampled_from(DEADLINES)), draw(st.sampled_from(EXTRAS))]
    approved = draw(st.booleans())
    lines += [f"approved: {'0' * 64} by mark 2026-11-20"] if approved else []
    text = "\n".join(
        ["---", "subject: s", "date: 2026-11-25", *filter(None, draw(st.permutations(lines))), "---", "x\n"]
    )
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return (mark + text.replace("\n", draw(st.sampled_from(ENDS)))).encode(), wall


def says_it_is_due(path: Path, project: Project, now: dt.datetime) -> bool:
    """Tell by the whole front matter alone, with no shortcut, whether an issue is to be sent now."""
    try:
        head = read_head(decode_issue(path.read_bytes(), ""), slug=path.stem, file="", zone=project.zone)
    except IssueError:
        return False
    return head.send_at is not None and due(head.send_at, head.not_after, now) is Verdict.DUE


@settings(max_examples=80)
@given(
    files=st.lists(issues(), min_size=1, max_size=3),
    zone=st.sampled_from(ZONES),
    offset=st.one_of(
        st.timedeltas(dt.timedelta(hours=-15), dt.timedelta(hours=30)),
        st.timedeltas(dt.timedelta(days=-3), dt.timedelta(days=15)),
    ),
    with_store=st.booleans(),
    looked_before=st.booleans(),
)
@example(
    files=[(PLAIN, NOON.replace(tzinfo=None))],
    zone="Pacific/Kiritimati",
    offset=dt.timedelta(hours=-14),
    with_store=False,
    looked_before=False,
)
@example(
    files=[(QUOTED, NOON.replace(tzinfo=None))],
    zone="UTC",
    offset=dt.timedelta(hours=1),
    with_store=False,
    looked_before=False,
)
def test_glance_never_misses_an_issue(files, zone, offset, with_store, looked_before):
    now = files[0][1].replace(tzinfo=dt.UTC) + offset
    with tempfile.TemporaryDirectory() as folder:
        room = Newsroom(Path(folder), config=ZONED.format(zone=zone))
        for number, (content, _) in enumerate(files):
            room.write(f"issues/issue-{number}.md", content)
        project = load_project(room.root, {})
        if not with_store:
            found = find_due(project, None, now)
        else:
            with open_store(project.store_url, address_key=KEY) as store:
                if looked_before:
                    find_due(project, store, now - dt.timedelta(days=1))
                says = may_be_due(str(room.root), {}, now)
                found = find_due(project, store, now)
                assert says or not found
        is_due = [path for path in sorted(project.issues_dir.iterdir()) if says_it_is_due(path, project, now)]
        assert may_be_due(str(room.root), {}, now) or not (found or is_due)
        assert set(is_due) <= {each.path for each in found}


def make_send(store: Store, issue: str, state: str, send_at: dt.datetime) -> None:
    """Plan a send of ``issue`` to one subscriber, and bring it to ``state``."""
    the_list = default_list(store, NOON)
    store.subscribers.add_subscriber(the_list.list_id, NewSubscriber(address="ada@example.org"), NOON, origin="test")
    edition = freeze(
        Edition(
            issue=issue,
            subject=("s",),
            preheader="",
            html=("h",),
            text=("t",),
            date=NOON.date(),
            language="en",
        )
    )
    plan = SendPlan(
        issue=issue,
        list_ids=(the_list.list_id,),
        editions={"": store.editions.save_edition(edition, NOON)},
        source_digest="0" * 64,
        send_at=send_at,
    )
    send_id = store.sends.plan_send(plan, NOON).send_id
    if state == "held":
        store.sends.hold_send(send_id, "test", NOON)
    elif state == "cancelled":
        store.sends.cancel_send(send_id, "test", NOON)
    elif state != "frozen":
        store.sends.start_send(send_id, NOON)
        if state == "paused":
            store.sends.pause_send(send_id, "test", NOON)


@given(
    states=st.lists(st.sampled_from(["frozen", "held", "sending", "paused", "cancelled"]), max_size=3),
    offset=st.timedeltas(dt.timedelta(days=-1), dt.timedelta(days=1)),
)
def test_glance_never_misses_a_send(states, offset):
    with tempfile.TemporaryDirectory() as folder:
        room = Newsroom(Path(folder))
        project = load_project(room.root, {})
        with open_store(project.store_url, address_key=KEY) as store:
            for number, state in enumerate(states):
                make_send(store, f"issue-{number}", state, NOON)
                room.timed_issue(f"issue-{number}", NOON)
            unfinished = store.sends.unfinished_sends(NOON + offset)
            found = find_due(project, store, NOON + offset)
        says = may_be_due(str(room.root), {}, NOON + offset)
    assert found == []
    assert says or not unfinished
    assert says or not {"frozen", "sending"}.intersection(states)


# --- what it can tell ------------------------------------------------------------------------------------------------


@pytest.fixture
def room(tmp_path):
    return Newsroom(tmp_path)


def glance(room: Newsroom, now: dt.datetime = NOON, **environ: str) -> bool:
    return may_be_due(str(room.root), environ, now)


def test_nothing_is_due_in_an_empty_newsletter(room):
    assert not glance(room)


@pytest.mark.parametrize(("days", "says"), [(-30, False), (-9, True), (-1, True), (0, True), (2, True), (4, False)])
def test_only_days_around_now_count(room, days, says):
    room.timed_issue("2026-11-25", NOON + dt.timedelta(days=days))
    assert glance(room) == says


def test_drafts_do_not_count(room):
    room.issue("2026-11-25")
    assert not glance(room)


def test_issue_with_a_send_at_rest_does_not_count(room):
    room.timed_issue("2026-11-25", NOON)
    with open_store(f"sqlite:///{room.root}/newsletter.db", address_key=KEY) as store:
        make_send(store, "2026-11-25", "cancelled", NOON)
    assert not glance(room)


def looked_at(room: Newsroom, now: dt.datetime) -> None:
    """Look in full, as cron does where something may be due, and keep what was found."""
    project = load_project(room.root, room.environ)
    with open_store(project.store_url, address_key=KEY) as store:
        find_due(project, store, now)


HOUR = dt.timedelta(hours=1)


def test_a_time_that_is_known_counts_to_the_minute(room):
    room.timed_issue("2026-11-25", NOON)
    assert glance(room, NOON - 20 * HOUR)
    looked_at(room, NOON - 20 * HOUR)
    assert not glance(room, NOON - HOUR / 60)
    assert glance(room, NOON)


@pytest.mark.parametrize(
    "change",
    [
        lambda room: room.timed_issue("2026-11-25", NOON - HOUR),
        lambda room: room.timed_issue("2026-11-26", NOON),
        lambda room: room.write("newsletter.toml", CONFIG.replace("Europe/Paris", "Asia/Tokyo")),
        lambda room: room.environ.update(NEWSLETTER_NEWSLETTER__TIME_ZONE="Asia/Tokyo"),
    ],
    ids=["file", "another file", "zone", "zone of the environment"],
)
def test_what_is_known_is_not_believed_after_a_change(room, change):
    room.issue("2026-11-25", "send_at: 2026-11-25 12:00")
    looked_at(room, NOON - 10 * HOUR)
    assert not glance(room, NOON - 3 * HOUR)
    change(room)
    assert glance(room, NOON - 3 * HOUR, **room.environ)


def test_a_broken_file_is_looked_at_until_it_is_mended(room):
    room.issue("2026-11-25", "send_at: 2026-11-25 12:00", "subjct: x")
    looked_at(room, NOON - 10 * HOUR)
    assert glance(room, NOON - 9 * HOUR)


def test_a_file_that_only_looks_timed_is_settled_by_one_look(room):
    room.issue("2026-11-25", "author: no send_at yet")
    assert glance(room)
    looked_at(room, NOON)
    assert not glance(room)


@pytest.mark.parametrize("name", ["?odd#na%me.db", "a b.db"])
def test_store_is_found_under_any_name(room, name):
    room.timed_issue("2026-11-25", NOON)
    with open_store(f"sqlite:///{room.root}/{name}", address_key=KEY) as store:
        make_send(store, "2026-11-25", "cancelled", NOON)
    assert glance(room)
    assert not glance(room, NEWSLETTER_STORE__URL=f"sqlite:///{name}")
    room.write("newsletter.toml", CONFIG + f"[store]\nurl = 'sqlite:///{name}'\n")
    assert not glance(room)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("newsletter.toml", b"x = ["),
        ("newsletter.toml", b"\xff"),
        ("newsletter.toml", CONFIG.encode() + b'[store]\nurl = "postgresql://db/news"\n'),
        ("newsletter.db", b"no database" * 100),
        ("issues", b"no folder"),
    ],
)
def test_what_cannot_be_read_may_be_due(room, name, content):
    room.write(name, content)
    assert glance(room)


def test_folder_without_a_newsletter_may_be_due(tmp_path):
    assert may_be_due(str(tmp_path / "nowhere"), {}, NOON)


def test_long_front_matter_is_read_to_its_end(room):
    path = room.issue("2026-11-25", "author: " + "字" * 30_000, "send_at: 2026-11-25 12:00")
    front = front_matter_of(str(path))
    assert front.endswith(b"send_at: 2026-11-25 12:00\n")
    assert is_near(front, NOON)
    assert not is_over(front, NOON)


@pytest.mark.parametrize(
    "line", ["send_at: 0001-01-01 00:00", "send_at: 9999-12-31 23:59", "send_at: 2026-13-45 99:99", "send_at: soon"]
)
def test_odd_times_do_no_harm(line):
    for now in (NOON, dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)):
        assert is_near(line.encode(), now) in (True, False)


# --- what it costs ---------------------------------------------------------------------------------------------------

HEAVY = ("msgspec", "ruamel.yaml", "jinja2", "lxml", "markdown_it", "nh3", "premailer", "mjml", "cryptography", "rich")
HEAVY += ("babel", "aiosmtpd", "email_validator", "asyncio", "smtplib", "newsletter.config", "newsletter.store")


def loaded_by(room: Newsroom, *arguments: str) -> set[str]:
    """Return the modules that a command loads, in a fresh process."""
    code = f"import sys; from newsletter.cli import run; code = run({[*arguments]!r}); print(code, *sys.modules)"
    answer = spawn("-c", code, cwd=room.root)
    first, *modules = answer.out.splitlines()[-1].split()
    assert first == "0", answer
    return set(modules)


def test_help_loads_no_heavy_library(room):
    assert not loaded_by(room, "--help").intersection(HEAVY)


def test_an_issue_due_tomorrow_loads_no_heavy_library_after_one_look(room):
    room.timed_issue("2026-11-25", dt.datetime.now(dt.UTC) + 20 * HOUR, f"approved: {'0' * 64} by mark 2026-11-20")
    with open_store(f"sqlite:///{room.root}/newsletter.db", address_key=KEY):
        pass
    assert loaded_by(room, "send", "--due").intersection(HEAVY)
    assert not loaded_by(room, "send", "--due").intersection(HEAVY)


@pytest.mark.parametrize("kind", ["drafts", "long past", "long past and sent", "recent and sent"])
def test_nothing_due_among_500_issues_loads_no_heavy_library(room, kind):
    now = dt.datetime.now(dt.UTC)
    approved = f"approved: {'0' * 64} by mark 2026-11-20"
    for number in range(500):
        day = now - dt.timedelta(days=3 if kind.startswith("recent") else 20 + number)
        room.issue(f"issue-{number}", *([] if kind == "drafts" else [f"send_at: {day:%Y-%m-%d %H:%M}", approved]))
    if kind.endswith("sent"):
        url = f"sqlite:///{room.root}/newsletter.db"
        with open_store(url, address_key=KEY) as store, store.database.transaction():
            for number in range(500):
                make_send(store, f"issue-{number}", "cancelled", NOON)
    assert not loaded_by(room, "send", "--due").intersection(HEAVY)
    answer = spawn(str(REPOSITORY / "send.py"), cwd=room.root)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_this_test_knows_what_heavy_means(room):
    room.issue("2026-11-25")
    assert len(loaded_by(room, "build", "2026-11-25").intersection(HEAVY)) > 6
