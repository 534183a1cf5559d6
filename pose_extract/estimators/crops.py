"""Cut square regions out of pictures, for networks that look at one person at a time.

A region is (x, y, size, angle): centre and side in pixels, and the angle in radians by which the square is turned
(clockwise as seen), so that the person in it stands upright. Arrays of regions are (R, 4) float32.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Pyramid:
    """A picture and its halvings, so that a crop of a large person is not aliased.

    Args:
        image: (H, W, 3) BGR uint8.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._levels = [image]
        self._lock = threading.Lock()

    def level(self, number: int) -> NDArray[np.uint8]:
        """The picture, halved ``number`` times."""
        with self._lock:
            while len(self._levels) <= number:
                last = self._levels[-1]
                size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
                self._levels.append(cv2.resize(last, size, interpolation=cv2.INTER_AREA))
            return self._levels[number]

    def crop(self, region: FloatArray, side: int) -> NDArray[np.uint8]:
        """The region (4,) as an upright (side, side, 3) RGB picture; black outside the frame."""
        x, y, size, angle = (float(v) for v in region)
        number = max(0, math.floor(math.log2(max(size, 1.0) / side)))
        picture = self.level(number)
        shrink_x = picture.shape[1] / self._levels[0].shape[1]
        shrink_y = picture.shape[0] / self._levels[0].shape[0]
        step = size / side
        cos, sin = math.cos(angle) * step, math.sin(angle) * step
        half = side / 2 - 0.5
        matrix = np.array(
            [
                [cos, -sin, x - 0.5 - half * (cos - sin)],
                [sin, cos, y - 0.5 - half * (sin + cos)],
            ]
        )
        matrix[:, 2] += 0.5
        matrix *= np.array([[shrink_x], [shrink_y]])
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        turned = cv2.warpAffine(picture, matrix, (side, side), flags=flags)
        return cv2.cvtColor(turned, cv2.COLOR_BGR2RGB)


def to_frame(local: NDArray[Any], region: FloatArray) -> NDArray[Any]:
    """Points (N, 2) of a region's own square, 0..1, as pixels of the frame."""
    x, y, size, angle = region
    cos, sin = math.cos(angle), math.sin(angle)
    offset = (local - 0.5) * size
    return np.stack(
        [x + cos * offset[:, 0] - sin * offset[:, 1], y + sin * offset[:, 0] + cos * offset[:, 1]], axis=1
    )


def boxes_to_regions(boxes: FloatArray, scale: float) -> FloatArray:
    """Upright square regions (B, 4) around boxes (B, 4), x1 y1 x2 y2 in pixels."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    extent = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = scale * extent.max(axis=1, initial=0)
    return np.column_stack([centre, size, np.zeros(len(boxes))]).astype(np.float32)


def distinct(regions: FloatArray, taken: FloatArray) -> NDArray[np.intp]:
    """Indices of the regions (R, 4) that repeat neither an earlier one nor one of ``taken`` (K, 4)."""
    chosen: list[int] = []
    rivals = [tuple(map(float, row)) for row in taken]
    for i, (x, y, size, angle) in enumerate(regions.tolist()):
        if not any(
            np.hypot(x - u, y - v) < 0.1 * max(size, s)
            and 0.8 < size / max(s, 1e-3) < 1.25
            and abs(angle - a) < 0.5
            for u, v, s, a in rivals
        ):
            chosen.append(i)
            rivals.append((x, y, size, angle))
    return np.array(chosen, np.intp)
