"""Bound the disk that the joints' features of one run take, and say what they cost before they are made."""

from __future__ import annotations

import logging

from pipeline.workers import SharedCount
from pose_extract.errors import OutputError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.patches.store import disk_bytes
from pose_extract.skeletons import get_skeleton

logger = logging.getLogger(__name__)


class FeatureDiskBudget:
    """The disk that the joints' features of one run take: said before it starts, and bounded.

    Args:
        estimator: whose features they are.
        most_gb: the bound, ``patches.most_gb``.
        taken: by all processes of the run together; None: there is this one alone.
    """

    def __init__(self, estimator: PoseEstimator, most_gb: float, taken: SharedCount | None = None) -> None:
        channels = estimator.feature_channels
        self._each = disk_bytes(1, get_skeleton(estimator.skeleton).num_joints, channels) if channels else 0
        self._people = estimator.max_people
        self._most_gb, self._taken, self._shared = most_gb, 0.0, taken

    def announce(self) -> None:
        """Say what a person costs, and what the run may take; of several processes the first one says it."""
        if not self._each:
            return
        if self._shared is not None:
            with self._shared.get_lock():
                if self._shared.value:
                    return
                self._shared.value = 1.0  # a byte: it is said
        logger.info(
            "the joints' features take %.2f kB a person and frame on disk; bound of this run: %g GB "
            "(patches.most_gb)",
            self._each / 1e3,
            self._most_gb,
        )

    def announce_clip(self, name: str, frames: int | None) -> None:
        """Say what a clip takes at most."""
        if self._each and frames:
            most = self._each * self._people * frames
            logger.info(
                "%s: features take %.1f MB for each person who is always there, at most %.3g GB (%d people in all "
                "of %d frames)",
                name,
                self._each * frames / 1e6,
                most / 1e9,
                self._people,
                frames,
            )

    def reserve(self, people: int) -> None:
        """Count the features of some people in a frame; raises OutputError beyond the bound."""
        if self._shared is None:
            self._taken += people * self._each
        elif self._each:
            with self._shared.get_lock():
                self._shared.value += people * self._each
                self._taken = self._shared.value
        if self._taken > self._most_gb * 1e9:
            raise OutputError(
                f"the joints' features would take more than patches.most_gb allows ({self._most_gb:g}); finished clips "
                "are kept. Raise it, or extract without features"
            )
