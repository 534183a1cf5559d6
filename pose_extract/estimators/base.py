"""Define what a pose estimator is to the rest of the program, and make one by name."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError, EstimatorError, WeightsError
from pose_extract.tracks.records import Frame, PoseDetections

logger = logging.getLogger(__name__)

ESTIMATORS: dict[str, str] = {
    "blazepose": "pose_extract.estimators.blazepose.estimator:BlazePoseEstimator",
    "movenet": "pose_extract.estimators.movenet.estimator:MoveNetEstimator",
    "openmmlab": "pose_extract.estimators.openmmlab.estimator:OpenMMLabEstimator",
}
"""Name -> "module:class". A module is imported when its estimator is asked for, not before."""

AUTO = "auto"
"""Stands for `BEST`, or for `FALLBACK` where the weights of that cannot be had."""

BEST, FALLBACK = "movenet", "blazepose"

ENTRY_POINTS = "gepc.estimators"
"""Group of entry points by which other packages bring estimators."""


class PoseEstimator(ABC):
    """Finds people and their joints in frames.

    Attributes:
        name: what configs call it.
        skeleton: name of the `Skeleton` that the joints follow.
        batch_size: how many frames at once `estimate` works best with.
        identity: everything that shapes the output, as text: settings, hashes of weights. It goes into the provenance
            of tracks and into the key under which they are cached.
        timings: seconds of wall clock spent in each of its stages since the estimator was made.
        network_stages: which of the stages are networks at work.
        feature_channels: D, length of each joint's feature vector; 0 without features.
        mixes_sides: whether left and right of a limb change places now and then, for moments: then the tracker puts
            that right.
        max_people: most people that it gives a frame, for what has to be bounded beforehand.
    """

    name: str
    skeleton: str
    batch_size: int = 1
    identity: dict[str, str]
    timings: dict[str, float]
    network_stages: tuple[str, ...]
    feature_channels: int = 0
    mixes_sides: bool = False
    max_people: int = 100

    def rhythm(self, fps: float) -> int:
        """After how many frames of ``fps`` a second what is not done in every one comes in turn again."""
        return self.batch_size

    @abstractmethod
    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Get ready for a new video of ``fps`` frames a second and (width, height) pixels; forget the last one."""

    @property
    def mixes(self) -> bool:
        """Whether frames of different videos may be in one batch, since none depends on another."""
        return False

    def twin(self) -> PoseEstimator:
        """Make another one for another video at the same time, that shares the networks; `start` it before use.

        Both are to be used from one thread. `start` makes all that is remembered of a video anew, so a copy will do.
        """
        return copy.copy(self)

    def estimate_in_boxes(self, image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the keypoints (B, V, 3) of the person in each box (B, 4) of a picture; nothing is remembered."""
        raise NotImplementedError(f"{self.name} cannot be asked for the people in given boxes")

    @abstractmethod
    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame. Frames of a video come in order, each one once."""

    def close(self) -> None:  # noqa: B027  (not every estimator holds something)
        """Give back what the estimator holds. It cannot be used afterwards."""


def known_estimators() -> list[str]:
    """Names of the estimators that can be asked for: ours, and those that installed packages bring."""
    return sorted({*ESTIMATORS, *entry_points(group=ENTRY_POINTS).names})


def estimator_class(name: str) -> type[PoseEstimator]:
    """Return the class of the estimator called ``name``.

    Raises:
        ConfigError: there is none of that name; the message lists the known ones.
        EstimatorError: another package's cannot be imported.
    """
    if name in ESTIMATORS:
        module, _, attribute = ESTIMATORS[name].partition(":")
        found: type[PoseEstimator] = getattr(import_module(module), attribute)
        return found
    brought = [*entry_points(group=ENTRY_POINTS, name=name)]
    if not brought:
        raise ConfigError(f"unknown estimator {name!r}; known: {', '.join(known_estimators())}")
    try:
        found = brought[0].load()
    except Exception as error:  # whatever its module does: a library of a GPU that is missing is an OSError
        package = brought[0].dist.name if brought[0].dist else "another package"
        what = str(error) or type(error).__name__
        raise EstimatorError(
            f"the estimator {name!r} that {package} brings cannot be imported: {what}"
        ) from error
    return found


def chosen_estimator(name: str) -> str:
    """What ``name`` stands for on this machine: itself, or, for `AUTO`, the best one whose weights can be had.

    Where they could not be had within the last day, they are not asked for again.
    """
    if name != AUTO:
        return name
    from pose_extract.estimators.movenet.weights import ensure_weights, failed_lately

    try:
        if why := failed_lately():
            raise WeightsError(why)
        ensure_weights()
    except WeightsError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        logger.warning(
            "the weights of %s cannot be had (%s): people are found by %s, which is slower. `gepc-pipeline weights "
            "--pose %s` tries again, --pose %s does not ask for them",
            BEST,
            next((line for line in lines if " said: " in line), lines[0]),
            FALLBACK,
            BEST,
            FALLBACK,
        )
        return FALLBACK
    return BEST


def create_estimator(name: str, *settings: Any) -> PoseEstimator:
    """Make the estimator called ``name`` with its settings object (or its defaults).

    Raises:
        ConfigError: there is no estimator of that name, or its settings are wrong.
        WeightsError: its weights are missing and cannot be fetched.
    """
    return estimator_class(name)(*settings)
