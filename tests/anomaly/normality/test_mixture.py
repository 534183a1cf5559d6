import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import BayesianGaussianMixture

from anomaly.normality.mixture import (
    coordinates_of,
    fit_normality,
    log_ratio_basis,
    normality_from_arrays,
    normality_shapes,
    sample_of,
)
from anomaly.settings import NormalitySettings
from anomaly.settings.normality import FORMS
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
    ).fit(coordinates_of(log_p[sample_of(len(log_p), settings, seed=3)], settings))
    unseen = log_assignments(seed=9)
    expected = library.score_samples(coordinates_of(unseen, settings))
    np.testing.assert_allclose(model.log_likelihood(unseen), expected, rtol=1e-9, atol=1e-9)


def test_the_likelihood_is_that_of_a_mixture_of_dirichlet_distributions():
    settings = NormalitySettings(components=4, every=1, form="dirichlet", shrink=0.02)
    model = fit_normality(log_assignments(), settings, seed=3)
    unseen = log_assignments(20, seed=9)
    x = 0.98 * np.exp(unseen) + 0.02 / 5
    expected = [
        np.log(
            sum(
                w * stats.dirichlet(alpha).pdf(v / v.sum())
                for w, alpha in zip(model.weights, model.alpha, strict=True)
            )
        )
        for v in x
    ]
    np.testing.assert_allclose(model.log_likelihood(unseen), expected, rtol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_responsibilities_are_each_components_share_of_the_likelihood(form):
    rng = np.random.default_rng(0)
    kinds = np.concatenate([rng.dirichlet([30, 2, 2], size=300), rng.dirichlet([2, 2, 30], size=300)])
    model = fit_normality(np.log(kinds), NormalitySettings(components=4, every=1, form=form), 0)
    r = model.responsibilities(np.log(kinds))
    assert r.shape == (600, 4)
    np.testing.assert_allclose(r.sum(axis=1), 1, atol=1e-5)
    first, second = r[:300].mean(axis=0), r[300:].mean(axis=0)
    assert np.minimum(first, second).sum() < 0.05  # the two kinds have components of their own
    joint = model.joint(coordinates_of(np.log(kinds), model.settings))
    np.testing.assert_allclose(r, np.exp(joint - model.log_likelihood(np.log(kinds))[:, None]), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_can_be_made_of_its_arrays(form):
    settings = NormalitySettings(components=4, every=1, form=form)
    model = fit_normality(log_assignments(), settings, 0)
    arrays = model.arrays()
    assert {name: value.shape for name, value in arrays.items()} == normality_shapes(settings, 5)
    again = normality_from_arrays(settings, arrays, 5)
    np.testing.assert_array_equal(
        again.log_likelihood(log_assignments(seed=4)), model.log_likelihood(log_assignments(seed=4))
    )
    for name in arrays:
        with pytest.raises(ValueError, match=name):
            normality_from_arrays(settings, {**arrays, name: np.full_like(arrays[name], np.nan)}, 5)
        if name not in ("offsets", "means"):
            with pytest.raises(ValueError, match=r"not positive|below 0"):
                normality_from_arrays(settings, {**arrays, name: -arrays[name]}, 5)


@pytest.mark.parametrize("form", FORMS)
def test_a_million_vectors_are_evaluated_in_little_memory_and_one_by_one_give_the_same(form):
    model = fit_normality(log_assignments(), NormalitySettings(components=4, every=1, form=form), 0)
    many = np.tile(log_assignments().astype(np.float32), (200, 1))
    tracemalloc.start()
    try:
        together = model.log_likelihood(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < together.nbytes + 2**24
    alone = [model.log_likelihood(many[i : i + 1])[0] for i in range(20)]
    np.testing.assert_allclose(together[:20], alone, rtol=1e-12)
    assert model.log_likelihood(many[:0]).shape == (0,)
    assert model.responsibilities(many[:0]).shape == (0, 4)


def test_the_mixture_sees_a_random_share_of_the_vectors_and_every_transform_of_them():
    chosen = sample_of(10_000, NormalitySettings(every=10), seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == 1000
    assert (np.diff(chosen) > 0).all()
    # Items of one window in 5 transforms follow each other: every 10th item would always be the first transform.
    assert np.bincount(chosen % 5, minlength=5).min() > 150
    np.testing.assert_array_equal(chosen, sample_of(10_000, NormalitySettings(every=10), seed=0))
    assert len(sample_of(3_000_000, NormalitySettings(every=1), seed=0)) == 100_000
    np.testing.assert_array_equal(sample_of(7, NormalitySettings(every=1), seed=0), np.arange(7))


@pytest.mark.parametrize("form", FORMS)
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


def test_saturated_assignments_still_give_finite_scores_in_every_form():
    exponents = np.random.default_rng(0).normal(0, 4000, size=(300, 4)).astype(np.float32)
    log_p = exponents - exponents.max(axis=1, keepdims=True)  # p underflows to one-hot
    for form in FORMS:
        settings = NormalitySettings(components=3, every=1, form=form)
        assert np.isfinite(fit_normality(log_p, settings, 0).log_likelihood(log_p)).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_mixture_is_the_same_for_the_same_seed_and_uses_no_global_one(form):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    settings = NormalitySettings(components=4, form=form)
    one, two = (fit_normality(log_assignments(), settings, seed=7).arrays() for _ in range(2))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_too_few_vectors_are_an_error_that_says_how_many_are_needed():
    with pytest.raises(TrainingError, match="at least 20 vectors, got 5"):
        fit_normality(log_assignments(50), NormalitySettings(every=10), 0)


def test_only_known_coordinates_are_accepted():
    with pytest.raises(ConfigError, match="gaussian"):
        NormalitySettings(form="cartesian")


def test_dirichlet_distributions_need_vectors_inside_the_simplex():
    with pytest.raises(ConfigError, match="shrink above"):
        NormalitySettings(form="dirichlet", shrink=0)
    assert NormalitySettings(form="dirichlet").shrinkage == 0.01
    assert NormalitySettings(form="logratio").shrinkage == 0
    with np.errstate(divide="ignore"):
        log_p = np.log(np.eye(4))
    x = np.exp(coordinates_of(log_p, NormalitySettings(form="dirichlet")))
    np.testing.assert_allclose(x, 0.99 * np.eye(4) + 0.01 / 4)


def test_one_hot_assignments_are_fitted_with_more_regularisation_which_is_said(caplog):
    log_p = np.full((400, 10), -200.0)
    log_p[np.arange(400), np.random.default_rng(0).integers(0, 3, 400)] = 0.0
    settings = NormalitySettings(components=5, every=1, regularisation=0.0)
    assert fit_normality(log_p, settings, 0).components_used == 3
    assert "could only be fitted with a regularisation of" in caplog.text
