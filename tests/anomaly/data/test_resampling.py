"""Resampling: which rows belong together, and where on the model's grid they lie."""

from dataclasses import replace

import numpy as np
import pytest

from anomaly.data.resampling import (
    GrowingArray,
    forward,
    interpolate,
    nearest_rows,
    person_tracks,
    resampled_segments,
    slowest_rate,
)
from anomaly.data.windows import make_windows
from anomaly.settings import WindowSettings
from tests.helpers import walkers

SETTINGS = WindowSettings(skeleton="coco17", features="xy")


def joints(at, slope=1.0):
    """(n, 1, 3) one joint that moves right by ``slope`` a grid step, seen with confidence 0.8."""
    at = np.asarray(at, float)
    return np.stack([slope * at, np.full(len(at), 7.0), np.full(len(at), 0.8)], axis=1)[:, None]


def segments(at, frames=None, settings=SETTINGS, points=None):
    """Pieces of a track whose rows lie at ``at`` grid steps, as (first grid frame, last, missing grid frames)."""
    at = np.asarray(at, float)
    frames = np.arange(len(at)) if frames is None else np.asarray(frames)
    points = joints(at) if points is None else points
    found = resampled_segments(frames.astype(np.int32), at / settings.fps, points, settings)
    return [(int(grid[0]), int(grid[-1]), grid[gone].tolist()) for grid, _, gone in found]


def two_runs(pause_s, skipped=0):
    """Rows of two runs of 20 grid steps, the second ``pause_s`` after the first; ``skipped`` frames lie between."""
    at = np.concatenate([np.arange(20.0), 19 + 24 * pause_s + np.arange(20.0)])
    return at, np.concatenate([np.arange(20), 20 + skipped + np.arange(20)])


def test_consecutive_frames_a_quarter_of_a_second_apart_are_no_hole_and_a_little_more_is_one():
    assert [s[:2] for s in segments(*two_runs(0.25))] == [(0, 44)]
    at, frames = two_runs(0.3)
    assert [s[:2] for s in segments(at, frames)] == [(0, 19), (26, 45)]


def test_a_skipped_frame_is_a_hole_only_where_it_lasts_longer_than_what_may_be_missing():
    assert [s[:2] for s in segments(*two_runs(4 / 24, skipped=3))] == [(0, 42)]
    assert [s[:2] for s in segments(*two_runs(4.1 / 24, skipped=3))] == [(0, 19), (23, 42)]


def test_grid_frames_are_missing_where_the_track_skips_frames_and_none_is_within_half_a_step():
    at = np.concatenate([np.arange(20.0), 23.0 + np.arange(20)])
    assert segments(at, np.concatenate([np.arange(20), 23 + np.arange(20)])) == [(0, 42, [20, 21, 22])]
    assert segments(at) == [(0, 42, [])]  # no frame of the clip lies between: nothing was missed
    at = np.concatenate([np.arange(20.0), 21.5 + np.arange(20)])
    assert segments(at, np.concatenate([np.arange(20), 23 + np.arange(20)])) == [
        (0, 40, [20])
    ]  # 21 is near enough


def test_a_window_goes_across_exactly_as_many_missing_frames_as_may_be_missing():
    """30 fps: three frames gone leave a hole of 3.2 grid steps, with two grid frames that nothing is near."""
    keep = np.ones(60, bool)
    keep[25:28] = False
    clip = walkers.clip(people=1, frames=60, fps=30.0)
    points = clip.keypoints.reshape(60, 1, 17, 3)
    windows = make_windows(
        walkers.from_array(points, clip.time_s, 30.0, keep=keep[:, None]), WindowSettings(max_missing=2), 1
    )
    hole = 24 * 26 / 30
    across = (windows.first < hole - 2) & (windows.first + 11 > hole + 2)
    assert across.sum() >= 6


def test_the_grid_reaches_half_a_step_beyond_the_first_and_the_last_row():
    assert segments(np.arange(14) + 0.5) == [(0, 13, [])]
    assert segments(np.arange(14) + 0.51)[0][0] == 1
    assert segments(np.arange(14) + 0.49) == [(0, 13, [])]


def test_pieces_shorter_than_a_window_are_left_out_or_get_frames_without_joints_before_them():
    at = np.arange(6.0)
    assert segments(at) == []
    short = replace(SETTINGS, shortest=6)
    ((grid, values, gone),) = resampled_segments(np.arange(6, dtype=np.int32), at / 24, joints(at), short)
    assert grid.tolist() == list(range(-6, 6))
    assert not gone.any()
    assert np.isnan(values[:6, 0, :2]).all()
    assert (values[:6, 0, 2] == 0).all()
    np.testing.assert_allclose(values[6:], joints(at))
    assert segments(at, settings=replace(SETTINGS, shortest=7)) == []
    assert segments([3.0], settings=replace(SETTINGS, shortest=2)) == []


def test_rows_whose_time_does_not_move_on_are_left_out():
    assert forward(np.array([0.0, 1.0, 1.0, 0.5, 2.0])).tolist() == [True, True, False, False, True]
    assert forward(np.array([0.0, 1e-6, 3e-6])).tolist() == [True, False, True]
    assert segments(np.repeat(np.arange(14.0), 2)) == [(0, 13, [])]


def test_between_two_frames_lies_the_straight_line_and_of_a_joint_seen_once_the_nearer_frame():
    at = np.array([0.0, 2.0, 4.0])
    points = joints(at, slope=10)
    points[2, 0] = (np.nan, np.nan, 0)
    out, before = interpolate(at, points, np.array([0.5, 1.0, 2.9, 3.0, 3.5]))
    assert before.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(out[:3, 0], [[5, 7, 0.8], [10, 7, 0.8], [20, 7, 0.8]])
    assert np.isnan(out[3:, 0, :2]).all()  # halfway, the later one
    assert (out[3:, 0, 2] == 0).all()


def test_confidence_stays_between_0_and_1_beyond_the_ends():
    points = joints([0, 1])
    points[:, 0, 2] = (0.2, 0.9)
    out, _ = interpolate(np.array([0.0, 1.0]), points, np.array([-0.5, 1.5]))
    np.testing.assert_allclose(out[:, 0, 2], [0, 1])


def test_the_nearest_row_is_the_later_one_of_two_as_near():
    at = np.array([0.0, 1.0, 5.0])
    assert nearest_rows(at, np.array([-3, 0, 1, 2, 3, 4, 9])).tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert nearest_rows(np.array([4.0]), np.array([0, 4, 9])).tolist() == [0, 0, 0]
    assert nearest_rows(np.array([0.0, 3.0, 2.0, 4.0]), np.array([2, 4])).tolist() == [
        1,
        3,
    ]  # times that go back


def test_each_person_s_rows_come_in_order_of_time_one_a_frame_and_without_joints_that_are_not_seen():
    clip = walkers.clip(people=2, frames=5)
    keypoints = clip.keypoints.copy()
    keypoints[0, 3] = (1.0, np.nan, 0.9)
    keypoints[0, 4, 2] = 0
    keypoints[2, 5, 2] = 0.3
    order = np.lexsort(
        (np.random.default_rng(0).random(len(clip)), clip.frame)
    )  # people in any order within a frame
    mixed = replace(clip, track=clip.track[order], keypoints=keypoints[order], boxes=clip.boxes[order])
    assert (np.diff(mixed.track)[::2] != 1).any()
    found = list(person_tracks(mixed, mixed.keypoints, replace(SETTINGS, min_confidence=0.4)))
    assert [track for track, _, _ in found] == [1, 2]
    for track, rows, points in found:
        assert mixed.frame[rows].tolist() == [0, 1, 2, 3, 4]
        assert (mixed.track[rows] == track).all()
        assert points.shape == (5, 17, 3)
    first = found[0][2]
    assert np.isnan(first[0, [3, 4], :2]).all()
    assert (first[0, [3, 4], 2] == 0).all()
    assert np.isnan(first[1, 5, :2]).all()
    assert np.isnan(first).any(axis=2).sum() == 3


def test_a_second_row_of_a_person_in_a_frame_and_rows_of_too_few_joints_are_left_out():
    clip = walkers.clip(people=1, frames=5)
    doubled = replace(
        clip,
        frame=np.repeat(clip.frame, 2),
        track=np.repeat(clip.track, 2),
        keypoints=np.repeat(clip.keypoints, 2, axis=0),
        boxes=np.repeat(clip.boxes, 2, axis=0),
    )
    ((_, rows, _),) = person_tracks(doubled, doubled.keypoints, SETTINGS)
    assert rows.tolist() == [0, 2, 4, 6, 8]
    few = clip.keypoints.copy()
    few[1, 3:, 2] = 0
    few[2, 2:, 2] = 0
    ((_, rows, _),) = person_tracks(clip, few, replace(SETTINGS, min_joints=3))
    assert rows.tolist() == [0, 1, 3, 4]


def test_nobody_gives_no_track():
    clip = walkers.clip(people=1, frames=5)
    assert list(person_tracks(clip, np.zeros_like(clip.keypoints), SETTINGS)) == []


@pytest.mark.parametrize("sizes", [(3,), (1, 1, 1, 1, 1), (0, 7, 0, 2)])
def test_a_growing_array_holds_what_was_put_into_it_and_knows_how_much(sizes):
    pile, rng = GrowingArray((2,), np.float32), np.random.default_rng(0)
    parts = [rng.random((size, 2)).astype(np.float32) for size in sizes]
    for part in parts:
        pile.add(part)
    assert len(pile) == sum(sizes)
    out = pile.array()
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.concatenate(parts))


@pytest.mark.parametrize(
    ("max_missing", "fps", "rate"), [(2, 24, 4.0), (4, 24, 4.0), (10, 24, 2.0), (10, 48, 4.0)]
)
def test_the_slowest_rate_is_four_frames_a_second_or_what_windows_may_miss(max_missing, fps, rate):
    assert slowest_rate(replace(SETTINGS, max_missing=max_missing, fps=fps)) == pytest.approx(rate)


def test_a_joint_of_exactly_the_least_confidence_is_seen_and_one_of_confidence_0_never_is():
    clip = walkers.clip(people=1, frames=3)
    keypoints = clip.keypoints.copy()
    keypoints[0, 1, 2], keypoints[0, 2, 2] = 0.25, 0.24
    for least, unseen in ((0.25, [2]), (0.0, [])):
        ((_, _, points),) = person_tracks(clip, keypoints, replace(SETTINGS, min_confidence=least))
        assert np.flatnonzero(np.isnan(points[0, :, 0])).tolist() == unseen
    keypoints[0, 3, 2] = 0
    ((_, _, points),) = person_tracks(clip, keypoints, replace(SETTINGS, min_confidence=0.0))
    assert np.flatnonzero(np.isnan(points[0, :, 1])).tolist() == [3]
