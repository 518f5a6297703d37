"""SQLite itself: durability settings, privacy of the file, several processes, and every way in which it can break."""

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from newsletter.errors import ConfigError, StoreError, StoreUnavailableError
from newsletter.store import NewSubscriber, open_store

from .conftest import KEY, NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "newsletter.db"


@pytest.fixture
def store(path):
    with open_store(f"sqlite:///{path}", address_key=KEY, timeout_s=0.1) as store:
        store.subscribers.ensure_list("main", NOW)
        yield store


def pragma(store, name):
    return store.database._connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_commits_survive_a_power_cut(store):
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == 2, "FULL"
    assert pragma(store, "foreign_keys") == 1
    assert pragma(store, "busy_timeout") == 100


def test_only_the_owner_may_read_the_file(store, path):
    for name in (path, path.with_name(f"{path.name}-wal")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["sqlite:///", "mysql://localhost/x", "newsletter.db", "postgresql:/localhost/x"])
def test_a_url_that_cannot_be_used_is_a_mistake_of_configuration(url):
    with pytest.raises(ConfigError, match="write 'sqlite:///newsletter"):
        open_store(url)


def test_a_path_with_odd_characters_is_that_path(tmp_path):
    odd = tmp_path / "50% of ?mode=ro#1 é.db"
    open_store(f"sqlite:///{odd}").close()
    assert odd.exists()


def test_a_folder_that_is_not_there_or_no_file_is_unavailable(tmp_path):
    for path in (tmp_path / "none" / "x.db", tmp_path):
        with pytest.raises(StoreUnavailableError, match="cannot be opened") as caught:
            open_store(f"sqlite:///{path}")
        assert str(path) in str(caught.value)


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"Dear subscribers, " * 500)
    with pytest.raises(StoreError, match="restore the latest backup") as caught:
        open_store(f"sqlite:///{path}")
    assert not isinstance(caught.value, StoreUnavailableError)


def test_a_database_of_something_else_is_left_alone(path):
    for statement in ("CREATE TABLE recipes (x)", "CREATE TABLE meta (key, value)"):
        with sqlite3.connect(path) as other:
            other.execute(statement)
        with pytest.raises(StoreError, match="something else"):
            open_store(f"sqlite:///{path}")


def test_a_damaged_database_says_so(store, path):
    people = (NewSubscriber(address=f"p{n}@example.org", name="x" * 200) for n in range(500))
    list(store.subscribers.import_subscribers(1, people, NOW, origin="x"))
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="restore the latest backup"), open_store(f"sqlite:///{path}") as again:
        list(again.subscribers.list_subscribers(1))


def test_a_locked_database_is_unavailable_and_free_again(store, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="held by another command") as caught:
        store.subscribers.ensure_list("second", NOW)
    assert str(path) in str(caught.value)
    assert store.subscribers.find_list("main") is not None, "reading goes on"
    other.execute("COMMIT")
    assert store.subscribers.ensure_list("second", NOW).list_id == 2
    other.close()


def test_a_full_disk_is_unavailable_and_nothing_was_written(store):
    pages = pragma(store, "page_count")
    store.database._connection.execute(f"PRAGMA max_page_count = {pages}")
    people = [NewSubscriber(address=f"p{n}@example.org", name="x" * 200) for n in range(500)]
    with pytest.raises(StoreUnavailableError, match="free some space"):
        list(store.subscribers.import_subscribers(1, people, NOW, origin="x"))
    store.database._connection.execute("PRAGMA max_page_count = 100000")
    assert list(store.subscribers.list_subscribers(1)) == []
    assert len(list(store.subscribers.import_subscribers(1, people, NOW, origin="x"))) == 500


def test_a_database_that_may_not_be_written_is_unavailable(store):
    store.database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailableError, match="check the permissions"):
        store.subscribers.ensure_list("second", NOW)


def test_a_disk_that_fails_is_unavailable(store):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    found = store.database.store_error(error)
    assert isinstance(found, StoreUnavailableError)
    assert "disk I/O error" in str(found)


def test_a_file_that_was_removed_or_replaced_is_noticed_before_the_next_write(store, path):
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    path.unlink()
    with pytest.raises(StoreUnavailableError, match="not there any more"):
        store.subscribers.ensure_list("second", NOW)
    shutil.move(copy, path)
    with pytest.raises(StoreUnavailableError, match="another stands in its place"):
        store.subscribers.ensure_list("second", NOW)


def test_an_old_sqlite_is_refused(path, monkeypatch):
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match="newer"):
        open_store(f"sqlite:///{path}")


def test_a_closed_store_says_so_and_may_be_closed_again(store):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.subscribers.load_lists()


def test_a_transaction_inside_another_is_part_of_it(store):
    def add_and(error):
        with store.database.transaction():
            store.subscribers.ensure_list("second", NOW)
            raise error

    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            add_and(error)
        assert store.subscribers.find_list("second") is None, "rolled back as a whole"
    store.subscribers.ensure_list("second", NOW)


def test_a_transaction_has_the_write_lock_before_its_first_statement(store, path):
    with open_store(f"sqlite:///{path}", timeout_s=0.05) as other, store.database.transaction():
        assert store.subscribers.find_list("second") is None
        with pytest.raises(StoreUnavailableError):
            other.subscribers.ensure_list("second", NOW)
        store.subscribers.ensure_list("third", NOW)  # would fail here, too late, if the other had been let in
    assert [found.name for found in store.subscribers.load_lists()] == ["main", "third"]


def test_a_bug_in_a_query_is_no_trouble_of_the_disk(store):
    with pytest.raises(StoreError, match="bug") as caught:
        store.database.rows("find_list")  # without its parameter
    assert not isinstance(caught.value, StoreUnavailableError)


def test_several_processes_may_make_the_same_store_at_once(path):
    code = "import sys; from newsletter.store import open_store; open_store(sys.argv[1], address_key=b'k').close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, f"sqlite:///{path}"]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    with open_store(f"sqlite:///{path}", address_key=b"k") as store:
        assert store.subscribers.load_lists() == ()


def test_threads_share_a_store_in_turns(store):
    def add(start):
        for n in range(start, start + 30):
            store.subscribers.add_subscriber(1, NewSubscriber(address=f"p{n}@example.org"), NOW, origin="x")

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.subscribers.list_subscribers(1))) == 70
