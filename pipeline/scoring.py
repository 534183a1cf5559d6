"""A video, or its cached tracks, to scores: the frame CSV, the people CSV, the plot and the overlay."""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import load_bundle, read_card
from anomaly.bundle_files import ENCODER
from anomaly.calibration import cut_frames
from anomaly.model import Model
from anomaly.scoring import (
    ClipScores,
    FrameScores,
    ScoringSettings,
    WindowScores,
    alarm_percentile,
    alarm_threshold,
    context_s,
    score_at,
    score_clip,
)
from pipeline.events import Event, EventFinder
from pipeline.explanations import WINDOW_COLUMNS, write_windows
from pipeline.patches import Kind, has_patches, load_with_patches
from pipeline.progress import stage
from pipeline.settings import Settings, override
from pose_extract.cache import TracksWriter
from pose_extract.checking import build
from pose_extract.cleaning import clean_tracks
from pose_extract.devices import check_device, pick_device
from pose_extract.errors import ConfigError, ModelError, UsageError
from pose_extract.files import complete_or_absent
from pose_extract.records import ClipTracks

logger = logging.getLogger(__name__)

FRAME_COLUMNS = ("frame", "time_s", "score", "percentile", "alarm", "people", "track_id")
PEOPLE_COLUMNS = ("frame", "time_s", "track_id", "score", "percentile", "x1", "y1", "x2", "y2")
_CHUNK_FRAMES = 5000  # scored at once, so that memory does not grow with the length of the clip


@dataclass(frozen=True)
class Scorer:
    """A trained model with the settings that its training clips were extracted and cleaned with.

    Attributes:
        model: the bundle.
        settings: of video, pose, tracking and cleaning, as in training; of scoring, calibration and events, as asked
            for.
        by_rate: alarms follow the false alarm rate of the settings even if marks have set a threshold.
        patches: the patch features that the model needs; None: none.
        folder: the bundle; None where there is none.
    """

    model: Model
    settings: Settings
    by_rate: bool = False
    patches: Kind | None = None
    folder: Path | None = None

    def load(self, path: Path, videos: str | None = None, quiet: bool = True) -> ClipTracks:
        """A tracks file with the features that the model needs.

        Args:
            path: the tracks file.
            videos: the clip's video: features of crops that are not there are made from it. None: they are not.
            quiet: no progress.

        Raises:
            ModelError: there are none of the right kind; the message names the command that makes them.
        """
        needed, folder = self.patches, self.folder
        crops = needed is not None and needed["source"] == "crops" and not has_patches(path, needed)
        if needed is not None and folder is not None and videos is not None and crops:
            _need_torch("features of crops need it to be made")
            from pipeline.patch_making import prepare

            prepare(path, needed, folder, videos, quiet)
        return load_with_patches(path, self.patches, self.folder)

    def alarm_above(self, way: ScoringSettings | None = None) -> float:
        """The score above which a frame raises the alarm, ``way`` being how scores are made (the settings' way)."""
        return alarm_threshold(self.model, way or self.settings.scoring, self.rate_for(way))

    def rate_for(self, way: ScoringSettings | None = None) -> float | None:
        """The false alarm rate that alarms follow; None where they follow the threshold that marks have set."""
        marked, way = self.model.marked, way or self.settings.scoring
        if marked is not None and marked.fits(way) and not self.by_rate:
            return None
        return self.settings.calibration.false_alarm_rate

    @property
    def alarm_percentile(self) -> float:
        """The percentile, 0 to 100, above which a frame raises the alarm."""
        rate = self.rate_for()
        return alarm_percentile(self.model, self.alarm_above()) if rate is None else 100 * (1 - rate)

    def score_at(self, *percentiles: float) -> dict[float, float]:
        """Percentile, 0 to 100, among held-out normal frames -> the frame score there."""
        scores = score_at(self.model, np.array(percentiles), self.settings.scoring)
        return dict(zip(percentiles, scores.tolist(), strict=True))


# What may differ from training without making the model's scores meaningless.
_CHANGEABLE = (
    "video",
    "pose",
    "blazepose",
    "openmmlab",
    "tracking",
    "cleaning",
    "scoring",
    "calibration",
    "events",
)


def load_scorer(folder: Path, overrides: Sequence[str] = (), device: str = "cpu") -> Scorer:
    """Open a model bundle for scoring.

    Args:
        folder: the bundle.
        overrides: ``section.key=value`` texts, for instance ``scoring.smoothing_s=0.5``.
        device: cpu, cuda, cuda:N, mps or auto: where the model runs, and the pose networks if they are OpenMMLab's.

    Raises:
        ModelError: there is no model, or it is damaged or from another version.
        ModelError: the model cannot reconstruct, which the settings ask for.
        ConfigError: an override is wrong, or would change what the model has learned.
        UsageError: there is no such device.
    """
    for text in overrides:
        section = text.partition(".")[0]
        if section not in _CHANGEABLE:
            raise ConfigError(
                f"--set {text}: a trained model can only be scored with other {', '.join(_CHANGEABLE)}"
            )
    model = load_bundle(folder, check_device(device) if (folder / ENCODER).is_file() else _device_for(device))
    card = read_card(folder)
    sections = dict(card.get("tracks") or {})
    overrides = [
        f"openmmlab.device={device}",
        *overrides,
    ]  # not the one that the training clips were extracted on
    sections["scoring"] = dataclasses.asdict(model.settings.scoring)
    sections["calibration"] = dataclasses.asdict(model.settings.calibration)
    settings = build(Settings, override(sections, overrides))
    if settings.scoring.parts != model.settings.scoring.parts:
        raise ConfigError(
            f"scoring.parts: the model in {folder} was trained to add up {', '.join(model.settings.scoring.parts)}; "
            "train again to change that"
        )
    if not model.can_reconstruct and settings.scoring.needs_decoder:
        raise ModelError(
            f"scoring.by {settings.scoring.by}: the exported model in {folder} cannot reconstruct; use clustering, or "
            "the trained model"
        )
    asked = override({}, overrides).get("calibration")
    by_rate = isinstance(asked, dict) and "false_alarm_rate" in asked
    scorer = Scorer(model, settings, by_rate, card.get("patches"), folder)
    if model.marked is not None and not scorer.by_rate and not model.marked.fits(settings.scoring):
        logger.warning(
            "the alarm threshold that marks have set does not count: it is for scores made with other settings "
            "(scoring.*). Alarms follow calibration.false_alarm_rate"
        )
    return scorer


def _device_for(name: str) -> str:
    """`pick_device` for the trained model; without torch, the way to do without."""
    _need_torch(
        "to score without torch, export the model on another machine (gepc-pipeline onnx --out DIR) and score with "
        "--model DIR"
    )
    return pick_device(name)


def _need_torch(otherwise: str) -> None:
    """Raise UsageError unless torch is there."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this needs torch, which is not installed: pip install torch; {otherwise}"
        ) from error


@dataclass(frozen=True)
class Curve:
    """A clip's frame scores, thin enough to keep for a clip of any length: some 20 bytes a frame.

    Attributes:
        time_s: (F,) seconds.
        score: (F,) float32.
        percentile: (F,) 0..100, float32.
        alarm: (F,) bool.
        row_percentile: (M,) 0..100, float32, of each row of the cleaned tracks, NaN where not scored; empty unless
            the cleaned tracks are kept.
        events: the stretches of alarms.
    """

    time_s: NDArray[np.float64]
    score: NDArray[np.float32]
    percentile: NDArray[np.float32]
    alarm: NDArray[np.bool_]
    row_percentile: NDArray[np.float32]
    events: tuple[Event, ...] = ()


def score_parts(
    scorer: Scorer, tracks: ClipTracks, chunk_frames: int = _CHUNK_FRAMES
) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
    """Score a clip part by part, each with the context that makes its scores those of the whole.

    Yields:
        First frame of the part, its cleaned tracks, its scores. Frames in them count from the part's first.
    """
    for begin, [(part, scores)] in score_parts_in(scorer, tracks, [scorer.settings.scoring], chunk_frames):
        yield begin, part, scores


def score_parts_in(
    scorer: Scorer, tracks: ClipTracks, ways: Sequence[ScoringSettings], chunk_frames: int = _CHUNK_FRAMES
) -> Iterator[tuple[int, list[tuple[ClipTracks, ClipScores]]]]:
    """Score a clip part by part in several ways, for one pass through the network.

    Args:
        scorer: the model; its settings of scoring play no part.
        tracks: the clip, as extracted.
        ways: how; all ``by`` the same.
        chunk_frames: frames of a part.

    Yields:
        First frame of the part, and for each way what `score_parts` yields.
    """
    model, cleaning = scorer.model, scorer.settings.cleaning
    count = tracks.frame_count
    camera = model.settings.densities.camera_of(tracks.clip)
    if model.densities is not None and not model.densities.knows(camera):
        logger.warning(
            "clip %s: training has seen nothing, or too little, of camera %r: where its people are does not count",
            tracks.clip,
            camera,
        )
    context = max(context_s(model.settings, way, tracks.fps) for way in ways)
    if math.isinf(context):
        context, chunk_frames = 0.0, max(count, 1)
    margin = int(np.ceil(context * tracks.fps)) + 1
    outer = margin + cleaning.context_frames(tracks.fps)
    for begin in range(0, count, chunk_frames):
        end = min(begin + chunk_frames, count)
        low, high = max(0, begin - margin), min(count, end + margin)
        base = max(0, begin - outer)
        cleaned = clean_tracks(cut_frames(tracks, base, min(count, end + outer)), cleaning)
        part = cut_frames(cleaned, low - base, high - base)
        scored: list[ClipScores] = []
        for way in ways:
            known = scored[0].windows if scored else None
            scored.append(score_clip(model, part, way, scorer.rate_for(way), known))
        yield begin, [_middle(part, scores, begin - low, end - low) for scores in scored]


def _middle(part: ClipTracks, scores: ClipScores, first: int, stop: int) -> tuple[ClipTracks, ClipScores]:
    rows = slice(*np.searchsorted(part.frame, [first, stop]))
    frames = {
        f.name: getattr(scores.frames, f.name)[first:stop]
        for f in dataclasses.fields(scores.frames)
        if f.name != "frame"
    }
    kept = dataclasses.replace(scores.frames, frame=np.arange(stop - first, dtype=np.int32), **frames)
    return cut_frames(part, first, stop), dataclasses.replace(
        scores,
        frames=kept,
        row_score=scores.row_score[rows],
        row_percentile=scores.row_percentile[rows],
        windows=_windows_from(scores.windows, first, stop),
    )


def _windows_from(scores: WindowScores, first: int, stop: int) -> WindowScores:
    """Those that begin in the frames first..stop-1, so that a clip's parts have each window once."""
    inside = np.flatnonzero((scores.first_frame >= first) & (scores.first_frame < stop))
    return WindowScores(
        scores.windows.pick(inside),
        scores.score[inside],
        scores.percentile[inside],
        scores.first_frame[inside] - first,
        scores.last_frame[inside] - first,
        scores.parts[:, inside],
    )


def score_tracks(
    scorer: Scorer,
    tracks: ClipTracks,
    out: Path,
    people: Path | None = None,
    explain: Path | None = None,
    keep: Path | None = None,
    quiet: bool = False,
) -> Curve:
    """Score a clip and write its CSVs; a file appears when it is complete.

    Args:
        scorer: the model.
        tracks: the clip, as extracted (cleaning happens here).
        out: CSV with a row for every frame: frame, time_s, score, percentile, alarm, people, track_id.
        people: CSV with a row for every person in every frame, with the box in pixels.
        explain: CSV with a row for every window of every person: what its score rests on.
        keep: tracks file to write the cleaned tracks to, for the overlay.
        quiet: no progress.
    """
    curves, row_percentiles = [], []
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
        for begin, part, scores in score_parts(scorer, tracks):
            frames = scores.frames
            _write_frames(frame_csv, begin, frames)
            if people_csv is not None:
                _write_people(people_csv, begin, part, scores)
            if windows_csv is not None:
                write_windows(windows_csv, scorer.model, begin, scores.windows)
            if cleaned is not None:
                cleaned.add_part(dataclasses.replace(part, features=None), begin)
                row_percentiles.append(scores.row_percentile.astype(np.float32))
            curves.append(
                Curve(
                    frames.time_s,
                    frames.score.astype(np.float32),
                    frames.percentile.astype(np.float32),
                    frames.alarm,
                    np.zeros(0, np.float32),
                )
            )
            events += finder.add(begin, part, scores)
            progress.advance(len(frames))
        if cleaned is not None:
            cleaned.finish_like(tracks)
    return Curve(
        np.concatenate([c.time_s for c in curves]),
        np.concatenate([c.score for c in curves]),
        np.concatenate([c.percentile for c in curves]),
        np.concatenate([c.alarm for c in curves]),
        np.concatenate([np.zeros(0, np.float32), *row_percentiles]),
        (*events, *finder.finish()),
    )


def _write_frames(table: Any, begin: int, frames: FrameScores) -> None:
    for i in range(len(frames)):
        table.writerow(
            (begin + i, f"{frames.time_s[i]:.6f}", f"{frames.score[i]:.6f}", f"{frames.percentile[i]:.3f}",
             int(frames.alarm[i]), frames.people[i], frames.track_id[i])
        )  # fmt: skip


def _write_people(table: Any, begin: int, part: ClipTracks, scores: ClipScores) -> None:
    def number(value: float, digits: int) -> str:
        return "" if np.isnan(value) else f"{value:.{digits}f}"  # empty: too short a track for a window

    for i, frame in enumerate(part.frame):
        table.writerow(
            (begin + frame, f"{part.time_s[frame]:.6f}", part.track[i], number(scores.row_score[i], 6),
             number(scores.row_percentile[i], 3), *(f"{v:.1f}" for v in part.boxes[i]))
        )  # fmt: skip
