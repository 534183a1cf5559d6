import numpy as np
import pytest

from pipeline.synthetic.clips import render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.errors import ConfigError, WeightsError
from pose_extract.estimators.base import create_estimator
from pose_extract.estimators.blazepose import bodies
from pose_extract.estimators.blazepose.estimator import BlazePoseEstimator
from pose_extract.estimators.blazepose.networks import (
    Pyramid,
    refine,
    regions_from_points,
    sample_maps,
    to_frame,
)
from pose_extract.estimators.blazepose.proposals import MotionProposals, boxes_to_regions, distinct, tiles
from pose_extract.estimators.blazepose.roi_tracking import FollowedRegions
from pose_extract.estimators.blazepose.settings import BlazePoseSettings
from pose_extract.skeletons import BLAZEPOSE33, COCO17
from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from pose_extract.skeletons.skeleton import convert_joints
from pose_extract.tracks.records import Frame


@pytest.fixture(scope="module")
def estimator():
    try:
        made = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60))
    except WeightsError as error:
        pytest.skip(f"BlazePose's weights cannot be had here: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def street():
    """A clip of people who walk by, its first frames and its true tracks."""
    clip = simulate_clip("street", 11, StreetSettings(seconds=1))
    images = [image for image, _ in zip(render_clip(clip), range(8), strict=False)]
    return images, clip.truth


def in_sight(truth, frame):
    """Boxes and keypoints of the people in a frame whom nothing hides."""
    rows = np.flatnonzero(truth.frame == frame)
    rows = rows[(truth.keypoints[rows, :, 2] >= 1).mean(1) > 0.9]
    return truth.boxes[rows], truth.keypoints[rows]


def run(estimator, images, fps=24.0):
    estimator.start(fps, (images[0].shape[1], images[0].shape[0]))
    frames = [Frame(i, i / fps, image) for i, image in enumerate(images)]
    return [estimator.estimate([frame])[0] for frame in frames]


def test_people_in_the_street_are_found_with_their_joints(estimator, street):
    images, truth = street
    found = run(estimator, images[:4])[-1]
    boxes, keypoints = in_sight(truth, 3)
    assert len(boxes) >= 2
    overlap = box_iou(boxes, found.boxes)
    assert (overlap.max(1) > 0.5).all()
    for person, match in zip(keypoints, found.keypoints[overlap.argmax(1)], strict=True):
        side = np.ptp(person[:, 1])
        assert (np.linalg.norm(person[:, :2] - match[:, :2], axis=1) < 0.1 * side).mean() > 0.8


def test_all_33_landmarks_can_be_had_and_coco_is_among_them(estimator, street):
    full = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60, skeleton="blazepose33"))
    assert full.skeleton == "blazepose33"
    for a, b in zip(run(estimator, street[0][:2]), run(full, street[0][:2]), strict=True):
        assert b.keypoints.shape[1:] == (33, 3)
        np.testing.assert_array_equal(convert_joints(b.keypoints, BLAZEPOSE33, COCO17), a.keypoints)
        assert full.estimate_in_boxes(street[0][0], b.boxes).shape == b.keypoints.shape
    full.close()


def test_scores_and_confidences_are_shares(estimator, street):
    found = run(estimator, street[0][:1])[0]
    for values in (found.scores, found.keypoints[..., 2]):
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.slow
def test_the_same_frames_give_the_same_bytes_whatever_the_threads(estimator, street):
    images = street[0][:5]
    other = BlazePoseEstimator(BlazePoseSettings(search_interval_s=60, threads=1))
    for a, b in zip(run(estimator, images), run(other, images), strict=True):
        assert a.keypoints.tobytes() == b.keypoints.tobytes()
        assert a.boxes.tobytes() == b.boxes.tobytes()


@pytest.mark.slow
def test_a_new_video_knows_nothing_of_the_last_one(estimator, street):
    images = street[0]
    fresh = run(estimator, images[4:6])
    run(estimator, images[:3])
    again = run(estimator, images[4:6])
    assert [a.keypoints.tobytes() for a in fresh] == [a.keypoints.tobytes() for a in again]


@pytest.mark.slow
def test_people_who_stand_still_are_not_lost(estimator, street):
    found = run(estimator, [street[0][0]] * 30)
    boxes, _ = in_sight(street[1], 0)
    assert (box_iou(boxes, found[-1].boxes).max(1) > 0.5).all()


@pytest.mark.parametrize("size", [(32, 32), (90, 400), (1, 1)])
def test_a_frame_without_people_gives_nobody(estimator, size):
    width, height = size
    grey = np.full((height, width, 3), 90, np.uint8)
    for found in run(estimator, [grey, grey]):
        assert len(found) == 0
        assert found.keypoints.shape == (0, 17, 3)


@pytest.mark.slow
def test_a_frame_of_four_thousand_pixels_works(estimator, street):
    import cv2

    large = cv2.resize(street[0][0], (3840, 2160), interpolation=cv2.INTER_LINEAR)
    found = run(estimator, [large])[0]
    boxes, _ = in_sight(street[1], 0)
    scale = np.tile([3840 / street[0][0].shape[1], 2160 / street[0][0].shape[0]], 2)
    assert (box_iou(boxes * scale, found.boxes).max(1, initial=0) > 0.5).mean() >= 0.5


@pytest.mark.parametrize("turns", [1, 3])
def test_a_lying_person_gets_the_joints_of_one_who_lies(estimator, street, turns):
    boxes, keypoints = in_sight(street[1], 0)
    best = np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1))
    image = np.ascontiguousarray(np.rot90(street[0][0], turns))
    height, width = street[0][0].shape[:2]

    def turn(points):
        x, y = points[..., 0], points[..., 1]
        return np.stack([y, width - x] if turns == 1 else [height - y, x], axis=-1)

    person = keypoints[best].copy()
    person[:, :2] = turn(person[:, :2])
    corners = turn(boxes[best].reshape(2, 2))
    box = np.concatenate([corners.min(0), corners.max(0)])
    found = estimator.estimate_in_boxes(image, box[None])
    found[..., 2], person[:, 2] = 1, 1
    area = 0.53 * np.prod(box[2:] - box[:2])
    assert keypoint_similarity(person[None], found, COCO17.sigmas, [area])[0, 0] > 0.6


def test_threads_are_no_part_of_the_identity_and_settings_are(estimator):
    assert "threads" not in estimator.identity
    assert estimator.identity["min_height"] == "36"
    assert len(estimator.identity["weights.landmarks"]) == 64


def test_time_is_accounted_for(estimator, street):
    before = dict(estimator.timings)
    run(estimator, street[0][:1])
    assert estimator.timings["network"] > before["network"]
    assert estimator.timings["proposals"] > before["proposals"]


@pytest.mark.parametrize("wrong", [{"min_height": 0}, {"min_score": 1.5}, {"threads": -1}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ConfigError, match=f"blazepose.{next(iter(wrong))}: expected"):
        BlazePoseSettings(**wrong)


def test_an_unknown_estimator_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown estimator 'blaze'; known: "):
        create_estimator("blaze")


def stick_figure(x=100.0, y=100.0, height=80.0):
    """A standing person's 39 points, hips' middle at (x, y), facing the camera."""
    points = np.zeros((39, 3), np.float32)
    points[:, :2] = [x, y - 0.45 * height]  # head and hands' places; the rest follows
    for joint, (dx, dy) in {
        11: (0.11, -0.3), 12: (-0.11, -0.3), 13: (0.14, -0.15), 14: (-0.14, -0.15), 15: (0.15, 0), 16: (-0.15, 0),
        23: (0.07, 0), 24: (-0.07, 0), 25: (0.07, 0.25), 26: (-0.07, 0.25), 27: (0.07, 0.5), 28: (-0.07, 0.5),
        17: (0.15, 0), 18: (-0.15, 0), 19: (0.15, 0), 20: (-0.15, 0), 21: (0.15, 0), 22: (-0.15, 0),
        29: (0.07, 0.5), 30: (-0.07, 0.5), 31: (0.07, 0.5), 32: (-0.07, 0.5),
        33: (0, 0), 34: (0, -0.55), 35: (0, -0.3), 36: (0, -0.5), 37: (0, 0), 38: (0, 0),
    }.items():  # fmt: skip
        points[joint, :2] = [x + dx * height, y + dy * height]
    points[:, 2] = 1
    return points


def kept(*figures, scores=None):
    points = np.stack(figures)
    boxes = bodies.boxes_of(points, (1000, 1000))
    scores = np.linspace(0.9, 0.5, len(points)) if scores is None else np.array(scores)
    return bodies.suppress(bodies.to_coco(points), boxes, scores).tolist()


def test_doubles_of_a_person_are_suppressed_and_the_best_stays():
    assert kept(stick_figure(), stick_figure(x=102), scores=[0.5, 0.8]) == [1]


def test_a_double_seen_from_the_other_side_is_suppressed():
    mirrored = stick_figure()
    mirrored[:, 0] = 200 - mirrored[:, 0]
    assert kept(stick_figure(), mirrored) == [0]


def test_neighbours_both_stay():
    assert sorted(kept(stick_figure(), stick_figure(x=125))) == [0, 1]


def test_a_part_of_a_person_is_no_second_person():
    assert kept(stick_figure(), stick_figure(y=95, height=30)) == [0]


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


def test_repeated_regions_are_left_out():
    regions = np.array([[10, 10, 50, 0], [11, 10, 52, 0], [10, 10, 50, 1.57], [90, 10, 50, 0]], np.float32)
    assert distinct(regions, np.zeros((0, 4), np.float32)).tolist() == [0, 2, 3]
    assert distinct(regions, regions[3:]).tolist() == [0, 2]


def test_what_moves_is_proposed_and_what_stands_is_not():
    motion = MotionProposals((320, 240), 10.0, 20)
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (240, 320, 3)).astype(np.uint8)
    for step in range(20):
        image = ground.copy()
        image[100:160, 40 + 8 * step : 64 + 8 * step] = 230
        motion.update(image)
    boxes = motion.boxes(np.zeros((0, 39, 3), np.float32))
    assert box_iou(boxes, [[40 + 8 * 19, 100, 64 + 8 * 19, 160]]).max() > 0.7


def test_what_moves_is_not_proposed_where_a_known_person_is():
    motion = MotionProposals((320, 240), 10.0, 20)
    for step in range(20):
        image = np.full((240, 320, 3), 90, np.uint8)
        image[100:160, 40 + 8 * step : 64 + 8 * step] = 230
        motion.update(image)
    there = [[192, 100, 216, 160]]
    assert box_iou(motion.boxes(np.zeros((0, 39, 3), np.float32)), there).max() > 0.7
    left = motion.boxes(stick_figure(x=204, y=130, height=60)[None])
    assert box_iou(left, there).max(initial=0) == 0


def test_a_walker_who_is_lost_is_expected_further_on_and_given_up_at_last():
    followed = FollowedRegions(10.0)
    new, sure = np.array([-1]), np.array([0.7])
    followed.update(new, stick_figure(x=100)[None], sure)
    for x in range(110, 200, 10):
        rows, _ = followed.expect()
        followed.update(rows, stick_figure(x=float(x))[None], sure)
    nobody = (np.zeros(0, int), np.zeros((0, 39, 3), np.float32), np.zeros(0))
    followed.update(*nobody)
    _, regions = followed.expect()
    assert regions[0, 0] == pytest.approx(210, abs=3)
    for _ in range(30):
        followed.update(*nobody)
    assert len(followed.expect()[0]) == 0


def test_a_doubtful_skeleton_is_not_followed_for_ever():
    followed = FollowedRegions(5.0)
    followed.update(np.array([-1]), stick_figure()[None], np.array([0.7]))
    for _ in range(20):
        rows, _ = followed.expect()
        followed.update(rows, np.repeat(stick_figure()[None], len(rows), 0), np.full(len(rows), 0.3))
    assert len(followed.expect()[0]) == 0


def test_a_region_is_square_around_its_box():
    assert boxes_to_regions([[10, 10, 30, 60]])[0].tolist() == pytest.approx([20, 35, 70, 0])


def test_the_score_of_somebody_hard_to_see_fades_instead_of_dropping():
    followed = FollowedRegions(10.0)
    scores = [followed.update(np.array([-1]), stick_figure()[None], np.array([0.6]))[0]]
    for _ in range(4):
        scores.append(followed.update(np.array([0]), stick_figure()[None], np.array([0.2]))[0])
    assert scores[0] == 1
    assert scores[3] == pytest.approx(0.5, abs=0.01)
    assert all(np.diff(scores) < 0)


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
