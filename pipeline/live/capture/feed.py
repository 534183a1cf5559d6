"""Hand frames from the thread that reads a camera to the one that judges them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LiveFrame:
    """A picture of a camera.

    Attributes:
        time_s: seconds on the camera's clock since `watch` began, strictly increasing.
        image: (H, W, 3) BGR uint8.
        at: when it was taken: when it came, or, of a file that is not played at its own speed, as if it had begun when
            `watch` did.
        arrived_s: when it came, on the system's monotonic clock.
        fps: frames a second that the source states or shows; None: not known.
        connection: number of the connection that it came by; pictures of one have one size.
    """

    time_s: float
    image: NDArray[np.uint8]
    at: datetime
    arrived_s: float
    fps: float | None
    connection: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]


class Mailbox:
    """Frames that wait for the judge.

    Of a camera the newest wins: an older one is dropped and counted, so that delay never grows. Of a file none is
    dropped: whoever puts one waits.

    Args:
        arrivals: told of every frame; all cameras share it.
        drop: whether the newest wins.

    Attributes:
        drop: the same.
        every: of a camera, only every so many-th frame is let in; the others are dropped and counted.
        dropped: frames that nobody will take.
        taken: those that were taken.
    """

    def __init__(self, arrivals: threading.Condition, drop: bool) -> None:
        self._arrivals, self.drop = arrivals, drop
        self._waiting: deque[LiveFrame] = deque()
        self._closed = False
        self.every = 1
        self.dropped = self.taken = 0

    def put(self, frame: LiveFrame) -> bool:
        """Leave a frame; False if nobody wants any more."""
        with self._arrivals:
            if self.drop:
                if (self.came + 1) % self.every:
                    self.dropped += 1
                    return not self._closed
                self.dropped += len(self._waiting)
                self._waiting.clear()
            while len(self._waiting) >= 2 and not self._closed:
                self._arrivals.wait(1.0)
            if self._closed:
                return False
            self._waiting.append(frame)
            self._arrivals.notify_all()
            return True

    @property
    def came(self) -> int:
        """How many frames have been left: those that were dropped or taken, and those that wait."""
        return self.dropped + self.taken + len(self._waiting)

    def take(self) -> LiveFrame | None:
        """The frame that has waited longest, if there is one; waits for none."""
        with self._arrivals:
            if not self._waiting:
                return None
            self.taken += 1
            frame = self._waiting.popleft()
            self._arrivals.notify_all()
            return frame

    def __len__(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Take no more frames; who waits to leave one is let go."""
        with self._arrivals:
            self._closed = True
            self._waiting.clear()
            self._arrivals.notify_all()
