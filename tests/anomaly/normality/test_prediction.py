import dataclasses

import numpy as np
import pytest

from anomaly.data.windows import Windows, make_windows
from anomaly.normality.prediction import Predictor, past_frames, predictor_shapes, split, trajectory_features
from anomaly.settings import DensitySettings, WindowSettings
from anomaly.settings.densities import FEWEST_WINDOWS
from pose_extract.errors import TrainingError
from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.stature import standing_figure
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


@pytest.mark.parametrize(("frames", "past"), [(12, 8), (24, 16), (9, 6), (4, 2), (2, 1), (1, 1)])
def test_two_thirds_of_a_window_are_its_past(frames, past):
    assert past_frames(frames) == past


def stays(outputs, inputs):
    """A predictor that says that everything will be at the origin."""
    return Predictor(
        (np.zeros((inputs, 2), np.float32), np.zeros((2, 2), np.float32), np.zeros((2, outputs), np.float32)),
        (np.zeros(2, np.float32), np.zeros(2, np.float32), np.zeros(outputs, np.float32)),
    )


def test_the_anomaly_is_the_mean_error_of_the_joints_and_that_of_the_trunk_added_up():
    course = np.zeros((4, 3, 3, 2), np.float32)  # two joints and the trunk, one frame of future
    course[0, 2] = [[1, -3], [2, 2], [0.5, -0.25]]
    course[1, 2, :2] = np.nan
    course[1, 2, 2] = (4, 0)  # the trunk alone
    course[2, 2, 0] = (np.nan, np.nan)
    course[2, 2, 1:] = [[6, 0], [np.nan, np.nan]]
    course[3, 2] = np.nan
    found = stays(outputs=6, inputs=18).anomaly(course)
    np.testing.assert_allclose(found, [2 + 0.375, 0 + 2, 3 + 0, -np.inf])


def test_the_network_is_told_which_places_are_missing():
    course = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    course[0, 1, 0] = np.nan
    inputs, future = split(course)
    assert inputs.shape == (2, 3 * 2 * 2)
    np.testing.assert_array_equal(inputs[0], [0, 1, 1, 2, 3, 1, 0, 0, 0, 6, 7, 1])
    np.testing.assert_array_equal(future, course[:, 2:])


def test_a_course_is_in_statures_from_the_mean_place_of_the_trunk_in_the_past():
    figure = standing_figure(COCO18) * 100 + (200, 150)
    points = np.concatenate([figure, np.ones((18, 1))], axis=1)
    points = np.tile(points.astype(np.float32), (1, 12, 1, 1))
    points[0, :, :, 0] += 10 * np.arange(12)[:, None]
    points[0, 3, 4, 2] = 0
    course = trajectory_features(points, COCO18)
    assert course.shape == (1, 12, 19, 2)
    along = (10 * np.arange(12) - 35) / 100  # 35: mean of the past's eight
    np.testing.assert_allclose(course[0, :, -1, 0], along, atol=1e-3)
    np.testing.assert_allclose(course[0, :, -1, 1], 0, atol=1e-3)
    expected = standing_figure(COCO18)[None] + np.stack([along, 0 * along], axis=1)[:, None]
    assert np.isnan(course[0, 3, 4]).all()
    expected[3, 4] = np.nan
    np.testing.assert_allclose(course[0, :, :-1], expected, atol=1e-3)
    assert course.dtype == np.float32


def test_too_few_windows_to_learn_from_are_an_error():
    few = course_of(walkers.clip(people=1, frames=11 + FEWEST_WINDOWS - 1))
    nothing = np.full_like(np.tile(few, (3, 1, 1, 1)), np.nan)
    settings = DensitySettings(width=8, predictor_epochs=1)
    with pytest.raises(TrainingError, match=f"got {FEWEST_WINDOWS - 1}:"):
        Predictor.fit(np.concatenate([few, nothing]), settings, 0)
    Predictor.fit(np.concatenate([few, few[:1], nothing]), settings, 0)


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
