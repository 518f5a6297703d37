"""Keep what the preview shows: watch the files, compile what changed, and hold the last good version meanwhile.

One thread watches and compiles; any number wait for what is new. An issue that does not compile leaves the mail that
was shown before where it is, with its notes beside it.
"""

import datetime as dt
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from newsletter.config import Project, load_project
from newsletter.errors import ConfigError
from newsletter.preview.answers import Answer, Ask, Checked, Failed, Note, Shown
from newsletter.preview.readers import SAMPLE_READER, Reader
from newsletter.preview.watching import LOOK_S, Fingerprint, agree, look

SETTLE_S = 0.004
"""Seconds that files must stay as they are before they are read."""
QUIET_S = 0.3
"""Seconds without a save before the checks are run: the mail itself comes first, and so does the next save."""


class Compiler(Protocol):
    """Answer questions: ``compiling.CompilingChild``, or the ``child.Workshop`` in it."""

    def ask(self, ask: Ask) -> Answer:
        """Return how an issue looks, or why it does not."""

    def check(self) -> Answer:
        """Return what is found in the issue that was shown last."""


_Seen = tuple[Fingerprint, Path, Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Hold what there is to show; ``number`` grows with every change, ``mail`` when the mail itself is another one.

    ``shown`` is the last good version, made at ``shown_at``; ``failed`` says why the file as it stands is no mail, or
    is empty. ``is_checked`` tells that ``found`` belongs to what is shown.
    """

    number: int = 0
    mail: int = 0
    issue: Path
    reader: Reader = SAMPLE_READER
    shown: Shown | None = None
    shown_at: dt.datetime | None = None
    failed: tuple[Note, ...] = ()
    found: tuple[Note, ...] = ()
    is_checked: bool = False
    source: dict[str, str] = field(default_factory=dict)


class Studio:
    """Watch one issue at a time; a context manager that watches as long as the block lasts."""

    def __init__(self, project: Project, issue: Path, compiler: Compiler, clock: Callable[[], dt.datetime]) -> None:
        self.project = project
        self._compiler = compiler
        self._clock = clock
        self._state = State(issue=issue)
        self._watched: tuple[str, ...] = ()
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="preview", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Let everybody who waits go."""
        self._stop.set()
        with self._news:
            self._news.notify_all()

    @property
    def state(self) -> State:
        """Return what there is to show now."""
        return self._state

    def wait(self, after: int, seconds: float) -> State:
        """Return the state once its number is another than ``after``, or after so many seconds."""
        with self._news:
            self._news.wait_for(lambda: self._state.number != after or self._stop.is_set(), seconds)
            return self._state

    def choose(self, *, issue: Path | None = None, reader: Reader | None = None) -> None:
        """Show another issue, or the mail of another reader."""
        with self._news:
            state = self._state
            if issue is not None and issue != state.issue:
                state = State(number=state.number, mail=state.mail, issue=issue, reader=state.reader)
                self._watched = ()
            self._state = replace(state, reader=reader or state.reader)
            self._changed()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        seen: _Seen | None = None
        check_at = math.inf
        while not self._stop.is_set():
            state = self._state
            now = self._look(state)
            if now != seen:
                if self._stop.wait(SETTLE_S) or self._look(state) != now:
                    continue  # a save is under way: what it leaves is read, and not what it begins with
                seen = now  # taken before compiling: what is saved meanwhile is seen by the next look
                check_at = time.monotonic() + QUIET_S if self._show(state, seen) else math.inf
                seen = self._with_new_images(seen)
            elif time.monotonic() >= check_at:
                check_at = math.inf
                answer = self._compiler.check()
                self._take(Checked(notes=answer.notes) if isinstance(answer, Failed) else answer, state)
            else:
                self._stop.wait(LOOK_S)

    def _look(self, state: State) -> _Seen:
        return look(self.project, state.issue, self._watched), state.issue, state.reader

    def _show(self, state: State, seen: _Seen) -> bool:
        """Compile, and tell whether there is a mail to check."""
        self._read_project()
        ask = Ask(path=str(state.issue), recipient=state.reader.recipient, topics=state.reader.topics)
        answer = self._compiler.ask(ask)
        if isinstance(answer, Shown) or self._look(state) == seen:
            self._take(answer, state)
        # Otherwise a file was read amid its being written; the next look reads it whole.
        return isinstance(answer, Shown)

    def _with_new_images(self, seen: _Seen) -> _Seen:
        """Return what was seen with the images that the issue names now: that it names others is no further change."""
        fresh = look(self.project, seen[1], self._watched)
        return (fresh, *seen[1:]) if agree(seen[0], fresh) else seen

    def _read_project(self) -> None:
        try:
            self.project = load_project(self.project.root, os.environ)
        except ConfigError:  # the child says so, with the reason
            return

    def _take(self, answer: Answer, asked: State) -> None:
        with self._news:
            state = self._state
            if state.issue != asked.issue:  # another one was chosen meanwhile
                return
            if isinstance(answer, Shown):
                self._watched = answer.watched
                self._state = replace(
                    state,
                    mail=state.mail + (not _looks_alike(state.shown, answer)),
                    shown=answer,
                    shown_at=self._clock(),
                    failed=(),
                    is_checked=False,
                    source=answer.source,
                )
            elif isinstance(answer, Failed):
                self._watched = (*self._watched, *(each for each in answer.watched if each not in self._watched))
                self._state = replace(state, failed=answer.notes, source={**state.source, **answer.source})
            elif isinstance(answer, Checked):
                source = {**state.source, **answer.source}
                self._state = replace(state, found=answer.notes, is_checked=True, source=source)
            self._changed()

    def _changed(self) -> None:
        self._state = replace(self._state, number=self._state.number + 1)
        self._news.notify_all()


def _looks_alike(one: Shown | None, other: Shown) -> bool:
    """Tell whether frames that show one mail show the other as well."""
    return one is not None and (one.html, one.pictures) == (other.html, other.pictures)
