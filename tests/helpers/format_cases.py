"""Tracks to write, and what comes out of reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError
from pose_extract.formats.base import import_clips
from pose_extract.formats.parsing import boxes_around
from pose_extract.skeletons import SKELETONS
from pose_extract.tracks.records import ClipTracks

FPS, SIZE = 24.0, (640, 360)


def people(
    skeleton: str = "coco17", clip: str = "01_0014", frames: int = 12, depth: bool = False
) -> ClipTracks:
    """Three people who walk to the right, one with a gap; the last frame is empty, a joint is missing."""
    rng = np.random.default_rng(3)
    rows = [(f, t) for f in range(frames - 1) for t in (1, 2, 7) if not (t == 2 and f in (3, 4))]
    frame, track = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    joints = SKELETONS[skeleton].num_joints
    pose = rng.uniform(0, 60, (joints, 2)) * (1, 2)
    points = pose + np.stack([frame * 2.0 + track * 70.0, np.full(len(rows), 30.0)], 1)[:, None]
    confidence = (
        rng.choice([0.5, 1.0], (len(rows), joints)) if depth else rng.uniform(0.2, 1, (len(rows), joints))
    )
    if depth:
        points = np.concatenate([points / 100, np.full((len(rows), joints, 1), 3.5)], 2)
    keypoints = np.concatenate([points, confidence[..., None]], 2).astype(np.float32)
    keypoints[::4, 2] = 0.0
    boxes = boxes_around(keypoints)
    if depth:
        boxes *= 100
    return ClipTracks(
        clip=clip,
        skeleton=skeleton,
        fps=FPS,
        frame_size=SIZE,
        time_s=np.arange(frames) / FPS,
        frame=frame,
        track=track,
        keypoints=keypoints,
        boxes=boxes.astype(np.float32),
        provenance={"source": "a test"},
    )


def read(format: str, path: Path, **options: Any) -> list[ClipTracks | FormatError]:
    """Everything that an import gives, at 24 fps and 640x360."""
    return list(import_clips(format, path, **{"fps": FPS, "frame_size": SIZE, **options}))


def read_one(format: str, path: Path, **options: Any) -> ClipTracks:
    """The one clip that an import gives."""
    (clip,) = read(format, path, **options)
    assert isinstance(clip, ClipTracks), clip
    return clip


def read_error(format: str, path: Path, **options: Any) -> str:
    """The one error that an import gives."""
    (error,) = read(format, path, **options)
    assert isinstance(error, FormatError), error
    return str(error)


def assert_same(got: ClipTracks, want: ClipTracks, tolerance: float = 0.0) -> None:
    """The same people in the same frames, joints and boxes within ``tolerance`` pixels."""
    assert (got.clip, got.skeleton, got.fps, got.frame_size) == (
        want.clip,
        want.skeleton,
        want.fps,
        want.frame_size,
    )
    np.testing.assert_allclose(got.time_s, want.time_s)
    np.testing.assert_array_equal(got.frame, want.frame)
    np.testing.assert_array_equal(got.track, want.track)
    np.testing.assert_allclose(got.keypoints, want.keypoints, rtol=0, atol=tolerance)
    np.testing.assert_allclose(got.boxes, want.boxes, rtol=0, atol=max(tolerance, 1e-4))


def walking(joints: int, frame: int, person: int) -> list[float]:
    """x, y, confidence of each joint, flat, of somebody at another place in each frame."""
    return [
        v
        for j in range(joints)
        for v in (50.0 + 100 * person + frame + 3 * j % 20, 40.0 + 5 * j, 0.1 + j / joints / 2)
    ]
