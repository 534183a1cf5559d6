"""Another package that brings a pose estimator."""

from __future__ import annotations

from pathlib import Path

TINY = '''
import numpy as np
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import PoseDetections


class Scarecrow(PoseEstimator):
    """Sees one person who never moves, wherever it looks."""

    name, skeleton, network_stages = "scarecrow", "coco17", ()

    def __init__(self, options=None):
        self.height = (options or {}).get("height", 40)
        self.identity, self.timings = {"name": self.name, "height": str(self.height)}, {}

    def start(self, fps, frame_size):
        pass

    def estimate(self, frames):
        points = np.full((1, 17, 3), 0.9, np.float32)
        points[0, :, 0], points[0, :, 1] = 50, np.linspace(20, 20 + self.height, 17)
        box = np.array([[40, 20, 60, 20 + self.height]], np.float32)
        return [PoseDetections(box, points, np.ones(1, np.float32)) for _ in frames]
'''


def install(folder: Path) -> None:
    """Install it into a folder of the path: the estimators `scarecrow`, and `broken`, which is not there."""
    info = folder / "scarecrow_poses-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scarecrow-poses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gepc.estimators]\nscarecrow = scarecrow_poses:Scarecrow\nbroken = scarecrow_poses:Nothing\n"
    )
    (folder / "scarecrow_poses.py").write_text(TINY)
