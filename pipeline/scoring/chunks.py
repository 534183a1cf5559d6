"""Score a clip chunk by chunk, so that memory does not grow with its length."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from anomaly.scoring.scores import ClipScores, WindowScores, context_s, score_clip
from anomaly.settings import ScoringSettings
from pipeline.scoring.scorer import Scorer, logger
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames

_CHUNK_FRAMES = 5000  # scored at once, so that memory does not grow with the length of the clip


def score_chunks(
    scorer: Scorer, tracks: ClipTracks, chunk_frames: int = _CHUNK_FRAMES
) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
    """Score a clip chunk by chunk, each with the context that makes its scores those of the whole.

    Yields:
        First frame of the chunk, its cleaned tracks, its scores. Frames in them count from the chunk's first.
    """
    for begin, [(chunk, scores)] in score_chunks_in(scorer, tracks, [scorer.settings.scoring], chunk_frames):
        yield begin, chunk, scores


def score_chunks_in(
    scorer: Scorer, tracks: ClipTracks, scorings: Sequence[ScoringSettings], chunk_frames: int = _CHUNK_FRAMES
) -> Iterator[tuple[int, list[tuple[ClipTracks, ClipScores]]]]:
    """Score a clip chunk by chunk in several ways, in one pass through the network.

    Args:
        scorer: the model; its settings of scoring play no part.
        tracks: the clip, as extracted.
        scorings: how; all ``by`` the same.
        chunk_frames: frames of a chunk.

    Yields:
        First frame of the chunk, and for each way what `score_chunks` yields.
    """
    model, cleaning = scorer.model, scorer.settings.cleaning
    count = tracks.frame_count
    camera = model.settings.densities.camera_of(tracks.clip)
    if model.densities is not None and not model.densities.knows(camera):
        logger.warning(
            "clip %s: training has seen nothing, or too little, of camera %r: all cameras tell what is usual there",
            tracks.clip,
            camera,
        )
    context = max(context_s(model.settings, scoring, tracks.fps) for scoring in scorings)
    if math.isinf(context):
        context, chunk_frames = 0.0, max(count, 1)
    margin = int(np.ceil(context * tracks.fps)) + 1
    outer = margin + cleaning.context_frames(tracks.fps)
    for begin in range(0, count, chunk_frames):
        end = min(begin + chunk_frames, count)
        low, high = max(0, begin - margin), min(count, end + margin)
        base = max(0, begin - outer)
        cleaned = clean_tracks(cut_frames(tracks, base, min(count, end + outer)), cleaning)
        chunk = cut_frames(cleaned, low - base, high - base)
        scored: list[ClipScores] = []
        for scoring in scorings:
            known = scored[0].windows if scored else None
            scored.append(score_clip(model, chunk, scoring, scorer.rate_for(scoring), known))
        yield begin, [_without_context(chunk, scores, begin - low, end - low) for scores in scored]


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
