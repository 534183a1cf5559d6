"""The layers against loops in float64 that say the same in the most literal way."""

import numpy as np
import pytest
import torch

from anomaly.networks.graph import static_adjacency
from anomaly.networks.layers import (
    GraphConv,
    InferredAdjacency,
    SpatialAttentionGraphConv,
    SpatioTemporalBlock,
)
from pose_extract.skeletons import COCO17, COCO18


def static(skeleton=COCO17):
    return torch.from_numpy(static_adjacency(skeleton)).double()


def windows(channels=3, joints=17, frames=4, seed=0):
    return torch.randn(2, channels, frames, joints, generator=torch.Generator().manual_seed(seed)).double()


def test_a_graph_convolution_sums_over_subsets_and_neighbours_with_weights_of_their_own():
    torch.manual_seed(0)
    conv, a, x = GraphConv(3, 4, 3).double().eval(), static(), windows()
    weight = conv.mix.weight.detach().numpy().reshape(4, 3, 3)  # out, subset, in
    expected = np.zeros((2, 4, 4, 17))
    for n, o, t, w in np.ndindex(expected.shape):
        for s in range(3):
            for c in range(3):
                for v in range(17):
                    expected[n, o, t, w] += float(weight[o, s, c] * x[n, c, t, v] * a[s, v, w])
    expected = np.maximum(expected / np.sqrt(1 + conv.norm.eps), 0)  # fresh batch norm, then ReLU
    np.testing.assert_allclose(conv(x, a).detach(), expected, atol=1e-12)


def test_the_inferred_adjacency_is_attention_over_joints_flattened_over_channels_and_time():
    torch.manual_seed(1)
    infer, x = InferredAdjacency(3, 2, 3).double(), windows()
    got = infer(x).detach().numpy()
    assert got.shape == (2, 3, 17, 17)
    source = infer.source(x).detach().numpy().reshape(2, 3, 2 * 4, 17)
    target = infer.target(x).detach().numpy().reshape(2, 3, 2 * 4, 17)
    for n, s, w in np.ndindex(2, 3, 17):
        products = [source[n, s, :, v] @ target[n, s, :, w] / 8 for v in range(17)]
        np.testing.assert_allclose(got[n, s, :, w], np.exp(products) / np.exp(products).sum(), atol=1e-12)
    assert np.abs(got[0] - got[1]).max() > 1e-3  # another one for each sample


def test_the_three_kinds_are_stacked_reduced_and_added_to_the_input():
    torch.manual_seed(2)
    conv, x = SpatialAttentionGraphConv(4, 4, static()).double().eval(), windows(4)
    a, b = conv.static, conv.learned
    branches = conv.branches
    stacked = torch.cat(
        [branches["static"](x, a), branches["global"](x, b), branches["inferred"](x, conv.infer(x))], dim=1
    )
    weight, bias = conv.reduce.weight[..., 0, 0], conv.reduce.bias
    expected = torch.einsum("oc,nctv->notv", weight, stacked) + bias[:, None, None] + x
    torch.testing.assert_close(conv(x), expected)


def test_the_globally_learned_adjacency_starts_uniform_and_is_learned_while_the_static_one_is_fixed():
    conv = SpatialAttentionGraphConv(3, 4, static().float())
    assert torch.unique(conv.learned).numel() == 1
    names = dict(conv.named_parameters())
    assert "learned" in names
    assert "static" not in names
    conv(windows().float()).sum().backward()
    assert conv.learned.grad.abs().sum() > 0


def test_with_the_static_adjacency_alone_a_block_is_that_of_st_gcn():
    torch.manual_seed(3)
    block, x = SpatioTemporalBlock(3, 4, static(), ("static",), stride=2).double().eval(), windows()
    names = {name.removesuffix(".weight") for name, _ in block.named_parameters() if name.endswith("weight")}
    graph = {"spatial.branches.static.mix", "spatial.branches.static.norm"}
    assert names == graph | {"temporal", "norm", "residual.0", "residual.1"}
    heard = block.spatial.branches["static"](x, block.spatial.static)  # with batch norm and ReLU
    expected = torch.relu(block.norm(block.temporal(heard)) + block.residual(x))
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("channels", "skeleton"), [(2, COCO17), (3, COCO18), (3, COCO17)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_block_keeps_joints_and_divides_time_by_its_stride(channels, skeleton, stride):
    block = SpatioTemporalBlock(channels, 8, static(skeleton).float(), stride=stride)
    x = windows(channels, skeleton.num_joints, 12).float()
    assert block(x).shape == (2, 8, 12 // stride, skeleton.num_joints)


def test_a_block_sees_earlier_and_later_frames():
    block = SpatioTemporalBlock(3, 4, static(), kernel=3).double().eval()
    x = windows(frames=6)
    moved = x.clone()
    moved[:, :, 2] += 1
    changed = (block(moved) - block(x)).abs().sum(dim=(0, 1, 3)) > 1e-9
    # The inferred adjacency looks at the whole window; without it a kernel of 3 reaches one frame.
    assert changed[1:4].all()
    block = SpatioTemporalBlock(3, 4, static(), ("static", "global"), kernel=3).double().eval()
    changed = (block(moved) - block(x)).abs().sum(dim=(0, 1, 3)) > 1e-9
    assert changed.tolist() == [False, True, True, True, False, False]
