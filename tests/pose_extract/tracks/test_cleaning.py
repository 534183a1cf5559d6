"""Cleaning mends gaps, jitter and outliers without lag, and looks only a stated number of frames around."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_extract.errors import ConfigError
from pose_extract.tracks.cleaning import _outliers, _running_median, _smooth, clean_tracks
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.settings import CleaningSettings
from tests.helpers.generated_people import Walker, true_tracks

FPS = 25.0


def walk(fps: float = FPS, seconds: float = 4.0) -> ClipTracks:
    walkers = [Walker((60, 300), (90, 0)), Walker((600, 250), (-70, 5), 80), Walker((300, 340), (5, 0), 120)]
    return true_tracks(walkers, seconds, fps)


def rows(tracks: ClipTracks, keep: np.ndarray) -> ClipTracks:
    features = None if tracks.features is None else tracks.features[keep]
    return replace(
        tracks,
        frame=tracks.frame[keep],
        track=tracks.track[keep],
        keypoints=tracks.keypoints[keep],
        boxes=tracks.boxes[keep],
        features=features,
    )


def shaken(tracks: ClipTracks, pixels: float, seed: int = 0) -> ClipTracks:
    rng = np.random.default_rng(seed)
    keypoints = tracks.keypoints.copy()
    keypoints[..., :2] += rng.normal(size=keypoints[..., :2].shape) * pixels
    keypoints[..., 2] = rng.uniform(0.3, 1, keypoints.shape[:2])
    return replace(tracks, keypoints=keypoints)


def flawed(seed: int, fps: float = FPS) -> ClipTracks:
    """Jitter, missing rows and joints, NaNs and outliers all over."""
    rng = np.random.default_rng(seed)
    tracks = shaken(walk(fps), 2.0, seed)
    keypoints = tracks.keypoints.copy()
    for chance, value in ((0.05, np.nan), (0.05, 400.0)):
        hit = rng.random(keypoints.shape[:2]) < chance
        keypoints[hit, :2] = value
    keypoints[rng.random(keypoints.shape[:2]) < 0.1, 2] = 0
    tracks = replace(tracks, keypoints=keypoints)
    start = rng.integers(0, len(tracks) - 40, 6)
    keep = rng.random(len(tracks)) > 0.15
    for i in start:
        keep[i : i + rng.integers(1, int(1.6 * fps))] = False
    return rows(tracks, keep)


def error(tracks: ClipTracks, truth: ClipTracks) -> float:
    """Root mean square distance of the joints in pixels."""
    return float(np.sqrt(((tracks.keypoints[..., :2] - truth.keypoints[..., :2]) ** 2).sum(-1).mean()))


def test_jitter_is_halved_without_lag() -> None:
    truth = walk()
    raw = shaken(truth, 2.0)
    clean = clean_tracks(raw, CleaningSettings())
    assert error(clean, truth) < 0.6 * error(raw, truth)
    # A lag would show as a distance along the direction of walking, which has a sign.
    first = truth.track == 1
    along = (clean.keypoints[first, :, 0] - truth.keypoints[first, :, 0]).mean()
    assert abs(along) < 0.2


def test_straight_movement_stays_as_it_is_up_to_both_ends() -> None:
    truth = true_tracks([Walker((60, 300), (90, 0))], 3.0, FPS)
    keypoints = truth.keypoints.copy()
    keypoints[..., :2] = keypoints[0, :, :2] + np.arange(len(truth))[:, None, None] * np.array([3.0, -1.0])
    straight = replace(truth, keypoints=keypoints)
    assert np.allclose(clean_tracks(straight, CleaningSettings()).keypoints, keypoints, atol=1e-2)


def test_a_short_hole_in_a_track_is_filled_and_marked_by_lower_confidence() -> None:
    truth = walk()
    hole = (truth.track == 2) & (truth.frame >= 30) & (truth.frame < 38)
    clean = clean_tracks(rows(truth, ~hole), CleaningSettings())
    assert np.array_equal(clean.frame, truth.frame)
    assert np.array_equal(clean.track, truth.track)
    distance = np.linalg.norm(clean.keypoints[hole, :, :2] - truth.keypoints[hole, :, :2], axis=-1)
    assert distance.max() < 8
    assert np.abs(clean.boxes[hole] - truth.boxes[hole]).max() < 15
    assert np.allclose(clean.keypoints[hole, :, 2], 0.5)
    assert np.allclose(clean.keypoints[~hole, :, 2], 1.0)


def test_a_long_hole_stays_and_nothing_is_smoothed_across_it() -> None:
    truth = walk()
    hole = (truth.track == 2) & (truth.frame >= 30) & (truth.frame < 50)
    broken = rows(truth, ~hole)
    keypoints = broken.keypoints.copy()
    keypoints[(broken.track == 2) & (broken.frame >= 50), :, :2] += 100
    clean = clean_tracks(replace(broken, keypoints=keypoints), CleaningSettings(max_hidden_s=0))
    assert np.array_equal(clean.frame, broken.frame)
    ends = (clean.track == 2) & ((clean.frame == 29) | (clean.frame == 50))
    assert np.abs(clean.keypoints[ends] - keypoints[ends]).max() < 4


def test_people_do_not_mix() -> None:
    truth = flawed(1)
    alone = clean_tracks(rows(truth, truth.track == 2), CleaningSettings())
    together = clean_tracks(truth, CleaningSettings())
    together = rows(together, together.track == 2)
    assert np.array_equal(alone.frame, together.frame)
    assert np.array_equal(alone.keypoints, together.keypoints, equal_nan=True)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_joint_missing_for_a_moment_is_interpolated(value: float) -> None:
    truth = walk()
    keypoints = truth.keypoints.copy()
    gone = (truth.track == 1) & (truth.frame >= 20) & (truth.frame < 26)
    keypoints[gone, 9] = (value, value, 0.0)
    clean = clean_tracks(replace(truth, keypoints=keypoints), CleaningSettings())
    assert np.linalg.norm(clean.keypoints[gone, 9, :2] - truth.keypoints[gone, 9, :2], axis=-1).max() < 8
    assert np.allclose(clean.keypoints[gone, 9, 2], 0.5)


def test_a_joint_that_never_shows_keeps_confidence_zero() -> None:
    truth = walk()
    keypoints = truth.keypoints.copy()
    keypoints[:, 0] = np.nan
    clean = clean_tracks(replace(truth, keypoints=keypoints), CleaningSettings())
    assert (clean.keypoints[:, 0, 2] == 0).all()
    assert np.isfinite(clean.keypoints[:, 1:]).all()


def test_a_joint_that_jumps_away_and_back_is_brought_back() -> None:
    truth = walk()
    keypoints = truth.keypoints.copy()
    jump = (truth.track == 1) & np.isin(truth.frame, (20, 21, 60))
    keypoints[jump, 10, :2] += (60, -40)
    raw = replace(truth, keypoints=keypoints)
    clean = clean_tracks(raw, CleaningSettings())
    assert np.linalg.norm(clean.keypoints[jump, 10, :2] - truth.keypoints[jump, 10, :2], axis=-1).max() < 8
    kept = clean_tracks(raw, CleaningSettings(outlier_distance=0))
    assert np.linalg.norm(kept.keypoints[jump, 10, :2] - truth.keypoints[jump, 10, :2], axis=-1).max() > 20


def test_fast_swinging_feet_are_no_outliers() -> None:
    truth = walk(fps=10)
    clean = clean_tracks(truth, CleaningSettings(smooth_s=0))
    assert np.allclose(clean.keypoints, truth.keypoints, atol=1e-3)


def test_a_joint_that_swings_wider_than_an_outlier_is_none_and_one_that_jumps_as_far_is() -> None:
    """Outliers are 0.15 of the box off, 15 px. This wrist swings 24 px to both sides, five frames a way."""
    truth = true_tracks([Walker((300, 300), (0, 0), 100)], 4.0, FPS)
    keypoints = truth.keypoints.copy()
    swing = 24 * np.sin(2 * np.pi * np.arange(len(truth)) / 10)
    keypoints[:, 9, 0] = 300 + swing
    options = CleaningSettings(smooth_s=0)
    radius = options.outlier_frames(FPS)
    off = np.abs(
        swing - np.array([np.median(swing[max(0, i - radius) : i + radius + 1]) for i in range(100)])
    )
    side = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max()
    assert (
        off[10:-10] > options.outlier_distance * side
    ).any()  # further than the limit without its own movement
    swinging = replace(truth, keypoints=keypoints)
    np.testing.assert_allclose(clean_tracks(swinging, options).keypoints, keypoints, atol=1e-3)
    still = replace(truth, keypoints=truth.keypoints.copy())
    still.keypoints[50, 9, 0] += off.max()
    cleaned = clean_tracks(still, options).keypoints
    assert abs(cleaned[50, 9, 0] - truth.keypoints[50, 9, 0]) < 3


@pytest.mark.parametrize("gap", [0, 3])
def test_a_gap_of_just_more_than_is_filled_parts_a_track_in_two(gap: int) -> None:
    truth = true_tracks([Walker((60, 300), (90, 0))], 3.0, FPS)
    options = CleaningSettings(max_gap_s=gap / FPS, max_hidden_s=0, outlier_distance=0)
    for missing in (gap, gap + 1):
        hole = (truth.frame >= 30) & (truth.frame < 30 + missing)
        keypoints = truth.keypoints.copy()
        keypoints[truth.frame >= 30, :, :2] += 80
        raw = rows(replace(truth, keypoints=keypoints), ~hole)
        clean = clean_tracks(raw, options)
        assert len(clean) == len(raw) + (missing if missing == gap else 0)
        before, alone = clean.frame < 30, rows(raw, raw.frame < 30)
        apart = np.array_equal(clean.keypoints[before], clean_tracks(alone, options).keypoints)
        assert apart == (missing > gap)  # what is beyond a longer gap does not pull


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0, 60.0])
def test_a_slice_with_the_stated_margin_equals_the_slice_of_the_whole(fps: float) -> None:
    options = CleaningSettings()
    margin = options.context_frames(fps)
    for seed in range(5):
        raw = flawed(seed, fps)
        whole = clean_tracks(raw, options)
        first, last = int(1.0 * fps), int(2.5 * fps)
        part = clean_tracks(rows(raw, (raw.frame >= first - margin) & (raw.frame < last + margin)), options)
        a = rows(whole, (whole.frame >= first) & (whole.frame < last))
        b = rows(part, (part.frame >= first) & (part.frame < last))
        assert len(a) > 0
        assert np.array_equal(a.frame, b.frame)
        assert np.array_equal(a.track, b.track)
        assert np.array_equal(a.keypoints, b.keypoints, equal_nan=True)
        assert np.array_equal(a.boxes, b.boxes)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gap=st.floats(0, 1),
    window=st.floats(0, 0.4),
    outlier=st.sampled_from([0.0, 0.05, 0.3]),
    smooth=st.floats(0, 0.2),
    hidden=st.sampled_from([0.0, 0.0, 0.2, 2.0]),
    middle=st.integers(10, 90),
)
def test_the_stated_margin_is_enough_for_any_settings(
    seed: int, gap: float, window: float, outlier: float, smooth: float, hidden: float, middle: int
) -> None:
    options = CleaningSettings(
        max_gap_s=gap, max_hidden_s=hidden, outlier_window_s=window, outlier_distance=outlier, smooth_s=smooth
    )
    margin = options.context_frames(FPS)
    raw = flawed(seed)
    whole = clean_tracks(raw, options)
    part = clean_tracks(rows(raw, np.abs(raw.frame - middle) <= margin), options)
    a, b = rows(whole, whole.frame == middle), rows(part, part.frame == middle)
    assert np.array_equal(a.track, b.track)
    assert np.array_equal(a.keypoints, b.keypoints, equal_nan=True)


def test_the_stated_margin_is_that_of_smoothing_of_a_gap_and_of_two_medians() -> None:
    options = CleaningSettings(max_gap_s=0.12, max_hidden_s=0.0, outlier_window_s=0.08, smooth_s=0.04)
    assert (options.smoothing_frames(FPS), options.gap_frames(FPS), options.outlier_frames(FPS)) == (2, 3, 2)
    assert options.context_frames(FPS) == 2 + 3 + 1 + 2 * 2 + 3 + 1
    assert replace(options, max_hidden_s=0.4).context_frames(FPS) == 2 + 3 + 1 + 2 * 2 + 10 + 1
    assert replace(options, outlier_distance=0).context_frames(FPS) == 2 + 3 + 1 + 3 + 1
    assert replace(options, enabled=False).context_frames(FPS) == 0


def test_rows_come_out_by_frame_then_track_and_the_input_is_untouched() -> None:
    raw = flawed(3)
    before = raw.keypoints.copy()
    clean = clean_tracks(raw, CleaningSettings())
    assert np.array_equal(np.lexsort((clean.track, clean.frame)), np.arange(len(clean)))
    assert np.array_equal(raw.keypoints, before, equal_nan=True)
    assert len(clean) > len(raw)


def test_three_dimensions_and_features_go_along() -> None:
    truth = walk()
    depth = truth.keypoints[..., :1] * 0.5
    keypoints = np.concatenate([truth.keypoints[..., :2], depth, truth.keypoints[..., 2:]], -1)
    features = np.repeat(truth.frame[:, None, None], 17, 1).astype(np.float32)
    hole = (truth.track == 2) & (truth.frame == 30)
    clean = clean_tracks(
        rows(replace(truth, keypoints=keypoints, features=features), ~hole), CleaningSettings()
    )
    assert np.allclose(clean.keypoints[..., 2], clean.keypoints[..., 0] * 0.5, atol=0.1)
    assert isinstance(clean.features, FeatureRows)  # not read before somebody asks
    added = clean.frame == 30
    assert np.array_equal(clean.features.read()[~added, 0, 0], clean.frame[~added])
    assert set(clean.features[added].read()[:, 0, 0]) == {30, 31}  # the added row has the next frame's


def test_features_stay_as_they_are_and_are_made_up_only_where_rows_are() -> None:
    truth = walk()
    values = np.random.default_rng(0).normal(size=(len(truth), 17, 3)).astype(np.float16)
    values[0, 0, 0] = np.nan
    missing = (truth.track == 1) & (truth.frame == 30)
    missing |= (
        (truth.track == 2) & (truth.frame >= 30) & (truth.frame < 30 + round(1.0 * truth.fps))
    )  # hidden
    given = rows(replace(truth, features=values), ~missing)
    clean = clean_tracks(given, CleaningSettings())
    assert isinstance(clean.features, FeatureRows)
    assert clean.features.dtype == np.float16
    assert len(clean) == len(truth)
    found = clean.features.read()
    np.testing.assert_array_equal(found[~missing], values[~missing])
    np.testing.assert_array_equal(found[missing][0], values[truth.frame == 31][0])
    assert np.isfinite(found[missing]).all()


def test_nobody_and_switched_off_change_nothing() -> None:
    truth = flawed(5)
    nobody = rows(truth, np.zeros(len(truth), bool))
    assert len(clean_tracks(nobody, CleaningSettings())) == 0
    off = CleaningSettings(enabled=False)
    assert clean_tracks(truth, off) is truth
    assert off.context_frames(FPS) == 0


def test_a_track_of_one_row_survives() -> None:
    one = rows(walk(), np.arange(300) == 7)
    assert np.allclose(clean_tracks(one, CleaningSettings()).keypoints, one.keypoints)


def test_settings_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"cleaning\.max_gap_s.*-1"):
        CleaningSettings(max_gap_s=-1)
    with pytest.raises(ConfigError, match=r"cleaning\.min_confidence.*2"):
        CleaningSettings(min_confidence=2)


def test_rows_that_are_added_have_every_joint_that_the_rows_around_them_have() -> None:
    truth = walk()
    keypoints = truth.keypoints.copy()
    keypoints[:, 9, 2] = 0.05  # never sure of it
    hole = (truth.track == 2) & (truth.frame >= 30) & (truth.frame < 38)
    clean = clean_tracks(rows(replace(truth, keypoints=keypoints), ~hole), CleaningSettings())
    assert np.array_equal(clean.frame, truth.frame)
    assert np.isfinite(clean.keypoints).all()
    assert np.linalg.norm(clean.keypoints[hole, 9, :2] - truth.keypoints[hole, 9, :2], axis=-1).max() < 10
    assert np.allclose(clean.keypoints[hole, 9, 2], 0.025)


def test_people_found_again_get_the_boxes_of_the_time_they_were_hidden_and_no_joints() -> None:
    truth = walk()
    hole = (truth.track == 2) & (truth.frame >= 30) & (truth.frame < 50)
    clean = clean_tracks(rows(truth, ~hole), CleaningSettings(max_hidden_s=1.0))
    hidden = (clean.track == 2) & (clean.frame >= 30) & (clean.frame < 50)
    assert hidden.sum() == 20
    assert np.all(clean.keypoints[hidden, :, 2] == 0)
    assert np.all(clean.keypoints[~hidden, :, 2] > 0)
    known = (truth.track == 2) & np.isin(truth.frame, [29, 50])
    first, last = truth.boxes[known]
    expected = first + np.linspace(0, 1, 22)[1:-1, None] * (last - first)
    np.testing.assert_allclose(clean.boxes[hidden], expected, atol=1e-3)
    assert np.all(np.diff(clean.frame) >= 0)
    longer = clean_tracks(rows(truth, ~hole), CleaningSettings(max_hidden_s=0.7))
    assert len(longer) == len(clean) - 20


def test_somebody_whose_joints_are_not_seen_for_long_stays_here_without_joints() -> None:
    truth = walk(seconds=6.0)
    mine = np.flatnonzero((truth.track == 1) & (truth.frame >= 30) & (truth.frame < 90))
    keypoints = truth.keypoints.copy()
    keypoints[mine, :, 2] = 0
    keypoints[mine, :, :2] = ((truth.boxes[mine, :2] + truth.boxes[mine, 2:]) / 2)[:, None]
    clean = clean_tracks(replace(truth, keypoints=keypoints), CleaningSettings())
    assert len(clean) == len(truth)
    assert not clean.keypoints[mine, :, 2].any()
    before = np.flatnonzero((truth.track == 1) & (truth.frame < 30))
    np.testing.assert_allclose(clean.keypoints[before, :, :2], truth.keypoints[before, :, :2], atol=2)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_the_running_median_is_that_of_the_values_around_without_those_that_are_missing(radius: int) -> None:
    rng = np.random.default_rng(radius)
    values = rng.normal(size=(23, 3, 2)).astype(np.float32)
    values[rng.random((23, 3)) < 0.4] = np.nan
    values[3:16, 2] = np.nan
    found = _running_median(values, radius)
    for entry in range(23):
        for joint in range(3):
            near = values[max(0, entry - radius) : entry + radius + 1, joint]
            near = near[np.isfinite(near[:, 0])]
            expected = np.median(near, axis=0) if len(near) else [np.nan] * 2
            np.testing.assert_allclose(found[entry, joint], expected, rtol=1e-6)


def test_smoothing_is_a_weighted_straight_line_through_the_values_around() -> None:
    rng, options = np.random.default_rng(0), CleaningSettings(smooth_s=0.08)
    dense, weight = rng.normal(size=(15, 2, 2)), rng.uniform(0.1, 1, (15, 2))
    weight[rng.random((15, 2)) < 0.3] = 0
    radius = options.smoothing_frames(FPS)
    assert radius == 5
    found = _smooth(dense, weight, options, FPS)
    for entry in range(15):
        for joint in range(2):
            near = np.arange(max(0, entry - radius), min(15, entry + radius + 1))
            w = weight[near, joint] * np.exp(-0.5 * ((near - entry) / (0.08 * FPS)) ** 2)
            near, w = near[w > 0], w[w > 0]
            if len(near) < 2:
                continue
            for axis in range(2):
                line = np.polyfit(near - entry, dense[near, joint, axis], 1, w=np.sqrt(w))
                assert found[entry, joint, axis] == pytest.approx(line[1], abs=1e-9)
    alone = np.zeros((15, 1))
    alone[7] = 0.5
    assert _smooth(dense[:, :1], alone, options, FPS)[5, 0] == pytest.approx(dense[7, 0])


def test_joints_that_nobody_is_sure_of_are_smoothed_too_and_weigh_little_beside_others() -> None:
    truth = true_tracks([Walker((300, 300), (0, 0), 100)], 2.0, FPS)
    keypoints = truth.keypoints.copy()
    shake = 10.0 * (-1.0) ** np.arange(len(truth))
    keypoints[:, 9, 0] += shake
    keypoints[:, 9, 2] = 0.0  # never found, but said to be there
    keypoints[20:23, 10, 0] += 40
    keypoints[20:23, 10, 2] = 0.05
    clean = clean_tracks(
        replace(truth, keypoints=keypoints), CleaningSettings(max_gap_s=0, outlier_distance=0)
    )
    assert np.abs(clean.keypoints[5:-5, 9, 0] - truth.keypoints[5:-5, 9, 0]).max() < 4
    assert (clean.keypoints[:, 9, 2] == 0).all()
    assert np.abs(clean.keypoints[[19, 23], 10, 0] - truth.keypoints[[19, 23], 10, 0]).max() < 2


@pytest.mark.parametrize(("missing", "filled"), [(4, True), (5, False)])
def test_a_joint_is_filled_over_as_many_frames_as_a_gap_may_have_and_not_beyond_the_ends(
    missing: int, filled: bool
) -> None:
    truth = walk()
    keypoints = truth.keypoints.copy()
    first = truth.track == 1
    gone = first & (truth.frame >= 20) & (truth.frame < 20 + missing)
    ends = first & ((truth.frame < 3) | (truth.frame >= truth.frame.max() - 2))
    keypoints[gone | ends, 9] = (0, 0, 0)
    clean = clean_tracks(replace(truth, keypoints=keypoints), CleaningSettings(max_gap_s=4 / FPS, smooth_s=0))
    assert (clean.keypoints[gone, 9, 2] == (0.5 if filled else 0)).all()
    assert (clean.keypoints[ends, 9, 2] == 0).all()
    if filled:
        before, after = (keypoints[first & (truth.frame == f), 9, :2][0] for f in (19, 24))
        share = np.arange(1, 5)[:, None] / 5
        np.testing.assert_allclose(clean.keypoints[gone, 9, :2], before + share * (after - before), atol=1e-3)


def test_after_a_hole_in_the_clip_s_time_people_are_mended_in_their_own_frames() -> None:
    truth = walk()
    time_s = truth.time_s + np.where(np.arange(truth.frame_count) >= 40, 600.0, 0.0)
    hidden = (truth.track == 2) & (truth.frame >= 60) & (truth.frame < 80)
    across = (truth.track == 1) & (truth.frame >= 38) & (truth.frame < 42)
    clean = clean_tracks(
        rows(replace(truth, time_s=time_s), ~(hidden | across)), CleaningSettings(smooth_s=0)
    )
    assert sorted(clean.frame[clean.track == 2]) == list(range(100))
    assert np.array_equal(
        np.unique(clean.frame[clean.track == 1]), np.unique(truth.frame[(truth.track == 1) & ~across])
    )
    second = clean.track == 2
    wanted = truth.boxes[truth.track == 2][clean.frame[second]]
    assert np.abs(clean.boxes[second] - wanted).max() < 15


@pytest.mark.parametrize("seed", range(3))
def test_outliers_are_further_from_their_median_than_a_share_of_the_box_and_than_three_times_the_usual(
    seed: int,
) -> None:
    rng, options = np.random.default_rng(seed), CleaningSettings(outlier_window_s=0.12, outlier_distance=0.15)
    radius = options.outlier_frames(FPS)
    assert radius == 3
    dense = np.cumsum(rng.normal(size=(60, 4, 2)), axis=0) + rng.normal(size=(60, 4, 2)) * [
        [0.5],
        [2.0],
        [5.0],
        [9.0],
    ]
    dense += 40 * (rng.random((60, 4, 1)) < 0.1)
    found, side = rng.random((60, 4)) < 0.8, rng.uniform(20, 120, 60)
    values = np.where(found[..., None], dense, np.nan).astype(np.float32)
    around = [slice(max(0, i - radius), i + radius + 1) for i in range(60)]
    with np.errstate(invalid="ignore"):
        off = np.array(
            [
                [np.linalg.norm(values[i, j] - _median(values[around[i], j])) for j in range(4)]
                for i in range(60)
            ]
        )
        usual = np.array([[_median(off[around[i], j, None])[0] for j in range(4)] for i in range(60)])
        expected = off > np.maximum(0.15 * side[:, None], 3 * usual)
    assert 3 <= expected.sum() <= 40
    np.testing.assert_array_equal(_outliers(dense, found, side, options, FPS), expected)


def _median(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values).all(axis=1)]
    return np.median(known, axis=0) if len(known) else np.full(values.shape[1], np.nan)


@pytest.mark.parametrize(("missing", "filled"), [(3, True), (4, False)])
def test_a_joint_is_filled_over_exactly_the_longest_gap_and_no_further(missing: int, filled: bool) -> None:
    truth = true_tracks([Walker((60, 300), (90, 0))], 3.0, FPS)
    keypoints = truth.keypoints.copy()
    gone = slice(30, 30 + missing)
    keypoints[gone, 9] = (5.0, 5.0, 0.0)
    options = CleaningSettings(max_gap_s=3 / FPS, smooth_s=0, outlier_distance=0)
    clean = clean_tracks(replace(truth, keypoints=keypoints), options).keypoints
    assert (clean[gone, 9, 2] == (0.5 if filled else 0)).all()
    if filled:
        line = np.linspace(truth.keypoints[29, 9, :2], truth.keypoints[30 + missing, 9, :2], missing + 2)[
            1:-1
        ]
        np.testing.assert_allclose(clean[gone, 9, :2], line, atol=1e-3)
    for ends in (slice(0, 2), slice(-2, None)):  # at a track's ends nothing lies on the other side
        keypoints = truth.keypoints.copy()
        keypoints[ends, 9] = (5.0, 5.0, 0.0)
        assert (clean_tracks(replace(truth, keypoints=keypoints), options).keypoints[ends, 9, 2] == 0).all()


def test_who_is_hidden_after_a_hole_in_the_clip_s_time_is_there_at_the_right_frames_and_nobody_in_the_hole() -> (
    None
):
    truth = true_tracks([Walker((100, 300), (40, 0))], 6.0, FPS)
    time_s = truth.time_s + 100.0 * (truth.frame > 40) + 100.0 * (truth.frame > 90)
    hidden = ((truth.frame >= 60) & (truth.frame < 80)) | ((truth.frame >= 100) & (truth.frame < 120))
    around = (truth.frame > 35) & (truth.frame < 46)  # nobody around the first hole
    given = rows(replace(truth, time_s=time_s), ~hidden & ~around)
    clean = clean_tracks(given, CleaningSettings(max_hidden_s=1.0, smooth_s=0))
    assert clean.frame.tolist() == truth.frame[~around].tolist()
    np.testing.assert_allclose(clean.boxes, truth.boxes[~around], atol=10)  # which swing with the limbs
    assert clean.frame[(clean.keypoints[..., 2] == 0).all(1)].tolist() == [*range(60, 80), *range(100, 120)]


@pytest.mark.parametrize("seed", range(2))
def test_long_clips_are_cleaned_in_blocks_as_in_one_piece(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = flawed(seed)
    repeated = 10  # 4,000 entries of the common time axis: two blocks
    long = replace(
        raw,
        time_s=np.arange(raw.frame_count * repeated) / FPS,
        frame=np.concatenate([raw.frame + i * raw.frame_count for i in range(repeated)]).astype(np.int32),
        track=np.concatenate([raw.track + i * 10 for i in range(repeated)]).astype(np.int32),
        keypoints=np.concatenate([raw.keypoints] * repeated),
        boxes=np.concatenate([raw.boxes] * repeated),
    )
    alone, together = clean_tracks(raw, CleaningSettings()), clean_tracks(long, CleaningSettings())
    np.testing.assert_array_equal(together.keypoints, np.concatenate([alone.keypoints] * repeated))
