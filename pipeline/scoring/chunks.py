"""Score a clip chunk by chunk, so that memory does not grow with its length."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from anomaly.scoring.scores import ClipScores, WindowScores, context_s, score_clip
from pipeline.scoring.online import OnlineScorer
from pipeline.scoring.scorer import Scorer, logger
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames

CHUNK_FRAMES = 5000  # scored at once, so that memory does not grow with the length of the clip


class TakesChunks(Protocol):
    """Something that is made of a clip's scores beside the tables, while they are there.

    Attributes:
        part_frames: how many frames it wants at once.
    """

    part_frames: int

    def add(self, begin: int, part: ClipTracks, scores: ClipScores) -> None:
        """Take in what `score_chunks` yields."""


def score_chunks(
    scorer: Scorer, tracks: ClipTracks, chunk_frames: int = CHUNK_FRAMES
) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
    """Score a clip chunk by chunk.

    "Backtracked" chunks have the context that makes their scores those of the whole clip, "online" ones are the blocks
    of `OnlineScorer`.

    Args:
        scorer: the model, and how to score.
        tracks: the clip, as extracted.
        chunk_frames: frames that are looked at at once.

    Yields:
        First frame of the chunk, its cleaned tracks, its scores. Frames in them count from the chunk's first.
    """
    model = scorer.model
    camera = model.settings.densities.camera_of(tracks.clip)
    if model.densities is not None and not model.densities.knows(camera):
        logger.warning(
            "clip %s: training has seen nothing, or too little, of camera %r: all cameras tell what is usual there",
            tracks.clip,
            camera,
        )
    if scorer.settings.scoring.frames == "online" and model.settings.windows.extent != "clip":
        online = OnlineScorer(scorer)
        for begin in range(0, tracks.frame_count, chunk_frames):
            yield from online.add(cut_frames(tracks, begin, min(begin + chunk_frames, tracks.frame_count)))
        yield from online.finish()
    else:
        yield from _with_context(scorer, tracks, chunk_frames)


def _with_context(
    scorer: Scorer, tracks: ClipTracks, chunk_frames: int
) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
    model, scoring, cleaning = scorer.model, scorer.settings.scoring, scorer.settings.cleaning
    count = tracks.frame_count
    context = context_s(model.settings, scoring, tracks.fps)
    if math.isinf(context):
        context, chunk_frames = 0.0, max(count, 1)
    outer = cleaning.context_frames(tracks.fps)
    for begin in range(0, count, chunk_frames):
        end = min(begin + chunk_frames, count)
        low, high = _with_seconds_around(tracks, begin, end, context)
        base = max(0, low - outer)
        cleaned = clean_tracks(cut_frames(tracks, base, min(count, high + outer)), cleaning)
        chunk = cut_frames(cleaned, low - base, high - base)
        scores = score_clip(model, chunk, scoring, scorer.rate_for(scoring))
        yield begin, *_without_context(chunk, scores, begin - low, end - low)


def _with_seconds_around(tracks: ClipTracks, begin: int, end: int, seconds: float) -> tuple[int, int]:
    """Frames begin..end-1 with so many seconds before and after them, at the clip's rate and at that of the place."""
    time_s, margin = tracks.time_s, int(np.ceil(seconds * tracks.fps)) + 1
    since, until = np.searchsorted(time_s, [time_s[begin] - seconds, time_s[end - 1] + seconds]).tolist()
    low, high = (
        min(begin - margin, since - 2),
        max(end + margin, until + 2),
    )  # two frames make one of the grid
    return max(0, low), min(tracks.frame_count, high)


def _without_context(
    chunk: ClipTracks, scores: ClipScores, first: int, stop: int
) -> tuple[ClipTracks, ClipScores]:
    rows = slice(*np.searchsorted(chunk.frame, [first, stop]))
    frames = {
        f.name: getattr(scores.frames, f.name)[first:stop]
        for f in dataclasses.fields(scores.frames)
        if f.name != "frame"
    }
    kept = dataclasses.replace(scores.frames, frame=np.arange(stop - first, dtype=np.int32), **frames)
    return cut_frames(chunk, first, stop), dataclasses.replace(
        scores,
        frames=kept,
        row_score=scores.row_score[rows],
        row_percentile=scores.row_percentile[rows],
        raw=scores.raw[first:stop],
        around=None if scores.around is None else scores.around.cut(first, stop),
        windows=_windows_from(scores.windows, first, stop),
    )


def _windows_from(scores: WindowScores, first: int, stop: int) -> WindowScores:
    """Those that begin in the frames first..stop-1, so that a clip's chunks have each window once."""
    inside = np.flatnonzero((scores.first_frame >= first) & (scores.first_frame < stop))
    return WindowScores(
        scores.windows.pick(inside),
        scores.score[inside],
        scores.percentile[inside],
        scores.first_frame[inside] - first,
        scores.last_frame[inside] - first,
        scores.parts[:, inside],
    )
