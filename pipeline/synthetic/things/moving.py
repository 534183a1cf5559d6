"""How things move that nobody pushes: over all frames of a clip, at a place in the picture at one second of it.

Each returns (F, 3) metres, (F,) radians of heading, and (F,) metres travelled.
"""

from __future__ import annotations

import numpy as np

from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.plan import random_spot
from pipeline.synthetic.street.scene import KERB, StreetSettings

Motion = tuple[Array, Array, Array]
BOUNCE = 0.62  # share of its speed upwards that a ball keeps


def driving(rng: np.random.Generator, settings: StreetSettings, middle: float) -> Motion:
    """A car at 9 to 27 km/h, on the road or, as often, among the people behind the kerb."""
    on_road = rng.random() < 0.5
    y = float(
        rng.uniform(KERB - 1.25, KERB - 1.0) if on_road else rng.uniform(KERB + 1.4, settings.far - 2.0)
    )
    direction, speed = float(rng.choice([0.0, np.pi])), float(rng.uniform(2.5, 7.5))
    t, wave = _seconds(settings), float(rng.uniform(0, 2 * np.pi))
    travelled = speed * (t - middle) + 0.06 * speed * (np.sin(t + wave) - np.sin(middle + wave))
    return _along(0.0, y, direction + float(rng.uniform(-0.03, 0.03)) + 0 * t, travelled, t - middle)


def trotting(rng: np.random.Generator, settings: StreetSettings, middle: float) -> Motion:
    """A dog at 1.7 to 3.2 m/s in a gentle curve."""
    x, y = random_spot(rng, settings, 0.4)
    direction = float(rng.choice([0.0, np.pi])) + float(rng.uniform(-0.35, 0.35))
    speed, wave = float(rng.uniform(1.7, 3.2)), float(rng.uniform(0, 2 * np.pi))
    t = _seconds(settings)
    heading = direction + 0.18 * (np.sin(0.8 * t + wave) - np.sin(0.8 * middle + wave))
    return _along(x, y, heading, speed * (t - middle), t - middle)


def bouncing(rng: np.random.Generator, settings: StreetSettings, middle: float) -> Motion:
    """A ball that is thrown or kicked across the street: it flies and bounces, each time lower, then rolls."""
    x, y = random_spot(rng, settings, 0.6)
    thrown = rng.random() < 0.6
    speed = float(rng.uniform(4.5, 8.0) if thrown else rng.uniform(3.5, 5.5))
    direction = float(rng.choice([0.0, np.pi])) + float(rng.uniform(-0.3, 0.3))
    t = _seconds(settings)
    begin = middle - (0.8 * y / settings.focal + 0.5) / speed  # before it is in the picture
    since = np.maximum(t - begin, 0.0)
    slowing = 0.06 if thrown else 0.12
    travelled = speed * (1 - np.exp(-slowing * since)) / slowing
    gone = speed * (1 - np.exp(-slowing * max(middle - begin, 0.0))) / slowing
    place, heading, _ = _along(x, y, direction + 0 * t, travelled - gone, t - middle)
    height, rise = (float(rng.uniform(1.0, 1.8)), float(rng.uniform(0.5, 3.0))) if thrown else (0.0, 0.0)
    place[:, 2] = 0.13 + _bounces(since, height, rise)
    return place, heading, travelled


def _bounces(since: Array, height: float, rise: float) -> Array:
    """(F,) metres above its rest of a ball let go ``height`` metres high and rising at ``rise`` metres a second."""
    z, begin = np.zeros_like(since), 0.0
    for _ in range(12):
        flight = (rise + np.sqrt(rise**2 + 2 * 9.81 * height)) / 9.81
        now = (since >= begin) & (since < begin + flight)
        u = since[now] - begin
        z[now] = height + rise * u - 0.5 * 9.81 * u**2
        begin, rise, height = begin + flight, BOUNCE * (9.81 * flight - rise), 0.0
        if rise < 0.4:
            break
    return np.maximum(z, 0.0)


def _seconds(settings: StreetSettings) -> Array:
    return np.arange(settings.frames) / settings.fps


def _along(x: float, y: float, heading: Array, travelled: Array, since: Array) -> Motion:
    """A path through (x, y) at ``since`` 0 whose steps follow ``travelled``."""
    steps = np.diff(travelled, prepend=travelled[:1])
    path = np.cumsum(np.stack([steps * np.cos(heading), steps * np.sin(heading)], axis=-1), axis=0)
    at = int(np.argmin(np.abs(since)))
    path += np.array([x, y]) - path[at]
    return np.concatenate([path, np.zeros((len(path), 1))], axis=1), heading, travelled
