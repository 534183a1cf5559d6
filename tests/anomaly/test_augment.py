import pytest
import torch

from anomaly.augment import TRANSFORMS, apply_transform
from pose_extract.skeletons import COCO17, COCO18


@pytest.mark.parametrize("skeleton", [COCO17, COCO18])
def test_a_mirrored_person_is_a_person_whose_left_is_left(skeleton):
    x = torch.randn(2, 3, 12, skeleton.num_joints)
    mirrored = apply_transform("mirror", x, skeleton)
    left, right = skeleton.index["left_wrist"], skeleton.index["right_wrist"]
    torch.testing.assert_close(mirrored[:, 0, :, left], -x[:, 0, :, right])
    torch.testing.assert_close(mirrored[:, 1:, :, left], x[:, 1:, :, right])
    torch.testing.assert_close(apply_transform("mirror", mirrored, skeleton), x)


def test_rotations_turn_the_image_plane_and_leave_confidence():
    x = torch.randn(2, 3, 12, 18)
    turned = apply_transform("rotate90", x, COCO18)
    torch.testing.assert_close(turned[:, 0], -x[:, 1])
    torch.testing.assert_close(turned[:, 1], x[:, 0])
    torch.testing.assert_close(turned[:, 2], x[:, 2])
    twice = apply_transform("rotate45", apply_transform("rotate45", x, COCO18), COCO18)
    torch.testing.assert_close(twice, turned)


def test_the_five_are_different_and_the_identity_is_one():
    x = torch.randn(1, 2, 12, 17)
    copies = [apply_transform(name, x, COCO17) for name in TRANSFORMS]
    assert len(copies) == 5
    assert (copies[0] == x).all()
    for i, a in enumerate(copies):
        assert all((a - b).abs().max() > 0.1 for b in copies[:i])
    both = apply_transform("rotate90", apply_transform("mirror", x, COCO17), COCO17)
    torch.testing.assert_close(apply_transform("mirror_rotate90", x, COCO17), both)
