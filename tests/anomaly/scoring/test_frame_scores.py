"""Windows' scores become people's and frames': each row by hand or by a plain loop."""

from fractions import Fraction

import numpy as np
import pytest

from anomaly.data.windows import View, Windows
from anomaly.scoring.frame_scores import NOBODY, frame_scores, nearest_frame, row_scores
from anomaly.settings import FRAME_MODES, WindowSettings
from pose_extract.tracks.records import cut_frames
from tests.helpers import walkers


def windows(firsts, track=1, length=12, fps=24.0, partner=0, whole=False):
    """Windows that only row scores look at."""
    count = len(firsts)
    settings = WindowSettings(frames=length, fps=fps, extent="clip" if whole else "sliding")
    return Windows(
        settings,
        np.zeros((length, 18, 3), np.float32),
        np.zeros(count, np.int64),
        np.broadcast_to(np.array(track, np.int32), count),
        np.asarray(firsts),
        np.broadcast_to(np.array(partner, np.int32), count),
        np.zeros(count, np.int32),
        (View(640, 360, ""),),
        np.zeros((count, 2)) if whole else None,
    )


def every_window(frames, fps, of_video, length=12):
    """Windows of one person at every grid frame of a clip of so many frames, and their scores 0, 1, 2, ..."""
    last = int(Fraction(frames - 1) * Fraction(fps) / Fraction(of_video))
    made = windows(np.arange(last - length + 2), length=length, fps=fps)
    return made, np.arange(float(len(made)))


@pytest.mark.parametrize(("fps", "of_video"), [(25, 25), (30, 30), (24, 25), (24, 30), (24, 60), (24, 12)])
def test_online_a_frame_has_the_last_window_that_had_ended_by_then(fps, of_video):
    frames = 400
    made, anomaly = every_window(frames, fps, of_video)
    clip = walkers.clip(people=1, frames=frames, fps=float(of_video))
    rows = row_scores(made, anomaly, clip, "online", stride=1)
    expected = np.full(frames, np.nan)
    for frame in range(frames):
        at = Fraction(frame * fps, of_video)
        ended = [i for i in range(len(made)) if made.first[i] + 11 <= at]
        if ended and at - (made.first[ended[-1]] + 11) < 1:
            expected[frame] = anomaly[ended[-1]]
    np.testing.assert_array_equal(rows, expected)
    assert np.isfinite(rows).mean() > 0.9


def test_online_a_score_holds_until_the_next_window_is_due():
    clip = walkers.clip(people=1, frames=60)
    made, anomaly = windows([0, 4, 8]), np.array([1.0, 2.0, 3.0])
    expected = np.full(60, np.nan)
    expected[11:15], expected[15:19], expected[19:23] = 1.0, 2.0, 3.0
    np.testing.assert_array_equal(row_scores(made, anomaly, clip, "online", stride=4), expected)
    expected[[12, 13, 14, 16, 17, 18, 20, 21, 22]] = np.nan
    np.testing.assert_array_equal(row_scores(made, anomaly, clip, "online"), expected)


def test_online_nobody_gets_the_score_of_who_is_before_in_the_list():
    clip = walkers.clip(people=3, frames=40)
    made = windows([0, 0, 20], track=[1, 3, 3])
    rows = row_scores(made, np.array([1.0, 2.0, 4.0]), clip, "online", stride=40)
    assert np.isnan(rows[clip.track == 2]).all()
    third = rows[clip.track == 3]
    assert np.isnan(third[:11]).all()
    assert set(third[11:31]) == {2.0}
    assert set(third[31:]) == {4.0}
    assert set(rows[clip.track == 1][11:]) == {1.0}


@pytest.mark.parametrize("mode", FRAME_MODES)
def test_a_part_of_a_clip_that_begins_late_and_people_whose_ids_are_above_all_windows(mode):
    clip = walkers.clip(people=3, frames=60, time_s=100 + np.arange(60) / 24)
    made = windows([2405, 2440, 2402], track=[1, 1, 2])
    rows = row_scores(made, np.array([1.0, 2.0, 3.0]), clip, mode, stride=5)
    expected = np.full((3, 60), np.nan)
    for who, first, score in ((0, 5, 1.0), (0, 40, 2.0), (1, 2, 3.0)):
        begin, end = (first, first + 12) if mode == "backtracked" else (first + 11, first + 16)
        expected[who, begin:end] = score
    for who in range(3):
        np.testing.assert_array_equal(rows[clip.track == who + 1], expected[who])


@pytest.mark.parametrize(("fps", "of_video"), [(24, 24), (24, 25), (24, 30), (24, 60), (24, 12)])
def test_backtracked_a_frame_has_the_mean_of_the_windows_that_cover_the_nearest_grid_frame(fps, of_video):
    frames = 150
    made, anomaly = every_window(frames, fps, of_video)
    keep = np.arange(len(made)) % 20 < 3  # some, with frames between that none covers
    made, anomaly = made.pick(np.flatnonzero(keep)), anomaly[keep] ** 2
    clip = walkers.clip(people=1, frames=frames, fps=float(of_video))
    rows = row_scores(made, anomaly, clip, "backtracked")
    for frame in range(frames):
        at = Fraction(frame * fps, of_video)
        nearest = -((-(at - Fraction(1, 2))) // 1)  # of two as near, the earlier
        covering = (made.first <= int(nearest)) & (int(nearest) <= made.first + 11)
        if covering.any():
            np.testing.assert_allclose(rows[frame], anomaly[covering].mean(), rtol=1e-12)
        else:
            assert np.isnan(rows[frame])
    assert np.isnan(rows).any()
    assert np.isfinite(rows).any()


def test_backtracked_people_have_their_own_windows_wherever_those_begin():
    clip = walkers.clip(people=4, frames=80)
    made = windows([30, 3, 50, 7], track=[1, 2, 2, 4])
    rows = row_scores(made, np.array([1.0, 2.0, 3.0, 4.0]), clip, "backtracked")
    expected = {1: {1.0: (30, 42)}, 2: {2.0: (3, 15), 3.0: (50, 62)}, 3: {}, 4: {4.0: (7, 19)}}
    for track, spans in expected.items():
        want = np.full(80, np.nan)
        for score, (begin, end) in spans.items():
            want[begin:end] = score
        np.testing.assert_array_equal(rows[clip.track == track], want)


@pytest.mark.parametrize("mode", ["backtracked", "online"])
def test_without_windows_nobody_has_a_score(mode):
    clip = walkers.clip(people=2, frames=5)
    rows = row_scores(windows([]), np.zeros(0), clip, mode)
    assert rows.shape == (10,)
    assert np.isnan(rows).all()


@pytest.mark.parametrize("mode", ["backtracked", "online"])
def test_without_people_there_are_no_scores_though_a_window_ends_before(mode):
    clip = cut_frames(walkers.clip(people=1, frames=20), 0, 0)
    assert row_scores(windows([0]), np.ones(1), clip, mode).shape == (0,)


def test_a_whole_clip_s_window_says_the_same_of_every_row_of_its_one_or_two_people():
    clip = walkers.clip(people=4, frames=3)
    made = windows([0, 0], track=[4, 1], partner=[0, 3], whole=True)
    rows = row_scores(made, np.array([5.0, 6.0]), clip, "backtracked")
    for track, score in ((1, 6.0), (2, np.nan), (3, 6.0), (4, 5.0)):
        np.testing.assert_array_equal(rows[clip.track == track], [score] * 3)


def test_a_frame_has_the_score_of_its_most_abnormal_person_and_of_equals_the_first():
    clip = walkers.clip(people=3, frames=4)
    rows = np.array([1.0, 7.0, 7.0, np.nan, -5.0, -9.0, np.nan, np.nan, np.nan, 2.0, 2.0, 2.0])
    score, worst = frame_scores(rows, clip)
    np.testing.assert_array_equal(score, [7.0, -5.0, np.nan, 2.0])
    assert worst.tolist() == [2, 2, NOBODY, 1]
    assert worst.dtype == np.int32


def test_frames_without_people_have_no_score():
    keep = np.array([[False], [True], [False]])
    clip = walkers.from_array(np.ones((3, 1, 17, 3)), keep=keep)
    score, worst = frame_scores(np.array([3.0]), clip)
    np.testing.assert_array_equal(score, [np.nan, 3.0, np.nan])
    assert worst.tolist() == [0, 1, 0]


def test_the_nearest_frame_is_the_earlier_of_two_as_near():
    time_s = np.array([0.0, 1.0, 3.0])
    at_s = np.array([-5.0, 0.4, 0.5, 0.6, 2.0, 2.1, 9.0])
    assert nearest_frame(time_s, at_s).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_a_row_keeps_to_its_own_tracks_windows_whatever_their_order_in_time():
    clip = walkers.clip(people=3, frames=60)
    one = windows([2, 3, 40, 0, 48], track=[1, 1, 1, 3, 3])
    anomaly = np.arange(1.0, 6.0)
    for mode in FRAME_MODES:
        rows = row_scores(one, anomaly, clip, mode)
        expected = np.full(len(clip), np.nan)
        for track in (1, 2, 3):
            for row in np.flatnonzero(clip.track == track):
                frame = clip.frame[row]
                begins, ends = one.first, one.first + 11
                here = (one.track == track) & (
                    (ends == frame) if mode == "online" else ((begins <= frame) & (frame <= ends))
                )
                if here.any():
                    expected[row] = anomaly[here].mean()
        np.testing.assert_allclose(rows, expected)
