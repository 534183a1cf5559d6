import numpy as np
import pytest

from anomaly.scoring.calibration import (
    Calibration,
    TailProbabilities,
    mean_in_robust_units,
    median_and_iqr,
    percentile,
    threshold,
)
from anomaly.scoring.smoothing import smooth
from anomaly.settings import FRAME_MODES, SCORE_KINDS, CalibrationSettings
from pose_extract.errors import ConfigError
from pose_extract.tracks.records import cut_frames
from tests.helpers import walkers


def calibration(frames, clip=None, rows=None):
    frames = np.asarray(frames, float)
    clip = np.zeros(len(frames), np.int32) if clip is None else np.asarray(clip, np.int32)
    rows = np.sort(frames[~np.isnan(frames)] if rows is None else rows)
    return Calibration(
        clip,
        np.arange(len(frames)) / 24,
        np.tile(frames, (len(SCORE_KINDS), len(FRAME_MODES), 1)),
        np.tile(rows, (len(SCORE_KINDS), len(FRAME_MODES), 1)),
        np.zeros((1, 1)),
        np.ones(1),
    )


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_threshold_lets_at_most_the_stated_share_of_normal_frames_raise_an_alarm(rate):
    reference = np.sort(np.random.default_rng(0).gumbel(size=1000))
    alarms = (reference > threshold(reference, rate)).mean()
    assert rate - 0.002 < alarms <= rate


def test_few_reference_frames_never_alarm_more_than_stated():
    reference = np.arange(30.0)
    assert (reference > threshold(reference, 0.01)).sum() == 0


def test_the_percentile_is_the_share_of_normal_frames_that_score_lower():
    reference = np.arange(10.0)
    np.testing.assert_allclose(percentile(reference, np.array([-1.0, 5.0, 4.5, 99.0])), [0, 50, 50, 100])
    assert np.isnan(percentile(reference, np.array([np.nan]))).all()


def test_the_floor_is_the_lowest_score_of_held_out_people_and_not_0():
    c = calibration([5.0, np.nan, 9.0], rows=[3.0, 5.0, 9.0])
    assert c.floor("backtracked") == 3.0
    np.testing.assert_allclose(c.reference("backtracked", 0.0), [3.0, 5.0, 9.0])


def test_the_reference_is_smoothed_inside_its_clips_only():
    c = calibration([0.0] * 24 + [10.0] * 24, clip=[0] * 24 + [1] * 24)
    np.testing.assert_allclose(np.unique(c.reference("backtracked", 0.5).round(9)), [0, 10])


def test_the_reference_is_computed_once_for_all_parts_of_all_clips(monkeypatch):
    from anomaly.scoring import calibration as module

    c, calls, original = calibration(np.arange(50.0)), [], module.smooth
    monkeypatch.setattr(module, "smooth", lambda *a, **k: calls.append(1) or original(*a, **k))
    first = c.reference("backtracked", 0.5)
    assert c.reference("backtracked", 0.5) is first
    assert len(calls) == 1
    assert c.reference("backtracked", 1.0) is not first


def test_each_kind_has_a_floor_and_a_spread_of_its_own():
    rows = np.stack([first + np.arange(5.0) for first in (0, 10, 100, 1000)])
    both = np.stack([rows] * 2, 1)
    c = Calibration(np.zeros(5, np.int32), np.arange(5) / 24, both, both, np.zeros((1, 1)), np.ones(1))
    assert [c.floor("online", by) for by in SCORE_KINDS] == [0, 10, 100, 1000]
    assert [c.spread(by)[0] for by in SCORE_KINDS] == [2, 12, 102, 1002]
    nobody = np.array([np.nan])
    for by, floor in zip(SCORE_KINDS, (0, 10, 100, 1000), strict=True):
        assert c.shape(nobody, "online", "linear", by) == floor
        assert c.shape(nobody, "online", "log", by) == pytest.approx(np.arcsinh(-1))
    assert c.shape(nobody, "online", "linear") == c.floor("online") == c.row_reference("online")[0] == 0


def test_a_sum_of_tails_adds_logarithms_of_shares_of_held_out_windows_whatever_the_scale():
    parts = np.stack([np.arange(99.0), 1000 * np.arange(99.0)])
    tails = TailProbabilities(parts, np.ones(2))
    np.testing.assert_allclose(tails.sum(np.array([[98.0], [0.0]])), -np.log(2 / 100), rtol=1e-12)
    np.testing.assert_allclose(tails.sum(np.array([[50.0], [50_000.0]])), -2 * np.log(50 / 100), rtol=1e-12)
    highest = tails.sum(np.array([[1e9], [1e9]]))
    np.testing.assert_allclose(highest, 2 * np.log(100))
    np.testing.assert_array_equal(
        tails.sum(np.full((2, 1), -np.inf)), 0
    )  # nothing is known: nothing is added
    order = tails.sum(np.stack([np.linspace(-5, 120, 50), np.zeros(50)]))
    assert (np.diff(order) >= 0).all()


def test_a_part_that_says_nothing_counts_as_the_mean_of_those_that_speak():
    tails = TailProbabilities.from_scores([np.arange(99.0), np.arange(9.0), np.arange(19.0)], np.ones(3))
    all_three = tails.sum(np.array([[98.0], [8.0], [18.0]]))
    first, second = -np.log(2 / 100), -np.log(2 / 10)
    np.testing.assert_allclose(all_three, first + second - np.log(2 / 20))
    np.testing.assert_allclose(tails.sum(np.array([[98.0], [8.0], [-np.inf]])), 1.5 * (first + second))
    np.testing.assert_allclose(tails.sum(np.array([[98.0], [-np.inf], [-np.inf]])), 3 * first)
    assert tails.sum(np.full((3, 1), -np.inf)) == 0


def test_parts_count_by_their_weights_and_one_that_says_nothing_as_the_weighted_mean():
    tails = TailProbabilities.from_scores([np.arange(99.0), np.arange(9.0)], np.array([1.5, 0.5]))
    first, second = -np.log(2 / 100), -np.log(2 / 10)
    np.testing.assert_allclose(tails.sum(np.array([[98.0], [8.0]])), 1.5 * first + 0.5 * second)
    np.testing.assert_allclose(tails.sum(np.array([[-np.inf], [8.0]])), 2 * second)
    assert tails.sum(np.full((2, 1), -np.inf)) == 0


def test_parts_of_a_sum_may_have_been_held_out_from_more_windows_than_others():
    tails = TailProbabilities.from_scores([np.arange(99.0), np.arange(9.0)], np.ones(2))
    assert tails.parts.shape == (2, 99)
    np.testing.assert_allclose(tails.sum(np.array([[98.0], [8.0]])), -np.log(2 / 100) - np.log(2 / 10))
    np.testing.assert_allclose(tails.sum(np.array([[-1.0], [-1.0]])), 0, atol=1e-12)


def test_the_log_tail_keeps_the_order_and_holds_back_wild_scores():
    c = calibration(np.linspace(-10, 10, 101))
    raw = np.array([-9.0, 0.0, 5.0, 1e3, 1e6, np.nan])
    shaped = c.shape(raw, "backtracked", "log")
    assert (np.diff(shaped[:5]) > 0).all()
    assert shaped[4] < 20
    assert shaped[5] == c.shape(np.array([-10.0]), "backtracked", "log")  # nobody: the floor
    np.testing.assert_array_equal(c.shape(raw[:5], "backtracked", "linear"), raw[:5])


def test_the_log_tail_is_asinh_of_the_distance_from_the_median_in_interquartile_ranges():
    c = calibration(np.arange(101.0) * 4)  # median 200, quartiles 100 and 300
    raw = np.array([0.0, 200.0, 300.0, 1000.0, np.nan])
    np.testing.assert_allclose(
        c.shape(raw, "online", "log"), np.arcsinh([-1.0, 0.0, 0.5, 4.0, -1.0]), rtol=1e-12
    )
    assert c.spread("clustering") == (200.0, 200.0)
    assert calibration(np.full(9, 3.0)).spread("clustering") == (3.0, 1e-9)  # nothing is divided by 0


def test_each_mode_is_shaped_by_its_own_floor_and_spread():
    rows = np.stack([np.arange(5.0), 10 + 2 * np.arange(5.0)])
    every = np.tile(rows, (len(SCORE_KINDS), 1, 1))
    c = Calibration(np.zeros(5, np.int32), np.arange(5) / 24, every, every, np.zeros((1, 1)), np.ones(1))
    raw = np.array([np.nan, 12.0])
    for mode, (floor, middle, width) in {"backtracked": (0, 2, 2), "online": (10, 14, 4)}.items():
        place = FRAME_MODES.index(mode)
        assert c.floor(mode) == rows[place, 0]
        np.testing.assert_allclose(c.shape(raw, mode, "linear"), [floor, 12])
        expected = np.arcsinh((np.array([floor, 12.0]) - middle) / width)
        np.testing.assert_allclose(c.shape(raw, mode, "log"), expected)
        assert c.reference(mode, 0.0)[-1] == rows[place, -1]


@pytest.mark.parametrize("tail", ["linear", "log"])
def test_the_reference_of_online_scores_is_smoothed_by_the_past_alone_as_they_are(tail):
    rng = np.random.default_rng(0)
    frames = np.concatenate([rng.normal(size=60), [30.0], rng.normal(size=40)])
    clip = np.repeat([4, 7], [61, 40])
    c = calibration(frames, clip=clip)
    for mode in FRAME_MODES:
        shaped = c.shape(frames, mode, tail)
        expected = np.concatenate(
            [smooth(shaped[clip == k], c.time_s[clip == k], 0.3, causal=mode == "online") for k in (4, 7)]
        )
        np.testing.assert_array_equal(c.smoothed(mode, 0.3, tail), expected)
        np.testing.assert_array_equal(c.reference(mode, 0.3, tail), np.sort(expected))
    assert np.abs(c.smoothed("online", 0.3, tail) - c.smoothed("backtracked", 0.3, tail)).max() > 0.5


def test_percentiles_of_parts_are_shares_of_each_part_s_own_held_out_windows():
    tails = TailProbabilities.from_scores([np.arange(10.0), np.arange(4.0)], np.ones(2))
    np.testing.assert_allclose(
        tails.percentiles(np.array([[5.0, 99.0], [2.0, -1.0]])), [[50.0, 100.0], [50.0, 0.0]]
    )
    logs = tails.logs(np.array([[9.0, -np.inf], [-np.inf, 0.0]]))
    np.testing.assert_allclose(logs, [[-np.log(2 / 11), np.nan], [np.nan, 0.0]])


def test_scores_of_two_kinds_are_averaged_in_units_of_held_out_windows():
    both = mean_in_robust_units(np.array([3.0, 5.0]), np.array([10.0, 40.0]), [(1.0, 2.0), (10.0, 5.0)])
    np.testing.assert_allclose(both, [(1 + 0) / 2, (2 + 6) / 2])


def test_the_threshold_is_the_score_that_exactly_the_allowed_number_of_frames_exceeds():
    reference = np.arange(100.0)
    assert threshold(reference, 0.05) == 94.0  # 95 to 99 raise an alarm
    assert threshold(reference, 0.07) == 92.0  # 0.07 * 100 is a little more than 7
    assert threshold(reference, 0.29) == 70.0  # 0.29 * 100 is a little less than 29
    assert threshold(reference, 0.001) == 99.0


def test_a_budget_of_alarms_is_made_of_the_smoothed_scores_and_computed_once(monkeypatch):
    from anomaly.scoring import calibration as module

    c, calls = calibration(np.arange(50.0)), []
    monkeypatch.setattr(module, "alarm_budget", lambda *given: calls.append(given) or object())
    first = c.alarm_budget(24.0, "online", 0.5)
    assert c.alarm_budget(24.0, "online", 0.5) is first
    assert c.alarm_budget(12.0, "online", 0.5) is not first
    clip, time_s, score, _ = calls[0]
    assert clip is c.clip
    assert time_s is c.time_s
    np.testing.assert_array_equal(score, c.smoothed("online", 0.5))
    assert [given[3] for given in calls] == [24.0, 12.0]


def test_a_cut_keeps_times_and_counts_frames_from_0():
    clip = walkers.clip(people=2, frames=60)
    part = cut_frames(clip, 20, 50)
    assert part.frame_count == 30
    assert part.time_s[0] == clip.time_s[20]
    assert part.frame[0] == 0
    np.testing.assert_array_equal(part.keypoints, clip.keypoints[(clip.frame >= 20) & (clip.frame < 50)])


@pytest.mark.parametrize("wrong", [{"held_out": 0.0}, {"held_out": 1.0}, {"false_alarm_rate": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        CalibrationSettings(**wrong)


def test_a_budget_of_alarms_is_that_of_the_kind_of_score_and_of_its_tail(monkeypatch):
    from anomaly.scoring import calibration as module

    frames = np.random.default_rng(0).gumbel(size=(len(SCORE_KINDS), len(FRAME_MODES), 60))
    c = Calibration(
        np.zeros(60, np.int32), np.arange(60) / 24, frames, np.sort(frames), np.zeros((1, 1)), np.ones(1)
    )
    asked = []
    monkeypatch.setattr(module, "alarm_budget", lambda *given: asked.append(given[2]) or len(asked))
    scales = [(mode, sigma_s, tail, by) for mode in FRAME_MODES for sigma_s in (0.0, 0.5)
              for tail in ("linear", "log") for by in SCORE_KINDS]  # fmt: skip
    assert [c.alarm_budget(24.0, *scale) for scale in scales] == list(range(1, len(scales) + 1))
    for scale, score in zip(scales, asked, strict=True):
        np.testing.assert_array_equal(score, c.smoothed(*scale))
    assert len({score.tobytes() for score in asked}) == len(scales)
    assert [c.alarm_budget(24.0, *scale) for scale in scales] == list(range(1, len(scales) + 1))
    assert c.alarm_budget(24.0, "online", 0.5) == c.alarm_budget(24.0, "online", 0.5, "linear", "clustering")


def test_median_and_range_are_those_of_single_windows_unless_another_way_is_asked_for():
    rows = np.tile(np.stack([np.arange(5.0), 10 + 2 * np.arange(5.0)]), (len(SCORE_KINDS), 1, 1))
    c = Calibration(np.zeros(5, np.int32), np.arange(5) / 24, rows, rows, np.zeros((1, 1)), np.ones(1))
    assert c.spread("clustering") == c.spread("clustering", "online") == (14, 4)
    assert c.spread("clustering", "backtracked") == (2, 2)
    assert median_and_iqr(np.array([1.0, np.nan, 3.0, 2.0, np.nan])) == (2.0, 1.0)


def test_what_was_held_out_is_taken_without_the_places_where_nobody_was():
    rows = np.tile([1.0, 2.0, np.nan], (len(SCORE_KINDS), len(FRAME_MODES), 1))
    c = Calibration(
        np.zeros(3, np.int32), np.arange(3) / 24, rows, rows, np.array([[3.0, 1.0], [5.0, np.nan]]),
        np.array([1.5, 0.5]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]]),
    )  # fmt: skip
    assert c.row_reference("online").tolist() == [1, 2]
    assert c.frames_alone("backtracked").tolist() == [1, 2, 3]
    assert c.frames_alone("online").tolist() == [4, 5]
    assert c.tails is c.tails
    assert c.tails.sizes == [2, 1]
    assert c.tails.weights.tolist() == [1.5, 0.5]
    assert calibration([1.0]).frames_alone("online").shape == (0,)


@pytest.mark.parametrize("count", [1, 3])
def test_scores_of_more_or_fewer_parts_than_were_held_out_are_refused(count):
    tails = TailProbabilities.from_scores([np.arange(10.0), np.arange(4.0)], np.ones(2))
    for made_of in (tails.logs, tails.percentiles):
        with pytest.raises(ValueError, match="argument"):
            made_of(np.zeros((count, 5)))
