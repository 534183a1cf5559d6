"""Judge cameras at an even pace: of each so many that every k-th frame can be judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from anomaly.data.resampling import LONGEST_STEP_S
from pipeline.live.capture.feed import Mailbox

_EVERY_S = 1.5  # between two looks
_OVERLOAD = 1.15  # times what can be judged; of a little more than that the newest frame wins now and then
_SPARE = 0.95  # times what can be judged, before more frames are let in again
_SLOWEST = 1.05 / LONGEST_STEP_S  # frames a second, at least: with fewer nobody's movement can be told


class Paced(NamedTuple):
    """A camera's frames, and the seconds that it took to judge those that were taken so far."""

    mailbox: Mailbox
    judging_s: float


class Pace:
    """Sets which frames of cameras are let in, by what judging one costs.

    Where more frames come than can be judged, the newest wins, and those that are judged lie at uneven times. Every
    step on the way to an alarm waits for the next frame, so alarms are late after each gap, and movement is told worse.
    Every second frame, or every k-th, is fewer but even.
    """

    def __init__(self) -> None:
        self._looked_s = -math.inf
        self._before: dict[Mailbox, tuple[int, int, float]] = {}

    def look(self, cameras: Sequence[Paced], now_s: float) -> None:
        """See how many frames have come and what judging cost since the last look; let in what can be judged."""
        took_s = now_s - self._looked_s
        if took_s < _EVERY_S:
            return
        self._looked_s, before = now_s, self._before
        self._before = {box: (box.came, box.taken, judging_s) for box, judging_s in cameras}
        rates: list[tuple[Mailbox, float]] = []
        taken, spent_s = 0, 0.0
        for box, judging_s in cameras:
            came_then, taken_then, judging_then_s = before.get(box, (box.came, box.taken, judging_s))
            if box.drop and box.came > came_then:
                rates.append((box, (box.came - came_then) / took_s))
            taken += box.taken - taken_then
            spent_s += judging_s - judging_then_s
        for box, rate in rates if taken else ():
            load = rate * len(rates) * spent_s / taken  # of its equal share of time, were every frame judged
            most = max(1, math.floor(rate / _SLOWEST))
            few, many = (min(max(math.ceil(load / share), 1), most) for share in (_OVERLOAD, _SPARE))
            box.every = min(max(box.every, few), many)
