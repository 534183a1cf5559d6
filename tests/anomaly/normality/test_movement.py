"""Movement, size, place, posture and swing of windows, each by hand on made figures."""

import numpy as np
import pytest

from anomaly.normality.movement import movement_features, widths
from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.stature import TRUNK, standing_figure

COCO18 = get_skeleton("coco18")
SIZE = np.array([[640, 360]], np.float32)
FPS = 24.0


def figure(stature=100.0, place=(200.0, 150.0), frames=13):
    """(1, T, V, 3) a standing figure in pixels that stays where it is."""
    points = standing_figure(COCO18) * stature + place
    return np.tile(np.concatenate([points, np.ones((18, 1))], axis=1).astype(np.float32), (1, frames, 1, 1))


def features(points, size=SIZE, fps=FPS):
    return movement_features(points, size, COCO18, fps)


def joint(name):
    return COCO18.index[name]


def test_the_place_is_the_trunk_s_middle_along_x_and_the_ground_below_the_feet_in_frame_sizes():
    found = features(figure(100, (200, 150)))
    np.testing.assert_allclose(found.place, [[200 / 640, (150 + 100 * TRUNK) / 360]], rtol=1e-4)
    assert 0.6 < TRUNK < 0.75
    np.testing.assert_allclose(found.size, [[np.log(100 / 360)]], rtol=1e-4)


def test_motion_is_the_mean_velocity_s_amount_along_x_the_velocity_and_the_mean_speed_in_statures_a_second():
    points = figure(100)
    points[0, :, :, 0] -= 2 * np.arange(13)[:, None]  # to the left, 2 px a frame
    points[0, :, :, 1] += 1 * np.arange(13)[:, None]
    x, y = 2 * FPS / 100, 1 * FPS / 100
    np.testing.assert_allclose(features(points).motion[0, :4], [x, -x, y, np.hypot(x, y)], rtol=1e-3)
    np.testing.assert_allclose(
        features(points, fps=12.0).motion[0, :4] * 2, features(points).motion[0, :4], rtol=1e-6
    )


def test_who_goes_to_and_fro_has_speed_and_no_velocity():
    points = figure(100)
    points[0, 1::2, :, 0] += 5
    motion = features(points).motion[0]
    np.testing.assert_allclose(motion[:4], [0, 0, 0, 5 * FPS / 100], atol=1e-3)


def test_limbs_count_a_fifth_of_what_neck_shoulders_and_hips_count():
    moved = ["left_wrist", "right_wrist", "left_ankle"]
    points = figure(100)
    for name in moved:
        points[0, :, joint(name), 0] += np.arange(13)  # a px a frame
    steady = 5  # neck, two shoulders, two hips
    share = 3 * 0.2 / (steady + 13 * 0.2)
    stature = np.exp(features(points).size[0, 0]) * 360
    np.testing.assert_allclose(features(points).motion[0, 1], share * FPS / stature, rtol=1e-3)
    points = figure(100)
    points[0, :, joint("neck"), 0] += np.arange(13)
    stature = np.exp(features(points).size[0, 0]) * 360
    np.testing.assert_allclose(features(points).motion[0, 1], 1 / (5 + 2.6) * FPS / stature, rtol=1e-3)


def test_frames_without_joints_in_common_do_not_slow_anybody_down():
    points = figure(100)
    points[0, :, :, 0] += 3 * np.arange(13)[:, None]
    whole = features(points).motion[0]
    points[0, 6] = 0
    np.testing.assert_allclose(features(points).motion[0, :4], whole[:4], rtol=1e-3)
    nobody = features(np.zeros_like(points))
    assert np.isfinite(nobody.motion).all()
    assert (nobody.motion == 0).all()


@pytest.mark.parametrize(("fps", "frames"), [(24.0, 12), (24.0, 13), (12.0, 24)])
def test_growth_is_how_fast_the_logarithm_of_the_size_grows_a_second(fps, frames):
    rate = 0.3  # a second
    scale = np.exp(rate * np.arange(frames) / fps)
    points = figure(100, frames=frames)
    points[0, :, :, :2] = (points[0, :, :, :2] - (200, 150)) * scale[:, None, None] + (200, 150)
    np.testing.assert_allclose(features(points, fps=fps).motion[0, 4], rate, rtol=0.02)


def test_growth_looks_at_joints_that_both_halves_show_and_needs_three_of_them():
    points = figure(100)
    points[0, :7, joint("left_ankle")] = 0  # the feet come into sight: nobody has grown
    points[0, :7, joint("right_ankle")] = 0
    assert abs(features(points).motion[0, 4]) < 1e-6
    two = figure(100)
    two[0, :, :, 2] = 0
    for name in ("neck", "left_hip"):
        two[0, :, joint(name), 2] = 1
    two[0, 7:, joint("left_hip"), 1] += 30
    assert features(two).motion[0, 4] == 0
    three = two.copy()
    three[0, :, joint("right_hip"), 2] = 1
    assert features(three).motion[0, 4] > 0.1


def test_posture_is_each_joint_s_mean_place_about_the_trunk_in_statures():
    found = features(figure(80, (300, 100)))
    np.testing.assert_allclose(found.posture.reshape(18, 2), standing_figure(COCO18), atol=1e-4)
    points = figure(80, (300, 100))
    points[0, :, joint("nose"), 2] = 0
    hidden = features(points).posture.reshape(18, 2)
    assert np.isnan(hidden[joint("nose")]).all()
    assert np.isfinite(np.delete(hidden, joint("nose"), axis=0)).all()


def test_swing_is_each_joint_s_deviation_from_its_mean_and_its_speed_about_the_trunk():
    points = figure(100)
    points[0, :, :, 0] += 4 * np.arange(13)[:, None]  # what all do is no swing
    wrist, ankle = joint("left_wrist"), joint("right_ankle")
    points[0, 1::2, wrist, 1] += 6
    found = features(points)
    spread, speed = found.swing[0, :36].reshape(18, 2), found.swing[0, 36:]
    stature = np.exp(found.size[0, 0]) * 360
    # Seven frames at 0 and six at 6: deviation 6 sqrt(42) / 13; a step of 6 between any two.
    np.testing.assert_allclose(spread[wrist, 1], 6 * np.sqrt(42) / 13 / stature, rtol=0.1)
    np.testing.assert_allclose(speed[wrist], 6 / stature, rtol=0.05)
    assert spread[ankle].max() < 0.01
    assert speed[ankle] < 0.01
    points[0, :, wrist, 2] = 0
    points[0, 1::2, ankle, 2] = 0  # never in two frames in a row
    found = features(points)
    spread, speed = found.swing[0, :36].reshape(18, 2), found.swing[0, 36:]
    assert np.isnan(spread[wrist]).all()
    assert np.isfinite(spread[ankle]).all()
    assert np.isnan(speed[[wrist, ankle]]).all()


def test_a_joint_seen_in_two_frames_in_a_row_has_a_speed_and_joints_seen_once_in_a_half_tell_of_growth():
    points = figure(100)
    wrist = joint("left_wrist")
    points[0, :, wrist, 2] = 0
    points[0, 4:6, wrist, 2] = 1
    points[0, 5, wrist, 0] += 7
    found = features(points)
    stature = np.exp(found.size[0, 0]) * 360
    np.testing.assert_allclose(found.swing[0, 36 + wrist], 7 / stature, rtol=0.1)
    once = figure(100)
    once[0, :, :, 2] = 0
    once[0, [1, 9], :, 2] = 1
    once[0, 9, :, :2] = (once[0, 9, :, :2] - (200, 150)) * 1.1 + (200, 150)
    np.testing.assert_allclose(features(once).motion[0, 4], np.log(1.1) / 7 * FPS, rtol=1e-3)


def test_windows_do_not_mix_and_each_has_its_own_picture():
    points = np.concatenate([figure(100), figure(50, (30, 40))])
    sizes = np.array([[640, 360], [320, 200]], np.float32)
    both = features(points, sizes)
    for i in range(2):
        alone = features(points[i : i + 1], sizes[i : i + 1])
        for name, width in widths(18).items():
            assert getattr(both, name).shape == (2, width)
            np.testing.assert_allclose(getattr(both, name)[i], getattr(alone, name)[0], atol=1e-9)


def test_a_joint_seen_once_has_a_place_does_not_swing_and_has_no_speed():
    points, wrist = figure(100), joint("left_wrist")
    points[0, :, wrist, 2] = 0
    points[0, 5, wrist, 2] = 1
    found = features(points)
    np.testing.assert_allclose(
        found.posture[0].reshape(18, 2)[wrist], standing_figure(COCO18)[wrist], atol=1e-3
    )
    np.testing.assert_allclose(found.swing[0, :36].reshape(18, 2)[wrist], 0, atol=1e-9)
    assert np.isnan(found.swing[0, 36 + wrist])
