"""Whether alarms are raised at a time."""

from __future__ import annotations

from datetime import datetime

from pipeline.live.rules.settings import DAYS, RuleSettings, zone_of


def local(settings: RuleSettings, time: datetime) -> datetime:
    """The time in the camera's time zone."""
    return time.astimezone(zone_of(settings.time_zone))


def is_on(settings: RuleSettings, time: datetime) -> bool:
    """Whether one of the schedules holds; without any, always.

    By the clock on the wall: in the hour that is there twice when summer ends, both count.

    Args:
        settings: the camera's rules.
        time: with a time zone.
    """
    if not settings.schedules:
        return True
    wall = local(settings, time)
    minute, today = wall.hour * 60 + wall.minute, wall.weekday()
    for schedule in settings.schedules:
        begin, end = schedule.begin_minute, schedule.end_minute
        if end > begin:
            if DAYS[today] in schedule.days and begin <= minute < end:
                return True
        elif (DAYS[today] in schedule.days and minute >= begin) or (
            DAYS[today - 1] in schedule.days and minute < end
        ):
            return True
    return False
