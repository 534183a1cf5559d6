import dataclasses

import numpy as np
import pytest

from anomaly.scoring.alarm_budget import DAY_S, alarm_budget
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


def events_a_day(score, threshold, hours):
    above = np.concatenate([[False], score > threshold])
    return 24 / hours * np.count_nonzero(~above[:-1] & above[1:])


@pytest.mark.parametrize("per_day", [240.0, 24.0, 2.0])
def test_normal_video_has_about_as_many_events_a_day_as_the_budget_says(per_day):
    hours = 1000
    _, _, score = video(hours, seed=99)
    ratio = [
        events_a_day(score, alarm_budget(*video(3, seed), per_day).threshold, hours) / per_day
        for seed in range(8)
    ]
    assert 1 / 2 < np.median(ratio) < 2, ratio


def test_the_interval_says_how_sure_it_is():
    hours = 500
    _, _, score = video(hours, seed=99)
    held = []
    for seed in range(20):
        found = alarm_budget(*video(3, seed), 24.0)
        assert found.low <= found.high
        held.append(found.low <= events_a_day(score, found.threshold, hours) <= found.high)
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


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_budgets_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError, match="alarms_per_day"):
        CalibrationSettings(alarms_per_day=wrong)
