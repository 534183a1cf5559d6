import dataclasses

import numpy as np
import pytest

from anomaly.data.windows import Windows, make_windows
from anomaly.normality.prediction import Predictor, past_frames, predictor_shapes, split, trajectory_features
from anomaly.settings import DensitySettings, WindowSettings
from pose_extract.skeletons import get_skeleton
from tests.helpers import walkers

COCO18 = get_skeleton("coco18")
WINDOWS = WindowSettings(scale="stature", shortest=4)


def windows_of(clip) -> Windows:
    return make_windows(clip, WINDOWS, 1)


def course_of(clip):
    windows = windows_of(clip)
    return trajectory_features(windows.pixels(np.arange(len(windows))), COCO18)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    courses = [course_of(walkers.clip(seed=i, people=6, frames=120)) for i in range(3)]
    return Predictor.fit(np.concatenate(courses), DensitySettings(width=64), seed=0)


def test_a_walk_is_told_from_its_beginning_and_what_breaks_it_is_not(predictor):
    calm = walkers.clip(seed=60, people=4, frames=90)
    usual = predictor.anomaly(course_of(calm))
    still = np.abs(split(course_of(calm))[1]).mean()
    assert np.median(usual) < 0.5 * still  # better than that everything stays where it was
    jump = calm.keypoints.copy()
    jump[calm.frame >= 45, :, 1] += 60
    windows, course = windows_of(calm), course_of(dataclasses.replace(calm, keypoints=jump))
    across = (windows.first + past_frames(12) == 45) | (windows.first + past_frames(12) == 44)
    assert across.sum() >= 4
    assert predictor.anomaly(course)[across].min() > np.quantile(usual, 0.99)


def test_it_does_not_depend_on_the_distance_to_the_camera_nor_on_the_place(predictor):
    near = walkers.clip(people=2)
    keypoints = near.keypoints.copy()
    keypoints[..., :2] = keypoints[..., :2] * 0.4 + 300
    far = dataclasses.replace(near, keypoints=keypoints)
    np.testing.assert_allclose(
        predictor.anomaly(course_of(far)), predictor.anomaly(course_of(near)), rtol=1e-2
    )


def test_what_is_missing_says_nothing(predictor):
    course = course_of(walkers.clip(people=2))
    usual = predictor.anomaly(course)
    hidden = course.copy()
    hidden[:, past_frames(12) :, 3] = np.nan  # a joint of the future
    assert np.isfinite(predictor.anomaly(hidden)).all()
    assert np.abs(predictor.anomaly(hidden) - usual).max() < usual.max() / 4
    later = course.copy()
    later[:, past_frames(12) :] = np.nan
    assert np.isneginf(predictor.anomaly(later)).all()


def test_who_comes_in_the_last_frames_only_has_no_past_to_tell_from(predictor):
    course = course_of(walkers.clip(people=1, frames=4))
    assert len(course) == 1
    assert np.isnan(course).all()
    assert np.isneginf(predictor.anomaly(course)).all()


def test_the_same_seed_gives_the_same_predictor_and_leaves_torch_s_generator_alone():
    import torch

    course = course_of(walkers.clip(people=3))
    settings = DensitySettings(width=8, predictor_epochs=2)
    before = torch.random.get_rng_state()
    a, b, c = (Predictor.fit(course, settings, seed).arrays() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    shapes = predictor_shapes(settings, 12, COCO18.num_joints)
    assert {name: values.shape for name, values in a.items()} == shapes
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    assert not np.array_equal(a["weights0"], c["weights0"])
