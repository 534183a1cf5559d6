"""The product's fast code against `naive`, which says every equation in loops: forward to 1e-9 (1e-5 in float32), and
gradients by `torch.autograd.gradcheck` and against finite differences of the loops."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.mixture import BayesianGaussianMixture
from torch.nn import functional as F

from anomaly.data.augmentation import apply_each, apply_transforms
from anomaly.data.windows import make_windows
from anomaly.networks.clustering import (
    ClusteringLayer,
    batch_target,
    clustering_loss,
    divergence,
    target_distribution,
)
from anomaly.networks.graph import static_adjacency
from anomaly.networks.inference import assign_in_micro_batches, fuse_batch_norm
from anomaly.networks.layers import SpatialAttentionGraphConv, SpatioTemporalBlock
from anomaly.networks.st_gcae import Autoencoder, Network
from anomaly.normality.dirichlet import PRIOR_VECTORS, VariationalFit, fit_dirichlet_mixture
from anomaly.normality.mixture import coordinates_of, fit_normality
from anomaly.scoring.calibration import percentile
from anomaly.scoring.frame_scores import frame_scores, row_scores
from anomaly.scoring.smoothing import REACH_SIGMAS, smooth
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import (
    ADJACENCIES,
    ASSIGNMENTS,
    DIVERGENCES,
    FRAME_MODES,
    PARTITIONS,
    REDUCTIONS,
    TARGETS,
    TRANSFORMS,
    ClusteringSettings,
    ModelSettings,
    NetworkSettings,
    NormalitySettings,
    WindowSettings,
)
from pose_extract.skeletons import COCO17, COCO18, Skeleton
from tests.helpers import naive, walkers

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
BODY = Skeleton(
    "body", tuple("abcde"), ((0, 1), (1, 2), (1, 3), (3, 4), (2, 4)), 1, (0, 1, 3, 2, 4), (0.1,) * 5
)
SMALL = NetworkSettings(
    width=4, encoder=(1, 2, 1), strides=(1, 2, 3), decoder=(2, 1), upsampling=(3, 2), temporal_kernel=3, dropout=0.0
)  # fmt: skip


def static(partition="spatial", skeleton=BODY):
    return naive.adjacency(skeleton, partition)


def windows(shape=(3, 3, 6, 5), seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def randomised(module, seed=0, dtype=torch.float64):
    """The module with random weights, shifts and running statistics: fresh ones hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if not value.is_floating_point() or name.endswith("temperature"):
            continue
        draw = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
        if "running_var" in name or "norm.weight" in name:
            value.copy_(draw.abs() + 0.5)
        elif "learned" in name:
            value.copy_(0.3 * draw)
        else:
            value.copy_(0.5 * draw)
    return module.to(dtype)


def agree(got, expected, dtype=torch.float64):
    got = got.detach().double().numpy() if isinstance(got, torch.Tensor) else got
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(
        got, expected, rtol=tolerance, atol=tolerance * max(1.0, np.abs(expected).max())
    )


# --- Section 3.2: the spatial attention graph convolution and the block -----------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "kinds", [("static",), ("global",), ("inferred",), ("inferred", "static"), ADJACENCIES]
)
def test_the_spatial_attention_graph_convolution(kinds, dtype, training):
    module = SpatialAttentionGraphConv(3, 8, torch.from_numpy(static()).to(dtype), kinds)
    randomised(module, dtype=dtype).train(training)
    x, params = windows(dtype=dtype), naive.arrays(module)
    expected = naive.sagc(x.double().numpy(), params, static(), kinds, training)
    agree(module(x), expected, dtype)


@pytest.mark.parametrize("channels", [2, 3, 4, 5])
def test_narrow_layers_keep_an_embedding_of_at_least_one_channel(channels):
    module = randomised(SpatialAttentionGraphConv(channels, channels, torch.from_numpy(static()))).eval()
    x, params = windows((2, channels, 4, 5)), naive.arrays(module)
    assert params["infer.source.weight"].shape == (3 * max(channels // 4, 1), channels, 1, 1)
    agree(module(x), naive.sagc(x.numpy(), params, static(), ADJACENCIES, False))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("channels", "out", "stride", "kernel", "partition", "activate"),
    [
        (3, 8, 1, 3, "spatial", True),
        (4, 4, 1, 5, "distance", True),
        (4, 4, 2, 3, "uniform", True),
        (4, 8, 3, 9, "spatial", True),
        (8, 3, 1, 1, "spatial", False),
    ],
)
def test_the_spatio_temporal_block(channels, out, stride, kernel, partition, activate, dtype, training):
    adjacency = static(partition)
    module = SpatioTemporalBlock(
        channels, out, torch.from_numpy(adjacency).to(dtype), stride=stride, kernel=kernel, activate=activate
    )
    randomised(module, dtype=dtype).train(training)
    x, params = windows((3, channels, 6, 5), dtype=dtype), naive.arrays(module)
    expected = naive.block(x.double().numpy(), params, adjacency, ADJACENCIES, stride, training, activate)
    agree(module(x), expected, dtype)


def test_batch_norm_remembers_the_statistics_of_what_it_normalised():
    kinds = ("static", "global")
    module = randomised(SpatioTemporalBlock(4, 8, torch.from_numpy(static()), kinds, 2, 3)).train()
    x, before = windows((3, 4, 6, 5)), naive.arrays(module)
    module(x)
    after = naive.arrays(module)
    spatial = naive.below(before, "spatial")
    hidden = naive.relu(naive.sagc(x.numpy(), spatial, static(), kinds, True))
    seen = {
        "spatial.branches.static.norm": naive.graph_conv(
            x.numpy(), np.broadcast_to(static(), (3, 3, 5, 5)), spatial["branches.static.mix.weight"]
        ),
        "spatial.residual.1": naive.conv_1x1(x.numpy(), spatial["residual.0.weight"]),
        "norm": naive.conv_time(hidden, before["temporal.weight"], 2),
        "residual.1": naive.conv_1x1(x.numpy(), before["residual.0.weight"], stride=2),
    }
    for name, values in seen.items():
        mean, variance = naive.running_statistics(values, naive.below(before, name))
        agree(after[f"{name}.running_mean"], mean)
        agree(after[f"{name}.running_var"], variance)


def test_dropout_silences_a_share_of_what_is_added_to_the_residual_and_scales_the_rest():
    def block(dropout):
        return randomised(
            SpatioTemporalBlock(4, 4, torch.from_numpy(static()), kernel=3, dropout=dropout, activate=False)
        )

    x = windows((40, 4, 6, 5))
    torch.manual_seed(0)
    ratio = ((block(0.3).train()(x) - x) / (block(0.0).train()(x) - x)).detach()
    silent = ratio.abs() < 1e-9
    torch.testing.assert_close(ratio[~silent], torch.full_like(ratio[~silent], 1 / 0.7))
    assert abs(silent.double().mean() - 0.3) < 0.03
    torch.testing.assert_close(block(0.3).eval()(x), block(0.0).eval()(x))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("channels", "stride", "dropout"), [(3, 1, 0.0), (4, 2, 0.0), (4, 1, 0.5)])
def test_gradients_of_a_block_pass_gradcheck(channels, stride, dropout, training):
    adjacency = torch.from_numpy(static())
    module = randomised(SpatioTemporalBlock(channels, 4, adjacency, stride=stride, kernel=3, dropout=dropout))
    module.train(training)
    names, values = zip(*module.named_parameters(), strict=True)

    def run(x, *values):
        torch.manual_seed(0)  # the same dropout mask each time
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

    x = windows((2, channels, 2, 5)).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


def test_gradients_of_a_block_in_training_are_the_slopes_of_the_loops():
    module = randomised(SpatioTemporalBlock(3, 4, torch.from_numpy(static()), stride=2, kernel=3)).train()
    x = windows((3, 3, 4, 5)).requires_grad_()
    params = naive.arrays(module)
    weight = windows((3, 4, 2, 5), seed=5)
    (module(x) * weight).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in module.named_parameters()} | {"x": x.grad.numpy()}
    rng = np.random.default_rng(0)

    def objective(**moved):
        moved = {"x": x.detach().numpy()} | params | moved
        out = naive.block(moved.pop("x"), moved, static(), ADJACENCIES, 2, True)
        return float((out * weight.numpy()).sum())

    start = {"x": x.detach().numpy(), **params}
    for name, gradient in gradients.items():
        way, step = rng.normal(size=gradient.shape), 1e-6
        up, down = (objective(**{name: start[name] + sign * step * way}) for sign in (1, -1))
        slope = (up - down) / (2 * step)
        np.testing.assert_allclose((gradient * way).sum(), slope, rtol=1e-5, atol=1e-6, err_msg=name)


# --- Section 3.3: the autoencoder -------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("kinds", "partition", "channels"),
    [(ADJACENCIES, "spatial", 3), (("static",), "distance", 2), (("static", "inferred"), "uniform", 4)],
)
def test_the_autoencoder(kinds, partition, channels, dtype, training):
    settings = dataclasses.replace(SMALL, adjacencies=kinds, partition=partition)
    module = randomised(Autoencoder(settings, BODY, channels, 6), dtype=dtype).train(training)
    x, params = windows((3, channels, 6, 5), dtype=dtype), naive.arrays(module)
    adjacency = static(partition).astype(np.float32).astype(float)  # the module made its own in float32
    z = naive.encode(x.double().numpy(), params, adjacency, settings, training)
    reconstruction = naive.decode(z, params, adjacency, settings, training)
    got_z, got = module(x)
    agree(got_z, z, dtype)
    agree(got, reconstruction, dtype)
    agree(F.mse_loss(got, x), naive.reconstruction_loss(x.double().numpy(), reconstruction), dtype)


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("skeleton", [BODY, COCO17, COCO18], ids=lambda s: s.name)
def test_the_partitions_of_the_static_adjacency(skeleton, partition):
    agree(static_adjacency(skeleton, partition), naive.adjacency(skeleton, partition), torch.float32)


def test_gradients_of_the_autoencoder_in_training_pass_gradcheck():
    settings = dataclasses.replace(SMALL, encoder=(1,), strides=(2,), decoder=(1,), upsampling=(2,))
    module = randomised(Autoencoder(settings, BODY, 3, 2)).train()
    names, values = zip(*module.named_parameters(), strict=True)

    def run(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (windows((2, 3, 2, 5)).requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kinds", "partition"),
    [
        (ADJACENCIES, "spatial"),
        (("static",), "spatial"),
        (("global",), "uniform"),
        (("inferred", "static"), "distance"),
    ],
)
def test_the_folded_batched_scorer(kinds, partition, bias, dtype):
    settings = ModelSettings(
        windows=WindowSettings(skeleton="coco17", frames=6),
        model=dataclasses.replace(SMALL, adjacencies=kinds, partition=partition),
        clustering=ClusteringSettings(clusters=4, bias=bias, temperature=20.0),
    )
    network = randomised(Network(settings), dtype=dtype).eval()
    x, params = windows((70, 3, 6, 17), dtype=dtype), naive.arrays(network)
    p = assign_in_micro_batches(fuse_batch_norm(network), x).exp()
    agree(p, network.assign(x).exp().detach().double().numpy(), dtype)
    few = [0, 31, 32, 69]  # on both sides of the borders of batches
    adjacency = static(partition, COCO17).astype(np.float32).astype(float)
    z = naive.encode(x[few].double().numpy(), naive.below(params, "autoencoder"), adjacency, settings.model)
    agree(p[few], naive.assignment(z, params["clustering.theta"], bias, 20.0), dtype)


# --- Section 3.3: the clustering --------------------------------------------------------------------------------------


def latent(count=12, size=6, clusters=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) + 5, rng.normal(
        size=(clusters, size)
    ) + 5  # k-means centroids lie together


def layer(theta, **settings):
    module = ClusteringLayer(ClusteringSettings(clusters=len(theta), **settings), theta.shape[1])
    module.theta.data = torch.from_numpy(theta)
    return module.double()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 7.5])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_equation_1(bias, temperature, dtype):
    z, theta = latent()
    module = layer(theta, bias=bias, temperature=temperature).to(dtype)
    expected = naive.assignment(z, theta, bias, temperature)
    agree(module(torch.from_numpy(z).to(dtype)).exp(), expected, dtype)


@pytest.mark.parametrize(("freedom", "temperature"), [(1.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_students_t_assignment(freedom, temperature, dtype):
    z, theta = latent()
    module = layer(theta, assignment="student", freedom=freedom, temperature=temperature).to(dtype)
    expected = naive.student_assignment(z, theta, freedom, temperature)
    agree(module(torch.from_numpy(z).to(dtype)).exp(), expected, dtype)


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("divergence_form", DIVERGENCES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_equation_2_in_both_directions_and_its_gradients(assignment, divergence_form, target, reduction):
    z, theta = latent()
    settings = ClusteringSettings(
        clusters=4, assignment=assignment, divergence=divergence_form, reduction=reduction
    )
    module = layer(theta, assignment=assignment, temperature=5.0)
    z, theta = torch.from_numpy(z).requires_grad_(), module.theta.detach().clone().requires_grad_()
    if assignment == "softmax":
        p = naive.assignment(z.detach().numpy(), theta.detach().numpy(), temperature=5.0)
    else:
        p = naive.student_assignment(z.detach().numpy(), theta.detach().numpy(), 1.0, 5.0)
    q = naive.target(p) if target == "whole" else naive.squared_target(p)
    expected = naive.kl(q, p) if divergence_form == "target_model" else naive.kl(p, q)
    expected_loss = expected.sum() / (len(p) if reduction == "mean" else 1)

    def loss(z, theta):
        log_p = torch.func.functional_call(module, {"theta": theta}, (z,))
        return clustering_loss(log_p, torch.from_numpy(q), settings)

    log_p = module(z)
    agree(divergence(log_p, torch.from_numpy(q), settings), expected)
    agree(loss(z, theta), expected_loss)
    assert torch.autograd.gradcheck(loss, (z, theta))


def test_equation_3_over_the_whole_set_and_in_parts():
    p = naive.assignment(*latent(40))
    expected = naive.target(p)
    agree(target_distribution(p), expected, torch.float32)
    frequency = p.sum(axis=0)
    parts = [target_distribution(part, frequency) for part in np.array_split(p.astype(np.float32), 3)]
    agree(np.concatenate(parts), expected, torch.float32)


def test_the_target_of_a_batch():
    p = naive.assignment(*latent(40))
    expected = naive.squared_target(p)
    agree(batch_target(torch.from_numpy(p)), expected)
    halves = torch.from_numpy(p).chunk(2)
    agree(torch.cat([batch_target(half, torch.from_numpy(p.sum(axis=0))) for half in halves]), expected)
    assert not batch_target(torch.from_numpy(p).requires_grad_()).requires_grad


def small_network(**clustering):
    settings = ModelSettings(
        windows=WindowSettings(skeleton="coco17", frames=6),
        model=SMALL,
        clustering=ClusteringSettings(clusters=4, **clustering),
    )
    return settings, randomised(Network(settings))


def test_equation_4_reaches_the_parts_as_section_3_5_says():
    """The clustering layer learns from L_cluster, the decoder from L_rec, the encoder from their weighted sum."""
    settings, network = small_network()
    network.train()
    x, weight = windows((4, 3, 6, 17)), settings.clustering.weight

    def gradients(rec, cluster):
        network.zero_grad(set_to_none=True)
        z, reconstruction = network.autoencoder(x)
        log_p = network.clustering(z)
        q = torch.from_numpy(naive.target(log_p.exp().detach().numpy()))
        loss = rec * F.mse_loss(reconstruction, x) + cluster * clustering_loss(log_p, q, settings.clustering)
        loss.backward()
        return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in network.named_parameters()}

    from_rec, from_cluster, both = gradients(1, 0), gradients(0, 1), gradients(1, weight)
    for name, gradient in both.items():
        if name.startswith("autoencoder.encoder"):
            torch.testing.assert_close(gradient, from_rec[name] + weight * from_cluster[name])
        elif name.startswith("autoencoder.decoder"):
            assert not from_cluster[name].any()
        else:
            assert name == "clustering.theta"
            assert not from_rec[name].any()
    for part, source in (("encoder", from_rec), ("encoder", from_cluster), ("decoder", from_rec)):
        assert any(gradient.abs().max() > 1e-6 for name, gradient in source.items() if f".{part}." in name)
    assert from_cluster["clustering.theta"].abs().max() > 1e-6


# --- Section 3.4: normality -------------------------------------------------------------------------------------------


def proportions(count=240, seed=0):
    rng = np.random.default_rng(seed)
    parts = [rng.dirichlet(alpha, size=count // 2) for alpha in ([8, 4, 2, 2], [1, 2, 9, 6])]
    return np.concatenate(parts)[rng.permutation(count)]


@pytest.mark.parametrize("shrink", [0.0, 0.02])
def test_log_ratio_coordinates(shrink):
    p = proportions()
    got = coordinates_of(np.log(p), NormalitySettings(form="logratio", shrink=shrink))
    agree(got, naive.log_ratio_coordinates((1 - shrink) * p + shrink / 4))


@pytest.mark.parametrize("form", ["gaussian", "logratio"])
def test_the_likelihood_of_the_gaussian_mixture(form):
    p, unseen = proportions(), proportions(40, seed=1)
    settings = NormalitySettings(components=3, every=1, form=form)
    model = fit_normality(np.log(p), settings, seed=4)

    def coordinates(p):
        return naive.log_ratio_coordinates(p) if form == "logratio" else p

    fitted = BayesianGaussianMixture(
        n_components=3,
        weight_concentration_prior_type="dirichlet_process",
        max_iter=500,
        reg_covar=settings.regularisation,
        random_state=4,
    ).fit(coordinates(p))
    expected = naive.gaussian_mixture_likelihood(
        coordinates(unseen),
        fitted.weight_concentration_,
        fitted.degrees_of_freedom_,
        fitted.mean_precision_,
        fitted.means_,
        fitted.covariances_,
    )
    np.testing.assert_allclose(model.log_likelihood(np.log(unseen)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shrink", [0.01, 0.1])
def test_the_likelihood_of_the_dirichlet_mixture(shrink):
    p, unseen = proportions(), proportions(40, seed=1)
    unseen[0] = [0, 1, 0, 0]  # a vertex of the simplex, where a Dirichlet density is 0 or infinite
    settings = NormalitySettings(components=3, every=1, form="dirichlet", shrink=shrink)
    with np.errstate(divide="ignore"):
        got = fit_normality(np.log(p), settings, seed=0).log_likelihood(np.log(unseen))
    fit = fit_dirichlet_mixture(np.log((1 - shrink) * p + shrink / 4), 3, settings.max_iterations, seed=0)
    expected = naive.dirichlet_mixture_likelihood((1 - shrink) * unseen + shrink / 4, fit.weights, fit.alpha)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_the_evidence_bound_of_the_dirichlet_mixture():
    p = proportions(60)
    fit = VariationalFit(np.log(p), 3)
    fit.start(seed=0)
    fit.update_responsibilities()
    expected = naive.dirichlet_mixture_bound(p, fit.sticks, fit.alpha, 1 / 3, PRIOR_VECTORS)
    agree(fit.bound(), expected)


# --- Section 4.1: from windows to frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["none", "largest", "body"])
def test_windows_are_normalised(scale):
    tracks = walkers.clip(people=1, frames=16)
    settings = WindowSettings(skeleton="coco17", scale=scale)
    found = make_windows(tracks, settings, stride=1)
    assert list(found.first) == [0, 1, 2, 3, 4]
    for i, first in enumerate(found.first):
        joints = tracks.keypoints[first : first + settings.frames]
        agree(found.batch([i])[0], naive.normalised(joints, tracks.frame_size, scale), torch.float32)


def test_the_five_transforms():
    x, names = windows((10, 3, 4, 17)), tuple(TRANSFORMS)
    assert len(names) == 5
    expected = [[naive.transform(one, name, COCO17) for name in names] for one in x.numpy()]
    agree(apply_transforms(x, names, COCO17), np.array(expected))
    which = torch.arange(10) % 5
    agree(apply_each(x, which, names, COCO17), np.array([expected[i][i % 5] for i in range(10)]))


def test_a_windows_reconstruction_error_is_the_mean_over_its_own_transforms():
    settings, network = small_network()
    x = windows((2, 3, 6, 17)).float().numpy()
    normality = fit_normality(np.log(proportions()), NormalitySettings(components=3, every=1), seed=0)
    model = TrainedModel(settings, normality, network=network.float().eval())
    got, params = model.anomaly_of(x, "reconstruction"), naive.below(naive.arrays(network), "autoencoder")
    adjacency = static(skeleton=COCO17).astype(np.float32).astype(float)
    expected = np.zeros(2)
    for name in settings.training.transforms:
        copy = np.stack([naive.transform(window, name, COCO17) for window in x.astype(float)])
        z = naive.encode(copy, params, adjacency, SMALL)
        reconstruction = naive.decode(z, params, adjacency, SMALL)
        for i in range(2):
            expected[i] += naive.reconstruction_loss(copy[i], reconstruction[i]) / 5
    agree(got, expected, torch.float32)


def test_a_windows_score_is_minus_the_mean_log_likelihood_of_its_own_transforms():
    settings, network = small_network(temperature=20.0)
    normality = fit_normality(np.log(proportions()), NormalitySettings(components=3, every=1), seed=0)
    x = windows((2, 3, 6, 17)).float().numpy()
    model = TrainedModel(settings, normality, network=network.float().eval())
    log_p, params = model.assign(x), naive.arrays(network)
    assert log_p.shape == (2, 5, 4)
    adjacency = static(skeleton=COCO17).astype(np.float32).astype(float)
    expected = np.zeros(2)
    for g, name in enumerate(settings.training.transforms):
        copy = np.stack([naive.transform(window, name, COCO17) for window in x.astype(float)])
        z = naive.encode(copy, naive.below(params, "autoencoder"), adjacency, SMALL)
        p = naive.assignment(z, params["clustering.theta"], temperature=20.0)
        agree(np.exp(log_p[:, g]), p, torch.float32)
        expected -= normality.log_likelihood(np.log(p)) / 5
    np.testing.assert_allclose(model.anomaly_of(x), expected, rtol=1e-3)


@pytest.mark.parametrize("mode", FRAME_MODES)
@pytest.mark.parametrize(("fps", "stride"), [(24.0, 1), (30.0, 1), (24.0, 3)])
def test_windows_scores_become_rows_and_frames_scores(mode, fps, stride):
    tracks = walkers.clip(people=3, frames=60, fps=fps)
    rng = np.random.default_rng(0)
    keep = np.flatnonzero(
        ~((tracks.track == 1) & (tracks.frame > 20) & (tracks.frame < 31))  # a hole
        & ~((tracks.track == 2) & (tracks.frame % 13 == 5))  # flicker
        & ~((tracks.frame >= 45) & (tracks.frame < 50))  # nobody is there
    )
    fields = {name: getattr(tracks, name)[keep] for name in ("frame", "track", "keypoints", "boxes")}
    tracks = dataclasses.replace(tracks, **fields)
    found = make_windows(tracks, WindowSettings(), stride)
    anomaly = rng.normal(size=len(found))
    rows = row_scores(found, anomaly, tracks, mode, stride)
    agree(rows, naive.row_anomaly(found, anomaly, tracks, mode, stride))
    assert 0 < np.isnan(rows).sum() < len(rows)
    frames, worst = frame_scores(rows, tracks)
    expected = naive.frame_anomaly(rows, tracks)
    agree(frames, expected)
    assert np.isnan(frames[45:50]).all()
    for frame in np.flatnonzero(~np.isnan(expected)):
        assert rows[(tracks.frame == frame) & (tracks.track == worst[frame])] == expected[frame]


@pytest.mark.parametrize("causal", [False, True])
def test_gaussian_smoothing(causal):
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.uniform(0.02, 0.06, size=60))
    values = rng.normal(size=60)
    expected = naive.gaussian_smoothing(values, time_s, 0.1, causal, REACH_SIGMAS)
    agree(smooth(values, time_s, 0.1, causal), expected)


def test_percentiles():
    rng = np.random.default_rng(0)
    reference, scores = np.sort(rng.integers(0, 20, size=50)).astype(float), np.arange(-1.0, 22.0)
    agree(percentile(reference, scores), [naive.percentile(reference, score) for score in scores])
