"""Read a subscriber list as other programs export it: find its encoding, its delimiter and what its columns mean.

Works on an open stream of bytes and keeps one row in memory. What becomes of the people is decided elsewhere.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from newsletter.errors import InputError

CELL_LIMIT = 10_000
"""Characters that one cell may have."""
_SAMPLE = 65_536
_DELIMITERS = ",;\t|"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EMAIL = ("email", "emailaddress", "subscriberemail", "mail", "address", "courriel", "adresseemail", "邮箱")
_MEANINGS: Mapping[str, str] = {
    **dict.fromkeys(_EMAIL, "email"),
    **dict.fromkeys(("name", "fullname", "nom", "姓名"), "name"),
    **dict.fromkeys(("firstname", "fname", "givenname", "prénom", "prenom"), "first_name"),
    **dict.fromkeys(("lastname", "lname", "surname", "familyname"), "last_name"),
    **dict.fromkeys(("language", "lang", "locale", "langue", "语言"), "language"),
    **dict.fromkeys(("timezone", "tz"), "time_zone"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one line of the file: what its columns mean, and all other columns by their heading in lower case."""

    line: int
    email: str
    name: str = ""
    language: str = ""
    time_zone: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadRow:
    """Say why a line cannot be used."""

    line: int
    text: str
    reason: str


def read_rows(stream: BinaryIO, file: str) -> Iterator[Row | BadRow]:
    """Yield each line of the list, good or bad, in order; empty lines are passed over.

    ``stream`` must be seekable. Raises InputError where the file as a whole is no list: empty, without a column
    ``email``, or in an encoding that cannot be told.
    """
    encoding = detect_encoding(stream)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    try:
        sample = text.read(_SAMPLE)
        first = next((line for line in sample.splitlines() if line.strip()), "")
        if not first:
            raise InputError(f"{file}: the file is empty; the first line names the columns, and one of them is 'email'")
        delimiter = max(_DELIMITERS, key=first.count)
        text.seek(0)
        yield from _rows(text, delimiter, file)
    finally:
        text.detach()


def detect_encoding(stream: BinaryIO) -> str:
    """Return the encoding of the stream: by its byte order mark, else UTF-8 where all of it is, else Windows-1252."""
    stream.seek(0)
    start = stream.read(4)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := stream.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _rows(text: io.TextIOWrapper, delimiter: str, file: str) -> Iterator[Row | BadRow]:
    reader = csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter, skipinitialspace=True)
    heading: list[str] | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield BadRow(reader.line_num, "", f"no valid CSV: {error}")
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if heading is None:
            heading, is_row = _read_heading(cells, file)
            if not is_row:
                continue
        yield _read_row(cells, heading, reader.line_num, delimiter)


def _read_heading(cells: list[str], file: str) -> tuple[list[str], bool]:
    """Return the meaning of each column, and whether this line is a row already: a bare list of addresses."""
    if len(cells) == 1 and "@" in cells[0]:
        return ["email"], True
    meanings = [_meaning(cell) for cell in cells]
    if "email" in meanings:
        return meanings, False
    found = ", ".join(cell.strip()[:30] for cell in cells[:12])
    raise InputError(f"{file}:1: no column 'email'; found: {found}; name the column of the addresses 'email'")


def _meaning(heading: str) -> str:
    plain = "".join(character for character in heading.casefold() if character.isalnum())
    return _MEANINGS.get(plain) or " ".join(heading.split()).casefold()


def _read_row(cells: list[str], heading: list[str], line: int, delimiter: str) -> Row | BadRow:
    shown = delimiter.join(cells)[:120]
    if len(cells) > len(heading) and any(cell.strip() for cell in cells[len(heading) :]):
        return BadRow(line, shown, f"{len(cells)} cells under {len(heading)} headings")
    if any(len(cell) > CELL_LIMIT for cell in cells):
        return BadRow(line, shown, f"a cell of more than {CELL_LIMIT:,} characters")
    values: dict[str, str] = {}
    for meaning, cell in zip(heading, cells, strict=False):
        if cell.strip() and not values.get(meaning):
            values[meaning] = " ".join(cell.split())
    email = values.pop("email", "")
    if not email:
        return BadRow(line, shown, "no address")
    first, last = values.pop("first_name", ""), values.pop("last_name", "")
    return Row(
        line=line,
        email=email,
        name=values.pop("name", "") or " ".join(name for name in (first, last) if name),
        language=values.pop("language", ""),
        time_zone=values.pop("time_zone", ""),
        attributes=values,
    )
