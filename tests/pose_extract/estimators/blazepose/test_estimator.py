import numpy as np
import pytest

from pose_extract.errors import WeightsError
from pose_extract.estimators.blazepose import bodies
from pose_extract.estimators.blazepose.estimator import BlazePoseEstimator
from pose_extract.estimators.blazepose.networks import refine, regions_from_points, sample_maps
from pose_extract.estimators.blazepose.proposals import tiles
from pose_extract.estimators.blazepose.settings import BlazePoseSettings
from pose_extract.estimators.crops import to_frame
from pose_extract.skeletons import BLAZEPOSE33, COCO17
from pose_extract.skeletons.similarity import box_iou
from pose_extract.skeletons.skeleton import convert_joints
from tests.helpers.estimators import in_sight, run
from tests.helpers.stick_figure import stick_figure


@pytest.fixture(scope="module")
def estimator():
    try:
        made = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60))
    except WeightsError as error:
        pytest.skip(f"BlazePose's weights cannot be had here: {error}")
    yield made
    made.close()


def test_all_33_landmarks_can_be_had_and_coco_is_among_them(estimator, street):
    full = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60, skeleton="blazepose33"))
    assert full.skeleton == "blazepose33"
    for a, b in zip(run(estimator, street[0][:2]), run(full, street[0][:2]), strict=True):
        assert b.keypoints.shape[1:] == (33, 3)
        np.testing.assert_array_equal(convert_joints(b.keypoints, BLAZEPOSE33, COCO17), a.keypoints)
        assert full.estimate_in_boxes(street[0][0], b.boxes).shape == b.keypoints.shape
    full.close()


@pytest.mark.slow
def test_a_frame_of_four_thousand_pixels_works(estimator, street):
    import cv2

    large = cv2.resize(street[0][0], (3840, 2160), interpolation=cv2.INTER_LINEAR)
    found = run(estimator, [large])[0]
    boxes, _ = in_sight(street[1], 0)
    scale = np.tile([3840 / street[0][0].shape[1], 2160 / street[0][0].shape[0]], 2)
    assert (box_iou(boxes * scale, found.boxes).max(1, initial=0) > 0.5).mean() >= 0.5


def test_bodies_that_cannot_be_are_told_from_those_that_can():
    long_leg, nowhere = stick_figure(), stick_figure()
    long_leg[27, 1] += 200
    nowhere[5, 0] = np.nan
    assert bodies.plausible(np.stack([stick_figure(), long_leg, nowhere])).tolist() == [True, False, False]


def test_the_box_holds_the_joints_and_ends_at_the_frame():
    box = bodies.boxes_of(stick_figure(x=5)[None], (1000, 110))[0]
    assert box[0] == 0
    assert box[3] == 110
    assert box[1] < 100 - 0.45 * 80


def test_the_region_of_a_lying_person_turns_their_head_up():
    region = regions_from_points(np.array([[50.0, 50.0]]), np.array([[90.0, 50.0]]))[0]
    head = to_frame(np.array([[0.5, 0.1]]), region)[0]
    np.testing.assert_allclose(head, [90, 50], atol=0.1)


def test_refinement_moves_to_the_peak_of_the_heat_map_and_reports_its_height():
    heat = np.full((64, 64, 39), -20.0, np.float32)
    heat[30, 33, 0] = 5.0
    local, peaks = refine(np.full((39, 2), 0.5), heat)
    np.testing.assert_allclose(local[0], [33 / 64, 30 / 64], atol=1e-4)
    np.testing.assert_allclose(local[1], [0.5, 0.5])
    assert peaks[0] > 0.99
    assert peaks[1] < 0.01


def test_tiles_cover_every_pixel_at_every_size():
    covered = np.zeros((360, 640), bool)
    sizes = {float(size) for *_, size, _ in tiles((640, 360), 100)}
    assert max(sizes) == 640
    assert min(sizes) < 130
    for size in sizes:
        covered[:] = False
        for x, y, side, _ in tiles((640, 360), 100):
            if side == size:
                low = np.floor([x - side / 2, y - side / 2]).clip(0).astype(int)
                covered[low[1] : int(np.ceil(y + side / 2)), low[0] : int(np.ceil(x + side / 2))] = True
        assert covered.all()


def test_the_number_of_tiles_is_bounded_for_any_frame():
    assert len(tiles((7680, 4320), 40)) <= 200


def test_people_who_have_left_the_frame_are_told_by_their_joints():
    gone, here = stick_figure(x=-100), stick_figure(x=50)
    assert bodies.inside(np.stack([gone, here]), (200, 200)).tolist() == [0, 1]


def test_heat_maps_are_sampled_where_the_joint_is_and_nowhere_else():
    """A bump painted at one place of one map shows at that place, in that map's channel, and fades within a cell."""
    heat = np.full((64, 64, 39), -20, np.float32)
    heat[20, 40, 7] = 8
    cell = (np.array([40, 20]) + 0.5) / 64
    places = np.stack([cell, cell + 0.5 / 64 * np.array([1, 0]), cell + 1.01 / 64, [0.1, 0.9], [-3, 9]])
    found = sample_maps(heat, places)
    assert found.dtype == np.float16
    assert found[0, 7] > 0.99
    assert found[2:, 7].max() < 1e-6
    assert np.delete(found, 7, axis=1).max() < 1e-6
    heat = np.random.default_rng(0).normal(size=(64, 64, 39)).astype(np.float32)
    centres = np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1).reshape(-1, 2)
    expected = 1 / (1 + np.exp(-heat[centres[:, 1], centres[:, 0]]))
    np.testing.assert_allclose(sample_maps(heat, (centres + 0.5) / 64), expected, atol=1e-3)


def test_heat_maps_come_along_with_the_joints_and_change_nothing_else(estimator, street):
    with_maps = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60, features="heatmaps"))
    assert with_maps.feature_channels == 39
    assert with_maps.identity["features"] == "heatmaps"
    assert "features" not in estimator.identity  # so that tracks without features stay valid
    plain, found = run(estimator, street[0][:3])[-1], run(with_maps, street[0][:3])[-1]
    np.testing.assert_array_equal(found.keypoints, plain.keypoints)
    assert plain.features is None
    assert found.features.shape == (len(found), 17, 39)
    assert found.features.dtype == np.float16
    # At a joint, its own map is the highest one: here of those that are seen best.
    own = bodies.to_coco(np.arange(39)[None])[0]
    sure = found.keypoints[..., 2] > 0.95
    limbs = np.arange(17) >= 5  # eyes and ears lie within a cell or two of each other
    best = found.features.argmax(axis=2) == own
    assert best[sure & limbs].mean() > 0.8
    with_maps.close()
