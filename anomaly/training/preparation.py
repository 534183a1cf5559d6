"""Turn normal clips into training windows, or say how much is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows, make_windows
from anomaly.normality.parts import assign_folds_to_clips, assign_folds_to_windows
from anomaly.scoring.scores import Progress
from anomaly.settings import ModelSettings
from anomaly.training.held_out import holds_out_whole_clips
from pose_extract.errors import TrainingError
from pose_extract.tracks.records import ClipTracks


def with_patch_channels(settings: ModelSettings, clips: list[ClipTracks]) -> ModelSettings:
    """The settings with the length of the clips' appearance vectors, on which the first layer's width depends."""
    found = [clip.features.shape[2] for clip in clips if clip.features is not None]
    if not settings.windows.patches or settings.windows.patch_channels or not found:
        return settings
    return replace(settings, windows=replace(settings.windows, patch_channels=int(found[0])))


def training_windows(
    clips: list[ClipTracks], settings: ModelSettings, progress: Progress, folds: list[NDArray[np.int64]]
) -> Iterator[Windows]:
    """Training windows, clip after clip, which are taken out of the list; their folds are put behind ``folds``."""
    found, total = 0, len(clips)
    whole = assign_folds_to_clips(clips, settings.densities) if holds_out_whole_clips(total) else None
    for number in range(total):
        clip = clips.pop(0)
        camera = settings.densities.camera_of(clip.clip)
        windows = make_windows(clip, settings.windows, settings.windows.train_stride, camera)
        if whole is None:
            folds.append(assign_folds_to_windows(windows, clip.time_s, settings.densities.folds))
        else:
            folds.append(np.full(len(windows), whole[number]))
        found += len(windows)
        progress("windows", number + 1, total, {"windows": found})
        yield windows


def check_amount(windows: int, people: int, clips: int, settings: ModelSettings) -> None:
    """Raise TrainingError unless there are enough windows for the clusters and the mixture."""
    per_window = len(settings.training.transforms)
    mixture = -(-2 * settings.normality.components * settings.normality.every // per_window)
    needed = max(5 * settings.clustering.clusters, mixture)
    if windows >= needed:
        return
    sizes = settings.windows
    held_out = f"besides the {100 * settings.calibration.held_out:.0f} % held out"
    if sizes.extent == "clip":
        raise TrainingError(
            f"too little to train on: at least {needed} windows are needed, one for a person or two in a clip, got "
            f"{windows} from {people} tracks in {clips} clips. Add normal clips, {held_out}, or lower "
            "windows.min_frames"
        )
    window_s = sizes.frames / sizes.fps
    needed_s = needed * sizes.train_stride / sizes.fps + window_s
    raise TrainingError(
        f"too little to train on: at least {needed} windows of {window_s:g} s are needed, got {windows} from "
        f"{people} tracks. That is {needed_s:.0f} s or more of people in view without a gap, {held_out}: add normal "
        "video, or lower windows.train_stride"
    )
