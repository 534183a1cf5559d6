"""Put what is around people beside how they move: one score a frame, on the scale of the people's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

COUNTS = 0.005
"""Share of normal moments up to which surroundings are unusual enough to count at all."""

_TAIL = 0.05  # of the people's scores, above which they are taken to go on like an exponential


def level(alone: FloatArray, p: FloatArray) -> FloatArray:
    """The score that a share ``p`` (F,) of normal frames exceeds, where only people's movement counts.

    Beyond the highest of them it goes on like an exponential with the mean of the tail, so that what is more unusual
    than everything in normal video still has an order.

    Args:
        alone: (R,) sorted scores of held-out normal frames by people's movement; at least one.
        p: (F,) above 0.
    """
    start = np.quantile(alone, 1 - _TAIL)
    beyond = alone[alone > start] - start
    mean = float(beyond.mean()) if len(beyond) else 1e-9
    rest = start + mean * np.log(_TAIL / np.minimum(p, _TAIL))
    return np.where(p >= _TAIL, np.quantile(alone, 1 - np.clip(p, 0, 1)), rest)


def combined(raw: FloatArray, p: FloatArray, alone: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Frame scores by people and surroundings, and where surroundings decide.

    Args:
        raw: (F,) by people's movement, NaN where nobody is scored.
        p: (F,) share of normal moments with surroundings as unusual.
        alone: as `level` has it.
    """
    if not len(alone):
        return raw, np.zeros(len(raw), bool)
    other = level(alone, p)
    decides = (p < COUNTS) & ~(raw >= other)
    return np.where(decides, other, raw), decides
