"""Where people might be: moving regions, HOG's people detector, and tiles for BlazePose's own detector.

A proposal is a region (x, y, size, angle) as `networks` defines it. Too many do no harm but cost time; what none of
them covers is lost.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
CROP_SCALE = 1.4
"""Side of the crop in units of the longer side of a person's box."""

_NOBODY = np.zeros((0, 4), np.float32)
_PERSON_ASPECT = 0.42  # width of an upright walking person's box over its height


def boxes_to_regions(boxes: FloatArray, scale: float = CROP_SCALE) -> FloatArray:
    """Upright square regions (B, 4) around boxes (B, 4), x1 y1 x2 y2 in pixels."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    extent = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = scale * extent.max(axis=1, initial=0)
    return np.column_stack([centre, size, np.zeros(len(boxes))]).astype(np.float32)


class MotionProposals:
    """Regions that differ from a background learnt over time.

    Args:
        frame_size: (width, height) of the frames, in pixels.
        fps: frames a second; the background forgets over ``memory_s`` seconds.
        max_side: the model works on frames shrunk to this longer side, in pixels.
        memory_s: seconds after which something that stands still becomes background.
        min_height: smallest person worth a look, in pixels of the frame.
    """

    def __init__(
        self, frame_size: tuple[int, int], fps: float, max_side: int, memory_s: float, min_height: int
    ) -> None:
        self._shrink = min(1.0, max_side / max(frame_size))
        self._memory = max(20, round(memory_s * fps))
        self._model = cv2.createBackgroundSubtractorMOG2(self._memory, 16.0, True)
        self._min_height = max(6.0, min_height * self._shrink)
        self._frames = 0
        self.mask = np.zeros((0, 0), np.uint8)

    @property
    def ready(self) -> bool:
        """Whether enough frames have been seen to tell motion from background."""
        return self._frames > 5

    def update(self, image: NDArray[np.uint8]) -> None:
        """Learn one more frame and find what moves in it."""
        small = image
        if self._shrink < 1:
            size = (
                max(1, round(image.shape[1] * self._shrink)),
                max(1, round(image.shape[0] * self._shrink)),
            )
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._frames += 1
        rate = max(1.0 / self._memory, 1.0 / self._frames)
        moving = self._model.apply(small, learningRate=rate)
        moving = np.where(moving == 255, np.uint8(255), np.uint8(0))  # 127 marks shadows
        moving = cv2.medianBlur(moving, 3)
        self.mask = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        if not self.ready or np.count_nonzero(self.mask) > 0.6 * self.mask.size:
            self.mask[:] = 0  # the camera moved or the light changed

    def share(self, boxes: FloatArray) -> FloatArray:
        """Share of each box (B, 4) that moves, (B,) 0..1."""
        out = np.zeros(len(boxes), np.float32)
        for i, (x1, y1, x2, y2) in enumerate(np.round(np.asarray(boxes) * self._shrink).astype(int)):
            part = self.mask[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
            out[i] = np.count_nonzero(part) / part.size if part.size else 0.0
        return out

    def boxes(self, known: FloatArray) -> FloatArray:
        """Boxes (B, 4) of what moves outside the boxes ``known`` (K, 4), wide ones split into people too."""
        mask = self.mask.copy()
        for x1, y1, x2, y2 in np.round(np.asarray(known).reshape(-1, 4) * self._shrink).astype(int):
            mask[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = 0
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found: list[list[float]] = []
        for x, y, w, h, area in stats[1:count].tolist():
            if max(h, w) < self._min_height or area < 0.1 * w * h or area < 0.12 * self._min_height**2:
                continue
            found.append([x, y, x + w, y + h])
            if w > 0.8 * h and w > 1.5 * _PERSON_ASPECT * self._min_height:
                found.extend(self._split(mask, x, y, w, h))
        return np.array(found, np.float32).reshape(-1, 4) / np.float32(self._shrink)

    def _split(self, mask: NDArray[np.uint8], x: int, y: int, w: int, h: int) -> list[list[float]]:
        """People side by side: columns as wide as a person of this height, at the densest places."""
        width = max(3, round(_PERSON_ASPECT * h))
        people = min(4, round(w / width))
        if people < 2:
            return []
        edges = np.linspace(x, x + w, people + 1).astype(int)
        parts = []
        for left, right in itertools.pairwise(edges):
            rows = np.flatnonzero(mask[y : y + h, left:right].any(axis=1))
            if len(rows) and rows[-1] - rows[0] >= self._min_height:
                parts.append([float(left), float(y + rows[0]), float(right), float(y + rows[-1] + 1)])
        return parts


class HogProposals:
    """Upright people by histograms of gradients and a linear classifier, as OpenCV ships it."""

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())

    def boxes(self, image: NDArray[np.uint8], min_height: float, max_pixels: int) -> FloatArray:
        """Boxes (B, 4) of people from ``min_height`` pixels up; the picture is scaled to at most ``max_pixels``."""
        height, width = image.shape[:2]
        # The classifier's window is 128 pixels tall, the person in it about 96.
        scale = min(96.0 / min_height, (max_pixels / (height * width)) ** 0.5)
        size = (round(width * scale), round(height * scale))
        if size[0] < 64 or size[1] < 128:
            return _NOBODY
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)
        found, weights = self._hog.detectMultiScale(scaled, hitThreshold=0.0, winStride=(8, 8), scale=1.1)
        if not len(found):
            return _NOBODY
        order = np.argsort(-np.asarray(weights).ravel(), kind="stable")[:30]
        x, y, w, h = (np.asarray(found, np.float32)[order] / np.float32(scale)).T
        margin_x, margin_y = 0.2 * w, 0.125 * h  # the window's margin around the person
        return np.column_stack([x + margin_x, y + margin_y, x + w - margin_x, y + h - margin_y]).astype(
            np.float32
        )


def tiles(frame_size: tuple[int, int], levels: tuple[int, ...]) -> FloatArray:
    """Square tiles (N, 4) that cover the frame.

    For each level n, squares whose side is the frame's longer side over n, spread evenly with a fifth of overlap; level
    1 is the whole frame.
    """
    width, height = frame_size
    found: list[tuple[float, float, float, float]] = []
    for level in levels:
        side = max(width, height) / level
        if level > 1:
            side = min(side * 1.2, min(width, height))
        xs, ys = (_spread(length, side) for length in (width, height))
        found.extend((x, y, side, 0.0) for y in ys for x in xs)
    return np.array(found, np.float32).reshape(-1, 4)


def _spread(length: float, side: float) -> list[float]:
    """Centres of the fewest intervals of length ``side`` that cover ``length`` with a fifth of overlap."""
    if side >= length:
        return [length / 2]
    count = int(np.ceil((length - 0.2 * side) / (0.8 * side)))
    return np.linspace(side / 2, length - side / 2, max(2, count)).tolist()
