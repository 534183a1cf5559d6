"""Say how far figures could have come out otherwise: bootstrap over clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.figures import LabelledScores, clip_auc

RESAMPLES = 1000
_COVERED = (0.025, 0.975)


def auc_intervals(
    clips: Sequence[LabelledScores], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the AUCs, from clips drawn again and again (the percentile bootstrap).

    Frames of a clip belong together, so clips are drawn and not frames. What is uncertain here is which clips were
    tested; how training varies is what several seeds show.

    Returns:
        "auc_micro" and "auc_macro" -> lowest and highest value of the interval; None where it cannot be said: of fewer
        than two clips, or if a draw has one kind of frames only.
    """
    if len(clips) < 2:
        return {"auc_micro": None, "auc_macro": None}
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(clips), np.full(len(clips), 1 / len(clips)), resamples)
    own = np.array([clip_auc(clip) for clip in clips])
    has = ~np.isnan(own)
    with np.errstate(invalid="ignore"):  # a draw without a clip of both kinds
        macro = times[:, has] @ own[has] / times[:, has].sum(axis=1)
    return {"auc_micro": _interval(_micro(clips, times)), "auc_macro": _interval(macro)}


def _micro(clips: Sequence[LabelledScores], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """(R,) micro AUC of R draws, in which clip i is ``times`` (R, N) often: frames sorted once for all of them."""
    score = np.concatenate([c.score[c.kept] for c in clips])
    abnormal = np.concatenate([c.abnormal[c.kept] for c in clips])
    clip = np.repeat(np.arange(len(clips)), [int(c.kept.sum()) for c in clips])
    _, rank = np.unique(score, return_inverse=True)
    out = np.full(len(times), np.nan)
    for i, row in enumerate(times):
        weight = row[clip].astype(np.float64)
        up = np.bincount(rank, weight * abnormal)
        down = np.bincount(rank, weight * ~abnormal)
        pairs = up.sum() * down.sum()
        if pairs > 0:
            out[i] = (up * (np.cumsum(down) - down / 2)).sum() / pairs  # a tie is half a pair in order
    return out


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    if not len(values) or np.isnan(values).any():
        return None
    low, high = np.quantile(values, _COVERED)
    return float(low), float(high)
