"""Normalise batches over all processes, or fused with what follows; drop out with a cheap mask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomaly.runtime.distributed import sum_over, world

_WORD = 2**16  # a dropout mask is drawn in 16 bits an element: the probability is right to 1 / 65536


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of the batches of all processes together.

    ``torch.nn.SyncBatchNorm`` is that for GPUs only. Where a single process trains, this is `nn.BatchNorm2d`.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, T, V) -> (N, C, T, V)."""
        if not self.training or world() == 1:
            return super().forward(input)
        out, mean, var, count = _NormOverAll.apply(input, self.weight, self.bias, self.eps)
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return _like(out, input)  # here, for what follows may change it in place


class _NormOverAll(torch.autograd.Function):
    """Batch norm with statistics over all processes; the mean first, then the centred squares."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = _rows(x)
        channels = rows.shape[1]
        total = sum_over(torch.cat([rows.sum(dim=0), rows.new_tensor([float(len(rows))])]))
        count = total[channels:]
        mean = total[:channels] / count
        var = sum_over((rows - mean).square_().sum(dim=0)) / count
        inverse = torch.rsqrt(var + eps)
        out = torch.addcmul(bias - mean * inverse * weight, rows, inverse * weight)
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        grad, normal = grads[0], (_rows(x) - mean) * inverse
        grad_bias, grad_weight = grad.sum(dim=0), (grad * normal).sum(dim=0)
        both = sum_over(torch.cat([grad_bias, grad_weight])) / count
        shared, along = both.chunk(2)
        grad_x = (grad - shared - normal * along) * (inverse * weight)
        return _like(grad_x, x), grad_weight.to(weight.dtype), grad_bias.to(weight.dtype), None


def add_reduced(out: Tensor, x: Tensor, norm: BatchNorm, weight: Tensor) -> Tensor:
    """``out`` + W relu(norm(x)): one GCN's part of the reduction of all (figure 3).

    Args:
        out: (N, C_out, T, V), which is not needed any more.
        x: (N, C, T, V), what the GCN's convolution gives.
        norm: the GCN's batch norm.
        weight: (C_out, C).
    """
    if not norm.training or world() > 1:
        rows = torch.addmm(_flat(out), _flat(torch.relu_(norm(x))), weight.T)
        return _like(rows, out)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    dtype = x.dtype
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = _AddReduced.apply(out.to(dtype), x, weight.to(dtype), norm.weight, norm.bias, norm)
    return result


class _AddReduced(torch.autograd.Function):
    """Keeps the input of the batch norm only; what the ReLU gives is made again for the gradients."""

    @staticmethod
    def forward(
        ctx: Any, out: Tensor, x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, norm: BatchNorm
    ) -> Tensor:
        normal, mean, inverse = torch.native_batch_norm(
            x, scale, shift, norm.running_mean, norm.running_var, True, norm.momentum or 0.0, norm.eps
        )
        ctx.save_for_backward(x, weight, scale, shift, mean, inverse)
        ctx.eps = norm.eps
        return _like(torch.addmm(_flat(out), _flat(normal.relu_()), weight.T), out)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, shift, mean, inverse = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            factor = scale * inverse
            heard = torch.addcmul((shift - mean * factor).to(x.dtype), _flat(x), factor.to(x.dtype)).relu_()
            rows = _flat(grad)
            grad_weight = torch.mm(rows.T, heard)
            passed = torch.ops.aten.threshold_backward(torch.mm(rows, weight), heard, 0)
            del heard
            grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
                _like(passed, x), x, scale, None, None, mean, inverse, True, ctx.eps, [True, True, True]
            )
        return grad, grad_x, grad_weight, grad_scale, grad_shift, None


def _flat(x: Tensor) -> Tensor:
    """(N, C, T, V) -> (N * T * V, C), a view of channels-last tensors."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _rows(x: Tensor) -> Tensor:
    """(N, C, T, V) -> (N * T * V, C), in float32 or wider."""
    rows = _flat(x)
    return rows if rows.dtype == torch.float64 else rows.float()


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """(N * T * V, C) -> (N, C, T, V) of the dtype of ``x``."""
    n, c, t, v = x.shape
    return rows.view(n, t, v, c).permute(0, 3, 1, 2).to(x.dtype)


class Dropout(nn.Dropout):
    """Dropout that hands out its mask, so that it can be applied in the pass that adds the residual."""

    def mask(self, x: Tensor) -> Tensor | None:
        """0 or 1 / (1 - p) for each element of ``x`` (N, C, T, V); None if nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        if x.device.type != "cpu":
            return F.dropout(torch.ones_like(x), self.p)
        n, c, t, v = x.shape
        # torch draws a CPU's Bernoulli numbers one by one; four of them fit each 64 random bits.
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[: x.numel()] >= round(self.p * _WORD) - _WORD // 2
        return kept.to(x.dtype).mul_(1 / (1 - self.p)).view(n, t, v, c).permute(0, 3, 1, 2)
