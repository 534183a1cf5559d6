import numpy as np
import pytest

from anomaly.networks.graph import hops_from_centre, static_adjacency
from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17, COCO18, Skeleton

CHAIN = Skeleton("chain", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)), 1, (0, 1, 2, 3), (0.1,) * 4)


@pytest.mark.parametrize("skeleton", [COCO17, COCO18])
def test_what_a_joint_hears_sums_to_one(skeleton):
    adjacency = static_adjacency(skeleton)
    assert adjacency.shape == (3, skeleton.num_joints, skeleton.num_joints)
    np.testing.assert_allclose(adjacency.sum(axis=(0, 1)), 1, rtol=1e-6)


def test_a_chain_is_split_into_root_centripetal_and_centrifugal_neighbours():
    root, centripetal, centrifugal = static_adjacency(CHAIN)
    third = 1 / 3
    # Columns hear: a hears itself and b; b hears a, itself and c; and so on. b is the centre.
    np.testing.assert_allclose(root, np.diag([0.5, third, third, 0.5]), rtol=1e-6)
    expected = np.zeros((4, 4))
    expected[1, 0], expected[1, 2], expected[2, 3] = 0.5, third, 0.5  # sources nearer to the centre
    np.testing.assert_allclose(centripetal, expected, rtol=1e-6)
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 1], expected[3, 2] = third, third, third
    np.testing.assert_allclose(centrifugal, expected, rtol=1e-6)


def test_the_distance_partition_tells_a_joint_from_its_neighbours_and_the_uniform_one_tells_nothing():
    root, neighbours = static_adjacency(CHAIN, "distance")
    (everything,) = static_adjacency(CHAIN, "uniform")
    third = 1 / 3
    np.testing.assert_allclose(root, np.diag([0.5, third, third, 0.5]), rtol=1e-6)
    assert (np.diag(neighbours) == 0).all()
    np.testing.assert_allclose(root + neighbours, everything, rtol=1e-6)
    np.testing.assert_allclose(static_adjacency(CHAIN).sum(axis=0), everything, rtol=1e-6)


def test_only_bones_and_the_joint_itself_are_linked():
    linked = static_adjacency(COCO18).sum(axis=0) > 0
    bones = np.eye(18, dtype=bool)
    for a, b in COCO18.edges:
        bones[a, b] = bones[b, a] = True
    np.testing.assert_array_equal(linked, bones)


def test_distances_are_counted_in_bones():
    assert list(hops_from_centre(CHAIN)) == [1, 0, 1, 2]
    assert hops_from_centre(COCO18)[COCO18.index["left_ankle"]] == 4


def test_a_joint_without_a_bone_is_an_error_that_names_it():
    lonely = Skeleton("odd", ("a", "b", "tail"), ((0, 1),), 0, (0, 1, 2), (0.1,) * 3)
    with pytest.raises(ConfigError, match="tail"):
        static_adjacency(lonely)
