"""``newsletter doctor``: examine the whole setting, and say what is wrong, why that matters and what to do."""

import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App, echo_json, json_option, printable, utc_now
from newsletter.cli.exits import DONE, FINDINGS
from newsletter.diagnosis import Finding, Level, worst
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.dnsrecords import Resolver

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red", Level.UNCHECKED: "cyan"}
_LEVEL_WIDTH, _CHECK_WIDTH, _LINE_MAX = 12, 16, 110
_NARROW = 60


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Ask neither DNS nor the relay.")
@click.option(
    "--resolver",
    metavar="ADDRESS[:PORT]",
    envvar="NEWSLETTER_RESOLVER",
    show_envvar=True,
    help="Ask this name server.  [default: the machine's own]",
)
@click.option(
    "--sends-from",
    metavar="ADDRESS",
    multiple=True,
    help="An address from which the relay passes mail on, where it is not its host's; may be given several times.",
)
@json_option
@click.pass_obj
def command(app: App, offline: bool, resolver: str | None, sends_from: tuple[str, ...], as_json: bool) -> int:
    """Examine the setting: configuration, secrets, store, relay, and what DNS tells receivers about you.

    Each finding says what to do. Nothing is mailed and nothing is changed. The exit code is 0 where no finding is an
    error; what could not be checked says so, and is none.
    """
    from newsletter.doctor import Patient, examine

    patient = Patient(
        root=app.root,
        environ=os.environ,
        clock=utc_now,
        resolver=None if offline else _open_resolver(resolver or ""),
        sends_from=tuple(_address(text) for text in sends_from),
    )
    findings = examine(patient)
    if as_json:
        found = list(findings)
        counts = Counter(finding.level for finding in found)
        echo_json(
            {
                "errors": counts[Level.ERROR],
                "warnings": counts[Level.WARNING],
                "unchecked": counts[Level.UNCHECKED],
                "findings": [finding.as_json() for finding in found],
            }
        )
    else:
        found = list(_show_each(app, findings))
        app.say("")
        app.say(_summary(found))
    return FINDINGS if worst(found) is Level.ERROR else DONE


def _open_resolver(server: str) -> "Resolver":
    from newsletter.dnslook import Dns

    return Dns(server)


def _address(text: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError:
        raise InputError(f"--sends-from: {text!r} is no IP address; write one like 192.0.2.1") from None


def _show_each(app: App, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each finding as soon as it is there: some take seconds."""
    width = min(shutil.get_terminal_size().columns, _LINE_MAX) if sys.stdout.isatty() else 0
    for finding in findings:
        if not app.quiet or finding.level is Level.ERROR:
            click.echo("\n".join(_lines(finding, width)))
        yield finding


def _lines(finding: Finding, width: int) -> Iterator[str]:
    """Yield a finding as it is printed; lines are as long as they are where ``width`` is 0."""
    level = click.style(f"{finding.level!s:<{_LEVEL_WIDTH}}", fg=_COLOURS[finding.level])
    margin = " " * (_LEVEL_WIDTH + _CHECK_WIDTH)
    first, *rest = _wrapped(finding.found, width - len(margin))
    yield f"{level}{printable(finding.check):<{_CHECK_WIDTH}}{first}"
    yield from (margin + line for line in rest)
    if finding.level in (Level.WARNING, Level.ERROR) and finding.why:
        yield from _labelled("why", finding.why, margin, width)
    if finding.fix:
        words, *records = finding.fix.splitlines()
        yield from _labelled("fix", words, margin, width)
        # What is to be copied stands on a line of its own, however long it is.
        yield from (f"{margin}     {printable(record)}" for record in records)


def _labelled(label: str, words: str, margin: str, width: int) -> Iterator[str]:
    first, *rest = _wrapped(words, width - len(margin) - 5)
    yield f"{margin}{click.style(label, dim=True)}: {first}"
    yield from (f"{margin}     {line}" for line in rest)


def _wrapped(words: str, width: int) -> list[str]:
    text = printable(words)
    if width < _NARROW // 2:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(found: list[Finding]) -> str:
    counts = Counter(finding.level for finding in found)
    words = (
        _count(counts[Level.ERROR], "error"),
        _count(counts[Level.WARNING], "warning"),
        f"{counts[Level.OK]} ok",
        f"{counts[Level.UNCHECKED]} not checked" if counts[Level.UNCHECKED] else "",
    )
    return ", ".join(filter(None, words))


def _count(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
