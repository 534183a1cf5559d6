"""Estimate dense optical flow, differentiably: Lucas and Kanade's method in a pyramid, in torch.

The paper takes a pre-trained FlowNet, which is a download, and which only serves to compare two flows. Here both flows
come from this routine, which has nothing to learn. It works on grey levels of 0..1 in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_NOISE = 1e-3  # added to the squared gradients (grey level / pixel)^2: without texture, no motion is found
_STEP = (
    1.0  # pixels, at most, that an iteration moves a point: more is beyond what the linearisation holds for
)
_SMALLEST = 8  # pixels, the least side of a pyramid's top


def optical_flow(
    first: Tensor, second: Tensor, levels: int = 3, iterations: int = 3, window: int = 5
) -> Tensor:
    """Where the pixels of one frame are in the next.

    Finds u with ``second(x + u) = first(x)`` by Gauss-Newton steps on the squared differences in a window around each
    pixel, at the pyramid's top first. Squared gradients are those of ``first``, so that each step is linear in the
    grey levels of ``second``.

    Args:
        first: (B, C, H, W) frames of -1..1.
        second: (B, C, H, W) the frames after them.
        levels: of the pyramid, fewer where the frames are small.
        iterations: steps at each level.
        window: side in pixels of the box that weights them, twice applied.

    Returns:
        (B, 2, H, W) motion in x and in y, pixels.
    """
    pyramid = [(_grey(first), _grey(second))]
    while len(pyramid) < levels and min(pyramid[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        pyramid.append(tuple(F.avg_pool2d(image, 2) for image in pyramid[-1]))  # type: ignore[arg-type]
    u = first.new_zeros(len(first), 2, *pyramid[-1][0].shape[-2:])
    for a, b in reversed(pyramid):
        if u.shape[-2:] != a.shape[-2:]:
            u = 2 * F.interpolate(u, a.shape[-2:], mode="bilinear", align_corners=False)
        u = _refine(a, b, u, iterations, window)
    return u


def _refine(a: Tensor, b: Tensor, u: Tensor, iterations: int, window: int) -> Tensor:
    """Gauss-Newton steps from ``u`` at one level of the pyramid."""
    gradient = _central_differences(a)
    gx, gy = gradient[:, :1], gradient[:, 1:]
    xx, xy, yy = _mean(torch.cat([gx * gx, gx * gy, gy * gy], 1), window).split(1, 1)
    xx, yy = xx + _NOISE, yy + _NOISE
    inverse = torch.cat([yy, -xy, -xy, xx], 1) / (xx * yy - xy * xy)
    for _ in range(iterations):
        px, py = _mean(gradient * (a - warp(b, u)), window).split(1, 1)
        step = torch.cat(
            [inverse[:, :1] * px + inverse[:, 1:2] * py, inverse[:, 2:3] * px + inverse[:, 3:] * py], 1
        )
        u = u + step.clamp(-_STEP, _STEP)
    return u


def warp(image: Tensor, u: Tensor) -> Tensor:
    """(B, C, H, W) ``image`` at x + u, bilinear; its border goes on outside of it. u is (B, 2, H, W) pixels."""
    height, width = image.shape[-2:]
    ys = torch.arange(height, dtype=u.dtype, device=u.device).view(1, -1, 1)
    xs = torch.arange(width, dtype=u.dtype, device=u.device).view(1, 1, -1)
    x = (2 * (u[:, 0] + xs) + 1) / width - 1
    y = (2 * (u[:, 1] + ys) + 1) / height - 1
    return F.grid_sample(image, torch.stack([x, y], -1), padding_mode="border", align_corners=False)


def _grey(frames: Tensor) -> Tensor:
    """(B, 1, H, W) grey levels of 0..1, the same whatever the channels' order."""
    return (frames.mean(1, keepdim=True) + 1) / 2


def _central_differences(image: Tensor) -> Tensor:
    """(B, 2, H, W) gradient in x and in y."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return torch.cat([x, y], 1)


def _mean(image: Tensor, window: int) -> Tensor:
    """Weighted mean around each pixel: twice over the part of its window that is in the image.

    Not once: neighbours have flows of their own, and what a box makes of ripples in them has the wrong sign for some,
    which would then grow from step to step. Twice, it is squared.
    """
    for _ in range(2):
        image = F.avg_pool2d(image, window, stride=1, padding=window // 2, count_include_pad=False)
    return image
