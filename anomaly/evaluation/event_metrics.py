"""Measure alarms as an operator meets them: events caught, delay, false alarms an hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import frame_seconds, runs_of
from pose_extract.tracks.clip_time import after_holes

FEWEST_S = 600.0  # of normal video: of less, nobody can say how many false alarms an hour of it has


def false_alarms_per_hour(false_alarms: float, normal_s: float) -> float:
    """False alarms an hour; NaN of less than ten minutes of normal video."""
    return 3600 * false_alarms / normal_s if normal_s >= FEWEST_S else np.nan


@dataclass(frozen=True)
class EventCounts:
    """Events and alarms of one or more clips.

    An **event** is a maximal run of abnormal frames of one clip, without a hole in its time; a run of alarms ends at a
    hole, too. An event is *detected* if at least one of its frames raises the alarm; its *delay* is the time from its
    first frame to the first of them, 0 where the alarm was on already.
    A **false alarm** is a maximal run of alarm frames that overlaps no event; it counts once, however long it is.
    Frames that are left out count for nothing: an event, or a run of alarms, in them alone does not exist, and an
    alarm on them detects nothing. But what is left out does not cut a run in two, and a run of alarms that overlaps an
    abnormal frame that is left out is no false alarm.

    **Found events** are the alarms put together as the product does (``events.merge_gap_s``, ``events.min_s``). One
    *matches* an event if the time that they share is at least half of the time that they cover together (a temporal
    intersection over union of 0.5, as in action detection); F1 is of these.

    Attributes:
        events: number of events.
        delays_s: (D,) delay of each detected event in seconds.
        false_alarms: number of false alarms.
        normal_s: duration of the normal frames in seconds.
        normal_alarm_s: duration of those of them that raise the alarm.
        found: number of found events.
        matched: how many of them match an event.
    """

    events: int
    delays_s: NDArray[np.float64]
    false_alarms: int
    normal_s: float
    normal_alarm_s: float
    found: int = 0
    matched: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of the shares of events and of found events that match; NaN if there are neither."""
        return 2 * self.matched / (self.events + self.found) if self.events + self.found else np.nan

    @property
    def detected(self) -> int:
        """Number of detected events."""
        return len(self.delays_s)

    @property
    def recall(self) -> float:
        """Share of the events that are detected; NaN without events."""
        return self.detected / self.events if self.events else np.nan

    @property
    def median_delay_s(self) -> float:
        """Median delay of the detected events; NaN if there are none."""
        return float(np.median(self.delays_s)) if self.detected else np.nan

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms an hour of normal video; NaN where there is too little of it to tell."""
        return false_alarms_per_hour(self.false_alarms, self.normal_s)

    @property
    def normal_alarm_share(self) -> float:
        """Share of the normal video's time in which the alarm is on; NaN without normal video."""
        return self.normal_alarm_s / self.normal_s if self.normal_s > 0 else np.nan


def count_events(
    time_s: NDArray[np.float64],
    alarm: NDArray[np.bool_],
    abnormal: NDArray[np.bool_],
    kept: NDArray[np.bool_] | None = None,
    fps: float | None = None,
    found: Sequence[tuple[int, int]] | None = None,
) -> EventCounts:
    """Events and alarms of one clip of F frames.

    Args:
        time_s: (F,) non-decreasing times of the frames.
        alarm: (F,) whether the frame raises the alarm.
        abnormal: (F,) whether it is abnormal.
        kept: (F,) False for frames to leave out; all count if left out.
        fps: how long the last frame lasts; the clip's median frame if left out.
        found: first frame of each found event and the frame after its last; the runs of alarms if left out.
    """
    kept = np.ones(len(alarm), bool) if kept is None else kept
    lasts = frame_seconds(time_s, fps)
    cuts = after_holes(time_s, fps)
    labelled, alarms = runs_of(abnormal, cuts), runs_of(alarm, cuts)
    events, delays = 0, []
    for first, stop in labelled:
        inside = first + np.flatnonzero(kept[first:stop])
        if len(inside):
            events += 1
            seen = inside[alarm[inside]]
            delays += [time_s[seen[0]] - time_s[inside[0]]] if len(seen) else []
    false_alarms = sum(
        bool(kept[first:stop].any() and not abnormal[first:stop].any()) for first, stop in alarms
    )
    found = [(a, b) for a, b in (alarms if found is None else found) if kept[a:b].any()]
    normal = kept & ~abnormal
    return EventCounts(
        events,
        np.array(delays, np.float64),
        false_alarms,
        float(lasts[normal].sum()),
        float(lasts[normal & alarm].sum()),
        len(found),
        _matched(np.append(0.0, np.cumsum(lasts * kept)), found, labelled),
    )


def _matched(
    before_s: NDArray[np.float64], found: Sequence[tuple[int, int]], events: Sequence[tuple[int, int]]
) -> int:
    """How many stretches of frames match one of the events, each of which matches one.

    Stretches of either kind do not overlap each other, so who shares half of the time with one can hardly do so with
    another; of exact halves the first counts.

    Args:
        before_s: (F + 1,) seconds that count before each frame.
        found: stretches, first frame and frame after the last.
        events: the same.
    """
    taken: set[tuple[int, int]] = set()
    for first, stop in found:
        for event in events:
            low, high = max(first, event[0]), min(stop, event[1])
            shared = before_s[high] - before_s[low] if low < high else 0.0
            lengths = before_s[stop] - before_s[first] + before_s[event[1]] - before_s[event[0]]
            if event not in taken and shared > 0 and 2 * shared >= lengths - shared - 1e-9:
                taken.add(event)
                break
    return len(taken)


def total(counts: Iterable[EventCounts]) -> EventCounts:
    """Events and alarms of several clips together."""
    counts = list(counts)
    return EventCounts(
        sum(c.events for c in counts),
        np.concatenate([np.zeros(0), *(c.delays_s for c in counts)]),
        sum(c.false_alarms for c in counts),
        sum(c.normal_s for c in counts),
        sum(c.normal_alarm_s for c in counts),
        sum(c.found for c in counts),
        sum(c.matched for c in counts),
    )
