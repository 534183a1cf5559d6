"""Normalise windows of joints: fill in missing joints, take out the body's place and size (paper, supplement)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.settings import WindowSettings
from pose_extract.skeletons.stature import fit_figure, mean_place, standing_figure

FloatArray = NDArray[np.float32]
IN_PIXELS = ("body", "stature")  # scales that make the frame's size irrelevant


def in_frames(
    points: NDArray[np.float64], frame_size: tuple[int, int], settings: WindowSettings
) -> NDArray[np.float64]:
    """Joints (..., D + 1) in frame sizes, -1..1, unless they are 3-D or the scale is the body's; 0 where missing."""
    out = points.copy()
    if not settings.depth and settings.scale not in IN_PIXELS:
        out[..., :-1] = 2 * points[..., :-1] / np.asarray(frame_size, np.float64) - 1
    out[~np.isfinite(points).all(axis=-1)] = 0
    return out


def normalise(points: FloatArray, settings: WindowSettings) -> FloatArray:
    """Joints (N, T, V, D + 1) of windows, 0 where missing -> (N, C, T, V), missing joints filled in.

    The window's mean over time and joints is subtracted: where a person is in the frame says nothing about what they
    do. Two people in one window have one mean and one scale, so that they stay as near to each other as they were.
    """
    x = np.ascontiguousarray(points.transpose(0, 3, 1, 2))
    where, seen = x[:, :-1], x[:, -1] > 0
    frames = x.shape[2]
    if settings.scale == "stature":
        fitted = fit_figure(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), settings.person)
    known = np.asarray(seen.any(axis=1))  # (N, V), joints that the window has at all
    gaps = known & ~seen.all(axis=1)
    if gaps.any():
        where.transpose(0, 3, 1, 2)[gaps] = fill(
            where.transpose(0, 3, 1, 2)[gaps], seen.transpose(0, 2, 1)[gaps]
        )
    if settings.scale == "stature":
        _stand(where, known, *fitted, settings)
        return x if settings.confidence else np.ascontiguousarray(where)
    count = np.maximum(known.sum(axis=1), 1).astype(np.float32)
    where -= (where.sum(axis=(2, 3)) / (frames * count)[:, None])[..., None, None]
    if not known.all():
        where *= known[:, None, None, :]  # a joint that the whole window lacks lies at the body's centre
    if settings.scale == "largest":
        where /= np.maximum(np.abs(where).max(axis=(1, 2, 3), keepdims=True), 1e-6)
    elif settings.scale == "body":
        where /= np.maximum(_body_size(where, known, settings.people), 1e-6)[:, None, None, None]
    return x if settings.confidence else np.ascontiguousarray(where)


def smooth_joints(points: FloatArray, sigma: float) -> FloatArray:
    """Smooth joints (N, T, V, D + 1) over time by a Gaussian of ``sigma`` frames; what is missing (0) stays it.

    Weights are those of the frames that a joint is seen in: nothing outside the window counts.
    """
    now = np.arange(points.shape[1], dtype=np.float32)
    kernel = np.exp(-0.5 * np.square((now[:, None] - now) / np.float32(sigma)))
    seen = (points[..., -1:] > 0).astype(np.float32)
    weighted = np.concatenate([points[..., :-1] * seen, seen], axis=-1)
    flat = np.matmul(kernel, weighted.reshape(*points.shape[:2], -1)).reshape(weighted.shape)
    out = points.copy()
    out[..., :-1] = seen * flat[..., :-1] / np.maximum(flat[..., -1:], 1e-9)
    return out


def _stand(
    where: FloatArray,
    known: NDArray[np.bool_],
    stature: FloatArray,
    place: FloatArray,
    settings: WindowSettings,
) -> None:
    """Put joints (N, 2, T, V) about the middle of the trunk, in statures; what a window lacks is where it stands.

    Args:
        where: in pixels, filled in along time; changed in place.
        known: (N, V) joints that the window has at all.
        stature: (N,) in pixels.
        place: (N, T, 2) middle of the trunk, NaN in frames without joints.
        settings: of the windows.
    """
    where -= mean_place(place).astype(np.float32)[:, :, None, None]
    where /= stature[:, None, None, None]
    if not known.all():
        figure = np.nan_to_num(standing_figure(settings.person)).T[None, :, None]
        np.copyto(where, figure, where=~known[:, None, None, :])


def _body_size(where: FloatArray, known: NDArray[np.bool_], people: int) -> FloatArray:
    """(N,) root mean square distance of joints (N, D, T, V) from their person's centre in the frame.

    The same standing, bent and lying.
    """
    n, dims, frames, joints = where.shape
    each = where.reshape(n, dims, frames, people, joints // people)
    known = known.reshape(n, 1, 1, people, joints // people)
    centre = each.sum(axis=4, keepdims=True) / np.maximum(known.sum(axis=4, keepdims=True), 1).astype(
        np.float32
    )
    spread = np.square(each - centre) * known
    count = np.maximum(frames * known.sum(axis=(1, 2, 3, 4)), 1).astype(np.float32)
    return np.sqrt(spread.sum(axis=(1, 2, 3, 4)) / count)


def fill(where: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
    """Put joints on the straight line in time between the frames around that they are seen in.

    Beyond its first and last sight a joint is held.

    Args:
        where: (J, D, T) joints, each over the time of its window.
        seen: (J, T), at least once each.
    """
    count, dims, length = where.shape
    now = np.arange(length)
    before = np.maximum.accumulate(np.where(seen, now, -1), axis=1)
    after = np.minimum.accumulate(np.where(seen, now, length)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == length, before, after)
    share = ((now - before) / np.maximum(after - before, 1)).astype(np.float32)
    flat = where.transpose(1, 0, 2).reshape(dims, -1)  # quicker to pick from than along an axis
    row = np.arange(count)[:, None] * length
    a, b = (flat[:, (row + at).ravel()].reshape(dims, count, length) for at in (before, after))
    return np.where(before == after, a, a + share * (b - a)).transpose(1, 0, 2)
