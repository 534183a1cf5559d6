"""A clip to scores, part by part, and their CSV tables."""

from pipeline.scoring.parts import score_parts, score_parts_in
from pipeline.scoring.scorer import Scorer, load_scorer
from pipeline.scoring.tables import Curve, score_tracks

__all__ = ["Curve", "Scorer", "load_scorer", "score_parts", "score_parts_in", "score_tracks"]
