"""Where a picture moves: somebody whom no estimator finds is covered too, as long as they move."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH = 320  # pictures are looked at in this width
_LEARNING = (
    0.002  # share of a new picture in the background: who stands still is part of it after some 500 frames
)
_VARIANCE = 16.0  # squared distance from the background, in its variances, from which on a pixel moves
_LEAST_AREA = 0.0004  # of what moves, as a share of the picture
_OPEN, _GROW = 3, 9  # pixels: specks of noise go, parts of one person come together


class MovingAreas:
    """Finds what differs from a background that is learned (mixtures of Gaussians, OpenCV's MOG2).

    Of a picture that changes as a whole, by a light that is switched on, all of it moves.
    """

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(
            history=500, varThreshold=_VARIANCE, detectShadows=True
        )
        self._size: tuple[int, ...] = ()

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 4) boxes x1 y1 x2 y2, in pixels, of what moves in the next picture (H, W, 3) BGR."""
        height, width = image.shape[:2]
        scale = min(1.0, _WIDTH / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        first = self._size != (height, width)
        if first:
            self._size = height, width
        mask = self._background.apply(small, learningRate=1.0 if first else _LEARNING)
        if first:
            return np.zeros((0, 4), np.float32)
        moving = (mask == 255).astype(np.uint8)  # 127 is a shadow
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((_OPEN, _OPEN), np.uint8))
        moving = cv2.dilate(moving, np.ones((_GROW, _GROW), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(moving)
        left, top, wide, tall, area = stats[1:].T
        boxes = np.stack([left, top, left + wide, top + tall], axis=1)
        boxes = boxes[area >= _LEAST_AREA * size[0] * size[1]]
        return (boxes * np.tile([width / size[0], height / size[1]], 2)).astype(np.float32)
