"""The supervised classifier: it tells classes apart, and its doubt is the anomaly."""

import numpy as np
import pytest
import torch

from anomaly.baselines.classifier import Classifier, ClassifierNetwork
from anomaly.baselines.classifier_settings import ClassifierSettings
from anomaly.data.augmentation import apply_transforms
from anomaly.data.windows import Windows, make_windows
from anomaly.normality.mixture import fit_normality
from anomaly.settings import settings_from_dict
from pose_extract.checking import build
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers import walkers

MODEL = settings_from_dict(walkers.TINY)
SMALL = {
    "width": 8,
    "encoder": [2, 3],
    "strides": [1, 2],
    "temporal_kernel": 5,
    "dropout": 0.1,
    "epochs": 8,
    "rate": 5e-3,
    "batch_size": 32,
}
QUICK = {**SMALL, "width": 2, "epochs": 2}


def windows_of(*kinds, seed=200, clips=2, people=4, settings=MODEL):
    """Windows of people of some kinds, and each window's kind as a number."""
    parts = [
        make_windows(
            walkers.clip(seed=seed + i, people=people, kinds=(kind,), frames=60),
            settings.windows,
            settings.windows.train_stride,
        )
        for kind in kinds
        for i in range(clips)
    ]
    return Windows.concatenate(parts), np.repeat(np.arange(len(parts)) // clips, [len(p) for p in parts])


def a_classifier(values=SMALL, settings=MODEL, seed=0, **changes):
    return Classifier(build(ClassifierSettings, {**values, **changes}), settings, seed)


@pytest.fixture(scope="module")
def data():
    return windows_of("run", "jump")


@pytest.fixture(scope="module")
def classifier(data):
    """It knows running and jumping; do not change it."""
    fitted = a_classifier()
    fitted.fit(*data)
    return fitted


@pytest.fixture(scope="module")
def quick():
    """A few windows, their labels, and the scores that a classifier of two epochs gives them."""
    windows, labels = windows_of("run", "jump", clips=1, people=2)
    fitted = a_classifier(QUICK)
    fitted.fit(windows, labels)
    return windows, labels, fitted.score_samples(windows)


def test_its_loss_falls(classifier):
    assert len(classifier.losses) == SMALL["epochs"]
    assert classifier.losses[-1] < 0.2 * classifier.losses[0]


@pytest.mark.parametrize("kinds", [("run", "jump"), ("walk", "run", "stand")])
@pytest.mark.parametrize("extent", ["sliding", "clip"])
def test_it_classifies_people_never_seen(kinds, extent, tiny):
    sliding = extent == "sliding"
    settings = tiny(windows={**walkers.TINY["windows"], "extent": extent, "frames": 12 if sliding else 24})
    fitted = a_classifier(settings=settings)
    fitted.fit(*windows_of(*kinds, clips=1 if sliding else 12, settings=settings))
    windows, labels = windows_of(*kinds, seed=300, clips=3, settings=settings)
    assert (fitted.predict(windows) == labels).mean() > 0.95


@pytest.mark.parametrize("by", ["max", "dirichlet"])
@pytest.mark.parametrize("unseen", ["walk", "stand"])
def test_a_class_never_seen_scores_higher(by, unseen, classifier):
    known, _ = windows_of("run", "jump", seed=300)
    other, _ = windows_of(unseen, seed=300)
    known, other = (classifier.score_samples(windows, by) for windows in (known, other))
    assert other.mean() > 2 * known.mean()
    assert np.median(other) > np.quantile(known, 0.75)


def naive_softmax(classifier, windows):
    """(N, G, K) of the plain module, one window at a time."""
    out = np.empty((len(windows), 2, len(classifier.classes)))
    with torch.no_grad():
        for n, x in enumerate(windows.x):
            for g, name in enumerate(MODEL.training.transforms):
                copy = apply_transforms(torch.from_numpy(x[None]), (name,), MODEL.windows.body)[:, 0]
                logits = classifier._network(copy)[0].numpy().astype(np.float64)
                out[n, g] = np.exp(logits) / np.exp(logits).sum()
    return out


def test_the_maximum_score_is_that_of_a_naive_computation(classifier):
    windows = windows_of("run", "walk", seed=300, clips=1)[0].pick(slice(0, None, 5))
    naive = (1 - naive_softmax(classifier, windows).max(axis=2)).mean(axis=1)
    np.testing.assert_allclose(classifier.score_samples(windows, "max"), naive, rtol=1e-3, atol=1e-9)


def test_the_dirichlet_score_is_that_of_a_naive_computation(classifier, data):
    windows = windows_of("run", "walk", seed=300, clips=1)[0].pick(slice(0, None, 5))
    train = np.log(naive_softmax(classifier, data[0])).reshape(-1, 2)
    normality = fit_normality(train, MODEL.normality, seed=0)
    log_p = np.log(naive_softmax(classifier, windows))
    naive = -np.mean([normality.log_likelihood(log_p[:, g]) for g in range(2)], axis=0)
    np.testing.assert_allclose(classifier.score_samples(windows, "dirichlet"), naive, rtol=0.01, atol=0.01)


def test_a_sure_classifier_still_tells_how_sure_it_is(classifier, monkeypatch):
    windows = windows_of("run", clips=1)[0].pick(slice(0, 3))
    sure = torch.tensor([[20.0, 0.0]] * 2 + [[22.0, 0.0]] * 2 + [[24.0, 0.0]] * 2)
    monkeypatch.setattr(classifier, "_network", lambda x: sure)
    np.testing.assert_allclose(
        classifier.score_samples(windows, "max"), 1 / (1 + np.exp([20.0, 22.0, 24.0])), rtol=1e-6
    )


@pytest.mark.parametrize("by", ["max", "dirichlet"])
def test_a_window_scores_the_same_whatever_its_neighbours(by, classifier, data):
    windows = data[0]
    scores = classifier.score_samples(windows, by)
    assert scores.shape == (len(windows),)
    assert scores.dtype == np.float64
    order = np.random.default_rng(0).permutation(len(windows))
    close = {"rtol": 1e-3, "atol": 1e-3 * scores.std()}
    np.testing.assert_allclose(classifier.score_samples(windows.pick(order), by), scores[order], **close)
    np.testing.assert_allclose(classifier.score_samples(windows.pick([7]), by), scores[7:8], **close)
    assert classifier.score_samples(windows.pick(slice(0, 0)), by).shape == (0,)


def test_the_same_seed_gives_the_same_classifier_and_another_one_another(quick):
    windows, labels, scores = quick
    for seed, same in ((0, True), (1, False)):
        again = a_classifier(QUICK, seed=seed)
        again.fit(windows, labels)
        assert np.array_equal(again.score_samples(windows), scores) == same


def test_labels_are_names_whatever_numbers_they_are(quick):
    windows, labels, scores = quick
    renamed = a_classifier(QUICK)
    renamed.fit(windows, np.array([-3, 40])[labels])
    assert renamed.classes.tolist() == [-3, 40]
    assert set(renamed.predict(windows)) <= {-3, 40}
    np.testing.assert_array_equal(renamed.score_samples(windows), scores)


def test_shuffled_labels_change_the_classifier_and_nothing_else(quick, trained):
    windows, labels, scores = quick
    before = windows.points.copy(), labels.copy(), trained.anomaly(windows)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    shuffled = np.random.default_rng(0).permutation(labels)
    other = a_classifier(QUICK)
    other.fit(windows, shuffled)
    torch.testing.assert_close(torch.rand(3), drawn)  # torch's own generator is where it was
    assert np.abs(other.score_samples(windows) - scores).max() > 0.01
    np.testing.assert_array_equal(windows.points, before[0])
    assert sorted(shuffled) == sorted(before[1])
    np.testing.assert_array_equal(trained.anomaly(windows), before[2])


def test_one_class_or_too_few_windows_are_errors(quick):
    windows, labels, _ = quick
    with pytest.raises(TrainingError, match=f"at least 2 classes, got {len(windows)} windows of 1"):
        a_classifier().fit(windows, np.zeros_like(labels))
    with pytest.raises(TrainingError, match="at least 2 classes, got 0 windows of 0"):
        a_classifier().fit(windows.pick(slice(0, 0)), labels[:0])
    with pytest.raises(TrainingError, match="at least 6 windows, 2 for each of 3 classes, got 5"):
        a_classifier().fit(windows.pick(slice(0, 5)), np.array([0, 1, 2, 0, 1]))
    with pytest.raises(TrainingError, match="mixture needs at least 6 vectors"):
        few = settings_from_dict({**walkers.TINY, "normality": {"components": 3, "every": 100}})
        a_classifier(QUICK, few).fit(windows, labels)


def test_a_loss_that_is_no_number_is_an_error(quick, monkeypatch):
    monkeypatch.setattr("anomaly.baselines.classifier_settings.MOST_RATE", 1e30)
    with pytest.raises(TrainingError, match=r"lower classifier\.rate"):
        a_classifier(QUICK, rate=1e30).fit(*quick[:2])


def test_labels_of_another_kind_are_refused(quick):
    windows, labels, _ = quick
    for wrong in (labels[:-1], labels.astype(float), labels[:, None]):
        with pytest.raises(ValueError, match="whole-number labels of shape"):
            a_classifier().fit(windows, wrong)


def test_scoring_before_fitting_and_by_another_name_are_errors(quick, classifier):
    with pytest.raises(ModelError, match="fit first"):
        a_classifier().score_samples(quick[0])
    with pytest.raises(ConfigError, match="did you mean 'dirichlet'"):
        classifier.score_samples(quick[0], by="dirichlets")


@pytest.mark.parametrize("frames", [2, 12, 25, 48])
def test_windows_may_have_any_number_of_frames(frames):
    network = ClassifierNetwork(ClassifierSettings(width=2), MODEL, 4).eval()
    assert network(torch.randn(3, 3, frames, MODEL.windows.body.num_joints)).shape == (3, 4)


def test_the_published_classifier_uses_the_static_adjacency_alone():
    names = [name for name, _ in ClassifierNetwork(ClassifierSettings(), MODEL, 4).named_parameters()]
    assert any("branches.static" in name for name in names)
    assert not any("learned" in name or "infer" in name for name in names)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder": [1, 2]}, "of one length"),
        ({"encoder": [], "strides": []}, "of one length"),
        ({"encoder": [1, 0, 1, 1]}, "encoder: expected a number 1 to 2048, got 0"),
        ({"width": 0}, "width: expected a number 1 to 2048, got 0"),
        ({"temporal_kernel": 4}, "odd temporal_kernel"),
        ({"dropout": 1.0}, "dropout"),
        ({"epochs": 0}, r"epochs: expected a number 1 to 1000000, got 0"),
        ({"batch_size": 1}, "batch_size: expected a number 2 to 65536, got 1"),
        ({"rate": 0}, "rate: expected a number above 0 and up to 10, got 0"),
        ({"weight_decay": -1}, "weight_decay: expected a number 0 to 100, got -1"),
    ],
)
def test_settings_out_of_range_are_errors(values, message):
    with pytest.raises(ConfigError, match=message):
        build(ClassifierSettings, values)
