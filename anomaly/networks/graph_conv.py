"""Compute the graph convolution sum_s A_s x W_s as matrix products that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_CACHE = 2**20  # bytes of a core's own cache that the intermediate of a micro-batch may take


def graph_convolution(x: Tensor, weight: Tensor, adjacency: Tensor) -> Tensor:
    """For each subset of an adjacency its own weights, summed: out[w] = sum_s sum_v A_s[v, w] W_s x[v].

    The weights go first and the adjacency second, each as one matrix product for all subsets. What lies between them is
    S times as large as the output; it is made and used up a few windows at a time, and made again for the gradients
    instead of being kept.

    Args:
        x: (N, C_in, T, V), best in channels-last memory format.
        weight: (C_out, S * C_in).
        adjacency: (S, V, V) from v to w, or (N, S, V, V) where each sample has its own.

    Returns:
        (N, C_out, T, V) in channels-last memory format.
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, adjacency = x.to(dtype), weight.to(dtype), adjacency.to(dtype)
    out, subsets = len(weight), adjacency.shape[-3]
    stacked = weight.view(out, subsets, -1).transpose(0, 1).reshape(subsets * out, -1)
    # From [s, v, w] to rows w of columns [v, s], which the products with the weights have.
    rows = adjacency.movedim(-1, -3).transpose(-2, -1).flatten(-2)
    rows = rows if rows.dim() == 3 else rows.unsqueeze(0)
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = _GraphConvolution.apply(x.permute(0, 2, 3, 1).contiguous(), stacked, rows)
    return result.permute(0, 3, 1, 2)


class _GraphConvolution(torch.autograd.Function):
    """x (N, T, V, C), weight (S * O, C), adjacency (N or 1, V, V * S) -> (N, T, V, O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, adjacency: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, adjacency)
        n, t, v, _ = x.shape
        subsets = adjacency.shape[2] // v
        out = x.new_empty(n, t, v, len(weight) // subsets)
        for part in _micro_batches(x, weight):
            mixed = torch.mm(x[part].flatten(0, 2), weight.T).view(-1, v * subsets, out.shape[3])
            torch.bmm(_per_frame(adjacency, x, part), mixed, out=out[part].flatten(0, 1))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, adjacency = ctx.saved_tensors
        grad = grad.contiguous()
        t, v, c = x.shape[1:]
        out, subsets = grad.shape[3], adjacency.shape[2] // v
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight, dtype=torch.promote_types(x.dtype, torch.float32))
        grad_adjacency = (
            torch.zeros_like(adjacency, dtype=grad_weight.dtype) if ctx.needs_input_grad[2] else None
        )
        with torch.autocast(x.device.type, enabled=False):
            for part in _micro_batches(x, weight):
                frames, rows = grad[part].flatten(0, 1), x[part].flatten(0, 2)
                if grad_adjacency is not None:
                    mixed = torch.mm(rows, weight.T).view(-1, v * subsets, out)
                    products = torch.bmm(frames, mixed.transpose(1, 2))
                    if len(adjacency) == 1:
                        grad_adjacency += products.sum(dim=0)
                    else:
                        grad_adjacency[part] = products.view(-1, t, v, v * subsets).sum(dim=1)
                mixed = torch.bmm(_per_frame(adjacency, x, part).transpose(1, 2), frames).view(
                    -1, len(weight)
                )
                grad_weight += torch.mm(mixed.T, rows)
                if grad_x is not None:
                    torch.mm(mixed, weight, out=grad_x[part].view(-1, c))
        if grad_adjacency is not None:
            grad_adjacency = grad_adjacency.to(adjacency.dtype)
        return grad_x, grad_weight.to(weight.dtype), grad_adjacency


def _micro_batches(x: Tensor, weight: Tensor) -> Iterator[slice]:
    """Slices of the samples for which x W fits the cache; all at once on an accelerator."""
    n, t, v, _ = x.shape
    size = n
    if x.device.type == "cpu":
        bytes_each = t * v * len(weight) * x.element_size()
        size = max(_CACHE * torch.get_num_threads() // bytes_each, 1)
    return (slice(begin, begin + size) for begin in range(0, n, max(size, 1)))


def _per_frame(adjacency: Tensor, x: Tensor, part: slice) -> Tensor:
    """The adjacencies of a slice of samples, one a frame: (n * T, V, V * S), a view where all samples share one."""
    n, t = x[part].shape[:2]
    if adjacency.shape[0] == 1:
        return adjacency.expand(n * t, -1, -1)
    return adjacency[part].unsqueeze(1).expand(-1, t, -1, -1).flatten(0, 1)
