"""Find the score above which a frame raises the alarm, and the scores at percentiles of normal frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.alarm_budget import AlarmBudget
from anomaly.scoring.calibration import threshold
from anomaly.scoring.model import Model
from anomaly.settings import ScoringSettings


def alarm_threshold(
    model: Model,
    settings: ScoringSettings | None = None,
    false_alarm_rate: float | None = None,
) -> float:
    """The score above which a frame raises the alarm.

    Args:
        model: a calibrated model.
        settings: how it scores; the model's own settings if left out.
        false_alarm_rate: share of held-out normal frames that may raise an alarm. Left out: the threshold that marks
            have set, if there is one on the scale of such scores; otherwise the model's own budget or rate.

    Raises:
        ModelError: the model has a budget of alarms a day, and too little held-out video to tell.
    """
    settings = settings or model.settings.scoring
    if false_alarm_rate is None:
        if model.marked is not None and model.marked.fits(settings):
            return model.marked.score
        budget = budget_of(model, settings)
        if budget is not None:
            return budget.threshold
        false_alarm_rate = model.settings.calibration.false_alarm_rate
    return threshold(reference_of(model, settings), false_alarm_rate)


def budget_of(model: Model, settings: ScoringSettings | None = None) -> AlarmBudget | None:
    """The threshold of the model's alarms a day; None where it has no such budget. Raises ModelError as above."""
    settings, per_day = settings or model.settings.scoring, model.settings.calibration.alarms_per_day
    if per_day is None:
        return None
    return model.fitted_calibration.alarm_budget(
        per_day, settings.frames, smoothing_of(model, settings), settings.tail, settings.by
    )


def alarm_percentile(model: Model, score: float, settings: ScoringSettings | None = None) -> float:
    """Share of held-out normal frames that score no higher, 0 to 100: what raises no alarm at this threshold."""
    reference = reference_of(model, settings or model.settings.scoring)
    return float(100 * np.searchsorted(reference, score, side="right") / max(len(reference), 1))


def score_at(
    model: Model, percentiles: NDArray[np.floating], settings: ScoringSettings | None = None
) -> NDArray[np.float64]:
    """(N,) frame scores that N percentiles, 0 to 100, of the held-out normal frames do not exceed."""
    reference = reference_of(model, settings or model.settings.scoring)
    return np.quantile(reference, np.asarray(percentiles) / 100, method="inverted_cdf")


def smoothing_of(model: Model, settings: ScoringSettings) -> float:
    """A whole clip has one score a person: there is nothing to smooth."""
    return 0.0 if model.settings.windows.extent == "clip" else settings.smoothing_s


def reference_of(model: Model, settings: ScoringSettings) -> NDArray[np.float64]:
    """Sorted scores of the held-out normal frames, made as ``settings`` say."""
    return model.fitted_calibration.reference(
        settings.frames, smoothing_of(model, settings), settings.tail, settings.by
    )
