"""Compute what normalisation takes out of a window: how a person moves through the picture, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import Skeleton
from pose_extract.skeletons.stature import TRUNK, fit_figure, mean_place

_STEADY = ("neck", "shoulder", "hip")  # these tell how the body moves, the limbs swing about it
_LIMB_WEIGHT = 0.2


@dataclass(frozen=True)
class MovementFeatures:
    """What N windows show; joints that are missing take no part.

    Attributes:
        motion: (N, 5) the mean velocity's amount along x, along x and along y, and the mean speed, all in statures a
            second; how fast the stature grows, a second.
        size: (N, 1) the logarithm of the stature in frame heights: how finely somebody is seen, and how far away.
        place: (N, 2) middle of the trunk along x and the ground below it, in frame sizes.
        posture: (N, 2V) each joint's mean place about the trunk's middle, x and y, in statures; NaN where missing.
        swing: (N, 3V) each joint's deviation from that, along x and y, and its mean speed about the trunk, in statures
            a frame; NaN where missing.
    """

    motion: NDArray[np.float64]
    size: NDArray[np.float64]
    place: NDArray[np.float64]
    posture: NDArray[np.float64]
    swing: NDArray[np.float64]


def movement_features(
    points: NDArray[np.float32], sizes: NDArray[np.float32], skeleton: Skeleton, fps: float
) -> MovementFeatures:
    """How the people of windows move, stand and swing their limbs, and where.

    Args:
        points: (N, T, V, 3) joints in pixels and their confidence, 0 where missing.
        sizes: (N, 2) width and height in pixels of the pictures that they are in.
        skeleton: whose joints they are.
        fps: frames a second of the windows.
    """
    stature, middle = fit_figure(points, skeleton)
    where, seen = points[..., :2], points[..., 2] > 0
    steady = np.array([name.rpartition("_")[2] in _STEADY for name in skeleton.joints])
    weight = np.where(steady, 1.0, _LIMB_WEIGHT) * (seen[:, 1:] & seen[:, :-1])
    total = weight.sum(axis=2)
    moved = total > 0
    steps = np.einsum("ntv,ntvd->ntd", weight, np.diff(where, axis=1)) / np.maximum(total, 1e-9)[..., None]
    count = np.maximum(moved.sum(axis=1), 1)
    scale = fps / stature / count
    velocity = (steps * moved[..., None]).sum(axis=1) * scale[:, None]
    speed = (np.hypot(*steps.transpose(2, 0, 1)) * moved).sum(axis=1) * scale
    growth = _growth(points, seen) * fps
    motion = np.stack([np.abs(velocity[:, 0]), velocity[:, 0], velocity[:, 1], speed, growth], axis=1)
    mean = mean_place(middle)
    ground = mean[:, 1] + TRUNK * stature
    width, height = sizes[:, 0].astype(np.float64), sizes[:, 1].astype(np.float64)
    place = np.stack([mean[:, 0] / width, ground / height], axis=1)
    size = np.log(stature / height)[:, None]
    posture, swing = _limbs(where, seen, steps, middle, stature)
    return MovementFeatures(motion, size, place, posture, swing)


def widths(joints: int) -> dict[str, int]:
    """How many numbers each of `MovementFeatures` has, of people of so many joints."""
    return {"posture": 2 * joints, "swing": 3 * joints, "motion": 5, "size": 1, "place": 2}


def _limbs(
    where: NDArray[np.float32],
    seen: NDArray[np.bool_],
    steps: NDArray[np.float64],
    middle: NDArray[np.float32],
    stature: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posture and swing of `MovementFeatures`; ``steps`` (N, T - 1, 2) and ``middle`` (N, T, 2) are the trunk's."""
    size = stature[:, None, None]
    local = (where - np.nan_to_num(middle)[:, :, None]) / size[..., None]
    weight = seen[..., None].astype(np.float64)
    count = weight.sum(axis=1)
    mean = np.where(count > 0, (local * weight).sum(axis=1) / np.maximum(count, 1), np.nan)
    spread = np.sqrt(
        (np.square(local - np.nan_to_num(mean)[:, None]) * weight).sum(axis=1) / np.maximum(count, 1)
    )
    both = seen[:, 1:] & seen[:, :-1]
    own = np.linalg.norm(np.diff(where, axis=1) - steps[:, :, None], axis=3) / size
    pairs = both.sum(axis=1)
    speed = np.where(pairs > 0, (own * both).sum(axis=1) / np.maximum(pairs, 1), np.nan)
    spread = np.where(count > 0, spread, np.nan)
    n = len(where)
    return mean.reshape(n, -1), np.concatenate([spread.reshape(n, -1), speed], axis=1)


def _growth(points: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N,) growth of the figure a frame: from the joints' spread in the window's halves, of joints seen in both."""
    half = points.shape[1] // 2
    sizes = []
    both = seen[:, :half].any(axis=1) & seen[:, -half:].any(axis=1)
    for part in (slice(None, half), slice(-half, None)):
        weight = seen[:, part].astype(np.float64)
        mean = (
            np.einsum("ntv,ntvd->nvd", weight, points[:, part, :, :2])
            / np.maximum(weight.sum(axis=1), 1)[..., None]
        )
        share = both / np.maximum(both.sum(axis=1), 1)[:, None]
        centre = np.einsum("nv,nvd->nd", share, mean)
        sizes.append(np.sqrt((share * np.square(mean - centre[:, None]).sum(axis=2)).sum(axis=1)))
    enough = (both.sum(axis=1) > 2) & (sizes[0] > 0) & (sizes[1] > 0)
    ratio = np.where(enough, sizes[1], 1) / np.where(enough, sizes[0], 1)
    return np.log(ratio) / max(points.shape[1] - half, 1)
