"""What is background though it differs from what was learnt: places that never rest, and objects that are parked."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import Objects

_RESTLESS_S, _RESTLESS = 60.0, 0.06  # share of so many seconds in which something went from a place
_COMES_AND_GOES_S = 1.0  # that had come no longer ago
_STANDS_OUT = 0.1  # share of an object's box that differs from the background
_SAME_PLACE = 0.5  # overlap with where something was parked from which it is that,
_PROVEN_S = 1.0  # if it was there for so long,
_PARKED_S, _MOST_PARKED = 60.0, 32  # and for so long after it was last seen to be


def part_of(box: NDArray[np.floating], shrink: float) -> tuple[slice, slice]:
    """Rows and columns of a box in a picture whose size is ``shrink`` times that of the frame."""
    x1, y1, x2, y2 = np.clip(box * shrink, 0, None).astype(int).tolist()
    return slice(y1, y2 + 1), slice(x1, x2 + 1)


class RestlessPlaces:
    """Places that come and go all the time: leaves, tape in the wind, water, a flickering lamp."""

    def __init__(self) -> None:
        self._now = self._went = np.zeros((0, 0), bool)  # what differs at this look, what went in this second
        self._since_s = np.zeros((0, 0))  # when it came
        self._share = np.zeros((0, 0))  # of the last seconds in which something went
        self._restless: NDArray[np.bool_] | None = None  # where that is too many of them, if anywhere
        self._second_s = 0.0

    def erased(self, mask: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """The mask (h, w) of what differs at a look, 0 in these places."""
        now = mask > 0
        if now.shape != self._now.shape:
            self._now, self._went = np.zeros((2, *now.shape), bool)
            self._restless = None
            self._since_s, self._share = np.zeros(now.shape), np.zeros(now.shape)
            self._second_s = time_s
        changed = now != self._now
        if changed.any():
            # What stays is there for longer, and is hidden now and then by who passes.
            self._went |= self._now & changed & (time_s - self._since_s < _COMES_AND_GOES_S)
            self._since_s[now & changed] = time_s
        self._now = now
        if time_s - self._second_s >= 1:
            around = cv2.dilate(self._went.view(np.uint8), np.ones((3, 3), np.uint8))
            cv2.accumulateWeighted(around, self._share, 1 / _RESTLESS_S)
            restless = self._share > _RESTLESS
            self._restless = restless if restless.any() else None
            self._went, self._second_s = np.zeros_like(now), time_s
        return mask if self._restless is None else np.where(self._restless, np.uint8(0), mask)


class ParkedObjects:
    """Objects that are part of the background, as a parked car: they do not stand out of it when nobody is near."""

    def __init__(self) -> None:
        self._parked = np.zeros((0, 6))  # each one's box, since when it is known, and when it was seen last

    def left_out(self, objects: Objects, mask: NDArray[np.uint8], shrink: float, time_s: float) -> Objects:
        """Those of the objects that are not. What is in front of them, and nobody has found, may stand out."""
        if not len(objects) and not len(self._parked):  # the usual case
            return objects
        inside = [mask[part_of(box, shrink)] for box in objects.boxes]
        shares = np.array([np.count_nonzero(part) / max(1, part.size) for part in inside])
        out = shares >= _STANDS_OUT
        overlap = box_iou(objects.boxes, self._parked[:, :4])
        proven = time_s - self._parked[:, 4] >= _PROVEN_S
        hidden = overlap[:, proven].max(1, initial=0) >= _SAME_PLACE
        self._remember(objects.boxes[~out], overlap[~out], time_s)
        return objects.select(out & ~hidden)

    def _remember(self, boxes: NDArray[np.float32], overlap: NDArray[np.floating], time_s: float) -> None:
        """Note what is seen to be parked; ``overlap`` (K, N) is that with those that are known."""
        since_s = [
            self._parked[row.argmax(), 4] if row.max(initial=0) >= _SAME_PLACE else time_s for row in overlap
        ]
        lasts = (overlap.max(0, initial=0) < _SAME_PLACE) & (time_s - self._parked[:, 5] < _PARKED_S)
        seen = np.column_stack([boxes, np.array(since_s), np.full(len(boxes), time_s)])
        self._parked = np.concatenate([seen, self._parked[lasts]])[:_MOST_PARKED]
