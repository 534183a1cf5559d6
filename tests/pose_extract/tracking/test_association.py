"""What people are compared by from frame to frame, by hand, and the keys that they get."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from pose_extract.tracking.association import PoseAssociator, PoseSimilarity, _Memory

SIGMAS = np.array([0.1, 0.05])
RED, BLUE, UNKNOWN = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.zeros(2)
BOX = np.array([100.0, 100.0, 140.0, 200.0])


def joints(x: float = 120.0, confidence: tuple[float, float] = (0.9, 0.6)) -> np.ndarray:
    """Two joints, one above the other."""
    return np.array([[x, 120.0, confidence[0]], [x, 180.0, confidence[1]]])


def remembered(
    key: int = 0, x: float = 120.0, time_s: float = 0.0, velocity=(0.0, 0.0), area: float = 4000.0
):
    return _Memory(key, time_s, joints(x), np.array(velocity, float), area)


# ---- what is remembered of a tracklet


def test_half_of_the_velocity_is_new_after_a_tenth_of_a_second_and_the_surer_joint_counts_more() -> None:
    memory = remembered(time_s=3.0, velocity=(40.0, 8.0))
    moved = joints(confidence=(0.5, 0.5))
    moved[:, 0] += (10.0, 4.0)
    memory.update(3.1, BOX, moved)
    found = (0.45 * 10 + 0.3 * 4) / 0.75 / 0.1  # px/s
    np.testing.assert_allclose(memory.velocity, [(40 + found) / 2, 4.0])
    assert memory.time_s == 3.1
    np.testing.assert_array_equal(memory.keypoints, moved)
    again = remembered(velocity=(40.0, 0.0))
    again.update(0.2, BOX, moved)
    np.testing.assert_allclose(again.velocity, [40 + 0.75 * (found / 2 - 40), 0.0])


def test_joints_that_were_not_found_both_times_say_nothing_of_the_velocity() -> None:
    memory = remembered(velocity=(5.0, 5.0))
    moved = joints(x=130.0, confidence=(0.0, 0.6))
    moved[0, :2] = np.nan
    memory.keypoints[1, 2] = 0
    memory.update(0.1, BOX, moved)
    np.testing.assert_array_equal(memory.velocity, [5.0, 5.0])
    still = remembered(time_s=2.0, velocity=(5.0, 5.0))
    still.update(2.0, BOX, joints(x=150.0))  # time does not go on
    np.testing.assert_array_equal(still.velocity, [5.0, 5.0])


def test_the_area_follows_the_box_by_three_tenths_and_unseen_joints_leave_the_last_ones() -> None:
    memory = remembered(area=1000.0)
    memory.update(0.5, BOX, joints(x=999.0, confidence=(0.0, 0.0)))
    assert memory.area == pytest.approx(1000 + 0.3 * (40 * 100 - 1000))
    assert memory.time_s == 0.5
    np.testing.assert_array_equal(memory.keypoints, joints())


# ---- similarity


def similarity(memories, boxes, found, worn=None, profiles=None, seen=None, **options):
    """(N, M) similarity of remembered tracklets, whose boxes are ``boxes``, with people in ``found``, and its maker."""
    weights = {"pose_weight": 0.4, "colour_weight": 0.3, "min_colour": 0.5}
    given = weights | {name: value for name, value in options.items() if name in weights}
    made = PoseSimilarity(SIGMAS, pose_tolerance=1.5, profile=(profiles or {}).get, **given)
    made.track_memories = lambda: memories
    made.time_s = options.get("time_s", 0.0)
    made.keypoints = np.stack(seen or [joints()] * len(found))
    made.colours = np.stack(worn or [UNKNOWN] * len(found))
    made.alone = np.array(options.get("alone", [True] * len(found)))
    return made._compute(np.stack(boxes), np.stack(found)), made


def aside(px: float) -> np.ndarray:
    return BOX + np.array([px, 0, px, 0])


def test_it_is_the_overlap_of_boxes_and_the_similarity_of_joints_by_their_weights() -> None:
    boxes, seen = [BOX, aside(20)], [joints(125.0), joints(160.0)]
    memories = [remembered(area=5000.0), remembered(1, 150.0)]
    found, _ = similarity(memories, boxes, boxes, seen=seen)
    overlap = box_iou(np.stack(boxes), np.stack(boxes))
    assert overlap[0, 1] == pytest.approx(1 / 3)
    poses = keypoint_similarity(
        np.stack([m.keypoints for m in memories]),
        np.stack(seen),
        1.5 * SIGMAS,
        0.53 * np.array([5000.0, 4000.0]),
    )
    assert 0 < poses[0, 1] < poses[0, 0] < 1
    np.testing.assert_allclose(found, 0.6 * overlap + 0.4 * poses)
    np.testing.assert_allclose(similarity(memories, boxes, boxes, seen=seen, pose_weight=0.0)[0], overlap)


def test_joints_are_looked_for_where_the_body_has_moved_on_to() -> None:
    memory = remembered(x=100.0, time_s=1.0, velocity=(40.0, 0.0))
    before = memory.keypoints.copy()
    assert similarity([memory], [BOX], [BOX], time_s=1.5)[0] == pytest.approx(1.0)
    np.testing.assert_array_equal(memory.keypoints, before)
    assert similarity([memory], [BOX], [BOX], time_s=1.0)[0] < 0.9


def test_of_somebody_whose_joints_are_not_seen_the_box_has_to_do() -> None:
    unseen = joints(x=500.0, confidence=(0.0, 0.0))
    found, _ = similarity([remembered()], [BOX], [BOX, BOX], seen=[unseen, joints(500.0)])
    assert found[0] == pytest.approx([1.0, 0.6], abs=1e-6)


def test_other_clothes_cost_and_those_of_somebody_else_are_not_allowed_unless_people_overlap() -> None:
    mixed = np.array([0.64, 0.36])  # 0.8 alike with RED, 0.6 with BLUE
    memories, profiles = [remembered(0), remembered(1), remembered(2)], {0: RED, 1: BLUE}
    worn = [RED, mixed, UNKNOWN]
    found, made = similarity(memories, [BOX] * 3, [BOX] * 3, worn, profiles)
    np.testing.assert_allclose(found, [[1, 1 - 0.3 * 0.2, 1], [0, 1 - 0.3 * 0.4, 1], [1, 1, 1]], atol=1e-9)
    assert made.allowed.tolist() == [[True, True, True], [False, True, True], [True, True, True]]
    found, made = similarity(memories, [BOX] * 3, [BOX] * 3, worn, profiles, alone=[False, True, True])
    assert found[1, 0] == pytest.approx(0.7)
    assert made.allowed.all()
    assert similarity(memories[:1], [BOX], [BOX], [mixed], {0: RED}, min_colour=0.8 - 1e-9)[1].allowed.all()
    assert not similarity(memories[:1], [BOX], [BOX], [mixed], {0: RED}, min_colour=0.81)[1].allowed.any()


def test_it_is_never_below_0() -> None:
    found, _ = similarity(
        [remembered()], [BOX], [aside(300)], [BLUE], {0: RED}, alone=[False], seen=[joints(420.0)]
    )
    assert found.tolist() == [[0.0]]


# ---- keys


class Scene:
    """Frames of people in an associator; a person is the middle of a box 40 px wide."""

    def __init__(self, fps: float = 20.0, coast_s: float = 0.5, **profiles: np.ndarray) -> None:
        made = PoseSimilarity(SIGMAS, 0.4, 1.5, 0.3, 0.5, lambda key: profiles.get(f"of_{key}"))
        self.fps, self.frame = fps, 0
        self.associator = PoseAssociator(made, fps, coast_s, min_similarity=0.3, direction_weight=0.2)

    def see(self, *middles: float, worn: np.ndarray = UNKNOWN) -> list[int]:
        people = [aside(x - 120) for x in middles]
        boxes = np.array(people).reshape(-1, 4)
        poses = np.array([joints(x) for x in middles]).reshape(-1, 2, 3)
        self.frame += 1
        colours = np.tile(worn, (len(middles), 1))
        keys = self.associator.update(boxes, poses, colours, self.frame / self.fps)
        assert keys.dtype == np.int64
        return keys.tolist()


def test_people_keep_their_keys_in_any_order_and_new_ones_get_the_next() -> None:
    scene = Scene()
    assert scene.see(100, 300) == [0, 1]
    assert scene.see(302, 102) == [1, 0]
    assert scene.see(104, 500, 304) == [0, 2, 1]
    assert scene.see() == []
    assert scene.see(106, 306) == [0, 1]


def test_two_people_with_the_same_box_are_two() -> None:
    scene = Scene()
    assert sorted(scene.see(200, 200)) == [0, 1]
    assert sorted(scene.see(200, 200)) == [0, 1]


@pytest.mark.parametrize("fps", [10.0, 40.0])
@pytest.mark.parametrize(("unseen_s", "same"), [(0.4, True), (0.7, False)])
def test_a_tracklet_lives_on_unseen_for_the_stated_seconds_at_any_frame_rate(fps, unseen_s, same) -> None:
    scene = Scene(fps)
    for _ in range(round(fps)):
        assert scene.see(200) == [0]
    for _ in range(round(unseen_s * fps)):
        scene.see()
    assert scene.see(200) == ([0] if same else [1])
    assert len(scene.associator._memories) == 1


def test_a_tracklet_with_a_new_key_goes_on_as_that() -> None:
    scene = Scene()
    scene.see(100, 300)
    assert scene.associator.rename(0) == 2
    assert scene.see(100, 300) == [2, 1]
    assert scene.associator.rename(1) == 3
    assert scene.see(100, 300, 500) == [2, 3, 4]


def test_nothing_goes_on_with_a_tracklet_that_is_forgotten() -> None:
    scene = Scene()
    for _ in range(5):
        scene.see(100, 300)
    scene.associator.forget(0)
    assert scene.see(100, 300) == [2, 1]
    scene.associator.forget(77)  # nobody
    assert scene.see(100, 300) == [2, 1]


@pytest.mark.parametrize(("worn", "key"), [(RED, 0), (BLUE, 1)])
def test_who_is_where_a_tracklet_was_last_seen_but_wears_somebody_else_s_clothes_is_somebody_else(
    worn, key
) -> None:
    scene = Scene(of_0=RED)
    for _ in range(10):
        assert scene.see(200, worn=RED) == [0]
    for _ in range(3):
        scene.see()
    assert scene.see(200, worn=worn) == [key]


@pytest.mark.parametrize("fps", [20.0, 40.0])
def test_who_has_turned_is_looked_for_the_way_they_have_gone_for_a_fifth_of_a_second(fps: float) -> None:
    """Of two who are as near, the one on the left counts: to the right it was before, and in the last frame."""
    scene, x = Scene(fps), 200.0
    for _ in range(round(2 * fps)):
        x += 60 / fps
        assert scene.see(x) == [0]
    for _ in range(round(0.2 * fps)):
        x -= 20 / fps
        assert scene.see(x) == [0]
    x += 1
    assert scene.see(x) == [0]
    assert scene.see(x + 4.5, x - 6) == [1, 0]


def test_in_five_frames_a_second_the_last_two_sightings_say_which_way_somebody_goes() -> None:
    scene, x = Scene(fps=5.0), 200.0
    for _ in range(10):
        x += 2
        assert scene.see(x) == [0]
    x -= 1
    assert scene.see(x) == [0]
    assert scene.see(x + 4.5, x - 6) == [1, 0]


@pytest.mark.parametrize(("unseen", "same"), [(48, True), (50, False)])
def test_a_tracklet_that_is_unseen_for_half_a_second_lives_no_longer(unseen: int, same: bool) -> None:
    scene = Scene(fps=100.0, coast_s=0.5)
    for _ in range(20):
        assert scene.see(200) == [0]
    for _ in range(unseen):
        scene.see()
    assert scene.see(200) == ([0] if same else [1])


@pytest.mark.parametrize(("other", "keys"), [(220.0, [0, 1]), (400.0, [1, 2])])
def test_other_clothes_are_no_sign_of_somebody_else_while_people_are_in_each_other_s_way(other, keys) -> None:
    scene = Scene(of_0=RED)
    for _ in range(10):
        assert scene.see(200, worn=RED) == [0]
    assert sorted(scene.see(200, other, worn=BLUE)) == keys
