from datetime import date

from pipeline.live.status.figures import CameraFigures, DayShare

DAY, NEXT = date(2026, 11, 29), date(2026, 11, 30)


def test_the_share_of_a_day_begins_anew_at_midnight():
    days = DayShare()
    assert days.count(DAY, 0, 0) is None
    assert days.share is None
    days.count(DAY, 5, 100)
    assert days.share == 0.05
    assert days.count(NEXT, 6, 110) == (DAY, 0.05, 100)
    assert (days.share, days.frames) == (0.1, 10)
    days.count(NEXT, 6, 200)
    assert days.share == 0.01


def test_a_day_without_frames_is_not_told():
    days = DayShare()
    days.count(DAY, 0, 0)
    assert days.count(NEXT, 0, 0) is None


def test_counts_that_begin_anew_within_a_day_are_added_to_it():
    days = DayShare()
    days.count(DAY, 0, 0)
    days.count(DAY, 5, 100)
    days.count(DAY, 1, 20)  # the camera was begun anew, with counts of its own
    assert (days.share, days.frames) == (6 / 120, 120)
    assert days.count(NEXT, 1, 20) == (DAY, 6 / 120, 120)


def test_figures_as_json_have_short_numbers_and_exact_shares():
    found = CameraFigures("door", "online", 0.0412345, alarm_share=0.00012345).to_dict()
    assert (found["age_s"], found["alarm_share"], found["expected_share"]) == (0.041, 0.00012345, None)
