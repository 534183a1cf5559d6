"""What holds for every estimator that comes with weights of its own."""

import numpy as np
import pytest

from pose_extract.errors import ConfigError, WeightsError
from pose_extract.estimators.blazepose.settings import BlazePoseSettings
from pose_extract.estimators.movenet.settings import MoveNetSettings
from pose_extract.skeletons import COCO17
from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from tests.helpers.estimators import in_sight, made, run

KINDS = {
    "blazepose": BlazePoseSettings(search_interval_s=60),
    "lightning": MoveNetSettings(joints="lightning"),
    "thunder": MoveNetSettings(joints="thunder"),
}


@pytest.fixture(scope="module", params=KINDS)
def estimator(request):
    try:
        estimator = made(KINDS[request.param])
    except WeightsError as error:
        name = "BlazePose" if request.param == "blazepose" else "MoveNet"
        pytest.skip(f"{name}'s weights cannot be had here: {error}")
    yield estimator
    estimator.close()


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


def test_scores_and_confidences_are_shares(estimator, street):
    found = run(estimator, street[0][:1])[0]
    for values in (found.scores, found.keypoints[..., 2]):
        assert values.min() >= 0
        assert values.max() <= 1


@pytest.mark.slow
def test_the_same_frames_give_the_same_bytes_whatever_the_threads(estimator, street):
    other = made(estimator.settings, threads=1)
    for a, b in zip(run(estimator, street[0][:5]), run(other, street[0][:5]), strict=True):
        assert a.keypoints.tobytes() == b.keypoints.tobytes()
        assert a.boxes.tobytes() == b.boxes.tobytes()
    other.close()


@pytest.mark.slow
def test_a_new_video_knows_nothing_of_the_last_one(estimator, street):
    fresh = run(estimator, street[0][4:6])
    run(estimator, street[0][:3])
    again = run(estimator, street[0][4:6])
    assert [a.keypoints.tobytes() for a in fresh] == [a.keypoints.tobytes() for a in again]


@pytest.mark.slow
def test_people_who_stand_still_are_not_lost(estimator, street):
    found = run(estimator, [street[0][0]] * 30)
    boxes, _ = in_sight(street[1], 0)
    assert (box_iou(boxes, found[-1].boxes).max(1) > 0.5).all()


@pytest.mark.parametrize("size", [(32, 32), (90, 400), (1, 1), (1300, 40)])
def test_a_frame_without_people_gives_nobody(estimator, size):
    grey = np.full((size[1], size[0], 3), 90, np.uint8)
    for found in run(estimator, [grey, grey]):
        assert len(found) == 0
        assert found.keypoints.shape == (0, 17, 3)


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


def test_what_shapes_the_output_is_in_the_identity_and_threads_are_not(estimator):
    assert "threads" not in estimator.identity
    assert estimator.identity["min_height"] == "36"
    assert all(len(value) == 64 for key, value in estimator.identity.items() if key.startswith("weights."))
    assert sum(key.startswith("weights.") for key in estimator.identity) >= 2


def test_time_is_accounted_for(estimator, street):
    before = dict(estimator.timings)
    run(estimator, street[0][:2])
    assert all(estimator.timings[stage] > before[stage] for stage in before)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        *(
            (kind, wrong)
            for kind in ("blazepose", "movenet")
            for wrong in ({"min_height": 0}, {"min_score": 1.5})
        ),
        *((kind, {"threads": -1}) for kind in ("blazepose", "movenet")),
        ("movenet", {"joints": "storm"}),
        ("movenet", {"detector_side": 8}),
    ],
)
def test_settings_out_of_range_are_named(settings, wrong):
    kind = {"blazepose": BlazePoseSettings, "movenet": MoveNetSettings}[settings]
    with pytest.raises(ConfigError, match=f"{settings}.{next(iter(wrong))}: expected"):
        kind(**wrong)
