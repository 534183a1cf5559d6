"""Normality: a Dirichlet-process mixture over soft assignments (paper, section 3.4).

scikit-learn fits the mixture; what it learned is kept as plain arrays and evaluated here, so that a saved model needs
no pickle and no particular version of scikit-learn.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.checking import expect_one_of
from pose_extract.errors import ConfigError, TrainingError

logger = logging.getLogger(__name__)

FORMS = ("gaussian", "logratio", "dirichlet")


@dataclass(frozen=True)
class NormalitySettings:
    """The mixture; the defaults are the published ones.

    Attributes:
        components: truncation of the Dirichlet process: at most this many mixture components.
        max_iterations: of variational inference.
        every: the mixture is fitted on every n-th training vector.
        form: "gaussian", Gaussians over the soft assignments as they are (a vector on the simplex has a singular
            covariance), "logratio", Gaussians over their isometric log-ratio coordinates, or "dirichlet", a
            Dirichlet-process mixture of Dirichlet distributions.
        shrink: e in p -> (1 - e) p + e / K before log-ratios are taken; 0 takes them of the logarithms that equation 1
            gives, which do not underflow.
        regularisation: added to the diagonal of each covariance.
    """

    components: int = 10
    max_iterations: int = 500
    every: int = 10
    form: str = "gaussian"
    shrink: float = 0.0
    regularisation: float = 1e-6

    def __post_init__(self) -> None:
        if not 1 <= self.components <= 1000 or self.max_iterations < 1 or self.every < 1:
            raise ConfigError(
                "normality: expected 1 to 1000 components and max_iterations and every of 1 or above, got "
                f"{self.components}, {self.max_iterations} and {self.every}"
            )
        expect_one_of("normality.form", self.form, FORMS)
        if not 0 <= self.shrink < 1 or self.regularisation < 0:
            raise ConfigError(
                "normality: expected a shrink of at least 0 and below 1 and a regularisation of 0 or above, got "
                f"{self.shrink} and {self.regularisation}"
            )


def log_ratio_basis(clusters: int) -> NDArray[np.float64]:
    """(K, K - 1) orthonormal basis of the vectors that sum to 0 (Helmert's): log p times it are ILR coordinates."""
    basis = np.zeros((clusters, clusters - 1))
    for i in range(1, clusters):
        basis[:i, i - 1] = 1 / i
        basis[i, i - 1] = -1
        basis[:, i - 1] *= np.sqrt(i / (i + 1))
    return basis


def coordinates_of(log_p: NDArray[np.floating], settings: NormalitySettings) -> NDArray[np.float64]:
    """Log assignments (N, K) -> what the mixture sees: (N, K) on the simplex or (N, K - 1) log-ratios."""
    log_p = log_p.astype(np.float64)
    clusters = log_p.shape[1]
    if settings.form == "gaussian":
        return np.exp(log_p)
    if settings.shrink > 0:
        log_p = np.log((1 - settings.shrink) * np.exp(log_p) + settings.shrink / clusters)
    return log_p @ log_ratio_basis(clusters)


@dataclass(frozen=True)
class NormalityModel:
    """A fitted mixture of G Gaussians over D coordinates.

    Attributes:
        settings: what it was fitted with.
        weights: (G,) expected mixture weights.
        offsets: (G,) expected log weight and log normaliser of each component under the variational posterior, without
            what the precision gives: with it the likelihood is the one that scikit-learn's `score_samples` states.
        means: (G, D).
        precision_cholesky: (G, D, D) upper triangular, the precision being U U^T.
    """

    settings: NormalitySettings
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    means: NDArray[np.float64]
    precision_cholesky: NDArray[np.float64]

    @property
    def components_used(self) -> int:
        """Components with a weight above 1 %."""
        return int((self.weights > 0.01).sum())

    def log_likelihood(self, log_p: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N,) log-likelihood of log assignments (N, K): the normality score of section 3.4."""
        y = coordinates_of(log_p, self.settings)
        parts = np.empty((len(self.weights), len(y)))
        for g, (offset, mean, root) in enumerate(
            zip(self.offsets, self.means, self.precision_cholesky, strict=True)
        ):
            distance = np.square((y - mean) @ root).sum(axis=1)
            parts[g] = offset + np.log(np.diagonal(root)).sum() - 0.5 * distance
        top = parts.max(axis=0)
        return top + np.log(np.exp(parts - top).sum(axis=0))


def fit_normality(log_p: NDArray[np.floating], settings: NormalitySettings, seed: int) -> NormalityModel:
    """Fit the mixture to the training set's log assignments (N, K).

    Raises:
        TrainingError: if there are too few vectors, or the fit breaks down.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    y = coordinates_of(log_p[:: settings.every], settings)
    needed = 2 * settings.components
    if len(y) < needed:
        raise TrainingError(
            f"the normality mixture needs at least {needed} vectors, got {len(y)}: train on more video, or lower "
            "normality.every or normality.components"
        )
    mixture = BayesianGaussianMixture(
        n_components=settings.components,
        covariance_type="full",
        weight_concentration_prior_type="dirichlet_process",
        max_iter=settings.max_iterations,
        reg_covar=settings.regularisation,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            mixture.fit(y)
        except ValueError as error:
            raise TrainingError(
                f"the normality mixture could not be fitted ({error}); raise normality.regularisation"
            ) from error
    if not mixture.converged_:
        logger.info("the normality mixture stopped after %d iterations", settings.max_iterations)
    return NormalityModel(
        settings, mixture.weights_, _offsets(mixture), mixture.means_, mixture.precisions_cholesky_
    )


def _offsets(mixture: Any) -> NDArray[np.float64]:
    """(G,) expectations under the variational posterior (Blei and Jordan 2006, section 3)."""
    from scipy.special import digamma

    a, b = mixture.weight_concentration_
    rest = digamma(b) - digamma(a + b)
    log_weights = digamma(a) - digamma(a + b) + np.concatenate([[0.0], np.cumsum(rest)[:-1]])
    freedom, size = mixture.degrees_of_freedom_, mixture.means_.shape[1]
    log_determinant = size * np.log(2) + digamma(0.5 * (freedom - np.arange(size)[:, None])).sum(axis=0)
    scale = log_determinant - size * np.log(freedom) - size / mixture.mean_precision_
    return log_weights + 0.5 * (scale - size * np.log(2 * np.pi))
