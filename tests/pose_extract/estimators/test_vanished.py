import numpy as np
import pytest

from pose_extract.estimators.following import FollowedRegions
from pose_extract.estimators.motion import MotionProposals
from pose_extract.estimators.vanished import find_vanished, unseen

FPS = 10.0
STANDING = np.array([[150, 80, 180, 160]], np.float32)
SINKING = np.array([[150, 108, 180, 160]], np.float32)
NOBODY = np.zeros((0, 4), np.float32)


def erase_nothing(mask, shrink):
    """Nobody is seen who could be cleared."""


def pictures(lying, left=False):
    """Two seconds without anybody, one of somebody who stands, then ten in which something lies there, or nothing.

    With ``left`` somebody stood in the very first frame where the person falls: the place differs from that.
    """
    ground = np.random.default_rng(0).integers(60, 120, (240, 320, 3)).astype(np.uint8)
    for step in range(130):
        image = ground.copy()
        if left and step == 0:
            image[60:165, 145:200] = 20
        if 20 <= step < 30:
            image[80:160, 150:180] = 230
        elif step >= 30 and lying:
            image[140:165, 140:215] = 230
        yield image


def run(lying, known=NOBODY, left=False, beside=NOBODY):
    """Where the person, whom no network sees after they fell, is said to be in each of the last hundred frames."""
    motion, followed, found = (
        MotionProposals((320, 240), FPS, 20, background=0.5),
        FollowedRegions(FPS, 0.3),
        [],
    )
    region = np.array([[165, 120, 84, 0]], np.float32)
    for step, image in enumerate(pictures(lying, left)):
        motion.update(image)
        if 20 <= step < 30:
            row = np.array([-1 if step == 20 else 0])
            box = STANDING if step < 29 else SINKING
            followed.update(row, region, box, np.full(1, 0.7), np.ones(1))
        else:
            followed.update(np.zeros(0, int), NOBODY, NOBODY, np.zeros(0), np.zeros(0))
        boxes = find_vanished(followed, motion, erase_nothing, known)
        motion.learn_places(
            motion.without(erase_nothing),
            np.concatenate([known, beside, boxes, STANDING[: 20 <= step < 30]]),
        )
        if step >= 30:
            found.append(boxes)
    return found


def test_somebody_who_fell_and_lies_there_has_not_left():
    found = run(lying=True)
    assert all(len(boxes) == 1 for boxes in found)
    assert found[-1][0] == pytest.approx([140, 140, 215, 165], abs=12)


def test_where_the_background_shows_nobody_is_left():
    assert sum(map(len, run(lying=False))) <= 2  # a frame or two, until the picture has settled


def test_a_place_that_somebody_else_has_left_tells_of_nobody():
    assert sum(map(len, run(lying=False, left=True))) <= 2


def test_such_a_place_beside_which_people_walk_does_not_either():
    """No note is taken of what differs near people: the outline tells that somebody is gone."""
    beside = np.array([[225, 80, 255, 160]], np.float32)
    assert sum(map(len, run(lying=False, left=True, beside=beside))) <= 2
    assert all(len(boxes) == 1 for boxes in run(lying=True, beside=beside))


def test_somebody_seen_at_the_place_is_who_is_there():
    assert sum(map(len, run(lying=True, known=np.array([[130, 60, 220, 170]], np.float32)))) == 0


def test_of_somebody_whose_joints_are_not_seen_no_joint_has_a_confidence():
    people = unseen(STANDING, 17, 0.3)
    assert people.keypoints.shape == (1, 17, 3)
    assert not people.keypoints[..., 2].any()
    assert np.isfinite(people.keypoints).all()
