"""Hold a clip's scores over time with the alarms and events that they raise: what is drawn and listed of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.events.events import Event


@dataclass(frozen=True)
class ScoredTimeline:
    """The F frame scores of a clip and what follows from them; of its tracks, M rows (a person in a frame each).

    Attributes:
        time_s: (F,) when each frame is shown, in seconds.
        score: (F,) anomaly, higher is more abnormal.
        percentile: (F,) share of held-out normal frames that score lower, 0 to 100.
        alarm: (F,) bool, whether the frame raises the alarm.
        threshold: score above which a frame raises the alarm.
        threshold_percentile: the threshold as a percentile, 0 to 100; None: not known.
        score_at: some percentiles, 0 to 100, of held-out normal frames -> the frame score there.
        row_percentile: (M,) percentile of each row of the cleaned tracks, 0 to 100, NaN where not scored; empty where
            the cleaned tracks are not kept.
        events: the stretches of alarms, in order of time.
        judged: (F,) bool, False where people are there and none could be scored; empty: everywhere.
        remarks: what a reader of the scores must know of this clip, a sentence each.
        left_out: what of the clip is in no score, a sentence each.
    """

    time_s: NDArray[np.float64]
    score: NDArray[np.floating]
    percentile: NDArray[np.floating]
    alarm: NDArray[np.bool_]
    threshold: float
    threshold_percentile: float | None = None
    score_at: Mapping[float, float] = field(default_factory=dict)
    row_percentile: NDArray[np.floating] = field(default_factory=lambda: np.zeros(0, np.float32))
    events: tuple[Event, ...] = ()
    judged: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    remarks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
