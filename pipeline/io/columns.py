"""The columns of scored clips as tables: one row a frame, and one a person and frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from anomaly.scoring.scores import FrameScores
from pose_extract.tracks.records import ClipTracks

BOXES = ("x1", "y1", "x2", "y2")


class ScoredRows(Protocol):
    """Scores of M rows, a person in a frame each; NaN where nothing can be said."""

    @property
    def row_score(self) -> Any:
        """(M,) anomaly."""

    @property
    def row_percentile(self) -> Any:
        """(M,) share of held-out normal people that score lower, 0 to 100."""


def joint_columns(joints: Sequence[str], size: int) -> list[str]:
    """Names of the columns of joints with ``size`` numbers each (3, or 4 in space)."""
    kinds = ("x", "y", "confidence") if size == 3 else ("x", "y", "z", "confidence")
    return [f"{joint}_{kind}" for joint in joints for kind in kinds]


def frame_columns(
    clip: str, tracks: ClipTracks, frames: FrameScores | None, begin: int = 0
) -> dict[str, Any]:
    """A row for every frame; no percentile where people are there and none could be judged.

    Args:
        clip: its name.
        tracks: its people; frames count from ``begin``.
        frames: scores of the frames; None: there is no model, and no score.
        begin: number of the first frame.
    """
    count = tracks.frame_count
    nothing = [None] * count
    return {
        "clip": [clip] * count,
        "frame": np.arange(begin, begin + count, dtype=np.int32),
        "time_s": np.asarray(tracks.time_s),
        "people": np.bincount(tracks.frame, minlength=count).astype(np.int32),
        **{
            name: nothing if frames is None else getattr(frames, name)
            for name in ("score", "alarm", "track_id", "judged", "thing_id")
        },
        "percentile": nothing if frames is None else np.where(frames.judged, frames.percentile, np.nan),
    }


def people_columns(
    clip: str,
    tracks: ClipTracks,
    joints: Sequence[str],
    scores: ScoredRows | None = None,
    begin: int = 0,
) -> dict[str, Any]:
    """A row for every person and frame.

    Args:
        clip: its name.
        tracks: its people; frames count from ``begin``.
        joints: names of the joints.
        scores: of the rows; None: there is no model.
        begin: number of the first frame.
    """
    flat = np.ascontiguousarray(tracks.keypoints, np.float32).reshape(len(tracks), -1)
    nothing = [None] * len(tracks)
    return {
        "clip": [clip] * len(tracks),
        "frame": (tracks.frame + begin).astype(np.int32),
        "time_s": np.asarray(tracks.time_s)[tracks.frame],
        "track_id": np.asarray(tracks.track),
        "score": nothing if scores is None else scores.row_score,
        "percentile": nothing if scores is None else scores.row_percentile,
        **{name: np.array(tracks.boxes[:, i]) for i, name in enumerate(BOXES)},
        **{name: flat[:, i] for i, name in enumerate(joint_columns(joints, tracks.keypoints.shape[2]))},
    }
