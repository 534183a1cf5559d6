"""A clip to scores, chunk by chunk, and their CSV tables."""

from pipeline.scoring.chunks import score_chunks
from pipeline.scoring.online import OnlineScorer
from pipeline.scoring.scorer import NamedModel, Scorer, load_scorer
from pipeline.scoring.tables import score_tracks

__all__ = ["NamedModel", "OnlineScorer", "Scorer", "load_scorer", "score_chunks", "score_tracks"]
