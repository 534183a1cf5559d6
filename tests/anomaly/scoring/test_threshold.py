"""Which score raises the alarm, and which score a percentile is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.scoring import calibration as calibration_module
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.marked_threshold import MarkedThreshold
from anomaly.scoring.smoothing import smooth
from anomaly.scoring.threshold import (
    alarm_percentile,
    alarm_threshold,
    budget_of,
    reference_of,
    score_at,
    smoothing_of,
)
from anomaly.settings import FRAME_MODES, SCORE_KINDS, CalibrationSettings, ScoringSettings

PLAIN = ScoringSettings(smoothing_s=0, tail="linear", by="clustering")


def model(extent="sliding", scoring=PLAIN, marked=None, **calibration):
    """What thresholds ask of a model: 100 held-out frames scoring 0 to 99, ten times that by reconstruction."""
    frames = np.zeros((len(SCORE_KINDS), len(FRAME_MODES), 100))
    for kind in range(len(SCORE_KINDS)):
        for mode in range(len(FRAME_MODES)):
            frames[kind, mode] = np.arange(100.0) * 10**kind + 1000 * mode
    fitted = Calibration(
        np.zeros(100, np.int32), np.arange(100) / 24, frames, frames, np.zeros((1, 1)), np.ones(1)
    )
    settings = SimpleNamespace(
        scoring=scoring,
        windows=SimpleNamespace(extent=extent),
        calibration=CalibrationSettings(false_alarm_rate=0.05, **calibration),
    )
    return SimpleNamespace(settings=settings, fitted_calibration=fitted, marked=marked)


def test_without_marks_and_budget_the_false_alarm_rate_decides():
    assert alarm_threshold(model()) == 94.0
    assert alarm_threshold(model(), false_alarm_rate=0.2) == 79.0
    assert alarm_threshold(model(), replace(PLAIN, frames="online")) == 1094.0
    assert alarm_threshold(model(), replace(PLAIN, by="reconstruction")) == 940.0


def test_marks_decide_where_they_are_on_the_scale_of_the_scores_and_no_rate_is_asked_for():
    marked = MarkedThreshold.from_score(42.0, PLAIN, {})
    assert alarm_threshold(model(marked=marked)) == 42.0
    assert alarm_threshold(model(marked=marked), false_alarm_rate=0.05) == 94.0
    assert alarm_threshold(model(marked=marked), replace(PLAIN, frames="online")) == 1094.0


def test_a_budget_of_alarms_a_day_decides_before_the_rate_and_after_marks(monkeypatch):
    asked = []

    def budget(clip, time_s, score, per_day):
        asked.append((score, per_day))
        return SimpleNamespace(threshold=77.5)

    monkeypatch.setattr(calibration_module, "alarm_budget", budget)
    with_budget = model(alarms_per_day=12.0)
    assert alarm_threshold(with_budget) == 77.5
    assert alarm_threshold(with_budget, false_alarm_rate=0.05) == 94.0
    assert asked[0][1] == 12.0
    alarm_threshold(with_budget, replace(PLAIN, frames="online", by="reconstruction"))
    assert asked[-1][0][0] == 1000.0
    assert asked[-1][0][-1] == 1990.0
    assert budget_of(model()) is None
    assert budget_of(with_budget).threshold == 77.5
    marked = MarkedThreshold.from_score(42.0, PLAIN, {})
    assert alarm_threshold(model(alarms_per_day=12.0, marked=marked)) == 42.0


def test_the_percentile_of_a_threshold_is_the_share_of_normal_frames_that_raise_no_alarm():
    assert alarm_percentile(model(), 94.0) == 95.0
    assert alarm_percentile(model(), 93.9) == 94.0
    assert alarm_percentile(model(), -1.0) == 0.0
    assert alarm_percentile(model(), 1094.0, replace(PLAIN, frames="online")) == 95.0


def test_the_score_at_a_percentile_is_not_exceeded_by_that_share_of_normal_frames():
    np.testing.assert_array_equal(
        score_at(model(), np.array([0.0, 1.0, 50.0, 95.0, 100.0])), [0, 0, 49, 94, 99]
    )
    np.testing.assert_array_equal(
        score_at(model(), np.array([50.0]), replace(PLAIN, frames="online")), [1049]
    )


@pytest.mark.parametrize(("extent", "sigma_s"), [("sliding", 0.5), ("clip", 0.0)])
def test_scores_of_whole_clips_are_not_smoothed(extent, sigma_s):
    scoring = replace(PLAIN, smoothing_s=0.5)
    made = model(extent, scoring)
    assert smoothing_of(made, scoring) == sigma_s
    fitted = made.fitted_calibration
    expected = np.sort(smooth(fitted.frames[0, 0], fitted.time_s, sigma_s))
    np.testing.assert_array_equal(reference_of(made, scoring), expected)


def test_the_reference_is_shaped_as_the_scores_are():
    made = model()
    shaped = reference_of(made, replace(PLAIN, tail="log"))
    np.testing.assert_allclose(shaped, np.arcsinh((np.arange(100.0) - 49.5) / 49.5))


@pytest.mark.parametrize(("score", "percentile"), [(2.9, 0.0), (3.0, 100.0)])
def test_one_normal_frame_is_enough_for_a_percentile(score, percentile):
    one = np.full((len(SCORE_KINDS), len(FRAME_MODES), 1), 3.0)
    made = model()
    made.fitted_calibration = Calibration(
        np.zeros(1, np.int32), np.zeros(1), one, one, np.zeros((1, 1)), np.ones(1)
    )
    assert alarm_percentile(made, score) == percentile
