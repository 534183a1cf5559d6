"""Fit a mixture of Gaussians to numbers on scales of their own, some of them missing."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.normality.mixture import GaussianNormality
from anomaly.settings import NormalitySettings

_REGULARISATION = 1e-3  # of covariances of numbers whose deviation is 1
_LEAST = 1e-3  # deviation that a number has at least


@dataclass(frozen=True)
class GaussianDensity:
    """A mixture of Gaussians over standardised numbers.

    Attributes:
        mean: (D,) of the numbers, and what stands for one that is missing.
        deviation: (D,) of the numbers, above 0; of one that was never known, so large that it says nothing.
        mixture: over (x - mean) / deviation.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    mixture: GaussianNormality

    def anomaly(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) minus log density of numbers (N, D), NaN where missing."""
        return -np.logaddexp.reduce(
            self.mixture.joint(np.nan_to_num((x - self.mean) / self.deviation)), axis=1
        )

    @classmethod
    def fit(cls, x: NDArray[np.float64], components: int, seed: int) -> GaussianDensity:
        """The density of numbers (N, D), NaN where missing."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        known = np.isfinite(x)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, 0).sum(axis=0) / count
        deviation = np.maximum(np.sqrt(np.where(known, np.square(x - mean), 0).sum(axis=0) / count), _LEAST)
        deviation[~known.any(axis=0)] = np.finfo(np.float64).max
        mixture = GaussianMixture(components, reg_covar=_REGULARISATION, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(np.nan_to_num((x - mean) / deviation))
        offsets = np.log(np.maximum(mixture.weights_, 1e-300)) - x.shape[1] / 2 * np.log(2 * np.pi)
        return cls(
            mean,
            deviation,
            GaussianNormality(
                NormalitySettings(), mixture.weights_, offsets, mixture.means_, mixture.precisions_cholesky_
            ),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, by name."""
        values = {name: getattr(self.mixture, name) for name in GaussianNormality.ARRAYS}
        return {"mean": self.mean, "deviation": self.deviation, **values}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> GaussianDensity:
        """The density whose `arrays` these are, their shapes being right.

        Raises:
            ValueError: they are none.
        """
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has values that are not finite")
        if (arrays["deviation"] <= 0).any() or (arrays["weights"] < 0).any():
            raise ValueError("a deviation or weight is not positive")
        mixture = GaussianNormality(
            NormalitySettings(), **{name: arrays[name] for name in GaussianNormality.ARRAYS}
        )
        problem = mixture.problem()
        if problem is not None:
            raise ValueError(problem)
        return cls(arrays["mean"], arrays["deviation"], mixture)


def gaussian_shapes(size: int, components: str) -> dict[str, tuple[int | str, ...]]:
    """Shapes of `GaussianDensity.arrays` of ``size`` numbers; ``components`` names their count."""
    return {
        "mean": (size,),
        "deviation": (size,),
        "weights": (components,),
        "offsets": (components,),
        "means": (components, size),
        "precision_cholesky": (components, size, size),
    }
