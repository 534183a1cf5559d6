"""Say in plain words why somebody's movement is unusual."""

from __future__ import annotations

import numpy as np

from anomaly.scoring.model import Model
from anomaly.scoring.scores import WindowScores
from anomaly.settings.densities import PREDICTION, PRETEXT
from pipeline.scoring.window_table import strongest_parts

_WORDS = {
    "clustering": "a pattern of movement",
    "reconstruction": "a movement that cannot be put together from what was learned",
    PREDICTION: "a movement that does not go on as expected",
    PRETEXT: "a movement that seems out of order",
}
_FEATURES = {
    "posture": "posture",
    "swing": "swing of arms and legs",
    "motion": "speed and direction",
    "size": "size",
    "place": "place",
}
_CLEAR = 95.0  # percentile from which a part of the score is a reason


def reasons_of(model: Model, scores: WindowScores, which: int) -> tuple[str, ...]:
    """Why one of some windows is what it is, the most important reason first.

    Args:
        model: what scored them.
        scores: the windows.
        which: number of the one.
    """
    parts = strongest_parts(model, scores, np.array([which]))[0]
    told = [
        f"{_named(part)}, rarer than {_share(share)} was learned" for part, share in parts if share >= _CLEAR
    ]
    if not told:
        told = [f"movement rarer than {_share(float(scores.percentile[which]))} was learned"]
    return tuple(told)


def _named(part: str) -> str:
    return _WORDS.get(part) or " with ".join(_FEATURES.get(name, name) for name in part.split("+"))


def _share(percentile: float) -> str:
    """A percentile as a share that does not claim what it cannot know."""
    return f"{min(percentile, 99.9):.1f} % of what" if percentile < 100 else "everything that"
