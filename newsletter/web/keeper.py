"""Keep the archive up to date beside the pages: write the site anew when an issue, the theme or a send changed.

Looking costs a few file stats every five seconds. Writing is a child process (``newsletter site``), so that nothing an
issue does to a native parser can reach the server, and rendering takes no time from requests. What went wrong is told
once, on standard error, and tried again at the next change.
"""

import datetime as dt
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from newsletter.childprocess import child_environment
from newsletter.config import CONFIG_NAME, Project
from newsletter.errors import StoreError
from newsletter.store import Store

LOOK_S = 5.0
"""Seconds between two looks at the files: a page is there this long after its issue's time at the latest, or nearly."""
_CHILD_S = 600


class SiteKeeper:
    """Write the site into ``[web] site`` whenever it changed, while the ``with`` block lasts.

    ``say`` is given one line for each trouble; a trouble that stays is told once.
    """

    def __init__(
        self,
        project: Project,
        store: Store,
        clock: Callable[[], dt.datetime],
        say: Callable[[str], None],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._project = project
        self._store = store
        self._clock = clock
        self._say = say
        self._look_s = look_s
        self._stop = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._work, name="site-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        written: object = None
        while not self._stop.is_set():
            try:
                seen = self._fingerprint()
                if seen != written:
                    written = seen
                    self._write()
            except (OSError, StoreError) as error:
                self._tell(f"the archive was not looked at: {error}")
            self._stop.wait(self._look_s)

    def _fingerprint(self) -> object:
        """Return what changes when the archive has to: files, sends that began, issues whose time came."""
        now = self._clock()
        files = [(str(path), *_stamp(path)) for path in sorted(self._files())]
        sends = [(send.issue, send.kind) for send in self._store.sends.load_sends() if send.started_at]
        known = self._store.issues.load_issue_files().values()
        come = sorted(file.name for file in known if file.send_at and file.send_at <= now)
        return files, sends, come, now.astimezone(self._project.zone).date()

    def _files(self) -> Iterator[Path]:
        yield self._project.root / CONFIG_NAME
        for folder in (self._project.issues_dir, self._project.templates_dir):
            yield from (path for path in folder.rglob("*") if path.is_file())

    def _write(self) -> None:
        out = self._project.root / self._project.config.web.site
        command = [sys.executable, "-P", "-m", "newsletter", "--project", str(self._project.root), "--quiet", "site"]
        child = subprocess.Popen(  # noqa: S603
            [*command, "--out", str(out)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=child_environment(),
        )
        try:
            _, words = child.communicate(timeout=_CHILD_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            words = f"error: it took more than {_CHILD_S} s and was stopped"
        if child.returncode:
            self._tell(f"the archive was not written: {' '.join(words.split()) or f'exit {child.returncode}'}")
        else:
            self._told = ""

    def _tell(self, trouble: str) -> None:
        if trouble != self._told:
            self._told = trouble
            self._say(trouble)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
