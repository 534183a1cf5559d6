"""Weigh the parts of the score by how well they tell what nobody does from normal video that they have not learned.

No label is needed: abnormal motions are put into held-out normal tracks (`anomaly.training.injected`). Fisher's linear
discriminant then says what each part is worth beside the others, for this video and this estimator of poses. Its
spread is that of the changed people: minus log tail probabilities of normal ones spread alike by every part, since
that is what a tail probability is. So parts that see some changes and miss others count less, and so do parts that say
the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_STRETCHES = 12  # of either kind, that weights can rest on
_TINY = 1e-6  # of the variance, so that two parts that say the same have a discriminant
_PRIOR = 20  # stretches' worth of belief in equal weights
_LEAST = 0.1  # of the mean weight: what would count less counts nothing, and need not be worked out


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

    def facts(self, parts: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
        """The numbers of each of the P parts, as JSON can hold them; None: it was not measured."""
        rows = zip(parts, self.weight, self.normal, self.injected, strict=True)
        return {
            part: {
                "weight": round(float(weight), 3),
                "normal": None if np.isnan(normal) else round(float(normal), 3),
                "injected": None if np.isnan(injected) else round(float(injected), 3),
            }
            for part, weight, normal, injected in rows
        }


def learned_weights(normal: NDArray[np.float64], injected: NDArray[np.float64]) -> PartWeights:
    """Fisher's discriminant with no weight below 0, by the means of minus log tail probability over stretches.

    A stretch is one person in one clip. Of few stretches covariances are uncertain: the fewer there are, the more the
    weights are drawn towards equal ones, on the scale that serves the discriminant best.

    Args:
        normal: (N, P) of held-out normal people, of P parts; NaN where a part says nothing of somebody.
        injected: (M, P) of people whose motion was replaced.

    Returns:
        The weights; equal ones where either kind has fewer than `FEWEST_STRETCHES`, or no part sees anything.
    """
    from scipy.optimize import nnls

    fewest, parts = min(len(normal), len(injected)), normal.shape[1]
    if fewest < FEWEST_STRETCHES or parts == 1:
        return PartWeights.equal(parts)
    normal, injected = _filled(normal), _filled(injected)
    shift = injected.mean(axis=0) - normal.mean(axis=0)
    within = np.atleast_2d(np.cov(injected.T))
    if shift.sum() <= 0 or not np.trace(within) > 0:
        return PartWeights.equal(parts)
    equal = shift.sum() / (within.sum() + _TINY * np.trace(within))  # the best of all equal weights
    pull = np.sqrt(_PRIOR / fewest * np.trace(within) / parts) * np.eye(parts)
    half = np.linalg.cholesky(within + _TINY * np.trace(within) * np.eye(parts))
    # With S = half half', the weights w >= 0 nearest to S^-1 shift in the measure of S, that is the least
    # |half' w - half^-1 shift|, and not far from the equal ones.
    weight, _ = nnls(
        np.concatenate([half.T, pull]),
        np.concatenate([np.linalg.solve(half, shift), pull @ np.full(parts, equal)]),
    )
    weight = np.where(weight < _LEAST * weight.mean(), 0, weight)
    return PartWeights(weight / weight.mean(), normal.mean(axis=0), injected.mean(axis=0))


def _filled(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a part does not say of somebody is what it says of people on average: that moves nothing."""
    told = np.isfinite(means)
    usual = np.where(told, means, 0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    return np.where(told, means, usual)
