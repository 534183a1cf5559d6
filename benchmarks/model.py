"""The model's speed: the product's form against the naive one, and against the machine's matrix products.

    python -m benchmarks.model [--quick] [--threads 2] [--device cpu|cuda] [--batch 512] [--repeat 5]

Same weights, same windows, same batch, same machine, one run. Each form lives in a process of its own, as a user's
would, and they are told in turn to run a repetition, so that whatever else the machine does hits all of them; a ratio
is that of the fastest repetitions. What is timed:

- training: the steps of fine-tuning (equation 4), forward, backward, Adam, with the data path that makes the batches;
- scoring: from windows on tracks (naive: copied windows) to anomalies, five transforms each. The product runs encoder
  and clustering layer fused; the naive form the whole autoencoder.

The naive form runs with the allocator's defaults, and once more with the setting that the product makes for training.
FLOPs are those of the method, the same for both forms: as `torch.utils.flop_counter` counts convolutions and matrix
products of the naive form (graph convolutions with the weights first), forward and backward of the whole autoencoder
for a training step, forward of encoder and clustering layer for five transforms for a score. Their share of the rate of
a float32 product of two 2048 x 2048 matrices, measured in the same run with the same threads, is the gemm share. The
quick form has fewer repetitions of a smaller batch. On a GPU (or with --alone) the product is timed by itself, in
float32 and in bfloat16.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import chain, repeat

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import make_windows
from anomaly.networks.clustering import clustering_loss
from anomaly.networks.st_gcae import Network
from anomaly.normality.mixture import fit_normality
from anomaly.runtime.memory import keep_memory
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

    def loss(self, items, x):
        """Equation 4 on a batch, with a target that is given."""
        with mixed_precision(self.settings, self.device):
            z, reconstruction = self.network.autoencoder(x)
            log_p = self.network.clustering(z)
        rec = F.mse_loss(reconstruction.to(x.dtype), x)
        target = self.target[items.to(self.device)]
        weight = self.settings.clustering.weight
        return rec + weight * clustering_loss(log_p, target, self.settings.clustering)

    def step(self, items, x):
        """Forward, backward, Adam."""
        self.network.train()
        optimizer_step(self.optimizer, self.network, self.loss(items, x))

    def anomaly(self, count):
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

    def loss(self, items, x):
        """Equation 4 on a batch, with a target that is given."""
        log_p, reconstruction = self.naive(x)
        q = self.target[items]
        cluster = (q * (q.clamp_min(1e-12).log() - log_p)).sum(dim=1).mean()
        return F.mse_loss(reconstruction, x) + self.settings.clustering.weight * cluster

    def step(self, items, x):
        """Forward, backward, Adam."""
        self.naive.train()
        self.optimizer.zero_grad()
        self.loss(items, x.to(self.device)).backward()
        self.optimizer.step()

    @torch.no_grad()
    def anomaly(self, count):
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
    slope = float(theta.grad.norm())
    network.zero_grad(set_to_none=True)
    network.float().load_state_dict(state)
    for drop, rate in zip(drops, rates, strict=True):
        drop.p = rate
    return {"loss": loss.item(), "gradient": squares**0.5, "theta_gradient": slope}


def work(arguments: argparse.Namespace) -> None:
    """A worker: reads commands (JSON lines) and answers them."""
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(arguments.threads)
    if arguments.worker in ("fast", "kept"):
        keep_memory()
    kind = Naive if arguments.worker in ("naive", "kept") else Fast
    form = kind(make_settings(arguments.batch, arguments.precision), arguments.device)
    for line in sys.stdin:
        name, *values = json.loads(line)
        print(json.dumps(getattr(form, name)(*values)), file=answers, flush=True)


class Worker:
    """A form in a process of its own."""

    def __init__(self, name: str, arguments: argparse.Namespace, precision: str = "float32") -> None:
        command = [sys.executable, "-m", "benchmarks.model", "--worker", name, "--precision", precision]
        for option in ("threads", "batch", "device"):
            command += [f"--{option}", str(getattr(arguments, option))]
        threads = {f"{library}_NUM_THREADS": str(arguments.threads) for library in ("OMP", "MKL", "OPENBLAS")}
        self.results: dict[str, list[dict]] = {}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | threads
        )

    def do(self, name: str, *values: int) -> dict:
        """Have the worker run a method of its form; remembers and returns the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([name, *values]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the worker ended with {self.process.wait()}")
        result = json.loads(answer)
        self.results.setdefault(name, []).append(result)
        return result

    def best(self, name: str, key: str = "seconds") -> float:
        """The fastest repetition."""
        return min(result[key] for result in self.results[name])

    def median(self, name: str, key: str = "seconds") -> float:
        """The repetition in the middle."""
        return statistics.median(result[key] for result in self.results[name])

    def share_waited(self) -> float:
        """Share of the time of training that was spent on getting batches."""
        steps = self.results["train"]
        return sum(s["waited"] for s in steps) / sum(s["seconds"] for s in steps)


def compare(arguments: argparse.Namespace) -> None:
    """The forms on a CPU."""
    forms = {name: Worker(name, arguments) for name in ("naive", "fast", "kept")}
    naive, fast, kept = forms.values()
    scorer = Worker("scorer", arguments)  # the product sets the allocator for training only
    begun = time.perf_counter()
    for values in zip(naive.do("check").items(), fast.do("check").items(), strict=True):
        (name, expected), (_, got) = values
        print(f"{name} in float64: naive {expected:.9f}, fast {got:.9f}")
        if abs(got - expected) > 1e-7 * abs(expected):
            raise SystemExit(f"the forms disagree in their {name}")
    flops = naive.do("flops")
    for form in (naive, fast):  # before any step: the weights are the same
        form.do("score", CHECKED)
    expected, got = (np.array(form.results["score"][0]["anomaly"]) for form in (naive, fast))
    apart = np.abs(got / expected - 1).max()
    print(f"scores in float32 differ by at most {apart:.1e} of them")
    if apart > 1e-3:
        raise SystemExit("the forms disagree in their scores")
    for form in forms.values():
        form.do("train", 1)  # fills the allocator's and the optimiser's memory
        form.results.clear()
    scorer.do("score", CHECKED)
    scorer.results.clear()
    fast.results["score"] = scorer.results["score"] = []
    for number in range(arguments.repeat):
        for form in forms.values():
            if form is kept and number > arguments.repeat // 2:
                continue
            form.do("train", arguments.steps)
            (scorer if form is fast else form).do("score", arguments.batch)
            if form is fast:
                form.do("gemm")
        if time.perf_counter() - begun > arguments.seconds:
            break
    report(forms, flops, arguments)


def report(forms: dict[str, Worker], flops: dict, arguments: argparse.Namespace) -> None:
    naive, fast, kept = forms.values()
    rate = max(result["rate"] for result in fast.results["gemm"])
    print(
        f"threads {arguments.threads}, batch {arguments.batch}, {len(fast.results['train'])} repetitions of "
        f"{arguments.steps} steps; load {os.getloadavg()[0]:.1f}; matrix products {rate / 1e9:.0f} GFLOP/s"
    )
    print(f"FLOPs a window: training step {flops['train'] / 1e9:.3f} G, score {flops['score'] / 1e9:.3f} G")
    done = {"train": arguments.batch * arguments.steps, "score": arguments.batch}
    for name, form in forms.items():
        for what, windows in done.items():
            seconds = form.best(what)
            print(
                f"{name:5} {what}: {windows / seconds:.1f} windows/s, {1e3 * seconds / windows:.2f} ms a window "
                f"(median {1e3 * form.median(what) / windows:.2f}, CPU {1e3 * form.best(what, 'cpu') / windows:.2f}), "
                f"{flops[what] * windows / seconds / rate:.1%} of the gemm rate"
            )
        print(
            f"{name:5} waits for data {form.share_waited():.1%}; peak {form.do('peak')['mib']:.0f} MiB",
            flush=True,
        )
    for what in done:
        ratios = [
            one["seconds"] / two["seconds"]
            for one, two in zip(naive.results[what], fast.results[what], strict=True)
        ]
        print(
            f"{what}: same allocator setting {kept.best(what) / fast.best(what):.2f}, ratio of the medians "
            f"{naive.median(what) / fast.median(what):.2f}, of CPU time "
            f"{naive.best(what, 'cpu') / fast.best(what, 'cpu'):.2f}, of single repetitions "
            f"{min(ratios):.2f} to {max(ratios):.2f}"
        )
    print(f"train_step_ratio = {naive.best('train') / fast.best('train'):.2f}")
    print(f"score_ratio = {naive.best('score') / fast.best('score'):.2f}")
    print(f"train_gemm_share = {flops['train'] * done['train'] / fast.best('train') / rate:.3f}")
    print(f"score_gemm_share = {flops['score'] * done['score'] / fast.best('score') / rate:.3f}")


def alone(arguments: argparse.Namespace) -> None:
    """The product by itself: windows a second, and the share of the time that the device waits."""
    for precision in ("float32", "bfloat16"):
        worker = Worker("fast", arguments, precision)
        for number in range(arguments.repeat + 1):
            worker.do("train", arguments.steps)
            worker.do("score", arguments.batch * 2)
            if number == 0:
                worker.results.clear()
        train = arguments.batch * arguments.steps / worker.best("train")
        score = 2 * arguments.batch / worker.best("score")
        kind = torch.device(arguments.device).type
        print(f"{kind}_train_{precision} = {train:.0f}")
        print(f"{kind}_score_{precision} = {score:.0f}")
        print(f"{kind}_waits_{precision} = {worker.do('idle', arguments.steps)['share']:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", action="store_true", help="the product by itself; always so on a GPU")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--steps", type=int, help="training steps a repetition")
    parser.add_argument("--seconds", type=float, help="no further repetition after this time")
    parser.add_argument("--worker", choices=("naive", "fast", "scorer", "kept"), help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="float32", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.batch = arguments.batch or 512
    arguments.repeat = arguments.repeat or (2 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (45 if arguments.quick else 1800)
    arguments.steps = arguments.steps or (1 if arguments.device == "cpu" else 20)
    if arguments.worker:
        work(arguments)
    elif arguments.device == "cpu" and not arguments.alone:
        compare(arguments)
    else:
        alone(arguments)


if __name__ == "__main__":
    main()
