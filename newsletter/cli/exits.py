"""Say with which code the program ends: the one table that ``--help``, the documentation and the tests take it from.

The codes are those of sysexits.h where it has one.
"""

from collections.abc import Mapping

from newsletter.errors import (
    BusyError,
    ConfigError,
    InputError,
    MailboxUnavailableError,
    NewsletterError,
    NotAllowedError,
    ProblemsError,
    RelayUnavailableError,
    StoreError,
    StoreUnavailableError,
)

DONE, FINDINGS, USAGE, DATA, UNAVAILABLE, BUG, TRY_LATER, CONFIG, STOPPED = 0, 1, 2, 65, 69, 70, 75, 78, 130

MEANINGS: Mapping[int, str] = {
    DONE: "done, or nothing to do",
    FINDINGS: "findings: refused by a rule, a send paused, rows in doubt, a proof not accepted",
    USAGE: "the command line is wrong",
    DATA: "an issue, a template, a list or a store cannot be used as it is",
    UNAVAILABLE: "the relay is unavailable",
    BUG: "a bug of the program",
    TRY_LATER: "try again later: another run is at it, the store is locked or its disk full, or the run was stopped",
    CONFIG: "the configuration cannot be used",
    STOPPED: "interrupted from the keyboard",
}
"""What each exit code means, in one line."""

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (NotAllowedError, FINDINGS),
    (ProblemsError, DATA),
    (InputError, DATA),
    (RelayUnavailableError, UNAVAILABLE),
    (MailboxUnavailableError, TRY_LATER),
    (StoreUnavailableError, TRY_LATER),
    (StoreError, DATA),
    (BusyError, TRY_LATER),
    (ConfigError, CONFIG),
    (NewsletterError, BUG),
)
"""The exit code for each error, the first that fits."""


def exit_code_of(error: NewsletterError) -> int:
    """Return the exit code for an error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def in_lines(error: NewsletterError) -> str:
    """Return an error as it is printed: each line of it begins with ``error:``."""
    return "\n".join(f"error: {line}" for line in str(error).splitlines() or [type(error).__name__])
