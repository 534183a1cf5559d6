import dataclasses

import numpy as np
import pytest

from anomaly.data.windows import make_windows
from anomaly.normality.pretext import TASKS, Pretext, pose_features, pretext_shapes
from anomaly.settings import DensitySettings, WindowSettings
from pose_extract.skeletons import get_skeleton
from tests.helpers import walkers

COCO18 = get_skeleton("coco18")
SETTINGS = DensitySettings(width=64, pretext_epochs=8)


def points_of(clip):
    windows = make_windows(clip, WindowSettings(), 1)
    return windows.pixels(np.arange(len(windows)))


@pytest.fixture(scope="module")
def pretext() -> Pretext:
    points = np.concatenate([points_of(walkers.clip(seed=i, people=6, frames=120)) for i in range(2)])
    return Pretext.fit(points, COCO18, SETTINGS, seed=0)


def test_windows_that_were_tampered_with_are_told_from_those_of_other_walkers(pretext):
    points = points_of(walkers.clip(seed=60, people=4, frames=90))
    usual = pretext.anomaly(pose_features(points, COCO18))
    assert (usual >= 0).all()
    for change in TASKS[1:4]:  # these walkers' left and right leg are alike, half a step apart
        assert (
            pretext.anomaly(pose_features(change(points, COCO18), COCO18)) > np.median(usual)
        ).mean() > 0.75, change.__name__


def test_changes_keep_shapes_and_what_is_missing():
    points = points_of(walkers.clip(people=2))
    points[:, 3, 5] = 0
    for change in TASKS:
        changed = change(points, COCO18)
        assert changed.shape == points.shape
        gone = changed[..., 2] == 0
        assert gone.any()
        assert not gone.all(axis=(1, 2)).any()
    backwards, legs = TASKS[1](points, COCO18), TASKS[4](points, COCO18)
    np.testing.assert_array_equal(backwards[:, 0], points[:, -1])
    knee, other = COCO18.index["left_knee"], COCO18.index["right_knee"]
    np.testing.assert_array_equal(legs[:, :, knee], points[:, :, other])
    wrist = COCO18.index["left_wrist"]
    np.testing.assert_array_equal(legs[:, :, wrist], points[:, :, wrist])


def test_it_does_not_depend_on_the_distance_to_the_camera_nor_on_the_place(pretext):
    near = walkers.clip(people=2)
    keypoints = near.keypoints.copy()
    keypoints[..., :2] = keypoints[..., :2] * 0.4 + 300
    far = dataclasses.replace(near, keypoints=keypoints)
    a, b = (pretext.anomaly(pose_features(points_of(clip), COCO18)) for clip in (near, far))
    np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02)


def test_the_same_seed_gives_the_same_network():
    points = points_of(walkers.clip(people=3))
    settings = DensitySettings(width=8, pretext_epochs=1)
    a, b, c = (Pretext.fit(points, COCO18, settings, seed).arrays() for seed in (0, 0, 1))
    assert {name: values.shape for name, values in a.items()} == pretext_shapes(settings, 12, 18)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    assert not np.array_equal(a["weights0"], c["weights0"])
