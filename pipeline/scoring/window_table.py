"""Write the table of windows: what each window's score rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.explanation import TOP, explain
from anomaly.scoring.model import Model
from anomaly.scoring.scores import WindowScores

_PLACES = range(1, TOP + 1)
_BY_PLACE = {
    "word": "number {i} of the action words that are nearest; they count from 1",
    "weight": "soft assignment of `word{i}`",
    "joint": "number {i} of the joints that the model's reconstruction misses most",
    "share": "share of `joint{i}` in its error, those of all joints being 1",
    "part": "number {i} of the parts of the score that say most; empty but for scores by `sum`",
    "part_percentile": "share of normal windows that `part{i}` scores lower, 0 to 100",
}
WINDOW_COLUMNS = {
    "track_id": "the person; every window of a person has a row",
    "first_frame": "first frame of the window; windows are made at a rate of their own, so in a video of few frames a "
    "second two may begin with the same",
    "last_frame": "its last frame",
    "start_s": "when it begins, in seconds",
    "end_s": "when it ends",
    "score": "its anomaly; higher is more unusual",
    "percentile": "share of held-out normal windows that score lower, 0 to 100",
    "component": "component of the normality mixture that fits it best, from 1",
    **{f"{name}{i}": text.format(i=i) for name, text in _BY_PLACE.items() for i in _PLACES},
}
_BATCH = 1024  # windows explained at once


def write_windows(table: Any, model: Model, begin: int, scores: WindowScores) -> None:
    """Write a row for each window of a part of a clip, ordered by track, then by time.

    Words and components count from 1. A word's weight is the soft assignment; a joint's share that of the
    reconstruction error, all joints' shares being 1. The parts are those of scores by "sum" that say most, with the
    share of normal windows that they score lower. Cells are empty where the model has fewer words or parts than
    columns, or cannot reconstruct.

    Args:
        table: csv writer.
        model: the model.
        begin: first frame of the part in its clip.
        scores: the part's windows.
    """
    names = model.settings.windows.body.joints
    windows = scores.windows
    start_s, end_s = windows.start_s, windows.end_s
    for low in range(0, len(scores), _BATCH):
        explanation = explain(model, windows.batch(slice(low, low + _BATCH)))
        rows = np.arange(low, min(low + _BATCH, len(scores)))
        parts = strongest_parts(model, scores, rows)
        for n, i in enumerate(rows):
            table.writerow((
                windows.track[i], begin + scores.first_frame[i], begin + scores.last_frame[i],
                f"{start_s[i]:.6f}", f"{end_s[i]:.6f}", f"{scores.score[i]:.6f}", f"{scores.percentile[i]:.3f}",
                explanation.component[n],
                *(word or "" for word in explanation.words[n]), *map(_number, explanation.weights[n]),
                *("" if joint < 0 else names[joint] for joint in explanation.joints[n]),
                *map(_number, explanation.shares[n]),
                *_columns(parts[n]),
            ))  # fmt: skip


def strongest_parts(
    model: Model, scores: WindowScores, which: NDArray[np.integer]
) -> list[list[tuple[str, float]]]:
    """Of each of some windows, the parts that count in a "sum" and say most, and the share of normal windows below."""
    if not len(scores.parts):
        return [[] for _ in which]
    names, parts = model.settings.scoring.parts, scores.parts[:, which]
    tails = model.fitted_calibration.tails
    told = ~np.isneginf(parts) & (tails.weights > 0)[:, None]
    shares = np.where(told, tails.percentiles(parts), -1.0)
    order = np.argsort(-shares, axis=0, kind="stable")[:TOP]
    return [
        [(names[part], float(shares[part, n])) for part in order[:, n] if told[part, n]]
        for n in range(len(which))
    ]


def _columns(parts: list[tuple[str, float]]) -> tuple[str, ...]:
    missing = ("",) * (TOP - len(parts))
    return (*(part for part, _ in parts), *missing, *(f"{share:.3f}" for _, share in parts), *missing)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"
