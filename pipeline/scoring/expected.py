"""Say what false alarms are to be expected of a model, or how much video would be needed to say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from anomaly.evaluation.event_metrics import FEWEST_S, false_alarms_per_hour
from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.alarm_budget import two_digits
from anomaly.scoring.model import Model
from anomaly.scoring.threshold import alarm_threshold, smoothing_of
from pipeline.events.events import spans
from pipeline.events.settings import EventSettings
from pipeline.progress import format_duration
from pose_extract.errors import ModelError


def held_out_facts(model: Model, events: EventSettings) -> dict[str, Any]:
    """How long the held-out normal video is, and how many events the alarm threshold finds in it, all of them false.

    Where there is no threshold, since the video is too little for alarms a day, events are left out.
    """
    calibration, scoring = model.fitted_calibration, model.settings.scoring
    try:
        above = alarm_threshold(model)
    except ModelError:
        above = math.inf
    score = calibration.smoothed(scoring.frames, smoothing_of(model, scoring), scoring.tail, scoring.by)
    seconds, found = 0.0, 0
    for clip in np.unique(calibration.clip):
        own = calibration.clip == clip
        time_s = calibration.time_s[own]
        lasts = frame_seconds(time_s)
        seconds += float(lasts.sum())
        found += len(spans(time_s, time_s + lasts, score[own] > above, events))
    share = model.settings.calibration.held_out
    facts = {"held_out_s": round(seconds, 3), "held_out_share": share}
    return facts if above == math.inf else {**facts, "held_out_events": found}


def expected_alarms(facts: Mapping[str, Any]) -> str:
    """What a model's facts, with those of `held_out_facts`, say of its false alarms."""
    seconds, events, share = (facts.get(f"held_out_{name}") for name in ("s", "events", "share"))
    if seconds is None or not share:  # an older model
        return f"the alarm threshold rests on {facts.get('held_out_frames', 'no')} held-out frames"
    if events is None:
        return f"{format_duration(seconds)} of held-out normal video are too little for an alarm threshold"
    found = f"{events} false alarms in {format_duration(seconds)} of held-out normal video"
    if seconds < FEWEST_S:
        needed = format_duration(60 * math.ceil(FEWEST_S / share / 60))
        return f"{found}: too little to tell how many an hour to expect; train on {needed} of normal video or more"
    rate = false_alarms_per_hour(events, seconds)
    hours = seconds / 3600  # with none in h hours, more than 3 / h an hour are ruled out at 95 %
    return f"{found}: expect " + (
        f"about {two_digits(rate)} an hour" if events else f"under {two_digits(3 / hours)} an hour"
    )
