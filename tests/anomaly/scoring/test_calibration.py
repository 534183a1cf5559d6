import numpy as np
import pytest

from anomaly.scoring.calibration import Calibration, TailProbabilities, percentile, threshold
from anomaly.settings import FRAME_MODES, SCORE_KINDS, CalibrationSettings
from anomaly.training.held_out import split_held_out
from pose_extract.errors import ConfigError, TrainingError
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


@pytest.mark.parametrize("count", [1, 3, 7])
def test_few_clips_lose_their_ends(count):
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=100) for i in range(count)]
    fit, held = split_held_out(clips, 0.2, np.random.default_rng(0))
    assert [len(c.time_s) for c in fit] == [80] * count
    assert [len(c.time_s) for c in held] == [20] * count
    for a, b in zip(fit, held, strict=True):
        assert a.time_s[-1] < b.time_s[0]  # no window of one shares a frame with the other


def test_of_many_clips_whole_ones_are_held_out():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=50) for i in range(10)]
    fit, held = split_held_out(clips, 0.2, np.random.default_rng(0))
    assert len(held) == 2
    assert {c.clip for c in fit} | {c.clip for c in held} == {c.clip for c in clips}
    assert not {c.clip for c in fit} & {c.clip for c in held}
    again = split_held_out(clips, 0.2, np.random.default_rng(0))[1]
    assert [c.clip for c in held] == [c.clip for c in again]


def test_one_giant_clip_is_never_all_that_there_is_to_train_on():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=2000 if i == 3 else 20) for i in range(8)]
    fit, held = split_held_out(clips, 0.5, np.random.default_rng(1))
    assert fit
    assert held


def test_no_clip_is_an_error_that_says_what_to_do():
    with pytest.raises(TrainingError, match="extract"):
        split_held_out([], 0.2, np.random.default_rng(0))


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
