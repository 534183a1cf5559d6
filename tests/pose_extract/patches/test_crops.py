"""Where crops are taken, and what they hold where there is nothing to take."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.errors import ConfigError
from pose_extract.patches.crops import crops_around
from pose_extract.patches.encoder import PatchEncoder
from pose_extract.patches.settings import PatchSettings

BOX = np.array([[0.0, 0, 100, 100]])


def joints(*places, confidence=0.9):
    """One person with joints at some places, px."""
    return np.array([[(x, y, confidence) for x, y in places]], np.float32)


def noise(height=120, width=160, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_crop_is_the_pixels_around_its_joint():
    image = noise()
    crops, usable = crops_around(image, joints((40, 50)), BOX, PatchSettings(size=16))
    assert usable.all()
    np.testing.assert_array_equal(crops[0, 0], image[42:58, 32:48, ::-1])  # RGB, its centre at x 40, y 50


def test_a_crop_follows_its_joint_by_fractions_of_a_pixel():
    rows, columns = np.mgrid[:120, :120]
    ramp = np.stack([columns, rows, 2 * columns], axis=2).astype(np.uint8)
    crops, _ = crops_around(ramp, joints((40, 50), (40.5, 50)), BOX, PatchSettings())
    difference = crops[0, 1].astype(int) - crops[0, 0]
    assert (difference[..., 0] == 1).all()  # red rises by 2 a pixel
    assert (difference[..., 1] == 0).all()


@pytest.mark.parametrize("size", [8, 16, 24])
def test_a_pattern_painted_at_one_joint_is_in_that_joints_feature_and_in_no_others(size):
    """The whole way, from pixels to vectors, at every joint in turn; places are not whole pixels."""
    image = noise()
    settings = PatchSettings(size=size)
    places = [(20.3 + 30 * (i % 5), 20.7 + 30 * (i // 5)) for i in range(15)]
    encoder = PatchEncoder(width=4).eval()

    def vectors(picture):
        return encoder.embed(*crops_around(picture, joints(*places), BOX, settings))[0].astype(float)

    plain = vectors(image)
    for joint, (x, y) in enumerate(places):
        painted = image.copy()
        left, top = round(x) - 3, round(y) - 3
        painted[top : top + 6, left : left + 6] = (0, 255, 255)
        changed = np.abs(vectors(painted) - plain).max(axis=1)
        assert changed[joint] > 1e-3
        assert (np.delete(changed, joint) == 0).all()


def test_beyond_the_border_the_borders_pixels_go_on():
    image = noise()
    crops, usable = crops_around(image, joints((2, 60), (159, 118)), BOX, PatchSettings(size=16))
    assert usable.all()
    rgb = image[..., ::-1]
    np.testing.assert_array_equal(crops[0, 0][:, 6:], rgb[52:68, 0:10])
    assert (crops[0, 0][:, :6] == rgb[52:68, :1]).all()
    assert (crops[0, 1][-6:, -7:] == rgb[119, 159]).all()


@pytest.mark.parametrize(
    "joint",
    [(-0.1, 50, 0.9), (50, 120, 0.9), (160, 50, 0.9), (np.nan, 50, 0.9), (50, 50, 0), (50, 50, 0.19)],
    ids=["left", "below", "right", "no place", "missing", "low confidence"],
)
def test_a_joint_outside_missing_or_unsure_has_no_crop_and_no_feature(joint):
    keypoints = np.array([[joint, (50, 60, 0.2)]], np.float32)
    crops, usable = crops_around(noise(), keypoints, BOX, PatchSettings(min_confidence=0.2))
    assert usable.tolist() == [[False, True]]
    assert not crops[0, 0].any()
    vectors = PatchEncoder(width=2).embed(crops, usable)
    assert vectors.dtype == np.float16
    assert not vectors[0, 0].any()
    assert vectors[0, 1].any()


def test_nobody_gives_nothing():
    crops, usable = crops_around(noise(), np.zeros((0, 17, 3), np.float32), np.zeros((0, 4)), PatchSettings())
    assert crops.shape == (0, 17, 16, 16, 3)
    assert PatchEncoder(width=2).embed(crops, usable).shape == (0, 17, 8)


def test_relative_crops_show_the_same_of_people_near_and_far():
    """A person drawn twice as large, with a box twice as large, looks the same."""
    small = np.kron(noise(30, 40), np.ones((4, 4, 1), np.uint8))
    large = np.kron(noise(30, 40), np.ones((8, 8, 1), np.uint8))
    settings = PatchSettings(relative=0.25)
    near, _ = crops_around(large, joints((160, 120)), np.array([[0.0, 0, 100, 256]]), settings)
    far, _ = crops_around(small, joints((80, 60)), np.array([[0.0, 0, 50, 128]]), settings)
    assert np.abs(near.astype(int) - far).mean() < 12
    fixed = [
        crops_around(i, joints(j), BOX, PatchSettings())[0]
        for i, j in ((large, (160, 120)), (small, (80, 60)))
    ]
    assert np.abs(fixed[0].astype(int) - fixed[1]).mean() > 24


def test_a_large_crop_is_averaged_not_sampled():
    """Stripes of one pixel become grey."""
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 255
    crops, _ = crops_around(
        stripes, joints((100, 100)), np.array([[0.0, 0, 50, 128]]), PatchSettings(relative=1.0)
    )
    assert np.abs(crops.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("wrong", [{"source": "crop"}, {"size": 2}, {"relative": -1.0}, {"most_gb": -1.0}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PatchSettings(**wrong)


def test_boxes_that_are_none_or_beyond_all_bounds_cost_nothing():
    boxes = np.array([[np.nan] * 4, [0, 0, 1e7, 1e7]])
    people = np.concatenate([joints((40, 50))] * 2)
    crops, usable = crops_around(noise(), people, boxes, PatchSettings(relative=0.25))
    assert usable.tolist() == [[False], [True]]
    assert not crops[0].any()
