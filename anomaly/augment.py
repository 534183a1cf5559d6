"""The fixed transforms of a window that training adds and a test window's score is averaged over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pose_extract.skeletons import Skeleton

if TYPE_CHECKING:
    from torch import Tensor

# name -> (mirrored first, rotation in degrees)
TRANSFORMS: dict[str, tuple[bool, float]] = {
    "identity": (False, 0.0),
    "mirror": (True, 0.0),
    "rotate90": (False, 90.0),
    "mirror_rotate90": (True, 90.0),
    "rotate45": (False, 45.0),
}


def apply_transform(name: str, x: Tensor, skeleton: Skeleton) -> Tensor:
    """One transform of windows (N, C, T, V) whose first two channels are x and y; the others stay.

    Mirroring turns x around and swaps left and right joints: the result is again a person, seen in a mirror.
    Rotation is in the image plane, about the window's centre, which normalisation has put at 0.
    """
    import torch

    mirrored, degrees = TRANSFORMS[name]
    if mirrored:
        x = x[..., list(skeleton.mirror)]
        x = torch.cat([-x[:, :1], x[:, 1:]], dim=1)
    if degrees:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        across, down = x[:, 0], x[:, 1]
        turned = torch.stack([cos * across - sin * down, sin * across + cos * down], dim=1)
        x = torch.cat([turned, x[:, 2:]], dim=1)
    return x
