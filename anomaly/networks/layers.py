"""The network's layers: spatially attentive graph convolution and the spatio-temporal block (paper, section 3.2).

Tensors are (N, C, T, V): windows, channels, frames, joints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomaly.networks.batch_norm import BatchNorm, Dropout, add_reduced
from anomaly.networks.graph_conv import graph_convolution
from anomaly.settings import ADJACENCIES

_UNIFORM_START = 1e-6  # of every entry of the globally-learned adjacency: a complete graph that starts silent


class GraphConv(nn.Module):
    """One GCN: for each subset of an adjacency its own 1x1 weights, summed, then batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(in_channels * subsets, out_channels, 1, bias=False)  # the norm has the bias
        self.norm = BatchNorm(out_channels)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """x (N, C, T, V) with an adjacency (S, V, V), or (N, S, V, V) where each sample has its own."""
        return torch.relu_(self.norm(self.convolve(x, adjacency)))

    def convolve(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """What the norm and the ReLU are applied to."""
        return graph_convolution(x, self.mix.weight.flatten(1), adjacency)


class InferredAdjacency(nn.Module):
    """Adjacency C: multiplicative self-attention over joints, one matrix a sample and subset."""

    def __init__(self, in_channels: int, embedding: int, subsets: int) -> None:
        super().__init__()
        self.subsets, self.embedding = subsets, embedding
        self.source = nn.Conv2d(in_channels, embedding * subsets, 1)
        self.target = nn.Conv2d(in_channels, embedding * subsets, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, T, V) -> (N, S, V, V); the weights with which each joint hears the others sum to 1."""
        n, c, t, v = x.shape
        both = (self.source, self.target)  # in one product
        weight = torch.cat([conv.weight.view(-1, c) for conv in both])
        bias = torch.cat([conv.bias for conv in both if conv.bias is not None])
        embedded = F.linear(x.permute(0, 2, 3, 1), weight, bias)
        embedded = embedded.view(n, t, v, 2, self.subsets, self.embedding).permute(3, 0, 4, 2, 1, 5)
        source, target = embedded.reshape(2, n * self.subsets, v, t * self.embedding).unbind()
        # Divided by the length of the product, or softmax saturates before anything is learned.
        weights = torch.softmax(torch.bmm(target, source.transpose(1, 2)) / (self.embedding * t), dim=2)
        return weights.view(n, self.subsets, v, v).transpose(2, 3)


class SpatialAttentionGraphConv(nn.Module):
    """SAGC (figure 3): a GCN for each kind of adjacency, stacked, reduced by a 1x1 convolution, with a residual.

    With the static adjacency alone it is ST-GCN's graph convolution: one GCN with batch norm and ReLU, without the
    reduction and the residual, which have nothing to weigh there.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        static: (S, V, V) adjacency A, fixed and shared by all layers.
        kinds: which of A ("static"), B ("global") and C ("inferred") are used.
    """

    static: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, static: Tensor, kinds: tuple[str, ...] = ADJACENCIES
    ) -> None:
        super().__init__()
        subsets = len(static)
        self.plain = tuple(kinds) == ("static",)
        self.register_buffer("static", static, persistent=False)
        self.branches = nn.ModuleDict({k: GraphConv(in_channels, out_channels, subsets) for k in kinds})
        self.learned = nn.Parameter(torch.full_like(static, _UNIFORM_START)) if "global" in kinds else None
        embedding = max(out_channels // 4, 1)
        self.infer = InferredAdjacency(in_channels, embedding, subsets) if "inferred" in kinds else None
        if not self.plain:
            self.reduce = nn.Conv2d(out_channels * len(kinds), out_channels, 1)
            self.residual = shortcut(in_channels, out_channels)

    def adjacency(self, kind: str, x: Tensor) -> Tensor:
        """The adjacency of one kind; only the inferred one depends on ``x``."""
        if self.learned is not None and kind == "global":
            return self.learned
        return self.infer(x) if self.infer is not None and kind == "inferred" else self.static

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T, V)."""
        if self.plain:
            return self.branches["static"](x, self.static)
        # The stack is never made: each GCN goes through its own columns of the reduction.
        assert self.reduce.bias is not None
        out = self.residual(x) + self.reduce.bias.view(-1, 1, 1)
        weights = self.reduce.weight.flatten(1).split(len(self.reduce.weight), dim=1)
        for (kind, branch), weight in zip(self.branches.items(), weights, strict=True):
            assert isinstance(branch, GraphConv)
            out = add_reduced(out, branch.convolve(x, self.adjacency(kind, x)), branch.norm, weight)
        return out


class SpatioTemporalBlock(nn.Module):
    """ST block (figure 2): SAGC, temporal convolution with batch norm, dropout, residual, activation.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        static: (S, V, V) adjacency A.
        kinds: which adjacencies the spatial convolution uses.
        stride: temporal stride; T must be divisible by it.
        kernel: odd temporal kernel size in frames.
        dropout: probability.
        activate: whether a ReLU ends the block (not where it gives back input features).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        static: Tensor,
        kinds: tuple[str, ...] = ADJACENCIES,
        stride: int = 1,
        kernel: int = 9,
        dropout: float = 0.0,
        activate: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = SpatialAttentionGraphConv(in_channels, out_channels, static, kinds)
        self.temporal = nn.Conv2d(
            out_channels, out_channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False
        )
        self.norm = BatchNorm(out_channels)
        self.dropout = Dropout(dropout)
        self.residual = shortcut(in_channels, out_channels, stride)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T / stride, V)."""
        out, residual = self.norm(self.temporal(torch.relu(self.spatial(x)))), self.residual(x)
        mask = self.dropout.mask(out)
        out = out + residual if mask is None else torch.addcmul(residual, out, mask)
        return torch.relu_(out) if self.activate else out


class StridedPointwiseConv(nn.Conv2d):
    """A 1x1 convolution of every ``stride``-th frame.

    torch 2.13's own (oneDNN's) strided 1x1 convolution of channels-last tensors writes beyond its memory in the
    backward pass from 33 joints on.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T / stride, V)."""
        return F.conv2d(input[:, :, :: self.stride[0]], self.weight)


def shortcut(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """The residual path: identity where shapes agree, otherwise a strided 1x1 convolution with batch norm."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        StridedPointwiseConv(in_channels, out_channels, 1, (stride, 1), bias=False), BatchNorm(out_channels)
    )
