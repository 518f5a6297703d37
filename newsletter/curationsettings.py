"""Know the keys of ``[schedule]`` and ``[digest]``: their types and defaults, and which values may not stand; pure."""

import datetime as dt
import re
from collections.abc import Iterator

import msgspec

from newsletter.amounts import parse_duration

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_AHEAD_MAX = dt.timedelta(hours=24)


class ScheduleSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say when issues appear: ``[schedule]``; without ``days`` there is no schedule.

    ``days`` are names of weekdays, ``time`` is what clocks show in the newsletter's zone, like ``08:00``.
    """

    days: tuple[str, ...] = ()
    time: str = "08:00"


class DigestSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Say what goes out without anybody's hands: ``[digest]``; without ``template`` nothing does.

    ``template`` is a Markdown file beside newsletter.toml that has the rules (``select:``) of every issue. An issue is
    made at the earliest ``ahead`` of its time, approved in the name of ``by``, and only if it has ``min_articles``.
    """

    template: str = ""
    ahead: str = "1 hour"
    by: str = "digest"
    min_articles: int = 1


def schedule_problems(schedule: ScheduleSection) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong with it, or ``""``."""
    for day in schedule.days:
        known = ", ".join(WEEKDAYS)
        yield "schedule", "days", "" if day.lower() in WEEKDAYS else f"{day!r} is no weekday; write some of {known}"
    is_time = re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", schedule.time)
    yield "schedule", "time", "" if is_time else f"{schedule.time!r} is no time; write one like '08:00'"


def digest_problems(digest: DigestSection, schedule: ScheduleSection) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and what is wrong with it, or ``""``."""
    needs = digest.template and not schedule.days
    yield "digest", "template", "needs [schedule] days: when does it go out?" if needs else ""
    ahead = parse_duration(digest.ahead)
    is_ahead = ahead is not None and dt.timedelta() < ahead <= _AHEAD_MAX
    yield "digest", "ahead", "" if is_ahead else f"{digest.ahead!r} does not fit; write '1 minute' to '24 hours'"
    yield "digest", "by", "" if re.fullmatch(r"[^:#\s][^:#]{0,79}", digest.by) else f"{digest.by!r} is no name"
    is_count = 1 <= digest.min_articles <= 100
    yield "digest", "min_articles", "" if is_count else f"{digest.min_articles} does not fit; write 1 to 100"
