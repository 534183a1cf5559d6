"""Bring frames to a constant rate where ffmpeg's own filter would fill holes, or lose what was joined at the end."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.clip_time import longest_step

Pictures = Generator[tuple[float, NDArray[np.uint8]], None, None]
"""Pictures (H, W, 3) and when they are shown, in seconds."""

_TIE = 1e-6  # times are rounded: half a step is a whole one, as it is to ffmpeg


class Pace:
    """When each frame is shown at a constant rate: as often as it takes until the next one, but not across a hole.

    Args:
        fps: frames a second that are wanted.
        own_fps: frames a second that come.
        origin_s: when the first frame is shown by the container's clock: steps are counted by that, as ffmpeg does.
    """

    def __init__(self, fps: float, own_fps: float, origin_s: float = 0.0) -> None:
        self._fps, self._origin_s = fps, origin_s
        self._lasts_s, self._longest_s = 1 / own_fps, longest_step(min(fps, own_fps))
        self._first = self._next = self._stretch = self._step(0.0)
        self._last_s: float | None = None

    def after(self, time_s: float) -> list[float]:
        """When the frame before is shown, now that it is known when the next one is: seconds since the first."""
        last_s, self._last_s = self._last_s, time_s
        step = self._step(time_s)
        hole = last_s is not None and time_s - last_s > self._longest_s
        shown = [] if last_s is None else self._until(self._end(last_s) if hole else step)
        if hole or last_s is None:
            self._stretch = step
        self._next = step
        return shown

    def at_end(self) -> list[float]:
        """When the last frame is shown."""
        return [] if self._last_s is None else self._until(self._end(self._last_s))

    def _step(self, time_s: float) -> int:
        return math.floor((time_s + self._origin_s) * self._fps + 0.5 + _TIE)

    def _end(self, last_s: float) -> int:
        """The step at which a frame that nothing follows is no longer shown."""
        return max(self._step(last_s + self._lasts_s), self._stretch + 1)

    def _until(self, end: int) -> list[float]:
        return [(step - self._first) / self._fps for step in range(self._next, end)]


def resampled(pictures: Pictures, pace: Pace) -> Pictures:
    """Pictures repeated and left out as a pace says; those that are repeated are arrays of their own."""
    last: NDArray[np.uint8] | None = None
    for time_s, image in pictures:
        if last is not None:
            yield from _repeated(pace.after(time_s), last)
        else:
            pace.after(time_s)
        last = image
    if last is not None:
        yield from _repeated(pace.at_end(), last)


def _repeated(times: list[float], image: NDArray[np.uint8]) -> Pictures:
    yield from ((time_s, image.copy()) for time_s in times[:-1])
    yield from ((time_s, image) for time_s in times[-1:])
