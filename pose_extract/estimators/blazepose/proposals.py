"""Propose where people might be: moving regions, HOG's people detector, and tiles for BlazePose's own detector.

A proposal is a region as `pose_extract.estimators.crops` defines it. Too many do no harm but cost time; what none
of them covers is lost.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.blazepose.bodies import boxes_of, erase_body
from pose_extract.estimators.blazepose.networks import Networks
from pose_extract.estimators.crops import Pyramid, boxes_to_regions, distinct
from pose_extract.estimators.motion import MotionProposals
from pose_extract.tracks.records import Uncovered

FloatArray = NDArray[np.float32]
CROP_SCALE = 1.4
"""Side of the crop in units of the longer side of a person's box."""

_TILE_SCALE = 4.0  # side of the smallest tile in units of the smallest person
_DETECTOR_SCORE = 0.3
_HOG_PIXELS = 1_200_000
_RETRY_S = 0.5
_NOBODY = np.zeros((0, 4), np.float32)


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
        moving = self._motion.boxes(_eraser(people))
        extent = moving[:, 2:] - moving[:, :2]
        found, lying = [boxes_to_regions(moving, CROP_SCALE)], [extent[:, 0] > 0.7 * extent[:, 1]]
        untried = distinct(found[0], np.concatenate(self._tried))
        found[0], lying[0] = found[0][untried], lying[0][untried]
        self._tried = [*self._tried[1:], found[0]]
        known = boxes_of(people, self._frame_size)
        if frame % self._every == 0:
            smallest = float(self._min_height)
            if len(known):
                smallest = max(smallest, 0.5 * float(np.median(known[:, 3] - known[:, 1])))
            found.append(boxes_to_regions(self._hog.boxes(self._image, smallest), CROP_SCALE))
            lying.append(np.zeros(len(found[-1]), bool))
        due = self._due_tiles(frame)
        if len(due):
            found.append(self._networks.detect(pyramid, due, _DETECTOR_SCORE)[0])
            lying.append(np.full(len(found[-1]), frame == 0))
        regions, turn = np.concatenate(found), np.concatenate(lying)
        chosen = distinct(regions, boxes_to_regions(known, CROP_SCALE))
        return regions[chosen], turn[chosen]

    def uncovered(self, people: FloatArray) -> Uncovered:
        """What differs from the background and is none of ``people`` (P, 39, 3)."""
        return self._motion.uncovered(_eraser(people))

    def _due_tiles(self, frame: int) -> FloatArray:
        """The tiles whose turn it is in this frame."""
        if frame == 0:
            return self._tiles
        first, last = int(frame * self._tiles_a_frame), int((frame + 1) * self._tiles_a_frame)
        return self._tiles[np.arange(first, last) % len(self._tiles)]


def _eraser(people: FloatArray) -> Callable[[NDArray[np.uint8], float], None]:
    """What clears people (P, 39, 3) from a mask whose size is a share of the frame's."""

    def erase(mask: NDArray[np.uint8], shrink: float) -> None:
        for points in people:
            erase_body(mask, points, shrink)

    return erase


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
