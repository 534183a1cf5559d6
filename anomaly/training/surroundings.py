"""See what is around people in normal video before its clips are let go."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.data.surroundings import ClipObservations, observe
from anomaly.normality.parts import assign_folds_to_clips, fold_of_times
from anomaly.normality.surroundings import FittedSurroundings
from anomaly.settings import DensitySettings, ModelSettings
from anomaly.training.held_out import holds_out_whole_clips
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenSurroundings:
    """What is around people in normal video, clip by clip.

    Attributes:
        parts: what is to be judged.
        densities: whether cameras are told apart.
        clips: observations of each clip.
        cameras: its camera.
        folds: (L,) the fold of each of its looks, 0 of what is held out.
    """

    parts: tuple[str, ...]
    densities: DensitySettings
    clips: list[ClipObservations]
    cameras: list[str]
    folds: list[NDArray[np.int64]]

    def fit(self) -> FittedSurroundings:
        """Learn what is usual."""
        return FittedSurroundings.fit(self.clips, self.cameras, self.folds, self.parts, self.densities)


def see_surroundings(
    fit: Sequence[ClipTracks], held_out: Sequence[ClipTracks], settings: ModelSettings
) -> SeenSurroundings | None:
    """See what is around the people of normal clips; None where that is not asked for, or was not looked for in all.

    Args:
        fit: what is learned from.
        held_out: what is held out.
        settings: the model's.
    """
    parts = settings.scoring.surroundings
    every = [*fit, *held_out]
    lacking = [clip.clip for clip in every if clip.things is None]
    if not parts:
        return None
    if lacking:
        if len(lacking) < len(every):
            logger.warning(
                "things were not looked for in %s%s: what is around people is not judged; extract them again for that",
                ", ".join(sorted(set(lacking))[:3]),
                " ..." if len(set(lacking)) > 3 else "",
            )
        return None
    clips = [observe(clip, parts) for clip in every]
    whole = holds_out_whole_clips(len(fit))
    numbers = assign_folds_to_clips(fit, settings.densities) if whole else [0] * len(fit)
    folds = []
    for number, observations, clip in zip(numbers, clips, fit, strict=False):
        if whole:
            folds.append(np.full(len(observations), number))
        else:
            at, window_s = observations.time_s, settings.windows.duration_s
            folds.append(fold_of_times(at, at, clip.time_s, window_s, settings.densities.folds))
    folds += [np.zeros(len(observations), np.int64) for observations in clips[len(fit) :]]
    return SeenSurroundings(
        parts, settings.densities, clips, [settings.densities.camera_of(clip.clip) for clip in every], folds
    )
