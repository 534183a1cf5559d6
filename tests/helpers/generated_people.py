"""People who walk about, as exact tracks, as the flawed detections an estimator would make of them, and as pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections

# x and y of COCO-17's joints of someone who stands, in body heights; x from the middle, y from the top.
_STANDING = np.array(
    [
        (0.0, 0.07), (0.02, 0.05), (-0.02, 0.05), (0.04, 0.06), (-0.04, 0.06), (0.1, 0.2), (-0.1, 0.2), (0.12, 0.35),
        (-0.12, 0.35), (0.13, 0.48), (-0.13, 0.48), (0.07, 0.52), (-0.07, 0.52), (0.07, 0.75), (-0.07, 0.75),
        (0.07, 0.96), (-0.07, 0.96),
    ]
)  # fmt: skip
# How far each joint swings to and fro in a step, in body heights; legs and arms in opposition.
_SWING = np.array([0, 0, 0, 0, 0, 0, 0, -0.05, 0.05, -0.1, 0.1, 0, 0, 0.06, -0.06, 0.14, -0.14])


@dataclass(frozen=True)
class Walker:
    """Walks from ``start`` (px, feet) at ``velocity`` (px/s) between two times, in seconds."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    height: float = 100.0
    colour: tuple[int, int, int] = (200, 60, 60)
    enters: float = 0.0
    leaves: float = 1e9

    def pose(self, time_s: float) -> np.ndarray:
        """(17, 2) px."""
        feet = np.array(self.start) + np.array(self.velocity) * (time_s - self.enters)
        swing = (
            _SWING * np.sin(2 * np.pi * 0.9 * time_s) * min(1.0, abs(self.velocity[0]) / (0.3 * self.height))
        )
        return feet + self.height * (_STANDING + np.stack([swing, np.zeros(17)], 1) - (0, 1))

    def box(self, time_s: float) -> np.ndarray:
        pose = self.pose(time_s)
        pad = 0.04 * self.height
        return np.concatenate([pose.min(0) - pad, pose.max(0) + pad])


def true_tracks(
    walkers: list[Walker], seconds: float, fps: float, size: tuple[int, int] = (640, 360)
) -> ClipTracks:
    """Exact tracks; track i+1 is walker i. Only people whose middle is within the picture."""
    times = np.arange(round(seconds * fps)) / fps
    rows = []
    for frame, time_s in enumerate(times):
        for i, walker in enumerate(walkers):
            box = walker.box(time_s)
            middle = (box[:2] + box[2:]) / 2
            if walker.enters <= time_s < walker.leaves and (middle > 0).all() and (middle < size).all():
                rows.append((frame, i + 1, np.column_stack([walker.pose(time_s), np.ones(17)]), box))
    return ClipTracks(
        clip="generated",
        skeleton="coco17",
        fps=fps,
        frame_size=size,
        time_s=times,
        frame=np.array([r[0] for r in rows], np.int32),
        track=np.array([r[1] for r in rows], np.int32),
        keypoints=np.array([r[2] for r in rows], np.float32).reshape(-1, 17, 3),
        boxes=np.array([r[3] for r in rows], np.float32).reshape(-1, 4),
    )


def picture(walkers: list[Walker], time_s: float, frame: int, size: tuple[int, int] = (640, 360)) -> Frame:
    """A grey picture with each walker's box in the walker's colour, the nearest (lowest) on top."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for walker in sorted(walkers, key=lambda w: w.start[1]):
        if walker.enters <= time_s < walker.leaves:
            x1, y1, x2, y2 = np.clip(walker.box(time_s), 0, [size[0], size[1]] * 2).astype(int)
            image[y1:y2, x1:x2] = walker.colour
    return Frame(frame, time_s, image)


def detect(
    truth: ClipTracks,
    rng: np.random.Generator,
    noise: float = 0.01,
    missed: float = 0.05,
    false_people: float = 0.05,
    hide_overlap: float = 0.4,
) -> list[PoseDetections]:
    """What an estimator would see, frame by frame, in random order.

    Args:
        truth: exact tracks.
        rng: source of chance.
        noise: standard deviation of the joints, in body heights.
        missed: share of detections that are lost.
        false_people: people a frame who are not there.
        hide_overlap: of two people who overlap more than this, the one further up (away) is not seen.
    """
    frames = []
    for frame in range(truth.frame_count):
        rows = np.flatnonzero(truth.frame == frame)
        boxes = truth.boxes[rows]
        behind = boxes[:, None, 3] < boxes[None, :, 3]
        hidden = ((box_iou(boxes, boxes) > hide_overlap) & behind).any(1)
        rows = rows[~hidden & (rng.random(len(rows)) >= missed)]
        keypoints, boxes = truth.keypoints[rows].copy(), truth.boxes[rows].copy()
        height = boxes[:, 3] - boxes[:, 1]
        keypoints[..., :2] += rng.normal(size=keypoints[..., :2].shape) * noise * height[:, None, None]
        keypoints[..., 2] = rng.uniform(0.6, 1.0, keypoints.shape[:2])
        boxes += rng.normal(size=boxes.shape) * noise * height[:, None]
        found = PoseDetections(boxes, keypoints, rng.uniform(0.7, 1, len(rows)).astype(np.float32))
        if rng.random() < false_people:
            ghost = Walker(tuple(rng.uniform((0, 100), truth.frame_size)), (0.0, 0.0), rng.uniform(50, 120))
            pose = np.column_stack([ghost.pose(0), np.full(17, 0.4)]).astype(np.float32)
            found = PoseDetections(
                np.vstack([found.boxes, ghost.box(0)]).astype(np.float32),
                np.concatenate([found.keypoints, pose[None]]),
                np.append(found.scores, np.float32(0.6)),
            )
        frames.append(found.select(rng.permutation(len(found))))
    return frames


def without_ids(tracks: ClipTracks, frame: int) -> PoseDetections:
    """The people of one frame, as an estimator would give them."""
    rows = np.flatnonzero(tracks.frame == frame)
    return PoseDetections(tracks.boxes[rows], tracks.keypoints[rows], np.ones(len(rows), np.float32))


def as_tracks(out: list, like: ClipTracks) -> ClipTracks:
    """The tracker's answer as a clip's tracks."""
    return replace(
        like,
        frame=np.concatenate([np.full(len(people.ids), people.frame, np.int32) for people in out]),
        track=np.concatenate([people.ids for people in out]),
        keypoints=np.concatenate([people.people.keypoints for people in out]),
        boxes=np.concatenate([people.people.boxes for people in out]),
    )
