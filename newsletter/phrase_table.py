"""Give tables of phrases their form: one phrase a line, and looked up fast enough for a full mailbox.

A phrase is looked for in text in lower case, on one line, with straight quotes. One that begins with ``~`` is a regular
expression, whose cost must be in proportion to the text.
"""

import functools
import re
from collections.abc import Mapping


def phrases(text: str) -> tuple[str, ...]:
    """Return the lines of ``text`` that hold a phrase."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def one_of(text: str) -> str:
    """Return a regular expression for any of the lines of ``text``, each of which is one."""
    return "|".join(phrases(text))


def find_reason(table: Mapping[str, tuple[str, ...]], words: str) -> str:
    """Return the first reason of ``table`` one of whose phrases stands in ``words``, ``""`` where none does."""
    return next((reason for reason, known in table.items() if any(is_said(words, phrase) for phrase in known)), "")


def is_said(words: str, phrase: str) -> bool:
    """Tell whether ``phrase`` stands in ``words``."""
    return bool(_compiled(phrase[1:]).search(words)) if phrase[0] == "~" else phrase in words


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
