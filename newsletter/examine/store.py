"""Find out whether the store is there, whole, ours and free: integrity, schema, key, accounts, lock, room on its disk.

Nothing is written but the lock's owner, for the moment in which it is tried; a store that is not there is not made.
What only one kind of store can tell is asked beside the common interface: the file of SQLite, the server's settings.
"""

import contextlib
import datetime as dt
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from newsletter.delivery import Account, SendState
from newsletter.diagnosis import Finding, broken, error, ok, unchecked, warning
from newsletter.errors import ConfigError, StoreError
from newsletter.examine.runs import examine_runs
from newsletter.store import Store, SubscriptionState, find_store
from newsletter.store.schema import latest_schema
from newsletter.tokens import Keys

_ROW_BYTES, _FLOOR_BYTES = 1000, 20_000_000
"""Room that a send takes: for each recipient in the ledger, its log and the write-ahead log, and in any case."""
_MISTAKES_SHOWN = 3
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DURABLE = ("fsync", "full_page_writes")
_RESTORE = "stop cron, keep the damaged files, and restore the latest backup (docs/operating.md)"
_WHY_STORE = "it holds the list and the ledger: who is to get mail, and who has got it"
_WHY_DURABLE = "a mark that a power cut takes back is a second mail"
_WHY_SCHEMA = "a store of another version cannot be read as it is"
_WHY_KEY = "under another key nobody is found by address, and whoever left could be mailed again"
_WHY_LEDGER = "planned = sent + failed + skipped + bounced + in doubt + open, or somebody was lost"
_WHY_HOST = "a copy, or an older backup, would mail again what its original sent"
_WHY_DISK = "where the disk is full nothing is marked, so nothing is sent"


@dataclass(frozen=True, slots=True)
class Room:
    """Name where a store lies: the file of one on SQLite, None for one on a server."""

    url: str
    path: Path | None

    @property
    def folder(self) -> Path | None:
        """Return the nearest folder that is there, on whose disk the store lies or will lie."""
        return next((each for each in self.path.parents if each.is_dir()), None) if self.path else None

    @property
    def has_file(self) -> bool:
        """Tell whether there is a file that is not empty; opening one that cannot be looked at says why."""
        try:
            return self.path is not None and self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    @property
    def holds_store(self) -> bool:
        """Tell whether there is a store; one that cannot be opened is one as well."""
        try:
            with open_known(self) as store:
                return store is not None
        except (StoreError, ConfigError):
            return True


def room_of(url: str) -> Room:
    """Return where the store of ``Project.store_url`` lies."""
    scheme, _, path = url.partition(":///")
    return Room(url, Path(path) if scheme == "sqlite" else None)


@contextlib.contextmanager
def open_known(room: Room) -> Iterator[Store | None]:
    """Open the store in ``room``; give None where there is none, and make none. Raises what ``find_store`` does."""
    store = find_store(room.url) if room.path is None or room.has_file else None
    if store is None:
        yield None
        return
    with store:
        yield store


def examine_store(room: Room, keys: Keys | None, now: dt.datetime) -> Iterator[Finding]:
    """Yield everything about the store in ``room``; whatever is wrong with it is a finding."""
    audience = 0
    if room.path and room.has_file:
        yield from _examine_file(room.path)
    try:
        with open_known(room) as store:
            if store is None:
                where = room.path or "the database"
                yield unchecked("store", f"there is none yet at {where}; the first command that needs it makes it")
            else:
                yield ok("schema", f"{latest_schema()}, the one of this version", _WHY_SCHEMA)
                yield from _examine_rights(store, keys)
                yield from _examine_ledger(store)
                yield from examine_runs(store, now)
                audience = _count_audience(store)
    except (StoreError, ConfigError) as trouble:
        yield broken("store", trouble, _WHY_STORE)
    if room.path is None:
        yield from _examine_server(room.url)
    yield _examine_disk(room.folder, audience)


def examine_host(room: Room, reason_of: Callable[[Store], str]) -> Iterator[Finding]:
    """Yield whether the store may send from here; ``reason_of`` returns why it may not, ``""`` where it may."""
    try:
        with open_known(room) as store:
            reason = reason_of(store) if store else None
    except (StoreError, ConfigError):
        return  # the store's own findings have told it
    if reason:
        fix = "where this one is to send from now on, and no other does: newsletter migrate --adopt"
        yield error("host", f"the store does not send from here: {reason}", _WHY_HOST, fix)
    elif reason is not None:
        yield ok("host", "the store is this host's and this folder's", _WHY_HOST)


def latest_instant(room: Room) -> dt.datetime | None:
    """Return the latest instant that a send in the store has, which must lie in the past; None where there is none."""
    try:
        with open_known(room) as store:
            sends = store.sends.load_sends() if store else ()
    except (StoreError, ConfigError):
        return None
    instants = (at for send in sends for at in (send.planned_at, send.started_at, send.finished_at))
    return max(filter(None, instants), default=None)


# ---------------------------------------------------------------------------------------------------------------------
# The file of a store on SQLite
# ---------------------------------------------------------------------------------------------------------------------


def _examine_file(path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        mistakes = _mistakes_in(path)
    except (OSError, sqlite3.Error) as trouble:
        yield error("store", f"{path} cannot be read: {trouble}", _WHY_STORE, _RESTORE)
        return
    if mistakes:
        shown = "; ".join(mistakes[:_MISTAKES_SHOWN])
        yield error("store", f"{path} is damaged: {shown}", _WHY_STORE, _RESTORE)
    else:
        yield ok("store", f"{path} is whole ({path.stat().st_size / 1e6:.1f} MB)", _WHY_STORE)
    if mode & 0o077:
        found = f"others on this machine can read {path} (mode {mode:04o})"
        yield warning("store", found, "it holds people's addresses", f"chmod 600 {path}")


def _mistakes_in(path: Path) -> list[str]:
    """Return what SQLite finds wrong in a database, without writing to it."""
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        mistakes = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchmany(10)
    except sqlite3.DatabaseError as trouble:
        if isinstance(trouble, sqlite3.OperationalError):
            raise  # it could not be read, which says nothing about what is in it
        return [str(trouble)]
    finally:
        connection.close()
    lost = [f"a row of {table} belongs to none of {parent}" for table, _, parent, _ in orphans]
    return [] if mistakes == ["ok"] and not lost else [mistake for mistake in mistakes if mistake != "ok"] + lost


def _examine_server(url: str) -> Iterator[Finding]:
    """Yield whether a server keeps what it committed, also through a power cut."""
    import psycopg

    try:
        with psycopg.connect(url) as connection:
            settings = {name: connection.execute(f"SHOW {name}").fetchone() for name in _DURABLE}
    except psycopg.Error:
        return  # that it cannot be reached was told
    weak = [name for name, value in settings.items() if value == ("off",)]
    if weak:
        found = f"the server has {', '.join(f'{name} = off' for name in weak)}"
        yield warning("store", found, _WHY_DURABLE, "turn it on in postgresql.conf, then restart the server")
    else:
        yield ok("store", "the server keeps what it committed", _WHY_DURABLE)


# ---------------------------------------------------------------------------------------------------------------------
# What an open store says
# ---------------------------------------------------------------------------------------------------------------------


def _examine_rights(store: Store, keys: Keys | None) -> Iterator[Finding]:
    """Yield whether the store can be written, and was made with our secret."""
    store.buckets.forget_full_buckets(_LONG_AGO)  # touches no row, and yet is refused where writing is
    yield ok("store", f"{store.database.where} can be written", _WHY_STORE)
    if keys is None:
        return
    if "address_key" not in dict(store.database.rows("load_facts")):
        yield unchecked("secret file", "the store is new, and remembers no secret yet", _WHY_KEY)
        return
    try:
        store.identity.check_address_key(keys.address_key)
    except ConfigError as trouble:
        yield broken("secret file", trouble, _WHY_KEY)
    else:
        yield ok("secret file", "its first line is the one that the store was made with", _WHY_KEY)


def _examine_ledger(store: Store) -> Iterator[Finding]:
    """Yield whether the account of every issue closes, and which of them wait for an operator."""
    sends = store.sends.load_sends()
    closing = 0
    for send in sends:
        account = store.sends.account(send.send_id)
        if not account.closes:
            found = f"{send.issue}: {account.planned} planned, and {_counted(account)} accounted for"
            yield error("ledger", found, _WHY_LEDGER, f"{_RESTORE}; then report this, please")
            continue
        closing += 1
        if send.state is SendState.PAUSED:
            fix = f"mend the cause, then: newsletter send {send.issue} --yes"
            yield warning("ledger", f"{send.issue} is paused: {send.reason}", "it waits for you", fix)
        if account.in_doubt:
            found = f"{send.issue}: {account.in_doubt} rows in doubt"
            fix = f"settle them: newsletter resolve {send.issue}"
            yield warning("ledger", found, "whether these people got their mail, only the relay's log knows", fix)
    if closing == len(sends):
        count = "no issue was sent yet" if not sends else f"{len(sends)} issues" if len(sends) > 1 else "1 issue"
        yield ok("ledger", f"{count}; every account closes" if sends else count, _WHY_LEDGER)


def _counted(account: Account) -> int:
    return sum(account.as_json().values()) - account.planned


def _count_audience(store: Store) -> int:
    """Return how many people are on the lists."""
    lists = store.subscribers.load_lists()
    return sum(store.subscribers.count_subscribers(each.list_id).get(SubscriptionState.ACTIVE, 0) for each in lists)


# ---------------------------------------------------------------------------------------------------------------------
# Room
# ---------------------------------------------------------------------------------------------------------------------


def _examine_disk(folder: Path | None, audience: int) -> Finding:
    if folder is None:
        return unchecked("disk", "the store's disk is its server's, and cannot be seen from here", _WHY_DISK)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as trouble:
        return unchecked("disk", f"{folder}: {trouble.strerror}", _WHY_DISK)
    need = _FLOOR_BYTES + audience * _ROW_BYTES
    found = f"{_size(free)} free at {folder}; a send to {audience} takes up to {_size(need)}"
    fix = "free some space, or move the store ([store] url) while nothing is sent"
    if free < need:
        return error("disk", found, _WHY_DISK, fix)
    return warning("disk", found, _WHY_DISK, fix) if free < 10 * need else ok("disk", found, _WHY_DISK)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
