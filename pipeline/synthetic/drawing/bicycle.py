"""A bicycle, under a cyclist or pushed: where its parts are, and how the ridden one is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import Colour, random_look, tone
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
    scale = camera.focal / max(2.0, float(np.hypot(px, py)))
    visit = person.visit
    for points, colour, width in bicycle(saddle_height(visit.body), person.path_length[row], visit.look + 1):
        x, y, z = points.T
        world = np.stack([px + x * cos - y * sin, py + x * sin + y * cos, z], axis=-1)
        line(image, camera.project(world)[0], colour, width * scale)


def bicycle(saddle: float, travelled: float, look: int) -> Iterator[tuple[Array, Colour, float]]:
    """Yield its lines, far parts first: points (N, 3) in metres ahead, to the left and above the ground under the
    saddle, colour, and width in metres. ``saddle`` and ``travelled`` are metres, ``look`` the seed of its colour."""

    def at(*points: tuple[float, float, float]) -> Array:
        return np.array(points, float)

    turn = -travelled / _RADIUS
    for hub in _HUBS:
        for spoke in range(9):
            angle = turn + spoke * 2 * np.pi / 9
            tip = (hub + _RADIUS * np.cos(angle), 0.0, _RADIUS * (1 + np.sin(angle)))
            yield at((hub, 0.0, _RADIUS), tip), (120, 120, 122), 0.006
        rim = at(*((hub + _RADIUS * np.cos(a), 0.0, _RADIUS * (1 + np.sin(a))) for a in _RIM))
        yield rim, (35, 35, 36), 0.035
    colour = tone(random_look(look).shirt, 0.9)
    crank, rear, fork = (CRANK[0], 0.0, CRANK[1]), (_HUBS[0], 0.0, _RADIUS), (_HUBS[1], 0.0, _RADIUS)
    seat, head, stem = (0.0, 0.0, saddle - 0.1), (0.5, 0.0, 0.88), (0.55, 0.0, HANDLEBAR[2])
    for a, b in ((crank, rear), (rear, seat), (seat, crank), (crank, head), (seat, head), (head, fork)):
        yield at(a, b), colour, 0.035
    left, right = ((HANDLEBAR[0], side * HANDLEBAR[1], HANDLEBAR[2]) for side in (1, -1))
    yield at(head, stem), (60, 60, 62), 0.03
    yield at(left, stem, right), (50, 50, 52), 0.03
    yield at((-0.12, 0.0, saddle - 0.07), (0.14, 0.0, saddle - 0.08)), (30, 30, 30), 0.06
