"""Fit the Dirichlet-process mixture over soft assignments and score by it (paper, section 3.4).

Mixtures of Gaussians are scikit-learn's, that of Dirichlet distributions is `anomaly.normality.dirichlet`'s. What was
learned is kept as plain arrays and evaluated here, so that a saved model needs no pickle and no version of
scikit-learn.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from anomaly.normality.dirichlet import fit_dirichlet_mixture, log_density
from anomaly.normality.sampling.mixtures import MOST_VECTORS as MOST_SAMPLED
from anomaly.normality.sampling.mixtures import sampled_dirichlets, sampled_gaussians
from anomaly.settings import NormalitySettings
from pose_extract.errors import TrainingError

logger = logging.getLogger(__name__)

_MOST_VECTORS = 100_000  # that a mixture is fitted on: more cost memory and time, and change next to nothing
_MOST_REGULARISATION = 1.0
_CHUNK = 8192  # vectors that are evaluated at once


def log_ratio_basis(clusters: int) -> NDArray[np.float64]:
    """(K, K - 1) orthonormal basis of the vectors that sum to 0 (Helmert's): log p times it are ILR coordinates."""
    basis = np.zeros((clusters, clusters - 1))
    for i in range(1, clusters):
        basis[:i, i - 1] = 1 / i
        basis[i, i - 1] = -1
        basis[:, i - 1] *= np.sqrt(i / (i + 1))
    return basis


def coordinates_of(log_p: NDArray[np.floating], settings: NormalitySettings) -> NDArray[np.float64]:
    """Log assignments (N, K) -> what the mixture sees.

    That is (N, K) on the simplex, (N, K - 1) log-ratios or, for Dirichlet distributions, (N, K) logarithms.
    """
    clusters, e = log_p.shape[1], settings.shrinkage
    log_x = np.asarray(log_p, np.float64)
    if settings.form == "gaussian":
        return np.exp(log_x)
    if e > 0:
        x = np.exp(log_x)
        x *= (1 - e) / x.sum(axis=1, keepdims=True)
        x += e / clusters
        log_x = np.log(x, out=x)
    return log_x if settings.form == "dirichlet" else log_x @ log_ratio_basis(clusters)


@dataclass(frozen=True)
class NormalityModel:
    """A fitted mixture of G components.

    Attributes:
        settings: what it was fitted with.
        weights: (G,) expected mixture weights.
    """

    settings: NormalitySettings
    weights: NDArray[np.float64]

    ARRAYS: ClassVar[tuple[str, ...]] = ("weights",)

    @property
    def components_used(self) -> int:
        """Components with a weight above 1 %."""
        return int((self.weights > 0.01).sum())

    def log_likelihood(self, log_p: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N,) log-likelihood of log assignments (N, K): the normality score of section 3.4."""
        out = np.empty(len(log_p))
        for rows, joint in self._chunks(log_p):
            out[rows] = np.logaddexp.reduce(joint, axis=1)
        return out

    def responsibilities(self, log_p: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, G) probability that each vector is of each mixture component; rows sum to 1."""
        out = np.empty((len(log_p), len(self.weights)), np.float32)
        for rows, joint in self._chunks(log_p):
            out[rows] = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        return out

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What was learned, by name; `normality_from_arrays` makes the model of it."""
        return {name: getattr(self, name) for name in self.ARRAYS}

    @classmethod
    def shapes(cls, components: int, clusters: int) -> dict[str, tuple[int, ...]]:
        """The shapes that `arrays` has."""
        raise NotImplementedError

    def joint(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, G) log weight plus log density of what `coordinates_of` gives."""
        raise NotImplementedError

    def problem(self) -> str | None:
        """Why arrays from elsewhere are no mixture of this form; None if they are one."""
        raise NotImplementedError

    def _chunks(self, log_p: NDArray[np.floating]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        for begin in range(0, len(log_p), _CHUNK):
            rows = slice(begin, begin + _CHUNK)
            yield rows, self.joint(coordinates_of(log_p[rows], self.settings))


@dataclass(frozen=True)
class GaussianNormality(NormalityModel):
    """Gaussians over D coordinates, the assignments themselves or their log-ratios.

    Attributes:
        offsets: (G,) expected log weight and log normaliser of each component under the variational posterior, without
            what the precision gives: with it the likelihood is the one that scikit-learn's `score_samples` states.
        means: (G, D).
        precision_cholesky: (G, D, D) upper triangular, the precision being U U^T.
    """

    offsets: NDArray[np.float64]
    means: NDArray[np.float64]
    precision_cholesky: NDArray[np.float64]

    ARRAYS = ("weights", "offsets", "means", "precision_cholesky")

    @classmethod
    def shapes(cls, components: int, size: int) -> dict[str, tuple[int, ...]]:
        """The shapes that `arrays` has, over coordinates of this size."""
        return {
            "weights": (components,),
            "offsets": (components,),
            "means": (components, size),
            "precision_cholesky": (components, size, size),
        }

    @cached_property
    def _products(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """All roots side by side (D, G * D), the means times them (G, D), and all constants (G,)."""
        roots = self.precision_cholesky
        diagonal = np.diagonal(roots, axis1=1, axis2=2)
        return (
            np.ascontiguousarray(roots.transpose(1, 0, 2)).reshape(roots.shape[1], -1),
            np.einsum("gd,gde->ge", self.means, roots),
            self.offsets + np.log(diagonal).sum(axis=1),
        )

    def joint(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, G) log weight plus log density of coordinates (N, D)."""
        roots, centres, constants = self._products
        distance = (y @ roots).reshape(len(y), *centres.shape)
        distance -= centres
        return constants - 0.5 * np.einsum("ngd,ngd->ng", distance, distance)

    def problem(self) -> str | None:
        """Why arrays from elsewhere are no such mixture; None if they are one."""
        roots = np.diagonal(self.precision_cholesky, axis1=1, axis2=2)
        return "a precision is not positive" if (roots <= 0).any() else None


@dataclass(frozen=True)
class DirichletNormality(NormalityModel):
    """Dirichlet distributions over the shrunk assignments.

    Attributes:
        alpha: (G, K) their parameters.
    """

    alpha: NDArray[np.float64]

    ARRAYS = ("weights", "alpha")

    @classmethod
    def shapes(cls, components: int, size: int) -> dict[str, tuple[int, ...]]:
        """The shapes that `arrays` has, over coordinates of this size."""
        return {"weights": (components,), "alpha": (components, size)}

    def joint(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, G) log weight plus log density of logarithms (N, K); -inf for components that hold nothing."""
        with np.errstate(divide="ignore"):
            return log_density(y, self.alpha) + np.log(self.weights)

    def problem(self) -> str | None:
        """Why arrays from elsewhere are no such mixture; None if they are one."""
        if (self.alpha <= 0).any():
            return "a Dirichlet parameter is not positive"
        return None if self.weights.sum() > 0 else "no component has a weight"


def _class_and_size(settings: NormalitySettings, clusters: int) -> tuple[type[NormalityModel], int]:
    return {
        "gaussian": (GaussianNormality, clusters),
        "logratio": (GaussianNormality, clusters - 1),
        "dirichlet": (DirichletNormality, clusters),
    }[settings.form]


def normality_shapes(settings: NormalitySettings, clusters: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the float64 arrays that a model with K clusters learns: `NormalityModel.arrays`."""
    kind, size = _class_and_size(settings, clusters)
    return kind.shapes(settings.components, size)


def normality_from_arrays(
    settings: NormalitySettings, arrays: Mapping[str, NDArray[Any]], clusters: int
) -> NormalityModel:
    """The model whose `arrays` these are, their shapes being right.

    Raises:
        ValueError: if they are no mixture.
    """
    kind, _ = _class_and_size(settings, clusters)
    values = {name: arrays[name] for name in kind.ARRAYS}
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} has values that are not finite")
    model = kind(settings, **values)
    if (model.weights < 0).any():
        raise ValueError("a weight is below 0")
    problem = model.problem()
    if problem is not None:
        raise ValueError(problem)
    return model


def fit_normality(log_p: NDArray[np.floating], settings: NormalitySettings, seed: int) -> NormalityModel:
    """Fit the mixture to the training set's log assignments (N, K).

    Raises:
        TrainingError: if there are too few vectors, or the fit breaks down.
    """
    y = coordinates_of(log_p[sample_of(len(log_p), settings, seed)], settings)
    needed = 2 * settings.components
    if len(y) < needed:
        raise TrainingError(
            f"the normality mixture needs at least {needed} vectors, got {len(y)}: train on more video, or lower "
            "normality.every or normality.components"
        )
    if settings.inference == "gibbs":
        dirichlet = settings.form == "dirichlet"
        try:
            arrays = (sampled_dirichlets if dirichlet else sampled_gaussians)(y, settings, seed)
        except np.linalg.LinAlgError as error:  # vectors that fill no volume, as assignments that sum to 1
            raise TrainingError(
                f"the normality mixture could not be fitted ({error}); raise normality.regularisation"
            ) from error
        return (DirichletNormality if dirichlet else GaussianNormality)(settings, **arrays)
    if settings.form == "dirichlet":
        fit = fit_dirichlet_mixture(y, settings.components, settings.max_iterations, seed)
        model: NormalityModel = DirichletNormality(settings, fit.weights, fit.alpha)
        converged = fit.converged
    else:
        converged, model = _fit_gaussians(y, settings, seed)
    if not converged:
        logger.info("the normality mixture stopped after %d iterations", settings.max_iterations)
    return model


def sample_of(count: int, settings: NormalitySettings, seed: int) -> NDArray[np.int64]:
    """Rising numbers of the training vectors that the mixture is fitted on.

    Drawn at random: every n-th vector itself would see one transform only where n is a multiple of their number.
    """
    most = MOST_SAMPLED if settings.inference == "gibbs" else _MOST_VECTORS
    wanted = min(-(-count // settings.every), most)
    if wanted == count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, wanted, replace=False, shuffle=False))


def _fit_gaussians(
    y: NDArray[np.float64], settings: NormalitySettings, seed: int
) -> tuple[bool, NormalityModel]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    regularisation = settings.regularisation
    while True:
        mixture = BayesianGaussianMixture(
            n_components=settings.components,
            covariance_type="full",
            weight_concentration_prior_type="dirichlet_process",
            max_iter=settings.max_iterations,
            reg_covar=regularisation,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                mixture.fit(y)
                break
            except ValueError as error:  # vectors that are all alike, as one-hot assignments are
                regularisation = 10 * max(regularisation, 1e-9)
                if regularisation > _MOST_REGULARISATION or not np.isfinite(y).all():
                    raise TrainingError(
                        f"the normality mixture could not be fitted ({error}); raise normality.regularisation"
                    ) from error
    if regularisation > settings.regularisation:
        logger.warning(
            "the normality mixture could only be fitted with a regularisation of %g: assignments hardly differ; "
            "clustering.temperature 0 and normality.form logratio keep them apart",
            regularisation,
        )
    return mixture.converged_, GaussianNormality(
        settings, mixture.weights_, _offsets(mixture), mixture.means_, mixture.precisions_cholesky_
    )


def _offsets(mixture: Any) -> NDArray[np.float64]:
    """(G,) expectations under the variational posterior (Blei and Jordan 2006, section 3)."""
    a, b = mixture.weight_concentration_
    rest = digamma(b) - digamma(a + b)
    log_weights = digamma(a) - digamma(a + b) + np.concatenate([[0.0], np.cumsum(rest)[:-1]])
    freedom, size = mixture.degrees_of_freedom_, mixture.means_.shape[1]
    log_determinant = size * np.log(2) + digamma(0.5 * (freedom - np.arange(size)[:, None])).sum(axis=0)
    scale = log_determinant - size * np.log(freedom) - size / mixture.mean_precision_
    return log_weights + 0.5 * (scale - size * np.log(2 * np.pi))
