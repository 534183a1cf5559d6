"""Frames with a person that walks, drawn simply, for tests of recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.live.recording.ring import Moment
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.records import PoseDetections

COCO = get_skeleton("coco17")
START = datetime(2026, 11, 29, 10, 0, 0, tzinfo=UTC)
WIDTH, HEIGHT = 320, 240


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def person(seconds: float) -> PoseDetections:
    """Somebody who walks to the right by 20 px a second."""
    x1, y1, x2, y2 = 40 + 20 * seconds, 60, 90 + 20 * seconds, 200
    rng = np.random.default_rng(0)
    xy = rng.random((COCO.num_joints, 2)) * (x2 - x1, y2 - y1) + (x1, y1)
    keypoints = np.concatenate([xy, np.ones((COCO.num_joints, 1))], axis=1)[None].astype(np.float32)
    return PoseDetections(np.array([[x1, y1, x2, y2]], np.float32), keypoints, np.ones(1, np.float32))


def nobody() -> PoseDetections:
    return PoseDetections.empty(COCO.num_joints)


def picture(seconds: float) -> NDArray[np.uint8]:
    """Fine stripes where the person is, a smooth ground elsewhere."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    x1, y1, x2, y2 = person(seconds).boxes[0].astype(int)
    image[y1:y2, x1:x2:2] = 255
    image[y1:y2, x1 + 1 : x2 : 2] = 0
    return image


def detail(image: NDArray[np.uint8], seconds: float) -> float:
    """How much of the stripes is left, in grey levels from column to column."""
    x1, y1, x2, y2 = person(seconds).boxes[0].astype(int)
    inner = image[y1 + 10 : y2 - 10, x1 + 5 : x2 - 5].astype(float)
    return float(np.median(np.abs(np.diff(inner, axis=1))))


def moment(seconds: float, pixels: bool = True, seen: bool = True) -> Moment:
    return Moment.of(at(seconds), picture(seconds), person(seconds) if seen else nobody(), pixels)
