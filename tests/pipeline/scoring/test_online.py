"""Scores of a clip that comes bit by bit."""

import dataclasses

import numpy as np
import pytest

from pipeline.scoring import OnlineScorer, Scorer, score_chunks
from pipeline.scoring.online import join_tracks
from pipeline.settings import Settings
from pose_extract.tracks.records import cut_frames
from tests.helpers import walkers


@pytest.fixture(scope="module")
def scorer(trained):
    scoring = dataclasses.replace(trained.settings.scoring, frames="online", smoothing_s=0.3)
    return Scorer(trained, dataclasses.replace(Settings(), scoring=scoring))


@pytest.fixture(scope="module")
def trained():
    return walkers.trained()


def in_pieces(scorer, clip, size):
    """Everything that is scored, in order, of a clip that comes in pieces of so many frames."""
    online, found = OnlineScorer(scorer), []
    for begin in range(0, clip.frame_count, size):
        found += online.add(cut_frames(clip, begin, min(begin + size, clip.frame_count)))
    return found + list(online.finish())


def joined(found):
    return {
        name: np.concatenate([getattr(scores.frames, name) for _, _, scores in found])
        for name in ("time_s", "score", "percentile", "alarm", "people", "track_id")
    } | {"row_score": np.concatenate([scores.row_score for _, _, scores in found])}


@pytest.mark.parametrize("fps", [24.0, 29.97, 7.0])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_however_frames_come_in_scores_are_the_same_to_the_bit(scorer, fps, size):
    clip = walkers.clip(frames=150, people=3, seed=80, fps=fps)
    whole, pieces = joined(list(score_chunks(scorer, clip))), joined(in_pieces(scorer, clip, size))
    assert len(whole["score"]) == 150
    for name, values in whole.items():
        np.testing.assert_array_equal(pieces[name], values, err_msg=name)
    assert len(np.unique(whole["score"])) > 50


@pytest.mark.parametrize("stride", [1, 2])
def test_everybody_may_leave_at_any_moment(scorer, stride):
    model = scorer.model
    windows = dataclasses.replace(model.settings.windows, score_stride=stride)
    model = dataclasses.replace(model, settings=dataclasses.replace(model.settings, windows=windows))
    clip = walkers.clip(frames=100, people=2, seed=83)
    for last in range(40, 60):
        rows = np.flatnonzero(clip.frame <= last)
        own = {name: getattr(clip, name)[rows] for name in ("frame", "track", "keypoints", "boxes")}
        found = joined(
            list(score_chunks(dataclasses.replace(scorer, model=model), dataclasses.replace(clip, **own)))
        )
        assert len(found["score"]) == 100
        assert len(found["row_score"]) == len(rows)
        assert np.isfinite(found["row_score"][-2:]).all()


def test_every_frame_comes_once_and_in_order(scorer):
    clip = walkers.clip(frames=131, people=2, seed=81)
    found = in_pieces(scorer, clip, 4)
    begins = [begin for begin, _, _ in found]
    assert begins == np.cumsum([0, *(part.frame_count for _, part, _ in found[:-1])]).tolist()
    np.testing.assert_array_equal(joined(found)["time_s"], clip.time_s)


def test_a_frame_is_scored_soon_after_it_is_known(scorer):
    clip = walkers.clip(frames=120, people=2, seed=82)
    online, late = OnlineScorer(scorer), []
    for frame in range(clip.frame_count):
        late += [
            clip.time_s[frame] - part.time_s[0]
            for _, part, _ in online.add(cut_frames(clip, frame, frame + 1))
        ]
    most = 0.25 + scorer.settings.cleaning.online_s + 1 / clip.fps  # the frame that says that it is over
    assert len(late) > 10
    assert max(late) <= most + 1e-6


def test_the_later_future_plays_no_part(scorer):
    clip = walkers.clip(frames=150, people=2, seed=83)
    moved = clip.keypoints.copy()
    moved[clip.frame >= 90, :, :2] += 40
    other = dataclasses.replace(clip, keypoints=moved)
    a, b = (joined(list(score_chunks(scorer, each)))["score"] for each in (clip, other))
    known = 90 - round(24 * (scorer.settings.cleaning.online_s + 0.25))
    np.testing.assert_array_equal(a[:known], b[:known])
    assert not np.array_equal(a[100:], b[100:])


def test_memory_does_not_grow_with_the_clip(scorer):
    online, most = OnlineScorer(scorer), []
    clip = walkers.clip(frames=1200, people=2, seed=84)
    for frame in range(clip.frame_count):
        list(online.add(cut_frames(clip, frame, frame + 1)))
        most.append(sum(part.frame_count for part in online._parts))
    assert max(most[300:]) <= max(most[:300]) < 250


def test_a_long_hole_in_time_costs_nothing(scorer):
    clip = walkers.clip(frames=100, people=2, seed=85)
    time_s = np.where(np.arange(100) < 50, clip.time_s, clip.time_s + 36_000)
    torn = dataclasses.replace(
        clip, time_s=time_s, track=np.where(clip.frame < 50, clip.track, clip.track + 9)
    )
    whole, pieces = joined(list(score_chunks(scorer, torn))), joined(in_pieces(scorer, torn, 3))
    np.testing.assert_array_equal(whole["score"], pieces["score"])
    assert len(whole["score"]) == 100


def test_windows_come_once_each_with_their_own_frames(scorer):
    clip = walkers.clip(frames=96, people=2, seed=86)
    found = in_pieces(scorer, clip, 5)
    windows = [
        (int(track), int(begin + first), int(begin + last))
        for begin, _, s in found
        for track, first, last in zip(
            s.windows.windows.track, s.windows.first_frame, s.windows.last_frame, strict=True
        )
    ]
    assert len(windows) == len(set(windows)) > 100
    assert {last - first for _, first, last in windows} == {11}


def test_parts_of_a_clip_are_joined_as_they_were(scorer):
    clip = walkers.clip(frames=60, people=2, seed=87)
    again = join_tracks([cut_frames(clip, 0, 20), cut_frames(clip, 20, 21), cut_frames(clip, 21, 60)])
    for name in ("time_s", "frame", "track", "keypoints", "boxes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(clip, name))


def test_it_is_for_online_scores_only(scorer):
    with pytest.raises(ValueError, match="online"):
        OnlineScorer(scorer, dataclasses.replace(scorer.settings.scoring, frames="backtracked"))
