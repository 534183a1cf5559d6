"""Learn how usual observations are: how many like a given one there are at a look, and how long people stay.

Of one part of the surroundings, one camera and one share of the video: `anomaly.normality.surroundings` has them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import logsumexp

from anomaly.data.surroundings import NUMBERS, Observations, described
from anomaly.settings.scoring import STAYS

FloatArray = NDArray[np.float64]
_MOST_OBSERVED = 600  # that a part remembers, evenly out of all
_ANYWHERE = 4.0  # width of the thin layer, in widths of the kernels
_OTHER_KIND = 1.6  # by which an observation of another kind says less, as a logarithm: detectors err
_EXPECTED = 1.0  # observations that the thin layer stands for
_CHUNK = 2048  # observations at once
CELLS = (32, 18)  # of the picture, for where people stay
_PRIOR_STAY_S = 10.0  # of a stay that is taken to have been seen somewhere,
_PRIOR_STAYS = 2.0  # and so many wherever one looks


@dataclass(frozen=True)
class Intensity:
    """How many observations like a given one there are at a look.

    Attributes:
        part: whose observations they are.
        points: (n, D) the observations that it remembers, described.
        kinds: (n,) theirs.
        weight: how many observations each stands for, divided by the looks.
        looks: what was learned from.
    """

    part: str
    points: FloatArray
    kinds: NDArray[np.int64]
    weight: float
    looks: int

    def anomaly(self, x: FloatArray, kind: NDArray[np.int64]) -> FloatArray:
        """(K,) minus log intensity of observations (K, D) of kinds (K,)."""
        size = len(self._widths)
        constant = 0.5 * size * np.log(2 * np.pi) + np.log(self._widths).sum()
        known, middle = self._known
        out = np.empty(len(x))
        for begin in range(0, len(x), _CHUNK):
            z = x[begin : begin + _CHUNK] / self._widths
            anywhere = -0.5 * np.square((z - middle) / _ANYWHERE).sum(1) - size * np.log(_ANYWHERE)
            # Heavier than a Gaussian far out, so that it stays a number that compares.
            total = np.maximum(anywhere, -60.0) + np.log(_EXPECTED / max(self.looks, 1))
            if len(known):
                apart = np.square(z).sum(1)[:, None] - 2 * z @ known.T + np.square(known).sum(1)[None]
                other = kind[begin : begin + _CHUNK, None] != self.kinds[None]
                apart = np.maximum(apart, 0) + 2 * _OTHER_KIND * other
                total = np.logaddexp(total, logsumexp(-0.5 * apart, axis=1) + np.log(self.weight))
            out[begin : begin + _CHUNK] = constant - total
        return out

    @cached_property
    def _widths(self) -> FloatArray:
        return np.array(list(NUMBERS[self.part].values()))

    @cached_property
    def _known(self) -> tuple[FloatArray, FloatArray]:
        """(n, D) the points in widths of the kernels, and (D,) their middle, the origin where there are none."""
        known = self.points / self._widths
        return known, np.median(known, axis=0) if len(known) else np.zeros(known.shape[1])


@dataclass(frozen=True)
class StayTimes:
    """Where people stay, and for how long they do: exponential times, longer in some places than in others.

    Attributes:
        stayed_s: (H, W) seconds that people have stayed in each cell of the picture, beyond what counts as a stay.
        ended: (H, W) how many of their stays have ended there.
        seconds: of video that was learned from.
    """

    stayed_s: FloatArray
    ended: FloatArray
    seconds: float

    @classmethod
    def learn(cls, observations: Observations, look_s: float, looks: int) -> StayTimes:
        """Learn of the observations of so many looks, ``look_s`` seconds apart."""
        where, shape, cells = _cells(observations.numbers), (CELLS[1], CELLS[0]), CELLS[0] * CELLS[1]
        stayed = np.bincount(where, minlength=cells).reshape(shape) * look_s
        ended = np.bincount(where, observations.kind, cells).reshape(shape)
        return cls(stayed.astype(np.float64), ended.astype(np.float64), looks * look_s)

    def anomaly(self, x: FloatArray, kind: NDArray[np.int64]) -> FloatArray:
        """(K,) minus log of how usual it is to stay there (K, 3), and for so long."""
        stayed, ended = self._around
        where = _cells(x)
        usual_s = (self.stayed_s.sum() + _PRIOR_STAY_S) / (self.ended.sum() + 1)
        here_s = (stayed.ravel()[where] + _PRIOR_STAYS * usual_s) / (ended.ravel()[where] + _PRIOR_STAYS)
        there = (stayed.ravel()[where] + _PRIOR_STAY_S / stayed.size) / (self.seconds + _PRIOR_STAY_S)
        return x[:, 2] / here_s - np.log(there)

    @cached_property
    def _around(self) -> tuple[FloatArray, FloatArray]:
        widths = [size * NUMBERS[STAYS][name] for size, name in zip(CELLS[::-1], "yx", strict=True)]
        stayed, ended = (
            gaussian_filter(grid, widths, mode="constant") for grid in (self.stayed_s, self.ended)
        )
        return stayed, ended


def _cells(numbers: FloatArray) -> NDArray[np.int64]:
    """(K,) cell of the picture that each of K places is in."""
    x, y = (np.clip((numbers[:, i] * CELLS[i]).astype(np.int64), 0, CELLS[i] - 1) for i in (0, 1))
    return y * CELLS[0] + x


def learn_usual(
    part: str,
    observations: Observations,
    seen: NDArray[np.bool_],
    stature_at: Callable[[FloatArray], FloatArray],
    look_s: float,
) -> Intensity | StayTimes:
    """What is usual by the observations of the looks that are ``seen`` (L,), which are ``look_s`` seconds apart."""
    rows, looks = np.flatnonzero(seen[observations.look]), int(seen.sum())
    if part == STAYS:
        return StayTimes.learn(observations.select(rows), look_s, looks)
    kept = rows[:: max(1, -(-len(rows) // _MOST_OBSERVED))]
    picked = observations.select(kept)
    weight = max(len(rows), 1) / max(len(kept), 1) / max(looks, 1)
    return Intensity(part, described(part, picked, stature_at(picked.foot)), picked.kind, weight, looks)
