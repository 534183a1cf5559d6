"""Fit a Dirichlet-process mixture of Dirichlet distributions on the simplex, by variational inference.

The model (Blei and Jordan, Variational inference for Dirichlet process mixtures, 2006): sticks v_t ~ Beta(1, gamma),
truncated at G components (v_G = 1); z_n ~ pi(v); x_n | z_n = t ~ Dirichlet(alpha_t). The posterior factorises into
Beta q(v_t) and responsibilities q(z_n); alpha_t are point estimates, found by Newton's method (Minka, Estimating a
Dirichlet distribution, 2000). Each alpha_t has the Dirichlet's conjugate prior, which weighs as much as `PRIOR_VECTORS`
vectors out of the uniform distribution Dirichlet(1, .., 1): without it, a component without data would have no estimate
and one whose vectors are all alike an infinite one.

Everything takes logarithms of vectors (N, K) float64; sums over the data are made chunk by chunk and responsibilities
are never kept, so that a fit needs little memory but for the data.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, gammaln, logsumexp, polygamma

Array = NDArray[np.float64]

PRIOR_VECTORS = 1.0
_NEWTON_STEPS = 100
_HALVINGS = 40
_CHUNK = 20_000  # rows that temporary arrays hold
_MOST_SEEDS = 50_000  # vectors that k-means sees
_MERGE_TRIES = 5  # pairs at most
_MERGE_PASSES = 3  # coordinate ascent on a merged pair before the bound is judged
_FEWEST_VECTORS = 1.0  # a component with the responsibility for fewer is empty


@dataclass(frozen=True)
class DirichletFit:
    """What was learned.

    Attributes:
        weights: (G,) expected mixture weights, falling; 0 for components that hold less than one vector, which nothing
            in the data speaks for: a likelihood must not rest on their prior.
        alpha: (G, K) the components' parameters.
        bound: evidence lower bound per vector, up to the prior's constant.
        iterations: that were run.
        converged: whether the bound stood still before they were used up.
    """

    weights: Array
    alpha: Array
    bound: float
    iterations: int
    converged: bool


def fit_dirichlet_mixture(
    log_x: Array,
    components: int,
    max_iterations: int,
    seed: int,
    tolerance: float = 1e-5,
    watch: Callable[[str, float], None] | None = None,
) -> DirichletFit:
    """Fit the mixture; the concentration gamma is 1 / G, scikit-learn's default.

    Args:
        log_x: (N, K) logarithms of vectors whose entries are all above 0.
        components: G, the truncation.
        max_iterations: each updates the responsibilities, the sticks and the parameters.
        seed: of the k-means clustering that the components start from.
        tolerance: the fit ends when an iteration adds less to the bound per vector.
        watch: called as (step, bound) after every single step, the bound being that of the whole data.
    """
    tell = watch or (lambda step, bound: None)
    fit = VariationalFit(log_x, components)
    fit.start(seed)
    previous, iteration, converged = -np.inf, 0, False
    while iteration < max_iterations and not converged:
        iteration += 1
        for step in (fit.update_responsibilities, fit.update_sticks, fit.update_parameters):
            step()
            tell(step.__name__, fit.bound())
        if fit.bound() - previous < tolerance * len(log_x):
            converged = not fit.merge()
            tell("merge", fit.bound())
        previous = fit.bound()
    weights = np.where(fit.counts < _FEWEST_VECTORS, 0.0, np.exp(fit.expected_log_mean_weights()))
    return DirichletFit(weights / weights.sum(), fit.alpha, previous / len(log_x), iteration, converged)


class VariationalFit:
    """The variational posterior, and the coordinate ascent steps on its evidence lower bound.

    Attributes:
        alpha: (G, K) parameters of the components.
        sticks: (2, G - 1) parameters of the Beta posteriors.
        counts: (G,) sums of the responsibilities over the data.
        sums: (G, K) sums of the responsibilities times log x.
        entropy: of all responsibilities.
    """

    def __init__(self, log_x: Array, components: int) -> None:
        self.log_x = log_x
        self.components = components
        self.concentration = 1 / components
        clusters = log_x.shape[1]
        self.alpha = np.ones((components, clusters))
        self.sticks = np.ones((2, components - 1))
        self.counts, self.sums, self.entropy = np.zeros(components), np.zeros((components, clusters)), 0.0
        # The expectation of log x under Dirichlet(1, .., 1): what the prior's vectors look like on average.
        self._prior = np.full(clusters, digamma(1) - digamma(clusters))

    def start(self, seed: int) -> None:
        """Components from k-means in Hellinger's distance, the Euclidean one between square roots."""
        from sklearn.cluster import KMeans

        rng = np.random.default_rng(seed)
        count = len(self.log_x)
        chosen = np.sort(rng.choice(count, min(count, _MOST_SEEDS), replace=False))
        log_x = self.log_x[chosen]
        labels = KMeans(min(self.components, count), n_init=1, random_state=seed).fit_predict(
            np.exp(log_x / 2)
        )
        for t in range(self.components):
            mine = log_x[labels == t]
            self.counts[t], self.sums[t] = len(mine), mine.sum(axis=0)
        self.counts *= count / len(chosen)
        self.sums *= count / len(chosen)
        self.update_sticks()
        self.update_parameters()

    def update_responsibilities(self) -> None:
        """q(z), and all that the other steps and the bound need of it."""
        log_weights = self.expected_log_weights()
        self.counts, self.sums, self.entropy = np.zeros_like(self.counts), np.zeros_like(self.sums), 0.0
        for begin in range(0, len(self.log_x), _CHUNK):
            log_x = self.log_x[begin : begin + _CHUNK]
            joint = log_density(log_x, self.alpha) + log_weights
            norm = logsumexp(joint, axis=1, keepdims=True)
            joint -= norm
            r = np.exp(joint)
            self.entropy -= float(np.vdot(r, joint))
            self.counts += r.sum(axis=0)
            self.sums += r.T @ log_x

    def update_sticks(self) -> None:
        """q(v), after the components have been put into the order of size, for which the bound is highest."""
        order = np.argsort(-self.counts, kind="stable")
        self.counts, self.sums, self.alpha = self.counts[order], self.sums[order], self.alpha[order]
        above = np.cumsum(self.counts[::-1])[::-1]
        self.sticks = np.stack([1 + self.counts[:-1], self.concentration + above[1:]])

    def update_parameters(self) -> None:
        """alpha, by Newton steps none of which lowers the bound."""
        mass, mean = self._statistics()
        self.alpha = newton(self.alpha, mean, mass)

    def merge(self) -> bool:
        """Make one component of two where that raises the bound; returns whether it did.

        The other steps hardly ever do: which of two alike components has a vector changes the bound by next to nothing.
        """
        for a, b in self._alike():
            trial = copy.copy(self)
            trial.counts, trial.sums, trial.alpha = self.counts.copy(), self.sums.copy(), self.alpha.copy()
            trial.counts[a] += trial.counts[b]
            trial.sums[a] += trial.sums[b]
            trial.counts[b], trial.sums[b], trial.alpha[b] = 0.0, 0.0, 1.0
            for _ in range(_MERGE_PASSES):
                trial.update_sticks()
                trial.update_parameters()
                trial.update_responsibilities()
            trial.update_sticks()
            trial.update_parameters()
            if trial.bound() > self.bound():
                vars(self).update(vars(trial))
                return True
        return False

    def _alike(self) -> list[tuple[int, int]]:
        """The pairs of components in use of which one explains the other's vectors best, the best pair first."""
        used = np.flatnonzero(self.counts >= _FEWEST_VECTORS)
        norm = gammaln(self.alpha.sum(axis=1)) - gammaln(self.alpha).sum(axis=1)
        under = self.sums[used] @ (self.alpha[used] - 1).T + self.counts[used, None] * norm[used]
        loss = np.diagonal(under)[:, None] - under  # of log likelihood, were a row's vectors the column's
        a, b = np.triu_indices(len(used), 1)
        order = np.argsort(np.minimum(loss[a, b], loss[b, a]), kind="stable")[:_MERGE_TRIES]
        return [(int(used[a[i]]), int(used[b[i]])) for i in order]

    def expected_log_weights(self) -> Array:
        """(G,) E[log pi_t] under q(v)."""
        a, b = self.sticks
        total = digamma(a + b)
        taken, left = digamma(a) - total, digamma(b) - total
        return np.append(taken, 0.0) + np.concatenate([[0.0], np.cumsum(left)])

    def expected_log_mean_weights(self) -> Array:
        """(G,) log E[pi_t] under q(v)."""
        a, b = self.sticks
        return np.append(np.log(a / (a + b)), 0.0) + np.concatenate([[0.0], np.cumsum(np.log(b / (a + b)))])

    def bound(self) -> float:
        """The evidence lower bound of the data, up to the constant that normalises the prior of alpha."""
        a, b = self.sticks
        log_v, log_rest = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
        gamma = self.concentration
        mass, mean = self._statistics()
        data_and_prior = dirichlet_objective(self.alpha, mean, mass).sum()
        assignments = float(self.counts @ self.expected_log_weights())
        sticks = np.sum(np.log(gamma) + (gamma - 1) * log_rest)
        sticks_entropy = np.sum(betaln(a, b) - (a - 1) * log_v - (b - 1) * log_rest)
        return float(data_and_prior + assignments + sticks + sticks_entropy + self.entropy)

    def _statistics(self) -> tuple[Array, Array]:
        """Weight (G,) and mean log vector (G, K) of each component's data and prior vectors together."""
        mass = self.counts + PRIOR_VECTORS
        return mass, (self.sums + PRIOR_VECTORS * self._prior) / mass[:, None]


def estimated_alpha(start: Array, counts: Array, sums: Array) -> Array:
    """(G, K) parameters of highest posterior density, of components with counts (G,) and sums of logarithms (G, K)."""
    clusters = start.shape[1]
    mass = counts + PRIOR_VECTORS
    prior = np.full(clusters, digamma(1) - digamma(clusters))
    return newton(start, (sums + PRIOR_VECTORS * prior) / mass[:, None], mass)


def log_density(log_x: Array, alpha: Array) -> Array:
    """(N, K) logarithms of vectors, (G, K) parameters -> (N, G) Dirichlet log densities."""
    return log_x @ (alpha - 1).T + (gammaln(alpha.sum(axis=1)) - gammaln(alpha).sum(axis=1))


def dirichlet_objective(alpha: Array, mean: Array, mass: Array) -> Array:
    """(G,) log likelihood of each alpha (G, K) on ``mass`` (G,) vectors with mean logarithms ``mean`` (G, K)."""
    norm = gammaln(alpha.sum(axis=1)) - gammaln(alpha).sum(axis=1)
    return mass * (norm + ((alpha - 1) * mean).sum(axis=1))


def newton_direction(alpha: Array, mean: Array) -> tuple[Array, Array]:
    """Gradient and Newton step (G, K) of `dirichlet_objective` a vector.

    The Hessian is diagonal plus a constant, so that it is inverted in time linear in K (Minka, equations 13 to 18).
    """
    total = alpha.sum(axis=1, keepdims=True)
    gradient = digamma(total) - digamma(alpha) + mean
    diagonal = -polygamma(1, alpha)
    shared = (gradient / diagonal).sum(axis=1, keepdims=True) / (
        1 / polygamma(1, total) + (1 / diagonal).sum(axis=1, keepdims=True)
    )
    return gradient, -(gradient - shared) / diagonal


def newton(alpha: Array, mean: Array, mass: Array) -> Array:
    """The maximum of the concave `dirichlet_objective`; a step that would leave alpha > 0 or lower it is halved."""
    alpha = alpha.copy()
    value = dirichlet_objective(alpha, mean, mass)
    active = np.arange(len(alpha))
    for _ in range(_NEWTON_STEPS):
        gradient, step = newton_direction(alpha[active], mean[active])
        promised = (gradient * step).sum(axis=1)  # twice what a quadratic objective would gain, a vector
        going = promised > 1e-12
        active, step = active[going], step[going]
        size = np.ones(len(active))
        waiting = np.arange(len(active))
        moved = np.zeros(len(active), bool)
        for _ in range(_HALVINGS):
            if not len(waiting):
                break
            here = active[waiting]
            tried = alpha[here] + size[waiting, None] * step[waiting]
            inside = (tried > 0).all(axis=1)
            tried[~inside] = 1.0
            reached = dirichlet_objective(tried, mean[here], mass[here])
            better = inside & (reached > value[here])
            alpha[here[better]], value[here[better]] = tried[better], reached[better]
            moved[waiting[better]] = True
            waiting = waiting[~better]
            size[waiting] /= 2
        active = active[moved]
        if not len(active):
            break
    return alpha
