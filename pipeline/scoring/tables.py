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
from pipeline.scoring.chunks import CHUNK_FRAMES, TakesChunks, score_chunks
from pipeline.scoring.familiarity import Coverage, left_out, strange
from pipeline.scoring.scorer import Scorer
from pipeline.scoring.window_table import WINDOW_COLUMNS, write_windows
from pose_extract.files import complete_or_absent
from pose_extract.tracks.cache import TracksWriter
from pose_extract.tracks.records import ClipTracks

FRAME_COLUMNS = {
    "frame": "number of the frame, from 0; every frame has a row",
    "time_s": "when it is shown, seconds by the video's own timestamps, its first frame being 0",
    "score": "how unusual the most unusual person or thing in the frame is, smoothed over time; higher is more unusual",
    "percentile": "share of held-out normal frames that score lower, 0 to 100; empty where `judged` is 0",
    "alarm": "1 where the score is above the threshold, else 0",
    "people": "how many people are tracked in the frame",
    "track_id": "the most unusual of them; 0: nobody was scored",
    "judged": "0 where people are there, but too shortly or too little seen to be judged, else 1",
    "thing_id": "the thing that the score is about, 0 where it is about people (docs/things.md)",
}

PEOPLE_COLUMNS = {
    "frame": "number of the frame, from 0; every person in it has a row",
    "time_s": "when it is shown, in seconds",
    "track_id": "the person; the id lasts as long as the person is followed",
    "score": "how unusual the person is there; empty where they are seen too shortly to be scored",
    "percentile": "share of held-out normal people that score lower, 0 to 100; empty likewise",
    "x1": "left edge of the box, pixels of the extracted frame, origin at the top left",
    "y1": "top edge of the box",
    "x2": "right edge of the box",
    "y2": "bottom edge of the box",
}


def score_tracks(
    scorer: Scorer,
    tracks: ClipTracks,
    out: Path,
    people: Path | None = None,
    explain: Path | None = None,
    keep: Path | None = None,
    quiet: bool = False,
    also: TakesChunks | None = None,
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
        also: takes in the scores too.

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
        at_once = CHUNK_FRAMES if also is None else also.part_frames
        for begin, part, scores in score_chunks(scorer, tracks, at_once):
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
            if also is not None:
                also.add(begin, part, scores)
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
        left_out=tuple(left_out(tracks, coverage, whole.judged)),
    )


def _write_frames(table: Any, begin: int, frames: FrameScores) -> None:
    judged = frames.judged
    for i in range(len(frames)):
        percentile = f"{frames.percentile[i]:.3f}" if judged[i] else ""
        table.writerow(
            (begin + i, f"{frames.time_s[i]:.6f}", f"{frames.score[i]:.6f}", percentile,
             int(frames.alarm[i]), frames.people[i], frames.track_id[i], int(judged[i]),
             frames.thing_id[i])
        )  # fmt: skip


def _write_people(table: Any, begin: int, part: ClipTracks, scores: ClipScores) -> None:
    def number(value: float, digits: int) -> str:
        return "" if np.isnan(value) else f"{value:.{digits}f}"  # empty: too short a track for a window

    for i, frame in enumerate(part.frame):
        table.writerow(
            (begin + frame, f"{part.time_s[frame]:.6f}", part.track[i], number(scores.row_score[i], 6),
             number(scores.row_percentile[i], 3), *(f"{v:.1f}" for v in part.boxes[i]))
        )  # fmt: skip
