"""Turn BlazePose's skeletons into people: COCO's joints, boxes, and which of them cannot be true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.motion import erase_figure

FloatArray = NDArray[np.float32]

# COCO's 17 joints among BlazePose's 33.
_COCO_FROM_BLAZEPOSE = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
_SHOULDERS, _HIPS, _KNEES, _ANKLES = [5, 6], [11, 12], [13, 14], [15, 16]
_HEAD = [0, 1, 2, 3, 4]
_BODY = 33
# Limbs and torso among the 33, and their width in units of the body's radius, clothes included.
_SILHOUETTE = (
    *((11, 12), (11, 23), (12, 24), (23, 24), (11, 13), (13, 15), (15, 19), (12, 14), (14, 16), (16, 20)),
    *((23, 25), (25, 27), (27, 31), (29, 31), (24, 26), (26, 28), (28, 32), (30, 32), (0, 11), (0, 12)),
)
_GIRTH = 0.25
# Bones whose length is bounded by the body's size: arms and legs.
_LIMBS = np.array([(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16)])


def to_coco(points: NDArray[Any]) -> NDArray[Any]:
    """BlazePose's points (R, 39, ...) as COCO-17 keypoints (R, 17, ...)."""
    return points[:, _COCO_FROM_BLAZEPOSE]


def quality(peaks: FloatArray) -> FloatArray:
    """How well a skeleton fits what is seen, 0..1, from the heat maps' peaks (R, 33): (R,)."""
    return peaks[:, _COCO_FROM_BLAZEPOSE].mean(1)


def body_size(points: FloatArray) -> FloatArray:
    """Radius in pixels of the circle around each whole body, from the auxiliary points: (R,)."""
    return np.linalg.norm(points[:, 34, :2] - points[:, 33, :2], axis=1)


def boxes_of(points: FloatArray, frame_size: tuple[int, int]) -> FloatArray:
    """Boxes (R, 4) around people as one would draw them: joints plus the top of the head, inside the frame."""
    body = points[:, :_BODY, :2]
    eyes, shoulders = body[:, [2, 5]].mean(1), body[:, [11, 12]].mean(1)
    top = eyes + 0.75 * (eyes - shoulders) * 0.8
    every = np.concatenate([body, top[:, None]], axis=1)
    margin = 0.03 * body_size(points)[:, None]
    low, high = every.min(1) - margin, every.max(1) + margin
    limit = np.array(frame_size, np.float32)
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)], axis=1).astype(np.float32)


def inside(points: FloatArray, frame_size: tuple[int, int]) -> FloatArray:
    """Share of each person's joints (R, 39, 3) that lie in the frame: (R,)."""
    joints = to_coco(points)[..., :2]
    return ((joints >= 0) & (joints < np.array(frame_size))).all(-1).mean(1)


def erase_body(mask: NDArray[np.uint8], points: FloatArray, shrink: float) -> None:
    """Clear a person, limbs and clothes, from a mask.

    Args:
        mask: (H, W), changed in place.
        points: (39, 3) landmarks in pixels of the frame.
        shrink: size of the mask over that of the frame.
    """
    body = points[:, :2] * shrink
    girth = _GIRTH * float(np.linalg.norm(body[34] - body[33]))
    erase_figure(mask, body, (11, 12, 23, 24), _SILHOUETTE, 0, girth)


def plausible(points: FloatArray) -> NDArray[np.bool_]:
    """Whether each skeleton (R, 39, 3) could be a body: finite, with a torso, and no limb longer than bodies have."""
    joints = to_coco(points)[..., :2]
    radius = body_size(points)
    torso = np.linalg.norm(joints[:, _SHOULDERS].mean(1) - joints[:, _HIPS].mean(1), axis=1)
    limbs = np.linalg.norm(joints[:, _LIMBS[:, 0]] - joints[:, _LIMBS[:, 1]], axis=2)
    finite = np.isfinite(points).all((1, 2))
    return finite & (radius > 2) & (torso > 0.1 * radius) & (limbs.max(1, initial=0) < 1.1 * radius)
