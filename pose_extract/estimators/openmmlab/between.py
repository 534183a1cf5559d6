"""Interpolate boxes between detections: the detector looks at every n-th frame, people move on straight lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_extract.estimators.openmmlab.detector import Boxes
from pose_extract.skeletons.similarity import box_iou

# Two boxes may be the same person if they overlap by so much, or, for those who are fast, if their corners are apart by
# no more than this share of the larger one's height, which exceeds the other's by no more than that share.
_MIN_IOU = 0.2
_REACH = 1.0
_GROWTH = 0.3
_TINY = 1e-6


def key_frames(seen: int, count: int, every: int) -> list[int]:
    """Positions at which the detector looks in a batch of ``count`` frames before which ``seen`` were seen.

    They are the video's first frame, the last one of every ``every`` frames, and the last one of the batch. So batches
    of a multiple of ``every`` frames end where the detector looks anyway, and their size has no effect on the result.

    Raises:
        ValueError: ``every`` is below 1.
    """
    if every < 1:
        raise ValueError(f"key_frames: expected to look at every frame or fewer, got every = {every}")
    return [i for i in range(count) if seen + i == 0 or (seen + i) % every == every - 1 or i == count - 1]


def interpolate_boxes(first: Boxes, second: Boxes, count: int) -> list[Boxes]:
    """Return the boxes of each of the ``count`` frames between two frames that the detector looked at.

    People whose boxes match move on a straight line, corner by corner, their score likewise. Who was in the first frame
    only stays in place for the first half of the time (the middle one included), who is in the second only is there
    for the second half.

    Args:
        first: boxes and scores in the earlier frame.
        second: boxes and scores in the later frame.
        count: frames strictly between them.

    Returns:
        For each frame, the boxes and scores of the people then in it, best first.
    """
    (boxes_a, scores_a), (boxes_b, scores_b) = first, second
    rows, columns = _match(boxes_a, boxes_b)
    left = np.setdiff1d(np.arange(len(boxes_a)), rows)
    new = np.setdiff1d(np.arange(len(boxes_b)), columns)
    between = []
    for step in range(1, count + 1):
        share = step / (count + 1)
        alone = (boxes_a[left], scores_a[left]) if share <= 0.5 else (boxes_b[new], scores_b[new])
        moved = (1 - share) * boxes_a[rows] + share * boxes_b[columns]
        boxes = np.concatenate([moved, alone[0]]).astype(np.float32)
        scores = np.concatenate([(1 - share) * scores_a[rows] + share * scores_b[columns], alone[1]])
        best_first = np.argsort(-scores, kind="stable")
        between.append((boxes[best_first], scores[best_first].astype(np.float32)))
    return between


def _match(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of ``a`` (P, 4) and of ``b`` (Q, 4) that are the same people: the best pairs in all, ordered as ``a`` is."""
    if len(a) == 0 or len(b) == 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    height_a, height_b = a[:, 3] - a[:, 1], b[:, 3] - b[:, 1]
    larger = np.maximum(np.maximum(height_a[:, None], height_b[None]), _TINY)
    apart = np.abs(a[:, None] - b[None]).mean(-1) / larger
    growth = larger / np.maximum(np.minimum(height_a[:, None], height_b[None]), _TINY) - 1.0
    same = (box_iou(a, b) >= _MIN_IOU) | ((apart <= _REACH) & (growth <= _GROWTH))
    # Nearly any two that may be one person are worth more than none; people who cross are told apart by their size too.
    worth = np.where(same, _REACH + 1.0 - apart - growth, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    good = worth[rows, columns] > 0
    return rows[good], columns[good]
