import tracemalloc

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import minimize
from scipy.special import digamma, logsumexp

from anomaly.normality.dirichlet import (
    VariationalFit,
    dirichlet_objective,
    fit_dirichlet_mixture,
    log_density,
    newton,
    newton_direction,
)

ALPHAS = np.array([[20.0, 5, 5, 5], [2, 2, 30, 2], [0.8, 0.8, 0.8, 9]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


def shrunk(x, e=0.01):
    return np.log((1 - e) * x + e / x.shape[1])


def known_mixture(count=3000, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, p=WEIGHTS, size=count)
    x = np.empty((count, 4))
    for t in range(3):
        x[kinds == t] = rng.dirichlet(ALPHAS[t], size=(kinds == t).sum())
    return np.log(x), kinds


def data_sets():
    rng = np.random.default_rng(1)
    return {
        "a known mixture": known_mixture(1000)[0],
        "uniform": np.log(rng.dirichlet(np.ones(5), size=500)),
        "one-hot": shrunk(np.eye(6)[rng.integers(6, size=400)]),
        "near one-hot": shrunk(rng.dirichlet(np.full(10, 0.02), size=600), 1e-4),
        "all alike": shrunk(np.tile(rng.dirichlet(np.ones(4)), (200, 1))),
        "one-hot, one of them": shrunk(np.eye(8)[np.zeros(300, int)], 1e-6),
        "fewer vectors than components": np.log(rng.dirichlet(np.ones(5), size=6)),
    }


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("name", data_sets())
@pytest.mark.parametrize("components", [1, 8])
def test_the_evidence_bound_rises_at_every_step(name, components):
    log_x, trace = data_sets()[name], []
    fit = fit_dirichlet_mixture(log_x, components, 200, 0, watch=lambda *step: trace.append(step))
    bounds = np.array([bound for _, bound in trace])
    rounding = 1e-12 * np.abs(bounds).max()
    falls = [
        (step, fall) for (step, _), fall in zip(trace[1:], np.diff(bounds), strict=True) if fall < -rounding
    ]
    assert not falls
    assert {step for step, _ in trace} >= {"update_responsibilities", "update_sticks", "update_parameters"}
    assert np.isfinite(fit.alpha).all()
    assert (fit.alpha > 0).all()
    assert fit.bound == pytest.approx(bounds[-1] / len(log_x))
    assert fit.weights.sum() == pytest.approx(1)


def test_the_bound_is_below_the_evidence_that_it_bounds():
    # One component: no latent variable is left, the bound is the likelihood and the prior at alpha.
    log_x = data_sets()["uniform"]
    fit = VariationalFit(log_x, 1)
    fit.start(0)
    fit.update_responsibilities()
    likelihood = sum(stats.dirichlet(fit.alpha[0]).logpdf(x / x.sum()) for x in np.exp(log_x))
    prior = log_density(np.full((1, 5), digamma(1) - digamma(5)), fit.alpha)[0, 0]
    assert fit.bound() == pytest.approx(likelihood + prior, rel=1e-9)


def test_the_bound_is_that_of_a_naive_transcription():
    log_x = known_mixture(50)[0]
    fit = VariationalFit(log_x, 3)
    fit.start(0)
    for _ in range(3):
        fit.update_responsibilities()
        r = np.empty((50, 3))
        for n in range(50):
            for t in range(3):
                r[n, t] = (
                    fit.expected_log_weights()[t] + log_density(log_x[n : n + 1], fit.alpha[t : t + 1])[0, 0]
                )
            r[n] = np.exp(r[n] - logsumexp(r[n]))
        order = np.argsort(-r.sum(axis=0))
        r = r[:, order]
        fit.update_sticks()
        fit.update_parameters()
    gamma, (a, b) = 1 / 3, fit.sticks
    total = 0.0
    for t in range(2):
        assert a[t] == pytest.approx(1 + r[:, t].sum())
        assert b[t] == pytest.approx(gamma + r[:, t + 1 :].sum())
        v = stats.beta(a[t], b[t])
        total += v.expect(lambda x: stats.beta(1, gamma).logpdf(x)) + v.entropy()
    for n in range(50):
        for t in range(3):
            log_weight = digamma(a[t]) - digamma(a[t] + b[t]) if t < 2 else 0
            log_weight += sum(digamma(b[s]) - digamma(a[s] + b[s]) for s in range(t))
            log_pdf = log_density(log_x[n : n + 1], fit.alpha[t : t + 1])[0, 0]
            total += r[n, t] * (log_weight + log_pdf) - (r[n, t] * np.log(r[n, t]) if r[n, t] > 0 else 0)
    total += log_density(np.full((1, 4), digamma(1) - digamma(4)), fit.alpha).sum()
    assert fit.bound() == pytest.approx(total, rel=1e-6)


def test_a_known_mixture_is_found_again_and_extra_components_are_pruned():
    log_x, kinds = known_mixture()
    fit = fit_dirichlet_mixture(log_x, 12, 500, 0)
    assert fit.converged
    # The others have no weight at all: their density, the prior's, must be no floor under the likelihood.
    assert (fit.weights > 0).tolist() == [True] * 3 + [False] * 9
    np.testing.assert_allclose(fit.weights[:3], WEIGHTS, atol=0.03)
    np.testing.assert_allclose(fit.alpha[:3], ALPHAS, rtol=0.15)
    with np.errstate(divide="ignore"):
        joint = log_density(log_x, fit.alpha) + np.log(fit.weights)
    assert (joint.argmax(axis=1) == kinds).mean() > 0.97


def test_densities_are_those_of_scipy_and_integrate_to_1():
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(4), size=20)
    for alpha in ALPHAS:
        expected = [stats.dirichlet(alpha).logpdf(v) for v in x]
        np.testing.assert_allclose(log_density(np.log(x), alpha[None])[:, 0], expected, rtol=1e-10)
    pair = np.array([[3.0, 2.0]])
    total, _ = integrate.quad(lambda p: np.exp(log_density(np.log([[p, 1 - p]]), pair)[0, 0]), 0, 1)
    assert total == pytest.approx(1)


def test_gradient_and_newton_step_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    alpha = rng.uniform(0.3, 20, size=5)
    mean = np.log(rng.dirichlet(np.ones(5), size=50)).mean(axis=0)

    def objective(a):
        return dirichlet_objective(a[None], mean[None], np.ones(1))[0]

    gradient, step = (v[0] for v in newton_direction(alpha[None], mean[None]))
    eye = np.eye(5)
    h = 1e-5
    numeric = [(objective(alpha + h * e) - objective(alpha - h * e)) / (2 * h) for e in eye]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5)
    hessian = [(newton_direction((alpha + h * e)[None], mean[None])[0][0] - gradient) / h for e in eye]
    np.testing.assert_allclose(step, -np.linalg.solve(np.array(hessian), gradient), rtol=1e-3)


@pytest.mark.parametrize("start", [1e-3, 1.0, 1e5])
def test_newton_finds_the_maximum_from_anywhere_for_any_concentration(start):
    rng = np.random.default_rng(0)
    wanted = np.array([[0.05, 0.02, 0.1], [3.0, 1, 2], [4e4, 2e4, 1e5]])
    mean = digamma(wanted) - digamma(
        wanted.sum(axis=1, keepdims=True)
    )  # whose likeliest alpha is exactly this
    found = newton(np.full((3, 3), start), mean, rng.uniform(1, 100, size=3))
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_newton_agrees_with_a_general_optimiser():
    mean = known_mixture(400)[0].mean(axis=0)
    found = newton(np.ones((1, 4)), mean[None], np.ones(1))[0]
    other = minimize(
        lambda a: -dirichlet_objective(np.exp(a)[None], mean[None], np.ones(1))[0], np.zeros(4), tol=1e-12
    )
    np.testing.assert_allclose(found, np.exp(other.x), rtol=1e-4)


def test_the_same_seed_gives_the_same_mixture():
    log_x = known_mixture(500)[0]
    one, two = (fit_dirichlet_mixture(log_x, 6, 50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.alpha, two.alpha)
    np.testing.assert_array_equal(one.weights, two.weights)


def test_iterations_that_run_out_are_said():
    fit = fit_dirichlet_mixture(known_mixture(500)[0], 6, 2, seed=3)
    assert not fit.converged
    assert fit.iterations == 2


def test_a_fit_takes_little_memory_beside_its_data():
    log_x = np.tile(known_mixture(2000)[0], (50, 5))
    log_x -= logsumexp(log_x, axis=1, keepdims=True)
    tracemalloc.start()
    try:
        fit_dirichlet_mixture(log_x, 20, 2, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**27
