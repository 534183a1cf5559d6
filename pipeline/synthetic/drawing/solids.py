"""Solid things as parts in three dimensions: drawn from far to near, and the box in the picture that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import Colour, tone
from pipeline.synthetic.drawing.strokes import fill, hull, line
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.scene import Camera

_LIGHT = np.array([-0.35, -0.5, 0.79])  # where the light comes from


@dataclass(frozen=True)
class Part:
    """A piece of a thing.

    Attributes:
        points: (N, 3) metres.
        colour: BGR.
        form: ``face``, a flat convex polygon that is seen from outside only; ``round``, the hull of balls; ``line``.
        radius: metres, (N,) or one for all: of the balls, half the width of a line.
        nearer: metres that it is drawn nearer than it is, so that what lies at one depth covers what it should.
        outward: (3,) direction that a face looks to.
    """

    points: Array
    colour: Colour
    form: Literal["face", "round", "line"]
    radius: Array | float = 0.0
    nearer: float = 0.0
    outward: Array | None = None


def rod(points: Sequence[tuple[float, float, float]] | Array, colour: Colour, width: float) -> Part:
    """A bent line of ``width`` metres."""
    return Part(np.asarray(points, float), colour, "line", width / 2)


def blob(points: Sequence[tuple[float, float, float, float]], colour: Colour, nearer: float = 0.0) -> Part:
    """The hull of balls: x, y, z and radius of each, metres."""
    places = np.asarray(points, float)
    return Part(places[:, :3], colour, "round", places[:, 3], nearer)


def disc(
    middle: tuple[float, float, float], radius: float, colour: Colour, side: float, nearer: float
) -> Part:
    """An upright disc along the heading, seen from its ``side``: 1 left, -1 right."""
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rim = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=-1)
    return Part(np.array(middle) + radius * rim, colour, "face", 0.0, nearer, np.array([0.0, side, 0.0]))


def prism(profile: Sequence[tuple[float, float, float]], colour: Colour, nearer: float = 0.0) -> list[Part]:
    """The faces of a convex solid: x, half the width there, and z of each corner of its side, in order."""
    x, half, z = np.asarray(profile, float).T
    sides = [np.stack([x, sign * half, z], axis=-1) for sign in (1, -1)]
    left, right = sides
    rims = [
        np.stack([left[i], left[j], right[j], right[i]]) for i in range(len(x)) for j in [(i + 1) % len(x)]
    ]
    middle = np.concatenate(sides).mean(axis=0)
    return [Part(points, colour, "face", 0.0, nearer, _outward(points, middle)) for points in (*sides, *rims)]


def inset(face: Part, share: float, colour: Colour, nearer: float = 0.01) -> Part:
    """A smaller face on another: a window."""
    middle = face.points.mean(axis=0)
    points = middle + share * (face.points - middle)
    return Part(points, colour, "face", 0.0, face.nearer + nearer, face.outward)


def placed(parts: Sequence[Part], place: Array, heading: float) -> list[Part]:
    """``parts`` of a thing's own frame (x ahead, y left, z up) in the world, its origin at ``place`` (3,)."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return [
        Part(
            part.points @ turn.T + place, part.colour, part.form, part.radius, part.nearer,
            None if part.outward is None else turn @ part.outward,
        )
        for part in parts
    ]  # fmt: skip


def draw_parts(image: NDArray[np.uint8], parts: Sequence[Part], camera: Camera) -> None:
    """Draw ``parts`` that are in the world, far ones first."""
    eye = np.array([0.0, 0.0, camera.height])
    seen = []
    for part in parts:
        flat, depth = camera.project(part.points)
        light = 1.0
        if part.outward is not None:
            if float(part.outward @ (eye - part.points.mean(axis=0))) <= 0:
                continue
            light = 0.68 + 0.46 * max(0.0, float(part.outward @ _LIGHT))
        seen.append((part.nearer - float(depth.mean()), part, flat, depth, light))
    for _, part, flat, depth, light in sorted(seen, key=lambda each: each[0]):
        if part.form == "face":
            outline = cv2.convexHull(flat.astype(np.float32))[:, 0]
            fill(image, outline, tone(part.colour, light))
        elif part.form == "round":
            hull(image, flat, np.broadcast_to(part.radius, depth.shape) * camera.focal / depth, part.colour)
        else:
            width = 2 * float(np.mean(part.radius)) * camera.focal / float(depth.mean())
            line(image, flat, part.colour, width)


def box_of(parts: Sequence[Part], camera: Camera) -> Array:
    """(4,) pixels, left, top, right and bottom, of the box around ``parts``, in the picture or not."""
    points = np.concatenate([part.points for part in parts])
    radius = np.concatenate([np.broadcast_to(part.radius, len(part.points)) for part in parts])
    flat, depth = camera.project(points)
    size = (radius * camera.focal / np.maximum(depth, 0.1))[:, None]
    return np.concatenate([(flat - size).min(axis=0), (flat + size).max(axis=0)])


def _outward(points: Array, middle: Array) -> Array:
    """(3,) unit normal of a flat polygon that points away from ``middle``."""
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    if np.linalg.norm(normal) < 1e-9:
        normal = np.cross(points[2] - points[0], points[-1] - points[0])
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9)
    return normal if normal @ (points.mean(axis=0) - middle) > 0 else -normal
