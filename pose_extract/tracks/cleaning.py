"""Clean tracks when they are read: fill gaps, remove outliers, smooth jitter, with no lag.

The cache keeps what the tracker gave; nothing here is ever written back. Everything works on a finite window of frames
on both sides, so that a slice of a long clip that is read with `CleaningSettings.context_frames` of margin comes out
exactly as it does within the whole clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.clip_time import apart, stretch_numbers, together
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.settings import CleaningSettings

_DOUBTFUL = 0.02  # most that joints which were not found weigh when they are smoothed
_INTERPOLATED = 0.5  # confidence of an interpolated joint, relative to the joints that it lies between


def clean_tracks(tracks: ClipTracks, settings: CleaningSettings) -> ClipTracks:
    """Mend the tracks of a clip, or of a slice of one.

    In this order: joints that jump away and back are taken out; missing joints and missing frames are interpolated
    linearly inside gaps of at most ``max_gap_s`` (new rows are added; interpolated joints have half the
    confidence of those around them); coordinates are smoothed by local linear regression with Gaussian weights times
    confidence, which leaves straight movement as it is up to the ends of a track; people who are found again after a
    longer time get the boxes of that time.

    Args:
        tracks: the tracker's rows.
        settings: what to do.

    Returns:
        A copy, rows ordered by frame, then by track. Joints that stay missing (a longer gap, a track's end) keep
        their confidence and their coordinates, these smoothed too; NaN coordinates stay, with confidence 0. Features
        become `FeatureRows` and are not read; rows that are added have those of the nearest row in time.
    """
    if not settings.enabled or len(tracks) == 0:
        return tracks
    gap = settings.gap_frames(tracks.fps)
    order = np.lexsort((tracks.frame, tracks.track))
    stretch = stretch_numbers(tracks.time_s, tracks.fps)
    hole = gap + 2  # nothing is filled across a hole in the clip's time
    frame, begins = apart(tracks.frame[order].astype(np.int64), stretch, hole)
    track = tracks.track[order]
    # One time axis for all tracks: pieces without longer gaps, one after the other, with empty frames in between.
    steps = np.diff(frame)
    new_piece = (np.diff(track) != 0) | (steps > gap + 1)
    between = gap + 2 + max(settings.smoothing_frames(tracks.fps), settings.outlier_frames(tracks.fps))
    at = np.concatenate([[0], np.cumsum(np.where(new_piece, between, steps))]) + between
    length = int(at[-1]) + between + 1

    keypoints = tracks.keypoints[order].astype(np.float64)
    coordinates, confidence = keypoints[..., :-1], np.nan_to_num(keypoints[..., -1])
    confidence = np.where(np.isfinite(coordinates).all(-1), confidence, 0.0)
    boxes = tracks.boxes[order].astype(np.float64)
    dense = _spread(coordinates, at, length)
    weight = _spread(confidence, at, length, empty=0.0)
    found = weight > max(settings.min_confidence, 1e-6)
    if settings.outlier_distance:
        side = _spread((boxes[:, 2:] - boxes[:, :2]).max(1), at, length)
        found &= ~_by_blocks(
            lambda d, f, s: _outliers(d, f, s, settings, tracks.fps),
            2 * settings.outlier_frames(tracks.fps),
            dense,
            found,
            side,
        )

    # Rows of the answer: those that were there, and the frames between two of them in one piece.
    present = np.zeros((length, 1), bool)
    present[at] = True
    before, after = (index[:, 0] for index in _neighbours(present))
    rows = np.flatnonzero((before >= 0) & (after < length) & (after - before <= gap + 1))
    source, following = np.searchsorted(at, before[rows]), np.searchsorted(at, after[rows])
    share = (rows - before[rows]) / np.maximum(after[rows] - before[rows], 1)
    out_frame = together(frame[source] + rows - before[rows], begins, hole)
    out_track = track[source]

    def between_rows(values: NDArray[Any]) -> NDArray[np.float64]:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        # Not a weighted sum where nothing is between: 0 times NaN is NaN.
        return np.where(part == 0, values[source], (1 - part) * values[source] + part * values[following])

    # Rows that are added take over even the joints that nobody is sure of, in case no better ones are near.
    dense[rows] = between_rows(coordinates)
    added = ~present[rows, 0]
    weight[rows[added]] = _INTERPOLATED * np.minimum(confidence[source], confidence[following])[added]
    dense, weight, filled = _interpolate(dense, weight, found, gap)
    if settings.smooth_s:
        trust = np.where(found | filled, weight, np.minimum(weight, _DOUBTFUL))
        trust[np.isfinite(dense).all(-1) & (trust == 0)] = _DOUBTFUL * 0.1
        smooth = _by_blocks(
            lambda d, t: _smooth(d, t, settings, tracks.fps),
            settings.smoothing_frames(tracks.fps),
            dense,
            trust,
        )
        dense = np.where(trust[..., None] > 0, smooth, dense)

    result = np.concatenate([dense[rows], weight[rows][..., None]], -1).astype(np.float32)
    final = np.lexsort((out_track, out_frame))
    mended = replace(
        tracks,
        frame=out_frame[final].astype(np.int32),
        track=out_track[final],
        keypoints=result[final],
        boxes=between_rows(boxes)[final].astype(np.float32),
        features=None
        if tracks.features is None
        else FeatureRows.from_array(tracks.features)[order[np.where(share < 0.5, source, following)[final]]],
    )
    return _bridge(mended, settings.hidden_frames(tracks.fps), stretch)


def _bridge(tracks: ClipTracks, most: int, stretch: NDArray[np.int64]) -> ClipTracks:
    """Add the rows of people hidden for at most ``most`` frames: boxes in between, joints with confidence 0."""
    order = np.lexsort((tracks.frame, tracks.track))
    track = tracks.track[order]
    frame, begins = apart(tracks.frame[order].astype(np.int64), stretch, most + 2)
    missing = np.where(np.diff(track) == 0, np.diff(frame) - 1, 0)
    missing[missing > most] = 0
    source = np.repeat(np.arange(len(missing)), missing)
    if len(source) == 0:
        return tracks
    step = np.arange(len(source)) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    share = step / (missing[source] + 1)

    def with_hidden(values: NDArray[Any]) -> NDArray[Any]:
        a, b = values[order[source]], values[order[source + 1]]
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.concatenate([values, ((1 - part) * a + part * b).astype(values.dtype)])[final]

    hidden = together(frame[source] + step, begins, most + 2)
    out_frame = np.concatenate([tracks.frame, hidden]).astype(np.int32)
    out_track = np.concatenate([tracks.track, track[source]])
    final = np.lexsort((out_track, out_frame))
    keypoints, boxes = with_hidden(tracks.keypoints), with_hidden(tracks.boxes)
    keypoints[final >= len(tracks), :, -1] = 0.0
    return replace(
        tracks,
        frame=out_frame[final],
        track=out_track[final],
        keypoints=keypoints,
        boxes=boxes,
        features=None
        if tracks.features is None
        else FeatureRows.from_array(tracks.features)[
            np.concatenate([np.arange(len(tracks)), order[source]])[final]
        ],
    )


def _spread(
    values: NDArray[Any], at: NDArray[np.int64], length: int, empty: float = np.nan
) -> NDArray[np.float64]:
    """Rows put at their places on the common time axis, ``empty`` elsewhere."""
    out = np.full((length, *values.shape[1:]), empty)
    out[at] = values
    return out


def _neighbours(found: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the nearest found entry at or before, and at or after, each entry of (L, V); -1 and L where none."""
    length = len(found)
    index = np.arange(length)[:, None]
    before = np.maximum.accumulate(np.where(found, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(found, index, length)[::-1], axis=0)[::-1]
    return before, after


def _by_blocks(function: Callable[..., NDArray[Any]], radius: int, *arrays: NDArray[Any]) -> NDArray[Any]:
    """``function`` of arrays over L, block by block so that it works within the processor's cache.

    Each of its entries may depend on ``radius`` entries on both sides.
    """
    length, size, parts = len(arrays[0]), 2048, []
    for start in range(0, length, size):
        low, high = max(0, start - radius), min(length, start + size + radius)
        part = function(*(array[low:high] for array in arrays))
        parts.append(part[start - low : start - low + size])
    return np.concatenate(parts)


def _outliers(
    dense: NDArray[np.float64],
    found: NDArray[np.bool_],
    side: NDArray[np.float64],
    settings: CleaningSettings,
    fps: float,
) -> NDArray[np.bool_]:
    """Joints (L, V) that lie away from their median over time, beyond what their own movement explains."""
    radius = settings.outlier_frames(fps)
    values = np.where(found[..., None], dense, np.nan).astype(np.float32)
    centre = _running_median(values, radius)
    distance = np.linalg.norm(values - centre, axis=-1)
    # A joint in full swing is far from its median too, but so are its neighbours in time.
    usual = _running_median(distance[..., None], radius)[..., 0]
    with np.errstate(invalid="ignore"):
        return distance > np.maximum(settings.outlier_distance * side[:, None], 3.0 * usual)


def _running_median(values: NDArray[Any], radius: int) -> NDArray[np.float32]:
    """Median of (L, V, C) over a window of 2 radius + 1 entries of L, NaN left out; NaN where all are."""
    window, length = 2 * radius + 1, len(values)
    stack = np.full((window, *values.shape), np.nan, np.float32)
    for k in range(window):
        low, high = max(0, radius - k), min(length, length + radius - k)
        stack[k, low:high] = values[low + k - radius : high + k - radius]
    stack.sort(axis=0)  # NaN last
    count = np.isfinite(stack).sum(0, dtype=np.int32)
    lower = np.take_along_axis(stack, np.maximum(count - 1, 0)[None] // 2, 0)[0]
    upper = np.take_along_axis(stack, np.minimum(count // 2, window - 1)[None], 0)[0]
    return np.where(count > 0, (lower + upper) / 2, np.float32(np.nan))


def _interpolate(
    dense: NDArray[np.float64], weight: NDArray[np.float64], found: NDArray[np.bool_], gap: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Fill what was not found between two found entries at most ``gap`` missing ones apart."""
    before, after = _neighbours(found)
    filled = ~found & (before >= 0) & (after < len(found)) & (after - before <= gap + 1)
    entry, joint = np.nonzero(filled)
    a, b = before[entry, joint], after[entry, joint]
    share = ((entry - a) / (b - a))[:, None]
    dense, weight = dense.copy(), weight.copy()
    dense[entry, joint] = (1 - share) * dense[a, joint] + share * dense[b, joint]
    weight[entry, joint] = _INTERPOLATED * np.minimum(weight[a, joint], weight[b, joint])
    return dense, weight, filled


def _smooth(
    dense: NDArray[np.float64], weight: NDArray[np.float64], settings: CleaningSettings, fps: float
) -> NDArray[np.float64]:
    """Local linear regression over time at each entry of (L, V, C), weights Gaussian times ``weight`` (L, V)."""
    radius = settings.smoothing_frames(fps)
    values = np.where(weight[..., None] > 0, dense, 0.0)
    length = len(values)
    padded_weight = np.pad(weight, ((radius, radius), (0, 0)))
    padded = np.pad(values, ((radius, radius), (0, 0), (0, 0)))
    s0, s1, s2 = (np.zeros_like(weight) for _ in range(3))
    t0, t1 = np.zeros_like(values), np.zeros_like(values)
    for k in range(-radius, radius + 1):
        part = padded_weight[radius + k : radius + k + length] * np.exp(
            -0.5 * (k / (settings.smooth_s * fps)) ** 2
        )
        product = part[..., None] * padded[radius + k : radius + k + length]
        s0 += part
        s1 += k * part
        s2 += k * k * part
        t0 += product
        t1 += k * product
    # With a single sample in reach the regression has no slope: then its value is that sample.
    determinant = s0 * s2 - s1 * s1
    sloped = determinant > 1e-9 * np.maximum(s0 * s2, 1e-30)
    line = (s2[..., None] * t0 - s1[..., None] * t1) / np.where(sloped, determinant, 1.0)[..., None]
    return np.where(sloped[..., None], line, t0 / np.maximum(s0, 1e-30)[..., None])
