"""Say what was found amiss, or right, with a newsletter's setting: one value a finding, and how bad it is.

Pure values, without an idea of where they come from: ``examine_setup``, ``examine_store``, ``examine_relay`` and
``examine_dns`` find them, ``doctor`` gathers them, the command line prints them. What is wrong with an *issue* is a
``Problem``, and another matter.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Level(enum.StrEnum):
    """Say how bad a finding is; UNCHECKED is neither good nor bad: it could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """Say what one check found, why it matters in a sentence, and what to do about it.

    ``fix`` is ``""`` where nothing is to be done; it may have several lines, the later ones to be copied as they stand.
    """

    check: str
    level: Level
    found: str
    why: str = ""
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding for ``--json``."""
        return {
            "check": self.check,
            "level": str(self.level),
            "found": self.found,
            "why": self.why,
            "fix": self.fix,
        }


def ok(check: str, found: str, why: str = "") -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Level.OK, found, why)


def warning(check: str, found: str, why: str, fix: str) -> Finding:
    """Return a finding of something that mail goes out with, but should not."""
    return Finding(check, Level.WARNING, found, why, fix)


def error(check: str, found: str, why: str, fix: str) -> Finding:
    """Return a finding of something for which mail does not go out, is refused or is lost."""
    return Finding(check, Level.ERROR, found, why, fix)


def unchecked(check: str, found: str, why: str = "", fix: str = "") -> Finding:
    """Return the word that a check could not be made; ``fix`` says how it can, where it can."""
    return Finding(check, Level.UNCHECKED, found, why, fix)


def broken(check: str, trouble: Exception, why: str) -> Finding:
    """Return an error for what raised ``trouble``, whose message ends with what to do, after a semicolon."""
    found, _, fix = str(trouble).rpartition("; ")
    return error(check, found or fix, why, fix if found else "mend that, then run 'newsletter doctor' again")


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level among ``findings``; what could not be checked does not count."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)
