"""Link tracklets across the times when nobody was detected: who has just come back?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_extract.tracking.clothing import colour_similarity

_REFUSED = 1e6
LEFT_S = 0.25  # who was on the way out and is unseen for longer has left
OVERLAP_S = 0.3  # a new track may begin this long before the one that it goes on with ends
_HISTORY_S = 0.8  # how far back (and ahead) a tracklet's velocity is measured
_TAIL_S = 2.0  # how much of its end is kept


@dataclass
class Tracklet:
    """A run of one person's detections that the frame-to-frame association joined.

    Only the first and the last moments are kept, so that a tracklet of hours costs no more than one of seconds.
    """

    key: int
    person: int | None = None
    hits: int = 0
    first_time: float = 0.0
    last_time: float = 0.0
    head: list[tuple[float, NDArray[np.float64]]] = field(default_factory=list)
    tail: deque[tuple[float, NDArray[np.float64]]] = field(default_factory=deque)

    def add(self, time_s: float, box: NDArray[np.float64]) -> None:
        """Add a detection."""
        if not self.hits:
            self.first_time = time_s
        self.hits += 1
        self.last_time = time_s
        if time_s - self.first_time <= _HISTORY_S:
            self.head.append((time_s, box))
        self.tail.append((time_s, box))
        while time_s - self.tail[0][0] > _TAIL_S:
            self.tail.popleft()

    def split(self, key: int, time_s: float) -> Tracklet:
        """Hand over what was seen from ``time_s`` on to a new tracklet, which is returned."""
        later = [(time, box) for time, box in self.tail if time >= time_s] or [self.tail[-1]]
        kept = [(time, box) for time, box in self.tail if time < time_s] or [self.tail[0]]
        self.tail, self.last_time, self.hits = deque(kept), kept[-1][0], max(1, self.hits - len(later))
        self.head = [(time, box) for time, box in self.head if time < time_s] or [self.head[0]]
        return Tracklet(key, None, len(later), later[0][0], later[-1][0], list(later), deque(later))

    def has_left(self, frame_size: tuple[int, int]) -> bool:
        """Whether the person was at the picture's border, (width, height) px, and on the way out when last seen."""
        _, size, velocity = _motion(list(self.tail), at_end=True)
        return _crosses_border(self.tail[-1][1], size, velocity, frame_size)

    def has_come_in(self, frame_size: tuple[int, int]) -> bool:
        """Whether the person was at the picture's border and on the way in when first seen."""
        _, size, velocity = _motion(self.head, at_end=False)
        return _crosses_border(self.head[0][1], size, -velocity, frame_size)

    def turned_at_border(self, frame_size: tuple[int, int]) -> float | None:
        """Time at which the person had as good as gone out of the picture and somebody came in there, if so.

        Of somebody who walks out less and less is seen, of somebody who comes in more and more. That the track of the
        one goes on with the other is likelier than that a person turns on the threshold.
        """
        last = self.tail[-1][1]
        if (last[:2] > last[3] - last[1]).all() and (
            last[2:] < np.array(frame_size) - (last[3] - last[1])
        ).all():
            return None
        boxes = np.stack([box for _, box in self.tail])
        height = (boxes[:, 3] - boxes[:, 1]).max()
        for extent in (boxes[:, 2], frame_size[0] - boxes[:, 0], frame_size[1] - boxes[:, 1]):
            least = int(extent.argmin())
            gone, back = extent[: least + 1].max() - extent[least], extent[least:].max() - extent[least]
            if extent[least] < 0.3 * height and min(gone, back) > 0.2 * height:
                return self.tail[least][0]
        return None


def link(
    begun: Sequence[Tracklet],
    lost: Sequence[Tracklet],
    now_s: float,
    frame_size: tuple[int, int],
    max_gap_s: float,
    max_distance: float,
    colours_of: Callable[[int], NDArray[np.float64] | None],
) -> dict[int, int]:
    """Match tracklets that have begun with people who are out of sight.

    The cost of a pair is the distance between where the lost person should be by now and where the tracklet begins,
    measured forwards and backwards in time, in body heights and against an allowance that grows with the gap, plus the
    differences in body height and clothing colour. Pairs are chosen together, at the least total cost.

    Args:
        begun: tracklets without a person.
        lost: the last tracklet of each person out of sight.
        now_s: the present, seconds.
        frame_size: (width, height) px; nobody who walked out of the picture is found again inside.
        max_gap_s: longest time out of sight, in seconds.
        max_distance: allowance for the distance, in body heights, for a gap of one second.
        colours_of: clothing histogram of the tracklet of a key, if known.

    Returns:
        Key of a begun tracklet -> index into ``lost``.
    """
    if not begun or not lost:
        return {}
    cost = np.full((len(lost), len(begun)), _REFUSED)
    for i, end in enumerate(lost):
        for j, start in enumerate(begun):
            unseen = now_s - end.last_time > OVERLAP_S / 2
            if start.first_time - end.last_time > (-OVERLAP_S if unseen else 0.0) and (
                start.first_time - end.last_time <= max_gap_s
            ):
                cost[i, j] = _way_cost(end, start, frame_size, max_distance)
                before, after = colours_of(end.key), colours_of(start.key)
                if before is not None and after is not None:
                    cost[i, j] += 2.0 * max(0.0, 0.85 - colour_similarity(before[None], after[None]).item())
    rows, columns = linear_sum_assignment(cost)
    return {begun[c].key: int(r) for r, c in zip(rows, columns, strict=True) if cost[r, c] < 1.0}


def _way_cost(end: Tracklet, start: Tracklet, frame_size: tuple[int, int], max_distance: float) -> float:
    """Cost of the way from ``end`` to ``start`` and of the change in size; below 1 is acceptable."""
    gap = max(0.0, start.first_time - end.last_time)
    end_centre, end_size, end_velocity = _motion(list(end.tail), at_end=True)
    start_centre, start_size, start_velocity = _motion(start.head, at_end=False)
    # The longer side: people fall.
    height = (end_size.max() + start_size.max()) / 2
    ratio = abs(np.log(end_size.max() / start_size.max()))
    if ratio > 0.5:
        return _REFUSED
    # Nobody is sure to keep their pace while out of sight: the part of the way that is trusted shrinks with the gap.
    pace = 1 - np.exp(-gap)
    expected = end_centre + end_velocity * pace
    if end.has_left(frame_size) and (gap > LEFT_S or start.has_come_in(frame_size)):
        return _REFUSED
    ahead = np.linalg.norm(expected - start_centre)
    behind = np.linalg.norm(start_centre - start_velocity * pace - end_centre)
    distance = (ahead + behind) / 2 / height
    allowance = 0.25 + max_distance * np.sqrt(gap)
    if distance > 1.5 * allowance:
        return _REFUSED
    return float(0.6 * distance / allowance + 0.6 * ratio)


def _motion(
    sightings: list[tuple[float, NDArray[np.float64]]], at_end: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centre (px), size (px) and velocity (px/s) at the end, or at the beginning, of some sightings."""
    times = np.array([time for time, _ in sightings])
    here = times[-1] if at_end else times[0]
    near = np.abs(times - here) <= _HISTORY_S
    times, boxes = times[near], np.stack([box for _, box in sightings])[near]
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    spread = ((times - times.mean()) ** 2).sum()
    size = np.maximum(np.median(sizes, 0), 1.0)
    if len(times) < 3 or spread < 1e-9:
        return centres[-1 if at_end else 0], size, np.zeros(2)
    velocity = ((times - times.mean())[:, None] * centres).sum(0) / spread
    return centres.mean(0) + velocity * (here - times.mean()), size, velocity


def _crosses_border(
    box: NDArray[np.float64],
    size: NDArray[np.float64],
    velocity: NDArray[np.float64],
    frame_size: tuple[int, int],
) -> bool:
    """Whether a box is at the picture's border and moves outwards (px/s)."""
    near, outwards = 0.1 * size[1], 0.15 * size[1]
    before = (box[:2] < near) & (velocity < -outwards)
    beyond = (box[2:] > np.array(frame_size) - near) & (velocity > outwards)
    return bool((before | beyond).any())
