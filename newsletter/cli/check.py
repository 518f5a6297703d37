"""``newsletter check``: say what of an issue or a message should not go out as it is, why, and what to do."""

import functools
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, printable, utc_now
from newsletter.cli.exits import DONE, FINDINGS

if TYPE_CHECKING:
    from newsletter.checks import Finding, Report

_COLOURS = {"error": "red", "warning": "yellow"}
_LINE_MAX = 110


@click.command("check")
@click.argument("what", metavar="ISSUE|FILE.md|MESSAGE.eml")
@click.option(
    "--spam", "slow_spam", is_flag=True, help="Ask SpamAssassin even without its daemon, which takes seconds."
)
@json_option
@click.pass_obj
def command(app: App, what: str, slow_spam: bool, as_json: bool) -> int:
    """Check ISSUE, a file or a message, and say what should not go out as it is, and what to do.

    An error blocks 'newsletter approve', a warning does not. The exit code is 1 where there is an error, else 0.
    """
    started = time.perf_counter()
    report = _checked(app, what, slow_spam=slow_spam)
    if as_json:
        echo_json({"what": what, **report.as_json()})
    else:
        for line in report_lines(report, width=_width()):
            click.echo(line)
        app.say(summary(report, time.perf_counter() - started))
    return FINDINGS if report.errors else DONE


def _checked(app: App, what: str, *, slow_spam: bool) -> "Report":
    from newsletter.checker import check_issue, check_message, read_message_file
    from newsletter.config import CONFIG_NAME, find_issue
    from newsletter.spamfilters import ask_spam_filters

    ask_spam = functools.partial(ask_spam_filters, slow=slow_spam)
    today = utc_now().date()
    if what.endswith(".eml"):
        content = read_message_file(Path(what))
        config = app.project().config if (app.root / CONFIG_NAME).is_file() else None
        return check_message(content, config, today=today, ask_spam=ask_spam)
    project = app.project()
    today = utc_now().astimezone(project.zone).date()
    return check_issue(project, find_issue(project, what), today=today, ask_spam=ask_spam).report


# ---------------------------------------------------------------------------------------------------------------------
# For people
# ---------------------------------------------------------------------------------------------------------------------


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _LINE_MAX) if sys.stdout.isatty() else 0


def report_lines(report: "Report", *, width: int = 0) -> Iterator[str]:
    """Yield the findings as they are printed; lines are as long as they are where ``width`` is 0."""
    for finding in report.findings:
        yield from finding_lines(finding, width)
    if report.waived:
        yield ""
        yield "waived in the issue:"
        for finding in report.waived:
            reason = finding.waived or "no reason given"
            yield f"  {printable(f'{_where(finding)}{finding.message} [{finding.check}]: {reason}')}"


def finding_lines(finding: "Finding", width: int = 0) -> Iterator[str]:
    """Yield one finding as it is printed: its place and what was found, then what to do."""
    severity = str(finding.severity)
    times = f" ({finding.count:,} times)" if finding.count > 1 else ""
    head = f"{_where(finding)}{finding.message}{times} [{finding.check}]"
    first, *rest = _wrapped(head, width - 9)
    yield f"{click.style(f'{severity:<8}', fg=_COLOURS.get(severity))} {first}"
    yield from (f"         {line}" for line in rest)
    if finding.fix:
        first, *rest = _wrapped(finding.fix, width - 14)
        yield f"         {click.style('fix', dim=True)}: {first}"
        yield from (f"              {line}" for line in rest)


def _where(finding: "Finding") -> str:
    return f"{finding.place}: " if finding.place else ""


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
    return f"{', '.join(filter(None, pieces))}; {len(report.checks)} checks in {seconds * 1000:.0f} ms"


def _count(findings: "Sequence[Finding]", word: str) -> str:
    return f"{len(findings) or 'no'} {word}{'' if len(findings) == 1 else 's'}"
