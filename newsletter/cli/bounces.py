"""``newsletter bounces``: read what came back, say what a mail means, and mend what was counted wrongly."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from newsletter.cli.context import App
from newsletter.cli.exits import DONE
from newsletter.errors import InputError

if TYPE_CHECKING:
    from newsletter.bounce import Report


@click.group("bounces")
def command() -> None:
    """Read what came back, and say what a mail means."""


@command.command("classify")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True)
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array, one object a file.")
@click.pass_obj
def classify(app: App, files: tuple[Path, ...], as_json: bool) -> int:
    """Say what each mail in FILE is: a bounce (hard, soft or policy), a complaint, a delay, a reply, ordinary mail.

    Nothing is stored and nobody is removed. "-" reads standard input.
    """
    import json

    from newsletter.dsn import read_report

    reports = [(str(file), read_report(_read(file))) for file in files]
    if as_json:
        told = [{"file": file, "bounces": [bounce.as_json() for bounce in report.bounces]} for file, report in reports]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return DONE
    for file, report in reports:
        for line in _lines(file, report):
            app.print(line)
    return DONE


def _read(file: Path) -> bytes:
    """Return the bytes of a mail file as far as they are looked at."""
    from newsletter.mailparts import READ_MAX

    if str(file) == "-":
        return sys.stdin.buffer.read(READ_MAX)
    try:
        with file.open("rb") as stream:
            return stream.read(READ_MAX)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); name a file that holds one mail") from None


def _lines(file: str, report: "Report") -> list[str]:
    """Return a report in lines for a person: the file and what it is, and below it each recipient."""
    lines = [f"{file}: {report.kind}"]
    for bounce in report.bounces:
        codes = " ".join(filter(None, (str(bounce.code or ""), bounce.status)))
        weight = f"{bounce.weight}, " if bounce.action in ("failed", "delayed") else ""
        lines.append(
            f"  {bounce.address or '(no address named)'}: {weight}{bounce.reason}" + (f" ({codes})" if codes else "")
        )
        if bounce.reply:
            lines.append(f"    {bounce.reply[:200]}")
    return lines
