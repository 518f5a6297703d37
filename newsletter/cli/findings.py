"""Print what checks found, for people: each finding with its place and its fix, those that are waived, a summary."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import printable

if TYPE_CHECKING:
    from newsletter.checks import Finding, Report

_COLOURS = {"error": "red", "warning": "yellow"}


def report_lines(report: "Report", *, width: int = 0, errors_only: bool = False) -> Iterator[str]:
    """Yield the findings as they are printed; lines are as long as they are where ``width`` is 0.

    Of one check, the first few are printed, and how many more there are.
    """
    from newsletter.checker import few_of_each

    for finding in few_of_each(report.errors if errors_only else report.findings):
        yield from finding_lines(finding, width)
    if report.waived and not errors_only:
        yield click.style("waived, with the reason:", dim=True)
        for finding in report.waived:
            reason = finding.waived or "(no reason given)"
            for index, line in enumerate(_wrapped(f"{_head(finding)}: {reason}", width - 2)):
                yield f"  {'  ' if index else ''}{line}"


def finding_lines(finding: "Finding", width: int = 0) -> Iterator[str]:
    """Yield one finding as it is printed: its place and what was found, then what to do."""
    severity = str(finding.severity)
    first, *rest = _wrapped(_head(finding), width - 9)
    yield f"{click.style(f'{severity:<8}', fg=_COLOURS.get(severity))} {first}"
    yield from (f"         {line}" for line in rest)
    if finding.fix:
        first, *rest = _wrapped(finding.fix, width - 14)
        yield f"         {click.style('fix', dim=True)}: {first}"
        yield from (f"              {line}" for line in rest)


def _head(finding: "Finding") -> str:
    where = f"{finding.place}: " if finding.place else ""
    times = f" ({finding.count:,} times)" if finding.count > 1 else ""
    return f"{where}{finding.message}{times} [{finding.check}]"


def _wrapped(words: str, width: int) -> list[str]:
    text = printable(" ".join(words.split()))
    if width < 30:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def summary(report: "Report", seconds: float) -> str:
    """Return what a report came to, in one line."""
    pieces = (
        _count(report.errors, "error"),
        _count(report.warnings, "warning"),
        f"{len(report.waived)} waived" if report.waived else "",
    )
    checks = f"{len(report.checks)} check{'' if len(report.checks) == 1 else 's'}"
    return f"{', '.join(filter(None, pieces))}; {checks} in {seconds * 1000:.0f} ms"


def _count(findings: "Sequence[Finding]", word: str) -> str:
    return f"{len(findings) or 'no'} {word}{'' if len(findings) == 1 else 's'}"
