"""Put abnormal motions into real normal tracks: what parts of the score are weighed by, where there are no labels.

In each clip the motion of a few people, for at most four seconds, is replaced by something that nobody did there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import Skeleton, get_skeleton
from pose_extract.tracks.records import ClipTracks

_LONGEST_S, _SHORTEST_S = 4.0, 0.8  # of a replaced stretch
_EVERY_S = 5.0  # of a clip for each person that is changed

Points = NDArray[np.float64]  # (T, V, 2) in pixels, NaN where missing


@dataclass(frozen=True)
class Track:
    """A person's stretch of frames that is to be changed.

    Attributes:
        points: (T, V, 2) joints in pixels, NaN where missing.
        other: (T', V, 2) somebody else's.
        skeleton: whose joints they are.
        fps: frames a second.
    """

    points: Points
    other: Points
    skeleton: Skeleton
    fps: float

    def joints(self, *kinds: str) -> list[int]:
        """The joints that are called so, left and right: "wrist", "hip", ..."""
        return [i for i, name in enumerate(self.skeleton.joints) if name.rpartition("_")[2] in kinds]

    def side(self, side: str, *kinds: str) -> list[int]:
        """The joints of one side, one of each kind."""
        return [self.skeleton.joints.index(f"{side}_{kind}") for kind in kinds]

    def centre(self, points: Points) -> Points:
        """(T, 2) mean of shoulders and hips, or of what is seen."""
        trunk = _mean(points[:, self.joints("shoulder", "hip")])
        return np.where(np.isfinite(trunk), trunk, _mean(points))

    @property
    def way(self) -> Points:
        """(T, 2) the centre over time."""
        return self.centre(self.points)


Change = Callable[[Track, np.random.Generator], Points]


def _turn(vectors: Points, angle: float | NDArray[np.float64]) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _fast(track: Track, rng: np.random.Generator) -> Points:
    at = np.arange(0, len(track.points) - 1, rng.uniform(1.7, 2.5))
    low, share = at.astype(int), (at % 1)[:, None, None]
    return track.points[low] * (1 - share) + track.points[low + 1] * share


def _glide(track: Track, rng: np.random.Generator) -> Points:
    half = len(track.points) // 2
    return (track.points[half] - track.way[half]) + track.way[:, None]


def _backwards(track: Track, rng: np.random.Generator) -> Points:
    return track.points[::-1]


def _swapped(track: Track, rng: np.random.Generator) -> Points:
    kinds = ("shoulder", "elbow", "wrist") if rng.random() < 0.5 else ("hip", "knee", "ankle")
    limbs = track.joints(*kinds)
    order = [track.skeleton.mirror[j] if j in limbs else j for j in range(track.skeleton.num_joints)]
    return track.points[:, order]


def _other(track: Track, rng: np.random.Generator) -> Points:
    """Another person's pose, looking the way that this one goes, as long as that one is seen."""
    count = min(len(track.other), len(track.points))
    pose = (track.other - track.centre(track.other)[:, None])[:count]
    if _goes(track.centre(track.other)) != _goes(track.way):
        pose = pose[:, list(track.skeleton.mirror)] * np.array([-1, 1])
    return pose * (_height(track.points) / _height(track.other)) + track.way[:count, None]


def _turned(track: Track, rng: np.random.Generator) -> Points:
    way = track.way
    turned = _turn(way - way[:1], rng.choice([-1, 1]) * rng.uniform(1.2, np.pi))
    return track.points - way[:, None] + (way[:1] + turned)[:, None]


def _elsewhere(track: Track, rng: np.random.Generator) -> Points:
    scale = rng.uniform(0.5, 0.75) if rng.random() < 0.5 else rng.uniform(1.35, 1.8)
    away = rng.uniform([-2.0, -0.5], [2.0, 0.5]) * _height(track.points)
    return (track.points - track.way[:, None]) * scale + (track.way + away)[:, None]


def _jumping(track: Track, rng: np.random.Generator) -> Points:
    seconds = np.arange(len(track.points)) / track.fps
    up = np.abs(np.sin(np.pi * seconds / rng.uniform(0.4, 0.72))) * rng.uniform(0.15, 0.35)
    return track.points - np.stack([np.zeros_like(up), up * _height(track.points)], axis=1)[:, None]


def _arms(track: Track, rng: np.random.Generator) -> Points:
    out, points = track.points.copy(), track.points
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(len(points)) / track.fps / rng.uniform(0.48, 1.2))
    for side in ("left", "right"):
        shoulder, elbow, wrist = track.side(side, "shoulder", "elbow", "wrist")
        angle = rng.uniform(1.5, 3) * beat * rng.choice([-1, 1])
        for joint in (elbow, wrist):
            out[:, joint] = points[:, shoulder] + _turn(points[:, joint] - points[:, shoulder], angle)
    return out


def _bent(track: Track, rng: np.random.Generator) -> Points:
    out, hips = track.points.copy(), _mean(track.points[:, track.joints("hip")])
    legs = track.joints("hip", "knee", "ankle")
    upper = [j for j in range(track.skeleton.num_joints) if j not in legs]
    angle = rng.choice([-1, 1]) * rng.uniform(0.7, 1.4)
    out[:, upper] = hips[:, None] + _turn(track.points[:, upper] - hips[:, None], angle)
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


def inject(
    clips: list[ClipTracks], seed: int = 0, kinds: tuple[str, ...] = tuple(CHANGES)
) -> tuple[list[ClipTracks], list[NDArray[np.int64]]]:
    """Put abnormal motions into normal clips.

    Args:
        clips: normal ones, of one skeleton.
        seed: of who is changed, when and how.
        kinds: out of `CHANGES`, in turn, from one that the seed decides.

    Returns:
        The clips in which some people do something abnormal, and (M,) of the rows of each what was done to them: 0, or
        1 + the number of one of ``kinds``.
    """
    rng = np.random.default_rng(seed)
    pool = [points for clip in clips for _, points in _long_tracks(clip)]
    made, turn = [], int(rng.integers(len(kinds)))
    for clip in clips:
        made.append(_inject(clip, pool, kinds, turn, rng))
        turn += _wanted(clip)
    return [clip for clip, _ in made], [mask for _, mask in made]


def frames_of(clip: ClipTracks, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(F,) what was done to somebody in each frame: the highest of its rows' numbers (M,)."""
    out = np.zeros(clip.frame_count, np.int64)
    np.maximum.at(out, clip.frame, rows)
    return out


def _wanted(clip: ClipTracks) -> int:
    return max(1, int(clip.frame_count / (_EVERY_S * clip.fps)))


def _inject(
    clip: ClipTracks, pool: list[Points], kinds: tuple[str, ...], turn: int, rng: np.random.Generator
) -> tuple[ClipTracks, NDArray[np.int64]]:
    long = _long_tracks(clip)
    keypoints, keep = clip.keypoints.copy(), np.ones(len(clip), bool)
    done = np.zeros(len(clip), np.int64)
    wanted = min(_wanted(clip), len(long))
    for i, number in enumerate(rng.choice(len(long), wanted, replace=False) if wanted else ()):
        kind = (turn + i) % len(kinds)
        rows, points = long[number]
        count = min(len(rows), round(_LONGEST_S * clip.fps))
        begin = int(rng.integers(0, len(rows) - count + 1))
        rows, points = rows[begin : begin + count], points[begin : begin + count]
        other = pool[int(rng.integers(len(pool)))]
        changed = CHANGES[kinds[kind]](Track(points, other, get_skeleton(clip.skeleton), clip.fps), rng)
        keep[rows[len(changed) :]] = False
        rows = rows[: len(changed)]
        seen = np.all(np.isfinite(changed), axis=2)
        confidence = clip.keypoints[rows, :, 2]
        usual = np.max(
            confidence, axis=1, keepdims=True
        )  # of joints that this person lacks and the other had
        keypoints[rows, :, :2] = np.where(seen[..., None], changed, 0)
        keypoints[rows, :, 2] = np.where(seen, np.where(confidence > 0, confidence, usual), 0)
        keep[rows[~np.any(seen, axis=1)]] = False
        done[rows] = 1 + kind
    kept = {name: getattr(clip, name)[keep] for name in ("frame", "track", "boxes")}
    return replace(clip, keypoints=keypoints[keep], features=None, **kept), done[keep]


def _long_tracks(clip: ClipTracks) -> list[tuple[NDArray[np.int64], Points]]:
    """Rows and joints (T, V, 2) of the clip's people who are seen for long enough."""
    out = []
    for track in np.unique(clip.track):
        rows = np.flatnonzero(clip.track == track)
        if len(rows) >= _SHORTEST_S * clip.fps:
            points = clip.keypoints[rows, :, :2].astype(np.float64)
            points[clip.keypoints[rows, :, 2] == 0] = np.nan
            out.append((rows, points))
    return out


def _goes(way: Points) -> bool:
    """Whether a way (T, 2) leads to the right, all in all."""
    steps = np.diff(way[np.isfinite(way).all(axis=1), 0])
    return bool(steps.sum() > 0)


def _mean(points: Points) -> Points:
    """(T, 2) mean of the joints (T, n, 2) that are seen; NaN where none is."""
    seen = np.all(np.isfinite(points), axis=2, keepdims=True)
    total = np.where(seen, points, 0).sum(axis=1)
    return np.where(np.any(seen, axis=1), total / np.maximum(np.sum(seen, axis=1), 1), np.nan)


def _height(points: Points) -> float:
    """Median extent from top to bottom, in pixels."""
    y = points[..., 1][np.isfinite(points[..., 1]).any(axis=1)]
    return max(float(np.median(np.nanmax(y, axis=1) - np.nanmin(y, axis=1))), 8.0) if len(y) else 8.0
