"""A camera that is watched, and what is known of an event beside itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.live.capture.capture import Capture
from pipeline.live.events.record import LiveEvent
from pipeline.live.rules.limits import Limits
from pipeline.live.rules.settings import RuleSettings
from pipeline.live.rules.zones import Zones
from pipeline.live.watching.days import DayScores
from pipeline.live.watching.judge import Judge, Told
from pipeline.live.watching.picture import PictureWatch


@dataclass(frozen=True)
class Context:
    """What is known of an event beside itself.

    Attributes:
        told: what the judge says of it; None of a state.
        frame_size: (width, height) of the pictures; None before the first.
        delay_s: from the frame that it began with to now; None where it did not just begin.
    """

    told: Told | None = None
    frame_size: tuple[int, int] | None = None
    delay_s: float | None = None


@dataclass
class WatchedCamera:
    """A camera with everything that watches it.

    Attributes:
        name: the camera's.
        capture: reads it.
        judge: scores it; None: it has no model.
        picture: sees whether it sees anything; None: every frame is judged, as of a recording.
        limits: which of its events are sent.
        zones: where its people count.
        day: how its scores are spread today; None: it has no model.
        model_id: of its model.
        state: "online", "lost", "blind", "moved" or "no-model"; empty until it is known.
        open_event: the event that goes on; None: none does.
        context: what is known of the latest event beside itself.
        judging_s: seconds of work for its frames.
        unjudged: frames that nobody was looked for in, since the camera was blind, had moved or has no model.
        failed: frames at which something failed that nobody foresaw; who was followed is followed anew.
        delays_s: from the frame that an event began with to its being told, of the latest events.
        events: that were told.
    """

    name: str
    capture: Capture
    judge: Judge | None
    picture: PictureWatch | None
    limits: Limits = field(default_factory=lambda: Limits(RuleSettings()))
    zones: Zones = field(default_factory=lambda: Zones(RuleSettings()))
    day: DayScores | None = None
    model_id: str | None = None
    state: str = ""
    no_model: str = ""
    open_event: LiveEvent | None = None
    context: Context = field(default_factory=Context)
    judging_s: float = 0.0
    unjudged: int = 0
    failed: int = 0
    complained_s: float = -np.inf
    delays_s: list[float] = field(default_factory=list)
    events: int = 0
    kicked_s: float = -np.inf
    connection: int = 0
    frame_size: tuple[int, int] | None = None

    @property
    def done(self) -> bool:
        """Whether its source has ended and every frame of it is judged."""
        return self.capture.finished and not len(self.capture.mailbox)

    def figures(self) -> dict[str, Any]:
        """What is exported of it."""
        counts = None if self.judge is None else self.judge.counts
        return {
            "state": self.state,
            "age_s": self.capture.age_s,
            "received": self.capture.received,
            "dropped": self.capture.mailbox.dropped,
            "connections": self.capture.connections,
            "judged": 0 if counts is None else counts.frames,
            "scored": 0 if counts is None else counts.scored,
            "alarms": 0 if counts is None else counts.alarms,
            "unjudged": self.unjudged,
            "failed": self.failed,
            "judging_s": self.judging_s,
            "events": self.events,
            "waiting": len(self.capture.mailbox),
        }
