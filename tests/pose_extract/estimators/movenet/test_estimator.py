import cv2
import numpy as np
import pytest

from pose_extract.estimators.movenet import bodies
from pose_extract.estimators.movenet.estimator import MoveNetEstimator
from pose_extract.estimators.movenet.networks import PERSON, Networks
from pose_extract.estimators.movenet.settings import MoveNetSettings
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import Objects
from tests.helpers.estimators import in_sight, run


@pytest.fixture(scope="module")
def estimator(networks):
    made = MoveNetEstimator()
    yield made
    made.close()


def test_small_people_in_a_large_frame_are_found(estimator, street):
    """People of 60 pixels in a frame of 1280: the usual search shrinks them to 20, the close one does not."""
    shrunk = cv2.resize(street[0][0], None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    large = np.full((720, 1280, 3), 110, np.uint8)
    large[300 : 300 + shrunk.shape[0], 500 : 500 + shrunk.shape[1]] = shrunk
    found = run(estimator, [large])[0]
    boxes = in_sight(street[1], 0)[0] * 0.4 + np.array([500, 300, 500, 300])
    assert (box_iou(boxes, found.boxes).max(1) > 0.4).mean() > 0.6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_detector_sees_in_a_turned_picture_whom_it_sees_in_the_upright_one(networks, street, turns):
    upright = street[0][0]
    height, width = upright.shape[:2]
    detector = Networks(networks, 1)
    found = detector.detect(upright, 416, 0.4)
    people = found.boxes[found.classes == PERSON]
    lying = detector.detect_turned(np.ascontiguousarray(np.rot90(upright, -turns)), turns, 416, 0.4)
    x, y = people[:, ::2], people[:, 1::2]
    x, y = {1: (height - y, x), 2: (width - x, height - y), 3: (y, width - x)}[turns]
    expected = np.column_stack([x.min(1), y.min(1), x.max(1), y.max(1)])
    np.testing.assert_allclose(lying.boxes[lying.classes == PERSON], expected, atol=0.01)


def test_things_other_than_people_come_along(networks, street, monkeypatch):
    seen = Objects(
        np.array([[5, 5, 60, 40], [9, 9, 30, 80]], np.float32), np.full(2, 0.6, np.float32), np.array([2, 56])
    )
    monkeypatch.setattr(Networks, "detect", lambda *_: seen)
    wanted = MoveNetEstimator(MoveNetSettings(joints="lightning"))
    found = run(wanted, street[0][:3])
    assert found[0].objects.classes.tolist() == [2]  # a car, and no chair
    assert found[1].objects is None  # the detector does not look at each frame
    assert all(each.uncovered.mask.shape == each.uncovered.image.shape[:2] for each in found)
    wanted.close()


def standing(x=100.0, y=100.0, height=80.0):
    """A standing person's joints (17, 3), the hips at (x, y)."""
    offsets = [
        (0, -0.42), (0.02, -0.44), (-0.02, -0.44), (0.04, -0.43), (-0.04, -0.43), (0.11, -0.3), (-0.11, -0.3),
        (0.14, -0.15), (-0.14, -0.15), (0.15, 0), (-0.15, 0), (0.07, 0), (-0.07, 0), (0.07, 0.25), (-0.07, 0.25),
        (0.07, 0.48), (-0.07, 0.48),
    ]  # fmt: skip
    return np.column_stack([np.array(offsets) * height + [x, y], np.full(17, 0.6)]).astype(np.float32)


def turned(person, angle):
    """The same person turned about the hips, clockwise as seen."""
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = person[[11, 12], :2].mean(0)
    return np.column_stack([(person[:, :2] - middle) @ rotation + middle, person[:, 2]]).astype(np.float32)


def test_the_box_holds_head_and_feet_and_ends_at_the_frame():
    box = bodies.boxes_of(standing(x=5)[None], (1000, 136))[0]
    assert box[0] == 0
    assert box[1] < 100 - 0.44 * 80
    assert box[3] == 136


def test_joints_that_are_not_seen_do_not_count_for_the_box():
    person = standing()
    person[15:, 0], person[15:, 2] = 900, 0.05
    assert bodies.boxes_of(person[None], (1000, 1000))[0, 2] < 130


@pytest.mark.parametrize(("lean", "expected"), [(0, 0), (40, 0), (80, 90), (-95, -90), (175, 180)])
def test_crops_are_turned_by_quarters_for_those_who_lie(lean, expected):
    person = turned(standing(), np.deg2rad(lean))
    assert np.rad2deg(bodies.angles_of(person[None], np.zeros(1))[0]) == pytest.approx(expected, abs=1e-3)


def test_a_turned_crop_is_turned_back_only_when_the_person_is_up():
    before = np.full(1, np.pi / 2)
    assert bodies.angles_of(turned(standing(), np.deg2rad(50))[None], before)[0] == pytest.approx(np.pi / 2)
    assert bodies.angles_of(turned(standing(), np.deg2rad(20))[None], before)[0] == 0


def test_confidences_keep_the_order_of_scores_and_places_and_are_shares():
    person = standing()
    person[:, 2] = np.linspace(0, 1, 17)
    known = bodies.confidences(person[None])[0]
    np.testing.assert_array_equal(known[:, :2], person[:, :2])
    assert (np.diff(known[:, 2]) > 0).all()
    assert known[0, 2] == 0
    assert 0.85 < known[8, 2] < known[16, 2] < 1


def test_bodies_that_cannot_be_are_told_from_those_that_can():
    long_leg, nowhere = standing(), standing()
    long_leg[15, 1] += 300
    nowhere[5, 0] = np.nan
    assert bodies.plausible(np.stack([standing(), long_leg, nowhere])).tolist() == [True, False, False]
