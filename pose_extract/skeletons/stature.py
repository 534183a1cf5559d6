"""Estimate how tall a person is in the picture and where they stand, from whichever joints are seen.

A box about the joints that are seen shrinks when the feet are hidden, and the mean of the joints jumps when a wrist
comes and goes. A standing figure laid over the seen joints by least squares does neither.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons.skeleton import Skeleton

# Heights above the ground and half distances between left and right, in statures: proportions of a standing adult
# (Drillis and Contini 1966, rounded), with hips where pose estimators put them.
_HEIGHT = {
    "nose": 0.92, "head": 1.0, "neck": 0.82, "eye": 0.94, "ear": 0.93, "shoulder": 0.81, "elbow": 0.64, "wrist": 0.52,
    "hip": 0.55, "knee": 0.29, "ankle": 0.05,
}  # fmt: skip
_HALF_WIDTH = {
    "eye": 0.015, "ear": 0.03, "shoulder": 0.08, "elbow": 0.11, "wrist": 0.1, "hip": 0.05, "knee": 0.05, "ankle": 0.04,
}  # fmt: skip
TRUNK = (
    _HEIGHT["shoulder"] + _HEIGHT["hip"]
) / 2  # height of the trunk's middle above the ground, in statures
FEWEST_STANDING = 4  # joints that a fit needs
_LEAST_SPREAD = (
    0.04  # sum of the figure's squared distances from the mean of its seen joints, in statures squared
)


@lru_cache(maxsize=16)
def standing_figure(skeleton: Skeleton) -> NDArray[np.float32]:
    """(V, 2) joints of a standing person seen from the front, 1 high, x right and y down; NaN for unknown joints.

    The origin is the middle of the trunk, between shoulders and hips.
    """
    out = np.full((skeleton.num_joints, 2), np.nan, np.float32)
    for j, joint in enumerate(skeleton.joints):
        side, _, name = joint.rpartition("_")
        if name in _HEIGHT and side in ("", "left", "right"):
            across = _HALF_WIDTH.get(name, 0.0) * {"left": 1, "right": -1, "": 0}[side]
            out[j] = across, TRUNK - _HEIGHT[name]
    out.setflags(write=False)
    return out


def standing_joints(skeleton: Skeleton) -> int:
    """How many of a skeleton's joints the standing figure has."""
    return int(np.isfinite(standing_figure(skeleton)[:, 0]).sum())


def fit_figure(
    points: NDArray[np.float32], skeleton: Skeleton
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stature and place of people in windows.

    In each frame the standing figure is turned, scaled and shifted to the seen joints by least squares, so that
    somebody who lies is as tall as before. The stature of a window is the median of its frames'; with it, unturned, the
    figure is shifted once more.

    Args:
        points: (N, T, V, 3) joints in pixels and their confidence, 0 where missing.
        skeleton: whose joints they are.

    Returns:
        (N,) statures in pixels, at least 1, and (N, T, 2) the middle of the trunk in pixels, NaN in frames without
        joints. Where too few joints are seen for a fit, the stature is the extent of what is seen.
    """
    figure = standing_figure(skeleton)
    known = np.isfinite(figure[:, 0])
    where = points[..., known, :2]
    figure = figure[known]
    seen = (points[..., known, 2] > 0).astype(np.float32)
    count = seen.sum(axis=-1)
    share = seen / np.maximum(count, 1)[..., None]
    middle = (where * share[..., None]).sum(axis=-2)
    own = share @ figure  # (N, T, 2), the figure's mean over the seen joints
    a = where - middle[..., None, :]
    b = figure - own[..., None, :]
    spread = (seen * np.square(b).sum(axis=-1)).sum(axis=-1)
    along = (seen * (a * b).sum(axis=-1)).sum(axis=-1)
    across = (seen * (a[..., 1] * b[..., 0] - a[..., 0] * b[..., 1])).sum(axis=-1)
    fits = (count >= FEWEST_STANDING) & (spread >= _LEAST_SPREAD)
    each = np.where(fits, np.hypot(along, across) / np.maximum(spread, _LEAST_SPREAD), np.nan)
    median = _median(each)
    rough = np.sqrt((seen * np.square(a).sum(axis=-1)).sum(axis=-1) / np.maximum(count, 1)).max(axis=1) * 4
    stature: NDArray[np.float32] = np.maximum(np.where(np.isnan(median), rough, median), 1).astype(np.float32)
    place = middle - stature[:, None, None] * own
    place[count == 0] = np.nan
    fitted: NDArray[np.float32] = place.astype(np.float32)
    return stature, fitted


def mean_place(place: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, 2) mean over time of places (N, T, 2), NaN in frames without joints; 0 where there is no other."""
    there = np.isfinite(place[..., 0])
    total = np.where(there[..., None], place, 0).sum(axis=1)
    mean: NDArray[np.float64] = total / np.maximum(there.sum(axis=1), 1)[:, None]
    return mean


def _median(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) medians of (N, T) along T without the NaN; NaN of rows that have nothing else."""
    ordered = np.sort(values, axis=1)  # NaN come last
    count, rows = np.isfinite(values).sum(axis=1), np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    return np.where(count > 0, (ordered[rows, low] + ordered[rows, high]) / 2, np.nan)
