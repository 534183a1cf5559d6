"""Cut tracks into windows, which are views of the tracks' resampled joints (paper, sections 3.1 and 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.data.normalisation import IN_PIXELS, in_frames, normalise, smooth_joints
from anomaly.data.patch_features import PatchScale, patch_batch, patch_rows
from anomaly.data.resampling import GrowingArray, nearest_rows, person_tracks, resampled_segments
from anomaly.data.whole_clips import whole_clip
from anomaly.settings import WindowSettings
from pose_extract.errors import ModelError
from pose_extract.skeletons import SKELETONS
from pose_extract.skeletons.skeleton import convert_joints
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.records import ClipTracks


class View(NamedTuple):
    """What a camera shows.

    Attributes:
        width: of the picture in pixels.
        height: of the picture in pixels.
        camera: its name; "" where there is one only.
    """

    width: int
    height: int
    camera: str


@dataclass(frozen=True)
class Windows:
    """Windows of one or more clips' tracks, clip after clip, then ordered by track, then by time.

    They are views: each joint lies in memory once, however many windows cover it.

    Attributes:
        settings: how they were made.
        points: (R, V, D + 1) float32, the tracks' resampled joints, one row a frame: coordinates (in frame sizes,
            unless 3-D or scaled by the body) and confidence, all 0 where missing.
        start: (N,) int64, row of each window's first frame; its T frames follow each other.
        track: (N,) int32, id of the person.
        first: (N,) int64, number of the first frame on the model's grid, whose frame k lies at k / fps seconds; 0 for
            whole clips.
        partner: (N,) int32, id of the second person in the window, 0 if there is none.
        view: (N,) int32, which of ``views`` each window's joints are seen in.
        views: the pictures that clips show.
        span_s: (N, 2) of whole clips, the times of the first and the last frame in seconds; of others None.
        patches: (R, V, D) the joints' appearance in the frame of the track nearest to each row, on disk; None where
            the features are coordinates alone.
        scale: what appearance is measured in; None: as it is.
    """

    settings: WindowSettings
    points: NDArray[np.float32]
    start: NDArray[np.int64]
    track: NDArray[np.int32]
    first: NDArray[np.int64]
    partner: NDArray[np.int32]
    view: NDArray[np.int32]
    views: tuple[View, ...]
    span_s: NDArray[np.float64] | None = None
    patches: FeatureRows | None = None
    scale: PatchScale | None = None

    def __len__(self) -> int:
        return len(self.start)

    def batch(self, index: Any) -> NDArray[np.float32]:
        """The windows that ``index`` (any NumPy index along N) picks: (n, C, T, V), normalised."""
        rows = self.start[index][:, None] + np.arange(self.settings.frames)
        if self.patches is None:
            return normalise(self._joints(rows), self.settings)
        look = patch_batch(self.patches, self.points[..., -1], rows, self.scale)
        if not self.settings.coordinates:
            return look
        return np.concatenate([normalise(self._joints(rows), self.settings), look], axis=1)

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """All windows in their order, ``size`` at once: (n, C, T, V), normalised."""
        for begin in range(0, len(self), size):
            yield self.batch(slice(begin, begin + size))

    def pixels(self, index: Any) -> NDArray[np.float32]:
        """Joints (n, T, V, 3) in pixels and confidence, 0 where missing, of the 2-D windows that ``index`` picks."""
        points = self._joints(self.start[index][:, None] + np.arange(self.settings.frames))
        if self.settings.scale not in IN_PIXELS:
            seen = points[..., 2:] > 0
            points[..., :2] = np.where(
                seen, (points[..., :2] + 1) / 2 * self.pick(index).size[:, None, None], 0
            )
        return points

    def _joints(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Joints (n, T, V, D + 1) of windows' rows (n, T), smoothed where the settings ask for it."""
        sigma = self.settings.smoothing_s * self.settings.fps
        return smooth_joints(self.points[rows], sigma) if sigma else self.points[rows]

    @property
    def size(self) -> NDArray[np.float32]:
        """(N, 2) width and height in pixels of the picture that each window's joints are in."""
        return np.array([view[:2] for view in self.views], np.float32).reshape(-1, 2)[self.view]

    @property
    def camera(self) -> NDArray[np.str_]:
        """(N,) name of the camera of each window."""
        return np.array([view.camera for view in self.views], np.str_)[self.view]

    def pick(self, index: Any) -> Windows:
        """Some of the windows, as ``index`` (any NumPy index along N) picks them; views of the same joints."""
        return replace(
            self,
            start=self.start[index],
            track=self.track[index],
            first=self.first[index],
            partner=self.partner[index],
            view=self.view[index],
            span_s=None if self.span_s is None else self.span_s[index],
        )

    @property
    def without_patches(self) -> Windows:
        """The same windows without appearance."""
        return replace(self, settings=self.settings.without_patches, patches=None, scale=None)

    def scaled(self) -> Windows:
        """The same windows, their appearance measured in what it is like in them; themselves if they have none."""
        if self.patches is None:
            return self
        rows = self.start[:, None] + np.arange(self.frames)
        return replace(self, scale=PatchScale.from_patches(self.patches, self.points[..., -1], rows))

    @property
    def x(self) -> NDArray[np.float32]:
        """All windows (N, C, T, V), normalised. It is made anew each time, and may be large: see `batch`."""
        return self.batch(slice(None))

    @property
    def frames(self) -> int:
        """T, frames of a window."""
        return self.settings.frames

    @property
    def fps(self) -> float:
        """Frame rate of the grid of sliding windows."""
        return self.settings.fps

    @property
    def whole(self) -> bool:
        """Whether each window is a whole clip: its score is that of every frame of its people."""
        return self.settings.extent == "clip"

    @property
    def start_s(self) -> NDArray[np.float64]:
        """(N,) time of each window's first frame in seconds."""
        return self.first / self.fps if self.span_s is None else self.span_s[:, 0]

    @property
    def end_s(self) -> NDArray[np.float64]:
        """(N,) time of each window's last frame in seconds."""
        return (self.first + self.frames - 1) / self.fps if self.span_s is None else self.span_s[:, 1]

    @classmethod
    def concatenate(cls, parts: Iterable[Windows]) -> Windows:
        """The windows of several clips as one; of an iterator's parts, one is in memory at a time.

        Raises:
            ValueError: if there is no part, or they have different settings.
        """
        joints, rest = None, []
        looks: list[FeatureRows] = []
        views: dict[View, int] = {}
        for part in parts:
            if joints is None:
                joints, settings = GrowingArray(part.points.shape[1:], np.float32), part.settings
            if part.settings != settings:
                raise ValueError(f"Windows: expected parts of one kind, got {settings} and {part.settings}")
            rest.append(
                (
                    part.start + len(joints),
                    part.track,
                    part.first,
                    part.partner,
                    np.array([views.setdefault(view, len(views)) for view in part.views], np.int32)[
                        part.view
                    ],
                    part.span_s,
                )
            )
            joints.add(part.points)
            if part.patches is not None:
                looks.append(part.patches)
        if joints is None:
            raise ValueError("Windows: expected at least one part to concatenate")
        start, track, first, partner, view, spans = zip(*rest, strict=True)
        return cls(
            settings,
            joints.array(),
            np.concatenate(start),
            np.concatenate(track),
            np.concatenate(first),
            np.concatenate(partner),
            np.concatenate(view),
            tuple(views),
            None if spans[0] is None else np.concatenate(spans),
            FeatureRows.join(looks) if looks else None,
        )


def make_windows(tracks: ClipTracks, settings: WindowSettings, stride: int, camera: str = "") -> Windows:
    """Cut a clip's tracks into windows.

    Sliding windows: every track is resampled by linear interpolation to a grid that counts from the clip's time 0, so a
    part of a clip gives the windows that the whole clip gives there. A window starts at every grid frame that
    ``stride`` divides; besides, each unbroken piece of a track has one at its very start and one at its very end, so
    that a track of T frames gives a window whatever the stride.

    Raises:
        ModelError: if the tracks' skeleton cannot be turned into the settings', or they lack the patches that these
            ask for.
    """
    looks = patch_rows(tracks, settings) if settings.patches else None
    sources = [np.zeros(0, np.int64)]  # row of the tracks whose appearance each row of joints has
    keypoints = model_joints(tracks, settings)
    joints = GrowingArray((settings.body.num_joints, keypoints.shape[2]), np.float32)
    found: list[tuple[NDArray[np.int64], int, NDArray[np.int64], int]] = []  # start, track, first, partner
    spans = []
    if settings.extent == "clip":
        for values, one, other, span in whole_clip(tracks, keypoints, settings):
            points = in_frames(values, tracks.frame_size, settings).astype(np.float32)
            if (
                points[:, : settings.person.num_joints * (1 + (other > 0)), -1].mean()
                >= settings.min_certainty
            ):
                found.append((np.array([len(joints)]), one, np.zeros(1, np.int64), other))
                spans.append(span)
                joints.add(points)
    else:
        for one, rows, seen in person_tracks(tracks, keypoints, settings):
            frames = tracks.frame[rows]
            for grid, values, missing in resampled_segments(frames, tracks.time_s[frames], seen, settings):
                points = in_frames(values, tracks.frame_size, settings).astype(np.float32)
                begins = _starts(grid, missing, points[..., -1], settings, stride)
                if len(begins):
                    found.append((begins - grid[0] + len(joints), one, begins, 0))
                    joints.add(points)
                    if looks is not None:
                        sources.append(rows[nearest_rows(tracks.time_s[frames] * settings.fps, grid)])
    none = np.zeros(0, np.int64)
    counts = [len(start) for start, _, _, _ in found]
    return Windows(
        settings,
        joints.array(),
        start=np.concatenate([none, *(start for start, _, _, _ in found)]),
        track=np.repeat([track for _, track, _, _ in found], counts).astype(np.int32),
        first=np.concatenate([none, *(first for _, _, first, _ in found)]),
        partner=np.repeat([partner for _, _, _, partner in found], counts).astype(np.int32),
        view=np.zeros(sum(counts), np.int32),
        views=(View(*tracks.frame_size, camera),),
        span_s=np.array(spans, np.float64).reshape(-1, 2) if settings.extent == "clip" else None,
        patches=None if looks is None else looks[np.concatenate(sources)],
    )


def model_joints(tracks: ClipTracks, settings: WindowSettings) -> NDArray[np.float32]:
    """The tracks' keypoints (M, V, 3 or 4) in the joints that the model wants.

    Raises:
        ModelError: if the tracks lack a joint or a dimension, or follow a skeleton that nobody knows.
    """
    depth = tracks.keypoints.shape[2] == 4
    if depth != settings.depth:
        raise ModelError(
            f"clip {tracks.clip}: its joints are {'3' if depth else '2'}-D, but the model's features are "
            f"{settings.features!r}; set windows.features to {'xyz' if depth else 'xyc'} and train again"
        )
    wanted, keypoints = settings.person, None
    if tracks.skeleton == wanted.name:
        if tracks.keypoints.shape[1] == wanted.num_joints:
            return tracks.keypoints
    elif tracks.skeleton in SKELETONS:
        keypoints = convert_joints(tracks.keypoints, SKELETONS[tracks.skeleton], wanted)
    if keypoints is None:
        joints = tracks.keypoints.shape[1]
        raise ModelError(
            f"clip {tracks.clip}: its tracks follow skeleton {tracks.skeleton!r} of {joints} joints, "
            f"the model {wanted.name!r} of {wanted.num_joints}, and the one's joints are not among the other's; "
            "use a model that was trained on the same skeleton, or set windows.skeleton and train again"
        )
    return keypoints


def _starts(
    grid: NDArray[np.int64],
    missing: NDArray[np.bool_],
    confidence: NDArray[np.float32],
    settings: WindowSettings,
    stride: int,
) -> NDArray[np.int64]:
    """Grid frames at which windows start; confidence is (G, V)."""
    length = settings.frames
    starts = grid[: len(grid) - length + 1]
    usable = np.flatnonzero(_sums(missing, length) <= settings.max_missing)
    if not len(usable):
        return starts[:0]
    wanted = starts[usable] % stride == 0
    wanted[[0, -1]] = True
    chosen = usable[wanted]
    # Sums of float32 in float64 are exact enough that a part of a clip decides as the whole does.
    before = int(np.argmax(confidence.any(axis=1))) if settings.shortest and len(starts) == 1 else 0
    certainty = _sums(confidence.sum(axis=1, dtype=np.float64), length)[chosen] / (
        (length - before) * confidence.shape[1]  # of a short piece, the frames that it has count
    )
    return starts[chosen[certainty >= settings.min_certainty - 1e-9]]


def _sums(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Sums over all runs of ``length`` values."""
    total = np.concatenate([[0], np.cumsum(values)])
    return total[length:] - total[:-length]
