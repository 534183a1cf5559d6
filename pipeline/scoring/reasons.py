"""Say in plain words why somebody's movement is unusual, and how rare that is among normal people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly.scoring.model import Model
from anomaly.scoring.scores import WindowScores
from anomaly.settings.densities import PREDICTION, PRETEXT
from pipeline.scoring.window_table import strongest_parts

_DOES = {
    "clustering": "moves in a pattern that is rare",
    "reconstruction": "makes movements that cannot be put together from those learned",
    PREDICTION: "does not go on moving as people normally do",
    PRETEXT: "makes movements in an order that is rare",
    "posture": "holds the body as people rarely do",
    "swing": "swings arms or legs as people rarely do",
    "motion": "moves at a speed or in a direction that is rare",
    "size": "is larger or smaller than people here are",
    "place": "goes where people rarely go",
    "motion+size": "moves at a speed or in a direction that is rare for that size",
    "posture+motion": "holds the body in a way that is rare at that speed",
    "latent": "moves as nobody normal does",
    "poses": "takes up poses that nobody normal does one after another",
    "steps": "moves joints at times and in directions that nobody normal does",
    "reach": "moves arms, legs or trunk farther or less far than anybody normal",
    "motion+place": "moves at a speed or in a direction that is rare at that place",
}
_FEATURES = {
    "posture": "posture",
    "swing": "swing of the limbs",
    "motion": "speed",
    "size": "size",
    "place": "place",
}
_CLEAR = 95.0  # percentile from which a part of the score is a reason


@dataclass(frozen=True)
class Reason:
    """One thing that is unusual about a movement.

    Attributes:
        does: what the person does, in plain words: "goes where people rarely go".
        rarity: "1 in 500": one in 500 of the held-out windows of normal people is as unusual in this; "rarer
            than 1 in 432": none of 432 is.
    """

    does: str
    rarity: str

    def __str__(self) -> str:
        return f"{self.does}, {self.rarity}"


def reasons_of(model: Model, scores: WindowScores, which: int) -> tuple[Reason, ...]:
    """Why one of some windows is what it is, the most important reason first; one at least.

    Args:
        model: what scored them.
        scores: the windows.
        which: number of the one.
    """
    calibration = model.fitted_calibration
    sizes = dict(zip(model.settings.scoring.parts, calibration.tails.sizes, strict=True))
    parts = strongest_parts(model, scores, np.array([which]))[0]
    told = [Reason(_does(part), rarity(share, sizes[part])) for part, share in parts if share >= _CLEAR]
    if not told:
        people = len(calibration.row_reference("online", model.settings.scoring.by))
        told = [Reason("moves in a way that is rare", rarity(float(scores.percentile[which]), people))]
    return tuple(told)


def rarity(percentile: float, normal: int) -> str:
    """How many of ``normal`` held-out samples are as unusual as what has a percentile, 0 to 100, among them.

    Two digits of "1 in 140" are told: the third would be chance. What none of them is, is not told to be rarer than can
    be known.
    """
    as_high = round(normal * (1 - percentile / 100))
    if as_high < 1:
        return f"rarer than 1 in {normal:,}"
    return f"1 in {float(f'{normal / as_high:.2g}'):,.0f}"


def _does(part: str) -> str:
    if part in _DOES:
        return _DOES[part]
    *most, last = (_FEATURES[name] for name in part.split("+"))
    return f"shows {', '.join(most)} and {last} that rarely go together"
