"""Tell whom and what an event is about, as sinks get it."""

from __future__ import annotations

import numpy as np

from pipeline.events.events import Event
from pipeline.live.events.record import EventPerson, EventThing
from pose_extract.tracks.things import KINDS


def people_of(event: Event) -> tuple[EventPerson, ...]:
    """The people whom it is about; bystanders are left out."""
    found = []
    for i, track in enumerate(event.people):
        if track in event.culprits:
            box, percentile = event.boxes[i], float(event.people_percentile[i])
            found.append(
                EventPerson(
                    track,
                    tuple(box.tolist()) if np.isfinite(box).all() else None,
                    percentile if np.isfinite(percentile) else None,
                )
            )
    return tuple(found)


def things_of(event: Event) -> tuple[EventThing, ...]:
    """The things that it is about."""
    each = zip(event.things, event.thing_kinds, event.thing_boxes, strict=True)
    return tuple(EventThing(i, KINDS[kind], tuple(box.tolist())) for i, kind, box in each)
