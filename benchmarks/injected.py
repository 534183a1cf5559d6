"""Abnormal motions put into real normal tracks: what to choose settings by where test labels are not for choosing.

In each clip the motion of a few people, for at most four seconds, is replaced by something that nobody did there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.records import ClipTracks

LONGEST, SHORTEST = 100, 20  # frames of a replaced stretch
EVERY = 125  # frames of a clip for each person that is changed

Points = NDArray[np.float64]  # (T, 17, 2) in pixels, NaN where missing
Change = Callable[[Points, Points, float, Points, np.random.Generator], Points]


def _turn(vectors: Points, angle: float | NDArray[np.float64]) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _fast(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    at = np.arange(0, len(points) - 1, rng.uniform(1.7, 2.5))
    low, share = at.astype(int), (at % 1)[:, None, None]
    return points[low] * (1 - share) + points[low + 1] * share


def _glide(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    pose = points[len(points) // 2] - centre[len(points) // 2]
    return pose + centre[:, None]


def _backwards(
    points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator
) -> Points:
    return points[::-1]


def _swapped(
    points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator
) -> Points:
    skeleton = get_skeleton("coco17")
    limbs = ("shoulder", "elbow", "wrist") if rng.random() < 0.5 else ("hip", "knee", "ankle")
    order = [
        skeleton.mirror[j] if name.rpartition("_")[2] in limbs else j
        for j, name in enumerate(skeleton.joints)
    ]
    return points[:, order]


def _other(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    place, tall = _centre(other), _height(other)
    pose = (other - place[:, None]) * (height / tall)
    return pose[np.arange(len(points)) % len(pose)] + centre[:, None]


def _turned(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    way = _turn(centre - centre[:1], rng.choice([-1, 1]) * rng.uniform(1.2, np.pi))
    return points - centre[:, None] + (centre[:1] + way)[:, None]


def _elsewhere(
    points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator
) -> Points:
    scale = rng.uniform(0.5, 0.75) if rng.random() < 0.5 else rng.uniform(1.35, 1.8)
    away = rng.uniform([-250, -60], [250, 60])
    return (points - centre[:, None]) * scale + (centre + away)[:, None]


def _jumping(
    points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator
) -> Points:
    up = (
        np.abs(np.sin(np.pi * np.arange(len(points)) / rng.uniform(10, 18)))
        * rng.uniform(0.15, 0.35)
        * height
    )
    return points - np.stack([np.zeros_like(up), up], axis=1)[:, None]


def _arms(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    out, beat = points.copy(), 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(len(points)) / rng.uniform(12, 30))
    for shoulder, elbow, wrist in ((5, 7, 9), (6, 8, 10)):
        angle = rng.uniform(1.5, 3) * beat * rng.choice([-1, 1])
        for joint in (elbow, wrist):
            out[:, joint] = points[:, shoulder] + _turn(points[:, joint] - points[:, shoulder], angle)
    return out


def _bent(points: Points, centre: Points, height: float, other: Points, rng: np.random.Generator) -> Points:
    out, hips = points.copy(), np.nanmean(points[:, [11, 12]], axis=1)
    out[:, :11] = hips[:, None] + _turn(
        points[:, :11] - hips[:, None], rng.choice([-1, 1]) * rng.uniform(0.7, 1.4)
    )
    return out


CHANGES: dict[str, Change] = {
    "fast": _fast,  # 1.7 to 2.5 times as fast
    "glide": _glide,  # a frozen pose that moves on
    "backwards": _backwards,
    "swapped": _swapped,  # left and right arm, or leg
    "other": _other,  # another person's pose on this one's way
    "turned": _turned,  # the way turned by 70 to 180 degrees
    "elsewhere": _elsewhere,  # larger or smaller, and somewhere else
    "jumping": _jumping,
    "arms": _arms,  # thrown about
    "bent": _bent,  # at the hips
}


def inject(clips: list[ClipTracks], seed: int = 0) -> tuple[list[ClipTracks], list[NDArray[np.int64]]]:
    """Clips in which some people do something abnormal, and (F,) what: 0, or 1 + the number of one of `CHANGES`."""
    rng = np.random.default_rng(seed)
    pool = [points for clip in clips for _, points in _long_tracks(clip, 24)]
    made, turn = [], 0
    for clip in clips:
        made.append(_inject(clip, pool, turn, rng))
        turn += max(1, clip.frame_count // EVERY)
    return [clip for clip, _ in made], [mask for _, mask in made]


def _inject(
    clip: ClipTracks, pool: list[Points], turn: int, rng: np.random.Generator
) -> tuple[ClipTracks, NDArray[np.int64]]:
    changes = list(CHANGES.values())
    long = _long_tracks(clip, SHORTEST)
    wanted = min(max(1, clip.frame_count // EVERY), len(long))
    keypoints, keep = clip.keypoints.copy(), np.ones(len(clip), bool)
    mask = np.zeros(clip.frame_count, np.int64)
    for i, number in enumerate(rng.choice(len(long), wanted, replace=False) if wanted else ()):
        kind = (turn + i) % len(changes)
        rows, points = long[number]
        count = min(len(rows), LONGEST)
        begin = int(rng.integers(0, len(rows) - count + 1))
        rows, points = rows[begin : begin + count], points[begin : begin + count]
        other = pool[int(rng.integers(len(pool)))]
        changed = changes[kind](points, _centre(points), _height(points), other, rng)
        keep[rows[len(changed) :]] = False
        rows = rows[: len(changed)]
        seen = np.isfinite(changed).all(axis=2, keepdims=True)
        keypoints[rows] = np.concatenate([np.where(seen, changed, 0), seen], axis=2)
        keep[rows[~np.any(seen, axis=(1, 2))]] = False
        mask[clip.frame[rows]] = 1 + kind
    kept = {name: getattr(clip, name)[keep] for name in ("frame", "track", "boxes")}
    return replace(clip, keypoints=keypoints[keep], **kept), mask


def _long_tracks(clip: ClipTracks, shortest: int) -> list[tuple[NDArray[np.int64], Points]]:
    """Rows and joints (T, 17, 2) of the clip's people who are seen in so many frames."""
    out = []
    for track in np.unique(clip.track):
        rows = np.flatnonzero(clip.track == track)
        if len(rows) >= shortest:
            points = clip.keypoints[rows, :, :2].astype(np.float64)
            points[clip.keypoints[rows, :, 2] == 0] = np.nan
            out.append((rows, points))
    return out


def _centre(points: Points) -> Points:
    """(T, 2) mean of shoulders and hips, or of what is seen."""
    trunk, whole = (np.nanmean(points[:, joints], axis=1) for joints in ([5, 6, 11, 12], slice(None)))
    return np.where(np.isfinite(trunk), trunk, whole)


def _height(points: Points) -> float:
    """Median extent from top to bottom, in pixels."""
    return max(
        float(np.nanmedian(np.nanmax(points[..., 1], axis=1) - np.nanmin(points[..., 1], axis=1))), 8.0
    )
