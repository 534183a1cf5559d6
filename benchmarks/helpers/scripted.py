"""A pose estimator that knows beforehand who is in each frame, and a video of as many frames for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections
from pose_extract.video import VideoWriter


class ScriptedEstimator(PoseEstimator):
    """Gives the people of a clip, by the number of the frame that is written into its picture (`scripted_video`)."""

    name = "scripted"
    network_stages = ()

    def __init__(self, clip: ClipTracks, work_s: float = 0.0) -> None:
        self.skeleton, self._clip, self._work_s = clip.skeleton, clip, work_s
        self.identity = {"name": self.name, "clip": clip.clip}
        self.timings = {}
        self.starts = 0

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Count it."""
        self.starts += 1

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people whose frames' numbers the pictures show."""
        time.sleep(self._work_s * len(frames))
        return [self._people(number_of(frame.image) % self._clip.frame_count) for frame in frames]

    def _people(self, number: int) -> PoseDetections:
        rows = slice(*np.searchsorted(self._clip.frame, [number, number + 1]))
        keypoints = self._clip.keypoints[rows]
        return PoseDetections(self._clip.boxes[rows], keypoints, np.ones(len(keypoints), np.float32))


def number_of(image: np.ndarray) -> int:
    """What `scripted_video` has written into a picture: its number, a bit in each of 12 fields in a row."""
    height, width = image.shape[:2]
    grey = image[: height // 4].mean(axis=(0, 2))
    return sum(int(grey[round((bit + 0.5) * width / 12)] > 128) << bit for bit in range(12))


def scripted_video(path: Path, frames: int, fps: float = 24.0, size: tuple[int, int] = (640, 360)) -> Path:
    """A textured picture with the number of each frame in its upper quarter."""
    width, height = size
    still = np.random.default_rng(0).integers(60, 200, (height // 6, width // 6 + 1, 3), np.uint8)
    still = np.ascontiguousarray(still.repeat(6, axis=0).repeat(6, axis=1)[:, :width])
    with VideoWriter(path, fps, size) as writer:
        for number in range(frames):
            picture = still.copy()
            for bit in range(12):
                left, right = round(bit * width / 12), round((bit + 1) * width / 12)
                picture[: height // 4, left:right] = 255 * ((number >> bit) & 1)
            writer.write(picture)
    return path
