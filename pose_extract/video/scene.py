"""Sketch a scene: where its edges are. It tells a camera that was moved, and is too coarse to show anybody."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_LOOKED_AT = (160, 90)  # pixels
_SKETCH = (80, 45)
_EVERY_S = 5.0


def small_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR as (90, 160) grey levels, whatever its shape."""
    small = cv2.resize(image, _LOOKED_AT, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def sketch_of(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The strengths of edges (45, 80), 0 to 255, in grey levels (90, 160)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # A few strong edges must not be all that counts.
    edges = cv2.resize(cv2.GaussianBlur(np.sqrt(size), (0, 0), 1.0), _SKETCH, interpolation=cv2.INTER_AREA)
    most = float(edges.max())
    return np.asarray(np.round(edges * (255 / most)) if most > 0 else edges, np.float32)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation of two sketches, -1 to 1: light changes, edges stay. 0 where one of them has no edge."""
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def sketch_to_text(sketch: NDArray[np.float32]) -> str:
    """A sketch as some thousand letters."""
    return base64.b64encode(zlib.compress(np.round(sketch).astype(np.uint8).tobytes(), 9)).decode()


def sketch_from_text(text: str) -> NDArray[np.float32]:
    """What `sketch_to_text` has written; raises ValueError if it is none."""
    width, height = _SKETCH
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), width * height + 1)
    except (ValueError, zlib.error, TypeError) as error:
        raise ValueError(f"no sketch of a scene: {error}") from error
    if len(data) != width * height:
        raise ValueError("no sketch of a scene: it has another size")
    return np.frombuffer(data, np.uint8).reshape(height, width).astype(np.float32)


def mean_sketch(texts: Sequence[str]) -> str | None:
    """The mean of sketches of one scene; None of none."""
    sketches = [sketch_from_text(text) for text in texts]
    return sketch_to_text(np.mean(sketches, axis=0)) if sketches else None


class SceneLearner:
    """Sketches the scene of a clip from a picture every few seconds; who passes by is not in it."""

    def __init__(self) -> None:
        self._sum = np.zeros(_LOOKED_AT[::-1], np.float64)
        self._count = 0
        self._next_s = -np.inf

    def see(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Take the clip's next picture (H, W, 3) BGR, if it is time for one."""
        if time_s >= self._next_s:
            self._next_s = time_s + _EVERY_S
            self._sum += small_grey(image)
            self._count += 1

    @property
    def text(self) -> str | None:
        """The sketch; None without a picture."""
        return (
            sketch_to_text(sketch_of((self._sum / self._count).astype(np.float32))) if self._count else None
        )
