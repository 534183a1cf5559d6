"""Compute the losses of future-frame prediction, and PSNR (Liu et al., CVPR 2018, equations 4 to 8 and 10).

The paper writes sums over a frame's pixels; these are means, so that a loss does not depend on the frame's size.
Frames are (B, 3, H, W) of -1..1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anomaly.baselines.frame_prediction.flow import optical_flow

_ROUNDING = 4 / 255**2 / 12  # mean squared error that 8 bits alone make, at a range of 2


def intensity_loss(predicted: Tensor, real: Tensor) -> Tensor:
    """Equation 4: squared differences of the pixels."""
    return (predicted - real).square().mean()


def gradient_loss(predicted: Tensor, real: Tensor) -> Tensor:
    """Equation 5: absolute differences of the sizes of the image gradients, in x plus in y."""
    sums = [(predicted.diff(dim=axis).abs() - real.diff(dim=axis).abs()).abs().mean() for axis in (-1, -2)]
    return sums[0] + sums[1]


def flow_loss(
    predicted: Tensor, real: Tensor, previous: Tensor, levels: int, iterations: int, window: int
) -> Tensor:
    """Equation 6: absolute differences in pixels of the flows from ``previous`` to the predicted and the real frame."""
    with torch.no_grad():
        true = optical_flow(previous, real, levels, iterations, window)
    return (optical_flow(previous, predicted, levels, iterations, window) - true).abs().mean()


def discriminator_loss(of_real: Tensor, of_predicted: Tensor) -> Tensor:
    """Equation 7: the discriminator's patches should be 1 for real frames and 0 for predicted ones."""
    return (of_real - 1).square().mean() / 2 + of_predicted.square().mean() / 2


def generator_loss(of_predicted: Tensor) -> Tensor:
    """Equation 8: the discriminator's patches should be 1 for predicted frames."""
    return (of_predicted - 1).square().mean() / 2


def psnr(predicted: Tensor, real: Tensor) -> Tensor:
    """Equation 10: (B,) peak signal to noise ratio in dB; the peak is the range of the pixels, 2.

    No more than what rounding to 8 bits leaves, 58.9 dB.
    """
    error = (predicted - real).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error.clamp_min(_ROUNDING))
