"""The way of something in the picture: where it is, how it moves, how long it has stayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TURN_S = 0.5  # half-life of what is remembered of its course
_TREMBLE_S = 0.2  # half-life of where it seems to be, against where it should be


@dataclass
class Course:
    """Where something has been.

    Attributes:
        time_s: of the latest look at which it was seen.
        middle: (2,) of its box then, in pixels.
        velocity: (2,) pixels a second.
        anchor: (2,) the middle of the place that it has not left since ``since_s``.
        since_s: since when it is in its place.
        net: (2,) how far its latest steps led together, ``path`` being their length, both fading.
        begun: (2,) where it was first, ``far`` being the farthest that it has been from there.
        steady: (2,) its middle without the trembling of half hidden boxes.
        path: see ``net``.
        far: see ``begun``.
    """

    time_s: float
    middle: NDArray[np.float64]
    velocity: NDArray[np.float64]
    anchor: NDArray[np.float64]
    since_s: float
    net: NDArray[np.float64]
    begun: NDArray[np.float64]
    steady: NDArray[np.float64]
    path: float = 0.0
    far: float = 0.0

    @classmethod
    def begin(cls, time_s: float, middle: NDArray[np.float64]) -> Course:
        """Something that is seen for the first time."""
        return cls(time_s, middle, np.zeros(2), middle, time_s, np.zeros(2), middle, middle)

    def update(self, time_s: float, middle: NDArray[np.float64], place: float) -> None:
        """Go on to a new middle; within ``place`` pixels it has not left where it is."""
        step_s = max(time_s - self.time_s, 1e-3)
        step, keep = middle - self.middle, 0.5 ** (step_s / _TURN_S)
        self.velocity = keep * self.velocity + (1 - keep) * step / step_s
        expected = self.steady + self.velocity * step_s
        self.steady = middle + 0.5 ** (step_s / _TREMBLE_S) * (expected - middle)
        self.net, self.path = keep * self.net + step, keep * self.path + float(np.linalg.norm(step))
        self.time_s, self.middle = time_s, middle
        self.far = max(self.far, float(np.linalg.norm(middle - self.begun)))
        if np.linalg.norm(middle - self.anchor) > place:
            self.anchor, self.since_s = middle, time_s

    @property
    def still_s(self) -> float:
        """Seconds for which it has not left its place."""
        return self.time_s - self.since_s

    def straight(self, noise: float) -> float:
        """0..1, how much of its way, beyond steps of ``noise`` pixels, led on: leaves go to and fro."""
        return float((np.linalg.norm(self.net) + noise) / (self.path + noise))
