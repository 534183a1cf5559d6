import numpy as np
import pytest

from pose_extract.checking import build
from pose_extract.errors import ConfigError
from pose_extract.estimators.blazepose.bodies import to_coco
from pose_extract.skeletons import (
    BLAZEPOSE33,
    COCO17,
    COCO18,
    HALPE26,
    NTU25,
    SKELETONS,
    SkeletonDeclaration,
    get_skeleton,
)
from pose_extract.skeletons.skeleton import convert_joints, two_people

ALL = list(SKELETONS.values())
DOG = {
    "name": "dog",
    "joints": ["head", "back", "left_paw", "right_paw"],
    "edges": [["head", "back"], ["back", "left_paw"], ["back", "right_paw"]],
    "centre": "back",
    "mirror": [["left_paw", "right_paw"]],
}


def bones(skeleton, turned=False):
    swap = skeleton.mirror if turned else range(skeleton.num_joints)
    return {frozenset((swap[a], swap[b])) for a, b in skeleton.edges}


@pytest.mark.parametrize(("name", "joints"), list(zip(SKELETONS, (17, 18, 33, 25, 26, 25, 17), strict=True)))
def test_each_skeleton_has_the_joints_that_its_name_says_and_all_hang_together(name, joints):
    skeleton = get_skeleton(name)
    assert skeleton.num_joints == len(set(skeleton.joints)) == joints
    assert skeleton.unconnected() == ()
    assert min(skeleton.sigmas) > 0


@pytest.mark.parametrize("skeleton", [*ALL, two_people(COCO17)], ids=lambda s: s.name)
def test_a_mirror_swaps_left_and_right_and_leaves_the_bones(skeleton):
    for i, j in enumerate(skeleton.mirror):
        assert skeleton.mirror[j] == i
        swapped = skeleton.joints[i].replace("left_", "?").replace("right_", "left_").replace("?", "right_")
        assert skeleton.joints[j] == swapped
        assert skeleton.sigmas[i] == skeleton.sigmas[j]
    assert bones(skeleton) == bones(skeleton, turned=True)
    assert skeleton.mirror[skeleton.centre] == skeleton.centre


def test_the_orders_are_those_of_the_data_sets():
    assert [NTU25.index[j] + 1 for j in ("spine", "left_hand", "right_thumb", "left_hip")] == [21, 8, 25, 13]
    assert [HALPE26.index[j] for j in ("head", "hip", "left_big_toe", "right_heel")] == [17, 19, 20, 25]
    assert HALPE26.joints[:17] == COCO17.joints
    assert [BLAZEPOSE33.index[j] for j in ("right_ear", "left_hip", "right_foot_index")] == [8, 23, 32]


def test_blazepose_as_coco_is_what_the_estimator_makes_of_it():
    points = np.random.default_rng(0).random((4, 39, 3)).astype(np.float32)
    np.testing.assert_array_equal(convert_joints(points[:, :33], BLAZEPOSE33, COCO17), to_coco(points))


@pytest.mark.parametrize("source", [COCO17, BLAZEPOSE33], ids=lambda s: s.name)
def test_a_neck_that_is_missing_lies_between_the_shoulders(source):
    points = np.random.default_rng(0).random((4, source.num_joints, 3)).astype(np.float32)
    got = convert_joints(points, source, COCO18)
    left, right = (points[:, source.index[f"{side}_shoulder"]] for side in ("left", "right"))
    neck = got[:, COCO18.index["neck"]]
    np.testing.assert_allclose(neck[:, :2], (left + right)[:, :2] / 2, atol=1e-6)
    np.testing.assert_array_equal(neck[:, 2], np.minimum(left, right)[:, 2])
    for joint in set(COCO18.joints) - {"neck"}:
        np.testing.assert_array_equal(got[:, COCO18.index[joint]], points[:, source.index[joint]])


def test_halpes_own_neck_is_taken_and_ntu_has_no_face_to_give():
    points = np.random.default_rng(0).random((4, 26, 3)).astype(np.float32)
    np.testing.assert_array_equal(convert_joints(points, HALPE26, COCO18)[:, 1], points[:, 18])
    assert convert_joints(np.zeros((4, 25, 4), np.float32), NTU25, COCO18) is None


def test_two_people_are_one_graph_joined_at_their_centres():
    pair = two_people(COCO18)
    assert pair.num_joints == 36
    assert pair.unconnected() == ()
    assert len(pair.edges) == 2 * len(COCO18.edges) + 1
    assert (COCO18.centre, COCO18.centre + 18) in pair.edges
    left, right = pair.index["left_wrist_2"], pair.index["right_wrist_2"]
    assert left >= 18
    assert pair.mirror[left] == right


def test_a_skeleton_can_be_declared_in_names():
    skeleton = build(SkeletonDeclaration, DOG).skeleton
    assert skeleton.edges == ((0, 1), (1, 2), (1, 3))
    assert skeleton.centre == 1
    assert skeleton.mirror == (0, 1, 3, 2)
    assert len(skeleton.sigmas) == 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"centre": "tail"}, "centre names 'tail'"),
        ({"edges": [["head", "tail"]]}, "edges names 'tail'"),
        ({"edges": [["head", "back"], ["back", "left_paw"]]}, "from its centre 'back' to right_paw"),
        ({"edges": [*DOG["edges"], ["back", "head"]]}, "twice"),
        ({"edges": [*DOG["edges"], ["head", "head"]]}, "itself"),
        ({"edges": [["head"]]}, "expected 2 values"),
        ({"joints": ["head", "head", "back"]}, "'head' is there twice"),
        ({"joints": ["head"]}, "2 to 300 joints"),
        ({"mirror": [["left_paw", "wing"]]}, "mirror names 'wing'"),
        ({"mirror": [["left_paw"]]}, "expected 2 values"),
        ({"mirror": [["left_paw", "left_paw"]]}, "'left_paw' 2 times"),
        ({"mirror": [["left_paw", "right_paw"], ["head", "right_paw"]]}, "'right_paw' 2 times"),
        ({"mirror": [["head", "right_paw"]]}, "nothing of 'left_paw'"),
        ({"sigmas": [0.1]}, "4 sigmas"),
        ({"name": " "}, "name"),
        ({"bones": []}, "unknown key"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(wrong, says):
    with pytest.raises(ConfigError, match=says):
        build(SkeletonDeclaration, {**DOG, **wrong})


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"halpe26.*ntu25"):
        get_skeleton("cat")
