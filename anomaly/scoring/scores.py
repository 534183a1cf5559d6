"""Score people and frames of a clip from its windows' anomalies (paper, section 4.1)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from anomaly.normality.surroundings import Surroundings
from anomaly.scoring.calibration import (
    percentile,
)
from anomaly.scoring.frame_scores import NOBODY, frame_scores, nearest_frame, row_scores
from anomaly.scoring.model import Model
from anomaly.scoring.smoothing import REACH_SIGMAS, smooth
from anomaly.scoring.surroundings import combined
from anomaly.scoring.threshold import alarm_threshold, reference_of, smoothing_of
from anomaly.settings import ModelSettings
from anomaly.settings.scoring import CAUSES, STAYS, THINGS, ScoringSettings
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int, dict[str, Any]], None]  # (stage, done, total, facts)
Counting = Callable[[NDArray[np.floating], NDArray[np.floating], tuple[int, int]], NDArray[np.bool_]]
"""(boxes (M, 4), percentiles (M,), the frame's size) -> (M,) whether what is there counts."""


@dataclass(frozen=True)
class FrameScores:
    """Scores of a clip's F frames, those without people too.

    Attributes:
        frame: (F,) number of the frame, from 0.
        time_s: (F,) its time.
        score: (F,) anomaly, higher is more abnormal; the calibration's floor, smoothed, where nobody was scored.
        percentile: (F,) share of held-out normal frames that score lower, 0 to 100.
        alarm: (F,) bool, whether the score is above the threshold of the stated false-alarm rate.
        people: (F,) people in the frame.
        track_id: (F,) the person with the highest anomaly in that frame, 0 where nobody was scored.
        cause: (F,) what the score is about, by its place in `CAUSES`.
        thing_id: (F,) the thing that it is about, 0 where it is about none.
    """

    frame: NDArray[np.int32]
    time_s: NDArray[np.float64]
    score: NDArray[np.float64]
    percentile: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    people: NDArray[np.int32]
    track_id: NDArray[np.int32]
    cause: NDArray[np.int8]
    thing_id: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<FrameScores: {len(self)} frames, {int(np.sum(self.alarm))} with an alarm>"

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(F,) False where people are in the frame and none of them could be scored: their score says nothing.

        They are seen too shortly or too little for a window. The score there is the floor's, smoothed with what is
        around, as in the published protocols.
        """
        return (self.people == 0) | (self.track_id != NOBODY) | (self.cause > 0)

    @classmethod
    def concatenate(cls, chunks: Iterable[FrameScores]) -> FrameScores:
        """A clip's scores from those of its chunks, in order; its frames are numbered anew from 0."""
        every = [_NO_FRAMES, *chunks]
        joined = {f.name: np.concatenate([getattr(chunk, f.name) for chunk in every]) for f in fields(cls)}
        return cls(**joined | {"frame": np.arange(len(joined["frame"]), dtype=np.int32)})


_NUMBERS, _IDS = np.zeros(0), np.zeros(0, np.int32)
_NO_FRAMES = FrameScores(
    _IDS, _NUMBERS, _NUMBERS, _NUMBERS, np.zeros(0, bool), _IDS, _IDS, np.zeros(0, np.int8), _IDS
)


@dataclass(frozen=True)
class WindowScores:
    """Scores of a clip's N windows.

    Attributes:
        windows: what was scored.
        score: (N,) anomaly.
        percentile: (N,) share of held-out normal windows that score lower, 0 to 100.
        first_frame: (N,) frame of the clip that is nearest to the window's first one.
        last_frame: (N,) the same of its last one.
        parts: (P, N) scores of "sum" by its parts, each on a scale of its own; P is 0 of other scores.
    """

    windows: Windows
    score: NDArray[np.float64]
    percentile: NDArray[np.float64]
    first_frame: NDArray[np.int64]
    last_frame: NDArray[np.int64]
    parts: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True)
class ClipScores:
    """Scores of one clip.

    Attributes:
        clip: its name.
        frames: scores of its frames.
        row_score: (M,) anomaly of each row of the clip's tracks, a person in a frame; not smoothed. NaN where no window
            covers the person there, a track being shorter than a window.
        row_percentile: (M,) share of held-out normal people in single frames that score lower, 0 to 100, or NaN.
        windows: scores of its windows, which the others are made of.
        raw: (F,) scores of its frames before they are smoothed.
        around: what is around the people in its frames; None where that is not judged.
    """

    clip: str
    frames: FrameScores
    row_score: NDArray[np.float64]
    row_percentile: NDArray[np.float64]
    windows: WindowScores
    raw: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    around: Surroundings | None = None


@dataclass(frozen=True)
class Earlier:
    """The frames before those that are scored, for smoothing that goes on from them.

    Attributes:
        time_s: (F,) their times.
        raw: (F,) their scores before they are smoothed.
    """

    time_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    raw: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.raw)

    def then(self, scores: ClipScores, since_s: float) -> Earlier:
        """The same with the frames that came next, without those before ``since_s``."""
        time_s, raw = np.append(self.time_s, scores.frames.time_s), np.append(self.raw, scores.raw)
        kept = np.searchsorted(time_s, since_s)
        return Earlier(time_s[kept:], raw[kept:])


def context_s(settings: ModelSettings, scoring: ScoringSettings | None = None, fps: float = 24.0) -> float:
    """Seconds around a part of a clip that its scores depend on.

    Scores of [a - context, b + context], of which [a, b) is kept, equal those of the whole clip there.

    Args:
        settings: the model's.
        scoring: how it scores; the model's own settings if left out.
        fps: mean frame rate of the clip.

    Returns:
        Seconds; infinity for models of whole clips, which cannot be scored in parts.
    """
    if settings.windows.extent == "clip":
        return math.inf
    scoring = scoring or settings.scoring
    # A grid frame is made of the clip's frames on both sides, across a hole of as many frames as may be missing.
    slack = 2 / fps + (settings.windows.max_missing + 3) / settings.windows.fps
    return settings.windows.frames / settings.windows.fps + REACH_SIGMAS * scoring.smoothing_s + slack


def score_clip(
    model: Model,
    tracks: ClipTracks,
    settings: ScoringSettings | None = None,
    false_alarm_rate: float | None = None,
    known: WindowScores | None = None,
    earlier: Earlier | None = None,
    counting: Counting | None = None,
    around: Surroundings | None = None,
) -> ClipScores:
    """Score every person and frame of a clip.

    Args:
        model: a trained model.
        tracks: the clip's people. `time_s` may start later than 0, for a part of a clip.
        settings: how to score; the model's own settings if left out.
        false_alarm_rate: share of normal frames that may raise an alarm; see `alarm_threshold` if left out.
        known: the windows' scores, if the same clip has been scored ``by`` the same before: they need no network again.
        earlier: the frames before these, of which the clip goes on.
        around: what is around the people, if that is known and counts; of "sum" made from the tracks if left out.
        counting: who counts; the others are as if they were not scored. Everybody if left out.

    Raises:
        ModelError: if the tracks' skeleton is not the model's, they lack the patches that it needs, or the model has
            not been calibrated.
    """
    settings = settings or model.settings.scoring
    mode, by, calibration = settings.frames, settings.by, model.fitted_calibration
    if known is not None:
        windows, anomaly, parts = known.windows, known.score, known.parts
    else:
        windows = model.windows_of(tracks)
        anomaly, parts = model.score_windows(windows, by)
    rows = row_scores(windows, anomaly, tracks, mode, model.settings.windows.score_stride)
    percentiles = percentile(calibration.row_reference(mode, by), rows)
    if counting is not None:
        counts = counting(tracks.boxes, percentiles, tracks.frame_size)
        rows, percentiles = np.where(counts, rows, np.nan), np.where(counts, percentiles, np.nan)
    raw, worst = frame_scores(rows, tracks)
    cause, thing = np.zeros(len(raw), np.int8), np.zeros(len(raw), np.int32)
    if around is None and by == "sum":
        around = model.surroundings_of(tracks)
    if around is not None:
        raw, decides = combined(raw, around.p, calibration.frames_alone(mode))
        cause, thing, worst = _causes(around, decides, worst)
    raw = calibration.shape(raw, mode, settings.tail, by)
    before = earlier or Earlier()
    score = smooth(
        np.append(before.raw, raw),
        np.append(before.time_s, tracks.time_s),
        smoothing_of(model, settings),
        causal=mode == "online",
    )[len(before) :]
    reference = reference_of(model, settings)
    frames = FrameScores(
        frame=np.arange(tracks.frame_count, dtype=np.int32),
        time_s=tracks.time_s,
        score=score,
        percentile=percentile(reference, score),
        alarm=score > alarm_threshold(model, settings, false_alarm_rate),
        people=np.bincount(tracks.frame, minlength=tracks.frame_count).astype(np.int32),
        track_id=worst,
        cause=cause,
        thing_id=thing,
    )
    return ClipScores(
        tracks.clip,
        frames,
        rows,
        percentiles,
        WindowScores(
            windows,
            anomaly,
            percentile(calibration.row_reference("online", by), anomaly),  # where a person's is a window's
            nearest_frame(tracks.time_s, windows.start_s),
            nearest_frame(tracks.time_s, windows.end_s),
            parts,
        ),
        raw,
        around,
    )


def _causes(
    around: Surroundings, decides: NDArray[np.bool_], worst: NDArray[np.int32]
) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int32]]:
    """What each frame's score is about, the thing, and the person, where surroundings decide in some of them."""
    cause = np.where(decides, around.part + 1, 0).astype(np.int8)
    thing = np.where(cause == CAUSES.index(THINGS), around.who, 0).astype(np.int32)
    return cause, thing, np.where(cause == CAUSES.index(STAYS), around.who, worst).astype(np.int32)


def clip_score(model: Model, tracks: ClipTracks, settings: ScoringSettings | None = None) -> float:
    """The anomaly of a clip: that of its most abnormal person (section 4.2), not smoothed; the floor without people.

    Raises:
        ModelError: as `score_clip` does.
    """
    scores = score_clip(model, tracks, settings).row_score
    if not np.isnan(scores).all():
        return float(np.nanmax(scores))
    settings = settings or model.settings.scoring
    return model.fitted_calibration.floor(settings.frames, settings.by)
