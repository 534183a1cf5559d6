"""Pose networks with one person a call against eight, against the machine's matrix products, and as mmpose runs them.

    python -m benchmarks.pose_batches [--quick] [--device cpu|cuda|...]

Published configs, random weights, the forward pass alone. "plain" is mmpose's own form: batch norm apart, channels
first. Forms are run in turn, so that other work on the machine hits all of them; the best repetition counts. FLOPs are
those that `torch.utils.flop_counter` counts; a share is of the rate of a float32 product of two 1024 x 1024 matrices,
measured in the same turns. With one thread on a CPU the clock is the process's own.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.helpers.command import lacks_extra, option_parser
from benchmarks.helpers.random_weights import save_random
from pose_extract.estimators.openmmlab.compat import import_openmmlab
from pose_extract.estimators.openmmlab.names import pose_source
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings

POSES = ("rtmpose-t", "rtmpose-m", "hrnet-w32")
MANY = 8
GEMM_SIZE = 1024


def compare(
    scratch: Path, image: np.ndarray, quick: bool, device: str = "cpu", poses: Sequence[str] = POSES
) -> dict[str, float]:
    """Print times and rates of each network and number of threads; returns the figures of one thread."""
    import_openmmlab()
    values: dict[str, float] = {}
    for threads in (1, 2) if device == "cpu" else (1,):
        with _threads(threads):
            for pose in poses:
                if quick and (threads > 1 or pose == "hrnet-w32"):
                    continue
                found = _compare(pose, scratch, image, repeat=2 if quick else 4, device=device)
                if threads == 1:
                    values |= found
    return values


def _compare(pose: str, scratch: Path, image: np.ndarray, repeat: int, device: str) -> dict[str, float]:
    source = pose_source(OpenMMLabSettings(model=pose))
    path = scratch / f"{source.name}.pth"
    if not path.exists():
        save_random(source.config, "mmpose", path, image)
    network = Network(source.config, path, "mmpose", device, "fp32", "pose", {}).model
    plain = _plain(source.config, device)
    width, height = _input_size(network)
    people = torch.randn(MANY, 3, height, width, device=device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(people[:1], None, mode="tensor")
    flops = counter.get_total_flops()
    matrix = torch.randn(GEMM_SIZE, GEMM_SIZE, device=device)
    forms: dict[str, Callable[[], Any]] = {
        "one": lambda: [network(person[None], None, mode="tensor") for person in people],
        "many": lambda: network(people, None, mode="tensor"),
        "plain": lambda: plain(people, None, mode="tensor"),
        "product": lambda: matrix @ matrix,
    }
    best = _best_times(forms, repeat, device)
    rate = 2 * GEMM_SIZE**3 / best["product"]
    share = {form: flops * MANY / best[form] / rate for form in ("one", "many")}
    ms = {form: 1e3 * best[form] / MANY for form in ("one", "many", "plain")}
    print(
        f"{pose}, {torch.get_num_threads()} threads: {ms['one']:.2f} ms a person alone, {ms['many']:.2f} of {MANY}, "
        f"plain {ms['plain']:.2f} of {MANY}; {flops / 1e9:.2f} GFLOP a person, {share['one']:.0%} alone and "
        f"{share['many']:.0%} of {MANY} of the rate of matrix products ({rate / 1e9:.0f} GFLOP/s)",
        flush=True,
    )
    key = pose.replace("-", "_")
    return {
        f"{key}_batch_speedup": ms["one"] / ms["many"],
        f"{key}_share_of_products_alone": share["one"],
        f"{key}_fused_speedup": ms["plain"] / ms["many"],
    }


def _plain(config: Path, device: str) -> Any:
    """The model as mmpose builds it."""
    from mmpose.apis import init_model

    return init_model(str(config), None, device=device)


def _input_size(network: Any) -> tuple[int, int]:
    width, height = network.head.decoder.input_size
    return int(width), int(height)


def _best_times(forms: dict[str, Callable[[], Any]], repeat: int, device: str) -> dict[str, float]:
    """The shortest time of each, in seconds."""
    own = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if own else time.perf_counter
    best = dict.fromkeys(forms, float("inf"))
    for turn in range(repeat + 1):
        for name, form in forms.items():
            _wait(device)
            begin = clock()
            with torch.inference_mode():
                form()
            _wait(device)
            if turn:  # the first one warms up
                best[name] = min(best[name], clock() - begin)
    return best


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="one thread, without HRNet")
    parser.add_argument("--poses", nargs="+", choices=POSES, default=POSES)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    if lacks_extra("pose_batches", "openmmlab", "mmpose"):
        return 0
    picture = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in compare(Path(folder), picture, args.quick, args.device, args.poses).items():
            print(f"{name} = {value:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
