"""How well scores tell abnormal frames from normal ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pose_extract.errors import UsageError


def frame_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve of frame scores (F,) against labels (F,), 1 being abnormal (paper, section 4.1).

    Scores of several clips are concatenated first, as the field does.

    Raises:
        UsageError: if lengths differ, a score is not finite, or all labels are the same.
    """
    from sklearn.metrics import roc_auc_score

    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise UsageError(
            f"expected a label for each score, got {scores.shape} scores and {labels.shape} labels"
        )
    if not np.isfinite(scores).all():
        raise UsageError(f"expected finite scores, got {int((~np.isfinite(scores)).sum())} that are not")
    if labels.all() or not labels.any():
        raise UsageError(
            f"expected normal and abnormal frames, got {int(labels.sum())} abnormal of {len(labels)}: an AUC needs both"
        )
    return float(roc_auc_score(labels, scores))
