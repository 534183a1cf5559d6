"""What people in the street wear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours (BGR) and clothes of one person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    shorts: bool
    hair_length: float
    stripe: bool


_SKINS = ((150, 180, 225), (125, 158, 208), (95, 130, 185), (70, 100, 150), (48, 70, 108))
_HAIRS = ((25, 28, 32), (32, 45, 70), (55, 85, 125), (90, 140, 180), (140, 140, 145), (35, 40, 95))


def random_look(seed: int) -> Look:
    """Draw clothes and colours."""
    rng = np.random.default_rng((seed, 5))

    def pick(colours: Sequence[tuple[int, int, int]]) -> Colour:
        b, g, r = np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.9, 1.1)
        return float(b), float(g), float(r)

    def cloth(low: float, high: float) -> Colour:
        hsv = np.array([[[rng.integers(180), rng.integers(20, 190), rng.uniform(low, high)]]]).astype(
            np.uint8
        )
        b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
        return float(b), float(g), float(r)

    return Look(
        pick(_SKINS),
        pick(_HAIRS),
        cloth(90, 240),
        cloth(45, 150),
        cloth(25, 90) if rng.random() < 0.7 else cloth(180, 230),
        bool(rng.random() < 0.6),
        bool(rng.random() < 0.2),
        float(rng.choice([0.0, 0.0, 0.5, 1.0])),
        bool(rng.random() < 0.3),
    )


def tone(colour: Colour, share: float) -> Colour:
    """``colour`` made brighter or darker."""
    b, g, r = (min(255.0, c * share) for c in colour)
    return b, g, r
