"""The last seconds of a camera in memory, bounded by time and by bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.recording.moving import MovingAreas
from pose_extract.tracks.records import PoseDetections

_JPEG_QUALITY = 85


@dataclass(frozen=True)
class Moment:
    """A frame as it is remembered.

    Attributes:
        at: when it was taken.
        size: (width, height) in pixels.
        people: who is seen in it.
        jpeg: its picture; None where no pixels are kept.
        moving: (N, 4) boxes of what moves in it, x1 y1 x2 y2 in pixels; looked for only where people are to be blurred.
    """

    at: datetime
    size: tuple[int, int]
    people: PoseDetections
    jpeg: bytes | None
    moving: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))

    @classmethod
    def of(
        cls,
        at: datetime,
        image: NDArray[np.uint8],
        people: PoseDetections,
        pixels: bool,
        moving: MovingAreas | None = None,
    ) -> Moment:
        """A frame (H, W, 3) BGR, compressed; without ``pixels`` only its people."""
        jpeg = None
        if pixels:
            jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()
        size = image.shape[1], image.shape[0]
        return (
            cls(at, size, people, jpeg) if moving is None else cls(at, size, people, jpeg, moving.of(image))
        )

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about."""
        return len(self.jpeg or b"") + self.people.keypoints.nbytes + self.people.boxes.nbytes + 500

    def image(self) -> NDArray[np.uint8] | None:
        """Its picture (H, W, 3) BGR, or None."""
        if self.jpeg is None:
            return None
        found = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        return None if found is None else np.asarray(found, np.uint8)


class Ring:
    """Moments of one camera, the oldest first.

    Args:
        seconds: how far back it reaches.
        most_bytes: how large it may become.
    """

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._reach, self._most_bytes = timedelta(seconds=seconds), most_bytes
        self._moments: deque[Moment] = deque()
        self.nbytes = 0

    def add(self, moment: Moment) -> None:
        """Remember a moment, forget what is too old; after a jump back in time, all that is later than it too."""
        while self._moments and self._moments[-1].at >= moment.at:
            self.nbytes -= self._moments.pop().nbytes
        self._moments.append(moment)
        self.nbytes += moment.nbytes
        while len(self._moments) > 1 and (
            moment.at - self._moments[0].at > self._reach or self.nbytes > self._most_bytes
        ):
            self.nbytes -= self._moments.popleft().nbytes

    def since(self, at: datetime) -> list[Moment]:
        """The moments from that time on."""
        return [moment for moment in self._moments if moment.at >= at]

    def nearest(self, at: datetime) -> Moment | None:
        """The moment nearest to a time; None if nothing is remembered."""
        return min(self._moments, key=lambda moment: abs(moment.at - at), default=None)
