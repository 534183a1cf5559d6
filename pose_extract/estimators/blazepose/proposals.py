"""Propose where people might be: moving regions, HOG's people detector, and tiles for BlazePose's own detector.

A proposal is a region (x, y, size, angle) as `networks` defines it. Too many do no harm but cost time; what none of
them covers is lost.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.blazepose.bodies import boxes_of, erase_body
from pose_extract.estimators.blazepose.networks import Networks, Pyramid

FloatArray = NDArray[np.float32]
CROP_SCALE = 1.4
"""Side of the crop in units of the longer side of a person's box."""

_TILE_SCALE = 4.0  # side of the smallest tile in units of the smallest person
_DETECTOR_SCORE = 0.3
_HOG_PIXELS = 1_200_000
_MOTION_SIDE = 640  # the background model works on frames shrunk to this longer side
_MOTION_MEMORY_S = 60.0  # what stands still for so long becomes background
_RETRY_S = 0.5
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
        fps: frames a second.
        min_height: smallest person worth a look, in pixels of the frame.
    """

    def __init__(self, frame_size: tuple[int, int], fps: float, min_height: int) -> None:
        self._shrink = min(1.0, _MOTION_SIDE / max(frame_size))
        self._memory = max(20, round(_MOTION_MEMORY_S * fps))
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
        moving = self._model.apply(small, learningRate=1.0 / self._memory)
        moving = np.where(moving == 255, np.uint8(255), np.uint8(0))  # 127 marks shadows
        moving = cv2.medianBlur(moving, 3)
        self.mask = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        if not self.ready or np.count_nonzero(self.mask) > 0.6 * self.mask.size:
            self.mask[:] = 0  # the camera moved or the light changed

    def boxes(self, people: FloatArray) -> FloatArray:
        """Boxes (B, 4) of what moves besides ``people`` (P, 39, 3), wide ones split into people too."""
        mask = self.mask.copy()
        for points in people:
            erase_body(mask, points, self._shrink)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found: list[list[float]] = []
        for x, y, w, h, area in stats[1:count].tolist():
            if max(h, w) < self._min_height or area < 0.1 * w * h or area < 0.12 * self._min_height**2:
                continue
            if min(w, h) < 0.2 * max(w, h):
                continue  # a sliver beside somebody who is known
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

    def boxes(self, image: NDArray[np.uint8], min_height: float) -> FloatArray:
        """Boxes (B, 4) of people from ``min_height`` pixels up, larger ones in large frames."""
        height, width = image.shape[:2]
        # The classifier's window is 128 pixels tall, the person in it about 96.
        scale = min(96.0 / min_height, (_HOG_PIXELS / (height * width)) ** 0.5)
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


class Proposals:
    """All sources together, the costly ones spread over time.

    The first frame is searched thoroughly. After that each frame brings what moves, HOG works once in a search
    interval, and the person detector visits the tiles of the frame in turn, getting around once in four intervals.

    Args:
        networks: runs the person detector.
        fps: frames a second.
        frame_size: (width, height), in pixels.
        min_height: smallest person looked for, in pixels.
        interval_s: seconds of video between two searches.
    """

    def __init__(
        self, networks: Networks, fps: float, frame_size: tuple[int, int], min_height: int, interval_s: float
    ) -> None:
        self._networks, self._min_height = networks, min_height
        self._motion = MotionProposals(frame_size, fps, min_height)
        self._hog = HogProposals()
        self._tiles = tiles(frame_size, _TILE_SCALE * min_height)
        self._every = max(1, round(interval_s * fps))
        self._tiles_a_frame = len(self._tiles) / (4 * self._every)
        self._frame_size, self._seen = frame_size, 0
        # What moved in the last frames and was no person is not tried again at once.
        self._tried = [_NOBODY] * max(1, round(_RETRY_S * fps))

    def update(self, image: NDArray[np.uint8]) -> None:
        """Take in the next frame."""
        self._image = image
        self._motion.update(image)
        self._seen += 1

    def regions(self, pyramid: Pyramid, people: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Regions (R, 4) where somebody may be besides ``people`` (P, 39, 3).

        Returns:
            the regions, and (R,) whether the person there might be lying.
        """
        frame = self._seen - 1
        moving = self._motion.boxes(people)
        extent = moving[:, 2:] - moving[:, :2]
        found, lying = [boxes_to_regions(moving)], [extent[:, 0] > 0.7 * extent[:, 1]]
        untried = distinct(found[0], np.concatenate(self._tried))
        found[0], lying[0] = found[0][untried], lying[0][untried]
        self._tried = [*self._tried[1:], found[0]]
        known = boxes_of(people, self._frame_size)
        if frame % self._every == 0:
            smallest = float(self._min_height)
            if len(known):
                smallest = max(smallest, 0.5 * float(np.median(known[:, 3] - known[:, 1])))
            found.append(boxes_to_regions(self._hog.boxes(self._image, smallest)))
            lying.append(np.zeros(len(found[-1]), bool))
        due = self._due_tiles(frame)
        if len(due):
            found.append(self._networks.detect(pyramid, due, _DETECTOR_SCORE)[0])
            lying.append(np.full(len(found[-1]), frame == 0))
        regions, turn = np.concatenate(found), np.concatenate(lying)
        chosen = distinct(regions, boxes_to_regions(known))
        return regions[chosen], turn[chosen]

    def _due_tiles(self, frame: int) -> FloatArray:
        """The tiles whose turn it is in this frame."""
        if frame == 0:
            return self._tiles
        first, last = int(frame * self._tiles_a_frame), int((frame + 1) * self._tiles_a_frame)
        return self._tiles[np.arange(first, last) % len(self._tiles)]


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


def tiles(frame_size: tuple[int, int], smallest: float, most: int = 200) -> FloatArray:
    """Square tiles (N, 4), each size covering the frame, from the whole frame down to ``smallest`` pixels a side.

    Sizes shrink by a factor of 1.6, neighbours overlap by half; sizes that would need more than ``most`` tiles in
    all are left out.
    """
    width, height = frame_size
    side = float(max(width, height))
    found: list[tuple[float, float, float, float]] = [(width / 2, height / 2, side, 0.0)]
    while (side := side / 1.6) >= 0.8 * smallest:
        xs, ys = (_spread(length, side) for length in (width, height))
        if len(found) + len(xs) * len(ys) > most:
            break
        found.extend((x, y, side, 0.0) for y in ys for x in xs)
    return np.array(found, np.float32)


def _spread(length: float, side: float) -> list[float]:
    """Centres of the fewest intervals of length ``side`` that cover ``length`` and overlap by half."""
    if side >= length:
        return [length / 2]
    count = int(np.ceil((length - side / 2) / (side / 2)))
    return np.linspace(side / 2, length - side / 2, max(2, count)).tolist()
