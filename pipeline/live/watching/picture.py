"""See from its pictures whether a camera sees anything, and still sees the scene that its model was trained on."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.settings import LiveSettings
from pose_extract.errors import OutputError
from pose_extract.files import write_atomically
from pose_extract.video.scene import likeness, sketch_from_text, sketch_of, sketch_to_text, small_grey

logger = logging.getLogger(__name__)

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
        scene: file of the scene's sketch and sharpness; they are learned from the first pictures and kept there.
        trained: sketches of the scenes that the model was trained on: one of them must be seen. Empty: they are not
            known, and the one that is learned counts.
    """

    def __init__(
        self, live: LiveSettings, scene: Path | None = None, trained: Sequence[NDArray[np.float32]] = ()
    ) -> None:
        self._live, self._path, self._trained = live, scene, trained
        self._scene: NDArray[np.float32] | None = None  # learned
        self._sharp = 0.0
        self._seen = 0
        self._sum: NDArray[np.float32] | None = None
        self._last: NDArray[np.uint8] | None = None
        self._changed_s = self._looked_s = -np.inf
        self._since: dict[str, float] = {}
        self.state, self.reason = "online", ""
        if scene is not None:
            with suppress(OSError, ValueError, TypeError, KeyError):  # one that is damaged is learned anew
                kept = json.loads(scene.read_text(encoding="utf-8"))
                sketch, sharp = sketch_from_text(kept["sketch"]), float(kept["sharpness"])
                self._scene, self._sharp = sketch, sharp

    def look(self, image: NDArray[np.uint8], time_s: float) -> str:
        """The camera's state, given its next picture (H, W, 3) and the time."""
        if time_s - self._looked_s < _LOOK_S:
            return self.state
        self._looked_s = time_s
        grey = small_grey(image)
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
        scenes = self._trained or ([] if self._scene is None else [self._scene])
        if not found and scenes:
            sketch = sketch_of(grey.astype(np.float32))
            if max(likeness(scene, sketch) for scene in scenes) < self._live.moved_below:
                found.append("the scene is another one")
        return found

    def _adapt(self, grey: NDArray[np.float32]) -> None:
        """Learn the scene from its first pictures; then follow the light."""
        if self._scene is not None:
            sketch = sketch_of(grey)
            if likeness(self._scene, sketch) > _FITS:
                self._scene += _FOLLOW * (sketch - self._scene)
            return
        self._sum = grey if self._sum is None else self._sum + grey
        self._seen += 1
        if self._seen == _LEARNED:
            mean = np.asarray(self._sum / self._seen, np.float32)
            self._scene, self._sharp = sketch_of(mean), _sharpness(np.round(mean).astype(np.uint8))
            if self._path is not None:
                kept = {"sketch": sketch_to_text(self._scene), "sharpness": self._sharp}
                try:
                    write_atomically(self._path, json.dumps(kept).encode())
                except OutputError as error:
                    logger.warning("the scene is not kept: %s", error)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
