"""Know on which days issues appear: the next one by the schedule; pure, ``now`` is an argument."""

import datetime as dt
from zoneinfo import ZoneInfo

from newsletter.curationsettings import WEEKDAYS, ScheduleSection
from newsletter.schedule import NOT_AFTER, local_instant


def next_day(schedule: ScheduleSection, after: dt.date) -> dt.date:
    """Return the first day behind ``after`` on which an issue appears; raise ValueError for a schedule without days."""
    days = {WEEKDAYS.index(day.lower()) for day in schedule.days}
    if not days:
        raise ValueError("the schedule has no days")
    return next(day for offset in range(1, 8) if (day := after + dt.timedelta(days=offset)).weekday() in days)


def sends_at(schedule: ScheduleSection, day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the instant at which the issue of a day goes out; in a gap of the clocks as ``schedule`` has it."""
    return local_instant(dt.datetime.combine(day, dt.time.fromisoformat(schedule.time)), zone)


def due_day(schedule: ScheduleSection, now: dt.datetime, ahead: dt.timedelta, zone: ZoneInfo) -> dt.date | None:
    """Return the day whose issue is to be made now: from ``ahead`` of its time until it is too late to send it."""
    day = now.astimezone(zone).date() - dt.timedelta(days=3)
    while (day := next_day(schedule, day)) <= now.astimezone(zone).date() + dt.timedelta(days=2):
        at = sends_at(schedule, day, zone)
        if at - ahead <= now < at + NOT_AFTER:
            following = sends_at(schedule, next_day(schedule, day), zone)
            if now < following - ahead:
                return day
    return None
