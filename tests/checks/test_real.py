"""Sixteen real newsletters: the checks find what the committed table says, and each row of it was looked at."""

from pathlib import Path

import pytest

from .real import END, FILES, REAL, START, TABLE, VERDICTS, findings_of, table_of


@pytest.mark.skipif(not REAL.is_dir(), reason="the real newsletters are not beside this checkout")
def test_the_table_is_what_the_checks_find(tmp_path: Path) -> None:
    assert len(FILES) == 16
    found = findings_of(tmp_path / "real")
    table = TABLE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert table == table_of(found), "look at what is new, then run 'python tests/checks/real.py'"


def test_somebody_looked_at_every_row() -> None:
    table = TABLE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    ids = {line.split("`")[1] for line in table.splitlines() if "`" in line}
    assert ids == VERDICTS.keys()
