"""Write a clip's scores as CSV tables: a row a frame, a row a person."""

from __future__ import annotations

import csv
import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.scores import ClipScores, FrameScores
from pipeline.events.events import EventFinder
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.plot import PERCENTILES
from pipeline.progress import stage
from pipeline.scoring.chunks import score_chunks
from pipeline.scoring.familiarity import Coverage, strange
from pipeline.scoring.scorer import Scorer
from pipeline.scoring.window_table import WINDOW_COLUMNS, write_windows
from pose_extract.files import complete_or_absent
from pose_extract.tracks.cache import TracksWriter
from pose_extract.tracks.records import ClipTracks

FRAME_COLUMNS = ("frame", "time_s", "score", "percentile", "alarm", "people", "track_id", "judged")

PEOPLE_COLUMNS = ("frame", "time_s", "track_id", "score", "percentile", "x1", "y1", "x2", "y2")


def score_tracks(
    scorer: Scorer,
    tracks: ClipTracks,
    out: Path,
    people: Path | None = None,
    explain: Path | None = None,
    keep: Path | None = None,
    quiet: bool = False,
) -> ScoredTimeline:
    """Score a clip and write its CSVs; a file appears when it is complete.

    Args:
        scorer: the model.
        tracks: the clip, as extracted (cleaning happens here).
        out: CSV with a row for every frame, of `FRAME_COLUMNS`; no percentile where nobody there could be judged.
        people: CSV with a row for every person in every frame, with the box in pixels.
        explain: CSV with a row for every window of every person: what its score rests on.
        keep: tracks file to write the cleaned tracks to, for the overlay.
        quiet: no progress.

    Returns:
        The clip's scores in float32: some 40 bytes a frame, so that a clip of any length is no matter.
    """
    curve: list[FrameScores] = []
    row_percentiles: list[NDArray[np.float32]] = []
    coverage = Coverage()
    finder, events = EventFinder(tracks.fps, scorer.settings.events), []
    with ExitStack() as stack:
        frame_file = stack.enter_context(complete_or_absent(out))
        frame_csv = csv.writer(frame_file)
        frame_csv.writerow(FRAME_COLUMNS)
        people_csv = windows_csv = cleaned = None
        if people is not None:
            people_csv = csv.writer(stack.enter_context(complete_or_absent(people)))
            people_csv.writerow(PEOPLE_COLUMNS)
        if explain is not None:
            windows_csv = csv.writer(stack.enter_context(complete_or_absent(explain)))
            windows_csv.writerow(WINDOW_COLUMNS)
        if keep is not None:
            cleaned = stack.enter_context(TracksWriter(keep))
        progress = stack.enter_context(stage(f"score {tracks.clip}", "frames", tracks.frame_count, quiet))
        for begin, part, scores in score_chunks(scorer, tracks):
            frames = scores.frames
            _write_frames(frame_csv, begin, frames)
            if people_csv is not None:
                _write_people(people_csv, begin, part, scores)
            if windows_csv is not None:
                write_windows(windows_csv, scorer.model, begin, scores.windows)
            if cleaned is not None:
                cleaned.add_part(dataclasses.replace(part, features=None), begin)
                row_percentiles.append(scores.row_percentile.astype(np.float32))
            curve.append(frames)
            coverage.add(scores.row_percentile)
            events += finder.add(begin, part, scores)
            progress.advance(len(frames))
        if cleaned is not None:
            cleaned.finish_like(tracks)
    whole = FrameScores.concatenate(curve)
    return ScoredTimeline(
        time_s=whole.time_s,
        score=whole.score.astype(np.float32),
        percentile=whole.percentile.astype(np.float32),
        alarm=whole.alarm,
        judged=whole.judged,
        threshold=scorer.alarm_above(),
        threshold_percentile=scorer.alarm_percentile,
        score_at=scorer.score_at(*(p for p in PERCENTILES if (1 - p / 100) * scorer.normal_frames >= 1)),
        row_percentile=np.concatenate([np.zeros(0, np.float32), *row_percentiles]),
        events=(*events, *finder.finish()),
        remarks=(*strange(tracks, scorer.seen, scorer.model.settings.windows), *coverage.remarks()),
    )


def _write_frames(table: Any, begin: int, frames: FrameScores) -> None:
    judged = frames.judged
    for i in range(len(frames)):
        percentile = f"{frames.percentile[i]:.3f}" if judged[i] else ""
        table.writerow(
            (begin + i, f"{frames.time_s[i]:.6f}", f"{frames.score[i]:.6f}", percentile,
             int(frames.alarm[i]), frames.people[i], frames.track_id[i], int(judged[i]))
        )  # fmt: skip


def _write_people(table: Any, begin: int, part: ClipTracks, scores: ClipScores) -> None:
    def number(value: float, digits: int) -> str:
        return "" if np.isnan(value) else f"{value:.{digits}f}"  # empty: too short a track for a window

    for i, frame in enumerate(part.frame):
        table.writerow(
            (begin + frame, f"{part.time_s[frame]:.6f}", part.track[i], number(scores.row_score[i], 6),
             number(scores.row_percentile[i], 3), *(f"{v:.1f}" for v in part.boxes[i]))
        )  # fmt: skip
