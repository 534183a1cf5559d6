"""Turn MoveNet's joints (R, 17, 3) into people: how sure they are, boxes, and where to look next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.motion import erase_figure

FloatArray = NDArray[np.float32]

CROP_SCALE = 1.05
"""Side of the crop in units of the longer side of a person's box. The published 1.25 lets neighbours in: on stills and
on the street, with boxes as the detector gives them, tight crops measured better."""

_SEEN = 0.15  # score from which a joint counts for the person's extent
_SCALE = 0.22  # of scores, see `confidences`
_SHOULDERS, _HIPS = [5, 6], [11, 12]
_LIMBS = np.array([(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16)])
_SILHOUETTE = (*map(tuple, _LIMBS.tolist()), (5, 6), (5, 11), (6, 12), (11, 12), (0, 5), (0, 6))
_GIRTH = 0.45  # of limbs in units of the torso's length, clothes included
_MARGIN, _ENDS = (
    0.04,
    0.03,
)  # around the joints, in units of their longer extent, and at head and feet besides
_LYING = np.deg2rad(60)  # a torso that leans further is looked at in a turned crop


def quality(keypoints: FloatArray) -> FloatArray:
    """How well a skeleton fits what is seen, 0..1: mean score of the joints below the head, (R,).

    People have 0.3 to 0.7, things 0.05 to 0.25.
    """
    return keypoints[:, 5:, 2].mean(1)


def score_of(quality: FloatArray) -> FloatArray:
    """What a quality (R,) is as a score, 0..1."""
    return np.clip(2.5 * quality - 0.25, 0, 1).astype(np.float32)


def confidences(keypoints: FloatArray) -> FloatArray:
    """The joints (R, 17, 3) with the share that is right, of joints of such a score, for their score.

    On the normal clips of the street (seed 0; within a tenth of the person's height, 150,000 joints) of the joints
    with a score of 0.1, 0.2, 0.3, 0.5 and 0.7, 0.35, 0.56, 0.71, 0.90 and 0.94 are right: 1 - exp(-score / 0.22).
    What reads confidences (`windows.min_certainty`, say) takes them for such shares.
    """
    known = keypoints.copy()
    known[..., 2] = 1 - np.exp(-keypoints[..., 2] / _SCALE)
    return known


def boxes_of(keypoints: FloatArray, frame_size: tuple[int, int]) -> FloatArray:
    """Boxes (R, 4) around people as one would draw them: joints, the top of the head and feet, inside the frame."""
    points, seen = keypoints[..., :2], keypoints[..., 2:] > _SEEN
    # With hardly a joint in sight, all of them.
    seen |= seen.sum(1, keepdims=True) < 4
    low = np.where(seen, points, np.inf).min(1)
    high = np.where(seen, points, -np.inf).max(1)
    size = (high - low).max(1, keepdims=True)
    up = _torso(keypoints)
    length = np.linalg.norm(up, axis=1, keepdims=True)
    up = np.where(length > 0.1 * size, up / np.maximum(length, 1e-6), 0.0)
    # Above the eyes there is as much again, below the ankles the feet.
    beyond = size * (_MARGIN + _ENDS * np.abs(up))
    low, high = low - beyond, high + beyond
    return within(np.concatenate([low, high], axis=1).astype(np.float32), frame_size)


def within(boxes: FloatArray, frame_size: tuple[int, int]) -> FloatArray:
    """Boxes (R, 4) cut off at the frame's borders."""
    return np.clip(boxes, 0, np.tile(np.array(frame_size, np.float32), 2))


def angles_of(keypoints: FloatArray, before: FloatArray) -> FloatArray:
    """By how much to turn the next crops (R,), radians, given how the last ones were turned: quarters of a circle.

    A network that has learned upright people sees little of those who lie; between the quarters it manages.
    """
    up = _torso(keypoints)
    lean = np.arctan2(up[:, 0], -up[:, 1])
    away = (lean - before + np.pi) % (2 * np.pi) - np.pi
    size = np.ptp(keypoints[..., :2], axis=1).max(1)
    clear = np.linalg.norm(up, axis=1) > 0.2 * size  # not of a torso seen end on
    turned = np.round(lean / (np.pi / 2)) * (np.pi / 2)
    return np.where(clear & (np.abs(away) > _LYING), turned, before).astype(np.float32)


def inside(keypoints: FloatArray, frame_size: tuple[int, int]) -> FloatArray:
    """Share of each person's joints that lie in the frame: (R,)."""
    points = keypoints[..., :2]
    return ((points >= 0) & (points < np.array(frame_size))).all(-1).mean(1)


def plausible(keypoints: FloatArray) -> NDArray[np.bool_]:
    """Whether each skeleton could be a body: finite, and no limb much longer than the rest."""
    points = keypoints[..., :2]
    limbs = np.linalg.norm(points[:, _LIMBS[:, 0]] - points[:, _LIMBS[:, 1]], axis=2)
    extent = np.ptp(points, axis=1).max(1, initial=0)
    return np.isfinite(keypoints).all((1, 2)) & (extent > 4) & (limbs.max(1, initial=0) < 0.6 * extent + 2)


def erase_body(mask: NDArray[np.uint8], keypoints: FloatArray, shrink: float) -> None:
    """Clear a person (17, 3), limbs and clothes, from a mask whose size is ``shrink`` times that of the frame."""
    points = keypoints[:, :2] * shrink
    girth = _GIRTH * float(np.linalg.norm(_torso(keypoints[None])[0])) * shrink
    erase_figure(mask, points, (*_SHOULDERS, *_HIPS), _SILHOUETTE, 0, girth)


def _torso(keypoints: NDArray[Any]) -> NDArray[Any]:
    """From the middle of the hips to that of the shoulders: (R, 2)."""
    points = keypoints[..., :2]
    found: NDArray[Any] = points[:, _SHOULDERS].mean(1) - points[:, _HIPS].mean(1)
    return found
