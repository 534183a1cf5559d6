"""Sample a Dirichlet-process mixture of Dirichlet distributions, whose parameters cannot be integrated out.

Neal's algorithm 8 (2000): beside the components there are, each vector may choose among some whose parameters are drawn
from the prior. Parameters move by Metropolis steps. The prior is that of `anomaly.normality.dirichlet`: the Dirichlet's
conjugate one, which weighs as much as one vector out of the uniform distribution.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln

from anomaly.normality.dirichlet import PRIOR_VECTORS, log_density
from anomaly.normality.sampling.gaussians import Array, Labels, _choose, log_partition

_AUXILIARY = 3
_POOL = 2000  # draws from the prior
_THINNING = 20
_MOVES = 6  # Metropolis steps of a component's parameters in a sweep
_SCALES = (0.03, 0.1, 0.3, 1.0)  # of steps of log alpha, over the root of K; one is drawn for each step


def log_prior(alpha: Array) -> Array:
    """(G,) log of the prior density of log alpha, for parameters (G, K), up to a constant."""
    size = alpha.shape[1]
    told = (alpha - 1).sum(axis=1) * (digamma(1) - digamma(size))
    norm = gammaln(alpha.sum(axis=1)) - gammaln(alpha).sum(axis=1)
    return np.asarray(PRIOR_VECTORS * (norm + told) + np.log(alpha).sum(axis=1))


class DirichletGibbs:
    """The chain.

    Attributes:
        labels: (N,) component of each vector, from 0.
        alpha: (G, K) the components' parameters.
    """

    def __init__(self, log_x: Array, labels: Labels, concentration: float, seed: int) -> None:
        self.log_x, self.concentration = log_x, concentration
        self.rng = np.random.default_rng(seed)
        self.labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        self.alpha = np.ones((int(self.labels.max()) + 1, log_x.shape[1]))
        self._pool = self._drawn_from_prior()

    def sweep(self) -> None:
        """Draw every vector's component anew, then move the parameters."""
        for i in self.rng.permutation(len(self.log_x)):
            self._draw(int(i))
        for number in range(len(self.alpha)):
            mine = self.log_x[self.labels == number]
            self.alpha[number] = self._moved(self.alpha[number], mine, _MOVES)

    def log_joint(self) -> float:
        """Log density of partition, parameters and data, up to the prior's constant for each component."""
        counts = np.bincount(self.labels)
        chosen = log_density(self.log_x, self.alpha)[np.arange(len(self.labels)), self.labels]
        return log_partition(counts.tolist(), self.concentration) + float(
            chosen.sum() + log_prior(self.alpha).sum()
        )

    def _draw(self, i: int) -> None:
        old = int(self.labels[i])
        self.labels[i] = -1
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.alpha)).astype(float)
        new = self._pool[self.rng.integers(len(self._pool), size=_AUXILIARY)].copy()
        if counts[old] == 0:  # its parameters are the first of the auxiliary ones
            new[0] = self.alpha[old]
            self.alpha, counts = np.delete(self.alpha, old, axis=0), np.delete(counts, old)
            self.labels[self.labels > old] -= 1
        every = np.concatenate([self.alpha, new])
        weights = np.append(counts, np.full(_AUXILIARY, self.concentration / _AUXILIARY))
        chosen = _choose(np.log(weights) + log_density(self.log_x[i : i + 1], every)[0], self.rng)
        if chosen >= len(self.alpha):
            self.alpha = np.concatenate([self.alpha, every[chosen : chosen + 1]])
            chosen = len(self.alpha) - 1
        self.labels[i] = chosen

    def _moved(self, alpha: Array, log_x: Array, steps: int) -> Array:
        """Metropolis steps in log alpha on its density given vectors (n, K)."""
        total, count = log_x.sum(axis=0), len(log_x)

        def target(one: Array) -> float:
            norm = gammaln(one.sum()) - gammaln(one).sum()
            return float(count * norm + (one - 1) @ total + log_prior(one[None])[0])

        value = target(alpha)
        for _ in range(steps):
            width = self.rng.choice(_SCALES) / np.sqrt(len(alpha))
            tried = alpha * np.exp(width * self.rng.standard_normal(len(alpha)))
            reached = target(tried)
            if np.log(self.rng.random()) < reached - value:
                alpha, value = tried, reached
        return alpha

    def _drawn_from_prior(self) -> Array:
        """(P, K) parameters, by a chain of Metropolis steps on the prior."""
        none = np.zeros((0, self.log_x.shape[1]))
        one = self._moved(np.ones(self.log_x.shape[1]), none, 500)
        found = []
        for _ in range(_POOL):
            one = self._moved(one, none, _THINNING)
            found.append(one)
        return np.array(found)


def sample_dirichlets(
    log_x: Array, start: Labels, concentration: float, sweeps: int, seed: int
) -> tuple[Labels, Array]:
    """The most probable partition (N,) and parameters (G, K) that a chain of so many sweeps sees.

    Args:
        log_x: (N, K) logarithms of vectors whose entries are all above 0.
        start: (N,) components that it begins with.
        concentration: of the Dirichlet process.
        sweeps: of the chain.
        seed: of it.
    """
    chain = DirichletGibbs(log_x, start, concentration, seed)
    for number in range(len(chain.alpha)):
        chain.alpha[number] = chain._moved(chain.alpha[number], log_x[chain.labels == number], 200)
    best, labels, alpha = chain.log_joint(), chain.labels.copy(), chain.alpha.copy()
    for _ in range(sweeps):
        chain.sweep()
        if (found := chain.log_joint()) > best:
            best, labels, alpha = found, chain.labels.copy(), chain.alpha.copy()
    return labels, alpha
