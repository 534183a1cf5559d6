import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from anomaly.clustering import (
    ClusteringLayer,
    Occupancy,
    clustering_loss,
    find_temperature,
    target_distribution,
)
from anomaly.network import Network
from anomaly.settings import ClusteringSettings


def layer_and_latents(bias=False, temperature=1.0, clusters=4, size=6, seed=0):
    rng = np.random.default_rng(seed)
    layer = ClusteringLayer(clusters, size, bias, temperature).double()
    layer.theta.data = torch.from_numpy(rng.normal(size=(clusters, size)))
    return layer, torch.from_numpy(rng.normal(size=(9, size)))


def test_the_assignment_is_equation_1():
    layer, z = layer_and_latents()
    theta = layer.theta.detach().numpy()
    expected = np.zeros((9, 4))
    for i in range(9):
        exponents = [np.exp(sum(theta[k, d] * float(z[i, d]) for d in range(6))) for k in range(4)]
        for k in range(4):
            expected[i, k] = exponents[k] / sum(exponents)
    np.testing.assert_allclose(layer(z).exp().detach(), expected, rtol=1e-12)


def test_with_the_bias_the_most_likely_cluster_is_the_nearest_centroid():
    layer, z = layer_and_latents(bias=True, temperature=3.0)
    distances = torch.cdist(z, layer.theta)
    assert (layer(z).argmax(dim=1) == distances.argmin(dim=1)).all()
    plain, _ = layer_and_latents()
    assert (plain(z).argmax(dim=1) != distances.argmin(dim=1)).any()  # which equation 1 alone does not give


def test_the_target_is_equation_3_over_the_whole_set():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), size=7)
    expected = np.zeros((7, 3))
    for i in range(7):
        for k in range(3):
            below = sum(p[i, j] / np.sqrt(sum(p[m, j] for m in range(7))) for j in range(3))
            expected[i, k] = p[i, k] / np.sqrt(sum(p[m, k] for m in range(7))) / below
    np.testing.assert_allclose(target_distribution(p), expected, rtol=1e-6)
    # A batch's own sums give something else.
    assert np.abs(target_distribution(p[:3]) - expected[:3]).max() > 1e-3


def test_the_loss_is_equation_2_averaged_over_the_batch():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(3), size=(2, 5))
    q[0] = [1, 0, 0]  # 0 log 0 is 0
    total = sum(q[i, k] * np.log(q[i, k] / p[i, k]) for i in range(5) for k in range(3) if q[i, k] > 0)
    got = clustering_loss(torch.from_numpy(np.log(p)), torch.from_numpy(q))
    assert float(got) == pytest.approx(total / 5, rel=1e-12)
    assert float(clustering_loss(torch.from_numpy(np.log(p)), torch.from_numpy(p))) == pytest.approx(
        0, abs=1e-12
    )


def test_gradients_flow_as_equation_4_says(tiny):
    network = Network(tiny()).train()
    torch.nn.init.normal_(network.clustering.theta)
    encoder, decoder = network.autoencoder.encoder, network.autoencoder.decoder
    x = torch.randn(8, 3, 12, 18)
    q = torch.from_numpy(target_distribution(np.random.default_rng(0).dirichlet(np.ones(5), 8)))

    def touched(loss):
        network.zero_grad(set_to_none=True)
        loss.backward()
        return {
            name: any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
            for name, part in (("encoder", encoder), ("decoder", decoder), ("clusters", network.clustering))
        }

    z, reconstruction = network.autoencoder(x)
    assert touched(F.mse_loss(reconstruction, x)) == {"encoder": True, "decoder": True, "clusters": False}
    z = network.autoencoder.encode(x)
    assert touched(clustering_loss(network.clustering(z), q)) == {
        "encoder": True, "decoder": False, "clusters": True,
    }  # fmt: skip


def test_the_layer_starts_from_the_k_means_centroids():
    rng = np.random.default_rng(3)
    centres = 20 * np.eye(4, 6)
    z = (centres[rng.integers(4, size=200)] + rng.normal(size=(200, 6))).astype(np.float32)
    layer = ClusteringLayer(4, 6)
    labels = layer.initialise(z, ClusteringSettings(clusters=4), seed=0)
    found = layer.theta.detach().numpy()
    np.testing.assert_allclose(found[np.argsort(-found @ np.arange(6))[::-1]].argmax(axis=1), range(4))
    assert np.abs(z - found[labels]).max() < 6


def test_the_automatic_temperature_keeps_assignments_soft():
    rng = np.random.default_rng(4)
    z = (30 * rng.normal(size=(300, 6))).astype(np.float32)
    hard, soft = ClusteringLayer(4, 6, bias=True), ClusteringLayer(4, 6, bias=True)
    hard.initialise(z, ClusteringSettings(clusters=4), seed=0)
    soft.initialise(z, ClusteringSettings(clusters=4, temperature=0, start_entropy=0.3), seed=0)
    p_hard, p_soft = (m(torch.from_numpy(z)).exp().detach().numpy() for m in (hard, soft))
    assert Occupancy.of(p_hard).saturated > 0.9
    entropy = -(p_soft * np.log(p_soft)).sum(axis=1).mean() / np.log(4)
    assert entropy == pytest.approx(0.3, abs=0.01)


def test_the_temperature_is_found_for_any_scale():
    exponents = np.random.default_rng(5).normal(size=(50, 5))
    small, large = find_temperature(exponents, 0.5), find_temperature(1000 * exponents, 0.5)
    assert large / small == pytest.approx(1000, rel=1e-6)


def test_a_collapsed_clustering_is_noticed_and_said(caplog):
    p = np.full((100, 4), 0.05)
    p[:, 2] = 0.85
    occupancy = Occupancy.of(p)
    assert occupancy.collapsed
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "collapsed" in caplog.text
    assert not Occupancy.of(np.eye(4)[np.arange(100) % 4]).collapsed


def test_one_hot_assignments_are_noticed_and_said(caplog):
    occupancy = Occupancy.of(np.eye(4)[np.arange(100) % 4])
    assert occupancy.saturated == 1
    assert occupancy.used == pytest.approx(4)
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "temperature" in caplog.text
