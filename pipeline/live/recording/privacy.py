"""Make people in a picture unrecognisable, or leave nothing of it but skeletons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.records import PoseDetections

GROUND = 40  # grey of the empty ground
_MARGIN = 0.15  # of a box's size, on each side
_CELLS = 6  # a person's width is left as so many flat cells
_LEAST_CONFIDENCE = 0.1  # of joints that must be covered too


def empty_ground(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (height, width, 3) without anything on it, of a size (width, height)."""
    return np.full((size[1], size[0], 3), GROUND, np.uint8)


def blur_people(
    image: NDArray[np.uint8], people: Iterable[PoseDetections], moving: NDArray[np.floating] | None = None
) -> None:
    """Cover people with a few flat cells each, in place; what is covered cannot be brought back.

    Args:
        image: (H, W, 3) BGR.
        people: those to cover: of this frame and of its neighbours, so that a frame in which somebody was not found
            does not show them.
        moving: (N, 4) boxes of what moves, which is covered too: it may be somebody who was not found. Whoever neither
            is found nor moves stays visible.
    """
    spreads = [*_spreads(people), *(() if moving is None else moving.reshape(-1, 2, 2))]
    for x1, y1, x2, y2 in _areas(image.shape[1], image.shape[0], spreads):
        part = image[y1:y2, x1:x2]
        wide = min(_CELLS, x2 - x1)
        tall = max(1, round(wide * (y2 - y1) / (x2 - x1)))
        small = cv2.resize(part, (wide, min(tall, y2 - y1)), interpolation=cv2.INTER_AREA)
        part[:] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)


def _spreads(people: Iterable[PoseDetections]) -> Iterator[NDArray[np.floating]]:
    """The corners of each one's box and the joints that may be seen, (N, 2)."""
    for each in people:
        for box, keypoints in zip(each.boxes, each.keypoints, strict=True):
            yield np.concatenate([box.reshape(2, 2), keypoints[keypoints[:, -1] >= _LEAST_CONFIDENCE, :2]])


def _areas(
    width: int, height: int, spreads: Iterable[NDArray[np.floating]]
) -> list[tuple[int, int, int, int]]:
    """The part of a picture around each set of points (N, 2), with a margin."""
    found = []
    for points in spreads:
        spread = points[np.isfinite(points).all(axis=1)]
        if not len(spread):
            continue
        low, high = spread.min(axis=0), spread.max(axis=0)
        margin = _MARGIN * (high - low)
        x1, y1 = np.clip(np.floor(low - margin), 0, (width, height)).astype(int).tolist()
        x2, y2 = np.clip(np.ceil(high + margin), 0, (width, height)).astype(int).tolist()
        if x2 > x1 and y2 > y1:
            found.append((x1, y1, x2, y2))
    return found
