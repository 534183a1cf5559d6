"""Run pose estimators on a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.base import PoseEstimator, create_estimator
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections


def made(settings: Any, **changes: Any) -> PoseEstimator:
    """The estimator that some settings are for."""
    name = type(settings).__name__.removesuffix("Settings").lower()
    return create_estimator(name, replace(settings, **changes))


def in_sight(truth: ClipTracks, frame: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes and keypoints of the people in a frame whom nothing hides."""
    rows = np.flatnonzero(truth.frame == frame)
    rows = rows[(truth.keypoints[rows, :, 2] >= 1).mean(1) > 0.9]
    return truth.boxes[rows], truth.keypoints[rows]


def run(
    estimator: PoseEstimator, images: Sequence[NDArray[np.uint8]], fps: float = 24.0
) -> list[PoseDetections]:
    """The people in each picture of a new video."""
    estimator.start(fps, (images[0].shape[1], images[0].shape[0]))
    return [estimator.estimate([Frame(i, i / fps, image)])[0] for i, image in enumerate(images)]
