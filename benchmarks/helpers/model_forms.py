"""The product's model and the naive one under the same commands, for `benchmarks.model`."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Iterator
from itertools import chain, repeat

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import make_windows
from anomaly.networks.clustering import clustering_loss
from anomaly.networks.st_gcae import Network
from anomaly.normality.mixture import fit_normality
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import ModelSettings
from anomaly.training.steps import make_optimizer, mixed_precision, optimizer_step
from benchmarks.helpers.generated import wandering_clip
from benchmarks.helpers.naive_model import NaiveData, NaiveNetwork

GEMM_SIZE = 2048
CHECKED = 32  # windows on which both forms must agree


def make_settings(batch: int, precision: str = "float32") -> ModelSettings:
    settings = ModelSettings()  # the published ones
    return dataclasses.replace(
        settings,
        training=dataclasses.replace(settings.training, batch_size=batch, precision=precision),
        normality=dataclasses.replace(settings.normality, every=1),
    )


class Form:
    """What both forms have: windows, weights, a target distribution, a mixture."""

    batches: Iterator[tuple[Tensor, Tensor]]

    def __init__(self, settings: ModelSettings, device: str) -> None:
        self.settings, self.device = settings, device
        windows = 4 * settings.training.batch_size
        tracks = wandering_clip("generated", people=8, frames=windows // 8 + 11, seed=0)
        self.windows = make_windows(tracks, settings.windows, stride=1)
        torch.manual_seed(0)
        self.network = Network(settings)
        clusters = settings.clustering.clusters
        torch.nn.init.normal_(self.network.clustering.theta, std=0.05)
        p = np.random.default_rng(0).dirichlet(np.full(clusters, 0.5), len(self.windows) * 5)
        self.target = torch.from_numpy(p.astype(np.float32)).to(device)
        self.normality = fit_normality(np.log(p[:1000] + 1e-6), settings.normality, seed=0)

    def loss(self, items: Tensor, x: Tensor) -> Tensor:
        """Equation 4 on a batch, with a target that is given."""
        raise NotImplementedError

    def step(self, items: Tensor, x: Tensor) -> None:
        """Forward, backward, Adam."""
        raise NotImplementedError

    def anomaly(self, count: int) -> np.ndarray:
        """Scores of the first ``count`` windows."""
        raise NotImplementedError

    def clock(self) -> float:
        """Seconds, when the device has done what it was told."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

    def train(self, steps: int) -> dict:
        """Seconds that steps of training take; "waited" are those spent on getting the batch."""
        begin, waited, cpu = self.clock(), 0.0, time.process_time()
        for _ in range(steps):
            before = time.perf_counter()
            items, x = next(self.batches)
            waited += time.perf_counter() - before
            self.step(items, x)
        return {"seconds": self.clock() - begin, "waited": waited, "cpu": time.process_time() - cpu}

    def score(self, count: int) -> dict:
        """Seconds that the scores of ``count`` windows take."""
        begin, cpu = self.clock(), time.process_time()
        anomaly = self.anomaly(count)
        return {
            "seconds": self.clock() - begin,
            "cpu": time.process_time() - cpu,
            "anomaly": anomaly[:CHECKED].tolist(),
        }

    def gemm(self) -> dict:
        """The machine's rate of float32 matrix products."""
        a = torch.randn(GEMM_SIZE, GEMM_SIZE, device=self.device)
        out, best = torch.empty_like(a), float("inf")
        for _ in range(4):
            begin = self.clock()
            torch.mm(a, a, out=out)
            best = min(best, self.clock() - begin)
        return {"seconds": best, "rate": 2 * GEMM_SIZE**3 / best}

    def peak(self) -> dict:
        """The most memory that the process has had."""
        return {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


class Fast(Form):
    """The product's parts, as `anomaly.training.train` and `anomaly.scoring.torch_model` put them together."""

    def __init__(self, settings: ModelSettings, device: str) -> None:
        super().__init__(settings, device)
        self.network.to(device)
        self.model = TrainedModel(settings, self.normality, network=self.network)
        self.data = TrainingSet(self.windows, settings, device)
        rng = np.random.default_rng(0)
        epochs = chain.from_iterable(self.data.epoch(rng) for _ in repeat(None))
        self.batches = ((torch.from_numpy(items), x) for items, x, _ in epochs)
        self.optimizer = make_optimizer(self.network, settings.training.finetune_rate, settings)

    def loss(self, items: Tensor, x: Tensor) -> Tensor:
        """Equation 4 on a batch, with a target that is given."""
        with mixed_precision(self.settings, self.device):
            z, reconstruction = self.network.autoencoder(x)
            log_p = self.network.clustering(z)
        rec = F.mse_loss(reconstruction.to(x.dtype), x)
        target = self.target[items.to(self.device)]
        weight = self.settings.clustering.weight
        return rec + weight * clustering_loss(log_p, target, self.settings.clustering)

    def step(self, items: Tensor, x: Tensor) -> None:
        """Forward, backward, Adam."""
        self.network.train()
        optimizer_step(self.optimizer, self.network, self.loss(items, x))

    def anomaly(self, count: int) -> np.ndarray:
        """Scores of the first ``count`` windows."""
        return self.model.anomaly(dataclasses.replace(self.windows, start=self.windows.start[:count]))

    def idle(self, steps: int) -> dict:
        """The share of the time of training steps in which the GPU has nothing to do; on a CPU, that of waiting."""
        if not self.device.startswith("cuda"):
            result = self.train(steps)
            return {"share": result["waited"] / result["seconds"]}
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            seconds = self.train(steps)["seconds"]
        busy = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6
        return {"share": max(0.0, 1 - busy / seconds)}

    def check(self):
        """See `check`."""
        return check(self, self.network, self.network.clustering.theta)


class Naive(Form):
    """The naive form."""

    def __init__(self, settings: ModelSettings, device: str) -> None:
        super().__init__(settings, device)
        x = self.windows.x.copy()
        self.x, self.naive = x, NaiveNetwork(settings).load(self.network.state_dict()).to(device)
        self.data = NaiveData(x, settings.training.transforms, settings.windows.body)
        loader = DataLoader(self.data, batch_size=settings.training.batch_size, shuffle=True, drop_last=True)
        self.batches = chain.from_iterable(loader for _ in repeat(None))
        rate, decay = settings.training.finetune_rate, settings.training.weight_decay
        self.optimizer = torch.optim.Adam(self.naive.parameters(), lr=rate, weight_decay=decay)

    def loss(self, items: Tensor, x: Tensor) -> Tensor:
        """Equation 4 on a batch, with a target that is given."""
        log_p, reconstruction = self.naive(x)
        q = self.target[items]
        cluster = (q * (q.clamp_min(1e-12).log() - log_p)).sum(dim=1).mean()
        return F.mse_loss(reconstruction, x) + self.settings.clustering.weight * cluster

    def step(self, items: Tensor, x: Tensor) -> None:
        """Forward, backward, Adam."""
        self.naive.train()
        self.optimizer.zero_grad()
        self.loss(items, x.to(self.device)).backward()
        self.optimizer.step()

    @torch.no_grad()
    def anomaly(self, count: int) -> np.ndarray:
        """Scores of the first ``count`` windows."""
        self.naive.eval()
        transforms = len(self.settings.training.transforms)
        items = torch.utils.data.Subset(self.data, range(count * transforms))
        loader = DataLoader(items, batch_size=self.settings.training.batch_size)
        log_p = np.concatenate([self.naive(x.to(self.device))[0].cpu().numpy() for _, x in loader])
        return -self.normality.log_likelihood(log_p).reshape(count, transforms).mean(axis=1)

    def check(self):
        """See `check`."""
        return check(self, self.naive, self.naive.theta)

    def flops(self):
        """FLOPs of one window's training step, and of its score."""
        x, items = torch.from_numpy(self.x[:8]), torch.arange(8)
        state = {name: value.clone() for name, value in self.naive.state_dict().items()}
        self.naive.train()
        with FlopCounterMode(display=False) as training:
            self.loss(items, x).backward()
        self.naive.zero_grad()
        self.naive.load_state_dict(state)  # batch norm has seen a batch
        self.naive.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as scoring:
            _ = self.naive.encoder(x).flatten(1) @ self.naive.theta.T
        transforms = len(self.settings.training.transforms)
        return {
            "train": training.get_total_flops() / 8,
            "score": scoring.get_total_flops() / 8 * transforms,
        }


def check(form: Form, network: torch.nn.Module, theta: torch.nn.Parameter) -> dict:
    """The loss and norms of its gradient in training, without dropout, before the first step.

    In float64: float32 gradients of 16 blocks differ by 0.1 % when sums are only taken in another order.
    """
    state = {name: value.clone() for name, value in network.state_dict().items()}
    drops = [part for part in network.modules() if isinstance(part, torch.nn.Dropout)]
    rates = [drop.p for drop in drops]
    for drop in drops:
        drop.p = 0.0
    network.double().train()
    x = torch.from_numpy(form.windows.batch(slice(CHECKED))).double()
    loss = form.loss(torch.arange(CHECKED), x.to(form.device))
    loss.backward()
    squares = sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None)
    assert theta.grad is not None
    slope = float(theta.grad.norm())
    network.zero_grad(set_to_none=True)
    network.float().load_state_dict(state)
    for drop, rate in zip(drops, rates, strict=True):
        drop.p = rate
    return {"loss": loss.item(), "gradient": squares**0.5, "theta_gradient": slope}
