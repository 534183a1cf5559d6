"""The bicycle under a cyclist: where its parts are, and how it is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import random_look, tone
from pipeline.synthetic.drawing.strokes import line
from pipeline.synthetic.motion.acts import CRANK, HANDLEBAR, saddle_height
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.plan import Person
from pipeline.synthetic.street.scene import Camera

_HUBS = (-0.42, 0.66)  # metres ahead of the saddle
_RADIUS = 0.335
_RIM = np.linspace(0, 2 * np.pi, 36)


def draw_bicycle(image: NDArray[np.uint8], person: Person, row: int, camera: Camera) -> None:
    """Wheels, frame, bar and saddle in the plane of the rider's heading, at ``row`` of the person's arrays."""
    heading, (px, py) = person.heading[row], person.path[row]
    cos, sin = np.cos(heading), np.sin(heading)
    saddle = saddle_height(person.visit.body)

    def at(*points: tuple[float, float, float]) -> Array:
        x, y, z = np.array(points, float).T
        return camera.project(np.stack([px + x * cos - y * sin, py + x * sin + y * cos, z], axis=-1))[0]

    scale = camera.focal / max(2.0, float(np.hypot(px, py)))
    turn = -person.path_length[row] / _RADIUS
    for hub in _HUBS:
        for spoke in range(9):
            angle = turn + spoke * 2 * np.pi / 9
            tip = (hub + _RADIUS * np.cos(angle), 0.0, _RADIUS * (1 + np.sin(angle)))
            line(image, at((hub, 0.0, _RADIUS), tip), (120, 120, 122), 0.006 * scale)
        rim = at(*((hub + _RADIUS * np.cos(a), 0.0, _RADIUS * (1 + np.sin(a))) for a in _RIM))
        line(image, rim, (35, 35, 36), 0.035 * scale)
    colour = tone(random_look(person.visit.look + 1).shirt, 0.9)
    crank, rear, fork = (CRANK[0], 0.0, CRANK[1]), (_HUBS[0], 0.0, _RADIUS), (_HUBS[1], 0.0, _RADIUS)
    seat, head, stem = (0.0, 0.0, saddle - 0.1), (0.5, 0.0, 0.88), (0.55, 0.0, HANDLEBAR[2])
    for a, b in ((crank, rear), (rear, seat), (seat, crank), (crank, head), (seat, head), (head, fork)):
        line(image, at(a, b), colour, 0.035 * scale)
    grips = ((HANDLEBAR[0], side * HANDLEBAR[1], HANDLEBAR[2]) for side in (1, -1))
    line(image, at(head, stem), (60, 60, 62), 0.03 * scale)
    line(image, at(next(grips), stem, next(grips)), (50, 50, 52), 0.03 * scale)
    line(image, at((-0.12, 0.0, saddle - 0.07), (0.14, 0.0, saddle - 0.08)), (30, 30, 30), 0.06 * scale)
