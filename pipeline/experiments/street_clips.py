"""Clips of the synthetic street with an estimator's errors and frame labels, kept in a workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pipeline.evaluate import LabelledClips
from pipeline.experiments.cells import digest
from pipeline.experiments.options import ExperimentOptions
from pipeline.street.clips import StreetClip, simulate_clip
from pipeline.street.errors import estimated
from pipeline.street.motion import ABNORMAL
from pipeline.street.scene import StreetSettings
from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.cache import save_tracks
from pose_extract.files import writing
from pose_extract.records import ClipTracks

_VERSION = 1  # of the clips: raise it when they come out differently
_FIRST_TEST = 1000  # number of the first test clip


def street_clip(
    street: int, number: int, seconds: float, acts: Sequence[str] = ()
) -> tuple[ClipTracks, NDArray[np.uint8]]:
    """A clip of one of many streets: what an estimator might find in it, not cleaned, and its frames' labels.

    Args:
        street: another one has another crowd.
        number: of the clip in it.
        seconds: length.
        acts: abnormal behaviours that are seen.
    """
    seed = 10_000 * (street + 1) + number
    clip: StreetClip = simulate_clip(f"clip{number}", seed, StreetSettings(seconds=seconds), tuple(acts))
    return estimated(clip.truth, seed), clip.labels


class StreetClips:
    """Normal clips to learn from, and test clips with every abnormal behaviour, of a street for each seed.

    Args:
        options: how many clips, and how long.
        folder: where they are kept.
    """

    name, published = "the synthetic street", False

    def __init__(self, options: ExperimentOptions, folder: Path) -> None:
        self._folder = folder
        self._normal = (options.street_normal_clips, options.street_normal_s)
        self._test = (options.street_test_clips, options.street_test_s)

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes the clips of a seed, as JSON can hold it."""
        return {"street": [seed, self._normal, self._test, ABNORMAL], "version": _VERSION}

    def clips(self, seed: int) -> tuple[Workspace, LabelledClips]:
        """The workspace with the clips to train on, and the clips to test on; made if they are not there."""
        folder = self._folder / digest(self.identity(seed))[:16]
        workspace = Workspace(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return workspace, self._filled(workspace, seed)

    def _filled(self, workspace: Workspace, seed: int) -> LabelledClips:
        known = {entry.clip for entry in workspace.entries()}
        count, seconds = self._normal
        new: list[ClipEntry] = []
        for number in range(count):
            if f"clip{number}" not in known:
                new.append(_kept(workspace, street_clip(seed, number, seconds)[0], train=True))
        count, seconds = self._test
        acts = [(act,) for act in ABNORMAL for _ in range(count)] + [()] * (2 * count)
        paths, labels = {}, {}
        for number, its in enumerate(acts, start=_FIRST_TEST):
            tracks, marks = street_clip(seed, number, seconds, its)
            if tracks.clip not in known:
                new.append(_kept(workspace, tracks, train=False))
            paths[tracks.clip], labels[tracks.clip] = workspace.tracks_path(tracks.clip), marks.astype(bool)
        if new:
            workspace.record(*new)
        return LabelledClips(paths, labels, {clip: np.ones(len(mask), bool) for clip, mask in labels.items()})


def _kept(workspace: Workspace, tracks: ClipTracks, train: bool) -> ClipEntry:
    """Put a clip's tracks into the workspace."""
    summary = {
        "frames": tracks.frame_count,
        "rows": len(tracks),
        "tracks": tracks.num_tracks,
        "seconds": tracks.frame_count / tracks.fps,
        "coverage": len(np.unique(tracks.frame)) / tracks.frame_count,
        "damage": [],
    }
    provenance = {
        "source": f"street/{tracks.clip}",
        "key": hashlib.sha256(tracks.keypoints.tobytes()).hexdigest(),
        "train": train,
        "estimator": {"name": "simulated"},
        "settings": {},
        "summary": summary,
    }
    save_tracks(workspace.tracks_path(tracks.clip), replace(tracks, provenance=provenance))
    return entry_of(provenance, tracks.clip)
