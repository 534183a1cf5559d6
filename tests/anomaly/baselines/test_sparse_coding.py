"""Temporally coherent sparse coding: its equations by plain loops, and what it finds."""

import dataclasses

import numpy as np
import pytest
import torch

from anomaly.baselines.sparse_coding.model import SparseCoding, patches
from anomaly.baselines.sparse_coding.network import StackedRecurrent
from anomaly.baselines.sparse_coding.settings import SparseCodingSettings
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers.moving_squares import RIGHT, square

SMALL = SparseCodingSettings(
    size=32, grids=(1, 2, 4), patch=8, atoms=64, steps_in_time=4, steps=60, batch_size=8, learning_rate=3e-3
)


def network_of(size=6, **changes):
    torch.manual_seed(0)
    settings = dataclasses.replace(SMALL, atoms=9, similarity=1.3, sparsity=0.2, coherence=0.7, **changes)
    return StackedRecurrent(settings, size).double(), settings


def sequences(frames=5, count=3, size=6):
    steps = np.random.default_rng(0).normal(size=(frames, count, size)) * 0.6
    return torch.from_numpy(np.cumsum(steps, axis=0))


def by_loops(network, settings, x):
    """The sequential iterative soft-thresholding algorithm as it is written down, for one sequence after another."""
    a = network.dictionary().detach().numpy()
    lambda1, lambda2, gamma = np.log1p(np.exp(network.positive.detach().numpy()))
    out = np.zeros((*x.shape[:2], a.shape[1]))
    for n in range(x.shape[1]):
        last = np.zeros(a.shape[1])
        for t in range(x.shape[0]):
            alike = np.exp(-np.sum((x[t, n] - x[t - 1, n]) ** 2) / (2 * settings.similarity**2)) if t else 0.0
            code = last.copy()
            for _ in range(settings.layers):
                slope = a.T @ (a @ code - x[t, n]) + lambda2 * alike * (code - last)
                moved = code - slope / gamma
                code = np.sign(moved) * np.maximum(np.abs(moved) - lambda1 / gamma, 0)
            out[t, n] = last = code
    return out


def test_the_layers_are_the_steps_of_the_algorithm():
    network, settings = network_of()
    x = sequences()
    expected = by_loops(network, settings, x.numpy())
    np.testing.assert_allclose(network.codes(x).detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    assert 0.1 < (expected != 0).mean() < 0.95  # sparse
    errors, _ = network(x)
    a = network.dictionary().detach().numpy()
    np.testing.assert_allclose(
        errors.detach().numpy(), np.square(x.numpy() - expected @ a.T).sum(axis=2), rtol=1e-9
    )


def test_many_layers_reach_the_minimum_of_the_objective():
    network, settings = network_of(layers=800)
    x = sequences().numpy()
    codes = network.codes(torch.from_numpy(x)).detach().numpy()
    a = network.dictionary().detach().numpy()
    lambda1, lambda2, _ = np.log1p(np.exp(network.positive.detach().numpy()))
    last, now, before = codes[2, 0], codes[3, 0], codes[2, 0]
    alike = np.exp(-np.sum((x[3, 0] - x[2, 0]) ** 2) / (2 * settings.similarity**2))

    def objective(code):
        error = 0.5 * np.sum((x[3, 0] - a @ code) ** 2)
        return error + lambda1 * np.abs(code).sum() + 0.5 * lambda2 * alike * np.sum((code - before) ** 2)

    rng = np.random.default_rng(1)
    nearby = [objective(now + 1e-3 * rng.normal(size=now.shape)) for _ in range(200)]
    assert objective(now) < min(nearby)
    assert objective(now) < objective(last)


def test_a_sequence_goes_on_where_it_was_cut():
    network, _ = network_of()
    x = sequences()
    whole, _ = network(x)
    first, codes = network(x[:2])
    rest, _ = network(x[2:], x[1], codes[-1])
    torch.testing.assert_close(torch.cat([first, rest]), whole)


def test_atoms_are_at_most_1_long():
    network, _ = network_of()
    with torch.no_grad():
        network.atoms *= torch.linspace(0.5, 3, 9)
    lengths = network.dictionary().norm(dim=0).detach()
    assert lengths.max().item() == pytest.approx(1)
    assert lengths.min() < 1


def test_patches_are_grey_levels_and_their_change():
    frames = np.zeros((1, 3, 32, 32, 3), np.uint8)
    frames[0, 1, 16:, 16:] = 255  # the lower right quarter lights up, and goes out
    found = patches(frames, SMALL)
    assert found.shape == (2, 1 + 4 + 16, 2 * 64)
    grey, change = found[..., :64].mean(axis=2), found[..., 64:].mean(axis=2)
    np.testing.assert_allclose(grey[0, :5], [0.25, 0, 0, 0, 1])
    np.testing.assert_allclose(change[:, 4], [1, -1])
    np.testing.assert_allclose(grey[0, 5:].reshape(4, 4), np.kron([[0, 0], [0, 1]], np.ones((2, 2))))


@pytest.fixture(scope="module")
def trained():
    model = SparseCoding(SMALL, seed=1)
    model.fit([square(RIGHT, seed) for seed in range(20)])
    return model


def test_what_moves_as_never_before_is_put_together_worse(trained):
    usual = trained.score_samples([square(RIGHT, seed) for seed in range(100, 106)])
    unusual = trained.score_samples([square((4, 3), seed) for seed in range(100, 106)])
    assert unusual.min() > usual.max()
    assert trained.losses[-5:].mean() < 0.6 * trained.losses[:5].mean()


def test_frames_are_scored_one_by_one_in_chunks_and_in_the_papers_scale(trained, monkeypatch):
    clip = square(RIGHT, 7)
    whole = trained.score_frames(clip)
    assert whole.shape == (12,)
    assert whole[0] == whole[1]
    monkeypatch.setattr("anomaly.baselines.sparse_coding.model._CHUNK", 5)
    np.testing.assert_allclose(trained.score_frames(clip), whole, rtol=1e-5)
    monkeypatch.setattr(trained, "settings", dataclasses.replace(SMALL, normalise=True))
    scaled = trained.score_frames(clip)
    assert (scaled.min(), scaled.max()) == (0, 1)
    assert np.argmax(scaled) == np.argmax(whole)


def test_the_same_seed_learns_the_same(trained):
    short = dataclasses.replace(SMALL, steps=3)
    clips = [square(RIGHT, seed) for seed in range(3)]
    models = [SparseCoding(short, seed) for seed in (1, 1, 2)]
    for model in models:
        model.fit(clips)
    scores = [model.score_frames(clips[0]) for model in models]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_errors_say_what_is_wrong(trained):
    with pytest.raises(ModelError, match="fit it before"):
        SparseCoding(SMALL).score_frames(square(RIGHT, 0))
    with pytest.raises(ModelError, match="at least 2 frames, got 1"):
        trained.score_frames(square(RIGHT, 0)[:1])
    with pytest.raises(TrainingError, match="at least 5 frames, got 1 clips"):
        SparseCoding(SMALL).fit([square(RIGHT, 0)[:4]])
    with pytest.raises(ConfigError, match=r"sparse_coding\.grids: expected numbers that divide"):
        SparseCodingSettings(size=32, grids=(1, 3))
    with pytest.raises(ConfigError, match=r"sparse_coding.*layers"):
        SparseCodingSettings(layers=0)
