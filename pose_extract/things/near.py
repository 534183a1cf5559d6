"""How alike things are at two looks, by where they are and how large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from trackers import BaseIoU

_REACH, _REACH_OF_SIZE = 0.6, 0.35  # statures, and own sizes, that a thing may be off where it is expected
_MOST_GROWTH = 3.0  # times as wide or as high at one look as at the last


class NearBoxes(BaseIoU):
    """Similarity of boxes by middles and sizes: what is small and fast never overlaps with where it was."""

    def __init__(self) -> None:
        # These are what `PoseAssociator` sets; a thing has no pose and no clothes.
        self.track_memories: Any = list
        self.time_s, self.stature = 0.0, 1.0
        self.keypoints = self.colours = self.allowed = self.alone = np.zeros(0)

    def _compute(self, boxes_1: NDArray[Any], boxes_2: NDArray[Any]) -> NDArray[np.float64]:
        sizes = [np.maximum(b[:, 2:] - b[:, :2], 1.0) for b in (boxes_1, boxes_2)]
        middles = [(b[:, :2] + b[:, 2:]) / 2 for b in (boxes_1, boxes_2)]
        off = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=2)
        reach = self.reach(sizes[0])[:, None]
        ratio = np.abs(np.log(sizes[0][:, None] / sizes[1][None]))
        likeness = np.exp(-np.square(off / reach) - 0.5 * ratio.sum(2))
        # What a car leaves uncovered when it has gone, a shoe, is not the car.
        self.allowed = ratio.max(2) <= np.log(_MOST_GROWTH)
        return np.asarray(likeness * self.allowed, np.float64)

    def reach(self, size: NDArray[np.float64]) -> NDArray[np.float64]:
        """(...) pixels that things of these sizes (..., 2) may be off where they are expected."""
        return np.asarray(_REACH_OF_SIZE * np.linalg.norm(size, axis=-1) + _REACH * self.stature)
