"""Compute frame AUC (micro, macro), average precision and equal error rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_extract.errors import UsageError


def frame_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve of frame scores (F,) against labels (F,), 1 being abnormal (paper, section 4.1).

    0.5 is chance, 1 is perfect.

    Raises:
        UsageError: if lengths differ, a score is not finite, or all labels are the same.
    """
    from sklearn.metrics import roc_auc_score

    scores, labels = _checked(scores, labels)
    return float(roc_auc_score(labels, scores))


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean precision over the abnormal frames, by falling score: the area under the precision-recall steps.

    Chance is the share of abnormal frames, so values compare only where that share is the same. Arguments and errors as
    those of `frame_auc`.
    """
    from sklearn.metrics import average_precision_score

    scores, labels = _checked(scores, labels)
    return float(average_precision_score(labels, scores))


def equal_error_rate(scores: ArrayLike, labels: ArrayLike) -> float:
    """The error rate at the threshold where as large a share of normal frames is flagged as of abnormal ones is missed.

    Between two points of the ROC curve the straight line is taken. 0.5 is chance, 0 is perfect. Arguments and errors as
    those of `frame_auc`.
    """
    from sklearn.metrics import roc_curve

    scores, labels = _checked(scores, labels)
    false_alarms, hits, _ = roc_curve(labels, scores)
    # False alarms minus misses rise from -1 to 1 along the curve; they are equal where it crosses 0.
    return float(np.interp(0.0, false_alarms + hits - 1, false_alarms))


def micro_auc(scores: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> float:
    """`frame_auc` over the frames of all clips together, as the field reports it.

    Args:
        scores: for each clip its frame scores (F,), smoothed within the clip.
        labels: for each clip its frame labels (F,).

    Raises:
        UsageError: as `frame_auc`, for any clip or for all together.
    """
    return frame_auc(*concatenated(scores, labels))


def macro_auc(scores: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> float:
    """Mean over clips of each clip's own `frame_auc`; clips with one kind of label only are left out.

    Scores need not be comparable between clips for it. Arguments as those of `micro_auc`.

    Raises:
        UsageError: as `frame_auc`, or if no clip has both kinds.
    """
    _paired(scores, labels)
    values = [
        frame_auc(s, y) for s, y in zip(scores, labels, strict=True) if 0 < np.mean(np.asarray(y) > 0) < 1
    ]
    if not values:
        raise UsageError(
            f"expected a clip with both normal and abnormal frames, got none in {len(labels)} clips: "
            "a mean over clips needs one"
        )
    return float(np.mean(values))


def concatenated(
    scores: Sequence[ArrayLike], labels: Sequence[ArrayLike]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels of all clips' frames in one array each; raises UsageError where a clip's do not fit."""
    _paired(scores, labels)
    return (
        np.concatenate([np.asarray(s, np.float64) for s in scores]),
        np.concatenate([np.asarray(y).astype(bool) for y in labels]),
    )


def _paired(scores: Sequence[ArrayLike], labels: Sequence[ArrayLike]) -> None:
    """Raise UsageError unless there are clips, and each has a label for each score."""
    if len(scores) != len(labels) or not len(scores):
        raise UsageError(
            f"expected scores and labels of the same clips, got {len(scores)} and {len(labels)} clips"
        )
    for number, (s, y) in enumerate(zip(scores, labels, strict=True)):
        if np.shape(s) != np.shape(y) or np.ndim(s) != 1:
            raise UsageError(
                f"expected a label for each score, got {np.shape(s)} scores and {np.shape(y)} labels of clip {number}"
            )


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise UsageError(
            f"expected a label for each score, got {scores.shape} scores and {labels.shape} labels"
        )
    if not np.isfinite(scores).all():
        raise UsageError(f"expected finite scores, got {int((~np.isfinite(scores)).sum())} that are not")
    if labels.all() or not labels.any():
        raise UsageError(
            f"expected normal and abnormal frames, got {int(labels.sum())} abnormal of {len(labels)}: "
            "telling them apart needs both"
        )
    return scores, labels
