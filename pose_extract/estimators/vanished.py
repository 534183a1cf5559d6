"""Keep in mind who vanished in the middle of the picture: who has fallen is lost most easily, and has not left.

What tells that they are still there is the background: where nobody else is seen, something that does not belong to it
fills their place. Then they are here, with joints that are not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.following import FollowedRegions
from pose_extract.estimators.motion import MotionProposals
from pose_extract.skeletons.similarity import box_containment
from pose_extract.tracks.records import PoseDetections

FloatArray = NDArray[np.float32]

_FILLED = 0.15  # share of a place that differs from the background where somebody is
_COVERED = 0.5  # share of a place within somebody's box from which it is theirs
_AROUND = 0.25  # of the box's sides: how far beyond it somebody may have fallen
_SETTLING = 0.2  # share by which a box goes over to what is seen of a person, a frame


def find_vanished(
    followed: FollowedRegions,
    motion: MotionProposals,
    erase: Callable[[NDArray[np.uint8], float], None],
    known: FloatArray,
) -> FloatArray:
    """Find the lost people who must still be where they were, and go on looking for them there.

    Args:
        followed: who is followed; those who are still there are held.
        motion: what differs from the background in this frame.
        erase: as in `MotionProposals.boxes`, clears who is seen.
        known: (P, 4) boxes of those.

    Returns:
        (N, 4) boxes.
    """
    rows, boxes = followed.lost()
    free = box_containment(boxes, known).max(1, initial=0) < _COVERED
    # Two who are lost at one place: one is there.
    inside = np.tril(box_containment(boxes, boxes), -1).max(1, initial=0) < _COVERED
    rows, boxes = rows[free & inside], boxes[free & inside]
    mask = motion.without(erase) if len(rows) else motion.mask
    places = [motion.left_over(box, _AROUND, mask) for box in boxes]
    there = np.array([share >= _FILLED for _, share in places], bool)
    found = np.array([bounds for bounds, _ in places], np.float32).reshape(-1, 4)[there]
    boxes = ((1 - _SETTLING) * boxes[there] + _SETTLING * found).astype(np.float32)
    followed.hold(rows[there], boxes)
    return boxes


def unseen(boxes: FloatArray, joints: int, score: float) -> PoseDetections:
    """People (N, 4) who are here and whose joints are not seen: all in the middle of the box, with confidence 0."""
    keypoints = np.zeros((len(boxes), joints, 3), np.float32)
    keypoints[..., :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    return PoseDetections(boxes, keypoints, np.full(len(boxes), score, np.float32))
