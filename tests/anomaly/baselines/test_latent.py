"""Baselines on the trained autoencoder: what they rank first, what they do not depend on, and what they refuse."""

import logging

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM

from anomaly.baselines.latent import LATENT_BASELINES, make_latent_baseline
from anomaly.baselines.latent_settings import GaussianMixtureSettings, NeighboursSettings, OneClassSvmSettings
from anomaly.data.windows import Windows, make_windows
from pose_extract.checking import build
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers import walkers

ON_Z = LATENT_BASELINES[1:]


@pytest.fixture(scope="module")
def normal(trained, walking_clips):
    """Windows of the clips that the model was trained on."""
    settings = trained.settings.windows
    return Windows.concatenate(make_windows(clip, settings, settings.train_stride) for clip in walking_clips)


def windows_of(trained, kind="walk", seed=77, people=2):
    return make_windows(
        walkers.clip(seed=seed, people=people, kinds=(kind,)),
        trained.settings.windows,
        trained.settings.windows.train_stride,
    )


def with_an_outlier(windows):
    """The windows, and as their last one a person whose joints are thrown about."""
    odd = windows.pick(slice(0, 1))
    points = odd.points.copy()
    points[..., :2] += np.random.default_rng(0).normal(0, 150, points[..., :2].shape).astype(np.float32)
    return Windows.concatenate([windows, Windows(**{**vars(odd), "points": points})])


def fitted(name, trained, windows, settings=None, seed=0):
    baseline = make_latent_baseline(name, trained, settings, seed)
    baseline.fit(windows)
    return baseline


def latent(trained, windows):
    """(N, G, D)"""
    return trained.encode(windows.x)


@pytest.mark.parametrize("name", LATENT_BASELINES)
def test_an_obvious_outlier_ranks_first(name, trained, normal):
    windows = with_an_outlier(windows_of(trained))
    assert fitted(name, trained, normal).score_samples(windows).argmax() == len(windows) - 1


@pytest.mark.parametrize("kind", ["run", "jump", "stand"])
@pytest.mark.parametrize("name", ON_Z)
def test_other_movements_score_higher_than_walking(name, kind, trained, normal):
    baseline = fitted(name, trained, normal)
    walking, other = (baseline.score_samples(windows_of(trained, k)) for k in ("walk", kind))
    assert np.median(other) > np.quantile(walking, 0.9)


@pytest.mark.parametrize("name", LATENT_BASELINES)
def test_a_window_scores_the_same_whatever_its_neighbours(name, trained, normal):
    baseline, windows = fitted(name, trained, normal), windows_of(trained)
    scores = baseline.score_samples(windows)
    order = np.random.default_rng(0).permutation(len(windows))
    assert scores.shape == (len(windows),)
    assert scores.dtype == np.float64
    spread = scores.std() * 1e-3
    np.testing.assert_allclose(baseline.score_samples(windows.pick(order)), scores[order], atol=spread)
    alone = np.concatenate([baseline.score_samples(windows.pick([i])) for i in range(5)])
    np.testing.assert_allclose(alone, scores[:5], atol=spread)
    assert baseline.score_samples(windows.pick(slice(0, 0))).shape == (0,)


@pytest.mark.parametrize("name", ["ocsvm", "knn"])
def test_the_order_of_the_training_windows_does_not_matter(name, trained, normal):
    windows = windows_of(trained)
    one = fitted(name, trained, normal).score_samples(windows)
    other = fitted(name, trained, normal.pick(slice(None, None, -1))).score_samples(windows)
    np.testing.assert_allclose(one, other, atol=one.std() * 0.02)


@pytest.mark.parametrize("name", LATENT_BASELINES)
def test_the_same_seed_gives_the_same_scores(name, trained, normal):
    windows = windows_of(trained)
    one, other = (fitted(name, trained, normal, seed=3).score_samples(windows) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_reconstruction_is_the_models_own_error(trained, normal):
    windows = windows_of(trained)
    scores = fitted("reconstruction", trained, normal).score_samples(windows)
    np.testing.assert_array_equal(scores, trained.joint_errors(windows.x).mean(axis=1))


def test_latent_vectors_are_those_of_the_encoder(trained):
    import torch

    from anomaly.data.augmentation import apply_transforms

    windows = windows_of(trained).pick(slice(0, 40))
    settings = trained.settings
    copies = apply_transforms(
        torch.from_numpy(windows.x), settings.training.transforms, settings.windows.body
    )
    with torch.no_grad():
        plain = [trained.network.autoencoder.eval().encode(copies[:, g]).numpy() for g in range(2)]
    np.testing.assert_allclose(latent(trained, windows), np.stack(plain, axis=1), atol=1e-4, rtol=1e-4)


def test_the_exact_svm_is_scikit_learns(trained, normal):
    windows, settings = windows_of(trained), OneClassSvmSettings(nu=0.2, gamma=0.05)
    z, train = latent(trained, windows), latent(trained, normal)
    svm = OneClassSVM(nu=0.2, gamma=0.05).fit(train.reshape(-1, train.shape[2]))
    naive = [np.mean([-svm.decision_function(copy[None])[0] for copy in copies]) for copies in z]
    scores = fitted("ocsvm", trained, normal, settings).score_samples(windows)
    np.testing.assert_allclose(scores, naive, atol=1e-3 * np.std(naive))


def test_about_a_share_nu_of_the_training_vectors_lies_outside(trained, normal):
    one_transform = fitted("ocsvm", trained, normal, OneClassSvmSettings(nu=0.3, gamma=0.05))
    outside = one_transform.anomaly(latent(trained, normal).reshape(-1, 432)) > 0
    assert abs(outside.mean() - 0.3) < 0.03


@pytest.mark.parametrize(
    "settings",
    [
        OneClassSvmSettings(),
        OneClassSvmSettings(gamma="scale", standardise=True),
        OneClassSvmSettings(nu=0.1, principal=20),
    ],
)
def test_the_approximate_svm_ranks_as_the_exact_one_does(settings, trained, normal):
    kinds = ("walk", "run", "stand", "jump")
    windows = Windows.concatenate(windows_of(trained, kind, people=1) for kind in kinds)
    exact, approximate = (
        fitted(name, trained, normal, settings).score_samples(windows) for name in ("ocsvm", "ocsvm-nystroem")
    )
    assert spearmanr(exact, approximate)[0] > 0.85


def test_a_training_window_is_at_no_distance_from_itself(trained, normal):
    nearest = fitted("knn", trained, normal, NeighboursSettings(neighbours=1))
    assert nearest.score_samples(normal).max() < 0.01
    assert nearest.score_samples(windows_of(trained)).min() > 0.1


@pytest.mark.parametrize("distance", ["mean", "farthest"])
def test_neighbours_are_those_of_a_naive_search(distance, trained, normal):
    windows = windows_of(trained).pick(slice(0, 10))
    train = latent(trained, normal).reshape(-1, 432).astype(np.float64)
    nearest = [
        [np.sort(np.sqrt(((train - copy) ** 2).sum(axis=1)))[:4] for copy in copies]
        for copies in latent(trained, windows)
    ]
    naive = np.array(nearest)[..., -1 if distance == "farthest" else slice(None)]
    settings = NeighboursSettings(neighbours=4, distance=distance)
    scores = fitted("knn", trained, normal, settings).score_samples(windows)
    np.testing.assert_allclose(scores, naive.reshape(10, -1).mean(axis=1), rtol=1e-4)


def test_the_mixture_scores_by_likelihood(trained, normal):
    settings = GaussianMixtureSettings(components=1, principal=3, regularisation=0)
    scores = fitted("mixture", trained, normal, settings).score_samples(normal)
    z = latent(trained, normal).astype(np.float64)
    flat = z.reshape(-1, z.shape[2]) - z.mean(axis=(0, 1))
    _, _, axes = np.linalg.svd(flat, full_matrices=False)
    where = flat @ axes[:3].T
    distance = np.square(where / where.std(axis=0)).sum(axis=1).reshape(len(z), -1).mean(axis=1)
    expected = 0.5 * (distance - distance.mean())
    np.testing.assert_allclose(scores - scores.mean(), expected, atol=0.02)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ocsvm", OneClassSvmSettings(exact_up_to=100)),
        ("ocsvm-nystroem", OneClassSvmSettings(approximate_up_to=100)),
        ("knn", NeighboursSettings(up_to=100)),
        ("mixture", GaussianMixtureSettings(up_to=100)),
    ],
)
def test_no_more_vectors_are_encoded_than_the_settings_allow(
    name, settings, trained, normal, monkeypatch, caplog
):
    seen, encode = [], type(trained).encode
    monkeypatch.setattr(type(trained), "encode", lambda self, x: seen.append(len(x)) or encode(self, x))
    with caplog.at_level(logging.INFO):
        baseline = fitted(name, trained, normal, settings)
    assert sum(seen) == 50  # windows, each in two transforms
    assert "50 windows drawn at random" in caplog.text
    windows = with_an_outlier(windows_of(trained))
    assert baseline.score_samples(windows).argmax() == len(windows) - 1


@pytest.mark.parametrize(
    ("name", "count", "needed"),
    [("ocsvm", 0, 2), ("ocsvm-nystroem", 0, 2), ("knn", 2, 5), ("mixture", 9, 20)],
)
def test_too_few_windows_are_an_error_that_counts_them(name, count, needed, trained, normal):
    message = f"at least {needed} latent vectors, got {2 * count}, 2 from each of {count} windows"
    with pytest.raises(TrainingError, match=message):
        fitted(name, trained, normal.pick(slice(0, count)))
    fitted(name, trained, normal.pick(slice(0, -(-needed // 2))))


@pytest.mark.parametrize("name", ON_Z)
def test_windows_that_are_all_alike_can_be_learned_from(name, trained, normal):
    baseline = fitted(name, trained, normal.pick(np.zeros(30, int)))
    scores = baseline.score_samples(with_an_outlier(normal.pick([0, 0])))
    assert np.isfinite(scores).all()
    assert scores.argmax() == 2


@pytest.mark.parametrize("name", ON_Z)
def test_scoring_before_fitting_is_an_error(name, trained, normal):
    with pytest.raises(ModelError, match="fit first"):
        make_latent_baseline(name, trained).score_samples(normal)


def test_an_unknown_name_and_anothers_settings_are_errors(trained):
    with pytest.raises(ConfigError, match="did you mean 'ocsvm'"):
        make_latent_baseline("ocsvn", trained)
    with pytest.raises(ConfigError, match="expected NeighboursSettings, got OneClassSvmSettings"):
        make_latent_baseline("knn", trained, OneClassSvmSettings())


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (OneClassSvmSettings, {"nu": 0}, "nu: expected a number above 0 and up to 1, got 0"),
        (OneClassSvmSettings, {"gamma": -1}, "gamma: expected a number above 0 and up to 1000000, got -1"),
        (OneClassSvmSettings, {"gamma": "scales"}, "did you mean 'scale'"),
        (OneClassSvmSettings, {"exact_up_to": 1}, "exact_up_to: expected a number 2 to 100000, got 1"),
        (OneClassSvmSettings, {"principal": -1}, "principal: expected a number 0 to 100000, got -1"),
        (NeighboursSettings, {"neighbours": 0}, "neighbours.neighbours: expected a number 1 to"),
        (NeighboursSettings, {"distance": "max"}, "neighbours.distance"),
        (
            GaussianMixtureSettings,
            {"components": 0},
            "gaussian_mixture.components: expected a number 1 to 1000",
        ),
        (GaussianMixtureSettings, {"covariance": "whole"}, "gaussian_mixture.covariance"),
        (GaussianMixtureSettings, {"up_to": 5}, "gaussian_mixture.up_to: expected a number"),
    ],
)
def test_settings_out_of_range_are_errors(section, values, message):
    with pytest.raises(ConfigError, match=message):
        build(section, values)


def test_gamma_may_be_a_number_or_a_rule():
    assert build(OneClassSvmSettings, {"gamma": 2}).gamma == 2.0
    assert build(OneClassSvmSettings, {"gamma": "scale"}).gamma == "scale"


def test_the_kernel_reaches_as_far_as_the_fifth_neighbour(trained, normal):
    z = latent(trained, normal).reshape(-1, 432)
    apart = np.median(NearestNeighbors(n_neighbors=6).fit(z).kneighbors(z)[0][:, 5])
    windows = windows_of(trained)
    by_rule, by_hand = (
        fitted("ocsvm", trained, normal, OneClassSvmSettings(gamma=gamma)).score_samples(windows)
        for gamma in ("neighbours", float(1 / apart**2))
    )
    np.testing.assert_allclose(by_rule, by_hand, atol=1e-3 * by_hand.std())
