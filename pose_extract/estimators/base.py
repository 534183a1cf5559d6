"""Define what a pose estimator is to the rest of the program, and make one by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pose_extract.errors import ConfigError
from pose_extract.tracks.records import Frame, PoseDetections

ESTIMATORS: dict[str, str] = {
    "blazepose": "pose_extract.estimators.blazepose.estimator:BlazePoseEstimator",
    "openmmlab": "pose_extract.estimators.openmmlab.estimator:OpenMMLabEstimator",
}
"""Name -> "module:class". A module is imported when its estimator is asked for, not before."""


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
    """

    name: str
    skeleton: str
    batch_size: int = 1
    identity: dict[str, str]
    timings: dict[str, float]
    network_stages: tuple[str, ...]
    feature_channels: int = 0

    @abstractmethod
    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Get ready for a new video of ``fps`` frames a second and (width, height) pixels; forget the last one."""

    @abstractmethod
    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame. Frames of a video come in order, each one once."""

    def close(self) -> None:  # noqa: B027  (not every estimator holds something)
        """Give back what the estimator holds. It cannot be used afterwards."""


def estimator_class(name: str) -> type[PoseEstimator]:
    """Return the class of the estimator called ``name``; raises `ConfigError` that lists the known ones."""
    try:
        module, _, attribute = ESTIMATORS[name].partition(":")
    except KeyError:
        raise ConfigError(f"unknown estimator {name!r}; known: {', '.join(sorted(ESTIMATORS))}") from None
    found: type[PoseEstimator] = getattr(import_module(module), attribute)
    return found


def create_estimator(name: str, *settings: Any) -> PoseEstimator:
    """Make the estimator called ``name`` with its settings object (or its defaults).

    Raises:
        ConfigError: there is no estimator of that name.
        WeightsError: its weights are missing and cannot be fetched.
    """
    return estimator_class(name)(*settings)
