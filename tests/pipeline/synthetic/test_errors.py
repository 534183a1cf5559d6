import dataclasses

import numpy as np
import pytest

from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.errors import ErrorSettings, estimated
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.errors import ConfigError
from pose_extract.tracks.metrics import id_switches, idf1, pck

NONE = ErrorSettings(
    noise=0, limbs=0, lost=0, dropped=0, dropped_hidden=0, flipped=(0, 0, 0), missed=0, box=0, exchanged=0, broken=0
)  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return [simulate_clip(f"c{i}", 4400 + i, StreetSettings(seconds=20.0)).truth for i in range(6)]


@pytest.fixture(scope="module")
def busy():
    return simulate_clip("busy", 4500, StreetSettings(seconds=20.0, people=(6, 7))).truth


def distances(found, exact):
    """Error of each joint as a share of the box, of rows that correspond."""
    side = (exact.boxes[:, 2:] - exact.boxes[:, :2]).max(axis=1)
    return np.linalg.norm(found.keypoints[..., :2] - exact.keypoints[..., :2], axis=2) / side[:, None]


def test_extracted_people_are_as_good_as_those_of_rendered_video(clips):
    found = [estimated(clip, i) for i, clip in enumerate(clips)]
    joints = [pck(f, t) for f, t in zip(found, clips, strict=True)]
    assert np.mean([j.all for j in joints]) == pytest.approx(0.897, abs=0.025)
    assert np.mean([j.matched for j in joints]) == pytest.approx(0.934, abs=0.025)
    assert np.mean([idf1(f, t) for f, t in zip(found, clips, strict=True)]) == pytest.approx(0.909, abs=0.04)
    assert 3 <= np.mean([id_switches(f, t) for f, t in zip(found, clips, strict=True)]) <= 14


def test_without_errors_the_rows_stay_as_they_are(clips):
    found = estimated(clips[0], 0, NONE)
    np.testing.assert_array_equal(found.frame, clips[0].frame)
    np.testing.assert_array_equal(found.track, clips[0].track)
    np.testing.assert_allclose(found.keypoints[..., :2], clips[0].keypoints[..., :2], rtol=1e-6)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(clips):
    a, b, other = (estimated(clips[0], seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    np.testing.assert_array_equal(a.track, b.track)
    assert len(other) != len(a) or not np.array_equal(other.keypoints, a.keypoints)


def test_errors_grow_with_the_person(clips):
    half = dataclasses.replace(
        clips[0], keypoints=clips[0].keypoints * np.float32([0.5, 0.5, 1]), boxes=clips[0].boxes / 2
    )
    settings = dataclasses.replace(ErrorSettings(), missed=0, exchanged=0, broken=0)
    np.testing.assert_allclose(
        distances(estimated(half, 1, settings), half),
        distances(estimated(clips[0], 1, settings), clips[0]),
        atol=1e-3,
    )


def test_lost_limbs_are_farther_off_less_certain_and_off_for_several_frames(clips):
    settings = dataclasses.replace(NONE, noise=0.014, limbs=0.06, lost=0.1)
    far, sure, again = [], [], []
    for clip in clips:
        found = estimated(clip, 7, settings)
        wrist = distances(found, clip)[:, 9]
        in_sight = clip.keypoints[:, 9, 2] >= 1
        far.append((wrist > 0.08)[in_sight])
        sure.append(found.keypoints[in_sight, 9, 2])
        for track in np.unique(clip.track):
            own = (wrist > 0.08)[clip.track == track]
            again.append(own[1:][own[:-1]])
    far, sure, again = map(np.concatenate, (far, sure, again))
    assert 0.03 < far.mean() < 0.2
    assert np.median(sure[far]) < 0.5 < np.median(sure[~far])
    assert (sure[~far] < 0.5).mean() > 0.05  # confidence does not tell all
    assert again.mean() > 3 * far.mean()


def test_hidden_joints_are_worse_and_more_often_dropped(clips):
    settings = dataclasses.replace(ErrorSettings(), missed=0, exchanged=0, broken=0)
    found = [estimated(clip, 2, settings) for clip in clips]
    hidden = np.concatenate([clip.keypoints[..., 2] < 1 for clip in clips])
    error = np.concatenate([distances(f, t) for f, t in zip(found, clips, strict=True)])
    dropped = np.concatenate([f.keypoints[..., 2] == 0 for f in found])
    assert np.median(error[hidden]) > 3 * np.median(error[~hidden])
    assert dropped[hidden].mean() > 5 * dropped[~hidden].mean() > 0


def test_left_and_right_are_confused_now_and_then(clips):
    found = estimated(clips[0], 5, dataclasses.replace(NONE, flipped=(0.2, 0.0, 0.0)))
    exact = clips[0].keypoints
    swapped = np.isclose(found.keypoints[:, 15, :2], exact[:, 16, :2]).all(axis=1)
    straight = np.isclose(found.keypoints[:, 15, :2], exact[:, 15, :2]).all(axis=1)
    assert (swapped | straight).all()
    assert 0.05 < swapped.mean() < 0.5
    np.testing.assert_allclose(found.keypoints[:, 9, :2], exact[:, 9, :2], rtol=1e-6)


def test_people_are_missed_for_runs_of_frames(clips):
    clip = clips[0]
    found = estimated(clip, 6, dataclasses.replace(NONE, missed=3.0))
    there = set(zip(found.frame.tolist(), found.track.tolist(), strict=True))
    missed = np.array(
        [(f, t) not in there for f, t in zip(clip.frame.tolist(), clip.track.tolist(), strict=True)]
    )
    assert missed.any()
    again = []
    for track in np.unique(clip.track):
        own = missed[clip.track == track]
        again.append(own[1:][own[:-1]])
    assert np.concatenate(again).mean() > 0.5


def test_people_who_cross_exchange_their_ids(busy):
    found = estimated(busy, 8, dataclasses.replace(NONE, exchanged=1.0, restored=0.0))
    np.testing.assert_array_equal(np.unique(found.track), np.unique(busy.track))
    assert id_switches(found, busy) >= 2
    for frame in np.unique(busy.frame):
        ids = found.track[found.frame == frame]
        assert len(np.unique(ids)) == len(ids)


def test_people_who_were_missed_go_on_under_a_new_id(busy):
    found = estimated(busy, 9, dataclasses.replace(NONE, missed=2.0, broken=1.0))
    assert found.num_tracks > busy.num_tracks
    for track in np.unique(found.track):
        assert np.diff(found.frame[found.track == track]).max(initial=1) <= 6


def test_a_clip_without_people_stays_empty(clips):
    empty = dataclasses.replace(
        clips[0],
        frame=clips[0].frame[:0],
        track=clips[0].track[:0],
        keypoints=clips[0].keypoints[:0],
        boxes=clips[0].boxes[:0],
    )
    assert len(estimated(empty, 0)) == 0


@pytest.mark.parametrize("change", [{"noise": -0.1}, {"missed": np.nan}, {"flipped": (0.1, 2.0, 0.0)}])
def test_settings_out_of_range_are_an_error(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        ErrorSettings(**change)
