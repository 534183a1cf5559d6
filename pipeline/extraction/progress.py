"""Show how far workers are: each tells it, and one display counts all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.progress import Progress, stage

_TELL_EVERY_S = 0.5

Note = tuple[str, float, float]
"""What a stage in a process of its own tells: its title, units done since it last told, share of it that is done."""


class Told(Progress):
    """Of a stage in a process of its own: tells how far it is, now and then.

    Args:
        title: what is going on.
        unit: what is counted, in the plural.
        total: how many there are, if known.
        tell: called with a `Note`.
    """

    def __init__(self, title: str, unit: str, total: float | None, tell: Callable[[Note], object]) -> None:
        super().__init__(title, unit, total)
        self._tell, self._told, self._next = tell, 0.0, 0.0

    def update(self, done: float, note: str | None = None) -> None:  # noqa: D102
        super().update(done, note)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TELL_EVERY_S
            self._tell((self.title, done - self._told, min(done / self.total, 1.0) if self.total else 0.0))
            self._told = done


class Count:
    """How far workers are: jobs that have ended, and shares of those in hand."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._begun = progress, time.monotonic()
        self._ended, self._frames = 0, 0.0
        self._in_hand: dict[str, float] = {}

    def told(self, note: Note) -> None:
        """Take in what a worker tells."""
        title, frames, self._in_hand[title] = note
        self._frames += frames
        self._show(f"{self._frames / (time.monotonic() - self._begun):.1f} frames a second")

    def ended(self, title: str) -> None:
        """Count a job that has ended."""
        self._ended += 1
        self._in_hand.pop(title, None)
        self._show()

    def _show(self, text: str | None = None) -> None:
        self._progress.update(self._ended + sum(self._in_hand.values()), text)


@contextmanager
def counting(title: str, unit: str, total: int, quiet: bool) -> Iterator[Count]:
    """Show how far workers are, and how many frames a second they tell of."""
    with stage(title, unit, total, quiet) as progress:
        yield Count(progress)
