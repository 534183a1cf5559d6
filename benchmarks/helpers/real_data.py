"""Poses of real surveillance video, from the folder that GEPC_SAMPLE_DATA names, as the pipeline's records."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.records import ClipTracks


def sample_data() -> Path | None:
    """The folder that GEPC_SAMPLE_DATA names, or None."""
    data = os.environ.get("GEPC_SAMPLE_DATA")
    return Path(data) if data else None


@dataclass(frozen=True)
class Release:
    """Poses as released with MPED-RNN: one npz a portion.

    Attributes:
        folder: below the data.
        fps: frames a second.
        frame_size: width and height in pixels.
    """

    folder: str
    fps: float
    frame_size: tuple[int, int]


AVENUE = Release("hr-avenue", 25.0, (640, 360))
SHANGHAITECH = Release("hr-shanghaitech", 24.97, (856, 480))


def read(
    data: Path, release: Release, portion: str, frames: dict[str, int] | None = None
) -> list[ClipTracks]:
    """The clips of ``portion``; ``frames`` has the length of those whose last frames may show nobody."""
    path = data / release.folder / f"{portion}.npz"
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    clips = []
    for name, begin, end in zip(arrays["clips"], arrays["offsets"][:-1], arrays["offsets"][1:], strict=True):
        points = arrays["kp"][begin:end]
        missing = (points == 0).all(axis=2)
        if points.dtype == np.uint16:  # pixels = kp / 64 - 4
            points = points / np.float32(64) - 4
        person, frame = arrays["person"][begin:end], arrays["frame"][begin:end]
        count = (frames or {}).get(str(name), int(frame.max()) + 1)
        clips.append(tracks_of(str(name), points, missing, person, frame, count, release, str(path)))
    return clips


def tracks_of(
    clip: str,
    points: NDArray[Any],
    missing: NDArray[np.bool_],
    person: NDArray[Any],
    frame: NDArray[Any],
    frames: int,
    release: Release,
    source: str,
) -> ClipTracks:
    """Joints (M, 17, 2) in pixels, which are ``missing`` (M, 17), of a person in a frame each, as a clip's tracks."""
    order = np.lexsort((person, frame))
    points, missing = np.where(missing[..., None], 0, points)[order].astype(np.float32), missing[order]
    low, high = (np.where(missing[..., None], far, points) for far in (np.inf, -np.inf))
    boxes = np.concatenate([low.min(axis=1), high.max(axis=1)], axis=1)
    boxes[missing.all(axis=1)] = 0
    confidence = (~missing).astype(np.float32)[..., None]
    return ClipTracks(
        clip=clip,
        skeleton="coco17",
        fps=release.fps,
        frame_size=release.frame_size,
        time_s=np.arange(frames) / release.fps,
        frame=frame[order].astype(np.int32),
        track=(person[order] + 1).astype(np.int32),
        keypoints=np.concatenate([points, confidence], axis=2),
        boxes=boxes.astype(np.float32),
        provenance={"source": source},
    )
