"""Compute the stops of the page's threshold slider, and what each costs in false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.calibration import Calibration, threshold
from anomaly.scoring.smoothing import smooth
from anomaly.settings import FRAME_MODES, SCORE_KINDS, ScoringSettings
from pipeline.events.events import spans
from pipeline.events.settings import EventSettings

NEVER = 255  # no stop of the slider
LOWEST_SHARE = 0.2  # of normal frames above the lowest stop: nobody looks through more
_BELOW, _ABOVE = 40, 40  # stops among the normal scores, and beyond them
_KEPT_TAIL, _KEPT_REST = 300, 200  # of the sorted normal scores: the highest all, of the others some


@dataclass(frozen=True)
class Peaks:
    """The peaks of a clip's events at all stops of the slider, in order of time, and which of them are one event where.

    At stop ``k`` those whose ``last`` is ``k`` or more are in an event, and neighbours whose ``join`` is ``k`` or more
    (and not `NEVER`) in the same: events of a higher stop lie within those of a lower one.

    Attributes:
        frame: (P,) frames of the peaks.
        last: (P,) the highest stop at which an event holds the peak.
        join: (P,) the highest stop at which one event holds this peak and the next one; `NEVER`: at none.
    """

    frame: NDArray[np.int64]
    last: NDArray[np.int64]
    join: NDArray[np.int64]


@dataclass(frozen=True)
class Thresholds:
    """A scale of thresholds and the held-out normal video that gives it a meaning.

    Attributes:
        stops: (S,) increasing scores.
        usual: which stop is the model's own threshold.
        reference: (N,) sorted scores of the held-out normal frames.
        normal: time, end and score of the frames of each held-out clip.
        events: how alarms become events.
    """

    stops: NDArray[np.float32]
    usual: int
    reference: NDArray[np.float64]
    normal: tuple[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], ...]
    events: EventSettings

    @classmethod
    def from_calibration(
        cls,
        calibration: Calibration,
        scoring: ScoringSettings,
        alarm: float,
        events: EventSettings,
        whole_clips: bool = False,
    ) -> Thresholds:
        """The scale of a calibrated model that scores in the given way and alarms above ``alarm``.

        Scores of ``whole_clips`` are not smoothed.
        """
        smoothing_s = 0.0 if whole_clips else scoring.smoothing_s
        reference = calibration.reference(scoring.frames, smoothing_s, scoring.tail, scoring.by)
        raw = calibration.frames[SCORE_KINDS.index(scoring.by), FRAME_MODES.index(scoring.frames)]
        shaped = calibration.shape(raw, scoring.frames, scoring.tail, scoring.by)
        normal = []
        for clip in np.unique(calibration.clip):
            own = calibration.clip == clip
            time_s = calibration.time_s[own]
            score = smooth(shaped[own], time_s, smoothing_s, causal=scoring.frames == "online")
            normal.append((time_s, time_s + frame_seconds(time_s), score))
        shares = np.geomspace(LOWEST_SHARE, 0.5 / len(reference), _BELOW)
        below = [threshold(reference, float(share)) for share in shares]
        low, high = np.quantile(reference, (0.25, 0.75))
        beyond = reference[-1] + 0.05 * max(high - low, 1e-6) * 1.25 ** np.arange(_ABOVE)
        own_stop = np.float32(alarm)
        stops = np.unique(np.array([*below, own_stop, *beyond], np.float32))
        return cls(stops, int(np.searchsorted(stops, own_stop)), reference, tuple(normal), events)

    @cached_property
    def normal_s(self) -> float:
        """Seconds of held-out normal video."""
        return float(sum((end - time).sum() for time, end, _ in self.normal))

    @cached_property
    def false_alarms(self) -> list[int]:
        """Events that each stop finds in the held-out normal video: all of them false alarms."""
        return [
            sum(
                len(spans(time, end, score.astype(np.float32) > stop, self.events))
                for time, end, score in self.normal
            )
            for stop in self.stops
        ]

    def count(
        self, time_s: NDArray[np.float64], fps: float, score: NDArray[np.float32]
    ) -> tuple[list[int], list[float | None], Peaks]:
        """A clip's number of events at each stop, the highest score in them (None without events), and their peaks."""
        end_s = time_s + frame_seconds(time_s, fps)
        found = [spans(time_s, end_s, score > stop, self.events) for stop in self.stops]
        peaks = [[a + int(score[a:b].argmax()) for a, b in events] for events in found]
        worst = [max((float(score[peak]) for peak in those), default=None) for those in peaks]
        frame = np.unique([peak for those in peaks for peak in those]).astype(np.int64)
        last, join = np.zeros(len(frame), np.int64), np.full(len(frame), NEVER)
        for stop, events in enumerate(found):
            for a, b in np.searchsorted(frame, np.array(events, np.int64).reshape(-1, 2)):
                last[a:b], join[a : b - 1] = stop, stop
        return [len(events) for events in found], worst, Peaks(frame, last, join)

    def thinned_reference(self) -> tuple[list[float], list[float]]:
        """Normal scores and the share, 0 to 100, of normal frames that score lower.

        Few of the many, but the highest all: the tail is what thresholds are about.
        """
        count = len(self.reference)
        rest = max(count - _KEPT_TAIL, 0)
        kept = np.unique(
            np.concatenate(
                [np.linspace(0, rest, min(_KEPT_REST, rest + 1)).astype(int), np.arange(rest, count)]
            )
        )
        scores = np.unique(self.reference[kept])
        shares = 100 * np.searchsorted(self.reference, scores, side="left") / count
        return [round(float(s), 5) for s in scores], [round(float(s), 4) for s in shares]
