"""Shaded shapes with sub-pixel positions on a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.clothes import Colour, tone
from pipeline.synthetic.motion.body import Array

SHIFT = 4  # fractional bits of the coordinates given to OpenCV
CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 18, endpoint=False)), np.sin(a)], axis=-1)
# Nested outlines from the dark rim to the light: share of the radius, offset towards the light, brightness.
_SHADES = np.array([(1.0, 0.0, 0.68), (0.82, 0.10, 0.88), (0.58, 0.22, 1.03), (0.28, 0.34, 1.14)])
_LIGHT = np.array([-0.5, -0.85])


def fill(image: NDArray[np.uint8], outline: Array, colour: Colour) -> None:
    """A flat convex polygon; ``outline`` (N, 2) pixels."""
    points = np.rint(outline * (1 << SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(image, points, colour, cv2.LINE_AA, SHIFT)


def hull(image: NDArray[np.uint8], centres: Array, radii: Array, colour: Colour) -> None:
    """The convex hull of circles, shaded as if round: ``centres`` (N, 2), ``radii`` (N,) pixels. Two make a limb."""
    share, offset = _SHADES[:, 0, None], _SHADES[:, 1, None]
    r = np.maximum(radii * share, 0.35)
    c = centres + (radii * offset * 0.55)[..., None] * _LIGHT
    if len(centres) > 2:
        middle = centres.mean(axis=0)
        c = middle + (c - middle) * (0.55 + 0.45 * share)[..., None]
    rims = (c[:, :, None] + r[..., None, None] * CIRCLE).reshape(len(_SHADES), -1, 2).astype(np.float32)
    for rim, light in zip(rims, _SHADES[:, 2], strict=True):
        fill(image, cv2.convexHull(rim)[:, 0], tone(colour, light))


def line(image: NDArray[np.uint8], points: Array, colour: Colour, width: float) -> None:
    """An open polyline; ``points`` (N, 2) and ``width`` in pixels."""
    fixed = np.rint(points * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour, max(1, round(width)), cv2.LINE_AA, SHIFT)
