"""The events of a clip that is there as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.scores import ClipScores
from pipeline.events.events import Event, EventFinder
from pipeline.events.settings import EventSettings
from pose_extract.tracks.records import ClipTracks


def find_events(
    tracks: ClipTracks,
    scores: ClipScores,
    settings: EventSettings | None = None,
    alarm: NDArray[np.bool_] | None = None,
) -> list[Event]:
    """The events of a clip in order of time.

    Args:
        tracks: the clip as it was scored (cleaned), for the boxes.
        scores: its scores.
        settings: how alarms become events; the defaults if left out.
        alarm: (F,) to be used in place of the scores' own alarms, for another threshold.
    """
    finder = EventFinder(tracks.fps, settings)
    return [*finder.add(0, tracks, scores, alarm), *finder.finish()]
