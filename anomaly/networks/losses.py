"""Compute the reconstruction loss (paper, section 3.5, equation 4)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from anomaly.settings import ModelSettings


def reconstruction_loss(reconstruction: Tensor, x: Tensor, settings: ModelSettings) -> Tensor:
    """Mean squared error of a reconstruction (N, C, T, V); with ``training.masked``, of the joints that are seen."""
    if not settings.training.masked:
        return F.mse_loss(reconstruction, x)
    seen = seen_joints(x, settings)
    return ((reconstruction - x).square() * seen).sum() / (seen.sum().clamp_min(1) * x.shape[1])


def seen_joints(x: Tensor, settings: ModelSettings) -> Tensor:
    """(..., 1, T, V) 1 where the joints of windows (..., C, T, V) are seen and 0 elsewhere, by their confidence."""
    channel = settings.windows.confidence_channel
    return (x[..., channel : channel + 1, :, :] > 0).to(x.dtype)
