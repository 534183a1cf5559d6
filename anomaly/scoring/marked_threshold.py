"""Keep an alarm threshold that an operator's marks have set, in place of the false alarm rate's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from anomaly.settings import FRAME_MODES, SCORE_KINDS, TAIL_FORMS, ScoringSettings

_SCORING = ("frames", "by", "tail", "smoothing_s")  # what makes another scale of the scores


@dataclass(frozen=True)
class MarkedThreshold:
    """The score above which a frame raises the alarm, and what it rests on.

    Attributes:
        score: the threshold, on the scale of scores made as the next four fields say.
        frames: as `ScoringSettings`.
        by: as `ScoringSettings`.
        tail: as `ScoringSettings`.
        smoothing_s: as `ScoringSettings`.
        facts: where it comes from, as JSON can hold it: date, numbers of marks, what it costs.
    """

    score: float
    frames: str
    by: str
    tail: str
    smoothing_s: float
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_score(cls, score: float, scoring: ScoringSettings, facts: dict[str, Any]) -> MarkedThreshold:
        """A threshold for scores that are made in this way."""
        return cls(score, **{name: getattr(scoring, name) for name in _SCORING}, facts=facts)

    def fits(self, scoring: ScoringSettings) -> bool:
        """Whether scores made in this way are on the threshold's scale."""
        return all(getattr(self, name) == getattr(scoring, name) for name in _SCORING)


def marked_from_json(value: Any) -> MarkedThreshold | None:
    """What a bundle's card holds, which may come from somebody else; None stays.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return None
    names = ("score", *_SCORING, "facts")
    if not isinstance(value, dict) or not set(names) <= value.keys():
        raise ValueError(f"expected an object with {', '.join(names)}")
    for name, kinds in (("frames", FRAME_MODES), ("by", SCORE_KINDS), ("tail", TAIL_FORMS)):
        if value[name] not in kinds:
            raise ValueError(f"expected {name} as one of {', '.join(kinds)}, got {value[name]!r:.40}")
    for name in ("score", "smoothing_s"):
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise ValueError(f"expected {name} as a number, got {number!r:.40}")
    if not isinstance(value["facts"], dict):
        raise ValueError("expected facts as an object")
    return MarkedThreshold(**{name: value[name] for name in names})
