"""Logs are read as an operator names them: plain, compressed, from a pipe, and in the order of their times."""

import bz2
import datetime as dt
import gzip
import io
import lzma
import sys

import pytest

from newsletter.errors import InputError
from newsletter.logfile import in_order, read_log

LINES = ["Nov 25 08:00:01 mx one", "Nov 25 08:00:02 mx two"]
TEXT = "\n".join([*LINES, ""]).encode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_or_not_the_lines_are_the_same(tmp_path, pack):
    path = tmp_path / "mail.log"
    path.write_bytes(pack(TEXT))
    assert list(read_log(str(path))) == LINES


def test_a_pipe_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert list(read_log("-")) == LINES


def test_octets_that_are_no_text_and_lines_without_end_do_no_harm(tmp_path):
    path = tmp_path / "mail.log"
    path.write_bytes(b"caf\xe9\r\n" + b"x" * 3_000_000)
    first, *pieces = read_log(str(path))
    assert first == "caf\ufffd"
    assert sum(map(len, pieces)) == 3_000_000
    assert max(map(len, pieces)) <= 1 << 20


@pytest.mark.parametrize(
    "content",
    [None, gzip.compress(TEXT * 99, mtime=0)[:-30], b"\x1f\x8brubbish", b"BZhrubbish", b"\xfd7zXZ\0?"],
    ids=["missing", "cut", "no gzip", "no bzip2", "no xz"],
)
def test_what_cannot_be_read_is_told(tmp_path, content):
    path = tmp_path / "mail.log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"mail\.log: cannot be read as a log: .+; name the relay's log file"):
        list(read_log(str(path)))


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        list(read_log(str(tmp_path)))


def test_files_come_in_the_order_of_their_times(tmp_path):
    names = {}
    for name, text in {"today": "3\n", "older": "x\n1\n", "none": "x\n", "old": "2\n"}.items():
        path = tmp_path / name
        path.write_text(text)
        names[str(path)] = name

    def stamp_of(line: str) -> dt.datetime | None:
        return dt.datetime(2026, 11, int(line), tzinfo=dt.UTC) if line.isdigit() else None

    assert [names.get(name, name) for name in in_order(["-", *names], stamp_of)] == [
        "older",
        "old",
        "today",
        "-",
        "none",
    ]
