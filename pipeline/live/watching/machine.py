"""Turn scores that come block by block into events that begin, change and end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.scores import ClipScores
from pipeline.events.events import Event, EventFinder
from pipeline.events.settings import EventSettings
from pipeline.live.settings import LiveSettings
from pose_extract.tracks.records import ClipTracks


class Step(NamedTuple):
    """Something that is told of an event: that it begins, goes on, or is over.

    Attributes:
        type: which of these.
        event: as it is now.
        due_s: when it began, or when the cooldown ended that kept it back.
        cut: whether it is ended although it goes on.
    """

    type: Literal["new", "update", "end"]
    event: Event
    due_s: float
    cut: bool = False


class EventMachine:
    """Finds the events that `EventFinder` finds, and says so while they last.

    Args:
        fps: frames a second.
        events: how alarms become events.
        live: cooldown, updates and the longest event.
        quiet_until_s: before this nothing is told: an earlier machine's cooldown, on the camera's clock.

    Attributes:
        quiet_until_s: the same, of the latest cooldown.
        held_back: events that were not told, since they came in the cooldown of another and were over before its end.
    """

    def __init__(
        self, fps: float, events: EventSettings, live: LiveSettings, quiet_until_s: float = -np.inf
    ) -> None:
        self._finder = EventFinder(fps, events)
        self._live = live
        self._told: Event | None = None  # as it was told last
        self._told_s = -np.inf
        self.quiet_until_s = quiet_until_s
        self.held_back = 0

    @property
    def is_open(self) -> bool:
        """Whether an event has been told that is not over."""
        return self._told is not None

    def add(
        self, begin: int, part: ClipTracks, scores: ClipScores, alarm: NDArray[np.bool_]
    ) -> Iterator[Step]:
        """Take the next block: its first frame, its tracks, its scores and (F,) alarms; yields what is to be told."""
        for event in self._finder.add(begin, part, scores, alarm):
            yield from self._end_unless(event.start_s)
            yield from self._over(event)
        yield from self._end_unless(self._finder.begun_s)
        now = float(part.time_s[-1])
        goes_on = self._finder.unfinished
        if goes_on is not None:
            yield from self._goes_on(goes_on, now)

    def finish(self) -> Iterator[Step]:
        """The camera is gone: what was going on is over."""
        for event in self._finder.finish():
            yield from self._over(event)
        yield from self._end_unless(None)

    def _end_unless(self, begun_s: float | None) -> Iterator[Step]:
        """End an event that was told, unless it is the one that began then.

        How long an alarm's last frame was is known when the next one comes: then it may have been too short for one.
        """
        if self._told is not None and self._told.start_s != begun_s:
            yield from self._over(self._told)

    def _goes_on(self, event: Event, now: float) -> Iterator[Step]:
        if self._told is None:
            if now >= self.quiet_until_s:
                yield self._tell("new", event, now)
        elif now - event.start_s >= self._live.most_event_s:
            for step in self.finish():
                yield step._replace(cut=True)
        elif now - self._told_s >= self._live.update_s and self._is_news(event):
            yield self._tell("update", event, now)

    def _is_news(self, event: Event) -> bool:
        told = self._told
        return told is not None and (
            event.score > told.score or (event.culprits, event.things) != (told.culprits, told.things)
        )

    def _over(self, event: Event) -> Iterator[Step]:
        if self._told is None:
            if event.end_s < self.quiet_until_s:
                self.held_back += 1
                return
            yield self._step("new", event)
        self._told = None
        step = self._step("end", event)
        self.quiet_until_s = event.end_s + self._live.cooldown_s
        yield step

    def _tell(self, kind: Literal["new", "update"], event: Event, now: float) -> Step:
        self._told, self._told_s = event, now
        return self._step(kind, event)

    def _step(self, kind: Literal["new", "update", "end"], event: Event) -> Step:
        return Step(kind, event, max(event.start_s, self.quiet_until_s))


class Alarms:
    """Alarms with hysteresis: on above one score, off below another, that is no higher."""

    def __init__(self) -> None:
        self._on = False

    def of(self, score: NDArray[np.float64], above: float, release: float) -> NDArray[np.bool_]:
        """(F,) whether the alarm is on in each of the next frames."""
        out = score > above
        if release < above:
            for i, value in enumerate(score.tolist()):
                self._on = value > release if self._on else value > above
                out[i] = self._on
        return out
