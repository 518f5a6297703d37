"""The lock of a run ends with its process; what a killed run leaves is repaired by the next."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from newsletter.delivery import State
from newsletter.errors import BusyError, StoreUnavailableError
from newsletter.store import Recovery, RunLock, open_store, owner_name
from newsletter.store.dialect import SQLITE

from .conftest import KEY, NOW, make_world

CHILD = """
import datetime as dt, os, signal, sys, time
from newsletter.store import open_store, owner_name

now = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)
with open_store(sys.argv[1]) as store, store.run_lock(owner_name(now)) as lock:
    rows = store.ledger.claim_deliveries(1, lock.owner, 3, now)
    store.ledger.mark_transmitting(1, lock.owner, rows[:1], now)
    print(lock.owner, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
"""


def child(url: str, how: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(CHILD), url, how], stdout=subprocess.PIPE, text=True)


def test_the_lock_is_one_at_a_time_and_the_file_stays(tmp_path):
    path = tmp_path / "x.lock"
    with RunLock(path, "first"):
        with pytest.raises(BusyError, match="first"), RunLock(path, "second"):
            pass
        assert path.read_text() == "first"
    assert path.exists(), "the file means nothing; only the kernel's lock counts"
    with RunLock(path, "2nd") as lock:
        assert path.read_text() == lock.owner == "2nd"


def test_the_lock_is_freed_when_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError), RunLock(tmp_path / "x.lock", "one"):
        raise RuntimeError
    with RunLock(tmp_path / "x.lock", "two"):
        pass


def test_a_lock_that_cannot_be_made_says_so(tmp_path):
    with pytest.raises(StoreUnavailableError, match="check the folder"), RunLock(tmp_path / "none" / "x.lock", "one"):
        pass


def test_a_lock_that_the_system_does_not_offer_says_so(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(StoreUnavailableError, match="No locks available"), RunLock(tmp_path / "x.lock", "one"):
        pass


def test_owners_are_named_by_host_process_and_start():
    host, pid, start = owner_name(NOW).split(":", 2)
    assert host
    assert int(pid) > 0
    assert start == "2026-11-25T08:00:00+00:00"


@pytest.fixture
def url(kind, url):
    with open_store(url, address_key=KEY) as store:
        make_world(kind, store, url).sending(*"abcde")
    return url


def test_a_living_run_keeps_others_out(url):
    process = child(url, "sleep")
    owner = process.stdout.readline().strip()
    try:
        with open_store(url) as store, pytest.raises(BusyError, match=owner.split(":")[1]), store.run_lock("me"):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with open_store(url) as store, store.run_lock("me"):
        assert store.ledger.list_owners(1) == {owner}


def test_a_store_has_one_run_at_a_time(url):
    with open_store(url) as store, open_store(url) as other:
        with store.run_lock("first") as lock:
            assert lock.owner == "first"
            for late in (store, other):
                with pytest.raises(BusyError, match="first"), late.run_lock("second"):
                    pass
        with pytest.raises(RuntimeError), other.run_lock("third"):
            raise RuntimeError
        with store.run_lock("fourth"):
            pass


def test_what_a_killed_run_leaves_is_repaired_by_the_next(kind, url):
    process = child(url, "die")
    owner = process.communicate()[0].strip()
    assert process.returncode == -9
    with open_store(url) as store, store.run_lock("me"):
        states = [row.state for row in store.ledger.list_deliveries(1)]
        assert states == [State.TRANSMITTING, State.CLAIMED, State.CLAIMED, State.PENDING, State.PENDING]
        assert store.ledger.recover_deliveries(1, store.ledger.list_owners(1), NOW) == Recovery(released=2, doubted=1)
        assert store.ledger.load_attempts(1, 1)[0].owner == owner
        assert store.sends.account(1).closes
    if kind.name == SQLITE:
        assert Path(url.removeprefix("sqlite:///")).with_name("newsletter.db-send.lock").exists()
