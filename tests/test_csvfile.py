"""CSV files for people: no formula, every cell back as it was, whole or not at all."""

import csv
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.csvfile import write_csv
from newsletter.errors import InputError
from newsletter.listcolumns import guard_cell, unguard_cell

CELLS = ["", "a", "'", "''", "'=1", "=1+1", "+1", "-1", "@x", "\tx", "\rx", "'''=", "' =", "a=b", "é 「」"]


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_is_a_formula_and_each_comes_back(cell):
    assert not guard_cell(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguard_cell(guard_cell(cell)) == cell


@given(st.text(alphabet="'=+-@\t\ra ", max_size=6))
def test_any_cell_comes_back(cell):
    assert unguard_cell(guard_cell(cell)) == cell


def test_a_file_holds_every_row_and_is_its_owners(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("older")
    assert write_csv(path, ("email", "why"), [(cell, 'x,\n"y"') for cell in CELLS]) == len(CELLS)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["email", "why"]
    assert [(unguard_cell(row[0]), row[1]) for row in rows[1:]] == [(cell, 'x,\n"y"') for cell in CELLS]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_fails_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("older")

    def rows():
        yield ("a",)
        raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError):
        write_csv(path, ("email",), rows())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="cannot be written"):
        write_csv(Path("/dev/null/out.csv"), ("email",), [])
