"""Propose a threshold by what `watch` has seen on normal days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from anomaly.scoring.marked_threshold import MarkedThreshold
from anomaly.scoring.threshold import alarm_percentile
from pipeline.live.cameras import model_id
from pipeline.live.watching.days import read_days, shares_above, threshold_of
from pipeline.scoring import load_scorer
from pipeline.versions import versions
from pose_extract.errors import UsageError

_FEWEST_ALARMS = 50  # frames above the threshold that it rests on


@dataclass(frozen=True)
class Proposal:
    """A threshold and what it rests on.

    Attributes:
        marked: the threshold, for online scores.
        lines: what to tell the user.
    """

    marked: MarkedThreshold
    lines: tuple[str, ...]


def propose(
    model: Path, watched: Path, days: int, device: str = "cpu", today: date | None = None
) -> Proposal:
    """Find the threshold at which the days' share of alarms is what calibration promises; nothing is written.

    The days are taken for normal: whatever happened on them is a false alarm.

    Args:
        model: the bundle.
        watched: what `watch` was given as ``--out``.
        days: so many, ``today`` included.
        device: where the model is loaded.
        today: the last of them; left out, the day that it is.

    Raises:
        ModelError: there is no model.
        UsageError: nothing was kept of this model on these days, or too little; or its alarms follow a number a day.
    """
    if days < 1:
        raise UsageError(f"--from-watch: expected 1 day or more, got {days}")
    scorer = load_scorer(model, ["scoring.frames=online"], device)
    scoring, rate = scorer.settings.scoring, scorer.settings.calibration.false_alarm_rate
    if scorer.settings.calibration.alarms_per_day is not None:
        raise UsageError(
            f"--from-watch: alarms of {model} follow a number a day (calibration.alarms_per_day), which the share of "
            "frames above a score does not tell; mark events (live.marks), or train on hours of those days"
        )
    last = today or datetime.now().astimezone().date()
    found = read_days(watched / "scores", model_id(model), last, days)
    if not found:
        raise UsageError(
            f"{watched / 'scores'} holds nothing of this model on the last {days} days; name what watch was given as "
            "--out (--watched DIR)"
        )
    frames = sum(day.frames for day in found)
    if rate * frames < _FEWEST_ALARMS:
        raise UsageError(
            f"{frames} frames are too few for a false alarm rate of {rate:g}: {_FEWEST_ALARMS / rate:.0f} are needed. "
            "Take more days"
        )
    if len({(day.low, day.step) for day in found}) > 1:
        raise UsageError("these days were scored with different settings (scoring.*): take fewer days")
    before, after = scorer.alarm_above(), threshold_of(found, rate)
    facts = {
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "from_watch": {"days": sorted({day.day for day in found}), "frames": frames},
        "false_alarm_rate": rate,
        "without": before,
        "versions": versions(),
    }
    lines = (
        *map(str, found),
        f"alarm above score {after:.4f} (percentile {alarm_percentile(scorer.model, after, scoring):.2f}); now "
        f"{before:.4f} ({alarm_percentile(scorer.model, before, scoring):.2f})",
        f"alarm in {shares_above(found, after):.2%} of the frames of these days; now {shares_above(found, before):.2%}",
    )
    return Proposal(MarkedThreshold.from_score(after, scoring, facts), lines)
