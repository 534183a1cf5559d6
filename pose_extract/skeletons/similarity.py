"""Compare people by box and by joints; all pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TINY = 1e-9


def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of ``a`` with every box of ``b``.

    Args:
        a: (P, 4) boxes, x1 y1 x2 y2 in pixels.
        b: (Q, 4) boxes, likewise.

    Returns:
        (P, Q), 0..1. A box without area has overlap 0 with everything.
    """
    intersection, area_a, area_b = _intersections(a, b)
    return intersection / np.maximum(area_a[:, None] + area_b[None] - intersection, _TINY)


def box_containment(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Share of each box of ``a`` (P, 4) that lies within each box of ``b`` (Q, 4): (P, Q), 0..1."""
    intersection, area_a, _ = _intersections(a, b)
    return intersection / np.maximum(area_a[:, None], _TINY)


def keypoint_similarity(
    a: NDArray[Any], b: NDArray[Any], sigmas: Sequence[float] | NDArray[Any], area: ArrayLike
) -> NDArray[np.float64]:
    """Object keypoint similarity of every person of ``a`` with every person of ``b``.

    COCO's measure, exp(-d^2 / (2 area (2 sigma)^2)) averaged over the joints, except that the joints are weighted
    by the product of the two confidences instead of by a ground truth's visibility. With one-hot confidences in one
    of the two (an annotation) and ones in the other it is COCO's own OKS.

    Args:
        a: (P, V, 3) x px, y px, confidence. Joints with NaN coordinates count as missing.
        b: (Q, V, 3), likewise.
        sigmas: (V,) per-joint constants, see `Skeleton.sigmas`.
        area: (P,) area in square pixels of the people of ``a``, the scale against which distances are judged.

    Returns:
        (P, Q), 0..1; 0 where two people have no joint in common.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    variance = (2.0 * np.asarray(sigmas, np.float64)) ** 2
    scale = np.maximum(np.asarray(area, np.float64).reshape(-1), _TINY)
    distance2 = ((a[:, None, :, :2] - b[None, :, :, :2]) ** 2).sum(-1)
    weight = a[:, None, :, 2] * b[None, :, :, 2]
    found = np.isfinite(distance2) & np.isfinite(weight)
    weight = np.where(found, weight, 0.0)
    alike = np.exp(-np.where(found, distance2, 0.0) / (2.0 * scale[:, None, None] * variance))
    return (alike * weight).sum(-1) / np.maximum(weight.sum(-1), _TINY)


def _intersections(
    a: ArrayLike, b: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Intersection areas (P, Q) and the areas (P,), (Q,) of the boxes themselves."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    area_a = np.maximum(a[:, 2:] - a[:, :2], 0.0).prod(-1)
    area_b = np.maximum(b[:, 2:] - b[:, :2], 0.0).prod(-1)
    return np.maximum(high - low, 0.0).prod(-1), area_a, area_b
