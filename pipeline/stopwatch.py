"""Where wall-clock time goes: every moment belongs to exactly one stage."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from when it is made.

    Attributes:
        seconds: wall-clock time of each stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Give ``stage`` the time since the last lap."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
