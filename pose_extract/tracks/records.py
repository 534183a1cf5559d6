"""The records at the seams between decoding, estimation, tracking and the model.

Frozen dataclasses over NumPy arrays, checked once, when built. Pixels have their origin at the top left corner of the
upright (display-rotated) frame; frames count from 0; times are seconds of the container's clock, the first
frame's time subtracted, so that every video starts at 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import SKELETONS
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.things import ClipThings


def _expect(owner: str, name: str, array: NDArray[Any] | FeatureRows, shape: tuple[int | str, ...]) -> None:
    """Raise ValueError unless ``array`` has ``shape``; strings in it stand for any length."""
    ok = array.ndim == len(shape) and all(
        isinstance(want, str) or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not ok:
        want_text = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{owner}: expected {name} of shape {want_text}, got {array.shape}")


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Attributes:
        index: number of the frame in its video, from 0, without holes.
        time_s: presentation time in seconds since the first frame, from the container's timestamps.
        image: (H, W, 3) BGR uint8, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _expect("Frame", "image", self.image, ("H", "W", 3))
        if self.image.dtype != np.uint8:
            raise ValueError(f"Frame: expected a uint8 image, got {self.image.dtype}")

    @classmethod
    def without_picture(cls, index: int, time_s: float) -> Frame:
        """Make the frame of people who are known already: nobody looks at its picture, which is one black pixel."""
        return cls(index, time_s, np.zeros((1, 1, 3), np.uint8))


@dataclass(frozen=True)
class Objects:
    """What a detector finds in a picture.

    Attributes:
        boxes: (D, 4) float32, x1 y1 x2 y2 in pixels of the picture, inside it.
        scores: (D,) float32, 0..1.
        classes: (D,) int, COCO's 80 classes in their usual order; 0 is a person.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: Any) -> Objects:
        """The rows that ``index`` (any NumPy index) picks."""
        return Objects(self.boxes[index], self.scores[index], self.classes[index])

    def join(self, other: Objects) -> Objects:
        """Its rows after these."""
        return Objects(
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.classes, other.classes]),
        )

    @classmethod
    def empty(cls) -> Objects:
        """Nothing."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Uncovered:
    """What of a frame, shrunk, differs from a background that was learnt over time and is covered by no person.

    Attributes:
        mask: (h, w) uint8, not 0 where that is so.
        image: (h, w, 3) BGR uint8, the frame.
    """

    mask: NDArray[np.uint8]
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class PoseDetections:
    """The people that an estimator finds in one frame.

    Attributes:
        boxes: (P, 4) float32, x1 y1 x2 y2 in pixels.
        keypoints: (P, V, 3) float32: x px, y px, confidence 0..1. A joint that was not found has confidence 0. If none
            was, somebody is here whose joints are not seen.
        scores: (P,) float32, confidence that this is a person, 0..1.
        features: optional (P, V, D) float16 or float32, a feature vector for each joint, of the pose network's own.
        objects: what a detector found, people too, if one looked at this frame.
        uncovered: optional, what differs from the background and none of these people covers.
    """

    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    features: NDArray[np.floating] | None = None
    objects: Objects | None = None
    uncovered: Uncovered | None = None

    def __post_init__(self) -> None:
        people = len(self.boxes)
        _expect("PoseDetections", "boxes", self.boxes, ("P", 4))
        _expect("PoseDetections", "keypoints", self.keypoints, (people, "V", 3))
        _expect("PoseDetections", "scores", self.scores, (people,))
        if self.features is not None:
            _expect("PoseDetections", "features", self.features, (people, self.keypoints.shape[1], "D"))

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: Any) -> PoseDetections:
        """The people that ``index`` (any NumPy index along P) picks, in that order."""
        return replace(
            self,
            boxes=self.boxes[index],
            keypoints=self.keypoints[index],
            scores=self.scores[index],
            features=None if self.features is None else self.features[index],
        )

    def rearranged(self, joints: NDArray[np.intp]) -> PoseDetections:
        """Each person's joints in another order: ``joints`` (P, V) says which one found is each."""
        people = np.arange(len(self))[:, None]
        features = None if self.features is None else self.features[people, joints]
        return replace(self, keypoints=self.keypoints[people, joints], features=features)

    def join(self, other: PoseDetections) -> PoseDetections:
        """Other people after these, all without features."""
        return replace(
            self,
            boxes=np.concatenate([self.boxes, other.boxes]),
            keypoints=np.concatenate([self.keypoints, other.keypoints]),
            scores=np.concatenate([self.scores, other.scores]),
            features=None,
        )

    @classmethod
    def empty(cls, num_joints: int) -> PoseDetections:
        """Nobody."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros((0, num_joints, 3), np.float32), np.zeros(0, np.float32)
        )


@dataclass(frozen=True)
class ClipTracks:
    """A clip's people over time: one row a person and frame, rows ordered by frame, then by track.

    Attributes:
        clip: name of the clip (the video's file name without its ending, unless that is ambiguous).
        skeleton: name of the skeleton that the V joints follow: one of `SKELETONS`, or one that a model's config
            declares.
        fps: usual frame rate of the clip, frames a second: that within its stretches (`tracks.clip_time`).
        frame_size: (width, height) in pixels.
        time_s: (F,) float64, presentation time of every frame of the clip, those without people too.
        frame: (M,) int32, frame of each row, 0..F-1.
        track: (M,) int32, id of each row's person, from 1; the same id is the same person within the clip.
        keypoints: (M, V, 3) float32: x px, y px, confidence 0..1 (or (M, V, 4): x, y, z, confidence). Confidence 0
            or NaN coordinates: joint missing. A row without any joint: the person is here, joints not seen.
        boxes: (M, 4) float32, x1 y1 x2 y2 in pixels.
        features: optional (M, V, D), a feature vector for each joint, all zeros where there is none; float16 in the
            cache. `FeatureRows` are read as they are asked for.
        provenance: what made the tracks: source, content hash, estimator, settings, versions.
        things: what moves or stays there and is nobody's body; None where nobody looked, as in imported tracks.
    """

    clip: str
    skeleton: str
    fps: float
    frame_size: tuple[int, int]
    time_s: NDArray[np.float64]
    frame: NDArray[np.int32]
    track: NDArray[np.int32]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32]
    features: NDArray[np.floating] | FeatureRows | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    things: ClipThings | None = None

    def __post_init__(self) -> None:
        rows = len(self.frame)
        known = SKELETONS.get(self.skeleton)
        joints = known.num_joints if known else "V"
        _expect("ClipTracks", "time_s", self.time_s, ("F",))
        _expect("ClipTracks", "frame", self.frame, (rows,))
        _expect("ClipTracks", "track", self.track, (rows,))
        _expect("ClipTracks", "keypoints", self.keypoints, (rows, joints, "3 or 4"))
        if self.keypoints.shape[2] not in (3, 4):
            raise ValueError(
                f"ClipTracks: expected keypoints of shape (M, V, 3 or 4), got {self.keypoints.shape}"
            )
        _expect("ClipTracks", "boxes", self.boxes, (rows, 4))
        if self.features is not None:
            _expect("ClipTracks", "features", self.features, (rows, self.keypoints.shape[1], "D"))
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"ClipTracks: expected a frame rate above 0, got {self.fps}")
        if rows:
            if self.frame[0] < 0 or self.frame[-1] >= len(self.time_s) or np.any(np.diff(self.frame) < 0):
                raise ValueError(
                    f"ClipTracks: expected frames in order within 0..{len(self.time_s) - 1}, "
                    f"got {self.frame.min()}..{self.frame.max()}"
                )
            if self.track.min() < 1:
                raise ValueError(f"ClipTracks: expected track ids from 1, got {self.track.min()}")
        if self.things is not None and len(self.things.looked) and self.things.looked[-1] >= len(self.time_s):
            raise ValueError(
                f"ClipTracks: expected things in frames 0..{len(self.time_s) - 1}, got {self.things.looked[-1]}"
            )

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        rows = f"{self.num_tracks} people in {len(self)} rows"
        return f"<ClipTracks {self.clip}: {self.frame_count} frames, {self.fps:.4g} a second, {rows}, {self.skeleton}>"

    @property
    def frame_count(self) -> int:
        """F, the number of frames of the clip."""
        return len(self.time_s)

    @property
    def num_tracks(self) -> int:
        """Number of different people."""
        return len(np.unique(self.track))


def cut_frames(tracks: ClipTracks, first: int, stop: int) -> ClipTracks:
    """Frames first..stop-1 of a clip. Frames count from 0 again; times stay those of the whole clip."""
    rows = slice(*np.searchsorted(tracks.frame, [first, stop]))
    return ClipTracks(
        clip=tracks.clip,
        skeleton=tracks.skeleton,
        fps=tracks.fps,
        frame_size=tracks.frame_size,
        time_s=tracks.time_s[first:stop],
        frame=(tracks.frame[rows] - first).astype(np.int32),
        track=tracks.track[rows],
        keypoints=tracks.keypoints[rows],
        boxes=tracks.boxes[rows],
        features=None if tracks.features is None else tracks.features[rows],
        provenance=tracks.provenance,
        things=None if tracks.things is None else tracks.things.cut(first, stop),
    )
