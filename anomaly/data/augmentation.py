"""Transform windows (mirror, rotate): what training adds and what a test window's score is averaged over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.settings.training import TRANSFORMS
from pose_extract.skeletons import Skeleton

if TYPE_CHECKING:
    from torch import Tensor


def apply_transforms(x: Tensor, names: Sequence[str], skeleton: Skeleton) -> Tensor:
    """All G transforms of windows (N, C, T, V) whose first two channels are x and y: (N, G, C, T, V).

    Mirroring turns x around and swaps left and right joints: the result is again a person, seen in a mirror.
    Rotation is in the x-y plane (the image, or the plane that faces the camera), about the window's centre, which
    normalisation has put at 0. Depth and confidence stay.
    """
    if tuple(names) == ("identity",):
        return x[:, None]
    matrices, orders = tables(names, skeleton)
    n, c, t, v = x.shape
    copies = x[..., orders.reshape(-1).tolist()].reshape(n, c, t, len(names), v).permute(0, 3, 1, 2, 4)
    return _turn(copies, x.new_tensor(matrices)[None])


def apply_each(x: Tensor, which: Tensor, names: Sequence[str], skeleton: Skeleton) -> Tensor:
    """Windows (N, C, T, V), window n in transform ``names[which[n]]``; ``which`` (N,) int64 lies where x does."""
    if tuple(names) == ("identity",):
        return x
    matrices, orders = tables(names, skeleton)
    order = which.new_tensor(orders)[which][:, None, None].expand_as(x)
    return _turn(x.gather(3, order), x.new_tensor(matrices)[which])


def tables(names: Sequence[str], skeleton: Skeleton) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What G transforms do: (G, 2, 2) matrices of x and y, (G, V) the joint that each joint is taken from."""
    matrices, orders = [], []
    for name in names:
        mirrored, degrees = TRANSFORMS[name]
        cos, sin = (round(f(math.radians(degrees)), 15) for f in (math.cos, math.sin))  # a right angle's is 0
        across = -1 if mirrored else 1
        matrices.append([[cos * across, -sin], [sin * across, cos]])
        orders.append(skeleton.mirror if mirrored else range(skeleton.num_joints))
    return np.array(matrices), np.array(orders)


def _turn(x: Tensor, matrices: Tensor) -> Tensor:
    """Multiply x and y of (..., C, T, V) by (..., 2, 2); elementwise, so that mixed precision leaves it alone."""
    import torch

    m = matrices[..., None, None]
    across, down = x[..., 0, :, :], x[..., 1, :, :]
    turned = [m[..., i, 0, :, :] * across + m[..., i, 1, :, :] * down for i in (0, 1)]
    return torch.cat([torch.stack(turned, dim=-3), x[..., 2:, :, :]], dim=-3)
