"""Resample tracks to evenly spaced times and cut them into segments without holes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.settings import WindowSettings
from pose_extract.tracks.records import ClipTracks

LONGEST_STEP_S = 0.25
"""Consecutive frames farther apart than this are a hole in a track as well."""


class GrowingArray:
    """Arrays put one after the other along their first axis, without ever lying in memory twice.

    NumPy's `resize` has the system's allocator move pages instead of copying them.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._array, self._used = np.empty((0, *shape), dtype), 0

    def __len__(self) -> int:
        return self._used

    def add(self, part: NDArray[Any]) -> None:
        """Put ``part`` (n, ...) behind what is there."""
        needed = self._used + len(part)
        if needed > len(self._array):
            self._array.resize((needed + needed // 8, *self._array.shape[1:]), refcheck=False)
        self._array[self._used : needed] = part
        self._used = needed

    def array(self) -> NDArray[Any]:
        """All of it; nothing can be added any more."""
        self._array.resize((self._used, *self._array.shape[1:]), refcheck=False)
        return self._array


def slowest_rate(settings: WindowSettings) -> float:
    """Frames a second below which each frame of a track is a piece of its own, so that no window covers anybody."""
    return 1 / max(LONGEST_STEP_S, (settings.max_missing + 2) / settings.fps)


def person_tracks(
    tracks: ClipTracks, keypoints: NDArray[np.float32], settings: WindowSettings
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.float64]]]:
    """Each person's id, rows (n,) and joints (n, V, D + 1), NaN coordinates and confidence 0 where missing.

    Rows are in order of their frames, one a frame.
    """
    confidence = keypoints[..., -1]
    seen = np.isfinite(keypoints).all(axis=2) & (confidence > 0) & (confidence >= settings.min_confidence)
    present = seen.sum(axis=1) >= settings.min_joints
    order = np.lexsort((tracks.frame, tracks.track))
    order = order[present[order]]
    ids, begins = np.unique(tracks.track[order], return_index=True)
    for track, rows in zip(ids, np.split(order, begins[1:]), strict=True) if len(order) else ():
        own = rows[np.unique(tracks.frame[rows], return_index=True)[1]]
        points = keypoints[own].astype(np.float64)
        missing = ~seen[own]
        points[missing] = np.nan
        points[missing, -1] = 0
        yield int(track), own, points


def resampled_segments(
    frames: NDArray[np.int32],
    time_s: NDArray[np.float64],
    points: NDArray[np.float64],
    settings: WindowSettings,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """The unbroken pieces of one track on the model's grid: frame numbers (G,), joints (G, V, D + 1), missing (G,).

    A grid frame is missing where the track skips frames of the clip and none of it lies within half a grid step. A
    piece of at least ``settings.shortest`` frames but fewer than a window has frames without joints put before it: they
    are not counted as missing, and the window ends with the piece.
    """
    at = time_s * settings.fps  # in grid steps
    later = forward(at)
    frames, at, points = frames[later], at[later], points[later]
    hole = (np.diff(frames) > 1) | (np.diff(at) > LONGEST_STEP_S * settings.fps)
    breaks = np.flatnonzero(hole & (np.diff(at) > settings.max_missing + 2)) + 1
    for rows in np.split(np.arange(len(at)), breaks):
        where, holes = at[rows], hole[rows[:-1]]
        # A frame stands for the half step around it, so that rounded timestamps do not cost a track its last frame.
        grid = np.arange(np.ceil(where[0] - 0.5), np.ceil(where[-1] + 0.5)).astype(np.int64)
        if len(rows) < 2 or len(grid) < (settings.shortest or settings.frames):
            continue
        values, before = interpolate(where, points[rows], grid)
        nearest = np.minimum(np.abs(grid - where[before]), np.abs(where[before + 1] - grid))
        gone = holes[before] & (nearest > 0.5)
        lacking = settings.frames - len(grid)
        if lacking > 0:
            grid = np.arange(grid[0] - lacking, grid[-1] + 1)
            nothing = np.full((lacking, *values.shape[1:]), np.nan)
            nothing[..., -1] = 0
            values, gone = np.concatenate([nothing, values]), np.concatenate([np.zeros(lacking, bool), gone])
        yield grid, values, gone


def nearest_rows(at: NDArray[np.float64], grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """(G,) which of the times (n,) in grid steps is nearest to each grid frame; halfway, the later one.

    The same that decides in `interpolate` where a joint is seen on one side only.
    """
    at = np.maximum.accumulate(at)
    after = (
        np.clip(np.searchsorted(at, grid), 1, len(at) - 1) if len(at) > 1 else np.zeros(len(grid), np.int64)
    )
    before = np.maximum(after - 1, 0)
    return np.where(grid - at[before] < at[after] - grid, before, after)


def forward(at: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the times (n,) come after the one before; broken containers repeat timestamps."""
    return np.concatenate([[True], np.diff(at) > 1e-6])


def interpolate(
    at: NDArray[np.float64], points: NDArray[np.float64], wanted: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Joints (n, V, D + 1) at rising times (n,), n >= 2, taken at ``wanted`` (G,): (G, V, D + 1).

    Between two frames lies the straight line; of a joint that is missing in one of them, the nearer frame decides. Also
    returns the row (G,) before each wanted time.
    """
    before = np.clip(np.searchsorted(at, wanted, side="right") - 1, 0, len(at) - 2)
    share = ((wanted - at[before]) / (at[before + 1] - at[before]))[:, None, None]
    a, b = points[before], points[before + 1]
    both = np.isfinite(a[..., :1]) & np.isfinite(b[..., :1])
    out = np.where(both, a + share * (b - a), np.where(share < 0.5, a, b))
    out[..., -1] = np.clip(out[..., -1], 0, 1)
    return out, before
