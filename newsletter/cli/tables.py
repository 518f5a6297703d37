"""Print tables: with rich on a terminal, as plain aligned columns under cron, in a pipe or in a file.

A report is written once, as values; what strangers wrote in it cannot steer a terminal, nor be taken for markup. rich
is loaded on a terminal only.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import click

from newsletter.cli.context import App, printable

Align = Literal["left", "right"]
GOOD, BAD, ODD, FAINT = "green", "red", "yellow", "dim"


@dataclass(frozen=True, slots=True)
class Cell:
    """Hold the text of a cell and how it looks on a terminal; ``style`` is a colour or ``dim``, ``""`` for none."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """Head a column; ``wraps`` for the one whose text may take several lines on a narrow terminal."""

    heading: str
    align: Align = "left"
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a table; ``title`` stands above it, ``""`` for none."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]] = field(default_factory=tuple)


def number(count: int, style: str = "") -> Cell:
    """Return a count as a cell; nothing at all is faint."""
    return Cell(f"{count:,}", style if count else FAINT)


def is_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout.isatty()


def show_table(app: App, table: Table) -> None:
    """Print a table, unless --quiet."""
    if app.quiet:
        return
    if is_terminal():
        _show_rich(table)
        return
    if table.title:
        app.say(table.title)
    for line in plain_lines(table):
        app.say(line)


def show_line(app: App, *cells: Cell) -> None:
    """Print pieces of one line, in colour on a terminal, unless --quiet."""
    if not app.quiet:
        click.echo("".join(_styled(cell) for cell in cells))


def _styled(cell: Cell) -> str:
    text = printable(cell.text)
    if cell.style == FAINT:
        return click.style(text, dim=True)
    return click.style(text, fg=cell.style) if cell.style else text


def plain_lines(table: Table) -> list[str]:
    """Return the lines of a table in plain text, columns two spaces apart."""
    lines = [[column.heading for column in table.columns], *([cell.text for cell in row] for row in table.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    return [_plain(line, widths, table.columns) for line in lines]


def _plain(line: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    pieces = [
        text.rjust(width) if column.align == "right" else text.ljust(width)
        for text, width, column in zip(line, widths, columns, strict=True)
    ]
    return ("  " + "  ".join(pieces)).rstrip()


def _show_rich(table: Table) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=Text(table.title, style="bold") if table.title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in table.columns:
        shown.add_column(column.heading, justify=column.align, no_wrap=not column.wraps, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(printable(cell.text), style=cell.style) for cell in row))
    Console().print(shown)
