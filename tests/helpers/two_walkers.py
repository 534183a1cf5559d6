"""Two people of any skeleton who walk, for files of other tools."""

from __future__ import annotations

import numpy as np

from pose_extract.skeletons import SKELETONS
from pose_extract.tracks.records import ClipTracks


def walkers(
    clip: str = "01_0001", skeleton: str = "coco17", frames: int = 40, depth: bool = False, seed: int = 0
) -> ClipTracks:
    """Two people who walk and swing their limbs; nobody in the last frame."""
    rng = np.random.default_rng(seed)
    joints = SKELETONS[skeleton].num_joints if skeleton in SKELETONS else 5
    frame = np.repeat(np.arange(frames - 1), 2).astype(np.int32)
    track = np.tile([1, 2], frames - 1).astype(np.int32)
    pose = rng.uniform(0, 60, (joints, 2)) * (1, 2)
    swing = 5 * np.sin(frame[:, None] / 3 + np.arange(joints))
    xy = pose + np.stack([frame * 3.0 + track * 150, np.full(len(frame), 50.0)], 1)[:, None]
    xy[..., 0] += swing
    parts = [xy / 100 if depth else xy, *([np.full((len(frame), joints, 1), 3.0)] if depth else [])]
    keypoints = np.concatenate([*parts, np.full((len(frame), joints, 1), 0.5)], 2).astype(np.float32)
    boxes = np.concatenate([xy.min(1) - 5, xy.max(1) + 5], 1).astype(np.float32)
    return ClipTracks(
        clip, skeleton, 24.0, (640, 360), np.arange(frames) / 24, frame, track, keypoints, boxes
    )
