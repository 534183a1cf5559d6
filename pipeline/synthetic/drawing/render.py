"""Pictures of a clip: the street, shadows, people and things, nearer ones over farther ones, and the camera's noise."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.figure import Figure
from pipeline.synthetic.drawing.thing_figure import ThingFigure
from pipeline.synthetic.street.scene import Camera, StreetSettings, background
from pipeline.synthetic.street.truth import Sight
from pipeline.synthetic.things.thing import ThingSight

_SPARE = 64  # pixels by which the bank of noise is larger than the picture


class Renderer:
    """Draws the frames of one clip, in order.

    Args:
        settings: of the street.
        seed: of the camera's noise and the light.
        sights: whom to draw.
        things: what else.
    """

    def __init__(
        self,
        settings: StreetSettings,
        seed: int,
        sights: Sequence[Sight],
        things: Sequence[ThingSight] = (),
    ) -> None:
        self.camera = Camera(settings)
        light = np.random.default_rng((seed, 2)).uniform(0.9, 1.08)
        self.empty = np.clip(background(settings) * light, 0, 255).astype(np.uint8)
        self.figures: list[Figure | ThingFigure] = [
            *(Figure(sight, self.camera) for sight in sights),
            *(ThingFigure(sight, self.camera) for sight in things),
        ]
        self.rng = np.random.default_rng((seed, 3))
        # A bank of noise, read at a new place for each frame: far cheaper than drawing it anew, and as good to look at.
        shape = (settings.height + _SPARE, settings.width + _SPARE, 3)
        noise = self.rng.normal(0, settings.noise, shape)
        self.plus = np.clip(np.rint(noise), 0, 255).astype(np.uint8)
        self.minus = np.clip(np.rint(-noise), 0, 255).astype(np.uint8)

    def draw(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) BGR picture of ``frame``. The noise depends on how many frames were drawn before."""
        image = self.empty.copy()
        there: list[tuple[float, int, int]] = []
        for i, figure in enumerate(self.figures):
            row = frame - figure.first
            if 0 <= row < len(figure.sight.drawn) and figure.sight.drawn[row]:
                there.append((-float(figure.sight.distance[row]), i, row))
        for _, i, row in there:
            self.figures[i].shadow(image, row)
        for _, i, row in sorted(there):
            self.figures[i].draw(image, row)
        dy, dx = (int(v) for v in self.rng.integers(0, _SPARE, 2))
        window = np.s_[dy : dy + image.shape[0], dx : dx + image.shape[1]]
        return cv2.subtract(cv2.add(image, self.plus[window]), self.minus[window])
