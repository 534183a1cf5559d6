"""A costume, a striped box around the trunk: unusual to look at, while its wearer walks as everybody does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import tone
from pipeline.synthetic.drawing.strokes import fill
from pipeline.synthetic.motion.body import INDEX as J
from pipeline.synthetic.street.plan import Person
from pipeline.synthetic.street.scene import Camera

_SIZE = np.array([0.50, 0.62, 0.80])  # metres: deep, wide, high
_BELOW = 0.2  # metres from the chest down to its middle
_COLOUR, _STRIPE = (20, 120, 245), (40, 235, 250)  # orange and yellow, BGR
_NEARER = 0.08  # metres that it is drawn nearer than the trunk in it
# Faces as corners of the unit cube in order, with their brightness.
_FACES = (
    (((1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)), 0.8),
    (((-1, -1, -1), (-1, 1, -1), (-1, 1, 1), (-1, -1, 1)), 1.0),
    (((-1, 1, -1), (1, 1, -1), (1, 1, 1), (-1, 1, 1)), 0.85),
    (((-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)), 0.7),
    (((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)), 1.1),
)


def costume_at(person: Person, row: int, camera: Camera) -> tuple[float, Callable[[NDArray[np.uint8]], None]]:
    """How far away its front is in metres along the view, and what draws it, at ``row`` of the person's arrays."""
    heading = person.heading[row]
    forward = np.array([np.cos(heading), np.sin(heading), 0.0])
    left, up = np.array([-forward[1], forward[0], 0.0]), np.array([0.0, 0.0, 1.0])
    middle = person.joints[row, J["chest"]] - _BELOW * up
    axes = np.stack([forward, left, up]) * (_SIZE / 2)[:, None]

    def draw(image: NDArray[np.uint8]) -> None:
        faces = []
        for corners, light in _FACES:
            places = middle + np.array(corners, float) @ axes
            flat, depth = camera.project(places)
            faces.append((-float(depth.mean()), flat, light))
        for _, flat, light in sorted(faces, key=lambda face: face[0]):
            fill(image, cv2.convexHull(flat.astype(np.float32))[:, 0], tone(_COLOUR, light))
            for low, high in pairwise((0.15, 0.3, 0.45, 0.6, 0.75, 0.9)):
                if round(low * 100) % 30 == 15:
                    across = [flat[0] + s * (flat[3] - flat[0]) for s in (low, high)]
                    along = [flat[1] + s * (flat[2] - flat[1]) for s in (high, low)]
                    fill(image, np.stack([*across, *along]), tone(_STRIPE, light))

    return float(camera.project(middle[None])[1][0]) - _NEARER, draw
