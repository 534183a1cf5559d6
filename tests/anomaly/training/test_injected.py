import numpy as np
import pytest

from anomaly.training.injected import CHANGES, frames_of, inject
from pose_extract.skeletons.skeleton import convert_joints
from tests.helpers import walkers


@pytest.fixture(scope="module")
def clips():
    return [walkers.clip(f"walk{i}", seed=i, people=5, frames=200) for i in range(3)]


@pytest.mark.parametrize("kind", list(CHANGES))
def test_each_change_replaces_somebody_s_motion_for_a_while_and_nothing_else(clips, kind):
    made, done = inject(clips, seed=3, kinds=(kind,))
    assert sum((rows > 0).sum() for rows in done) > 100
    for clip, new, rows in zip(clips, made, done, strict=True):
        assert len(rows) == len(new) <= len(clip)
        known = {(int(f), int(t)): i for i, (f, t) in enumerate(zip(clip.frame, clip.track, strict=True))}
        before = clip.keypoints[[known[int(f), int(t)] for f, t in zip(new.frame, new.track, strict=True)]]
        same = np.isclose(new.keypoints, before, atol=1e-3).all(axis=(1, 2))
        assert same[rows == 0].all()
        assert same[rows > 0].mean() < 0.1
        for track in np.unique(new.track[rows > 0]):
            frames = new.frame[(new.track == track) & (rows > 0)]
            assert np.ptp(frames) <= 4.0 * clip.fps + 1
        assert set(frames_of(new, rows)) <= {0, 1}
        assert (frames_of(new, rows)[new.frame[rows > 0]] == 1).all()


def test_confidences_stay_those_of_the_estimator(clips):
    """A network that sees them must not tell changed people by theirs."""
    made, done = inject(clips, seed=1, kinds=("arms", "bent", "jumping"))
    known = {float(c) for clip in clips for c in np.unique(clip.keypoints[..., 2])}
    for clip, rows in zip(made, done, strict=True):
        assert {float(c) for c in np.unique(clip.keypoints[rows > 0][..., 2])} <= known | {0.0}


def test_missing_joints_stay_missing_and_a_seed_makes_the_same(clips):
    lacking = [convert(clip) for clip in clips]
    made, _ = inject(lacking, seed=5, kinds=("arms", "turned", "elsewhere"))
    again, _ = inject(lacking, seed=5, kinds=("arms", "turned", "elsewhere"))
    other, _ = inject(lacking, seed=6, kinds=("arms", "turned", "elsewhere"))
    wrist = 9
    for clip, one in zip(made, again, strict=True):
        assert (clip.keypoints[:, wrist] == 0).all()
        np.testing.assert_array_equal(clip.keypoints, one.keypoints)
    assert any(
        a.keypoints.shape != b.keypoints.shape or (a.keypoints != b.keypoints).any()
        for a, b in zip(made, other, strict=True)
    )


def convert(clip):
    import dataclasses

    keypoints = clip.keypoints.copy()
    keypoints[:, 9] = 0
    return dataclasses.replace(clip, keypoints=keypoints)


def test_other_skeletons_are_changed_by_their_joints_names(clips):
    import dataclasses

    from pose_extract.skeletons import get_skeleton

    coco18 = [
        dataclasses.replace(
            clip,
            skeleton="coco18",
            keypoints=convert_joints(clip.keypoints, get_skeleton(clip.skeleton), get_skeleton("coco18")),
        )
        for clip in clips
    ]
    made, done = inject(coco18, seed=0)
    assert sum((rows > 0).sum() for rows in done) > 100
    assert all(np.isfinite(clip.keypoints).all() for clip in made)


def test_clips_with_nobody_for_long_enough_stay_as_they_are():
    short = walkers.clip("short", people=2, frames=8)
    made, done = inject([short], seed=0)
    np.testing.assert_array_equal(made[0].keypoints, short.keypoints)
    assert not done[0].any()


def test_short_clips_see_every_kind_over_the_seeds():
    clips = [walkers.clip("short", people=4, frames=60)]
    kinds = ("fast", "glide", "arms", "bent")
    seen = {
        int(n)
        for seed in range(30)
        for rows in inject(clips, seed, kinds)[1]
        for n in np.unique(rows[rows > 0])
    }
    assert seen == {1, 2, 3, 4}
