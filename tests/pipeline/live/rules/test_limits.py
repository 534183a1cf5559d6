from datetime import UTC, datetime, timedelta

import pytest

from pipeline.live.rules.limits import Limits
from pipeline.live.rules.settings import RuleSettings, ScheduleSettings
from tests.pipeline.live.helpers import event, state

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_without_rules_everything_is_sent():
    limits = Limits(RuleSettings())
    assert all(limits.keeps_back(event(n), NOON) is None for n in range(100))


def test_more_events_than_a_day_may_have_are_kept_back_until_midnight_of_the_camera():
    limits = Limits(RuleSettings(most_a_day=2, time_zone="Europe/Berlin"))
    assert [limits.keeps_back(event(n), after(n)) for n in range(4)] == [
        None,
        None,
        "most_a_day",
        "most_a_day",
    ]
    late = datetime(2026, 11, 29, 22, 59, tzinfo=UTC)
    assert limits.keeps_back(event(5), late) == "most_a_day"
    assert limits.keeps_back(event(6), late + timedelta(minutes=1)) is None
    assert limits.kept_back == {"most_a_day": 3}


def test_an_event_that_was_kept_back_stays_so_to_its_end_and_one_that_was_sent_ends():
    limits = Limits(RuleSettings(most_a_day=1))
    assert limits.let_through(event(1), NOON) == event(1)
    assert limits.let_through(event(2), NOON) is None
    for type_ in ("update", "end"):
        assert limits.let_through(event(2, type_), after(60)) is None
        assert limits.let_through(event(1, type_), after(60)) == event(1, type_)
    assert limits.kept_back == {"most_a_day": 1}
    assert not limits._kept


def test_what_has_ended_before_anything_of_it_could_be_told_is_told_no_more():
    limits = Limits(RuleSettings(most_a_day=1))
    for number in (1, 2):
        limits.let_through(event(number), NOON)
    assert limits.let_through(event(2, "end"), after(86_400)) is None


@pytest.mark.parametrize(
    ("rules", "ends_s"),
    [
        (RuleSettings(schedules=(ScheduleSettings(begin="13:00"),), time_zone="UTC"), 3600),
        (RuleSettings(most_a_day=1, time_zone="UTC"), 12 * 3600),
        (RuleSettings(quiet_after=1, quiet_within_s=60, quiet_for_s=600), 601),
    ],
)
def test_an_event_that_goes_on_when_nothing_keeps_it_back_any_more_is_told_as_new(rules, ends_s):
    limits = Limits(rules)
    limits.let_through(event(1), NOON)
    assert limits.let_through(event(2), after(1)) is None
    assert limits.let_through(event(2, "update"), after(ends_s - 1)) is None
    assert limits.let_through(event(2, "update"), after(ends_s)) == event(2)
    for type_ in ("update", "end"):
        assert limits.let_through(event(2, type_), after(ends_s + 1)) == event(2, type_)
    why = "schedule" if rules.schedules else "most_a_day" if rules.most_a_day else "quiet"
    assert limits.kept_back[why] == (2 if rules.schedules else 1)


def test_an_event_that_is_told_late_counts_among_those_of_its_day():
    limits = Limits(RuleSettings(most_a_day=1, schedules=(ScheduleSettings(begin="13:00"),), time_zone="UTC"))
    limits.let_through(event(1), NOON)
    assert limits.let_through(event(1, "update"), after(3600)) == event(1)
    assert limits.keeps_back(event(2), after(3601)) == "most_a_day"


def test_a_clock_that_was_in_the_future_silences_nobody_when_it_is_right_again(tmp_path):
    rules = RuleSettings(quiet_after=2, quiet_within_s=60, quiet_for_s=600)
    limits = Limits(rules, tmp_path / "limits.json")
    wrong = after(10 * 365 * 86_400)
    assert [limits.keeps_back(event(n), wrong) for n in range(3)] == [None, None, "quiet"]
    assert Limits(rules, tmp_path / "limits.json").keeps_back(event(4), NOON) is None
    assert limits.keeps_back(event(5), NOON) is None
    limits = Limits(rules)
    assert limits.keeps_back(event(1), wrong) is None
    assert [limits.keeps_back(event(n), after(n)) for n in (2, 3, 4)] == [None, None, "quiet"]


def test_the_end_of_an_event_that_an_earlier_run_has_sent_is_sent():
    assert Limits(RuleSettings(most_a_day=1)).keeps_back(event(9, "end"), NOON) is None


def test_many_events_at_once_are_followed_by_quiet():
    limits = Limits(RuleSettings(quiet_after=3, quiet_within_s=60, quiet_for_s=600))
    found = [limits.keeps_back(event(n), after(10 * n)) for n in range(5)]
    assert found == [None, None, None, "quiet", "quiet"]
    assert limits.keeps_back(event(6), after(30 + 599)) == "quiet"
    assert limits.keeps_back(event(7), after(30 + 600)) is None


def test_the_same_number_spread_over_time_is_not():
    limits = Limits(RuleSettings(quiet_after=3, quiet_within_s=60, quiet_for_s=600))
    assert all(limits.keeps_back(event(n), after(31 * n)) is None for n in range(20))


def test_outside_its_schedule_a_camera_raises_no_alarm_but_tells_its_state():
    limits = Limits(RuleSettings(schedules=(ScheduleSettings(begin="20:00", end="21:00"),), time_zone="UTC"))
    assert limits.keeps_back(event(1), NOON) == "schedule"
    assert limits.keeps_back(state("lost"), NOON) is None
    assert limits.keeps_back(event(2), after(8 * 3600)) is None


def test_what_is_kept_back_does_not_use_up_the_day():
    limits = Limits(RuleSettings(most_a_day=1, schedules=(ScheduleSettings(begin="13:00"),), time_zone="UTC"))
    assert limits.keeps_back(event(1), NOON) == "schedule"
    assert limits.keeps_back(event(2), after(3600)) is None


def test_a_restart_grants_no_more_events_and_ends_no_quiet(tmp_path):
    rules = RuleSettings(most_a_day=3, quiet_after=2, quiet_within_s=60, quiet_for_s=600)
    path = tmp_path / "limits.json"

    def why(number: int, seconds: float) -> str | None:
        return Limits(rules, path).keeps_back(event(number), after(seconds))

    assert [why(1, 0), why(2, 1), why(3, 2)] == [None, None, "quiet"]
    assert why(4, 601) == "quiet"
    assert why(5, 603) is None
    assert why(6, 700) == "most_a_day"
    assert why(7, 86_400) is None
    path.write_text('{"day": 7}')
    assert why(8, 86_401) is None
    Limits(RuleSettings(), tmp_path / "none.json").keeps_back(event(1), NOON)
    assert not (tmp_path / "none.json").exists()
