"""Say what a check is, what it finds, and what a run of checks comes to: values only; nothing is run here."""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from newsletter.errors import Place, Problem

if TYPE_CHECKING:
    from newsletter.checks.subject import Subject


class Severity(enum.StrEnum):
    """Say what a finding does: an error blocks approval, a warning does not; OFF, in settings, is not looked for."""

    ERROR = "error"
    WARNING = "warning"
    OFF = "off"


class Need(enum.Enum):
    """Name what a check looks at; one whose needs are not there is not run."""

    ISSUE = "the issue file"
    MAIL = "the message"
    HTML = "the HTML part"
    ONLINE = "what the links answer"
    SPAM = "a spam filter that is installed"


@dataclass(frozen=True, slots=True)
class Found:
    """Say one thing that a check found: one sentence, its place in the issue file or a template, and how often.

    ``fix`` is for this very case, where that is more than the check's own.
    """

    message: str
    place: Place | None = None
    fix: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Hold one check: its id (``group.name``), severity by default, why it is made, the usual fix, and the looking.

    ``limits`` are numbers that ``[checks.limits]`` can change, by names that no other check has, with their defaults;
    ``run`` reads them from ``Subject.limits``.
    """

    id: str
    severity: Severity
    why: str
    fix: str
    run: "Callable[[Subject], Iterable[Found]]"
    limits: Mapping[str, float] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset({Need.ISSUE})

    @property
    def group(self) -> str:
        """Return the group that the check is of."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Hold what was found, with the id and the severity of its check; ``waived`` is the reason where it is waived.

    ``article`` is the headline of the article in which it stands, ``""`` elsewhere.
    """

    check: str
    severity: Severity
    message: str
    why: str
    fix: str
    place: Place | None = None
    article: str = ""
    count: int = 1
    waived: str | None = None

    def as_problem(self) -> Problem:
        """Return the finding as a mistake that is told in one line."""
        return Problem(self.message, self.place, self.fix, self.check)

    def as_json(self) -> dict[str, object]:
        """Return the finding for machines."""
        place = self.place
        return {
            "check": self.check,
            "severity": str(self.severity),
            "message": self.message,
            "why": self.why,
            "fix": self.fix,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
            "article": self.article,
            "count": self.count,
            "waived": self.waived,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Hold what a run came to: findings in the order of their places, those that are waived, and the checks run."""

    findings: tuple[Finding, ...] = ()
    waived: tuple[Finding, ...] = ()
    checks: tuple[str, ...] = ()
    not_run: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that block approval."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that block nothing."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    def as_json(self) -> dict[str, object]:
        """Return the report for machines."""
        return {
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "findings": [finding.as_json() for finding in self.findings],
            "waived": [finding.as_json() for finding in self.waived],
            "checks": list(self.checks),
            "not_run": dict(self.not_run),
        }


def quoted(text: str, most: int = 60) -> str:
    """Return text of an issue as a finding quotes it: one line, cut behind ``most`` characters, in quotation marks."""
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= most else f"{flat[:most].rstrip()}…")
