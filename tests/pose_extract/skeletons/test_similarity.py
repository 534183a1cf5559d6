import numpy as np
import pytest

from pose_extract.skeletons import COCO17
from pose_extract.skeletons.similarity import box_containment, box_iou, keypoint_similarity


def test_overlap_of_boxes_is_intersection_over_union_for_all_pairs():
    iou = box_iou([[0, 0, 2, 2], [10, 10, 11, 11]], [[1, 0, 3, 2], [0, 0, 2, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(iou, [[1 / 3, 1, 0], [0, 0, 0]], atol=1e-12)


def test_no_boxes_give_an_empty_table_of_the_right_shape():
    assert box_iou(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)
    assert box_iou(np.ones((2, 4)), np.zeros((0, 4))).shape == (2, 0)


def test_a_box_without_area_overlaps_nothing_and_divides_by_nothing():
    assert box_iou([[3, 3, 3, 3]], [[0, 0, 9, 9], [3, 3, 3, 3]]).tolist() == [[0, 0]]


def test_containment_is_a_share_of_the_first_box():
    np.testing.assert_allclose(box_containment([[0, 0, 2, 2]], [[0, 0, 100, 1], [-9, -9, 9, 9]]), [[0.5, 1]])


def test_keypoint_similarity_of_one_joint_follows_cocos_formula():
    a, b = np.zeros((1, 17, 3)), np.zeros((1, 17, 3))
    a[0, 5] = [10, 10, 1]
    b[0, 5] = [13, 14, 1]
    area = 900.0
    want = np.exp(-25 / (2 * area * (2 * COCO17.sigmas[5]) ** 2))
    assert keypoint_similarity(a, b, COCO17.sigmas, [area])[0, 0] == pytest.approx(want)


def test_keypoint_similarity_weighs_joints_by_both_confidences():
    a, b = np.ones((1, 2, 3)), np.ones((1, 2, 3))
    b[0, 1, :2] = 1e6
    a[0, 1, 2] = 0.5
    b[0, :, 2] = [0.8, 0.4]
    assert keypoint_similarity(a, b, [0.1, 0.1], [100])[0, 0] == pytest.approx(0.8 / (0.8 + 0.2))


def test_people_without_a_joint_in_common_are_not_alike():
    a, b = np.ones((1, 2, 3)), np.ones((1, 2, 3))
    a[0, 0, 2] = b[0, 1, 2] = 0
    assert keypoint_similarity(a, b, [0.1, 0.1], [100])[0, 0] == 0


def test_missing_joints_marked_by_nan_are_left_out():
    a, b = np.ones((1, 2, 3)), np.ones((1, 2, 3))
    b[0, 1] = np.nan
    assert keypoint_similarity(a, b, [0.1, 0.1], [100])[0, 0] == pytest.approx(1)


def test_keypoint_similarity_is_for_all_pairs_with_the_area_of_the_first():
    rng = np.random.default_rng(0)
    a, b, area = rng.random((3, 17, 3)) * 50, rng.random((2, 17, 3)) * 50, np.array([100.0, 4000, 90000])
    table = keypoint_similarity(a, b, COCO17.sigmas, area)
    assert table.shape == (3, 2)
    single = keypoint_similarity(a[1:2], b[1:2], COCO17.sigmas, area[1:2])
    assert table[1, 1] == pytest.approx(single[0, 0])
