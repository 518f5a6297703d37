"""Tell within milliseconds that nothing can be due: what cron asks every minute, before anything else is loaded.

A glance may say "maybe" for nothing, which costs a full look (``worker.find_due``); it never says "nothing" where
something is due. So whatever it cannot read is "maybe", and the full look says what is wrong; what that look found out
of a file's time and kept in the store is believed until the file changes. It imports no module of this package, since
loading them would take longer than all that it does.
"""

import datetime as dt
import os
import re
from collections.abc import Collection, Iterator, Mapping

_BLOCK = 4096
_HEAD_BYTES = 4 * 65_536 + _BLOCK
"""Bytes that hold any front matter: 65,536 characters may stand in it."""
_KEY = b"send_at"
_SEND_AT = re.compile(rb"^send_at:[ \t]*[\"']?(\d{4})-(\d\d)-(\d\d)[ T]\d\d:\d\d", re.MULTILINE)
_CLOSING = re.compile(rb"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_AT_REST = frozenset({"finished", "cancelled", "paused", "held"})
"""States of a send in which cron has nothing to do."""
_EPOCH, _MICROSECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)
_LONG_PAST, _FAR_OFF = dt.timedelta(days=10), dt.timedelta(days=2)


_DEFAULTS = (
    ("store", "url", "sqlite:///newsletter.db"),
    ("newsletter", "time_zone", "UTC"),
    ("send", "veto", ""),
    ("monitoring", "textfile", ""),
    ("monitoring", "ping", ""),
)
_DURATION = re.compile(r"\s*(\d{1,3})\s*(minute|hour)s?\s*")


def may_be_due(root: str, environ: Mapping[str, str], now: dt.datetime) -> bool:
    """Return False only where the newsletter in ``root`` has neither an issue nor a send to act on at ``now``."""
    try:
        settings = _settings(root, environ)
        kept = _kept(_sqlite_path(root, settings), settings["time_zone"], now, _lead(settings["veto"]))
        if kept is None:
            return True
        sends, waiting = kept
        if any(state not in _AT_REST for state in sends.values()):
            return True
        return any(_issues_near(root, sends, waiting, now))
    except (OSError, ValueError):
        return True


def _settings(root: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that count here: the store's URL, the newsletter's zone, and the editors' veto window."""
    import tomllib

    with open(os.path.join(root, "newsletter.toml"), "rb") as file:  # noqa: PTH118, PTH123
        content = tomllib.load(file)
    found = {}
    for section, key, default in _DEFAULTS:
        table = content.get(section, {})
        value = environ.get(f"NEWSLETTER_{section}__{key}".upper(), table.get(key) if isinstance(table, dict) else None)
        found[key] = default if value is None else str(value)
    return found


def watch_of(root: str, environ: Mapping[str, str]) -> tuple[str, str, str | None, bool]:
    """Return who watches cron: textfile and ping URL, ``""`` for none; the store's file; whether a send is paused.

    Raises OSError or ValueError where the configuration cannot be read.
    """
    settings = _settings(root, environ)
    textfile, ping = settings["textfile"], settings["ping"]
    path = _sqlite_path(root, settings)
    kept = _kept(path, "", _EPOCH, dt.timedelta()) if ping else None
    textfile = os.path.join(root, textfile) if textfile else ""  # noqa: PTH118
    return textfile, ping, path, kept is not None and "paused" in kept[0].values()


def _lead(veto: str) -> dt.timedelta:
    """Return how long before its time an issue is frozen; raise ValueError for what only the full look can judge."""
    match = _DURATION.fullmatch(veto)
    if veto and not match:
        raise ValueError(veto)
    return dt.timedelta(minutes=int(match[1]) * (60 if match[2] == "hour" else 1)) if match else dt.timedelta()


def _sqlite_path(root: str, settings: Mapping[str, str]) -> str | None:
    """Return the path of the store, None where only the store itself can tell."""
    scheme, separator, path = settings["url"].partition(":///")
    return os.path.join(root, path) if scheme == "sqlite" and separator else None  # noqa: PTH118


def _kept(
    path: str | None, zone: str, now: dt.datetime, lead: dt.timedelta
) -> tuple[dict[str, str], dict[str, tuple[int, int]]] | None:
    """Return what the store keeps: the state of each issue's send, and the files whose time is known and yet to come.

    Of a file its time of change and its size; while these stay, so does its time. None where only the store can tell.
    """
    if path is None:
        return None
    if not os.path.exists(path):  # noqa: PTH110 (pathlib would be one more module to load)
        return {}, {}
    import sqlite3

    # As the worker writes them: a JSON object whose first members these are.
    verdict = f'{{"verdict": "timed", "zone": "{zone}", '
    micros = (now + lead - _EPOCH) // _MICROSECOND
    try:
        connection = sqlite3.connect(
            f"file:{path.replace('%', '%25').replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True, timeout=1
        )
        try:
            sends: dict[str, str] = {}
            for issue, state in connection.execute("SELECT issue, state FROM sends"):
                if (
                    state not in _AT_REST or state == "paused" or issue not in sends
                ):  # an issue and its corrections are sends of their own
                    sends[issue] = state
            files = connection.execute(
                "SELECT name, mtime_ns, size FROM issue_files"
                " WHERE (send_at IS NULL OR send_at > ?) AND substr(verdict, 1, ?) = ?",
                (micros, len(verdict), verdict),
            )
            return sends, {name: (mtime_ns, size) for name, mtime_ns, size in files}
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _issues_near(
    root: str, sends: Collection[str], waiting: Mapping[str, tuple[int, int]], now: dt.datetime
) -> Iterator[bool]:
    """Tell for each issue that was not frozen yet whether its ``send_at`` may have come."""
    folder = os.path.join(root, "issues")  # noqa: PTH118
    if not os.path.lexists(folder):
        return
    for entry in os.scandir(folder):
        if entry.name.endswith(".md") and entry.name.removesuffix(".md") not in sends and entry.is_file():
            status = entry.stat() if entry.name in waiting else None
            if status is None or waiting[entry.name] != (status.st_mtime_ns, status.st_size):
                yield is_near(front_matter_of(entry.path), now)


def front_matter_of(path: str) -> bytes:
    """Return the front matter of an issue file as it stands, without what lies beyond the longest there may be."""
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(_BLOCK)
        closing = _CLOSING.search(head, 3)
        if closing is None and len(head) == _BLOCK:
            head += file.read(_HEAD_BYTES - _BLOCK)
            closing = _CLOSING.search(head, 3)
    return head[: closing.start()] if closing else head


def is_near(front_matter: bytes, now: dt.datetime) -> bool:
    """Tell whether an issue may be due around ``now``: it has a ``send_at`` that is neither long past nor far off."""
    day = _plain_day(front_matter)
    return not is_over(front_matter, now) and (day is None or day - _FAR_OFF <= now)


def is_over(front_matter: bytes, now: dt.datetime) -> bool:
    """Tell whether an issue can never become due any more: it has no ``send_at``, or one that is long past.

    Zones differ from UTC by less than a day, and an issue without ``not_after`` expires after one.
    """
    if _KEY not in front_matter:
        return True
    day = _plain_day(front_matter)
    return day is not None and b"not_after" not in front_matter and day + _LONG_PAST <= now


def _plain_day(front_matter: bytes) -> dt.datetime | None:
    """Return the day of ``send_at`` where it is written plainly and but once, else None."""
    match = _SEND_AT.search(front_matter) if front_matter.count(_KEY) == 1 else None
    try:
        day = dt.datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=dt.UTC) if match else None
    except ValueError:
        return None
    return day if day and dt.MINYEAR + 1 < day.year < dt.MAXYEAR else None
