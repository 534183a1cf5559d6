import pytest
import yaml

from pipeline.live.rules.settings import RuleSettings, ScheduleSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"zones": [{"name": "a", "polygon": SQUARE[:2]}]},
            "zones.a.polygon: expected at least 3 corners, got 2",
        ),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [640, 0], [0, 360]]}]}, "shares of the picture"),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [0.5, 0.5], [1, 1]]}]}, "corners around an area"),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [1, 0], [1, float("nan")]]}]}, "shares of the picture"),
        ({"zones": [{"name": "a", "polygon": SQUARE, "mode": "ignored"}]}, "did you mean 'ignore'"),
        ({"zones": [{"name": "a", "polygon": SQUARE, "min_percentile": 101}]}, "zones.a.min_percentile"),
        ({"zones": [{"name": "", "polygon": SQUARE}]}, "zones.name"),
        ({"zones": [{"name": "a", "polygon": SQUARE}] * 2}, "expected different names, got a twice"),
        ({"zones": [{"name": "a", "polygon": [[0, 0, 0]] * 3}]}, "expected 2 values, got 3"),
        ({"schedules": [{"days": ["monday"]}]}, "did you mean 'mon'"),
        ({"schedules": [{"days": []}]}, "at least one day"),
        ({"schedules": [{"begin": "24:00"}]}, "schedules.begin: expected 00:00 to 23:59"),
        ({"schedules": [{"begin": "8"}]}, "schedules.begin: expected a time"),
        ({"schedules": [{"begin": 8}]}, "schedules.begin: expected a time from 00:00 to 24:00, got 8"),
        ({"schedules": [{"end": 24}]}, "schedules.end: expected a time"),
        ({"schedules": [{"end": "24:01"}]}, "schedules.end: expected a time"),
        ({"time_zone": "Europe/Berlinn"}, "time_zone: expected a name such as Europe/Berlin"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"quiet_for_s": 0}, "rules.quiet_for_s"),
        ({"most_a_day": -1}, "rules.most_a_day"),
    ],
)
def test_rules_that_cannot_be_are_told_by_their_key(values, said):
    with pytest.raises(ConfigError, match=said):
        build(RuleSettings, values)


def test_times_may_be_written_with_and_without_quotation_marks():
    text = (
        'schedules: [{begin: 22:00, end: 06:30}, {begin: "22:00", end: "06:30"}, {begin: 8:15, end: 24:00}]'
    )
    first, second, third = build(RuleSettings, yaml.safe_load(text)).schedules
    assert (first.begin_minute, first.end_minute) == (second.begin_minute, second.end_minute) == (1320, 390)
    assert (third.begin_minute, third.end_minute) == (495, 1440)
    assert ScheduleSettings().end_minute == 1440
