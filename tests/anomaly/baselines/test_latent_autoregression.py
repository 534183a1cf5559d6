"""Latent space autoregression: its density by plain loops, and what it finds."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from anomaly.baselines.latent_autoregression.model import LatentAutoregression
from anomaly.baselines.latent_autoregression.network import Autoencoder, Density, MaskedStackedConv
from anomaly.baselines.latent_autoregression.settings import LatentAutoregressionSettings
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers.moving_squares import RIGHT, square

SMALL = LatentAutoregressionSettings(
    size=16, frames=4, width=4, blocks=2, latent=4, channels=4, layers=3, bins=8, steps=60, batch_size=8,
    learning_rate=3e-3, score_every=2, foreground=False,
)  # fmt: skip


@pytest.mark.parametrize("own", [False, True])
def test_a_masked_layer_is_a_sum_over_what_came_before(own):
    torch.manual_seed(0)
    numbers, before, after, reach, frames = 3, 2, 4, 2, 5
    layer = MaskedStackedConv(numbers, before, after, reach, own).double()
    with torch.no_grad():
        layer.bias.copy_(torch.randn(layer.bias.shape))
    x = np.random.default_rng(0).normal(size=(2, frames, numbers, before))
    weight = layer.weight.detach().numpy().reshape(reach, numbers, after, numbers, before)
    expected = np.zeros((2, frames, numbers, after))
    for b, t, i, c in np.ndindex(2, frames, numbers, after):
        total = layer.bias.detach().numpy().reshape(numbers, after)[i, c]
        for back, j, k in itertools.product(range(reach), range(numbers), range(before)):
            seen = back > 0 or j < i or (own and j == i)
            if seen and t - back >= 0:
                total += weight[reach - 1 - back, i, c, j, k] * x[b, t - back, j, k]
        expected[b, t, i, c] = total
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-9)


def test_a_numbers_density_sees_the_numbers_before_it_and_no_other():
    torch.manual_seed(1)
    density = Density(dataclasses.replace(SMALL, latent=3, reach=4)).double()
    z = torch.rand(1, 4, 3, dtype=torch.float64)
    base = density.logits(z)[0].detach()
    place = list(itertools.product(range(4), range(3)))
    for n, (t, i) in enumerate(place):
        changed = z.clone()
        changed[0, t, i] = 1 - changed[0, t, i]
        moved = (density.logits(changed)[0] - base).abs().amax(dim=2) > 1e-9
        assert [bool(moved[p]) for p in place] == [m > n for m in range(len(place))], (t, i)


def test_the_density_is_one_and_its_logarithm_that_of_loops():
    torch.manual_seed(2)
    density = Density(dataclasses.replace(SMALL, latent=2, bins=3)).double()
    middles = [(k + 0.5) / 3 for k in range(3)]
    every = torch.tensor(list(itertools.product(middles, repeat=4)), dtype=torch.float64).view(-1, 2, 2)
    found = density.minus_log_likelihood(every).detach().numpy()
    assert np.exp(-found).sum() == pytest.approx(1)  # over all codes that there are
    z, logits = every.numpy(), density.logits(every).detach().numpy()
    for n in (0, 17, 80):
        total = 0.0
        for t, i in np.ndindex(2, 2):
            p = np.exp(logits[n, t, i]) / np.exp(logits[n, t, i]).sum()
            total -= np.log(p[int(z[n, t, i] * 3)])
        assert found[n] == pytest.approx(total)


def test_the_encoder_sees_no_later_frame_and_gives_numbers_of_0_to_1():
    torch.manual_seed(3)
    autoencoder = Autoencoder(SMALL).eval()
    x = torch.rand(2, 3, 4, 16, 16)
    z = autoencoder.encode(x)
    assert z.shape == (2, 4, 4)
    assert ((z > 0) & (z < 1)).all()
    assert autoencoder.decode(z).shape == x.shape
    changed = x.clone()
    changed[:, :, 2] = 1 - changed[:, :, 2]
    moved = (autoencoder.encode(changed) - z).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist()[:3] == [False, False, True]


@pytest.fixture(scope="module")
def trained():
    model = LatentAutoregression(SMALL, seed=1)
    model.fit([square(RIGHT, seed, size=16) for seed in range(20)])
    return model


def test_both_terms_are_learned_and_something_else_scores_higher(trained):
    first, last = trained.losses[:5].mean(axis=0), trained.losses[-5:].mean(axis=0)
    assert (last < 0.9 * first).all()
    usual = [square(RIGHT, seed, size=16) for seed in range(100, 106)]
    unusual = [255 - clip for clip in usual]
    assert trained.score_samples(unusual).min() > trained.score_samples(usual).max()


def test_a_frame_has_the_mean_of_the_clips_that_cover_it(trained):
    clip = square(RIGHT, 5, size=16, frames=7)
    starts = (0, 2, 3)  # every second one, and the last
    terms = {s: trained._terms(trained._inputs([(clip, s, None)]))[0] for s in starts}
    for frame in range(7):
        mean = np.mean([terms[s] for s in starts if s <= frame < s + 4], axis=0)
        expected = ((mean - trained._lowest) / trained._spread).sum()
        assert trained.score_frames(clip)[frame] == pytest.approx(expected, rel=1e-4)


def test_background_is_black_and_what_moves_is_not():
    clip = np.full((20, 16, 16, 3), 90, np.uint8)
    for frame in range(20):
        clip[frame, 4:8, frame % 12 : frame % 12 + 4] = 200
    model = LatentAutoregression(dataclasses.replace(SMALL, foreground=True))
    x = model._inputs([(clip, 3, model._background(clip))])[0].numpy()
    assert x[:, 0, 12].max() == 0
    np.testing.assert_allclose(x[:, 0, 5, 3:7], 200 / 255)


def test_errors_say_what_is_wrong(trained):
    with pytest.raises(ModelError, match="fit it before"):
        LatentAutoregression(SMALL).score_frames(square(RIGHT, 0))
    with pytest.raises(ModelError, match="at least 4 frames, got 3"):
        trained.score_frames(square(RIGHT, 0, size=16)[:3])
    with pytest.raises(TrainingError, match="at least 4 frames"):
        LatentAutoregression(SMALL).fit([square(RIGHT, 0, size=16)[:3]])
    with pytest.raises(ConfigError, match="divisible by 32 for 5 blocks, got 48"):
        LatentAutoregressionSettings(size=48)
