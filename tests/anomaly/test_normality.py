import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture

from anomaly.normality import NormalitySettings, coordinates_of, fit_normality, log_ratio_basis
from pose_extract.errors import ConfigError, TrainingError


def log_assignments(count=600, clusters=5, seed=0):
    p = np.random.default_rng(seed).dirichlet([8, 4, 2, 2, 1], size=count)[:, :clusters]
    return np.log(p / p.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("form", ["gaussian", "logratio"])
def test_the_likelihood_is_that_of_the_library_which_fitted_the_mixture(form):
    settings = NormalitySettings(components=4, every=2, form=form)
    log_p = log_assignments()
    model = fit_normality(log_p, settings, seed=3)
    library = BayesianGaussianMixture(
        n_components=4,
        weight_concentration_prior_type="dirichlet_process",
        max_iter=500,
        random_state=3,
    ).fit(coordinates_of(log_p[::2], settings))
    unseen = log_assignments(seed=9)
    expected = library.score_samples(coordinates_of(unseen, settings))
    np.testing.assert_allclose(model.log_likelihood(unseen), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", ["gaussian", "logratio"])
def test_unfamiliar_assignments_are_less_likely(form):
    model = fit_normality(log_assignments(), NormalitySettings(components=4, every=1, form=form), 0)
    odd = np.log(np.random.default_rng(1).dirichlet([1, 1, 2, 4, 30], size=200))
    assert np.median(model.log_likelihood(odd)) < np.quantile(
        model.log_likelihood(log_assignments(seed=5)), 0.01
    )


def test_log_ratio_coordinates_are_orthonormal_and_ignore_a_common_factor():
    basis = log_ratio_basis(6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)
    log_p = log_assignments()
    settings = NormalitySettings(form="logratio")
    np.testing.assert_allclose(
        coordinates_of(log_p + 3, settings), coordinates_of(log_p, settings), atol=1e-9
    )


def test_shrinking_keeps_log_ratios_finite_where_a_probability_is_zero():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.eye(4))
    y = coordinates_of(log_p, NormalitySettings(form="logratio", shrink=0.01))
    assert np.isfinite(y).all()
    p = 0.99 * np.eye(4) + 0.01 / 4
    np.testing.assert_allclose(y, np.log(p) @ log_ratio_basis(4))


def test_saturated_assignments_still_give_finite_scores_in_both_coordinates():
    exponents = np.random.default_rng(0).normal(0, 4000, size=(300, 4)).astype(np.float32)
    log_p = exponents - exponents.max(axis=1, keepdims=True)  # p underflows to one-hot
    for form in ("gaussian", "logratio"):
        settings = NormalitySettings(components=3, every=1, form=form)
        assert np.isfinite(fit_normality(log_p, settings, 0).log_likelihood(log_p)).all()


def test_the_mixture_is_the_same_for_the_same_seed_and_uses_no_global_one():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (fit_normality(log_assignments(), NormalitySettings(components=4), seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.means, two.means)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_too_few_vectors_are_an_error_that_says_how_many_are_needed():
    with pytest.raises(TrainingError, match="at least 20 vectors, got 5"):
        fit_normality(log_assignments(50), NormalitySettings(every=10), 0)


def test_only_known_coordinates_are_accepted():
    with pytest.raises(ConfigError, match="gaussian"):
        NormalitySettings(form="cartesian")
