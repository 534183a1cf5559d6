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


def install_estimators(folder: Path, module: str, code: str, **estimators: str) -> None:
    """Install a package of one module into a folder of the path, with estimators by name: their classes."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    points = "".join(f"{name} = {module}:{made}\n" for name, made in estimators.items())
    (info / "entry_points.txt").write_text(f"[gepc.estimators]\n{points}")
    (folder / f"{module}.py").write_text(code)


def install(folder: Path) -> None:
    """Install it into a folder of the path: the estimators `scarecrow`, and `broken`, which is not there."""
    install_estimators(folder, "scarecrow_poses", TINY, scarecrow="Scarecrow", broken="Nothing")
