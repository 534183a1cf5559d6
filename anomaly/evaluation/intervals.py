"""Find runs of frames, and how long each frame lasts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs_of(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The maximal runs of True: first frame, frame after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def frame_seconds(time_s: NDArray[np.float64], fps: float | None = None) -> NDArray[np.float64]:
    """(F,) how long each frame is shown: until the next one; the last 1 / fps, or as long as the median frame."""
    gaps = np.diff(time_s)
    last = 1 / fps if fps else float(np.median(gaps)) if len(gaps) else 0.0
    return np.append(gaps, last)[: len(time_s)]
