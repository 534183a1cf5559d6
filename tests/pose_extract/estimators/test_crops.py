import numpy as np
import pytest

from pose_extract.estimators.crops import Pyramid, boxes_to_regions, distinct, to_frame


@pytest.mark.parametrize("angle", [0.0, 0.7, -1.5])
def test_a_crop_shows_the_place_that_points_in_it_are_mapped_to(angle):
    image = np.zeros((200, 300, 3), np.uint8)
    image[118:123, 158:163] = 255
    region = np.array([150, 110, 64, angle], np.float32)
    crop = Pyramid(image).crop(region, 256)
    y, x = (c.mean() for c in np.nonzero(crop[..., 0] > 127))
    back = to_frame(np.array([[(x + 0.5) / 256, (y + 0.5) / 256]]), region)[0]
    np.testing.assert_allclose(back, [160.5, 120.5], atol=0.6)


def test_a_crop_of_a_large_region_is_taken_from_a_smaller_picture():
    checks = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    crop = Pyramid(np.repeat(checks[..., None], 3, 2)).crop(np.array([512, 512, 1024, 0], np.float32), 256)
    assert np.ptp(crop[8:-8, 8:-8].astype(int)) <= 2  # grey: averaged, not aliased


def test_repeated_regions_are_left_out():
    regions = np.array([[10, 10, 50, 0], [11, 10, 52, 0], [10, 10, 50, 1.57], [90, 10, 50, 0]], np.float32)
    assert distinct(regions, np.zeros((0, 4), np.float32)).tolist() == [0, 2, 3]
    assert distinct(regions, regions[3:]).tolist() == [0, 2]


def test_a_region_is_square_around_its_box():
    assert boxes_to_regions([[10, 10, 30, 60]], 1.4)[0].tolist() == pytest.approx([20, 35, 70, 0])
