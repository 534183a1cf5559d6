import logging
import tracemalloc

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from anomaly.networks.clustering import (
    ClusteringLayer,
    ClusterOccupancy,
    batch_target,
    divergence,
    find_temperature,
    squared_distances,
    target_distribution,
)
from anomaly.networks.st_gcae import Network
from anomaly.settings import ClusteringSettings
from pose_extract.errors import TrainingError


def layer_and_latents(size=6, seed=0, **settings):
    rng = np.random.default_rng(seed)
    settings = ClusteringSettings(clusters=4, **settings)
    layer = ClusteringLayer(settings, size).double()
    layer.theta.data = torch.from_numpy(rng.normal(size=(4, size)))
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


@pytest.mark.parametrize("freedom", [0.5, 1.0, 4.0])
def test_the_assignment_can_be_students_kernel_of_the_distance(freedom):
    layer, z = layer_and_latents(assignment="student", freedom=freedom)
    theta = layer.theta.detach().numpy()
    expected = np.zeros((9, 4))
    for i in range(9):
        kernel = []
        for k in range(4):
            distance = sum((float(z[i, d]) - theta[k, d]) ** 2 for d in range(6))
            kernel.append((1 + distance / freedom) ** (-(freedom + 1) / 2))
        expected[i] = np.array(kernel) / sum(kernel)
    np.testing.assert_allclose(layer(z).exp().detach(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(layer, z.requires_grad_())


def test_distances_survive_what_latent_vectors_have_in_common():
    rng = np.random.default_rng(0)
    z, theta = 1000 + rng.normal(size=(50, 8)), 1000 + rng.normal(size=(5, 8))
    expected = np.square(z[:, None] - theta[None]).sum(axis=2)
    got = squared_distances(
        torch.from_numpy(z.astype(np.float32)), torch.from_numpy(theta.astype(np.float32))
    )
    np.testing.assert_allclose(got, expected, rtol=1e-2)
    same = torch.from_numpy(theta.astype(np.float32))
    assert (squared_distances(same, same) >= 0).all()


@pytest.mark.parametrize("assignment", ["softmax", "student"])
def test_log_assignments_are_finite_where_assignments_underflow(assignment):
    layer, z = layer_and_latents(assignment=assignment)
    layer, z = layer.float(), (1e6 * z).float().requires_grad_()
    log_p = layer(z)
    assert torch.isfinite(log_p).all()
    log_p.sum().backward()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("assignment", ["softmax", "student"])
def test_mixed_precision_leaves_assignments_alone(assignment):
    layer, z = layer_and_latents(assignment=assignment, size=200)
    layer, z = layer.float(), z.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(z), layer(z.clone()))
        mixed = layer(z)
    torch.testing.assert_close(mixed, layer(z), rtol=0, atol=0)


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
    # A batch's own sums give something else, unless it is told those of the whole set.
    assert np.abs(target_distribution(p[:3]) - expected[:3]).max() > 1e-3
    np.testing.assert_allclose(target_distribution(p[:3], p.sum(axis=0)), expected[:3], rtol=1e-6)


def test_the_target_of_a_batch_squares_and_divides_by_the_batches_sums():
    p = np.random.default_rng(1).dirichlet(np.ones(3), size=7)
    expected = np.zeros((7, 3))
    for i in range(7):
        below = sum(p[i, j] ** 2 / sum(p[m, j] for m in range(7)) for j in range(3))
        for k in range(3):
            expected[i, k] = p[i, k] ** 2 / sum(p[m, k] for m in range(7)) / below
    tensor = torch.from_numpy(p).requires_grad_()
    got = batch_target(tensor)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert not got.requires_grad
    # Two processes that share a batch and its sums have the same target as one.
    halves = [batch_target(part, tensor.sum(dim=0)) for part in (tensor[:4], tensor[4:])]
    np.testing.assert_allclose(torch.cat(halves), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [target_distribution, lambda p: batch_target(torch.from_numpy(p)).numpy()])
def test_targets_are_distributions_though_a_cluster_is_empty(make):
    p = np.eye(3, dtype=np.float32)[np.arange(20) % 2]
    q = make(p)
    np.testing.assert_allclose(q, p, atol=1e-6)


def test_the_target_of_a_large_set_takes_no_memory_beside_itself():
    p = np.full((400_000, 20), 0.05, np.float32)
    tracemalloc.start()
    try:
        q = target_distribution(p)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * q.nbytes


def test_the_divergence_is_equation_2_for_each_window():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(3), size=(2, 5))
    q[0] = [1, 0, 0]  # 0 log 0 is 0
    expected = [sum(q[i, k] * np.log(q[i, k] / p[i, k]) for k in range(3) if q[i, k] > 0) for i in range(5)]
    log_p, q = torch.from_numpy(np.log(p)), torch.from_numpy(q)
    np.testing.assert_allclose(divergence(log_p, q, ClusteringSettings()), expected, rtol=1e-12)
    np.testing.assert_allclose(divergence(log_p, log_p.exp(), ClusteringSettings()), 0, atol=1e-12)


def test_the_divergence_can_be_taken_the_other_way():
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(3), size=(2, 5))
    expected = [sum(p[i, k] * np.log(p[i, k] / q[i, k]) for k in range(3)) for i in range(5)]
    settings = ClusteringSettings(divergence="model_target")
    log_p = torch.from_numpy(np.log(p)).requires_grad_()
    got = divergence(log_p, torch.from_numpy(q), settings)
    np.testing.assert_allclose(got.detach(), expected, rtol=1e-12)
    # A target of 0 counts as 1e-8, and neither the loss nor its gradient blows up.
    got = divergence(log_p, torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0, 1]], settings)
    got.sum().backward()
    assert got.max() < -np.log(1e-8)
    assert torch.isfinite(log_p.grad).all()


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
    assert touched(divergence(network.clustering(z), q, ClusteringSettings()).mean()) == {
        "encoder": True, "decoder": False, "clusters": True,
    }  # fmt: skip


def test_the_layer_starts_from_the_k_means_centroids():
    rng = np.random.default_rng(3)
    centres = 20 * np.eye(4, 6)
    z = (centres[rng.integers(4, size=200)] + rng.normal(size=(200, 6))).astype(np.float32)
    settings = ClusteringSettings(clusters=4)
    layer, again = ClusteringLayer(settings, 6), ClusteringLayer(settings, 6)
    layer.initialise(z, settings, seed=0)
    found = layer.theta.detach().numpy()
    np.testing.assert_allclose(found[np.argsort(-found @ np.arange(6))[::-1]].argmax(axis=1), range(4))
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(centres, axis=0), atol=1)
    again.initialise(z, settings, seed=0)
    assert torch.equal(layer.theta, again.theta)


def test_a_random_start_lies_where_the_vectors_lie_but_knows_no_clusters():
    z = np.random.default_rng(3).normal([5.0, -2.0, 0.0], [0.1, 3.0, 1.0], (500, 3)).astype(np.float32)
    settings = ClusteringSettings(clusters=200, start="random")
    layer, other = ClusteringLayer(settings, 3), ClusteringLayer(settings, 3)
    layer.initialise(z, settings, seed=0)
    theta = layer.theta.detach().numpy()
    np.testing.assert_allclose(theta.mean(axis=0), z.mean(axis=0), atol=0.7)
    np.testing.assert_allclose(theta.std(axis=0), z.std(axis=0), rtol=0.2)
    other.initialise(z, settings, seed=1)
    assert not torch.equal(layer.theta, other.theta)


@pytest.mark.parametrize(("bias", "assignment"), [(True, "softmax"), (False, "softmax"), (False, "student")])
def test_the_automatic_temperature_starts_at_the_entropy_that_is_asked_for(bias, assignment):
    rng = np.random.default_rng(4)
    z = (30 * rng.normal(size=(300, 6))).astype(np.float32)
    settings = ClusteringSettings(
        clusters=4, bias=bias, assignment=assignment, temperature=0, start_entropy=0.3
    )
    layer = ClusteringLayer(settings, 6)
    layer.initialise(z, settings, seed=0)
    p = layer(torch.from_numpy(z)).exp().detach().numpy()
    assert -(p * np.log(p)).sum(axis=1).mean() / np.log(4) == pytest.approx(0.3, abs=0.01)
    assert ClusterOccupancy.from_assignments(p).entropy == pytest.approx(0.3, abs=0.01)


def test_without_a_temperature_equation_1_saturates_where_clusters_lie_far_apart():
    z = (30 * np.random.default_rng(4).normal(size=(300, 6))).astype(np.float32)
    settings = ClusteringSettings(clusters=4)
    layer = ClusteringLayer(settings, 6)
    layer.initialise(z, settings, seed=0)
    assert (
        ClusterOccupancy.from_assignments(layer(torch.from_numpy(z)).exp().detach().numpy()).saturated > 0.9
    )


def test_k_means_says_what_is_missing():
    settings = ClusteringSettings(clusters=4)
    with pytest.raises(TrainingError, match="at least 4 finite latent vectors, got 3"):
        ClusteringLayer(settings, 6).initialise(np.ones((3, 6), np.float32), settings, 0)
    with pytest.raises(TrainingError, match="0 of them finite"):
        ClusteringLayer(settings, 6).initialise(np.full((9, 6), np.nan, np.float32), settings, 0)


def test_the_temperature_is_found_for_any_scale():
    exponents = np.random.default_rng(5).normal(size=(50, 5))
    small, large = find_temperature(exponents, 0.5), find_temperature(1000 * exponents, 0.5)
    assert large / small == pytest.approx(1000, rel=1e-6)


def test_a_collapsed_clustering_is_noticed_and_said(caplog):
    p = np.full((100, 4), 0.05)
    p[:, 2] = 0.85
    occupancy = ClusterOccupancy.from_assignments(p)
    assert occupancy.collapsed
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "collapsed" in caplog.text
    assert not ClusterOccupancy.from_assignments(np.eye(4)[np.arange(100) % 4]).collapsed


def test_one_hot_assignments_are_noticed_and_said(caplog):
    occupancy = ClusterOccupancy.from_assignments(np.eye(4)[np.arange(100) % 4])
    assert occupancy.saturated == 1
    assert occupancy.used == pytest.approx(4)
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "temperature" in caplog.text


def test_dead_clusters_are_counted_and_said(caplog):
    p = np.eye(8, dtype=np.float32)[np.arange(100) % 3] * 0.9 + 0.1 / 8
    occupancy = ClusterOccupancy.from_assignments(p)
    assert occupancy.counts == (34, 33, 33, 0, 0, 0, 0, 0)
    assert occupancy.dead == 5
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "5 of 8 clusters are dead" in caplog.text
    assert "clustering.bias" in caplog.text


def test_uniform_assignments_are_noticed_and_said(caplog):
    occupancy = ClusterOccupancy.from_assignments(
        np.random.default_rng(0).dirichlet(np.full(4, 5000), size=200)
    )
    assert occupancy.undecided
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert "learned nothing" in caplog.text


def test_a_healthy_clustering_is_not_warned_about(caplog):
    occupancy = ClusterOccupancy.from_assignments(
        np.random.default_rng(0).dirichlet(np.full(4, 0.5), size=200)
    )
    with caplog.at_level(logging.WARNING):
        occupancy.warn()
    assert not caplog.records
    assert occupancy.dead == 0
