"""The exceptions of the package, one tree, and the mistakes they carry; only ``cli`` turns them into exit codes.

::

    NewsletterError                 70  a bug, when nothing below fits
    ├── ProblemsError               65  input with one or more mistakes, each a Problem with its place
    │   ├── IssueError                  an issue file
    │   └── TemplateError               a template of the theme
    ├── InputError                  65  other input that cannot be used: a list, a name that nothing has
    │   ├── UnrenderableError           one recipient's message cannot be made; the others can
    │   └── FeedError                   a feed or a page that cannot be fetched or read; the others can
    │       └── TryLaterError               its server is busy, and may say until when
    ├── ConfigError                 78  newsletter.toml, the environment, a secret
    ├── NotAllowedError              1  a rule refuses what was asked: not approved, changed since, held
    ├── RelayUnavailableError       69  no relay can be reached, or it does not let us in
    ├── MailboxUnavailableError     75  the bounce mailbox cannot be reached, or is locked: try again later
    ├── StoreError                  65  the store is damaged, or of another version
    │   └── StoreUnavailableError   75  locked, full, gone: try again later
    └── BusyError                   75  another run holds the lock

Refusals are values (a ``Reply``), breakdowns are exceptions. Every message says what happened, where, and what to do.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file as the user named it, a line and a column, both counted from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Say one mistake: where it stands, what was found, and what may stand there instead.

    ``rule`` is the id of the rule that found it, ``""`` where rules have no ids.
    """

    message: str
    place: Place | None = None
    hint: str = ""
    rule: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        rule = f" [{self.rule}]" if self.rule else ""
        return f"{where}{self.message}{rule}" + (f" ({self.hint})" if self.hint else "")


class NewsletterError(Exception):
    """Base of every error that this package raises on purpose."""


class ProblemsError(NewsletterError):
    """Raise for input with one or more mistakes, each with its place and its fix."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class IssueError(ProblemsError):
    """Raise for an issue file that cannot be compiled as it stands."""


class TemplateError(ProblemsError):
    """Raise for a template that does not render to valid MJML."""


class InputError(NewsletterError):
    """Raise for input that cannot be used: a list, a file, a name that nothing has."""


class UnrenderableError(InputError):
    """Raise where one recipient's values cannot make a message; the run records it for that row and goes on."""


class FeedError(InputError):
    """Raise where a feed or a page cannot be fetched or read; the message says why, and not which."""


class TryLaterError(FeedError):
    """Raise where a server is busy; ``retry_after`` is how long it wants to be left alone, None for no word of it."""

    def __init__(self, message: str, retry_after: dt.timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConfigError(NewsletterError):
    """Raise for a configuration that cannot be used; the message names the file and the key."""


class NotAllowedError(NewsletterError):
    """Raise where a rule refuses what was asked: an issue that is not approved, or changed since."""


class RelayUnavailableError(NewsletterError):
    """Raise when no relay can be reached, does not offer TLS as demanded, or refuses the login."""


class MailboxUnavailableError(NewsletterError):
    """Raise when the bounce mailbox cannot be reached just now; no mail of it was lost."""


class StoreError(NewsletterError):
    """Raise when the store holds or answers what it must not."""


class StoreUnavailableError(StoreError):
    """Raise when the store is locked, full or gone; nothing was lost, and the next run goes on."""


class BusyError(NewsletterError):
    """Raise when another run of the same newsletter holds the lock."""
