"""Choose the normal video that is held out of training to calibrate the scores."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pose_extract.errors import TrainingError
from pose_extract.tracks.records import ClipTracks, cut_frames

_CLIPS_FOR_WHOLE = 8  # with fewer clips, a part of each one is held out instead of whole clips


def split_held_out(
    clips: Iterable[ClipTracks], share: float, rng: np.random.Generator, whole: bool = False
) -> tuple[list[ClipTracks], list[ClipTracks]]:
    """Normal clips -> (to train on, to calibrate with); no frame is in both.

    With 8 clips or more, or where ``whole`` asks for it, whole clips are held out, in random order until they have
    ``share`` of the frames. With fewer, the last part of each clip.

    Raises:
        TrainingError: if there is no clip, or only one and ``whole``.
    """
    clips = list(clips)
    if not clips:
        raise TrainingError("no clip to train on: extract the tracks of at least one normal video first")
    if whole and len(clips) < 2:
        raise TrainingError(
            "a model of whole clips needs some to train on and others to calibrate with, got 1 clip: extract more"
        )
    if not holds_out_whole_clips(len(clips)) and not whole:
        cuts = [round((1 - share) * clip.frame_count) for clip in clips]
        return (
            [cut_frames(clip, 0, cut) for clip, cut in zip(clips, cuts, strict=True)],
            [cut_frames(clip, cut, clip.frame_count) for clip, cut in zip(clips, cuts, strict=True)],
        )
    wanted = share * sum(clip.frame_count for clip in clips)
    held: set[int] = set()
    for i in rng.permutation(len(clips)):
        if sum(clips[j].frame_count for j in held) >= wanted or len(held) == len(clips) - 1:
            break
        held.add(int(i))
    return (
        [clip for i, clip in enumerate(clips) if i not in held],
        [clip for i, clip in enumerate(clips) if i in held],
    )


def holds_out_whole_clips(clips: int) -> bool:
    """Whether so many clips are set apart as whole ones; with fewer, a part of each is."""
    return clips >= _CLIPS_FOR_WHOLE
