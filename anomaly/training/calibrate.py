"""Calibrate a model: score normal video that it has not learned from, by every kind and in every mode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.calibration import Calibration, TailProbabilities, mean_in_robust_units, median_and_iqr
from anomaly.scoring.frame_scores import frame_scores, row_scores
from anomaly.scoring.model import Model
from anomaly.scoring.scores import Progress
from anomaly.scoring.surroundings import combined
from anomaly.settings import FRAME_MODES, NETWORK_PARTS, SCORE_KINDS
from pose_extract.errors import TrainingError
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_MOST_HELD_OUT = 100_000  # windows that tail probabilities are shares of
_FEWEST_DECISIVE = 12  # held-out frames above the alarm threshold: half a second


def calibrate(
    model: Model,
    held_out: list[ClipTracks],
    progress: Progress,
    reference: Mapping[str, NDArray[np.float64]] | None = None,
    weigh: Callable[[TailProbabilities], NDArray[np.float64]] | None = None,
) -> Calibration:
    """Score held-out normal clips, unsmoothed, by every kind and in every mode.

    Args:
        model: without a calibration yet.
        held_out: clips that it has not learned from.
        progress: hears of progress.
        reference: by part of the kind "sum", scores of windows that the part has not learned from; the held-out
            windows' where there are none.
        weigh: (P,) weights of the parts, once it is known what their scores mean; all count alike if left out.

    Raises:
        TrainingError: if they have no window.
    """
    settings, names = model.settings.windows, model.settings.scoring.parts
    scored = []
    for number, tracks in enumerate(held_out):
        windows = model.windows_of(tracks)
        own = {kind: model.anomaly(windows, kind) for kind in NETWORK_PARTS}
        scored.append((own, model.parts(windows, own, held_out=True)))
        progress("calibrate", number + 1, len(held_out), {"clip": tracks.clip})
    known = dict(zip(names, np.concatenate([parts for _, parts in scored], axis=1), strict=True))
    tails = TailProbabilities.from_scores(
        [_thinned(scores[np.isfinite(scores)]) for scores in (known | dict(reference or {})).values()],
        np.ones(len(names)),
    )
    if weigh is not None:
        tails = replace(tails, weights=weigh(tails))
    rows: list[dict[str, NDArray[np.float64]]] = []  # of each clip: kind -> (modes, rows)
    for (own, parts), tracks in zip(scored, held_out, strict=True):
        windows = model.windows_of(tracks)
        anomalies = own | {"sum": tails.sum(parts)}
        rows.append(
            {
                kind: np.stack(
                    [row_scores(windows, a, tracks, mode, settings.score_stride) for mode in FRAME_MODES]
                )
                for kind, a in anomalies.items()
            }
        )
    all_rows = {kind: np.concatenate([clip[kind] for clip in rows], axis=1) for kind in rows[0]}
    if any(np.isnan(scores).all(axis=1).any() for scores in all_rows.values()):
        if settings.extent == "clip":
            raise TrainingError(
                f"nobody in the held-out clips, {len(held_out)} of them, is seen in windows.min_frames "
                f"({settings.min_frames}) of their frames, so scores cannot be calibrated: train on more clips, or "
                "raise calibration.held_out"
            )
        raise TrainingError(
            f"nobody in the held-out {100 * model.settings.calibration.held_out:.0f} % of the video is seen for the "
            f"{settings.frames / settings.fps:.2f} s of a window without a gap, so scores cannot be calibrated: train "
            "on more video, or raise calibration.held_out"
        )
    frame_count = sum(tracks.frame_count for tracks in held_out)
    decisive = model.settings.calibration.false_alarm_rate * frame_count
    if decisive < _FEWEST_DECISIVE:
        logger.warning(
            "the alarm threshold rests on the %.0f highest of %d held-out frames: train on more video, or raise "
            "calibration.false_alarm_rate",
            decisive,
            frame_count,
        )
    # A row's score is a mean of windows' scores, so what combines two kinds of window scores combines rows as well.
    spreads = [median_and_iqr(all_rows[kind][FRAME_MODES.index("online")]) for kind in NETWORK_PARTS]
    for clip in rows:
        clip["both"] = mean_in_robust_units(clip["clustering"], clip["reconstruction"], spreads)
    every = [np.stack([clip[kind] for kind in SCORE_KINDS]) for clip in rows]
    frames = [
        np.stack([[frame_scores(r, tracks)[0] for r in by_mode] for by_mode in by_kind])
        for by_kind, tracks in zip(every, held_out, strict=True)
    ]
    of_sum = SCORE_KINDS.index("sum")
    alone = np.sort(np.concatenate([clip[of_sum] for clip in frames], axis=1), axis=1)
    for clip_frames, tracks in zip(frames, held_out, strict=True):
        around = model.surroundings_of(tracks, held_out=True)
        if around is not None:
            for scores, known in zip(clip_frames[of_sum], alone, strict=True):
                scores[:] = combined(scores, around.p, known[: np.searchsorted(known, np.nan)])[0]
    return Calibration(
        np.repeat(np.arange(len(held_out), dtype=np.int32), [tracks.frame_count for tracks in held_out]),
        np.concatenate([tracks.time_s for tracks in held_out]),
        np.concatenate(frames, axis=2),
        np.sort(np.concatenate(every, axis=2), axis=2),
        tails.parts,
        tails.weights,
        alone,
    )


def _thinned(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most so many windows' scores, evenly out of all: more would only make bundles large."""
    return scores[:: max(-(-len(scores) // _MOST_HELD_OUT), 1)]
