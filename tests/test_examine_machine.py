"""The clock, the store and TLS as they are found: how bad it is, and what to do."""

import datetime as dt
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import psycopg
import pytest
from postgres_server import missing_reason, shared_server
from test_sender import make_edition

from newsletter.diagnosis import Finding, Level, worst
from newsletter.examine.clock import examine_clock
from newsletter.examine.relay import judge_tls
from newsletter.examine.store import examine_store, latest_instant, room_of
from newsletter.relaylook import RelayLook
from newsletter.settings import SmtpSection
from newsletter.store import NewSubscriber, SendPlan, open_store, owner_name
from newsletter.tokens import SAMPLE_KEYS, new_secret_text, parse_keys

NOW = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)


def only(findings) -> Finding:
    [finding] = findings
    return finding


# ---------------------------------------------------------------------------------------------------------------------
# TLS, as seen
# ---------------------------------------------------------------------------------------------------------------------


def tls(security="starttls", **seen) -> Finding:
    values = {"host": "mail.example.org", "port": 587, "banner": "hello", "protocol": "TLSv1.3"}
    look = RelayLook(**values | {"expires_at": NOW + dt.timedelta(days=60)} | seen)
    return judge_tls(SmtpSection(security=security), look, NOW)


def test_certificate_should_be_renewed_three_weeks_before_its_end():
    assert tls().level is Level.OK
    assert tls(expires_at=NOW + dt.timedelta(days=21)).level is Level.OK
    finding = tls(expires_at=NOW + dt.timedelta(days=21, seconds=-1))
    assert finding.level is Level.WARNING
    assert "20 days" in finding.found


def test_tls_that_is_missing():
    assert tls(protocol="", expires_at=None).level is Level.ERROR
    assert tls(trouble="it refuses STARTTLS").level is Level.ERROR
    assert tls("none", protocol="").level is Level.WARNING
    assert tls("none", protocol="", host="localhost").level is Level.OK


# ---------------------------------------------------------------------------------------------------------------------
# The clock
# ---------------------------------------------------------------------------------------------------------------------


def clock_findings(folder, *, past=None, ahead=0.0, off=0.0, look=None):
    def clock():
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=off)

    now = dt.datetime.now(dt.UTC)
    seen = RelayLook("mail.example.org", 587, banner="x", greeted_at=now + dt.timedelta(seconds=ahead), seen_at=now)
    return list(examine_clock(clock, past, folder, look or seen))


def test_clock_beside_the_relay_s(tmp_path):
    assert [finding.level for finding in clock_findings(tmp_path)] == [Level.OK]
    assert [finding.level for finding in clock_findings(tmp_path, ahead=-31)] == [Level.WARNING]
    finding = only(clock_findings(tmp_path, ahead=301))
    assert finding.level is Level.ERROR
    assert "301 s ahead" in finding.found


def test_clock_that_nothing_is_compared_with(tmp_path):
    assert "the relay was not seen" in only(clock_findings(tmp_path, look=RelayLook("x", 25))).found
    finding = only(clock_findings(tmp_path, look=RelayLook("x", 25, banner="hello")))
    assert finding.level is Level.UNCHECKED
    assert "shows no time" in finding.found


def test_clock_before_what_already_was(tmp_path):
    past = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    first, _ = clock_findings(tmp_path, past=past)
    assert first.level is Level.ERROR
    assert "store" in first.found
    first, second, _ = clock_findings(tmp_path, off=-20 * 365 * 86400)
    assert (first.level, second.level) == (Level.ERROR, Level.WARNING)
    assert "installed" in first.found
    assert "file system" in second.found


def test_clock_without_a_folder_to_write_in(tmp_path):
    assert only(clock_findings(tmp_path / "gone")).level is Level.OK


# ---------------------------------------------------------------------------------------------------------------------
# The store
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    with open_store(url, address_key=SAMPLE_KEYS.address_key) as store:
        the_list = store.subscribers.ensure_list("newsletter", NOW)
        for number in range(3):
            person = NewSubscriber(address=f"p{number}@example.org")
            store.subscribers.add_subscriber(the_list.list_id, person, NOW, origin="test")
    return url


def look_at(url, keys=SAMPLE_KEYS, now=NOW):
    findings = list(examine_store(room_of(url), keys, now))
    return {(finding.check, finding.level): finding for finding in findings}


def path_of(url):
    return url.removeprefix("sqlite:///")


def plan(store, edition):
    edition_id = store.editions.save_edition(edition, NOW)
    lists = tuple(each.list_id for each in store.subscribers.load_lists())
    plan = SendPlan(issue=edition.issue, list_ids=lists, editions={"": edition_id}, source_digest="0" * 64)
    return store.sends.plan_send(plan, NOW).send_id


@pytest.fixture
def edition():
    return make_edition()


def test_store_that_is_well(url):
    found = look_at(url)
    assert {level for _, level in found} == {Level.OK}
    assert {check for check, _ in found} == {"store", "schema", "secret file", "ledger", "lock", "disk"}
    assert "a send to 3 takes" in found["disk", Level.OK].found


def test_store_that_is_not_there_yet_is_not_made(tmp_path):
    url = f"sqlite:///{tmp_path / 'a' / 'newsletter.db'}"
    found = look_at(url)
    assert set(found) == {("store", Level.UNCHECKED), ("disk", Level.OK)}
    assert list(tmp_path.iterdir()) == []
    assert latest_instant(room_of(url)) is None


def test_store_in_a_folder_that_cannot_be_entered(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    room = room_of(f"sqlite:///{tmp_path / 'newsletter.db'}")
    monkeypatch.setattr(Path, "stat", refuse)
    assert room.has_file


def test_empty_file_is_no_store_and_stays_one(tmp_path):
    path = tmp_path / "newsletter.db"
    path.touch()
    assert ("store", Level.UNCHECKED) in look_at(f"sqlite:///{path}")
    assert path.read_bytes() == b""
    assert not room_of(f"sqlite:///{path}").holds_store


def test_store_that_is_damaged(url):
    with Path(path_of(url)).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    found = look_at(url)
    finding = found["store", Level.ERROR]
    assert "damaged" in finding.found
    assert "backup" in finding.fix
    assert worst(found.values()) is Level.ERROR


def test_store_that_is_something_else(tmp_path):
    path = tmp_path / "newsletter.db"
    path.write_bytes(b"this is no database at all\n" * 100)
    found = look_at(f"sqlite:///{path}")
    assert ("store", Level.ERROR) in found
    assert latest_instant(room_of(f"sqlite:///{path}")) is None


def test_rows_without_the_row_they_belong_to_are_damage(url):
    connection = sqlite3.connect(path_of(url))
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM subscribers WHERE address = 'p0@example.org'")
    connection.commit()
    connection.close()
    assert "belongs to none of subscribers" in look_at(url)["store", Level.ERROR].found


def test_store_of_another_version(url):
    connection = sqlite3.connect(path_of(url))
    connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    finding = look_at(url)["store", Level.ERROR]
    assert "older version" in finding.found
    assert "newsletter migrate" in finding.found + finding.fix


def test_store_that_others_can_read(url):
    Path(path_of(url)).chmod(0o644)
    finding = look_at(url)["store", Level.WARNING]
    assert "0644" in finding.found
    assert finding.fix == f"chmod 600 {path_of(url)}"


def test_store_of_another_secret(url):
    other = parse_keys(new_secret_text(bytes(range(40))))
    assert "first secret" in look_at(url, other)["secret file", Level.ERROR].found
    assert ("secret file", Level.OK) not in look_at(url, None)


def test_store_that_knows_no_secret_is_not_taught_one(tmp_path):
    url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    open_store(url).close()
    assert ("secret file", Level.UNCHECKED) in look_at(url)
    assert ("secret file", Level.UNCHECKED) in look_at(url)


def test_ledger(url, edition):
    with open_store(url, address_key=SAMPLE_KEYS.address_key) as store:
        send_id = plan(store, edition)
        assert look_at(url)["ledger", Level.OK].found == "1 issue; every account closes"
        assert latest_instant(room_of(url)) == NOW
        store.sends.start_send(send_id, NOW + dt.timedelta(minutes=1))
        assert latest_instant(room_of(url)) == NOW + dt.timedelta(minutes=1)
        owner = owner_name(NOW)
        [first, *_] = store.ledger.claim_deliveries(send_id, owner, 1, NOW)
        store.ledger.mark_transmitting(send_id, owner, [first], NOW)
        store.ledger.recover_deliveries(send_id, [owner], NOW)
        store.sends.pause_send(send_id, "ten refusals", NOW)
    warnings = [each for each in examine_store(room_of(url), SAMPLE_KEYS, NOW) if each.level is Level.WARNING]
    paused, doubtful = warnings
    assert "paused: ten refusals" in paused.found
    assert "newsletter send 2026-11-25 --yes" in paused.fix
    assert "1 rows in doubt" in doubtful.found
    assert "newsletter resolve 2026-11-25" in doubtful.fix


def test_ledger_that_does_not_close(url, edition):
    with open_store(url, address_key=SAMPLE_KEYS.address_key) as store:
        plan(store, edition)
    connection = sqlite3.connect(path_of(url))
    connection.execute("DELETE FROM deliveries WHERE subscriber_id = (SELECT min(subscriber_id) FROM deliveries)")
    connection.commit()
    connection.close()
    found = look_at(url)
    assert found["ledger", Level.ERROR].found == "2026-11-25: 3 planned, and 2 accounted for"
    assert ("ledger", Level.OK) not in found


def test_lock_that_a_run_holds(url):
    started = NOW - dt.timedelta(hours=2)
    with open_store(url) as store, store.run_lock(owner_name(started)):
        finding = look_at(url)["lock", Level.OK]
        assert f"process {os.getpid()}" in finding.found
        assert "since 2026-11-25 06:00 UTC" in finding.found
        finding = look_at(url, now=NOW + dt.timedelta(days=2))["lock", Level.WARNING]
        assert "2 days" in finding.found
    assert look_at(url)["lock", Level.OK].found == "no run is going on"


def test_lock_of_a_run_whose_name_cannot_be_read(url):
    with open_store(url) as store, store.run_lock("somebody"):
        assert look_at(url)["lock", Level.OK].found == "a run is going on"


def test_rows_that_a_dead_run_left(url, edition):
    with open_store(url, address_key=SAMPLE_KEYS.address_key) as store:
        send_id = plan(store, edition)
        store.sends.start_send(send_id, NOW)
        store.ledger.claim_deliveries(send_id, "host:1:then", 1, NOW)
        finding = look_at(url)["lock", Level.WARNING]
        assert "in the hands of host:1:then, and that run is dead" in finding.found
        assert "newsletter resolve 2026-11-25" in finding.fix
        with store.run_lock(owner_name(NOW)):
            assert ("lock", Level.WARNING) not in look_at(url), "a run is at it"


def test_rows_that_are_due_with_no_run_at_it(url, edition):
    with open_store(url, address_key=SAMPLE_KEYS.address_key) as store:
        send_id = plan(store, edition)
        assert ("cron", Level.WARNING) not in look_at(url, now=NOW + dt.timedelta(days=1)), "nobody said when"
        store.sends.start_send(send_id, NOW)
        assert ("cron", Level.WARNING) not in look_at(url, now=NOW + dt.timedelta(minutes=15))
        late = NOW + dt.timedelta(minutes=16)
        finding = look_at(url, now=late)["cron", Level.WARNING]
        assert finding.found == "2026-11-25: due since 2026-11-25 08:00 UTC, and no run is at it"
        assert "newsletter send --due" in finding.fix
        with store.run_lock(owner_name(NOW)):
            assert ("cron", Level.WARNING) not in look_at(url, now=late)
        store.sends.pause_send(send_id, "stop", NOW)
        assert ("cron", Level.WARNING) not in look_at(url, now=late), "an operator stopped it"


def test_disk_that_is_nearly_full(url, monkeypatch):
    usage = shutil.disk_usage("/")
    for free, level in ((10_000_000, Level.ERROR), (100_000_000, Level.WARNING), (10**10, Level.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder, free=free: usage._replace(free=free))
        assert ("disk", level) in look_at(url)


def test_store_stays_private(url):
    look_at(url)
    assert stat.S_IMODE(Path(path_of(url)).stat().st_mode) == 0o600


# ---------------------------------------------------------------------------------------------------------------------
# The store on PostgreSQL
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    if reason := missing_reason():
        pytest.skip(reason)
    with shared_server() as server:
        yield server


@pytest.fixture
def database(server):
    name = server.make_database()
    yield server.url(name)
    server.drop_database(name)


def test_store_on_a_server(database, edition):
    with open_store(database, address_key=SAMPLE_KEYS.address_key) as store:
        the_list = store.subscribers.ensure_list("newsletter", NOW)
        store.subscribers.add_subscriber(the_list.list_id, NewSubscriber(address="p@example.org"), NOW, origin="test")
        plan(store, edition)
    found = look_at(database)
    assert worst(found.values()) is Level.WARNING
    assert found["ledger", Level.OK].found == "1 issue; every account closes"
    assert ("disk", Level.UNCHECKED) in found
    assert ("secret file", Level.OK) in found
    assert "fsync = off" in found["store", Level.WARNING].found  # as tests have it
    assert latest_instant(room_of(database)) == NOW
    assert room_of(database).holds_store


def test_lock_on_a_server(database):
    with open_store(database) as store, store.run_lock(owner_name(NOW)):
        finding = look_at(database)["lock", Level.OK]
    assert f"process {os.getpid()}" in finding.found
    assert "since 2026-11-25 08:00 UTC" in finding.found
    assert look_at(database)["lock", Level.OK].found == "no run is going on"


def test_database_without_a_store_stays_so(database):
    assert ("store", Level.UNCHECKED) in look_at(database)
    assert not room_of(database).holds_store
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
        assert tables.fetchone() == (0,)


def test_server_that_is_not_there(tmp_path):
    url = f"postgresql://weekly:geheim@/weekly?host={tmp_path}"
    found = look_at(url)
    finding = found["store", Level.ERROR]
    assert "geheim" not in finding.found + finding.fix
    assert set(found) == {("store", Level.ERROR), ("disk", Level.UNCHECKED)}
    assert latest_instant(room_of(url)) is None
    assert room_of(url).holds_store


def test_server_that_lets_us_read_only(database):
    with open_store(database, address_key=SAMPLE_KEYS.address_key):
        pass
    name = database.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert ("store", Level.ERROR) in look_at(database)
