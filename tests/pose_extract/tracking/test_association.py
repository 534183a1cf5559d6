"""What makes a detection go on with a track: boxes, joints at the body's pace, clothes."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from pose_extract.tracking.association import PoseAssociator, PoseSimilarity, _Memory

SIGMAS = np.full(3, 0.05)
RED, BLUE, NOBODY = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.zeros(2)


def person(x: float, y: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Box (4,) 40 px wide and 100 high, and three joints (3, 3) in it."""
    joints = np.array([[x + 20, y + 10, 1], [x + 20, y + 50, 1], [x + 20, y + 90, 1]], float)
    return np.array([x, y, x + 40, y + 100], float), joints


def memory(key: int, x: float, time_s: float = 0.0, velocity: tuple[float, float] = (0, 0)) -> _Memory:
    return _Memory(key, time_s, person(x)[1], np.array(velocity, float), 4000.0)


def similarity(profiles: dict | None = None, pose: float = 0.5, colour: float = 0.4) -> PoseSimilarity:
    return PoseSimilarity(SIGMAS, pose, 2.0, colour, 0.4, (profiles or {}).get)


def test_half_is_the_boxes_overlap_and_half_the_joints_similarity_where_they_are_expected() -> None:
    made = similarity()
    made.track_memories = lambda: [memory(1, 0, velocity=(50, 0)), memory(2, 300)]
    made.time_s = 0.2
    boxes, joints = zip(person(10), person(305), strict=True)
    made.keypoints, made.colours, made.alone = np.stack(joints), np.zeros((2, 2)), np.ones(2, bool)
    predicted_boxes = np.stack([person(8)[0], person(300)[0]])
    found = made._compute(predicted_boxes, np.stack(boxes))
    expected = np.stack([person(10)[1], person(300)[1]])  # 50 px/s for 0.2 s
    oks = keypoint_similarity(expected, made.keypoints, 2 * SIGMAS, np.full(2, 0.53 * 4000))
    np.testing.assert_allclose(found, 0.5 * box_iou(predicted_boxes, np.stack(boxes)) + 0.5 * oks)
    assert oks[0, 0] == pytest.approx(1)
    only_boxes = similarity(pose=0.0)
    only_boxes.track_memories, only_boxes.time_s = made.track_memories, 0.2
    only_boxes.keypoints, only_boxes.colours, only_boxes.alone = made.keypoints, made.colours, made.alone
    np.testing.assert_allclose(
        only_boxes._compute(predicted_boxes, np.stack(boxes)), box_iou(predicted_boxes, np.stack(boxes))
    )


def test_other_clothes_take_off_and_somebody_else_s_are_refused_unless_people_overlap() -> None:
    mixed = 0.7 * RED + 0.3 * BLUE
    box, joints = person(0)
    for colours, alone, expected in (
        (RED, True, 1.0),
        (NOBODY, True, 1.0),  # unknown clothes take nothing off
        (mixed, True, 1 - 0.4 * (1 - np.sqrt(0.7))),
        (BLUE, True, 0.0),
        (BLUE, False, 1 - 0.4),
        (0.16 * RED + 0.84 * BLUE, True, 1 - 0.4 * 0.6),  # just alike enough
        (0.15 * RED + 0.85 * BLUE, True, 0.0),
    ):
        made = similarity({1: RED})
        made.track_memories = lambda: [memory(1, 0)]
        made.keypoints, made.colours, made.alone = joints[None], colours[None], np.array([alone])
        np.testing.assert_allclose(made._compute(box[None], box[None]), [[expected]], atol=1e-9)
        assert made.allowed.tolist() == [[expected > 0]]
    far = similarity({1: RED})  # never below 0
    far.track_memories = lambda: [memory(1, 0)]
    far.keypoints, far.colours, far.alone = person(400)[1][None], BLUE[None], np.array([False])
    assert far._compute(box[None], person(400)[0][None])[0, 0] == 0


def test_a_track_s_pace_is_that_of_joints_found_twice_and_half_of_it_new_after_a_tenth_of_a_second() -> None:
    made = memory(1, 0)
    box, joints = person(10)
    joints[0] = (500, 500, 0)  # not found: its place says nothing
    made.update(0.1, box, joints)
    np.testing.assert_allclose(made.velocity, [50, 0])  # half of 100 px/s
    made.update(0.1, *person(400))  # time that stands still
    np.testing.assert_allclose(made.velocity, [50, 0])
    made.update(0.3, *person(400))
    np.testing.assert_allclose(made.velocity, [12.5, 0])  # a quarter of the old one is left after 0.2 s
    assert made.time_s == 0.3
    lost = memory(2, 0, velocity=(9, 9))
    lost.update(0.1, person(10)[0], np.full((3, 3), np.nan))
    np.testing.assert_allclose(lost.velocity, [9, 9])


def test_joints_that_are_surer_count_more_for_the_pace() -> None:
    made = memory(1, 0)
    _, joints = person(0)
    joints[0, 0] += 10
    joints[0, 2], joints[1:, 2] = 0.5, 0.25
    made.update(0.1, person(0)[0], joints)
    np.testing.assert_allclose(made.velocity, [0.5 * 0.5 * 100 / 1.0, 0])


def test_the_box_s_area_is_averaged_over_sightings() -> None:
    made = memory(1, 0)
    made.update(0.1, np.array([0.0, 0, 100, 100]), person(0)[1])
    assert made.area == pytest.approx(4000 + 0.3 * 6000)


def associator(profiles: dict | None = None, least: float = 0.3, fps: float = 20.0) -> PoseAssociator:
    return PoseAssociator(similarity(profiles), fps, 0.3, least, 0.2)


def run(
    made: PoseAssociator, time_s: float, *people: tuple[np.ndarray, np.ndarray], colours=None
) -> list[int]:
    boxes, joints = (np.stack(part) for part in zip(*people, strict=True))
    colours = np.zeros((len(people), 2)) if colours is None else np.stack(colours)
    return made.update(boxes, joints, colours, time_s).tolist()


def test_keys_count_from_0_and_follow_people_whatever_their_order() -> None:
    made = associator()
    assert run(made, 0.0, person(0), person(300)) == [0, 1]
    assert run(made, 0.05, person(296), person(4)) == [1, 0]
    assert run(made, 0.1, person(8), person(500), person(292)) == [0, 2, 1]


def test_people_in_the_same_place_are_told_apart() -> None:
    made = associator()
    assert sorted(run(made, 0.0, person(0), person(0))) == [0, 1]
    assert sorted(run(made, 0.05, person(0), person(0))) == [0, 1]


def test_a_renamed_track_goes_on_under_its_new_key_and_a_forgotten_one_not_at_all() -> None:
    made = associator()
    assert run(made, 0.0, person(0), person(300)) == [0, 1]
    assert made.rename(0) == 2
    assert run(made, 0.05, person(2), person(300)) == [2, 1]
    made.forget(1)
    assert run(made, 0.1, person(4), person(300)) == [2, 3]


def test_a_track_is_carried_on_for_the_stated_time_and_no_longer() -> None:
    for unseen, same in ((0.25, True), (0.6, False)):
        made = associator()
        for step in range(4):
            run(made, step / 20, person(0))
        time_s, end = 0.15, 0.15 + unseen
        while time_s + 0.05 < end - 1e-9:
            time_s += 0.05
            made.update(np.zeros((0, 4)), np.zeros((0, 3, 3)), np.zeros((0, 2)), time_s)
        assert (run(made, end, person(0)) == [0]) == same


def test_somebody_who_stands_in_another_s_place_in_other_clothes_is_somebody_else() -> None:
    made = associator({0: RED})
    assert run(made, 0.0, person(0), colours=[RED]) == [0]
    assert run(made, 0.05, person(0), colours=[RED]) == [0]
    assert run(made, 0.1, person(0), colours=[BLUE]) == [1]
