"""People who do nothing but wander: tracks of any size, for measurements to which the motion does not matter."""

from __future__ import annotations

import numpy as np

from pose_extract.skeletons import COCO18
from pose_extract.tracks.records import ClipTracks


def wandering_clip(name: str, people: int, frames: int, seed: int, fps: float = 24.0) -> ClipTracks:
    """A clip in which ``people`` people are seen in every frame: random walks of the body and of its joints."""
    rng = np.random.default_rng(seed)
    joints = COCO18.num_joints
    body = np.cumsum(rng.normal(0, 2, (frames, people, 1, 2)).astype(np.float32), axis=0)
    limbs = np.cumsum(rng.normal(0, 1, (frames, people, joints, 2)).astype(np.float32), axis=0)
    limbs *= 30 / np.maximum(np.abs(limbs).max(axis=(0, 2, 3), keepdims=True), 1)
    keypoints = np.empty((frames, people, joints, 3), np.float32)
    keypoints[..., :2] = body + limbs + rng.uniform(100, 400, (people, 1, 2)).astype(np.float32)
    keypoints[..., 2] = rng.uniform(0.5, 1, (frames, people, joints))
    rows = keypoints.reshape(-1, joints, 3)
    boxes = np.concatenate([rows[..., :2].min(axis=1), rows[..., :2].max(axis=1)], axis=1)
    return ClipTracks(
        clip=name,
        skeleton=COCO18.name,
        fps=fps,
        frame_size=(640, 480),
        time_s=np.arange(frames) / fps,
        frame=np.repeat(np.arange(frames, dtype=np.int32), people),
        track=np.tile(np.arange(1, people + 1, dtype=np.int32), frames),
        keypoints=rows,
        boxes=boxes,
    )
