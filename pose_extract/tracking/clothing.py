"""Describe people's clothing by colour histograms of shirt and trousers, to tell apart people who cross."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import PoseDetections

# Two regions a person, as quadrilaterals of joints: (top left, top right, bottom left, bottom right).
_REGIONS = (
    ("right_shoulder", "left_shoulder", "right_hip", "left_hip"),
    ("right_hip", "left_hip", "right_knee", "left_knee"),
)
# The same corners as shares of the box (x, y), for joints that were not found.
_BOX_CORNERS = np.array(
    [
        [(0.3, 0.2), (0.7, 0.2), (0.35, 0.5), (0.65, 0.5)],
        [(0.35, 0.5), (0.65, 0.5), (0.35, 0.75), (0.65, 0.75)],
    ]
)


def _grid_weights(rows: int, columns: int) -> NDArray[np.float64]:
    """(rows * columns, 4) what each corner counts for a point of a grid inside a quadrilateral.

    Away from the outline, where the background shows: 10..90 % down, 20..80 % across.
    """
    down, across = np.linspace(0.1, 0.9, rows), np.linspace(0.2, 0.8, columns)
    v, u = (grid.reshape(-1, 1) for grid in np.meshgrid(down, across, indexing="ij"))
    return np.concatenate([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], 1)


_WEIGHTS = _grid_weights(10, 5)
_GREY_BINS, _HUE_BINS, _VALUE_BINS = 6, 9, 2
_GREY_SATURATION = 45  # below this (of 255) hue is noise
HISTOGRAM_SIZE = len(_REGIONS) * (_GREY_BINS + _HUE_BINS * _VALUE_BINS)


def clothing_histograms(
    image: NDArray[np.uint8], detections: PoseDetections, skeleton: Skeleton, min_confidence: float = 0.3
) -> NDArray[np.float32]:
    """Colour histograms of each person's torso and thighs.

    Pixels are sampled on a fixed grid inside each quadrilateral, so that the cost does not depend on the person's
    size. Grey pixels fall into bins of brightness, coloured ones into bins of hue and brightness.

    Args:
        image: (H, W, 3) BGR uint8.
        detections: P people.
        skeleton: the joints' names.
        min_confidence: joints below it are replaced by a share of the box.

    Returns:
        (P, HISTOGRAM_SIZE) float32; each region sums to 0.5, a person outside the image to 0.
    """
    people = len(detections)
    if people == 0:
        return np.zeros((0, HISTOGRAM_SIZE), np.float32)
    corners = _corners(detections, skeleton, min_confidence)
    points = np.floor(np.einsum("gc,prcx->prgx", _WEIGHTS, corners)).astype(np.int64)
    height, width = image.shape[:2]
    inside = ((points >= 0) & (points < (width, height))).all(-1)
    x, y = np.clip(points[..., 0], 0, width - 1), np.clip(points[..., 1], 0, height - 1)
    hsv = cv2.cvtColor(image[y, x].reshape(1, -1, 3), cv2.COLOR_BGR2HSV).reshape(*inside.shape, 3).astype(int)
    hue = hsv[..., 0] * _HUE_BINS // 180
    bright = hsv[..., 2] * _VALUE_BINS // 256
    grey = np.clip(hsv[..., 2] * _GREY_BINS // 256, 0, _GREY_BINS - 1)
    bins = np.where(hsv[..., 1] < _GREY_SATURATION, grey, _GREY_BINS + hue * _VALUE_BINS + bright)
    per_region = HISTOGRAM_SIZE // len(_REGIONS)
    regions = np.arange(people * len(_REGIONS)).reshape(people, len(_REGIONS), 1)
    counts = np.bincount((regions * per_region + bins)[inside], minlength=people * HISTOGRAM_SIZE)
    counts = counts.reshape(people, len(_REGIONS), per_region)
    shares = counts / np.maximum(counts.sum(-1, keepdims=True), 1) / len(_REGIONS)
    return shares.reshape(people, HISTOGRAM_SIZE).astype(np.float32)


def colour_similarity(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Bhattacharyya coefficient of every histogram of ``a`` (P, B) with every one of ``b`` (Q, B): (P, Q), 0..1."""
    return np.sqrt(np.asarray(a, np.float64)) @ np.sqrt(np.asarray(b, np.float64)).T


def _corners(detections: PoseDetections, skeleton: Skeleton, min_confidence: float) -> NDArray[np.float64]:
    """(P, regions, 4, 2) corners in pixels."""
    boxes = detections.boxes.astype(np.float64)
    size = (boxes[:, 2:] - boxes[:, :2])[:, None, None]
    corners = boxes[:, None, None, :2] + _BOX_CORNERS * size
    for region, names in enumerate(_REGIONS):
        if not all(name in skeleton.index for name in names):
            continue
        joints = detections.keypoints[:, [skeleton.index[name] for name in names]].astype(np.float64)
        found = (np.nan_to_num(joints[..., 2]) >= min_confidence).all(1) & np.isfinite(joints).all((1, 2))
        # Seen from the side both shoulders coincide: never narrower than a fifth of the region's height.
        middle = joints[:, :, :2].reshape(-1, 2, 2, 2).mean(2, keepdims=True)
        length = np.linalg.norm(middle[:, 1, 0] - middle[:, 0, 0], axis=-1)
        half = np.array([-1.0, 1.0])[None, None, :] * 0.15 * length[:, None, None]
        quad = joints[:, :, :2].reshape(-1, 2, 2, 2).copy()
        narrow = np.abs(quad[:, :, 1, 0] - quad[:, :, 0, 0]) < 0.3 * length[:, None]
        quad[..., 0] = np.where(narrow[..., None], middle[..., 0] + half, quad[..., 0])
        corners[found, region] = quad.reshape(-1, 4, 2)[found]
    return corners
