"""Calibrate scores on held-out normal video: percentiles, tail probabilities, thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.alarm_budget import AlarmBudget, alarm_budget
from anomaly.scoring.smoothing import smooth
from anomaly.settings.scoring import FRAME_MODES, SCORE_KINDS


@dataclass(frozen=True)
class Calibration:
    """Scores of held-out normal video, before smoothing, of every kind and in both ways of giving them to frames.

    Kept unsmoothed, so that any smoothing can be calibrated by the path that it smooths test scores with, and of every
    kind, so that a trained model can be asked for any.

    Attributes:
        clip: (F,) number of each frame's clip.
        time_s: (F,) its time.
        frames: (4, 2, F) score of the frame's worst person, in the order of `SCORE_KINDS` and `FRAME_MODES`; NaN where
            nobody was scored.
        rows: (4, 2, R) sorted scores of single people in single frames; NaN at the end where nobody was scored.
        parts: (P, W) of the kind "sum", scores of single normal windows by each of its parts, which had not learned
            from them; NaN at the end where a part has fewer.
        weights: (P,) of these parts, their mean being 1.
        alone: (2, F) sorted scores of the frames by "sum" before anything but people's movement counts, in the order of
            `FRAME_MODES`; NaN at the end where nobody was scored. `frames` have all. None of them: nothing else counts.
    """

    clip: NDArray[np.int32]
    time_s: NDArray[np.float64]
    frames: NDArray[np.float64]
    rows: NDArray[np.float64]
    parts: NDArray[np.float64]
    weights: NDArray[np.float64]
    alone: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(FRAME_MODES), 0)))
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def floor(self, mode: str, by: str = "clustering") -> float:
        """The lowest score of held-out normal people: what a frame with nobody in it gets."""
        return float(self.row_reference(mode, by)[0])

    def spread(self, by: str, mode: str = "online") -> tuple[float, float]:
        """Median and interquartile range of held-out normal people's scores; "online", of single windows' scores."""
        return self._once(("spread", by, mode), lambda: median_and_iqr(self.row_reference(mode, by)))

    def shape(
        self, raw: NDArray[np.float64], mode: str, tail: str, by: str = "clustering"
    ) -> NDArray[np.float64]:
        """Anomalies as they are, or with a logarithmic tail; NaN, nobody being there, becomes the floor.

        The tail: asinh((s - m) / d), m and d being median and interquartile range of held-out normal people. Like any
        increasing function it leaves the order of people and windows; but -log likelihoods grow with the square of the
        distance, and one window far out would drown the seconds around it in a mean over time.
        """
        raw = np.where(np.isnan(raw), self.floor(mode, by), raw)
        if tail == "linear":
            return raw
        middle, width = self.spread(by, mode)
        return np.arcsinh((raw - middle) / width)

    def smoothed(
        self, mode: str, smoothing_s: float, tail: str = "linear", by: str = "clustering"
    ) -> NDArray[np.float64]:
        """(F,) smoothed scores of the held-out frames, made by the path of the scores they are compared with.

        Computed once and kept: every part of every clip is compared with the same.
        """

        def compute() -> NDArray[np.float64]:
            raw = self.shape(self.frames[SCORE_KINDS.index(by), FRAME_MODES.index(mode)], mode, tail, by)
            parts = [
                smooth(raw[self.clip == c], self.time_s[self.clip == c], smoothing_s, causal=mode == "online")
                for c in np.unique(self.clip)
            ]
            return np.concatenate(parts)

        return self._once(("smoothed", mode, smoothing_s, tail, by), compute)

    def reference(
        self, mode: str, smoothing_s: float, tail: str = "linear", by: str = "clustering"
    ) -> NDArray[np.float64]:
        """The same, sorted."""
        key = ("reference", mode, smoothing_s, tail, by)
        return self._once(key, lambda: np.sort(self.smoothed(mode, smoothing_s, tail, by)))

    def alarm_budget(
        self, per_day: float, mode: str, smoothing_s: float, tail: str = "linear", by: str = "clustering"
    ) -> AlarmBudget:
        """The threshold of so many alarms a day; computed once, as `smoothed` is, since every part of a clip asks."""

        def compute() -> AlarmBudget:
            return alarm_budget(self.clip, self.time_s, self.smoothed(mode, smoothing_s, tail, by), per_day)

        return self._once(("budget", per_day, mode, smoothing_s, tail, by), compute)

    def frames_alone(self, mode: str) -> NDArray[np.float64]:
        """Sorted scores of held-out frames by people's movement alone; of the kind "sum"."""
        frames = self.alone[FRAME_MODES.index(mode)]
        return frames[: np.searchsorted(frames, np.nan)]  # NaN sorts last

    def row_reference(self, mode: str, by: str = "clustering") -> NDArray[np.float64]:
        """Sorted scores of held-out people in single frames."""
        rows = self.rows[SCORE_KINDS.index(by), FRAME_MODES.index(mode)]
        return rows[: np.searchsorted(rows, np.nan)]  # NaN sorts last

    @cached_property
    def tails(self) -> TailProbabilities:
        """What the kind "sum" is made of."""
        return TailProbabilities(self.parts, self.weights)

    def _once(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]


@dataclass(frozen=True)
class TailProbabilities:
    """Held-out normal windows' scores by P parts, which turn scores of other windows into one.

    A score becomes the share p of held-out windows that score as high; the sum of the parts is that of -log p, each
    times its weight. So scores on any scale count alike.

    Attributes:
        parts: (P, W) scores; NaN at the end of a part that has fewer.
        weights: (P,) of the parts.
    """

    parts: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def from_scores(
        cls, parts: Sequence[NDArray[np.float64]], weights: NDArray[np.float64]
    ) -> TailProbabilities:
        """Of P parts' scores, each of as many windows as it has, and the parts' weights (P,)."""
        out = np.full((len(parts), max(map(len, parts))), np.nan)
        for i, part in enumerate(parts):
            out[i, : len(part)] = part
        return cls(out, weights)

    @cached_property
    def _sorted(self) -> list[NDArray[np.float64]]:
        return [np.sort(part[~np.isnan(part)]) for part in self.parts]

    @property
    def sizes(self) -> list[int]:
        """(P,) how many held-out windows there are of each part."""
        return [len(part) for part in self._sorted]

    def sum(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) weighted sum over parts of minus the logarithm of the share of held-out windows that score as high.

        A part that says nothing of a window (that is too short to predict, say) does not lower the sum: it counts as
        the mean of those that do. Where none does, the sum is 0.

        Args:
            parts: (P, N) scores; minus infinity where a part says nothing.
        """
        logs = self.logs(parts)
        told = np.isfinite(logs)
        total, weight = self.weights @ np.where(told, logs, 0), self.weights @ told
        return total * (self.weights.sum() / np.where(weight > 0, weight, 1))

    def logs(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, N) minus the logarithm of the share of held-out windows that score as high; NaN where a part is silent.

        Args:
            parts: (P, N) scores; minus infinity where a part says nothing.
        """
        out = np.empty(parts.shape)
        for row, part, reference in zip(out, parts, self._sorted, strict=True):
            lower = np.searchsorted(reference, part, side="left")
            row[:] = -np.log((len(reference) - lower + 1) / (len(reference) + 1))
        return np.where(np.isneginf(parts), np.nan, out)

    def percentiles(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P, N) share, 0 to 100, of held-out windows that score lower than ``parts`` (P, N)."""
        each = zip(self._sorted, parts, strict=True)
        return np.stack([percentile(reference, part) for reference, part in each])


def median_and_iqr(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Median and interquartile range of scores, NaN left out; the range is never 0."""
    low, middle, high = np.nanquantile(scores, (0.25, 0.5, 0.75))
    return float(middle), float(max(high - low, 1e-9))


def mean_in_robust_units(
    clustering: NDArray[np.float64],
    reconstruction: NDArray[np.float64],
    spreads: Sequence[tuple[float, float]],
) -> NDArray[np.float64]:
    """The kind "both": mean of the two scores, each in units of held-out normal windows, (s - median) / range."""
    (a, a_width), (b, b_width) = spreads
    return ((clustering - a) / a_width + (reconstruction - b) / b_width) / 2


def percentile(reference: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share, 0 to 100, of the sorted ``reference`` that is lower than each score; NaN stays."""
    share = np.searchsorted(reference, scores, side="left") / max(len(reference), 1)
    return np.where(np.isnan(scores), np.nan, 100 * share)


def threshold(reference: NDArray[np.float64], false_alarm_rate: float) -> float:
    """The score above which at most ``false_alarm_rate`` of the sorted reference lies."""
    allowed = int(np.floor(false_alarm_rate * len(reference) + 1e-9))
    return float(reference[len(reference) - 1 - allowed])
