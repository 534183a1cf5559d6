"""Assign latent vectors to clusters and refine both: soft assignment, target, loss (section 3.3, equations 1 to 3)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.settings import ClusteringSettings
from pose_extract.errors import TrainingError

logger = logging.getLogger(__name__)

_SATURATED = 0.999  # an assignment above this is as good as one-hot
_MOST = 0.95  # a share above this is nearly all
_DEAD = 0.01  # a cluster with less than this share of its even part of the windows is used by nobody
_UNDECIDED = 0.99  # mean entropy of an assignment above this share of log K: every window has the same one
_LEAST_TARGET = 1e-8  # q below this counts as this in KL(P || Q), which is infinite at 0
_LEAST_FREQUENCY = 1e-12
_CHUNK = 100_000  # rows that temporary arrays hold


class ClusteringLayer(nn.Module):
    """Soft assignment of latent vectors to K clusters: a softmax over the clusters of `exponents`.

    With ``assignment`` "softmax" those are equation 1's, with "student" the logarithms of Student's t kernel of the
    distance to the clusters (Xie et al., Unsupervised deep embedding for clustering analysis, 2016, equation 1).

    Args:
        settings: of the clustering.
        latent_size: D.
    """

    temperature: Tensor

    def __init__(self, settings: ClusteringSettings, latent_size: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(settings.clusters, latent_size))
        self.assignment, self.freedom, self.bias = settings.assignment, settings.freedom, settings.bias
        self.register_buffer("temperature", torch.tensor(float(settings.temperature or 1.0)))

    def exponents(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, K), what the softmax is taken of: divided by the temperature, never in half precision."""
        if torch.is_autocast_enabled(z.device.type):
            with torch.autocast(z.device.type, enabled=False):
                return self.exponents(z.to(self.theta.dtype))
        if self.assignment == "student":
            distances = squared_distances(z, self.theta)
            return torch.log1p(distances / self.freedom) * (-(self.freedom + 1) / 2) / self.temperature
        scores = z @ self.theta.T
        if self.bias:
            scores = scores - self.theta.square().sum(dim=1) / 2
        return scores / self.temperature

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> log p (N, K), in logarithms: p itself underflows where clusters lie apart."""
        return torch.log_softmax(self.exponents(z), dim=1)

    @torch.no_grad()
    def initialise(self, z: NDArray[np.float32], settings: ClusteringSettings, seed: int) -> None:
        """Set theta to the k-means centroids of ``z`` (N, D), and find the temperature where it is automatic.

        Settings may ask for a random start in the place of k-means.

        Raises:
            TrainingError: if there are fewer vectors than clusters, or some are not finite.
        """
        from sklearn.cluster import KMeans

        if len(z) < len(self.theta) or not np.isfinite(z).all():
            raise TrainingError(
                f"k-means needs at least {len(self.theta)} finite latent vectors, got {len(z)}, "
                f"{int(np.isfinite(z).all(axis=1).sum())} of them finite: train on more video, lower "
                "clustering.clusters, or lower training.pretrain_rate"
            )
        if settings.start == "random":
            centres = np.random.default_rng(seed).normal(z.mean(axis=0), z.std(axis=0), self.theta.shape)
        else:
            kmeans = KMeans(len(self.theta), n_init=settings.kmeans_starts, random_state=seed).fit(z)
            centres = kmeans.cluster_centers_
        self.theta.copy_(torch.from_numpy(centres.astype(np.float32)))
        if settings.temperature == 0:
            self.temperature.fill_(1.0)
            parts = torch.from_numpy(z).split(_CHUNK)
            raw = torch.cat([self.exponents(part.to(self.theta)).cpu() for part in parts]).numpy()
            self.temperature.fill_(find_temperature(raw, settings.start_entropy))


def squared_distances(z: Tensor, theta: Tensor) -> Tensor:
    """(N, D), (K, D) -> (N, K) |z_i - theta_k|^2, by one matrix product.

    Both are first taken relative to the centroids' mean: |z|^2 - 2 z.theta + |theta|^2 loses the digits that z and
    theta have in common.
    """
    centre = theta.mean(dim=0)
    z, theta = z - centre, theta - centre
    squares = z.square().sum(dim=1, keepdim=True) + theta.square().sum(dim=1)
    return (squares - 2 * (z @ theta.T)).clamp_min(0)


def find_temperature(exponents: NDArray[np.floating], entropy_share: float) -> float:
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


def target_distribution(
    p: NDArray[np.floating], frequency: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Equation 3: the target q (N, K) of assignments p (N, K), which takes no memory but its own.

    Args:
        p: the assignments of the **whole** training set.
        frequency: (K,) the whole set's sums over windows, where p is only a part of it.
    """
    if frequency is None:
        frequency = p.sum(axis=0, dtype=np.float64)
    root = np.sqrt(np.maximum(frequency, _LEAST_FREQUENCY)).astype(np.float32)
    q = np.divide(p, root, dtype=np.float32)
    q /= q.sum(axis=1, keepdims=True)
    return q


@torch.no_grad()
def batch_target(p: Tensor, frequency: Tensor | None = None) -> Tensor:
    """q_ik = (p_ik^2 / f_k) / sum_k', the target (N, K) of a batch's own assignments p (N, K) (Xie et al., equation 3).

    Args:
        p: assignments; no gradient flows to them.
        frequency: (K,) sums over the batch, where p is only the part of it that this process has.
    """
    if frequency is None:
        frequency = p.sum(dim=0)
    q = p.square() / frequency.clamp_min(_LEAST_FREQUENCY)
    return q / q.sum(dim=1, keepdim=True)


def divergence(log_p: Tensor, q: Tensor, settings: ClusteringSettings) -> Tensor:
    """(N,) each window's Kullback-Leibler divergence of log p (N, K) and q (N, K).

    "target_model" is KL(Q || P), equation 2's sum over k; "model_target" KL(P || Q), with q of at least 1e-8, below
    which it would grow without bound.
    """
    if settings.divergence == "model_target":
        return (log_p.exp() * (log_p - q.clamp_min(_LEAST_TARGET).log())).sum(dim=1)
    return torch.xlogy(q, q).sub(q * log_p).sum(dim=1)


def clustering_loss(
    log_p: Tensor,
    q: Tensor,
    settings: ClusteringSettings = ClusteringSettings(),  # noqa: B008 - frozen
) -> Tensor:
    """The batch's `divergence`, reduced as the settings say."""
    parts = divergence(log_p, q, settings)
    return parts.sum() if settings.reduction == "sum" else parts.mean()


@dataclass(frozen=True)
class ClusterOccupancy:
    """How windows spread over the clusters.

    Attributes:
        counts: windows whose most likely cluster is each of the K.
        used: exp of the entropy of the mean assignment: how many clusters are in effect used.
        largest: share of windows whose most likely cluster is the fullest one.
        saturated: share of windows whose assignment is as good as one-hot.
        entropy: mean entropy of an assignment as a share of log K: 0 one-hot, 1 uniform.
    """

    counts: tuple[int, ...]
    used: float
    largest: float
    saturated: float
    entropy: float

    @property
    def collapsed(self) -> bool:
        """Whether nearly all windows fell into one cluster, so that assignments say nothing."""
        return self.largest > _MOST

    @property
    def dead(self) -> int:
        """Clusters that (nearly) no window belongs to."""
        even = sum(self.counts) / len(self.counts)
        return sum(count < _DEAD * even for count in self.counts)

    @property
    def undecided(self) -> bool:
        """Whether assignments are uniform: the clusters do not tell windows apart, nothing has been learned."""
        return self.entropy > _UNDECIDED

    @classmethod
    def from_assignments(cls, p: NDArray[np.floating]) -> ClusterOccupancy:
        """The occupancy of assignments p (N, K)."""
        count, clusters = p.shape
        total, counts, entropy, saturated = np.zeros(clusters), np.zeros(clusters, np.int64), 0.0, 0
        for begin in range(0, count, _CHUNK):
            part = p[begin : begin + _CHUNK]
            total += part.sum(axis=0, dtype=np.float64)
            counts += np.bincount(part.argmax(axis=1), minlength=clusters)
            entropy -= float((part * np.log(np.maximum(part, 1e-12))).sum(dtype=np.float64))
            saturated += int((part.max(axis=1) > _SATURATED).sum())
        mean = total / count
        used = float(np.exp(-np.sum(mean * np.log(np.maximum(mean, 1e-12)))))
        return cls(
            counts=tuple(counts.tolist()),
            used=used,
            largest=float(counts.max() / count),
            saturated=saturated / count,
            entropy=entropy / count / float(np.log(clusters)),
        )

    def warn(self) -> bool:
        """Log what is wrong with the clustering, if anything, and what to try; returns whether something is."""
        if self.undecided:
            logger.warning(
                "clustering learned nothing: every window belongs to all clusters alike, so scores will say little; "
                "try clustering.temperature 0, more training.pretrain_epochs or a lower clustering.weight"
            )
            return True
        if self.collapsed:
            logger.warning(
                "clustering collapsed: one cluster holds %.0f %% of the windows, so scores will say little; "
                "try a lower clustering.weight or more clustering.clusters",
                100 * self.largest,
            )
        elif 2 * self.dead >= len(self.counts):
            logger.warning(
                "%d of %d clusters are dead, no window belongs to them; try clustering.bias true (with which every "
                "cluster starts with the windows that k-means gave it), a lower clustering.weight or fewer "
                "clustering.clusters",
                self.dead,
                len(self.counts),
            )
        if not self.collapsed and self.saturated > _MOST:
            logger.warning(
                "%.0f %% of the windows are assigned to one cluster with certainty; "
                "clustering.temperature 0 keeps assignments soft",
                100 * self.saturated,
            )
        return self.collapsed or 2 * self.dead >= len(self.counts) or self.saturated > _MOST
