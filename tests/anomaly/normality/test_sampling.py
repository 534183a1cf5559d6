"""The mixture by sampling: exact where everything can be enumerated, and right where the answer is known."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_t

from anomaly.normality.dirichlet import log_density
from anomaly.normality.mixture import fit_normality, normality_from_arrays
from anomaly.normality.sampling.dirichlets import DirichletGibbs, log_prior, sample_dirichlets
from anomaly.normality.sampling.gaussians import (
    Components,
    GaussianGibbs,
    NormalInverseWishart,
    log_joint,
    log_partition,
    sample_gaussians,
)
from anomaly.settings import NormalitySettings
from pose_extract.errors import ConfigError, TrainingError

PRIOR = NormalInverseWishart(np.array([0.3, -0.2]), 0.7, 3.4, np.array([[1.0, 0.3], [0.3, 0.8]]))


def partitions(count):
    """Every partition of ``count`` things, as labels that are numbered by first appearance."""
    found = {tuple(first_seen(labels)) for labels in itertools.product(range(count), repeat=count)}
    return sorted(found)


def first_seen(labels):
    number = {}
    return [number.setdefault(label, len(number)) for label in labels]


def test_a_components_density_is_a_product_of_students_ts():
    x = np.random.default_rng(0).normal(size=(6, 2))
    parts = Components(PRIOR)
    parts.append()
    total = 0.0
    for n, vector in enumerate(x):
        after = PRIOR.posterior(n, x[:n].sum(axis=0), x[:n].T @ x[:n])
        freedom = after.freedom - 1
        shape = after.scale * (after.count + 1) / (after.count * freedom)
        expected = multivariate_t(after.mean, shape, df=freedom).logpdf(vector)
        assert parts.log_predictive(vector)[0] == pytest.approx(expected)
        total += expected
        parts.add(0, vector)
    assert PRIOR.log_marginal(x) == pytest.approx(total)
    parts.add(0, x[5], -1)
    assert parts.log_predictive(x[5])[0] == pytest.approx(expected)


def test_the_probabilities_of_all_partitions_sum_to_one():
    every = partitions(5)
    assert len(every) == 52
    total = logsumexp([log_partition(np.bincount(labels).tolist(), 0.6) for labels in every])
    assert total == pytest.approx(0)


@pytest.mark.parametrize("moves", ["one at a time", "split and merge"])
def test_the_chain_visits_partitions_as_often_as_they_are_probable(moves):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(-1.2, 0.5, (2, 2)), rng.normal(1.2, 0.5, (2, 2))])
    every = partitions(4)
    exact = np.array([log_joint(x, np.array(labels), PRIOR, 0.8) for labels in every])
    exact = np.exp(exact - logsumexp(exact))
    chain = GaussianGibbs(x, np.zeros(4, np.int64), PRIOR, 0.8, seed=1)
    seen = dict.fromkeys(every, 0)
    for _ in range(2500):
        if moves != "split and merge":
            for i in range(4):
                chain._draw(i)
        if moves != "one at a time":
            chain.split_or_merge()
        seen[tuple(first_seen(chain.labels.tolist()))] += 1
    often = np.array([seen[labels] for labels in every]) / 2500
    assert np.abs(often - exact).max() < 0.05
    assert 0.5 * np.abs(often - exact).sum() < 0.08
    assert exact.max() < 0.8  # nothing is certain here


def test_known_gaussians_are_found():
    rng = np.random.default_rng(4)
    middles = np.array([[0, 0], [9, 0], [0, 9]])
    truth = np.repeat(np.arange(3), [30, 20, 10])
    x = middles[truth] + rng.normal(size=(60, 2))
    labels, _ = sample_gaussians(x, np.zeros(60, np.int64), 0.3, 1e-6, sweeps=6, seed=0)
    assert len(np.unique(labels)) == 3
    assert sum(np.bincount(labels[truth == k]).max() for k in range(3)) >= 59


def test_the_parameters_of_dirichlets_are_drawn_and_known_ones_are_found():
    rng = np.random.default_rng(5)
    truth = np.repeat([0, 1], 60)
    alphas = np.array([[20.0, 5, 5], [3.0, 4, 25]])
    log_x = np.log(np.concatenate([rng.dirichlet(a, 60) for a in alphas]))
    labels, alpha = sample_dirichlets(log_x, np.arange(120) % 6, 0.3, sweeps=25, seed=0)
    big = np.flatnonzero(np.bincount(labels) > 6)
    assert len(big) == 2
    assert sum(np.bincount(labels[truth == k]).max() for k in range(2)) >= 114
    means = alpha[big] / alpha[big].sum(axis=1, keepdims=True)
    expected = alphas / alphas.sum(axis=1, keepdims=True)
    order = np.argsort(-means[:, 0])
    np.testing.assert_allclose(means[order], expected, atol=0.05)


def test_dirichlets_partitions_are_visited_as_often_as_they_are_probable():
    x = np.array([[0.8, 0.2], [0.75, 0.25], [0.2, 0.8]])
    log_x = np.log(x)
    # The parameters are integrated out on a grid of logarithms.
    axis = np.linspace(-7, 7, 281)
    grid = np.exp(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2))
    weight = log_prior(grid)
    weight -= logsumexp(weight)
    each = log_density(log_x, grid).T
    every = partitions(3)
    exact = np.array(
        [
            log_partition(np.bincount(labels).tolist(), 0.7)
            + sum(logsumexp(weight + each[:, np.array(labels) == k].sum(axis=1)) for k in set(labels))
            for labels in every
        ]
    )
    exact = np.exp(exact - logsumexp(exact))
    chain = DirichletGibbs(log_x, np.zeros(3, np.int64), 0.7, seed=2)
    seen = dict.fromkeys(every, 0)
    for _ in range(3000):
        chain.sweep()
        seen[tuple(first_seen(chain.labels.tolist()))] += 1
    often = np.array([seen[labels] for labels in every]) / 3000
    assert np.abs(often - exact).max() < 0.05, (often, exact)


@pytest.mark.parametrize("form", ["logratio", "dirichlet"])
def test_both_inferences_come_to_about_the_same_mixture(form):
    rng = np.random.default_rng(6)
    alphas = np.array([[30.0, 6, 6], [4.0, 6, 40]])
    train, test = (np.log(np.concatenate([rng.dirichlet(a, n) for a in alphas])) for n in (70, 200))
    settings = {"components": 5, "every": 1, "form": form}
    sweeps = {"variational": {}, "gibbs": {"max_iterations": 25 if form == "dirichlet" else 6}}
    held_out, used = {}, {}
    for inference in sweeps:
        model = fit_normality(
            train, NormalitySettings(**settings, **sweeps[inference], inference=inference), 0
        )
        again = normality_from_arrays(model.settings, model.arrays(), 3)  # as a bundle keeps it
        held_out[inference], used[inference] = again.log_likelihood(test).mean(), model.components_used
    assert abs(held_out["gibbs"] - held_out["variational"]) < 0.15
    assert used["gibbs"] == 2
    with pytest.raises(ConfigError, match=r"normality\.inference: expected one of"):
        NormalitySettings(inference="exact")


def test_vectors_that_fill_no_volume_are_refused_and_the_setting_that_mends_it_is_named():
    log_p = np.log(np.random.default_rng(0).dirichlet(np.ones(5), 60))  # each sums to 1
    settings = NormalitySettings(form="gaussian", inference="gibbs", components=3, every=1, regularisation=0)
    with pytest.raises(TrainingError, match=r"raise normality\.regularisation"):
        fit_normality(log_p, settings, 0)
