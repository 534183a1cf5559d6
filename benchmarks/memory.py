"""Memory of training on a million windows, of k-means and of the mixtures.

    python -m benchmarks.memory [--windows 1000000] [--stride 8] [--threads 1] [--part training ...]

Each part runs in a process of its own; its figure is the peak resident memory, everything included (Python, torch),
less the keypoints of the tracks.

- training: both phases, an epoch each, and all that follows, on generated tracks, with a network so small that it ends
  within minutes: what grows with the number of windows is the same.
- step: steps of the published network with batches of 512.
- kmeans: the initialisation of the clustering layer on as many published latent vectors as it takes.
- gaussian, logratio, dirichlet: the mixtures on the assignments of all windows in five transforms.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from anomaly.runtime.memory import keep_memory
from anomaly.scoring.scores import Progress
from anomaly.settings import ModelSettings, settings_from_dict
from anomaly.settings.normality import FORMS
from benchmarks.helpers.command import option_parser
from benchmarks.helpers.generated import wandering_clip

PARTS = ("training", "step", "kmeans", *FORMS)
GIB = 2**30
LIMIT_GIB = 4.0
PEOPLE, FRAMES = 20, 4000  # of a generated clip

SMALL = {
    "windows": {},
    "model": {
        "width": 4, "encoder": [1], "strides": [6], "decoder": [1], "upsampling": [6], "temporal_kernel": 1,
        "dropout": 0.0, "adjacencies": ["static"], "partition": "uniform",
    },
    "training": {"all_transforms": False, "pretrain_epochs": 1, "finetune_epochs": 1},
    "normality": {"max_iterations": 3},
    "calibration": {"held_out": 0.01},
}  # fmt: skip


def peak() -> int:
    """Bytes of the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def stages() -> Progress:
    """What prints each stage of a training, at its begin and its end, with the time and the most memory so far."""
    begun, last = time.perf_counter(), ""

    def progress(stage: str, done: int, total: int, facts: dict[str, Any]) -> None:
        nonlocal last
        if done == total or stage != last:
            print(
                f"  {stage} {done}/{total}: {time.perf_counter() - begun:.0f} s, peak {peak() / GIB:.2f} GiB",
                flush=True,
            )
        last = stage

    return progress


def training(windows: int, stride: int) -> int:
    from anomaly.training.train import train_model

    keep_memory()  # as `gepc-pipeline train` does
    settings = settings_from_dict({**SMALL, "windows": {"train_stride": stride}})
    count = round(windows / (1 - settings.calibration.held_out) * stride / (PEOPLE * (FRAMES - 11))) + 1
    keypoints = 0

    def clips():
        nonlocal keypoints
        for i in range(count):
            clip = wandering_clip(f"clip{i}", PEOPLE, FRAMES, seed=i)
            keypoints += clip.keypoints.nbytes
            yield clip
        print(f"{count} clips, keypoints {keypoints / GIB:.2f} GiB; peak so far {peak() / GIB:.2f} GiB")

    model = train_model(clips(), settings, progress=stages())
    print(f"trained on {model.facts['windows']} windows")
    return peak() - keypoints


def step(windows: int, stride: int) -> int:
    from benchmarks.model import Fast, make_settings

    keep_memory()
    form = Fast(make_settings(512), "cpu")
    form.train(2)
    return peak()


def kmeans(windows: int, stride: int) -> int:
    from anomaly.networks.st_gcae import Network

    settings = ModelSettings()
    layer = Network(settings).clustering
    count = min(windows * 5, settings.clustering.kmeans_windows)
    z = np.random.default_rng(0).normal(size=(count, layer.theta.shape[1])).astype(np.float32)
    layer.initialise(z, settings.clustering, seed=0)
    return peak()


def mixture(form: str, windows: int) -> int:
    from anomaly.normality.mixture import fit_normality

    settings = dataclasses.replace(ModelSettings().normality, form=form, max_iterations=5)
    rng = np.random.default_rng(0)
    log_p = np.log(rng.dirichlet(np.full(10, 0.5), 1000) + 1e-6).astype(np.float32)
    log_p = np.tile(log_p, (windows * 5 // 1000, 1))
    log_p += rng.standard_normal(log_p.shape, dtype=np.float32) / 10
    model = fit_normality(log_p, settings, seed=0)
    model.log_likelihood(log_p)
    return peak()


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--stride", type=int, default=ModelSettings().windows.train_stride)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.here:
        import torch

        torch.set_num_threads(args.threads)
        (part,) = args.part
        known = {"training": training, "step": step, "kmeans": kmeans}
        sizes = (args.windows, args.stride)
        used = known[part](*sizes) if part in known else mixture(part, args.windows)
        print(f"memory_{part}_gib = {used / GIB:.2f}")
        return int(used > LIMIT_GIB * GIB)
    failed = 0
    for part in args.part:
        command = [sys.executable, "-m", "benchmarks.memory", "--here", "--part", part]
        for option in ("windows", "stride", "threads"):
            command += [f"--{option}", str(getattr(args, option))]
        failed |= subprocess.run(command).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
