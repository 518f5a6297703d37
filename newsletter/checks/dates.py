"""Check the dates in an issue's text: a year that is over, a weekday that the day does not have; pure."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.checks.finding import Check, Found, Severity
from newsletter.checks.subject import Subject
from newsletter.checks.words import MONTHS, WEEKDAYS

_LATIN_MONTHS = "|".join(sorted(MONTHS, key=len, reverse=True))
_LATIN_DAYS = "|".join(sorted((day for day in WEEKDAYS if day.isascii() or day[0].isascii()), key=len, reverse=True))
_DAY_FIRST = re.compile(
    rf"(?:\b(?P<weekday>{_LATIN_DAYS})\.?,?\s+)?(?:the\s+|le\s+)?\b(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|\.)?\s+(?:de\s+|of\s+)?"
    rf"(?P<month>{_LATIN_MONTHS})\b\.?,?(?:\s+(?:de\s+)?(?P<year>20\d\d))?",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?:\b(?P<weekday>{_LATIN_DAYS})\.?,?\s+)?\b(?P<month>{_LATIN_MONTHS})\.?\s+(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b"
    r"(?:,?\s+(?P<year>20\d\d))?",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"(?P<year>20\d\d)\s*年\s*(?P<month>1[0-2]|0?[1-9])\s*月\s*(?P<day>[0-3]?\d)\s*日"
    r"(?:\s*[（(]?\s*(?P<weekday>(?:星期|周)[一二三四五六日天])\s*[)）]?)?"
)
_MONTH_YEAR = re.compile(rf"\b(?P<month>{_LATIN_MONTHS})\.?,?\s+(?P<year>20\d\d)\b", re.IGNORECASE)
_NUMBER, _WORD = re.compile(r"\d"), re.compile(r"[^\W\d_]+")
_COPYRIGHT = re.compile(
    r"(?:©|\(c\)|&copy;|\bcopyright\b)\s*(?:(?:19|20)\d\d\s*[-–—]\s*)?((?:19|20)\d\d)\b(?!\s*[-–—])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Date:
    """Hold a date as it stands in text; ``year`` and ``weekday`` are None where it has none, ``day`` is 0."""

    words: str
    year: int | None
    month: int
    day: int = 0
    weekday: int | None = None


def _dates_in(text: str) -> Iterator[_Date]:
    if not (_NUMBER.search(text) and ("月" in text or not MONTHS.keys().isdisjoint(_WORD.findall(text.casefold())))):
        return
    for pattern in (_DAY_FIRST, _MONTH_FIRST, _CHINESE, _MONTH_YEAR):
        for found in pattern.finditer(text):
            parts = found.groupdict()
            weekday = WEEKDAYS.get((parts.get("weekday") or "").casefold().rstrip("."))
            year = int(parts["year"]) if parts["year"] else None
            month = MONTHS.get(parts["month"].casefold()) or int(parts["month"])
            yield _Date(" ".join(found[0].split()), year, month, int(parts.get("day") or 0), weekday)


def _stale_year(subject: Subject) -> Iterator[Found]:
    sent_on = subject.sent_on
    for prose in subject.prose:
        if prose.part in ("subject", "preheader", "title"):
            for date in _dates_in(prose.text):
                if date.year == sent_on.year - 1 and date.month == sent_on.month:
                    fix = f"write {sent_on.year}, if that is meant"
                    message = f"{date.words!r} is a year before the issue, which is of {sent_on}"
                    yield Found(message, subject.place_of(date.words, prose.place), fix)
                    break
        for found in _COPYRIGHT.finditer(prose.text if _NUMBER.search(prose.text) else ""):
            if int(found[1]) < sent_on.year:
                yield Found(f"{found[0]!r} is of a year that is over", subject.place_of(found[0], prose.place))
    for file, text in subject.templates.items():
        for found in _COPYRIGHT.finditer(text):
            if int(found[1]) < sent_on.year:
                place = subject.place_in_templates(found[0])
                yield Found(f"{found[0]!r} in {file} is of a year that is over", place)


def _weekday(subject: Subject) -> Iterator[Found]:
    for prose in subject.prose:
        for date in _dates_in(prose.text):
            if date.weekday is None or not date.day:
                continue
            real = _nearest(date, subject.sent_on)
            if real and real.weekday() != date.weekday:
                fix = f"{real.isoformat()} is a {real:%A}"
                message = f"{date.words!r}: that day is another weekday"
                yield Found(message, subject.place_of(date.words, prose.place), fix)


def _nearest(date: _Date, sent_on: dt.date) -> dt.date | None:
    """Return the day that is meant: without a year the one that is nearest, unless a neighbouring year fits as well."""
    years = [date.year] if date.year else [sent_on.year, sent_on.year - 1, sent_on.year + 1]
    found = []
    for year in years:
        try:
            found.append(dt.date(year, date.month, date.day))
        except ValueError:
            continue
    near = sorted(found, key=lambda day: abs(day - sent_on))
    if not date.year and any(abs(day - sent_on).days < 300 and day.weekday() == date.weekday for day in near):
        return None
    return near[0] if near and (date.year or abs(near[0] - sent_on).days < 180) else None


DATE_CHECKS = (
    Check(
        id="text.stale-year",
        severity=Severity.WARNING,
        why="A date of last year in subject or heading, or an old year behind ©, was copied from an old issue.",
        fix="write this year",
        run=_stale_year,
    ),
    Check(
        id="text.wrong-weekday",
        severity=Severity.WARNING,
        why="Readers who want to come on Thursday the 26th must know which of the two is right.",
        fix="correct the day or the weekday",
        run=_weekday,
    ),
)
