"""Tell within milliseconds that nothing can be due: what cron asks every minute, before anything else is loaded.

A glance may say "maybe" for nothing, which costs a full look (``worker.find_due``); it never says "nothing" where
something is due. So whatever it cannot read is "maybe", and the full look says what is wrong. It imports no module of
this package, since loading them would take longer than all that it does.
"""

import datetime as dt
import os
import re
from collections.abc import Iterator, Mapping

_HEAD_BYTES = 65_536
_SEND_AT = re.compile(rb"^send_at:[ \t]*[\"']?(\d{4})-(\d\d)-(\d\d)[ T]\d\d:\d\d", re.MULTILINE)
_CLOSING = re.compile(rb"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_AT_REST = frozenset({"finished", "cancelled", "paused", "held"})
"""States of a send in which cron has nothing to do."""
_LONG_PAST, _FAR_OFF = dt.timedelta(days=10), dt.timedelta(days=2)


def may_be_due(root: str, environ: Mapping[str, str], now: dt.datetime) -> bool:
    """Return False only where the newsletter in ``root`` has neither an issue nor a send to act on at ``now``."""
    try:
        sends = _sends(root, environ)
        if sends is None or any(state not in _AT_REST for state in sends.values()):
            return True
        return any(slug not in sends for slug in _timed_slugs(root, now))
    except (OSError, ValueError):
        return True


def _sends(root: str, environ: Mapping[str, str]) -> dict[str, str] | None:
    """Return the state of each issue's send, or None where only the store itself can tell."""
    path = _sqlite_path(root, environ)
    if path is None:
        return None
    if not os.path.exists(path):  # noqa: PTH110 (pathlib would be one more module to load)
        return {}
    import sqlite3

    try:
        connection = sqlite3.connect(
            f"file:{path.replace('?', '%3f').replace('#', '%23')}?mode=ro", uri=True, timeout=1
        )
        try:
            return dict(connection.execute("SELECT issue, state FROM sends"))
        finally:
            connection.close()
    except sqlite3.Error:
        return None


def _sqlite_path(root: str, environ: Mapping[str, str]) -> str | None:
    import tomllib

    with open(os.path.join(root, "newsletter.toml"), "rb") as file:  # noqa: PTH118, PTH123
        content = tomllib.load(file)
    store = content.get("store", {})
    url = environ.get("NEWSLETTER_STORE__URL") or (store.get("url") if isinstance(store, dict) else None)
    scheme, separator, path = str(url or "sqlite:///newsletter.db").partition(":///")
    if scheme != "sqlite" or not separator:
        return None
    return os.path.join(root, path)  # noqa: PTH118


def _timed_slugs(root: str, now: dt.datetime) -> Iterator[str]:
    """Yield the slug of each issue whose ``send_at`` is neither long past nor far off."""
    folder = os.path.join(root, "issues")  # noqa: PTH118
    if not os.path.isdir(folder):  # noqa: PTH112
        return
    for entry in os.scandir(folder):
        if entry.name.endswith(".md") and entry.is_file() and is_near(front_matter_of(entry.path), now):
            yield entry.name.removesuffix(".md")


def front_matter_of(path: str) -> bytes:
    """Return the front matter of an issue file as it stands, at most 64 KB."""
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(4096)
        closing = _CLOSING.search(head, 3)
        if closing is None and len(head) == 4096:
            head += file.read(_HEAD_BYTES - 4096)
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
    if b"send_at" not in front_matter:
        return True
    day = _plain_day(front_matter)
    return day is not None and b"not_after" not in front_matter and day + _LONG_PAST <= now


def _plain_day(front_matter: bytes) -> dt.datetime | None:
    """Return the day of ``send_at`` where it is written plainly, else None."""
    match = _SEND_AT.search(front_matter)
    try:
        return dt.datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=dt.UTC) if match else None
    except ValueError:
        return None
