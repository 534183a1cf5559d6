import dataclasses

import numpy as np
import pytest

from anomaly.scoring.alarm_budget import DAY_S, AlarmBudget, alarm_budget
from anomaly.scoring.threshold import alarm_threshold, budget_of
from anomaly.settings import CalibrationSettings, ScoringSettings
from pose_extract.errors import ConfigError, ModelError

FPS = 5.0


def video(hours: float, seed: int, tail: float = 1.0):
    """Clips of a minute of scores with bumps of 3 s, 60 an hour on average, exponentially high; noise between."""
    rng = np.random.default_rng(seed)
    frames = int(hours * 3600 * FPS)
    score = rng.uniform(0, 0.1, frames)
    for at in rng.integers(0, frames - 20, int(60 * hours)):
        bump = 0.5 + rng.exponential(tail)
        score[at : at + 15] = np.maximum(score[at : at + 15], bump)
    frame = np.arange(frames)
    minute = int(60 * FPS)
    return (frame // minute).astype(np.int32), (frame % minute) / FPS, score


def events_a_day(threshold):
    """How many of these bumps are above a threshold, in a day of such video."""
    return 24 * 60 * np.exp(0.5 - threshold)


@pytest.mark.parametrize("per_day", [240.0, 24.0, 2.0])
def test_normal_video_has_about_as_many_events_a_day_as_the_budget_says(per_day):
    ratio = [events_a_day(alarm_budget(*video(3, seed), per_day).threshold) / per_day for seed in range(8)]
    assert 1 / 2 < np.median(ratio) < 2, ratio


def test_the_interval_says_how_sure_it_is():
    held = []
    for seed in range(20):
        found = alarm_budget(*video(3, seed), 24.0)
        assert found.low <= found.high
        held.append(found.low <= events_a_day(found.threshold) <= found.high)
    assert sum(held) >= 16
    short, long = alarm_budget(*video(1, 3), 24.0), alarm_budget(*video(30, 3), 24.0)
    assert long.high - long.low < short.high - short.low
    assert long.seconds == pytest.approx(30 * 3600)


def test_fewer_alarms_a_day_need_a_higher_score():
    data = video(3, 0)
    scores = [alarm_budget(*data, per_day).threshold for per_day in (2400, 240, 24, 2.4)]
    assert (np.diff(scores) > 0).all()
    assert alarm_budget(*data, 24.0) == alarm_budget(*data, 24.0)


def test_too_little_video_is_an_error_that_says_what_to_do():
    clip, time_s, score = video(3, 0)
    with pytest.raises(
        ModelError, match=r"0\.5 minutes .* train on more video, or set calibration\.false_alarm_rate"
    ):
        alarm_budget(clip[:150], time_s[:150], score[:150], 1.0)
    with pytest.raises(ModelError, match="0 peaks"):
        alarm_budget(clip, time_s, np.zeros(len(score)), 1.0)


def test_alarms_by_the_hour_are_events_and_not_frames():
    clip, time_s, score = video(3, 0)
    bumps = alarm_budget(clip, time_s, score, DAY_S / 100)
    longer = np.repeat(score, 2)  # each bump twice as long: as many events
    again = alarm_budget(
        np.repeat(clip, 2),
        np.sort(np.concatenate([time_s, time_s + 0.1]).reshape(2, -1), axis=0).T.ravel(),
        longer,
        DAY_S / 100,
    )
    assert again.threshold == pytest.approx(bumps.threshold, rel=0.02)


def test_a_model_that_has_a_budget_raises_alarms_by_it(trained):
    clip, time_s, score = video(3, 0)
    frames = np.broadcast_to(score, (4, 2, len(score)))
    held_out = dataclasses.replace(trained.fitted_calibration, clip=clip, time_s=time_s, frames=frames)
    settings = dataclasses.replace(
        trained.settings, calibration=dataclasses.replace(trained.settings.calibration, alarms_per_day=24.0)
    )
    model = dataclasses.replace(trained, settings=settings, calibration=held_out)
    unsmoothed = ScoringSettings(smoothing_s=0)
    budget = alarm_budget(clip, time_s, score, 24.0)
    assert budget_of(model, unsmoothed) == budget
    assert budget_of(model, unsmoothed) is budget_of(model, unsmoothed)  # not for each part of a clip anew
    assert alarm_threshold(model, unsmoothed) == budget.threshold
    assert alarm_threshold(model, unsmoothed, 0.05) == np.sort(score)[-1 - int(0.05 * len(score))]
    assert budget_of(trained) is None
    assert "24 false events a day" in budget.describe()
    with pytest.raises(ModelError, match="train on more video"):
        alarm_threshold(dataclasses.replace(trained, settings=settings))  # seconds of held-out video


def peaks_of(heights, every=4):
    """A clip with a frame a second, of score 0 but for each of the heights, so many frames apart."""
    score = np.zeros((len(heights), every))
    score[:, -1] = heights
    score = score.ravel()
    return np.zeros(len(score), np.int32), np.arange(len(score), dtype=float), score


def exponential(count):
    """Heights of which exactly the expected shares are above each score, in any order."""
    return np.random.default_rng(0).permutation(-np.log(1 - (np.arange(1, count + 1) - 0.35) / count))


@pytest.mark.parametrize("per_day", [100.0, 10.0, 1.0])
def test_of_exponential_peaks_the_threshold_is_where_their_distribution_has_it(per_day):
    found = alarm_budget(*peaks_of(exponential(1000), every=40), per_day)
    assert DAY_S / 40 * np.exp(-found.threshold) == pytest.approx(per_day, rel=0.15)
    assert (found.alarms_per_day, found.seconds) == (per_day, 40_000)
    assert found.low < per_day < found.high


@pytest.mark.parametrize("seed", range(3))
def test_what_peaks_exceed_the_level_by_is_distributed_exponentially(seed):
    heights = np.random.default_rng(seed).gamma(1.5, size=39)  # one too few: the level goes down to 0
    found = alarm_budget(*peaks_of(heights), 30.0)
    assert (found.peaks, found.seconds) == (39, 156.0)
    share = 30.0 / (39 * 86_400 / 156)
    assert found.threshold == pytest.approx(-heights.mean() * np.log(share), rel=1e-6)


def test_the_sentence_says_what_the_threshold_rests_on():
    budget = AlarmBudget(3.14159, 5.0, 0.61, 12.4, 40, 12_000.0)
    assert budget.describe() == (
        "5 false events a day are expected above 3.142 (95 % interval 0.61 to 12), by the 40 highest peaks of 200 "
        "minutes of held-out normal video. That is less than one in all of this video: several times as many may come"
    )
    budget = AlarmBudget(3.14159, 48.0, 6.1, 243.0, 40, 1800.0)
    assert budget.describe().endswith("held-out normal video")
    assert "6.1 to 240" in budget.describe()


def test_few_peaks_do_not_tell_that_there_is_a_highest_one():
    """The highest of some hours is not that of days: a tail that ends there would have ten alarms a day for one."""
    heights = np.random.default_rng(0).permutation(np.linspace(1, 2, 1000))
    assert alarm_budget(*peaks_of(heights, every=40), 1.0).threshold > 2.04


def test_peaks_that_are_all_as_high_have_a_threshold_all_the_same():
    found = alarm_budget(*peaks_of(np.ones(200)), 24.0)
    assert found.peaks == 200
    assert 1 <= found.threshold < 10


def test_peaks_no_more_than_a_second_apart_are_one_event_but_in_clips_of_their_own_each_is_one():
    clip, time_s, score = peaks_of(np.linspace(1, 2, 40))
    assert alarm_budget(clip, 0.2525 * time_s, score, 24.0).peaks == 40
    assert alarm_budget(np.arange(160, dtype=np.int32) // 4, 0.25 * time_s, score, 24.0).peaks == 40
    with pytest.raises(ModelError, match="have 1 peaks"):
        alarm_budget(clip, 0.25 * time_s, score, 24.0)


@pytest.mark.parametrize(("count", "every", "peaks"), [(2000, 10, 44), (60, 10, 40), (30, 4, 30)])
def test_peaks_are_those_above_the_highest_level_that_has_forty(count, every, peaks):
    assert alarm_budget(*peaks_of(exponential(count), every), 24.0).peaks == peaks


def test_peaks_that_run_into_each_other_further_down_are_counted_where_they_are_apart():
    clip, time_s, score = peaks_of(exponential(30), 8)
    usual = np.where(score > 0, score + 1, np.linspace(0.4, 0.5, len(score)))  # below, all is one event
    assert alarm_budget(clip, time_s, usual, 24.0).peaks == 30


@pytest.mark.parametrize("per_hour", [50, 100, 200])
def test_more_events_than_forty_are_counted_not_guessed(per_hour):
    """In an hour and a half of video, 400 peaks an hour."""
    heights = 5 + np.random.default_rng(0).uniform(size=600)  # not exponential
    clip, time_s, score = peaks_of(heights, every=9)
    found = alarm_budget(clip, time_s, score, 24 * per_hour)
    assert found.peaks >= 1.5 * per_hour
    assert (heights > found.threshold).sum() / 1.5 == pytest.approx(per_hour, rel=0.2)


def test_ten_peaks_are_enough_and_nine_are_not():
    assert alarm_budget(*peaks_of(np.linspace(1, 2, 10)), 24.0).peaks == 10
    with pytest.raises(ModelError, match=r"0\.6 minutes of .* have 9 peaks .* at least 10"):
        alarm_budget(*peaks_of(np.linspace(1, 2, 9)), 24.0)


@pytest.mark.parametrize("per_day", [1e5, 1e9])
def test_more_events_than_there_are_peaks_above_the_level_have_the_level_for_a_threshold(per_day):
    assert alarm_budget(*peaks_of(np.linspace(1, 2, 40)), per_day).threshold == 0


def test_peaks_that_come_many_in_half_a_minute_and_none_in_the_next_make_the_interval_wider():
    heights = 1 + exponential(400)
    even, in_bursts = (
        alarm_budget(*peaks_of(where, every=3), 2400.0)
        for where in (
            np.repeat(heights, 2) * np.tile([1, 0], 400),
            (heights.reshape(-1, 10, 1) * [1, 0]).transpose(0, 2, 1).ravel(),
        )
    )
    assert even.threshold == in_bursts.threshold
    assert in_bursts.low < even.low < 2400 < even.high < in_bursts.high
    assert in_bursts.high - in_bursts.low > 1.1 * (even.high - even.low)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_budgets_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="alarms_per_day"):
        CalibrationSettings(alarms_per_day=wrong)


def test_the_interval_is_one_where_many_stretches_have_no_peak():
    """All ten peaks are in one stretch of half a minute out of three: many of those drawn again have none at all."""
    _, _, score = peaks_of(exponential(10), every=2)
    found = alarm_budget(np.zeros(90, np.int32), np.arange(90.0), np.append(score, np.zeros(70)), 500.0)
    assert found.peaks == 10
    assert 0 <= found.low <= found.high < np.inf
