"""Smooth a clip's frame scores with a Gaussian over its own clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.clip_time import stretch_numbers

REACH_SIGMAS = 4.0  # frames farther away than this many sigmas have no weight


def smooth(
    values: NDArray[np.float64], time_s: NDArray[np.float64], sigma_s: float, causal: bool = False
) -> NDArray[np.float64]:
    """Gaussian-weighted mean of the values of **one** clip around each frame.

    Weights follow the frames' times, so that a variable frame rate and a slice of a clip are smoothed alike. At the
    ends of the clip the weights of the frames that exist are used, and at a hole in the clip's time as well.
    The mean of equal values is that value, to the bit: it is a value and the mean of what others differ from it.

    Args:
        values: (F,) finite values.
        time_s: (F,) non-decreasing times.
        sigma_s: sigma in seconds; 0 leaves the values.
        causal: use nothing from later frames.
    """
    if sigma_s <= 0 or len(values) < 2 or values.min() == values.max():
        return values.astype(np.float64)
    reach = REACH_SIGMAS * sigma_s
    stretch = stretch_numbers(time_s)
    farthest = int(
        (np.searchsorted(time_s, time_s + reach, side="right") - np.arange(len(time_s))).max()
    )  # frames that lie within reach at the densest place
    values = values.astype(np.float64)
    total = np.zeros(len(values))
    weight = np.ones(len(values))
    for step in range(1, min(farthest, len(values))):
        apart = time_s[step:] - time_s[:-step]
        near = (apart <= reach) & (stretch[step:] == stretch[:-step])
        w = np.where(near, np.exp(-0.5 * (apart / sigma_s) ** 2), 0.0)
        total[step:] += w * (values[:-step] - values[step:])
        weight[step:] += w
        if not causal:
            total[:-step] += w * (values[step:] - values[:-step])
            weight[:-step] += w
    return values + total / weight
