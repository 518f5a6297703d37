"""Any issue can be checked: no text makes a check fail, every place lies in the file, and none takes long."""

import time

import pytest
from hypothesis import given, settings
from issue_files import FILE, FRONT
from test_issue import BODIES

from newsletter.errors import IssueError

from .subjects import check, written

PIECES = {
    "one long word": "a" * 30_000,
    "one long line of capitals": "AB " * 10_000,
    "open braces": "{{ " * 3_000,
    "per cents": "%a.a" * 7_000,
    "at signs without hosts": "x@" * 14_000,
    "addresses": "https://example.com/" + "a.b/" * 7_000,
    "brackets": "[TK " * 90,
    "dates": "Monday 1 May " * 2_000,
    "emoji": "👩‍👩‍👧" * 5_000,
    "wide and narrow": "商,(" * 9_000,
    "names": "".join(f"### [The Name{chr(97 + n % 26)}x{n} of](https://example.com/{n})\n" for n in range(400)),
}


@settings(max_examples=120)
@given(BODIES)
def test_any_issue_can_be_checked(body: str) -> None:
    try:
        subject = written(FRONT + body)
    except IssueError:
        return
    lines = subject.source.split("\n")
    for finding in check(subject).findings:
        assert finding.place is not None
        assert finding.place.file == FILE
        assert 1 <= finding.place.line <= len(lines)
        assert 1 <= finding.place.column <= len(lines[finding.place.line - 1]) + 1


@pytest.mark.parametrize("name", PIECES)
def test_no_text_takes_long(name: str) -> None:
    subject = written(PIECES[name])
    started = time.process_time()
    check(subject)
    assert time.process_time() - started < 10  # what grows with a square would take minutes
