import itertools

import numpy as np
import pytest

from pose_extract.skeletons import COCO17, get_skeleton
from pose_extract.tracking import PeopleTracker, TrackingSettings
from pose_extract.tracking.sides import Sides
from pose_extract.tracks.records import PoseDetections
from tests.helpers.generated_people import Walker, as_tracks, detect, picture, true_tracks

FPS = 20.0
ARMS, LEGS = [7, 8, 9, 10], [13, 14, 15, 16]


def tracked(mistaken, joints, mend_sides=True):
    """Tracks of a walker whose joints change sides in some frames, and the true ones."""
    walker = Walker((100.0, 300.0), (40.0, 0.0), 150.0, (40, 40, 200))
    truth = true_tracks([walker], 6.0, FPS)
    truth.keypoints[:, COCO17.index["left_knee"], 0] += (
        14  # seen from an angle, or there is nothing to mistake
    )
    truth.keypoints[:, COCO17.index["left_ankle"], 0] += 20
    detections = detect(truth, np.random.default_rng(0), noise=0.003, missed=0, false_people=0)
    mirror = np.array(COCO17.mirror)
    for frame in mistaken:
        keypoints = detections[frame].keypoints
        keypoints[:, joints] = keypoints[:, mirror[joints]]
    tracker = PeopleTracker(TrackingSettings(), FPS, truth.frame_size, COCO17, mend_sides)
    found = []
    for i, people in enumerate(detections):
        found += tracker.update(picture([walker], i / FPS, i), people)
    return as_tracks(found + tracker.finish(), truth), truth


def right(found, truth, joints):
    """Share of some joints that are where they truly are."""
    far = np.linalg.norm(found.keypoints[:, joints, :2] - truth.keypoints[:, joints, :2], axis=2)
    return (far < 6).mean()


@pytest.mark.parametrize("mistaken", [range(40, 41), range(40, 46), [30, 33, 34, 60, 61, 62]])
def test_legs_that_change_sides_for_a_moment_are_put_right(mistaken):
    found, truth = tracked(mistaken, LEGS)
    assert right(found, truth, LEGS) > 0.99
    wrong, _ = tracked(mistaken, LEGS, mend_sides=False)
    assert right(wrong, truth, LEGS) < 1 - 0.7 * len(mistaken) / 120


def test_what_is_so_for_long_is_believed_and_nothing_is_mirrored_for_ever():
    """Mistaken, or somebody turned: who knows."""
    found, truth = tracked(range(40, 120), LEGS)
    far = np.linalg.norm(found.keypoints[:, LEGS, :2] - truth.keypoints[:, LEGS, :2], axis=2)
    assert (far[:46] < 6).mean() > 0.99
    assert (far[-5:] < 6).mean() < 0.2


def test_other_joints_stay_where_they_are():
    found, truth = tracked(range(40, 46), LEGS)
    rest = np.setdiff1d(np.arange(17), LEGS)
    assert right(found, truth, rest) > 0.99


def test_the_choice_is_that_of_the_cheapest_of_all_chains():
    rng = np.random.default_rng(3)
    people = rng.uniform(0, 100, (8, 17, 3))
    people[..., 2] = rng.uniform(0.2, 1, (8, 17))
    box = np.array([[0.0, 0, 100, 100]])
    sides = Sides(COCO17, FPS)
    ways = [
        sides.ways(np.array([5]), p[None].astype(np.float32), box, i / FPS)[0] for i, p in enumerate(people)
    ]
    found = np.stack([sides.settle(5, ways[i:]) for i in range(len(ways))])
    mirror = np.array(COCO17.mirror)

    def cost(chain):
        joints = [
            person[mirror] if exchanged else person for person, exchanged in zip(people, chain, strict=True)
        ]
        total = 0.2 * sum(chain)
        for a, b in itertools.pairwise(joints):
            way = np.minimum(np.linalg.norm(b[:, :2] - a[:, :2], axis=1) / 100, 0.5)
            total += (np.sqrt(a[:, 2] * b[:, 2]) * way)[LEGS].sum() / 0.05
        return total

    best = min(itertools.product((0, 1), repeat=8), key=cost)
    assert (found[:, 13] == mirror[13]).tolist() == list(map(bool, best))


@pytest.mark.parametrize("name", ["coco17", "blazepose33"])
def test_every_pair_of_a_skeleton_can_be_exchanged_and_nothing_else(name):
    skeleton = get_skeleton(name)
    sides, itself = Sides(skeleton, FPS), np.arange(skeleton.num_joints)
    paired = itself[np.array(skeleton.mirror) != itself]
    nobody = np.zeros((1, skeleton.num_joints, 3), np.float32)
    groups = sides.ways(np.array([1]), nobody, np.zeros((1, 4)), 0.0).shape[1]
    stayed, changed = np.tile([0.0, 9.0], (groups, 1)), np.tile([9.0, 0.0], (groups, 1))
    for _ in range(5):
        assert (sides.settle(1, [stayed]) == itself).all()
    assert itself[sides.settle(1, [changed]) != itself].tolist() == paired.tolist()


def test_a_frame_with_nobody_is_one_with_nobody():
    tracker = PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17, True)
    nobody = PoseDetections.empty(17)
    found = [each for i in range(40) for each in tracker.update(picture([], i / FPS, i), nobody)]
    found += tracker.finish()
    assert [(len(each.ids), each.people.keypoints.shape) for each in found] == [(0, (0, 17, 3))] * 40
