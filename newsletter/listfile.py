"""Read a subscriber list as other programs export it: find its encoding, its delimiter and what its columns mean.

Works on an open stream of bytes and keeps one row in memory. What becomes of the people is decided elsewhere.
"""

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from newsletter.errors import InputError
from newsletter.listcolumns import (
    AS_ACTIVE,
    RowStanding,
    find_meanings,
    has_standing,
    standing_of_file,
    take_standing,
    unguard_cell,
)

CELL_LIMIT = 10_000
"""Characters that one cell may have."""
LINE_LIMIT = 1_000_000
"""Characters that one line may have."""
_SHOWN = 120
_JSON_KEYS = 200
_SAMPLE = 65_536
_BLOCK = 1 << 20
_DELIMITERS = ",;\t|"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = ((b"PK\x03\x04", "a workbook or archive"), (b"%PDF", "a PDF"), (b"\xd0\xcf\x11\xe0", "an old workbook"))
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


class Row(NamedTuple):
    """Hold one line of the file: what its columns mean, and all other columns by their heading in lower case.

    A tuple by name and no dataclass: there is one for each line of a file of a million.
    """

    line: int
    email: str
    name: str = ""
    language: str = ""
    time_zone: str = ""
    attributes: Mapping[str, str] = {}
    topics: str = ""
    standing: RowStanding = AS_ACTIVE
    origin: str = ""
    joined_at: str = ""
    paused_until: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """Say why a line cannot be used."""

    line: int
    text: str
    reason: str


def read_rows(stream: BinaryIO, file: str, topics_from: str = "") -> Iterator[Row | BadRow]:
    """Yield each line of the list, good or bad, in order; empty lines are passed over.

    ``stream`` must be seekable. ``topics_from`` is the heading of the column that holds topics, where it is not called
    so. Raises InputError where the file as a whole is no list: empty, without a column
    ``email``, or of another kind.
    """
    encoding = detect_encoding(stream)
    stream.seek(0)
    start = stream.read(4)
    for mark, kind in _FOREIGN:
        if start == mark:
            raise InputError(f"{file}: this is {kind}; save the list as CSV")
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    try:
        yield from _read_rows(_Lines(text), file, topics_from)
    finally:
        text.detach()


# ---------------------------------------------------------------------------------------------------------------------
# Encoding
# ---------------------------------------------------------------------------------------------------------------------


def detect_encoding(stream: BinaryIO) -> str:
    """Return the encoding of the stream.

    By its byte order mark; UTF-16 where every other byte is NUL; UTF-8 where all of it is; GB 18030 where bytes beyond
    ASCII come in pairs only, as those of Chinese do; else Windows-1252.
    """
    stream.seek(0)
    start = stream.read(4096)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    half = max(len(start) // 2, 1)
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[offset::2].count(0) > 0.6 * half and start[1 - offset :: 2].count(0) < 0.1 * half:
            return encoding
    if _decodes(stream, "utf-8"):
        return "utf-8"
    return "gb18030" if _is_in_pairs(stream) and _decodes(stream, "gb18030") else "cp1252"


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := stream.read(_BLOCK):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_in_pairs(stream: BinaryIO) -> bool:
    """Tell whether every run of bytes beyond ASCII has an even length, as far as a sample shows."""
    stream.seek(0)
    runs = re.findall(rb"[\x80-\xff]+(?=[\x00-\x7f])", stream.read(_BLOCK))
    return all(len(run) % 2 == 0 for run in runs)


# ---------------------------------------------------------------------------------------------------------------------
# Records
# ---------------------------------------------------------------------------------------------------------------------


class _Lines:
    """Read lines with their numbers; lines can be put back, and what is beyond ``LINE_LIMIT`` is cut off."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._pending: deque[str] = deque()
        self.number = 0

    def read(self) -> str | None:
        """Return the next line with its end, or None at the end of the file."""
        line = self._pending.popleft() if self._pending else self._read_fresh()
        self.number += line is not None
        return line

    def _read_fresh(self) -> str | None:
        rest = line = self._text.readline(LINE_LIMIT)
        while len(rest) >= LINE_LIMIT and not rest.endswith(("\n", "\r")):
            rest = self._text.readline(LINE_LIMIT)
        return (line.replace("\0", "") if "\0" in line else line) or None

    def put_back(self, lines: Sequence[str]) -> None:
        """Read ``lines``, the last that were read, once more."""
        self._pending.extendleft(reversed(lines))
        self.number -= len(lines)


def _read_rows(lines: _Lines, file: str, topics_from: str) -> Iterator[Row | BadRow]:
    heading, delimiter = _read_heading(lines, file)
    columns = _columns_of(heading, file, clean_cell(topics_from).casefold())
    while (first := lines.read()) is not None:
        number = lines.number
        values = _plain_values(first, columns, delimiter)
        if values is not None:
            if values:
                yield _read_values(values, columns, number, first)
            continue
        if not first.strip():
            continue
        cells = _read_record(first, lines, delimiter)
        if isinstance(cells, str):
            yield BadRow(number, _shown(first), cells)
        elif any(cell.strip() for cell in cells):
            yield _read_row(cells, columns, number, delimiter)


def _plain_values(line: str, columns: "_Columns", delimiter: str) -> dict[str, str] | None:
    """Return the values of a line as most of a million are, None for one that needs a closer look.

    Most have as many cells as there are headings, no quotes, and nothing that would have to be cleaned.
    """
    text = line.rstrip("\r\n")
    shown = text.replace("\t", "") if delimiter == "\t" else text
    if not shown.isprintable() or '"' in text or "'" in text or "  " in text or len(text) > CELL_LIMIT:
        return None
    cells = text.split(delimiter)
    if len(cells) != len(columns.meanings) or not columns.are_distinct:
        return None
    return {meaning: value for meaning, cell in zip(columns.meanings, cells, strict=True) if (value := cell.strip())}


def _read_record(first: str, lines: _Lines, delimiter: str) -> list[str] | str:
    """Return the cells of the record that begins with the line ``first``, or why it is none.

    A cell in quotes may go over several lines. Where a quote is never closed, only its own line is lost: those behind
    it are read again, each for itself.
    """
    if len(first) >= LINE_LIMIT:
        return f"a line of more than {LINE_LIMIT:,} characters"
    if '"' not in first:  # nothing of CSV is left but to split it
        return first.rstrip("\r\n").split(delimiter)
    taken: list[str] = []

    def feed() -> Iterator[str]:
        yield first
        while (line := lines.read()) is not None:
            taken.append(line)
            yield line

    try:
        return next(csv.reader(feed(), delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        lines.put_back(taken)
    if taken:
        return "a quote is opened here and not closed"
    try:  # one line that is not quite CSV: what it can mean is clear
        return next(csv.reader([first], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return f"a cell of more than {csv.field_size_limit():,} characters"


# ---------------------------------------------------------------------------------------------------------------------
# Columns
# ---------------------------------------------------------------------------------------------------------------------


def _read_heading(lines: _Lines, file: str) -> tuple[list[str], str]:
    """Return the meaning of each column, and the delimiter; a bare list of addresses has no heading of its own."""
    line = ""
    while not line.strip():
        read = lines.read()
        if read is None:
            raise InputError(f"{file}: the file is empty; the first line names the columns, and one of them is 'email'")
        line = read
    declared = re.fullmatch(r"sep=(.)\s*", line)  # as some spreadsheets write it
    if declared:
        line = lines.read() or ""
    candidates = declared[1] if declared else _DELIMITERS
    readings = [(_meanings(_cells(line, delimiter)), delimiter) for delimiter in candidates]
    meanings, delimiter = max(readings, key=lambda reading: ("email" in reading[0], len(reading[0])))
    if "email" in meanings:
        return meanings, delimiter
    if len(meanings) == 1 and "@" in line:
        lines.put_back([line])
        return ["email"], delimiter
    found = ", ".join(meaning[:30] for meaning in meanings[:12])
    raise InputError(f"{file}:{lines.number}: no column 'email'; found: {found}; name the column of the addresses so")


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line[:_SAMPLE]], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return [line[:_SAMPLE]]


def _meanings(cells: Sequence[str]) -> list[str]:
    """Return what each column means; the heading in lower case where nothing is known of it."""
    return find_meanings(cells, [clean_cell(unguard_cell(cell)).casefold() for cell in cells])


@dataclass(frozen=True, slots=True)
class _Columns:
    """Hold what each column means, whether one says where people stand, and where all of the file does.

    ``are_distinct`` says that every column means something, and no two the same.
    """

    meanings: list[str]
    has_standing: bool
    standing: RowStanding
    are_distinct: bool


def _columns_of(meanings: list[str], file: str, topics_from: str) -> _Columns:
    if topics_from:
        if topics_from not in meanings:
            found = ", ".join(meaning[:30] for meaning in meanings[:12])
            raise InputError(f"{file}: no column '{topics_from}' to take topics from; found: {found}")
        meanings = ["topics" if meaning == topics_from else meaning for meaning in meanings]
    tells = has_standing(meanings)
    try:
        standing = AS_ACTIVE if tells else standing_of_file(file.replace("\\", "/").rpartition("/")[2])
    except ValueError as error:
        raise InputError(
            f"{file}: whoever is in it {error}, by its name; rename the file where that is not so"
        ) from None
    return _Columns(meanings, tells, standing, are_distinct=len(set(meanings) - {""}) == len(meanings))


def _read_row(cells: list[str], columns: _Columns, line: int, delimiter: str) -> Row | BadRow:
    meanings = columns.meanings
    if len(cells) > len(meanings) and any(cell.strip() for cell in cells[len(meanings) :]):
        return _bad_row(cells, line, delimiter, f"{len(cells)} cells under {len(meanings)} headings")
    if max(map(len, cells), default=0) > CELL_LIMIT:
        return _bad_row(cells, line, delimiter, f"a cell of more than {CELL_LIMIT:,} characters")
    values: dict[str, str] = {}
    for meaning, cell in zip(meanings, cells, strict=False):
        if cell and meaning and meaning not in values:
            value = clean_cell(unguard_cell(cell))
            if value:
                values[meaning] = value
    return _read_values(values, columns, line, delimiter.join(cells))


def _read_values(values: dict[str, str], columns: _Columns, line: int, text: str) -> Row | BadRow:
    """Return the row of a line that holds ``values``; ``text`` is the line."""
    email = values.pop("email", "")
    if not email:
        return BadRow(line, _shown(text), "no address")
    try:
        standing = take_standing(values) if columns.has_standing else columns.standing
    except ValueError as error:
        return BadRow(line, _shown(text), str(error))
    return _row(line, email, values, standing)


def _row(line: int, email: str, values: dict[str, str], standing: RowStanding) -> Row:
    """Return the row of what is left in ``values``; what has no place of its own is an attribute."""
    take = values.pop
    first, last = take("first_name", ""), take("last_name", "")
    name = take("name", "") or f"{first} {last}".strip()
    language, time_zone, topics = take("language", ""), take("time_zone", ""), take("topics", "")
    origin, joined_at, paused_until = take("origin", ""), take("joined_at", ""), take("paused_until", "")
    if "json" in values:
        values = _with_json(values)
    return Row(line, email, name, language, time_zone, values, topics, standing, origin, joined_at, paused_until)


def _with_json(values: dict[str, str]) -> dict[str, str]:
    """Return the values with the attributes that a column of JSON holds, as listmonk and Buttondown write them."""
    text = values.pop("json")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return values | {"attributes": text}
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in list(found.items())[:_JSON_KEYS]
        if value not in (None, "", {}, [])
    }
    return values | {clean_cell(key): clean_cell(value)[:CELL_LIMIT] for key, value in texts.items() if clean_cell(key)}


def _bad_row(cells: list[str], line: int, delimiter: str, reason: str) -> BadRow:
    return BadRow(line, _shown(delimiter.join(cells)), reason)


def clean_cell(cell: str) -> str:
    """Return a cell as one line without control characters: it is shown on terminals, and stands in headers."""
    if cell.isprintable() and "  " not in cell:  # a space is the only white space that is printable
        return cell.strip()
    return " ".join(_CONTROLS.sub(" ", cell).split())


def _shown(text: str) -> str:
    return clean_cell(text[: 2 * _SHOWN])[:_SHOWN]
