"""One drawn thing and its shadow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.shadow import cast_shadow
from pipeline.synthetic.street.scene import Camera
from pipeline.synthetic.things.thing import ThingSight


class ThingFigure:
    """Draws one thing.

    Args:
        sight: the thing, as the camera sees it.
        camera: that sees it.
    """

    def __init__(self, sight: ThingSight, camera: Camera) -> None:
        self.sight = sight
        self.camera = camera
        self.first = sight.thing.first

    def draw(self, image: NDArray[np.uint8], row: int) -> None:
        """Draw it onto ``image`` as at ``row`` of its arrays."""
        self.sight.draw(image, row, self.camera)

    def shadow(self, image: NDArray[np.uint8], row: int) -> None:
        """Darken the ground under it."""
        points = np.concatenate([part.points[:, :2] for part in self.sight.parts(row)])
        rim = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
        middle = rim.mean(axis=0)
        outwards = rim - middle
        reach = np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-6)
        cast_shadow(image, middle + outwards * (1 + 0.07 / reach), self.camera)
