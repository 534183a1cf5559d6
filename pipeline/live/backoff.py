"""How long to wait before the next attempt."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from failure to failure, each shortened at random so that many do not come at once.

    Args:
        first_s: the longest first wait.
        most_s: the longest wait of all.
        seed: of the random numbers; None: of the system.
    """

    def __init__(self, first_s: float, most_s: float, seed: int | None = None) -> None:
        self.first_s, self.most_s = first_s, most_s
        self.failures = 0
        self._random = random.Random(seed)

    def next_s(self) -> float:
        """Count a failure; returns the seconds to wait: half to all of ``first_s * 2 ** failures before``."""
        full = min(self.most_s, self.first_s * 2.0 ** min(self.failures, 62))
        self.failures += 1
        return full * self._random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
