"""Find runs of frames, and how long each frame lasts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.clip_time import after_holes, longest_step


def runs_of(mask: NDArray[np.bool_], begins: NDArray[np.integer] | None = None) -> list[tuple[int, int]]:
    """The maximal runs of True: first frame, frame after the last.

    Args:
        mask: (F,) of the frames.
        begins: frames at which a run ends and another begins, as those after a hole in the clip's time.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    runs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    if begins is None or not len(begins):
        return runs
    cut = [(a, *begins[(begins > a) & (begins < b)].tolist(), b) for a, b in runs]
    return [pair for each in cut for pair in pairwise(each)]


def frame_seconds(time_s: NDArray[np.float64], fps: float | None = None) -> NDArray[np.float64]:
    """(F,) how long each frame is shown: until the next one; the last, and those before a hole, as a usual one.

    Args:
        time_s: (F,) times of a clip's frames.
        fps: its rate; a usual frame is as long as the median one if it is left out.
    """
    gaps = np.diff(time_s)
    if not len(gaps) and not fps:
        return np.zeros(len(time_s))
    usual = 1 / fps if fps else float(np.median(gaps))
    if usual <= 0:
        return np.append(gaps, usual)
    return np.append(np.where(gaps > longest_step(1 / usual), usual, gaps), usual)[: len(time_s)]


def stretches_of(
    mask: NDArray[np.bool_], time_s: NDArray[np.float64], fps: float | None = None
) -> NDArray[np.float64]:
    """(N, 2) when each run of True begins and ends, in seconds; none goes on through a hole in the clip's time.

    Args:
        mask: (F,) of the frames.
        time_s: (F,) their times.
        fps: the clip's rate, see `frame_seconds`.
    """
    ends = time_s + frame_seconds(time_s, fps)
    runs = runs_of(mask, after_holes(time_s, fps))
    return np.array([(time_s[a], ends[b - 1]) for a, b in runs], float).reshape(-1, 2)
