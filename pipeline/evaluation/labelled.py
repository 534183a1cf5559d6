"""Bring clips and the labels of their frames together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.labels.masks import Mask, match_masks, names_of, read_masks
from pipeline.scoring import Scorer
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_TOLERANCE = 1  # frames: decoders differ in whether they show a video's last one
_MOST_PADDED = 10_000_000  # frames; a mask must not be able to ask for all memory


@dataclass(frozen=True)
class LabelledClips:
    """Clips with their labels.

    Attributes:
        paths: tracks file of each clip, in order of the names.
        abnormal: (F,) of each, True where a frame is abnormal.
        kept: (F,) of each, False where a frame is left out of every figure.
        left_out: clips that have no mask.
    """

    paths: dict[str, Path]
    abnormal: dict[str, Mask]
    kept: dict[str, Mask]
    left_out: tuple[str, ...] = ()

    def load(self, clip: str, scorer: Scorer | None = None) -> ClipTracks:
        """A clip's tracks as a model needs them, with nobody in the frames that only its mask has."""
        path = self.paths[clip]
        tracks = load_tracks(path, features=False) if scorer is None else scorer.load(path)
        return lengthened(tracks, len(self.abnormal[clip]))

    @property
    def frames(self) -> int:
        """Number of frames of all clips."""
        return sum(map(len, self.abnormal.values()))


def find_labelled(
    tracks: Path | None,
    workspace: Workspace,
    masks: Path | Mapping[str, Mask],
    abnormal: int = 1,
    keep: Path | Mapping[str, Mask] | None = None,
    lengthen: bool = False,
) -> LabelledClips:
    """Bring tracks and masks together.

    Args:
        tracks: a folder of tracks files, each with a mask; or None for the clips of the workspace: those that were not
            extracted to train on, and those that have a mask.
        workspace: where they are if no folder is given.
        masks: a folder or file as `read_masks` reads it, or what it returns.
        abnormal: which value of the files in ``masks`` is an abnormal frame.
        keep: masks of the frames that count, 1 = counts, for the same clips; all count if left out.
        lengthen: take the frames that a mask has beyond its clip for frames without people. Files of poses do not tell
            how many such frames a clip ends with. Otherwise a difference of more than one frame is an error.

    Of masks in files, clips without one are left out, which is said; of masks at hand, they are an error.

    Raises:
        UsageError: lists clips without a mask, masks without a clip, and lengths that differ.
        FormatError: a mask cannot be read.
        CacheError: a tracks file cannot be read.
    """
    of_files = isinstance(masks, Path)
    if isinstance(masks, Path):
        masks = read_masks(masks, abnormal)
    if tracks is None:
        entries = workspace.entries()
        paths = {e.clip: workspace.tracks_path(e.clip) for e in entries if not e.train or e.clip in masks}
        where = f"{workspace.tracks} (clips that were extracted to train on count only if they have a mask)"
    else:
        files = sorted(tracks.glob("*.npz")) if tracks.is_dir() else [tracks]
        paths, where = {file.stem: file for file in files}, str(tracks)
    if not paths:
        raise UsageError(
            f"there are no clips to evaluate in {where}: expected tracks files <clip>.npz; make them with "
            "gepc-pipeline score or gepc-pipeline import"
        )
    left_out: tuple[str, ...] = ()
    if of_files and not paths.keys().isdisjoint(masks):
        left_out = tuple(sorted(set(paths) - set(masks)))
        paths = {clip: path for clip, path in paths.items() if clip in masks}
    if left_out:
        logger.warning("%d clips have no mask and are left out: %s", len(left_out), names_of(left_out))
    counts = {clip: load_tracks(path, features=False).frame_count for clip, path in paths.items()}
    if lengthen:
        for clip, frames in counts.items():
            counts[clip] = min(max(frames, len(masks.get(clip, ()))), frames + _MOST_PADDED)
    labels = match_masks(masks, counts, _TOLERANCE)
    if keep is None:
        kept = {clip: np.ones(frames, bool) for clip, frames in counts.items()}
    else:
        keep = read_masks(keep) if isinstance(keep, Path) else keep
        keep = {clip: mask for clip, mask in keep.items() if clip not in left_out}
        kept = match_masks(keep, counts, _TOLERANCE)
    if not any(mask.any() for mask in kept.values()):
        raise UsageError("no frame is left to evaluate: every frame of every clip is to be left out")
    return LabelledClips(dict(sorted(paths.items())), labels, kept, left_out)


def lengthened(tracks: ClipTracks, frames: int) -> ClipTracks:
    """The clip with at least ``frames`` frames, those at the end being without people."""
    more = frames - tracks.frame_count
    if more <= 0:
        return tracks
    start = tracks.time_s[-1] + 1 / tracks.fps if tracks.frame_count else 0.0
    return replace(tracks, time_s=np.concatenate([tracks.time_s, start + np.arange(more) / tracks.fps]))
