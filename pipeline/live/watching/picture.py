"""See from its pictures whether a camera sees anything, and still sees the scene that it saw at first."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.settings import LiveSettings
from pose_extract.errors import OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)

_SIZE = (160, 90)
_LOOK_S = 0.5  # between two looks
_DARK, _FLAT = 16.0, 4.0  # grey levels: mean of a black picture, deviation of a covered one
_BLURRED = 0.1  # share of the scene's sharpness that is left of it behind a blurred lens
_LEARNED = 20  # looks that the scene is learned from
_FOLLOW = 0.002  # how fast it follows the light
_FITS = 0.5  # correlation from which it may


class PictureWatch:
    """Tells "online", "blind" or "moved" from a camera's pictures.

    Args:
        live: how long something must last before it counts.
        scene: file of the scene's picture; it is learned from the first pictures and kept there.
    """

    def __init__(self, live: LiveSettings, scene: Path | None = None) -> None:
        self._live, self._path = live, scene
        self._scene: NDArray[np.float32] | None = None
        self._sharp = 0.0
        self._seen = 0
        self._sum = np.zeros(_SIZE[::-1], np.float32)
        self._last: NDArray[np.uint8] | None = None
        self._changed_s = self._looked_s = -np.inf
        self._since: dict[str, float] = {}
        self.state, self.reason = "online", ""
        if scene is not None and scene.is_file():
            picture = cv2.imdecode(np.frombuffer(scene.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
            if picture is not None and picture.shape == _SIZE[::-1]:
                self._learn(picture.astype(np.float32))

    def look(self, image: NDArray[np.uint8], time_s: float) -> str:
        """The camera's state, given its next picture (H, W, 3) and the time."""
        if time_s - self._looked_s < _LOOK_S:
            return self.state
        self._looked_s = time_s
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), _SIZE, interpolation=cv2.INTER_AREA)
        if self._last is None or not np.array_equal(grey, self._last):
            self._changed_s = time_s
        self._last = grey
        found = self._trouble(grey, time_s)
        for name in [name for name in self._since if name not in found]:
            del self._since[name]
        for name in found:
            self._since.setdefault(name, time_s)
        lasting = [name for name in found if time_s - self._since[name] >= self._patience_s(name)]
        if lasting:
            self.reason = lasting[0]
            self.state = "moved" if self.reason == "the scene is another one" else "blind"
        elif not found:
            self.state, self.reason = "online", ""
            self._adapt(grey.astype(np.float32))
        return self.state

    def reconnected(self) -> None:
        """The time without pictures is no time without change."""
        self._last = None

    def _patience_s(self, name: str) -> float:
        if name == "the picture is frozen":
            return 0.0  # it has lasted already
        return self._live.moved_after_s if name == "the scene is another one" else self._live.blind_after_s

    def _trouble(self, grey: NDArray[np.uint8], time_s: float) -> list[str]:
        """What is wrong with the picture, the most certain first."""
        found = []
        deviation = float(grey.std())
        if grey.mean() < _DARK and deviation < 2 * _FLAT:
            found.append("the picture is black")
        elif deviation < _FLAT:
            found.append("the lens is covered")
        elif self._scene is not None and _sharpness(grey) < _BLURRED * self._sharp:
            found.append("the picture is blurred")
        if time_s - self._changed_s >= self._live.frozen_after_s:
            found.append("the picture is frozen")
        if found or self._scene is None:
            return found
        if _likeness(self._scene, grey.astype(np.float32)) < self._live.moved_below:
            found.append("the scene is another one")
        return found

    def _adapt(self, grey: NDArray[np.float32]) -> None:
        """Learn the scene from its first pictures; then follow the light."""
        if self._scene is not None:
            if _likeness(self._scene, grey) > _FITS:
                self._scene += _FOLLOW * (grey - self._scene)
            return
        self._sum += grey
        self._seen += 1
        if self._seen == _LEARNED:
            self._learn((self._sum / self._seen).astype(np.float32))
            if self._path is not None:
                picture = np.round(self._sum / self._seen).astype(np.uint8)
                try:
                    write_atomically(self._path, cv2.imencode(".png", picture)[1].tobytes())
                except OutputError as error:
                    logger.warning("the scene is not kept: %s", error)

    def _learn(self, scene: NDArray[np.float32]) -> None:
        self._scene = scene
        self._sharp = _sharpness(np.round(scene).astype(np.uint8))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation of two pictures' edges: light changes, edges stay."""
    a, b = (_edges(each) for each in (one, other))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    # A few strong edges must not be all that counts.
    return cv2.GaussianBlur(np.sqrt(size), (0, 0), 1.0)
