"""From tracks to windows: resampling, gaps, missing joints, normalisation (paper, section 3.1; supplement)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError, ModelError
from pose_extract.records import ClipTracks
from pose_extract.skeletons import COCO17, COCO18, Skeleton, get_skeleton

FEATURES = {"xyc": 3, "xy": 2, "xyz": 3}
SCALES = ("none", "largest", "body")
_LONGEST_STEP_S = 0.25  # consecutive frames farther apart than this are a hole in a track as well


@dataclass(frozen=True)
class WindowSettings:
    """How tracks become windows; the defaults are the published ones.

    Attributes:
        skeleton: joints of the model. Tracks in "coco17" are converted to "coco18" by a neck between the shoulders.
        features: channels of a joint: "xyc" (x, y, confidence), "xy", or "xyz" for 3-D joints.
        frames: T, frames of a window.
        fps: the model's frame rate; tracks are resampled to it.
        train_stride: frames from one training window of a person to the next.
        score_stride: the same when scoring.
        max_missing: at most this many of a window's frames may be missing from its track.
        min_confidence: a joint below this confidence counts as missing.
        min_joints: a person with fewer joints than this in a frame counts as missing from that frame.
        min_certainty: a window whose joints have a mean confidence below this is left out, in training and in scoring:
            what is hardly seen, at the frame's edge or where nobody is, would look most abnormal of all.
        scale: "none" (the frame's size is 2 units, the paper's form), "largest" (a window's largest coordinate is 1) or
            "body" (joints lie 1 unit from the body's centre on the whole, whatever the distance to the camera).
    """

    skeleton: str = "coco18"
    features: str = "xyc"
    frames: int = 12
    fps: float = 24.0
    train_stride: int = 8
    score_stride: int = 1
    max_missing: int = 2
    min_confidence: float = 0.0
    min_joints: int = 1
    min_certainty: float = 0.0
    scale: str = "none"

    def __post_init__(self) -> None:
        get_skeleton(self.skeleton)
        if self.features not in FEATURES:
            raise ConfigError(f"windows: expected features out of {tuple(FEATURES)}, got {self.features!r}")
        if self.scale not in SCALES:
            raise ConfigError(f"windows: expected a scale out of {SCALES}, got {self.scale!r}")
        if not 2 <= self.frames <= 1000 or not 0 < self.fps <= 1000:
            raise ConfigError(
                f"windows: expected 2 to 1000 frames at a frame rate of up to 1000, got {self.frames} at {self.fps}"
            )
        if self.train_stride < 1 or self.score_stride < 1:
            raise ConfigError(
                f"windows: expected strides of 1 or above, got {self.train_stride} and {self.score_stride}"
            )
        if not 0 <= self.max_missing <= self.frames - 2:
            raise ConfigError(
                f"windows: expected max_missing of 0 to {self.frames - 2}, got {self.max_missing}"
            )
        if (
            not 0 <= self.min_confidence < 1
            or not 1 <= self.min_joints <= get_skeleton(self.skeleton).num_joints
        ):
            raise ConfigError(
                "windows: expected a min_confidence of at least 0 and below 1 and min_joints of 1 to V, got "
                f"{self.min_confidence} and {self.min_joints}"
            )

        if not 0 <= self.min_certainty < 1:
            raise ConfigError(
                f"windows: expected a min_certainty of at least 0 and below 1, got {self.min_certainty}"
            )

    @property
    def channels(self) -> int:
        """C, features of a joint."""
        return FEATURES[self.features]

    @property
    def duration_s(self) -> float:
        """Seconds from a window's first frame to its last."""
        return (self.frames - 1) / self.fps


@dataclass(frozen=True)
class Windows:
    """Windows of one clip's tracks, ordered by track, then by time.

    Attributes:
        x: (N, C, T, V) float32, normalised.
        track: (N,) id of the person.
        first: (N,) int64, number of the first frame on the model's grid, whose frame k lies at k / fps seconds.
        fps: frame rate of the grid.
    """

    x: NDArray[np.float32]
    track: NDArray[np.int32]
    first: NDArray[np.int64]
    fps: float

    def __len__(self) -> int:
        return len(self.x)

    @property
    def start_s(self) -> NDArray[np.float64]:
        """(N,) time of each window's first frame in seconds."""
        return self.first / self.fps

    @property
    def end_s(self) -> NDArray[np.float64]:
        """(N,) time of each window's last frame in seconds."""
        return (self.first + self.x.shape[2] - 1) / self.fps


def make_windows(tracks: ClipTracks, settings: WindowSettings, stride: int) -> Windows:
    """Cut a clip's tracks into normalised windows.

    Every track is resampled by linear interpolation to a grid that counts from the clip's time 0, so a part of a clip
    gives the windows that the whole clip gives there. A window starts at every grid frame that ``stride`` divides;
    besides, each unbroken piece of a track has one at its very start and one at its very end, so that a track of T
    frames gives a window whatever the stride.

    Raises:
        ModelError: if the tracks' skeleton cannot be turned into the settings'.
    """
    keypoints = convert_skeleton(tracks, settings)
    xs, ids, firsts = [], [], []
    for track, frames, points in _people(tracks, keypoints, settings):
        for grid, values, missing in _resample(frames, tracks.time_s[frames], points, settings):
            starts = _starts(grid, missing, settings, stride)
            picked = values[(starts - grid[0])[:, None] + np.arange(settings.frames)]
            certain = picked[..., -1].mean(axis=(1, 2)) >= settings.min_certainty
            starts, picked = starts[certain], picked[certain]
            if len(starts):
                xs.append(_normalise(picked, tracks.frame_size, settings))
                ids.append(np.full(len(starts), track, np.int32))
                firsts.append(starts)
    joints = get_skeleton(settings.skeleton).num_joints
    empty = np.zeros((0, settings.channels, settings.frames, joints), np.float32)
    return Windows(
        np.concatenate([empty, *xs]),
        np.concatenate([np.zeros(0, np.int32), *ids]),
        np.concatenate([np.zeros(0, np.int64), *firsts]),
        settings.fps,
    )


def convert_skeleton(tracks: ClipTracks, settings: WindowSettings) -> NDArray[np.float32]:
    """The tracks' keypoints (M, V, 3 or 4) in the joints and dimensions that the model wants."""
    depth = tracks.keypoints.shape[2] == 4
    if depth != (settings.features == "xyz"):
        raise ModelError(
            f"clip {tracks.clip}: its joints are {'3' if depth else '2'}-D, but the model's features are "
            f"{settings.features!r}; set windows.features to {'xyz' if depth else 'xyc'} and train again"
        )
    if tracks.skeleton == settings.skeleton:
        return tracks.keypoints
    if (tracks.skeleton, settings.skeleton) != (COCO17.name, COCO18.name):
        raise ModelError(
            f"clip {tracks.clip}: its tracks follow skeleton {tracks.skeleton!r}, the model {settings.skeleton!r}; "
            "use a model that was trained on the same skeleton, or set windows.skeleton and train again"
        )
    return _with_neck(tracks.keypoints, COCO17, COCO18)


def _with_neck(keypoints: NDArray[np.float32], source: Skeleton, target: Skeleton) -> NDArray[np.float32]:
    """COCO-17 in COCO-18's order; the neck lies between the shoulders and is as certain as the less certain one."""
    left, right = (keypoints[:, source.index[f"{side}_shoulder"]] for side in ("left", "right"))
    neck = (left + right) / 2
    neck[:, -1] = np.minimum(left[:, -1], right[:, -1])
    columns = [neck if joint == "neck" else keypoints[:, source.index[joint]] for joint in target.joints]
    return np.stack(columns, axis=1)


def _people(
    tracks: ClipTracks, keypoints: NDArray[np.float32], settings: WindowSettings
) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float64]]]:
    """Each person's id, frames (n,) and joints (n, V, D + 1), NaN coordinates and confidence 0 where missing."""
    points = keypoints.astype(np.float64)
    seen = (
        np.isfinite(points).all(axis=2) & (points[..., -1] > 0) & (points[..., -1] >= settings.min_confidence)
    )
    points[~seen] = np.nan
    points[~seen, -1] = 0
    present = seen.sum(axis=1) >= settings.min_joints
    order = np.lexsort((tracks.frame, tracks.track))
    order = order[present[order]]
    ids, begins = np.unique(tracks.track[order], return_index=True)
    for track, rows in zip(ids, np.split(order, begins[1:]), strict=True) if len(order) else ():
        frames, once = np.unique(tracks.frame[rows], return_index=True)
        yield int(track), frames, points[rows[once]]


def _resample(
    frames: NDArray[np.int32],
    time_s: NDArray[np.float64],
    points: NDArray[np.float64],
    settings: WindowSettings,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """The unbroken pieces of one track on the model's grid: frame numbers (G,), joints (G, V, D + 1), missing (G,).

    A grid frame is missing where the track skips frames of the clip and none of it lies within half a grid step.
    """
    at = time_s * settings.fps  # in grid steps
    later = np.concatenate([[True], np.diff(at) > 1e-6])  # broken containers repeat timestamps
    frames, at, points = frames[later], at[later], points[later]
    hole = (np.diff(frames) > 1) | (np.diff(at) > _LONGEST_STEP_S * settings.fps)
    breaks = np.flatnonzero(hole & (np.diff(at) > settings.max_missing + 2)) + 1
    for rows in np.split(np.arange(len(at)), breaks):
        where, values, holes = at[rows], points[rows], hole[rows[:-1]]
        # A frame stands for the half step around it, so that rounded timestamps do not cost a track its last frame.
        grid = np.arange(np.ceil(where[0] - 0.5), np.ceil(where[-1] + 0.5)).astype(np.int64)
        if len(rows) < 2 or len(grid) < settings.frames:
            continue
        before = np.clip(np.searchsorted(where, grid, side="right") - 1, 0, len(rows) - 2)
        step = where[before + 1] - where[before]
        share = (grid - where[before]) / step
        nearest = np.minimum(np.abs(grid - where[before]), np.abs(where[before + 1] - grid))
        yield grid, _between(values[before], values[before + 1], share), holes[before] & (nearest > 0.5)


def _between(
    a: NDArray[np.float64], b: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Joints (G, V, D + 1) at ``share`` (G,) of the way from a to b; of a joint missing in one the nearer other."""
    share = share[:, None, None]
    mixed = a + share * (b - a)
    near = np.where(share < 0.5, a, b)
    both = np.isfinite(a[..., :1]) & np.isfinite(b[..., :1])
    out = np.where(both, mixed, near)
    out[..., -1] = np.clip(out[..., -1], 0, 1)
    return out


def _starts(
    grid: NDArray[np.int64], missing: NDArray[np.bool_], settings: WindowSettings, stride: int
) -> NDArray[np.int64]:
    """Grid frames at which windows start."""
    count = np.concatenate([[0], np.cumsum(missing)])
    length = settings.frames
    starts = grid[: len(grid) - length + 1]
    usable = np.flatnonzero(count[length:] - count[:-length] <= settings.max_missing)
    if not len(usable):
        return starts[:0]
    wanted = starts[usable] % stride == 0
    wanted[[0, -1]] = True
    return starts[usable[wanted]]


def _normalise(
    points: NDArray[np.float64], frame_size: tuple[int, int], settings: WindowSettings
) -> NDArray[np.float32]:
    """Joints (N, T, V, D + 1) of windows -> (N, C, T, V), missing joints filled in.

    Coordinates are measured in frame sizes (-1..1, unless the scale is the body's or they are 3-D), then the window's
    mean over time and joints is subtracted: where a person is in the frame says nothing about what they do.
    """
    where, confidence = points[..., :-1], points[..., -1:]
    if settings.features != "xyz" and settings.scale != "body":
        where = 2 * where / np.asarray(frame_size, np.float64) - 1
    seen = confidence[..., 0] > 0
    where = _fill(where, seen)
    where = where - np.nanmean(where, axis=(1, 2), keepdims=True)
    if settings.scale == "largest":
        where /= np.maximum(np.nanmax(np.abs(where), axis=(1, 2, 3), keepdims=True), 1e-6)
    elif settings.scale == "body":
        spread = where - np.nanmean(where, axis=2, keepdims=True)
        # Root mean square distance of the joints from each frame's centre: the same standing, bent and lying.
        size = np.sqrt(np.nanmean(np.square(spread).sum(axis=3), axis=(1, 2)))
        where /= np.maximum(size, 1e-6)[:, None, None, None]
    where = np.nan_to_num(where, nan=0.0)  # a joint that the whole window lacks lies at the body's centre
    x = np.concatenate([where, confidence], axis=3) if settings.features == "xyc" else where
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32)


def _fill(where: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Interpolate missing joints over time within each window; where (N, T, V, D), seen (N, T, V).

    Beyond its first and last sight a joint is held. One that is never seen stays NaN.
    """
    if seen.all():
        return where
    length = seen.shape[1]
    before = np.full(seen.shape, -1)
    after = np.full(seen.shape, length)
    for t in range(length):
        before[:, t] = np.where(seen[:, t], t, before[:, t - 1] if t else -1)
    for t in reversed(range(length)):
        after[:, t] = np.where(seen[:, t], t, after[:, t + 1] if t < length - 1 else length)
    now = np.arange(length)[None, :, None]
    first = np.where(before >= 0, before, np.minimum(after, length - 1))
    last = np.where(after < length, after, np.maximum(before, 0))
    share = np.where(last > first, (now - first) / np.maximum(last - first, 1), 0.0)[..., None]
    a = np.take_along_axis(where, first[..., None], axis=1)
    b = np.take_along_axis(where, last[..., None], axis=1)
    return a + share * (b - a)
