"""A standing person as BlazePose's points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stick_figure(x: float = 100.0, y: float = 100.0, height: float = 80.0) -> NDArray[np.float32]:
    """A standing person's 39 points, hips' middle at (x, y), facing the camera."""
    points = np.zeros((39, 3), np.float32)
    points[:, :2] = [x, y - 0.45 * height]  # head and hands' places; the rest follows
    for joint, (dx, dy) in {
        11: (0.11, -0.3), 12: (-0.11, -0.3), 13: (0.14, -0.15), 14: (-0.14, -0.15), 15: (0.15, 0), 16: (-0.15, 0),
        23: (0.07, 0), 24: (-0.07, 0), 25: (0.07, 0.25), 26: (-0.07, 0.25), 27: (0.07, 0.5), 28: (-0.07, 0.5),
        17: (0.15, 0), 18: (-0.15, 0), 19: (0.15, 0), 20: (-0.15, 0), 21: (0.15, 0), 22: (-0.15, 0),
        29: (0.07, 0.5), 30: (-0.07, 0.5), 31: (0.07, 0.5), 32: (-0.07, 0.5),
        33: (0, 0), 34: (0, -0.55), 35: (0, -0.3), 36: (0, -0.5), 37: (0, 0), 38: (0, 0),
    }.items():  # fmt: skip
        points[joint, :2] = [x + dx * height, y + dy * height]
    points[:, 2] = 1
    return points
