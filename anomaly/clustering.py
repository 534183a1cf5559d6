"""Deep embedded clustering: the soft assignment, its target and its loss (paper, section 3.3, equations 1 to 3)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.settings import ClusteringSettings

logger = logging.getLogger(__name__)

_SATURATED = 0.999  # an assignment above this is as good as one-hot
_COLLAPSED = 0.95  # a cluster that holds more than this share of the windows


class ClusteringLayer(nn.Module):
    """Soft assignment of latent vectors to K clusters (equation 1).

    Args:
        clusters: K.
        latent_size: D.
        bias: whether the exponents carry -|theta_k|^2 / 2.
        temperature: what the exponents are divided by.
    """

    temperature: Tensor

    def __init__(self, clusters: int, latent_size: int, bias: bool = False, temperature: float = 1.0) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(clusters, latent_size))
        self.bias = bias
        self.register_buffer("temperature", torch.tensor(float(temperature or 1.0)))

    def exponents(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, K), what equation 1's softmax is taken of."""
        scores = z @ self.theta.T
        if self.bias:
            scores = scores - self.theta.square().sum(dim=1) / 2
        return scores / self.temperature

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> log p (N, K), equation 1 in logarithms: p itself underflows where clusters lie apart."""
        return torch.log_softmax(self.exponents(z), dim=1)

    @torch.no_grad()
    def initialise(
        self, z: NDArray[np.float32], settings: ClusteringSettings, seed: int
    ) -> NDArray[np.int64]:
        """Set theta to the k-means centroids of ``z`` (N, D); returns the k-means labels (N,)."""
        from sklearn.cluster import KMeans

        every = -(-len(z) // settings.kmeans_windows)
        kmeans = KMeans(len(self.theta), n_init=settings.kmeans_starts, random_state=seed).fit(z[::every])
        device = self.theta.device
        self.theta.copy_(torch.from_numpy(kmeans.cluster_centers_.astype(np.float32)))
        if settings.temperature == 0:
            self.temperature.fill_(1.0)
            raw = self.exponents(torch.from_numpy(z[::every]).to(device)).cpu().numpy()
            self.temperature.fill_(find_temperature(raw, settings.start_entropy))
        return kmeans.predict(z)


def find_temperature(exponents: NDArray[np.float32], entropy_share: float) -> float:
    """The temperature at which softmax(exponents / temperature) has a mean entropy of ``entropy_share`` * log K."""
    raw = exponents.astype(np.float64)
    raw = raw - raw.max(axis=1, keepdims=True)
    low, high = -20.0, 30.0  # log temperature; entropy grows with it
    for _ in range(60):
        middle = (low + high) / 2
        log_p = raw / np.exp(middle)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        entropy = -(np.exp(log_p) * log_p).sum(axis=1).mean() / np.log(raw.shape[1])
        low, high = (middle, high) if entropy < entropy_share else (low, middle)
    return float(np.exp((low + high) / 2))


def target_distribution(p: NDArray[np.floating]) -> NDArray[np.float32]:
    """Equation 3: the target q (N, K) of the assignments p (N, K) of the **whole** training set."""
    weighted = p / np.sqrt(np.maximum(p.sum(axis=0, dtype=np.float64), 1e-12))
    return (weighted / weighted.sum(axis=1, keepdims=True)).astype(np.float32)


def clustering_loss(log_p: Tensor, q: Tensor) -> Tensor:
    """Equation 2: KL(Q || P), averaged over the batch. log_p and q are (N, K)."""
    return torch.xlogy(q, q).sub(q * log_p).sum(dim=1).mean()


@dataclass(frozen=True)
class Occupancy:
    """How the training windows spread over the clusters.

    Attributes:
        used: exp of the entropy of the mean assignment: how many clusters are in effect used.
        largest: share of windows whose most likely cluster is the fullest one.
        saturated: share of windows whose assignment is as good as one-hot.
    """

    used: float
    largest: float
    saturated: float

    @property
    def collapsed(self) -> bool:
        """Whether nearly all windows fell into one cluster, so that assignments say nothing."""
        return self.largest > _COLLAPSED

    @classmethod
    def of(cls, p: NDArray[np.floating]) -> Occupancy:
        """The occupancy of assignments p (N, K)."""
        mean = p.mean(axis=0)
        entropy = -np.sum(mean * np.log(np.maximum(mean, 1e-12)))
        counts = np.bincount(p.argmax(axis=1), minlength=p.shape[1])
        return cls(
            float(np.exp(entropy)), float(counts.max() / len(p)), float((p.max(axis=1) > _SATURATED).mean())
        )

    def warn(self) -> None:
        """Log a warning if the clustering collapsed or its assignments are one-hot."""
        if self.collapsed:
            logger.warning(
                "clustering collapsed: one cluster holds %.0f %% of the windows, so scores will say little; "
                "try a lower clustering.weight or more clustering.clusters",
                100 * self.largest,
            )
        elif self.saturated > _COLLAPSED:
            logger.warning(
                "%.0f %% of the windows are assigned to one cluster with certainty; "
                "clustering.temperature 0 keeps assignments soft",
                100 * self.saturated,
            )
