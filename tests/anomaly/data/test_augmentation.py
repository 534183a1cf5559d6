import pytest
import torch

from anomaly.data.augmentation import apply_each, apply_transforms
from anomaly.settings import TRANSFORMS
from pose_extract.skeletons import COCO17, COCO18, NTU25
from pose_extract.skeletons.skeleton import two_people


def apply_transform(name, x, skeleton):
    """One transform of windows (N, C, T, V)."""
    return apply_transforms(x, (name,), skeleton)[:, 0]


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


def test_a_mirrored_3d_person_turns_x_and_keeps_height_depth_and_confidence():
    x = torch.randn(2, 4, 12, 25)
    mirrored = apply_transform("mirror", x, NTU25)
    left, right = NTU25.index["left_hand"], NTU25.index["right_hand"]
    torch.testing.assert_close(mirrored[:, 0, :, left], -x[:, 0, :, right])
    torch.testing.assert_close(mirrored[:, 1:, :, left], x[:, 1:, :, right])


def test_a_rotated_3d_person_turns_about_the_cameras_axis():
    x = torch.randn(2, 3, 12, 25)
    turned = apply_transform("rotate45", x, NTU25)
    torch.testing.assert_close(turned[:, 2], x[:, 2])
    lengths = [torch.linalg.vector_norm(y[..., 0] - y[..., 8], dim=1) for y in (x, turned)]
    torch.testing.assert_close(lengths[0], lengths[1])


@pytest.mark.parametrize("skeleton", [COCO18, two_people(COCO17)], ids=lambda s: s.name)
def test_all_transforms_at_once_and_one_for_each_window_are_the_single_ones(skeleton):
    names = tuple(TRANSFORMS)
    x = torch.randn(7, 3, 12, skeleton.num_joints)
    every = apply_transforms(x, names, skeleton)
    for g, name in enumerate(names):
        torch.testing.assert_close(every[:, g], apply_transform(name, x, skeleton), rtol=0, atol=0)
    which = torch.tensor([4, 0, 3, 1, 2, 2, 0])
    each = apply_each(x, which, names, skeleton)
    torch.testing.assert_close(each, every[torch.arange(7), which], rtol=0, atol=0)


def test_mixed_precision_leaves_coordinates_alone():
    x = torch.randn(4, 3, 12, 18)
    with torch.autocast("cpu", torch.bfloat16):
        copies = apply_transforms(x, tuple(TRANSFORMS), COCO18)
    torch.testing.assert_close(copies, apply_transforms(x, tuple(TRANSFORMS), COCO18), rtol=0, atol=0)


@pytest.mark.slow
def test_transforms_run_in_onnx_with_any_number_of_windows(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    class Transforms(torch.nn.Module):
        def forward(self, x):
            return apply_transforms(x, tuple(TRANSFORMS), COCO18)

    path = tmp_path / "transforms.onnx"
    torch.onnx.export(
        Transforms().eval(),
        (torch.randn(2, 3, 12, 18),),
        str(path),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
        input_names=["x"],
        verbose=False,
    )
    x = torch.randn(5, 3, 12, 18)
    (got,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), Transforms()(x))
