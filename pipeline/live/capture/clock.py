"""Give the pictures of a stream times that only ever go forward, whatever its own clock does."""

from __future__ import annotations

_MOST_APART_S = 2.0  # the stream's clock may run so far ahead of, or behind, the times at which pictures come
_LEAST_STEP_S = 0.001
_SLOW_CLOCK = 0.02


class StreamClock:
    """Seconds since the first picture.

    Within a connection the stream's own clock counts, since pictures come unevenly over a network. Where it stands
    still, goes back, jumps, or runs away from the times at which pictures come, those count instead. Between
    connections they count in any case.

    Attributes:
        jumps: pictures that the stream's clock did not count for.
        behind_s: how much later pictures come than they were taken, beyond what they did at first: something between
            the camera and here is too slow, and old pictures queue up.
    """

    def __init__(self) -> None:
        self._time_s = 0.0
        self._stream_s: float | None = None
        self._arrived_s: float | None = None
        self._ahead_s = 0.0  # of the arrival of pictures, since the connection began
        self.jumps = 0
        self.behind_s = 0.0

    def reconnected(self) -> None:
        """A new connection: the stream's clock begins anew, anywhere."""
        self._stream_s, self._ahead_s, self.behind_s = None, 0.0, 0.0

    def tick(self, stream_s: float | None, arrived_s: float) -> float:
        """Time of the next picture.

        Args:
            stream_s: by the stream's clock; None where it has none.
            arrived_s: when it came, on a monotonic clock.
        """
        if self._arrived_s is None:
            self._stream_s, self._arrived_s = stream_s, arrived_s
            return self._time_s
        waited = max(arrived_s - self._arrived_s, _LEAST_STEP_S)
        step = waited
        if stream_s is not None and self._stream_s is not None:
            own = stream_s - self._stream_s
            if 0 < own < _MOST_APART_S:  # a camera's clock may be a little slow
                self.behind_s = max(0.0, self.behind_s + (1 - _SLOW_CLOCK) * waited - own)
            ahead = self._ahead_s + own - waited
            if own > 0 and abs(ahead) <= _MOST_APART_S:
                step, self._ahead_s = max(own, _LEAST_STEP_S), ahead
            else:  # and so until both agree again
                self.jumps += 1
        self._stream_s, self._arrived_s = stream_s, arrived_s
        self._time_s += step
        return self._time_s
