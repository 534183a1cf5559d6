from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.live.rules.schedules import is_on
from pipeline.live.rules.settings import DAYS, RuleSettings, ScheduleSettings

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = RuleSettings(
    schedules=(ScheduleSettings(("fri", "sat"), "22:00", "06:00"),), time_zone="Europe/Berlin"
)


def on(settings: RuleSettings, day: int, hour: int, minute: int = 0) -> bool:
    """In the week of Monday, 2026-11-23."""
    return is_on(settings, datetime(2026, 11, 23 + day, hour, minute, tzinfo=BERLIN))


def test_without_a_schedule_it_is_always_on():
    assert is_on(RuleSettings(), datetime(2026, 1, 1, tzinfo=UTC))


def test_a_night_belongs_to_the_day_on_which_it_begins():
    assert [on(NIGHT, 4, 21, 59), on(NIGHT, 4, 22), on(NIGHT, 5, 5, 59), on(NIGHT, 5, 6)] == [
        False,
        True,
        True,
        False,
    ]
    assert [on(NIGHT, 6, 5), on(NIGHT, 6, 22), on(NIGHT, 4, 5), on(NIGHT, 3, 23)] == [
        True,
        False,
        False,
        False,
    ]


def test_a_night_from_sunday_to_monday():
    settings = RuleSettings(
        schedules=(ScheduleSettings(("sun",), "23:00", "01:00"),), time_zone="Europe/Berlin"
    )
    assert [on(settings, 6, 23), on(settings, 7, 0, 30), on(settings, 0, 0, 30)] == [True, True, True]
    assert [on(settings, 1, 0, 30), on(settings, 6, 0, 30)] == [False, False]


def test_a_whole_day_ends_at_midnight():
    settings = RuleSettings(schedules=(ScheduleSettings(("mon",)),), time_zone="Europe/Berlin")
    assert [on(settings, 0, 0), on(settings, 0, 23, 59), on(settings, 1, 0), on(settings, 6, 23, 59)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_one_of_several_is_enough():
    settings = RuleSettings(
        schedules=(
            ScheduleSettings(begin="08:00", end="09:00"),
            ScheduleSettings(begin="10:00", end="11:00"),
        ),
        time_zone="Europe/Berlin",
    )
    assert [on(settings, 2, hour) for hour in (7, 8, 9, 10, 11)] == [False, True, False, True, False]


def test_the_time_zone_decides_not_the_clock_of_the_event():
    evening = datetime(2026, 11, 27, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    assert is_on(NIGHT, evening)
    assert not is_on(RuleSettings(schedules=NIGHT.schedules, time_zone="UTC"), evening)


@pytest.mark.parametrize("hour", [0, 1])  # 02:30 is there twice when summer ends
def test_the_clock_on_the_wall_counts_when_summer_ends(hour):
    settings = RuleSettings(
        schedules=(ScheduleSettings(begin="02:00", end="03:00"),), time_zone="Europe/Berlin"
    )
    assert is_on(settings, datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
    assert not is_on(settings, datetime(2026, 10, 25, 2, 30, tzinfo=UTC))


def test_every_minute_of_a_week_is_on_or_off_as_counted_by_hand():
    minutes = sum(
        on(NIGHT, day, hour, minute) for day in range(7) for hour in range(24) for minute in (0, 30)
    )
    assert minutes == 2 * 8 * 2
    assert set(DAYS) >= set(NIGHT.schedules[0].days)
