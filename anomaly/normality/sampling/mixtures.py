"""Make the normality mixture of what a sampler finds: of Gaussians or of Dirichlet distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.normality.dirichlet import estimated_alpha
from anomaly.normality.sampling.dirichlets import sample_dirichlets
from anomaly.normality.sampling.gaussians import sample_gaussians
from anomaly.settings import NormalitySettings

Array = NDArray[np.float64]

MOST_VECTORS = 2000
_LEAST_WEIGHT = 1e-300  # of a component that holds nothing


def sampled_gaussians(y: Array, settings: NormalitySettings, seed: int) -> dict[str, Array]:
    """`GaussianNormality.arrays` of coordinates (N, D).

    Each component is the Gaussian with the mean and covariance of the Student's t that it predicts; its weight is its
    share of the vectors, as the process predicts it. What lies in components beyond the largest G is left out.
    """
    start = _start(y, settings, seed)
    count, size = len(y), y.shape[1]
    labels, prior = sample_gaussians(
        y, start, 1 / settings.components, settings.regularisation, settings.max_iterations, seed
    )
    weights = np.full(settings.components, _LEAST_WEIGHT)
    means = np.repeat(prior.mean[None], settings.components, axis=0)
    covariances = np.repeat(prior.scale[None], settings.components, axis=0)
    for k, label in enumerate(_largest(labels, settings.components)):
        mine = y[labels == label]
        after = prior.posterior(len(mine), mine.sum(axis=0), mine.T @ mine)
        weights[k], means[k] = len(mine) / (count + 1 / settings.components), after.mean
        # Of two vectors or fewer the predicted Student's t has no covariance; its scale stands in for it.
        freedom = after.freedom - size + 1
        spread = max(freedom - 2, 1.0)
        covariances[k] = after.scale * (after.count + 1) / (after.count * spread)
    roots = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
    offsets = np.log(weights) - size / 2 * np.log(2 * np.pi)
    weights = np.where(weights > _LEAST_WEIGHT, weights, 0.0)
    return {"weights": weights, "offsets": offsets, "means": means, "precision_cholesky": roots}


def sampled_dirichlets(log_x: Array, settings: NormalitySettings, seed: int) -> dict[str, Array]:
    """`DirichletNormality.arrays` of logarithms (N, K).

    Of the partition that was found, parameters are those of highest posterior density, as in the variational fit. What
    lies in components beyond the largest G is left out.
    """
    start = _start(np.exp(log_x / 2), settings, seed)  # Hellinger's distance
    labels, found = sample_dirichlets(log_x, start, 1 / settings.components, settings.max_iterations, seed)
    weights, alpha = np.zeros(settings.components), np.ones((settings.components, log_x.shape[1]))
    largest = _largest(labels, settings.components)
    counts = np.bincount(labels)[largest]
    sums = np.stack([log_x[labels == label].sum(axis=0) for label in largest])
    weights[: len(largest)] = counts / len(labels)
    alpha[: len(largest)] = estimated_alpha(found[largest], counts.astype(float), sums)
    return {"weights": weights, "alpha": alpha}


def _start(y: Array, settings: NormalitySettings, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    clusters = min(settings.components, len(y))
    labels: NDArray[np.int64] = KMeans(clusters, n_init=1, random_state=seed).fit_predict(y).astype(np.int64)
    return labels


def _largest(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return np.argsort(-np.bincount(labels), kind="stable")[:most]
