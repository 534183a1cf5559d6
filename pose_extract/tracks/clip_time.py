"""A clip's time: its usual frame rate, and the stretches between holes, each of which is as a clip of its own.

Recordings that a motion sensor starts, reconnecting cameras and clocks that are set leave holes. Their mean rate says
nothing, and nothing may be filled, followed or smoothed across them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HOLE_S = 1.0  # frames farther apart than this, and than some usual intervals, have a hole between them
_HOLE_INTERVALS = 2.5
_USUAL = 1.5  # intervals up to so many times longer or shorter than the median are usual ones
SLOWEST, FASTEST = 1e-6, 1000.0  # frames a second that a clip may have
_SAME = 0.01  # rates that differ less are one: a container's, say, and that of its rounded timestamps


def usual_rate(time_s: NDArray[np.float64]) -> float | None:
    """Frames a second within a clip's stretches; None if fewer than two frames tell.

    The mean of the intervals near the median one, so that rounded timestamps have the rate that they were rounded from.

    Args:
        time_s: (F,) times of its frames.
    """
    steps = np.diff(time_s)
    steps = steps[steps > 0]
    if not len(steps):
        return None
    median = float(np.sort(steps)[(len(steps) - 1) // 2])  # one of them: the mean of two may be near neither
    return 1 / float(np.mean(steps[(steps >= median / _USUAL) & (steps <= median * _USUAL)]))


def clip_rate(time_s: NDArray[np.float64], stated: float) -> float:
    """The rate of a clip: that which is stated, unless its frames come at another one.

    Raises:
        ValueError: what is stated is none.
    """
    if not 0 < stated < np.inf:
        raise ValueError(f"expected a frame rate above 0, got {stated}")
    usual = usual_rate(time_s)
    return stated if usual is None or abs(usual - stated) <= _SAME * stated else usual


def longest_step(fps: float) -> float:
    """Seconds between two frames beyond which there is a hole between them."""
    return max(_HOLE_S, _HOLE_INTERVALS / fps)


def stretch_numbers(time_s: NDArray[np.float64], fps: float | None = None) -> NDArray[np.int64]:
    """(F,) which stretch each frame belongs to, from 0.

    Args:
        time_s: (F,) times of the frames.
        fps: the clip's rate; the usual one of these frames if left out.
    """
    if fps is None:
        fps = usual_rate(time_s)
    if fps is None or len(time_s) < 2:
        return np.zeros(len(time_s), np.int64)
    return np.concatenate([[0], np.cumsum(np.diff(time_s) > longest_step(fps))]).astype(np.int64)


def after_holes(time_s: NDArray[np.float64], fps: float | None = None) -> NDArray[np.int64]:
    """The first frame after each hole; arguments as those of `stretch_numbers`."""
    return np.flatnonzero(np.diff(stretch_numbers(time_s, fps))) + 1


def holes(time_s: NDArray[np.float64], fps: float) -> list[tuple[float, float]]:
    """When each hole begins and ends: the times of the frames before and after it."""
    return [(float(time_s[frame - 1]), float(time_s[frame])) for frame in after_holes(time_s, fps)]


def shown_times(time_s: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """(F,) times as a film shows them in which every hole is as long as one frame."""
    if len(time_s) < 2:
        return time_s
    steps = np.diff(time_s)
    return time_s[0] + np.concatenate([[0.0], np.cumsum(np.where(steps > longest_step(fps), 1 / fps, steps))])


def film_cuts(time_s: NDArray[np.float64], fps: float) -> tuple[tuple[float, float], ...]:
    """When each stretch begins, in the film of `shown_times` and in the clip; () of a clip without holes."""
    begins = after_holes(time_s, fps)
    if not len(begins):
        return ()
    film = shown_times(time_s, fps)
    return tuple((float(film[frame]), float(time_s[frame])) for frame in (0, *begins))


class ShownTime:
    """`shown_times` of frames that come one after the other."""

    def __init__(self, fps: float) -> None:
        self._longest, self._frame_s = longest_step(fps), 1 / fps
        self._last: float | None = None
        self._cut = 0.0

    def __call__(self, time_s: float) -> float:
        """When the next frame is shown."""
        if self._last is not None and time_s - self._last > self._longest:
            self._cut += time_s - self._last - self._frame_s
        self._last = time_s
        return time_s - self._cut


def apart(
    frame: NDArray[np.int64], stretch: NDArray[np.int64], distance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frame numbers with ``distance`` more between stretches, so that nothing reaches across.

    Args:
        frame: (M,) frame of each row.
        stretch: (F,) as `stretch_numbers` gives it.
        distance: frames to put into each hole.

    Returns:
        (M,) those numbers; and (S,) at which of them each stretch begins, for `together`.
    """
    begins = np.flatnonzero(np.diff(stretch, prepend=-1))
    return frame + distance * stretch[frame], begins + distance * np.arange(len(begins))


def together(frame: NDArray[np.int64], begins: NDArray[np.int64], distance: int) -> NDArray[np.int64]:
    """Undo `apart`."""
    return frame - distance * (np.searchsorted(begins, frame, side="right") - 1)
