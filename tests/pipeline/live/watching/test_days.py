"""A camera's scores, day by day."""

import logging
from datetime import date

import numpy as np
import pytest

from pipeline.live.watching.days import DayScores, read_day, read_days, shares_above, threshold_of

REFERENCE = np.sort(np.random.default_rng(0).normal(0, 1, 5000))
MONDAY, TUESDAY = date(2026, 3, 30), date(2026, 3, 31)


def filled(folder, scores, days=(MONDAY,), camera="door", threshold=2.0, promised=0.02):
    kept = DayScores(folder, camera, "abc", REFERENCE)
    for number, day in enumerate(days):
        for part in np.array_split(scores, 50):
            kept.add(part, threshold, promised, day, number * 1000.0)
    kept.close()
    return kept


def test_each_day_is_kept_and_counts_every_frame(tmp_path):
    scores = np.random.default_rng(1).normal(0, 1, 20_000)
    filled(tmp_path, scores, (MONDAY, TUESDAY))
    found = read_days(tmp_path, "abc", TUESDAY, 7)
    assert [day.day for day in found] == ["2026-03-30", "2026-03-31"]
    assert all(day.frames == sum(day.counts) == 20_000 for day in found)
    assert found[0].share == pytest.approx((scores > 2).mean())
    assert [day.day for day in read_days(tmp_path, "abc", TUESDAY, 1)] == ["2026-03-31"]
    assert not read_days(tmp_path, "another", TUESDAY, 7)


def test_the_shares_of_the_day_are_told_and_begin_anew_at_midnight(tmp_path):
    kept = DayScores(tmp_path, "door", "abc", REFERENCE)
    assert kept.shares is None
    kept.add(np.array([0.0, 3.0, 0.0, 0.0]), 2.0, 0.02, MONDAY, 0.0)
    assert kept.shares == (0.25, 0.02)
    kept.add(np.array([3.0, 3.0]), 2.0, 0.03, TUESDAY, 1.0)
    assert kept.shares == (1.0, 0.03)


def test_a_day_goes_on_after_a_restart(tmp_path):
    filled(tmp_path, np.zeros(100))
    filled(tmp_path, np.ones(50))
    [day] = read_days(tmp_path, "abc", MONDAY, 1)
    assert day.frames == 150


def test_the_threshold_that_days_ask_for_keeps_the_rate_on_them(tmp_path):
    scores = np.random.default_rng(2).normal(0.7, 1.3, 30_000)
    filled(tmp_path, scores[:15_000], camera="door")
    filled(tmp_path, scores[15_000:], camera="yard")
    days = read_days(tmp_path, "abc", MONDAY, 1)
    for rate in (0.05, 0.01, 0.001):
        threshold = threshold_of(days, rate)
        assert (scores > threshold).mean() <= rate
        assert (scores > threshold).mean() > 0.85 * rate - 2e-4
        assert shares_above(days, threshold) == pytest.approx((scores > threshold).mean(), abs=1e-4)


def test_scores_beyond_the_scale_are_counted_too(tmp_path):
    filled(tmp_path, np.array([-1e9, 1e9, 3.0] * 20))
    [day] = read_days(tmp_path, "abc", MONDAY, 1)
    assert (day.counts[0], day.counts[-1]) == (20, 20)


@pytest.mark.parametrize(("share", "warned"), [(0.02, False), (0.05, True), (0.005, True)])
def test_a_day_that_is_not_as_promised_is_a_warning(tmp_path, caplog, share, warned):
    scores = np.where(np.arange(20_000) < share * 20_000, 3.0, 0.0)
    with caplog.at_level(logging.INFO, "pipeline"):
        filled(tmp_path, scores)
    records = [record for record in caplog.records if "promised" in record.message]
    assert [record.levelno >= logging.WARNING for record in records] == [warned]


def test_damaged_days_are_left_out(tmp_path):
    filled(tmp_path, np.zeros(100))
    (tmp_path / "2026-03-29_door_abc.json").write_text('{"camera": "door"}')
    (tmp_path / "2026-03-28_door_abc.json").write_text("no json")
    assert len(read_days(tmp_path, "abc", MONDAY, 9)) == 1
    with pytest.raises(ValueError, match="expected a day"):
        read_day(tmp_path / "2026-03-28_door_abc.json")
