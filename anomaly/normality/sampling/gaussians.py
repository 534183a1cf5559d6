"""Sample a Dirichlet-process mixture of Gaussians: collapsed Gibbs with split and merge.

The model: a partition of the vectors by the Chinese restaurant process of concentration alpha; each component's mean
and covariance from a normal-inverse-Wishart prior, which is integrated out (Neal, Markov chain sampling methods for
Dirichlet process mixture models, 2000, algorithm 3). One vector at a time moves slowly between components that lie
close; splits and merges of whole components (Jain and Neal, A split-merge Markov chain Monte Carlo procedure for the
Dirichlet process mixture model, 2004) go there at once. The partition of highest probability that the chain has seen is
what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp, multigammaln

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

_SCANS = 5  # restricted Gibbs scans before a split or merge is proposed
_PAIRS_A_SWEEP = 5  # splits and merges that are proposed


@dataclass(frozen=True)
class NormalInverseWishart:
    """The prior of a component of D dimensions: covariance ~ IW(scale, freedom), mean ~ N(mean, covariance / count).

    Attributes:
        mean: (D,).
        count: vectors that the prior mean weighs as much as.
        freedom: degrees of freedom, above D - 1.
        scale: (D, D), positive definite.
    """

    mean: Array
    count: float
    freedom: float
    scale: Array

    @classmethod
    def from_data(cls, x: Array, regularisation: float) -> NormalInverseWishart:
        """Scikit-learn's prior for `BayesianGaussianMixture`, so that both fits are of one model."""
        size = x.shape[1]
        scale = np.atleast_2d(np.cov(x.T)) + regularisation * np.eye(size)
        return cls(x.mean(axis=0), 1.0, float(size), scale)

    def posterior(self, count: float, total: Array, outer: Array) -> NormalInverseWishart:
        """After ``count`` vectors with sum (D,) and sum of outer products (D, D)."""
        both = self.count + count
        mean = (self.count * self.mean + total) / both
        prior = self.count * np.outer(self.mean, self.mean)
        scale = self.scale + outer + prior - both * np.outer(mean, mean)
        return NormalInverseWishart(mean, both, self.freedom + count, scale)

    def log_marginal(self, x: Array) -> float:
        """Log density of vectors (N, D) that share a component."""
        after, size = self.posterior(len(x), x.sum(axis=0), x.T @ x), x.shape[1]

        def log_norm(one: NormalInverseWishart) -> float:
            log_scale = np.linalg.slogdet(one.scale)[1]
            return float(
                multigammaln(one.freedom / 2, size)
                - one.freedom / 2 * log_scale
                - size / 2 * np.log(one.count)
            )

        return log_norm(after) - log_norm(self) - len(x) * size / 2 * float(np.log(np.pi))


class Components:
    """Some components' sufficient statistics, and the density that each predicts for another vector.

    Args:
        prior: of every component.
    """

    def __init__(self, prior: NormalInverseWishart) -> None:
        self.prior = prior
        size = len(prior.mean)
        self.count = np.zeros(0)
        self.total, self.outer = np.zeros((0, size)), np.zeros((0, size, size))
        self._mean, self._root = np.zeros((0, size)), np.zeros((0, size, size))
        self._freedom, self._constant = np.zeros(0), np.zeros(0)

    def __len__(self) -> int:
        return len(self.count)

    def append(self) -> int:
        """A new, empty component; its number."""
        for name in ("count", "total", "outer", "_mean", "_root", "_freedom", "_constant"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((1, *old.shape[1:]))]))
        self._refresh(len(self) - 1)
        return len(self) - 1

    def delete(self, number: int) -> None:
        """Remove a component; those after it count one less."""
        for name in ("count", "total", "outer", "_mean", "_root", "_freedom", "_constant"):
            setattr(self, name, np.delete(getattr(self, name), number, axis=0))

    def add(self, number: int, x: Array, sign: int = 1) -> None:
        """Put a vector (D,) into a component, or with sign -1 take it out."""
        self.count[number] += sign
        self.total[number] += sign * x
        self.outer[number] += sign * np.outer(x, x)
        self._refresh(number)

    def log_predictive(self, x: Array) -> Array:
        """(K,) log density of a vector (D,) by each component: Student's t."""
        whitened = np.einsum("kde,ke->kd", self._root, x - self._mean)
        distance = np.einsum("kd,kd->k", whitened, whitened)
        power = (self._freedom + len(x)) / 2
        return np.asarray(self._constant - power * np.log1p(distance / self._freedom))

    def _refresh(self, number: int) -> None:
        after = self.prior.posterior(self.count[number], self.total[number], self.outer[number])
        size = len(after.mean)
        freedom = after.freedom - size + 1
        shape = after.scale * (after.count + 1) / (after.count * freedom)
        root = np.linalg.cholesky(shape)
        self._mean[number], self._freedom[number] = after.mean, freedom
        self._root[number] = np.linalg.inv(root)
        self._constant[number] = (
            gammaln((freedom + size) / 2)
            - gammaln(freedom / 2)
            - size / 2 * np.log(freedom * np.pi)
            - np.log(np.diagonal(root)).sum()
        )


class GaussianGibbs:
    """The chain.

    Attributes:
        labels: (N,) component of each vector, from 0.
    """

    def __init__(
        self, x: Array, labels: Labels, prior: NormalInverseWishart, concentration: float, seed: int
    ) -> None:
        self.x, self.prior, self.concentration = x, prior, concentration
        self.rng = np.random.default_rng(seed)
        self._empty = Components(prior)
        self._empty.append()
        self._set(labels)

    def _set(self, labels: Labels) -> None:
        self.labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        self._components = Components(self.prior)
        for number in range(int(self.labels.max()) + 1):
            mine = self.x[self.labels == number]
            self._components.append()
            self._components.count[number] = len(mine)
            self._components.total[number] = mine.sum(axis=0)
            self._components.outer[number] = mine.T @ mine
            self._components._refresh(number)

    def sweep(self) -> None:
        """Draw every vector's component anew given all others', then propose some splits and merges."""
        for i in self.rng.permutation(len(self.x)):
            self._draw(int(i))
        for _ in range(_PAIRS_A_SWEEP if len(self.x) > 1 else 0):
            self.split_or_merge()

    def _draw(self, i: int) -> None:
        parts, x = self._components, self.x[i]
        old = int(self.labels[i])
        parts.add(old, x, -1)
        if parts.count[old] < 0.5:
            parts.delete(old)
            self.labels[self.labels > old] -= 1
        odds = np.append(
            np.log(parts.count) + parts.log_predictive(x),
            np.log(self.concentration) + self._empty.log_predictive(x),
        )
        new = _choose(odds, self.rng)
        if new == len(parts):
            parts.append()
        parts.add(new, x)
        self.labels[i] = new

    def split_or_merge(self) -> bool:
        """Propose to part two vectors that share a component, or to join their components; whether it was accepted."""
        rng = self.rng
        i, j = (int(n) for n in rng.choice(len(self.x), 2, replace=False))
        first, second = int(self.labels[i]), int(self.labels[j])
        others = np.flatnonzero((self.labels == first) | (self.labels == second))
        others = others[(others != i) & (others != j)]
        pair = Components(self.prior)
        for number, vector in enumerate((i, j)):
            pair.append()
            pair.add(number, self.x[vector])
        side = rng.integers(2, size=len(others))
        for vector, number in zip(others, side, strict=True):
            pair.add(int(number), self.x[vector])
        for _ in range(_SCANS):
            self._restricted(pair, others, side)
        together = np.concatenate([[i, j], others])
        if first == second:
            drawn = self._restricted(pair, others, side)
            labels = self.labels.copy()
            labels[j] = labels[others[side == 1]] = labels.max() + 1
            gain = self._log_of_parting(together, labels) - drawn
        else:
            wanted = (self.labels[others] == second).astype(np.int64)
            drawn = self._restricted(pair, others, side, wanted)
            labels = self.labels.copy()
            labels[together] = first
            gain = drawn - self._log_of_parting(together, self.labels)
        if np.log(rng.random()) >= gain:
            return False
        self._set(labels)
        return True

    def _restricted(
        self, pair: Components, others: Labels, side: Labels, wanted: Labels | None = None
    ) -> float:
        """One Gibbs scan over the vectors between two components; log probability of what was drawn, or is wanted."""
        total = 0.0
        for n, vector in enumerate(others):
            x = self.x[vector]
            pair.add(int(side[n]), x, -1)
            odds = np.log(pair.count) + pair.log_predictive(x)
            side[n] = _choose(odds, self.rng) if wanted is None else wanted[n]
            total += float(odds[side[n]] - logsumexp(odds))
            pair.add(int(side[n]), x)
        return total

    def _log_of_parting(self, together: Labels, parted: Labels) -> float:
        """Log of how much more probable the parting of some vectors is than their being one component."""
        sides = [together[parted[together] == label] for label in np.unique(parted[together])]
        prior = np.log(self.concentration) + sum(gammaln(len(s)) for s in sides) - gammaln(len(together))
        data = sum(self.prior.log_marginal(self.x[s]) for s in sides)
        return float(prior + data - self.prior.log_marginal(self.x[together]))

    def log_joint(self) -> float:
        """Log probability of the partition and density of the data, exact."""
        return log_joint(self.x, self.labels, self.prior, self.concentration)


def log_joint(x: Array, labels: Labels, prior: NormalInverseWishart, concentration: float) -> float:
    """Log of p(partition) p(x | partition)."""
    parts = [x[labels == label] for label in np.unique(labels)]
    return log_partition([len(part) for part in parts], concentration) + sum(map(prior.log_marginal, parts))


def log_partition(counts: list[int], concentration: float) -> float:
    """Log probability of a partition into parts of these sizes by the Chinese restaurant process."""
    seats = np.arange(sum(counts)) + concentration
    return float(len(counts) * np.log(concentration) + gammaln(counts).sum() - np.log(seats).sum())


def sample_gaussians(
    x: Array, start: Labels, concentration: float, regularisation: float, sweeps: int, seed: int
) -> tuple[Labels, NormalInverseWishart]:
    """The most probable partition (N,) of vectors (N, D) that a chain of so many sweeps sees, and the prior.

    Args:
        x: the vectors.
        start: (N,) components that it begins with.
        concentration: alpha.
        regularisation: added to the diagonal of the prior's scale.
        sweeps: of the chain.
        seed: of it.
    """
    prior = NormalInverseWishart.from_data(x, regularisation)
    chain = GaussianGibbs(x, start, prior, concentration, seed)
    best, labels = chain.log_joint(), chain.labels.copy()
    for _ in range(sweeps):
        chain.sweep()
        if (found := chain.log_joint()) > best:
            best, labels = found, chain.labels.copy()
    return labels, prior


def _choose(odds: Array, rng: np.random.Generator) -> int:
    """A number drawn with these log odds."""
    p = np.exp(odds - odds.max())
    return int(min(np.searchsorted(np.cumsum(p), rng.random() * p.sum()), len(p) - 1))
