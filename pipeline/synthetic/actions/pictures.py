"""Small pictures of clips of actions: what a camera that follows the person would show."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.actions.clips import ActionClip
from pipeline.synthetic.drawing.figure import Figure
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.scene import Camera, StreetSettings, background

MARGIN = 1.12  # side of the picture, relative to the person's larger extent in the clip


def follow(clip: ActionClip) -> tuple[Array, float]:
    """What is shown of the camera's picture: middles (F, 2) and side of a square, pixels. It keeps its size, and moves
    evenly along with the person."""
    pixels = clip.sight.pixels
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    time = np.linspace(-1, 1, len(pixels))
    middle = np.stack([np.polyval(np.polyfit(time, m, 1), time) for m in ((low + high) / 2).T], axis=-1)
    reach = np.maximum(np.abs(high - middle), np.abs(low - middle)).max()
    return middle, float(2 * MARGIN * reach)


def render_action(clip: ActionClip, size: int, every: int = 1) -> NDArray[np.uint8]:
    """Draw a clip.

    Args:
        clip: of `make_action_clips`.
        size: side of the square pictures, pixels.
        every: draw each so many-th frame only.

    Returns:
        (F, size, size, 3) BGR; the person fills most of the height, or of the width where they lie.
    """
    middle, side = follow(clip)
    scale = size / side
    empty = _street(clip.camera)
    camera = Camera(clip.camera)
    camera.focal *= scale
    corner = middle - side / 2
    sight = replace(clip.sight, pixels=(clip.sight.pixels - corner[:, None]) * scale)
    figure = Figure(sight, camera)
    frames = []
    for row in range(0, len(middle), every):
        shift = (0.5 * np.array([clip.camera.width, clip.camera.height]) - corner[row]) * scale
        camera.centre = (float(shift[0]), float(shift[1]))
        move = np.array([[scale, 0, -corner[row, 0] * scale], [0, scale, -corner[row, 1] * scale]])
        image = cv2.warpAffine(
            empty, move, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        figure.shadow(image, row)
        figure.draw(image, row)
        frames.append(image)
    return np.stack(frames)


@lru_cache(maxsize=4)
def _backdrop(width: int, height: int) -> NDArray[np.uint8]:
    """The empty street, softened: small pictures would turn its grain into flicker."""
    street = background(StreetSettings(width=width, height=height))
    return np.asarray(cv2.GaussianBlur(street, (0, 0), 1.5), np.uint8)


def _street(camera: StreetSettings) -> NDArray[np.uint8]:
    return _backdrop(camera.width, camera.height)
