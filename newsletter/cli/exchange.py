"""``newsletter subscribers import`` and ``export``: lists as files, whoever wrote them."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from newsletter.cli.context import App, echo_json, json_option, utc_now
from newsletter.cli.lists import list_option, open_list

if TYPE_CHECKING:
    from newsletter.subscriptions import ImportReport, Line


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@list_option
@click.option("--origin", default="", help="Where their consent comes from, for the log; default: the file's name.")
@click.option("--topics-from", default="", metavar="COLUMN", help="The column that holds the topics people chose.")
@click.option("--dry-run", is_flag=True, help="Tell what would be, and write nothing.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write what became of each line here.")
@json_option
@click.pass_obj
def import_(app: App, /, file: Path, list_name: str, report: Path | None, as_json: bool, **options: Any) -> None:
    """Import people from a CSV or TSV FILE; only a column 'email' is needed.

    Encoding and delimiter are detected. Exports of Mailchimp, Substack, Ghost, Buttondown and listmonk are understood:
    who unsubscribed or bounced there is not mailed here. Unknown columns are kept as attributes. People who left are
    not brought back.
    """
    from newsletter.subscriptions import ImportWish, import_file

    with open_list(app, list_name) as (store, the_list), _line_report(report) as each:
        wish = ImportWish(each=each, **options)
        done = import_file(store, the_list.list_id, file, utc_now(), wish)
    if as_json:
        echo_json({"list": the_list.name, "dry_run": wish.dry_run, **done.as_json()})
        return
    _say(app, file, done, is_dry=wish.dry_run)


def _say(app: App, file: Path, report: "ImportReport", *, is_dry: bool) -> None:
    counts = report.as_json()
    gone = f", {counts['gone']} kept away (they had left or bounced there)" if counts["gone"] else ""
    told = ", ".join(f"{counts[key]} {key}" for key in ("added", "updated", "unchanged", "refused"))
    app.say(told + gone + ("; nothing was written (--dry-run)" if is_dry else ""))
    for row in report.lines:
        app.note(f"{file}:{row.line}: refused: {row.reason}" + (f": {row.text}" if row.text else ""))
    if report.refused > len(report.lines):
        app.note(f"{file}: and {report.refused - len(report.lines)} more lines were refused")


@contextmanager
def _line_report(path: Path | None) -> "Iterator[Callable[[Line], None] | None]":
    """Write a table of what became of each line."""
    if path is None:
        yield None
        return
    import csv

    from newsletter.listcolumns import guard_cell

    with _private_file(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("line", "email", "became", "reason"))

        def write(line: "Line") -> None:
            became = "refused" if line.change is None else str(line.change)
            writer.writerow((line.number, guard_cell(line.email), became, guard_cell(line.reason)))

        yield write


@click.command("export")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@list_option
@click.option("--active", "only_active", is_flag=True, help="Only those who are active.")
@click.pass_obj
def export(app: App, file: Path | None, list_name: str, only_active: bool) -> None:
    """Export a list as CSV to FILE, or to standard output; an import of it gives the same list again."""
    from newsletter.csvfile import write_csv
    from newsletter.listexport import export_rows
    from newsletter.store import SubscriptionState

    state = SubscriptionState.ACTIVE if only_active else None
    with open_list(app, list_name) as (store, the_list):
        headings, rows = export_rows(store, the_list.list_id, state)
        if file is None:
            _print_table(headings, rows)
            return
        count = write_csv(file, headings, rows)
    app.say(f"{file}: {count:,} subscribers of {the_list.name}; it holds their addresses, so only you may read it")


def _print_table(headings: list[str], rows: "Iterator[list[str]]") -> None:
    import csv

    from newsletter.listcolumns import guard_cell

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([guard_cell(heading) for heading in headings])
    writer.writerows([guard_cell(cell) for cell in row] for row in rows)


@contextmanager
def _private_file(path: Path) -> Iterator[TextIO]:
    """Open a file that only its owner may read, written whole or not at all; raise InputError where it cannot be."""
    from newsletter.errors import InputError

    part = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}; name another file") from None
