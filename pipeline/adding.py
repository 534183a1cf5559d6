"""Put tracks that are in memory into a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks


def summary_of(tracks: ClipTracks, damage: Sequence[str] = ()) -> dict[str, Any]:
    """What the list of clips says of a clip; `ClipEntry` has the meaning of each."""
    return {
        "frames": tracks.frame_count,
        "rows": len(tracks),
        "tracks": tracks.num_tracks,
        "seconds": round(tracks.frame_count / tracks.fps, 3),
        "coverage": round(len(np.unique(tracks.frame)) / max(tracks.frame_count, 1), 4),
        "damage": list(damage),
    }


def add_clip(workspace: Workspace, tracks: ClipTracks, **provenance: Any) -> ClipEntry:
    """Write the tracks file of a clip and put the clip on the list.

    Args:
        workspace: where to.
        tracks: the clip. Its own provenance is kept where ``provenance`` does not say otherwise.
        provenance: what made the tracks: ``source``, ``key``, ``estimator`` and ``train`` (True if it is not said).

    Raises:
        CacheError: ``source``, ``key`` or ``estimator`` is said nowhere.
    """
    made = {"settings": {}, **tracks.provenance, "train": True, **provenance, "summary": summary_of(tracks)}
    entry = entry_of(made, tracks.clip)
    save_tracks(workspace.tracks_path(tracks.clip), replace(tracks, provenance=made))
    workspace.record(entry)
    return entry
