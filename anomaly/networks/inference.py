"""Run the network for scoring: encoder and clustering layer only, batch norms fused into their neighbours' weights.

In evaluation mode a batch norm is a fixed scale and shift of each channel, which the weights before it can carry. The
fused network says the same as `Network.assign` up to rounding, in fewer passes over memory.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomaly.networks.batch_norm import BatchNorm
from anomaly.networks.layers import (
    GraphConv,
    InferredAdjacency,
    SpatialAttentionGraphConv,
    SpatioTemporalBlock,
)
from anomaly.networks.st_gcae import Network

_MICRO_BATCH = {"cpu": 32}  # windows whose activations stay in the processor's cache
_ELSEWHERE = 4096


def fuse_batch_norm(network: Network) -> FusedNetwork:
    """The fused copy of a network's encoder and clustering layer, in evaluation mode and without gradients."""
    with torch.no_grad():
        return FusedNetwork(copy.deepcopy(network).eval()).eval().requires_grad_(False)


@torch.no_grad()
def assign_in_micro_batches(fused: FusedNetwork, x: Tensor) -> Tensor:
    """Windows (N, C, T, V), as many as fit the memory, -> log soft assignments (N, K), in micro-batches."""
    return torch.cat([fused(part) for part in micro_batches(x)])


def micro_batches(x: Tensor) -> tuple[Tensor, ...]:
    """Windows (N, C, T, V) in parts that a network in evaluation mode passes through fastest."""
    return x.split(_MICRO_BATCH.get(x.device.type, _ELSEWHERE))


class FusedNetwork(nn.Module):
    """Encoder and clustering layer with batch norms fused; every operation can be traced and exported.

    Attributes:
        encoder: the fused blocks.
        clustering: a copy of the clustering layer.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        blocks = [block for block in network.autoencoder.encoder if isinstance(block, SpatioTemporalBlock)]
        self.encoder = nn.Sequential(*(_Block(block) for block in blocks))
        self.clustering = copy.deepcopy(network.clustering)

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, T, V) -> latent vectors z (N, D)."""
        return self.encoder(x.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (N, C, T, V) -> log soft assignments (N, K)."""
        return self.clustering(self.encode(x))


class _Graph(nn.Module):
    """A GCN with its batch norm fused; tensors are (N, T, V, C) here and below.

    ``adjacency`` is the fixed matrix (S, V, V), or the module that infers one.
    """

    weight: Tensor
    bias: Tensor
    rows: Tensor

    def __init__(self, conv: GraphConv, subsets: int, adjacency: Tensor | InferredAdjacency) -> None:
        super().__init__()
        scale, bias = _scale_and_shift(conv.norm)
        self.out, self.subsets = len(scale), subsets
        weight = (conv.mix.weight[..., 0, 0] * scale[:, None]).view(self.out, subsets, -1)
        self.register_buffer("weight", weight.transpose(0, 1).reshape(subsets * self.out, -1).contiguous())
        self.register_buffer("bias", bias)
        self.infer = _Inferred(adjacency) if isinstance(adjacency, InferredAdjacency) else None
        if isinstance(adjacency, Tensor):
            self.register_buffer("rows", adjacency.permute(2, 1, 0).flatten(1)[None].contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, V, C_in) -> (N, T, V, C_out)."""
        t, v = x.shape[1:3]
        mixed = F.linear(x, self.weight).reshape(-1, v * self.subsets, self.out)
        adjacency = self.rows.expand(mixed.shape[0], -1, -1) if self.infer is None else self.infer(x)
        return torch.relu_(torch.baddbmm(self.bias, adjacency, mixed)).view(-1, t, v, self.out)


class _Inferred(nn.Module):
    """Adjacency C, both embeddings in one product."""

    weight: Tensor
    bias: Tensor

    def __init__(self, infer: InferredAdjacency) -> None:
        super().__init__()
        self.subsets, self.embedding = infer.subsets, infer.embedding
        both = (infer.source, infer.target)
        self.register_buffer("weight", torch.cat([conv.weight[..., 0, 0] for conv in both]))
        self.register_buffer("bias", torch.cat([conv.bias for conv in both if conv.bias is not None]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, V, C) -> (N * T, V, V * S), from [v, s] to w."""
        t, v = x.shape[1:3]
        shape = (-1, t, v, 2, self.subsets, self.embedding)
        embedded = F.linear(x, self.weight, self.bias).view(shape).permute(3, 0, 4, 2, 1, 5)
        source, target = embedded.reshape(2, -1, v, t * self.embedding).unbind()
        weights = torch.softmax(torch.bmm(target, source.transpose(1, 2)) / (t * self.embedding), dim=2)
        rows = weights.view(-1, self.subsets, v, v).permute(0, 2, 3, 1).reshape(-1, 1, v, v * self.subsets)
        return rows.expand(-1, t, -1, -1).reshape(-1, v, v * self.subsets)


class _Spatial(nn.Module):
    """SAGC: the stack is never made, each GCN goes through its own columns of the reduction."""

    reduce: Tensor
    bias: Tensor

    def __init__(self, conv: SpatialAttentionGraphConv) -> None:
        super().__init__()
        adjacencies: dict[str, Any] = {"static": conv.static, "global": conv.learned, "inferred": conv.infer}
        self.branches = nn.ModuleList(
            _Graph(cast(GraphConv, branch), len(conv.static), adjacencies[kind])
            for kind, branch in conv.branches.items()
        )
        self.plain = conv.plain
        if not conv.plain:
            self.residual = _shortcut(conv.residual)
            weight = conv.reduce.weight[..., 0, 0]
            self.register_buffer("reduce", weight.T.reshape(len(self.branches), -1, len(weight)).contiguous())
            self.register_buffer("bias", conv.reduce.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, V, C_in) -> (N, T, V, C_out), after the block's first ReLU."""
        t, v = x.shape[1:3]
        if self.plain:
            return self.branches[0](x)
        out = (self.residual(x) + self.bias).flatten(0, 2)
        for branch, weight in zip(self.branches, self.reduce, strict=True):
            out = torch.addmm(out, branch(x).flatten(0, 2), weight)
        return torch.relu_(out).view(-1, t, v, out.shape[1])


class _Block(nn.Module):
    """ST block in evaluation mode: no dropout, batch norm in the temporal weights."""

    def __init__(self, block: SpatioTemporalBlock) -> None:
        super().__init__()
        self.spatial = _Spatial(block.spatial)
        self.temporal = _folded_conv(block.temporal, block.norm)
        self.residual = _shortcut(block.residual)
        self.activate = block.activate

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, V, C_in) -> (N, T / stride, V, C_out)."""
        out = self.temporal(self.spatial(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1) + self.residual(x)
        return torch.relu_(out) if self.activate else out


class _Shortcut(nn.Module):
    """The residual path's strided 1x1 convolution."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, norm: BatchNorm) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(norm)
        self.stride = int(conv.stride[0])
        self.register_buffer("weight", (conv.weight[..., 0, 0] * scale[:, None]).contiguous())
        self.register_buffer("bias", shift)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x[:, :: self.stride], self.weight, self.bias)


def _shortcut(residual: nn.Module) -> nn.Module:
    """The fused residual path of `anomaly.networks.layers.shortcut`."""
    if not isinstance(residual, nn.Sequential):
        return nn.Identity()
    conv, norm = residual
    return _Shortcut(cast(nn.Conv2d, conv), cast(BatchNorm, norm))


def _folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution with the batch norm after it fused in."""
    return torch.nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())


def _scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What a batch norm in evaluation mode does to each channel."""
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale
