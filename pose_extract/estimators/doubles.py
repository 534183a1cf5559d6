"""Choose from people who were found twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_extract.skeletons import COCO17
from pose_extract.skeletons.similarity import box_containment, box_iou, keypoint_similarity

FloatArray = NDArray[np.float32]

_SAME_PLACE = 0.1  # of the root of a box's area
_SAME_LYING = 0.6  # share of one box within the other
_ACCOUNTED = 0.5  # overlap of two boxes from which the one known accounts for the one seen
_SAME_SEEN = 0.75  # from which a second one that is seen is no second person


def suppress(
    keypoints: FloatArray,
    boxes: FloatArray,
    scores: FloatArray,
    alike: float = 0.55,
    contained: float = 0.85,
    shared: float = 1.0,
    lying: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """Choose from doubles, best score first.

    Args:
        keypoints: (R, 17, 3).
        boxes: (R, 4).
        scores: (R,), higher is better.
        alike: keypoint similarity from which two are the same person.
        contained: share of a smaller box inside a better one's from which it is a part of that person, provided that
            it is much smaller.
        shared: share of the joints at the same places from which the worse one is a double, whatever the others do:
            half of a skeleton that has slid onto somebody else.
        lying: (R,) who was seen in a turned crop. A person who lies is easily seen twice, with the head at either end,
            and then no two joints are alike: of two of whom one lies and one box is for the most part within the other,
            the better one stays.

    Returns:
        indices of the people that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    if not len(order):
        return order
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1.0)
    sure = np.concatenate([keypoints[..., :2], np.ones_like(keypoints[..., :1])], axis=2)
    mirrored = sure[:, list(COCO17.mirror)]  # seen once from the front and once from behind
    similar = np.maximum(
        keypoint_similarity(sure, sure, COCO17.sigmas, area),
        keypoint_similarity(sure, mirrored, COCO17.sigmas, area),
    )
    overlap = box_iou(boxes, boxes)
    same = np.maximum(
        _joints_shared(keypoints[..., :2], keypoints[..., :2], area),
        _joints_shared(keypoints[..., :2], mirrored[..., :2], area),
    )
    inside = box_containment(boxes, boxes)
    down = np.zeros(len(order), bool) if lying is None else lying
    one_lies = (down[:, None] | down) & (np.maximum(inside, inside.T) > _SAME_LYING)
    keep: list[int] = []
    for i in order:
        double = any(
            max(similar[i, j], similar[j, i]) > alike
            or same[i, j] > shared
            or one_lies[i, j]
            or overlap[i, j] > 0.65
            or (inside[i, j] > contained and area[i] < 0.35 * area[j])
            for j in keep
        )
        if not double:
            keep.append(int(i))
    return np.array(keep, np.intp)


def unaccounted(seen: FloatArray, known: FloatArray) -> NDArray[np.bool_]:
    """Which of the people that a detector sees are not known yet.

    Each one known accounts for one that is seen: of two who overlap and of whom one is known, the other is not.

    Args:
        seen: (D, 4) boxes by the detector.
        known: (P, 4) boxes of the people known, by their joints.

    Returns:
        (D,)
    """
    overlap = box_iou(seen, known)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    new: NDArray[np.bool_] = overlap.max(1, initial=0) < _SAME_SEEN
    new[rows[overlap[rows, columns] >= _ACCOUNTED]] = False
    return new


def _joints_shared(a: FloatArray, b: FloatArray, area: NDArray[np.floating]) -> NDArray[np.floating]:
    """Share of the joints of ``a`` (P, V, 2) that lie where those of ``b`` (Q, V, 2) do: (P, Q)."""
    distance = np.linalg.norm(a[:, None] - b[None], axis=3)
    share: NDArray[np.floating] = (distance < _SAME_PLACE * np.sqrt(area)[:, None, None]).mean(2)
    return share
