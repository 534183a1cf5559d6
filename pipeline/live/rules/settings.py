"""The rules of a camera, as `watch.yaml` has them. No implementation is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LEAST_AREA = 1e-6  # of a zone, as a share of the picture
MINUTES = 24 * 60


@dataclass(frozen=True)
class ZoneSettings:
    """A part of a camera's picture. Somebody is where their feet are: in the middle of their box's lower edge.

    Attributes:
        name: as events say it.
        polygon: its corners (x, y), at least 3, as shares of the picture: 0 0 is top left, 1 1 bottom right.
        mode: "watch": where there is such a zone, only people in one count. "ignore": people in it do not count.
        min_percentile: people in it count from this percentile on, 0 to 100.
    """

    name: str
    polygon: tuple[tuple[float, float], ...]
    mode: str = "watch"
    min_percentile: float = 0.0

    def __post_init__(self) -> None:
        where = f"zones.{self.name}"
        if not self.name:
            raise ConfigError("config: zones.name: expected a text, got an empty one")
        expect_one_of(f"{where}.mode", self.mode, ("watch", "ignore"))
        expect_between(where, self, 0, 100, "min_percentile")
        if len(self.polygon) < 3:
            raise ConfigError(
                f"config: {where}.polygon: expected at least 3 corners, got {len(self.polygon)}"
            )
        if not all(0 <= value <= 1 for corner in self.polygon for value in corner):
            raise ConfigError(
                f"config: {where}.polygon: expected shares of the picture, 0 to 1, got {short(self.polygon)}"
            )
        if self.area < _LEAST_AREA:
            raise ConfigError(
                f"config: {where}.polygon: expected corners around an area, got {short(self.polygon)}"
            )

    @property
    def area(self) -> float:
        """Its share of the picture (the shoelace formula)."""
        around = [*self.polygon[1:], self.polygon[0]]
        return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(self.polygon, around, strict=True))) / 2


@dataclass(frozen=True)
class ScheduleSettings:
    """A time of the week in which alarms are raised.

    Attributes:
        days: on which it begins, of "mon" to "sun".
        begin: "HH:MM".
        end: "HH:MM", up to "24:00"; not after ``begin``: on the next day.
    """

    days: tuple[str, ...] = DAYS
    begin: str | int = "00:00"
    end: str | int = "24:00"

    def __post_init__(self) -> None:
        if not self.days:
            raise ConfigError("config: schedules.days: expected at least one day")
        for day in self.days:
            expect_one_of("schedules.days", day, DAYS)
        if self.begin_minute >= MINUTES:
            raise ConfigError(f"config: schedules.begin: expected 00:00 to 23:59, got {short(self.begin)}")
        assert self.end_minute <= MINUTES

    @property
    def begin_minute(self) -> int:
        """Minutes after midnight."""
        return _minutes("schedules.begin", self.begin)

    @property
    def end_minute(self) -> int:
        """Minutes after midnight."""
        return _minutes("schedules.end", self.end)


@dataclass(frozen=True)
class RuleSettings:
    """What must hold before a camera's alarm is sent.

    Attributes:
        zones: parts of its picture.
        schedules: times of the week; none: always.
        time_zone: of schedules and days, "Europe/Berlin" for instance; empty: the machine's.
        min_percentile: people count from this percentile on, 0 to 100, wherever they are.
        most_a_day: so many events a day at most; 0: any number.
        quiet_after: after so many events within ``quiet_within_s``, none is sent for ``quiet_for_s``; 0: never.
        quiet_within_s: see there.
        quiet_for_s: see there.
    """

    zones: tuple[ZoneSettings, ...] = ()
    schedules: tuple[ScheduleSettings, ...] = ()
    time_zone: str = ""
    min_percentile: float = 0.0
    most_a_day: int = 0
    quiet_after: int = 0
    quiet_within_s: float = 600.0
    quiet_for_s: float = 1800.0

    def __post_init__(self) -> None:
        expect_between("rules", self, 0, 100, "min_percentile")
        expect_between("rules", self, 0, 1_000_000, "most_a_day", "quiet_after")
        expect_between("rules", self, 0, 7 * 86_400, "quiet_within_s", "quiet_for_s", above=True)
        names = [zone.name for zone in self.zones]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ConfigError(
                f"config: zones: expected different names, got {', '.join(sorted(twice))} twice"
            )
        try:
            zone_of(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(
                f"config: rules.time_zone: expected a name such as Europe/Berlin, got {short(self.time_zone)}"
            ) from error


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name; None, the machine's, of an empty one."""
    return ZoneInfo(name) if name else None


def _minutes(where: str, value: str | int) -> int:
    """Minutes after midnight. YAML reads 22:00 without quotation marks as a number to the base of 60: just that.

    A number below 60 is none of those, but a typing error for an hour.
    """
    if isinstance(value, int):
        minutes = value if value >= 60 else -1
    else:
        found = re.fullmatch(r"(\d{1,2}):([0-5]\d)", value)
        minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minutes <= MINUTES:
        raise ConfigError(f"config: {where}: expected a time from 00:00 to 24:00, got {short(value)}")
    return minutes
