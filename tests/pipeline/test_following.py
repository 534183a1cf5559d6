"""What an estimator hands on is checked where it comes in."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.following import PeopleFollower
from pose_extract.errors import EstimatorError
from pose_extract.tracking import TrackingSettings
from pose_extract.tracks.records import Frame, PoseDetections


@pytest.mark.parametrize("wrong", [1.3, -0.1])
def test_confidences_on_another_scale_are_an_error_that_names_the_estimator(wrong):
    keypoints = np.full((2, 17, 3), 0.9, np.float32)
    keypoints[0, 4] = np.nan  # a missing joint
    boxes, scores = np.array([[10, 10, 30, 60]] * 2, np.float32), np.ones(2, np.float32)
    people = PoseDetections(boxes, keypoints, scores)
    estimator = SimpleNamespace(
        name="theirs",
        skeleton="coco17",
        mixes_sides=False,
        start=lambda *_: None,
        estimate=lambda _: [people],
    )
    follower = PeopleFollower(estimator, TrackingSettings(), 25.0, (64, 48))
    frame = Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8))
    assert follower.estimate([frame])[1] == [people]
    keypoints[1, 5, 2] = wrong
    with pytest.raises(EstimatorError, match=f"theirs: expected confidences of 0 to 1, got {wrong}"):
        follower.estimate([frame])
