"""Soft shadows on the ground."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import tone
from pipeline.synthetic.drawing.strokes import fill
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.scene import Camera


def cast_shadow(image: NDArray[np.uint8], rim: Array, camera: Camera) -> None:
    """Darken the ground within ``rim`` (N, 2) metres, the middle more."""
    outline, _ = camera.project(np.concatenate([rim, np.zeros((len(rim), 1))], axis=1))
    corner = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 3, 0)
    end = np.ceil(outline.max(axis=0)).astype(int) + 4
    patch = image[corner[1] : max(end[1], 0), corner[0] : max(end[0], 0)]
    if not patch.size:
        return
    dark = patch.copy()
    centre = outline.mean(axis=0)
    for share in (1.0, 0.75):
        fill(dark, centre + (outline - centre) * share - corner, tone((70, 68, 66), 1.5 - share))
    patch[:] = cv2.addWeighted(patch, 0.62, dark, 0.38, 0)
