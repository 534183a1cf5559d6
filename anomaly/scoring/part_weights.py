"""Weigh the parts of the score by how well they tell what nobody does from normal video that they have not learned.

No label is needed: abnormal motions are put into held-out normal tracks (`anomaly.training.injected`). Fisher's linear
discriminant then says what each part is worth beside the others, for this video and this estimator of poses. Parts
that find some unseen people or clips much more unusual than others count less, and so do parts that say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_STRETCHES = 12  # of either kind, that weights can rest on
_RIDGE = 0.1  # share of the mean variance that is added to all of them
_PRIOR = 10  # stretches' worth of belief that parts differ in nothing but this


@dataclass(frozen=True)
class PartWeights:
    """What each of P parts of the score counts, and why.

    Attributes:
        weight: (P,) not below 0, their mean 1.
        normal: (P,) mean of minus log tail probability of held-out normal people; about 1. NaN: not measured.
        injected: (P,) the same of people whose motion was replaced; the higher, the better the part sees it.
    """

    weight: NDArray[np.float64]
    normal: NDArray[np.float64]
    injected: NDArray[np.float64]

    @classmethod
    def equal(cls, parts: int) -> PartWeights:
        """All parts alike."""
        return cls(np.ones(parts), np.full(parts, np.nan), np.full(parts, np.nan))


def learned_weights(normal: NDArray[np.float64], injected: NDArray[np.float64]) -> PartWeights:
    """Fisher's discriminant with no weight below 0, by the means of minus log tail probability over stretches.

    A stretch is one person in one clip. Of few stretches covariances are uncertain: the fewer there are, the more they
    are drawn towards one variance for all and no covariance, which leaves weights in proportion to the shift.

    Args:
        normal: (N, P) of held-out normal people, of P parts.
        injected: (M, P) of people whose motion was replaced.

    Returns:
        The weights; equal ones where either kind has fewer than `FEWEST_STRETCHES`, or no part sees anything.
    """
    from scipy.optimize import nnls

    fewest, parts = min(len(normal), len(injected)), normal.shape[1]
    if fewest < FEWEST_STRETCHES or parts == 1:
        return PartWeights.equal(parts)
    shift = injected.mean(axis=0) - normal.mean(axis=0)
    within = np.atleast_2d(np.cov(normal.T) + np.cov(injected.T))
    ridge = (_RIDGE + _PRIOR / fewest) * max(float(np.trace(within)) / parts, 1e-9)
    half = np.linalg.cholesky(within + ridge * np.eye(parts))
    # The weights w >= 0 nearest to S^-1 shift, in the measure of S = half half': least |half' w - half^-1 shift|.
    weight, _ = nnls(half.T, np.linalg.solve(half, shift))
    if weight.sum() <= 0:
        return PartWeights.equal(parts)
    return PartWeights(weight / weight.mean(), normal.mean(axis=0), injected.mean(axis=0))
