"""Find the score that normal video exceeds so many times a day: the tail of held-out normal scores, gone on with.

Nobody has days of held-out video. A score is a sum of minus logarithms of tail probabilities, and minus the logarithm
of a probability is distributed exponentially: so are the peaks of normal scores above a high level, by what they exceed
it. Their mean tells how rare higher ones are. (A generalised Pareto tail, which fits a shape as well, takes the highest
of few peaks for the highest that there can be.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import frame_seconds
from pose_extract.errors import ModelError

DAY_S = 86_400.0
APART_S = 1.0  # alarms that are no more seconds apart are one event, as with events.merge_gap_s
FEWEST_PEAKS = 10
_ENOUGH_PEAKS = 40  # more would reach down to where scores are usual, fewer tell less
# Shares of frames above the level that peaks are above, the highest level first.
_LEVELS = np.geomspace(0.0005, 0.4, 60)
_BLOCK_S = 30.0  # of video that is drawn together
_RESAMPLES = 500


@dataclass(frozen=True)
class AlarmBudget:
    """A threshold for so many false events a day, and how sure it is.

    Attributes:
        threshold: score above which a frame raises the alarm.
        alarms_per_day: events that are expected in a day of normal video.
        low: of the 95 % interval of that expectation at this threshold (bootstrap over stretches of 30 s).
        high: the same.
        peaks: how many peaks of held-out normal scores it rests on.
        seconds: of how much held-out normal video.
    """

    threshold: float
    alarms_per_day: float
    low: float
    high: float
    peaks: int
    seconds: float

    def describe(self) -> str:
        """What it rests on, in a sentence; in two, where that is too little."""
        more = ""
        if self.alarms_per_day * self.seconds < DAY_S:
            more = ". That is less than one in all of this video: several times as many may come"
        return (
            f"{self.alarms_per_day:g} false events a day are expected above {self.threshold:.3f} (95 % interval "
            f"{two_digits(self.low)} to {two_digits(self.high)}), by the {self.peaks} highest peaks of "
            f"{self.seconds / 60:.0f} minutes of held-out normal video{more}"
        )


@dataclass(frozen=True)
class _Tail:
    """Peaks above a level: how often, and how far above.

    Attributes:
        level: the score.
        per_day: peaks above it a day.
        scale: mean of what they exceed it by.
    """

    level: float
    per_day: float
    scale: float

    def rate(self, score: float) -> float:
        """Peaks a day above a score that is not below the level."""
        return self.per_day * math.exp(-(score - self.level) / self.scale)

    def score(self, per_day: float) -> float:
        """The score that so many peaks a day are above; the level, if those above it are fewer."""
        return self.level + self.scale * max(0.0, math.log(self.per_day / per_day))


def two_digits(number: float) -> str:
    """Two digits of a number, without an exponent where it is large."""
    return f"{number:.2g}" if number < 10 else f"{float(f'{number:.2g}'):,.0f}"


def alarm_budget(
    clip: NDArray[np.int32], time_s: NDArray[np.float64], score: NDArray[np.float64], alarms_per_day: float
) -> AlarmBudget:
    """The threshold above which held-out normal video has so many events a day.

    Args:
        clip: (F,) number of each frame's clip, clip after clip.
        time_s: (F,) its time in seconds.
        score: (F,) its score, smoothed as scores are that the threshold is for.
        alarms_per_day: events a day of normal video.

    Raises:
        ModelError: there is too little held-out video to tell.
    """
    lasts = np.concatenate([frame_seconds(time_s[clip == c]) for c in np.unique(clip)])
    total_s = float(lasts.sum())
    enough = max(_ENOUGH_PEAKS, alarms_per_day * total_s / DAY_S)
    level, frames = 0.0, np.zeros(0, np.int64)
    for share in _LEVELS:
        lower = float(np.quantile(score, 1 - share))
        found = _peaks(clip, time_s, score, lower)
        if len(found) >= len(frames):  # where scores are usual, peaks run into each other and become fewer
            level, frames = lower, found
        if len(frames) >= enough:
            break
    if len(frames) < FEWEST_PEAKS or total_s <= 0:
        raise ModelError(
            f"calibration.alarms_per_day: {total_s / 60:.1f} minutes of held-out normal video have {len(frames)} peaks "
            f"to judge rare scores by, expected at least {FEWEST_PEAKS}: train on more video, or set "
            "calibration.false_alarm_rate alone"
        )
    excess = score[frames] - level
    tail = _Tail(level, len(frames) * DAY_S / total_s, float(excess.mean()))
    threshold = tail.score(alarms_per_day)
    low, high = _interval(clip, time_s, lasts, frames, excess, tail, threshold)
    return AlarmBudget(threshold, alarms_per_day, low, high, len(frames), total_s)


def _peaks(
    clip: NDArray[np.int32], time_s: NDArray[np.float64], score: NDArray[np.float64], level: float
) -> NDArray[np.int64]:
    """Frames of the highest score of each event above a level."""
    above = np.flatnonzero(score > level)
    if not len(above):
        return above
    new = (np.diff(clip[above]) != 0) | (np.diff(time_s[above]) > APART_S)
    event = np.append(0, np.cumsum(new))
    order = np.lexsort((-score[above], event))
    return above[order[np.append(True, np.diff(event[order]) > 0)]]


def _interval(
    clip: NDArray[np.int32],
    time_s: NDArray[np.float64],
    lasts: NDArray[np.float64],
    frames: NDArray[np.int64],
    excess: NDArray[np.float64],
    tail: _Tail,
    threshold: float,
) -> tuple[float, float]:
    """95 % interval of the events a day above the threshold: stretches of video drawn again and again."""
    _, block = np.unique(np.stack([clip, time_s // _BLOCK_S], axis=1), axis=0, return_inverse=True)
    block = block.reshape(-1)
    seconds = np.bincount(block, lasts)
    rng, rates = np.random.default_rng(0), []
    for times in rng.multinomial(len(seconds), np.full(len(seconds), 1 / len(seconds)), _RESAMPLES):
        drawn = np.repeat(excess, times[block[frames]])
        length = float(times @ seconds)
        if len(drawn) < FEWEST_PEAKS // 2 or length <= 0:
            continue
        rates.append(_Tail(tail.level, len(drawn) * DAY_S / length, float(drawn.mean())).rate(threshold))
    low, high = np.quantile(rates, (0.025, 0.975)) if rates else (0.0, np.inf)
    return float(low), float(high)
