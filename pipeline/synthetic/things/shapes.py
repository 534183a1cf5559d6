"""What things look like: their parts, in metres, x ahead, y to the left, z up from the ground under them."""

from __future__ import annotations

from functools import cache

import numpy as np

from pipeline.synthetic.drawing.bicycle import bicycle
from pipeline.synthetic.drawing.clothes import Colour, random_look, tone
from pipeline.synthetic.drawing.solids import Part, blob, disc, inset, prism, rod
from pipeline.synthetic.motion.acts import DECK
from pipeline.synthetic.motion.body import Array

STRAPS = 0.2  # metres from a bag's top to the hand that carries it
_TYRE, _GREY = (34, 34, 36), (128, 130, 132)
_PAINTS = ((60, 60, 170), (150, 90, 50), (190, 192, 194), (70, 72, 74), (225, 228, 230), (80, 120, 70))
_COATS = ((40, 60, 95), (70, 110, 160), (30, 30, 34), (190, 200, 210), (60, 85, 120))


def shape_of(kind: str, look: int, travelled: float) -> list[Part]:
    """The parts of a thing of this ``kind`` that has gone ``travelled`` metres, in its own frame.

    Raises:
        KeyError: there is no such kind of thing.
    """
    return _SHAPES[kind](np.random.default_rng((look, 11)), look, travelled)


def bag_height(look: int) -> float:
    """Metres from the ground to the top of a bag that stands there."""
    return float(np.random.default_rng((look, 11)).uniform(0.36, 0.44))


def saddle_of(look: int) -> float:
    """Metres above the ground of a pushed bicycle's saddle."""
    return float(np.random.default_rng((look, 12)).uniform(0.88, 0.98))


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return tone(colours[int(rng.integers(len(colours)))], float(rng.uniform(0.9, 1.1)))


def _bicycle(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    lines = bicycle(saddle_of(look), travelled, look)
    return [Part(points, colour, "line", width / 2) for points, colour, width in lines]


def _car(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    """A hatchback, 4.1 m long, 1.75 m wide, 1.47 m high."""
    wheels = [((x, 0.845 * side, 0.31), side) for side in (1.0, -1.0) for x in (1.28, -1.25)]
    turning = [part for hub, side in wheels for part in _wheel(hub, 0.31, side, travelled)]
    return [*_car_body(look), *turning]


@cache
def _car_body(look: int) -> tuple[Part, ...]:
    rng = np.random.default_rng((look, 11))
    paint, glass = _pick(rng, _PAINTS), (88, 78, 66)
    low = prism(
        (
            (-2.02, 0.84, 0.28), (2.0, 0.84, 0.28), (2.06, 0.84, 0.5), (2.0, 0.84, 0.7), (1.1, 0.85, 0.86),
            (-1.98, 0.85, 0.92), (-2.06, 0.85, 0.55),
        ),
        paint,
    )  # fmt: skip
    cabin = prism(
        ((1.12, 0.8, 0.85), (0.3, 0.66, 1.42), (-0.3, 0.64, 1.47), (-1.4, 0.64, 1.42), (-1.95, 0.8, 0.91)),
        paint,
        0.9,
    )
    parts = [*low, *cabin]
    for i, face in enumerate(cabin):
        if i in (0, 1):  # its sides: two windows and the pillar between them
            parts.append(inset(face, 0.84, glass))
            side = face.points[0, 1] / abs(face.points[0, 1])
            post = np.array([(-0.35, 0.8 * side, 0.95), (-0.35, 0.67 * side, 1.4)])
            parts.append(Part(post, tone(paint, 0.95), "line", 0.045, 0.95))
        elif i in (2, 5):  # windscreen and rear window
            parts.append(inset(face, 0.86, tone(glass, 1.25)))
    for side in (1.0, -1.0):
        for x in (0.72, -0.35, -1.2):
            seam = np.array([(x, 0.86 * side, 0.4), (x, 0.86 * side, 0.86)])
            parts.append(Part(seam, tone(paint, 0.6), "line", 0.008, 0.45))
        lamps = ((2.04, (210, 240, 250)), (-2.06, (50, 40, 190)))
        for x, colour in lamps:
            corners = np.array(
                [(x, side * y, z) for y, z in ((0.5, 0.56), (0.78, 0.56), (0.78, 0.7), (0.5, 0.7))]
            )
            parts.append(Part(corners, colour, "face", 0.0, 0.6, np.array([np.sign(x), 0.0, 0.0])))
    return tuple(parts)


def _wheel(
    hub: tuple[float, float, float], radius: float, side: float, travelled: float, nearer: float = 0.5
) -> list[Part]:
    spokes = [
        disc(hub, radius, _TYRE, side, nearer),
        disc(hub, 0.62 * radius, _GREY, side, nearer + 0.01),
    ]
    for i in range(5):
        angle = -travelled / radius + i * 2 * np.pi / 5
        tip = (hub[0] + 0.55 * radius * np.cos(angle), hub[1], hub[2] + 0.55 * radius * np.sin(angle))
        line = Part(np.array([hub, tip]), (70, 70, 72), "line", 0.04 * radius, nearer + 0.02)
        spokes.append(
            Part(line.points, line.colour, "line", line.radius, line.nearer, np.array([0, side, 0.0]))
        )
    return spokes


def _pram(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    """A pram whose handle is over its origin."""
    cloth = random_look(look).shirt
    parts = []
    for side in (0.26, -0.26):
        rear, front = (0.30, side, 0.15), (0.88, side, 0.13)
        parts += [
            rod(((0.0, 0.8 * side, 0.94), (0.14, 0.8 * side, 0.9), (0.52, side, 0.45), front), _GREY, 0.028),
            rod((rear, (0.62, side, 0.55)), _GREY, 0.028),
        ]
        for (x, y, z), radius in ((rear, 0.15), (front, 0.13)):
            for face in (1.0, -1.0):
                wheel = _wheel((x, y + 0.02 * face, z), radius, face, travelled, 0.03)
                parts += wheel
    parts.append(rod(((0.0, 0.21, 0.94), (0.0, -0.21, 0.94)), (45, 45, 48), 0.04))
    parts.append(
        blob([(x, y, z, 0.1) for x in (0.38, 0.86) for y in (0.12, -0.12) for z in (0.52, 0.62)], cloth)
    )
    hood = [(0.34, y, 0.72, 0.12) for y in (0.12, -0.12)]
    hood += [(x, y, z, 0.07) for x, z in ((0.3, 0.96), (0.58, 0.95)) for y in (0.16, -0.16)]
    parts.append(blob(hood, tone(cloth, 0.8)))
    parts.append(blob([(0.66, 0.0, 0.72, 0.09), (0.8, 0.0, 0.7, 0.07)], (200, 205, 215), 0.02))
    parts.append(blob([(0.42, y, 0.3, 0.06) for y in (0.14, -0.14)] + [(0.66, 0.0, 0.3, 0.06)], (50, 48, 46)))
    return parts


def _dog(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    """A dog that trots: legs that stand across from each other swing together."""
    coat, size = _pick(rng, _COATS), float(rng.uniform(0.85, 1.2))
    phase = 2 * np.pi * travelled / (0.95 * size)
    bob = 0.015 * np.cos(2 * phase)
    dark = tone(coat, 0.8)
    parts = [
        blob([(-0.3, 0, 0.47 + bob, 0.1), (0.0, 0, 0.46 + bob, 0.1), (0.27, 0, 0.48 + bob, 0.125)], coat),
        blob([(0.3, 0, 0.53 + bob, 0.09), (0.45, 0, 0.68 + bob, 0.065)], coat),
        blob([(0.47, 0, 0.71 + bob, 0.085), (0.52, 0, 0.7 + bob, 0.07)], coat, 0.01),
        blob([(0.54, 0, 0.68 + bob, 0.05), (0.68, 0, 0.65 + bob, 0.035)], dark, 0.02),
        blob([(0.7, 0, 0.66 + bob, 0.018)], (20, 20, 22), 0.03),
        rod(_curve((-0.38, 0.0, 0.5 + bob), (-0.56, 0.06 * np.sin(2.3 * phase), 0.68)), dark, 0.05),
    ]
    for side in (1.0, -1.0):
        parts.append(
            blob([(0.44, 0.07 * side, 0.76 + bob, 0.03), (0.42, 0.09 * side, 0.68 + bob, 0.035)], dark, 0.02)
        )
        for x, offset in ((0.25, 0.0), (-0.3, np.pi)):
            swing = phase + offset + (np.pi if side < 0 else 0.0)
            reach, lift = 0.17 * np.cos(swing), 0.09 * max(0.0, float(-np.sin(swing)))
            hip, paw = (x, 0.08 * side, 0.42 + bob), (x + reach, 0.08 * side, 0.03 + lift)
            bend = 0.05 if x > 0 else -0.07
            knee = ((hip[0] + paw[0]) / 2 + bend, 0.08 * side, 0.24 + 0.6 * lift)
            shade = coat if side > 0 else dark
            parts.append(blob([(*hip, 0.07), (*knee, 0.04)], shade))
            parts.append(blob([(*knee, 0.037), (*paw, 0.028)], shade))
            parts.append(blob([(*paw, 0.028), (paw[0] + 0.05, paw[1], paw[2], 0.024)], shade))
    return [_scaled(part, size) for part in parts]


def _ball(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    """A ball with patches that turn as it rolls; its origin is its middle."""
    radius = float(rng.uniform(0.11, 0.16))
    colour = _pick(rng, ((235, 238, 240), (40, 70, 220), (60, 200, 235), (210, 120, 40)))
    parts = [blob([(0.0, 0.0, 0.0, radius)], colour)]
    turn = travelled / radius
    for i in range(5):
        angle, lean = turn + i * 2 * np.pi / 5, 0.9 * (-1) ** i
        at = (
            0.8
            * radius
            * np.array([np.sin(angle) * np.cos(lean), np.sin(lean), np.cos(angle) * np.cos(lean)])
        )
        spot = Part(
            at[None] + 0.22 * radius * _facing(at), tone(colour, 0.35), "face", 0.0, radius, at / radius
        )
        parts.append(spot)
    return parts


def _bag(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    """A holdall with straps."""
    height = bag_height(look)
    colour = _pick(rng, ((40, 40, 44), (60, 50, 120), (110, 70, 40), (50, 85, 70), (45, 75, 120)))
    length, width = float(rng.uniform(0.46, 0.6)), 0.24
    x, y = length / 2 - 0.07, width / 2 - 0.07
    corners = [(sx * x, sy * y, z, 0.07) for sx in (-1, 1) for sy in (-1, 1) for z in (0.07, height - 0.07)]
    parts = [blob(corners, colour)]
    for side in (1.0, -1.0):
        strap = [(-0.12, 0.1 * side, height - 0.05), (-0.06, 0.02 * side, height + STRAPS)]
        strap += [(0.06, 0.02 * side, height + STRAPS), (0.12, 0.1 * side, height - 0.05)]
        parts.append(rod(strap, tone(colour, 0.6), 0.022))
        seam = [(-x, side * width / 2, height * 0.55), (x, side * width / 2, height * 0.55)]
        parts.append(Part(np.array(seam), tone(colour, 1.5), "line", 0.01, 0.03, np.array([0.0, side, 0.0])))
    return parts


def _skateboard(rng: np.random.Generator, look: int, travelled: float) -> list[Part]:
    colour = tone(random_look(look).shirt, 0.9)
    parts = prism(((-0.3, 0.1, 0.085), (0.3, 0.1, 0.085), (0.42, 0.08, DECK + 0.03), (0.3, 0.1, DECK),
                   (-0.3, 0.1, DECK), (-0.42, 0.08, DECK + 0.03)), colour)  # fmt: skip
    for x in (0.24, -0.24):
        for side in (1.0, -1.0):
            parts.append(disc((x, 0.1 * side, 0.035), 0.035, (215, 220, 225), side, 0.02))
            parts.append(disc((x, 0.05 * side, 0.035), 0.035, (160, 165, 170), -side, 0.0))
    return parts


def _curve(start: tuple[float, float, float], end: tuple[float, float, float]) -> Array:
    share = np.linspace(0, 1, 6)[:, None]
    line = np.array(start) * (1 - share) + np.array(end) * share
    line[:, 2] -= 0.06 * np.sin(np.pi * share[:, 0])
    return line


def _facing(outward: Array) -> Array:
    """(7, 3) corners of a flat unit polygon that looks ``outward`` (3,)."""
    up = outward / np.linalg.norm(outward)
    a = np.cross(up, [0.3, 0.8, 0.5])
    a /= np.linalg.norm(a)
    b, angle = np.cross(up, a), np.linspace(0, 2 * np.pi, 7, endpoint=False)[:, None]
    return np.asarray(np.cos(angle) * a + np.sin(angle) * b)


def _scaled(part: Part, size: float) -> Part:
    return Part(
        part.points * size, part.colour, part.form, np.asarray(part.radius) * size, part.nearer, part.outward
    )


_SHAPES = {
    "bicycle": _bicycle,
    "pram": _pram,
    "car": _car,
    "dog": _dog,
    "ball": _ball,
    "bag": _bag,
    "skateboard": _skateboard,
}
