"""The model's speed: the product's form against the naive one, and against the machine's matrix products.

    python -m benchmarks.model [--quick] [--threads 2] [--device cpu|cuda] [--batch 512] [--repeat 5]

Same weights, same windows, same batch, same machine, one run. Each form lives in a process of its own, as a user's
would, and they are told in turn to run a repetition, so that whatever else the machine does hits all of them; a ratio
is the median of the ratios of repetitions that follow each other. What is timed:

- training: the steps of fine-tuning (equation 4), forward, backward, Adam, with the data path that makes the batches;
- scoring: from windows on tracks (naive: copied windows) to anomalies, five transforms each. The product runs encoder
  and clustering layer fused; the naive form the whole autoencoder.

The naive form runs with the allocator's defaults, and once more with the setting that the product makes for training.
FLOPs are those of the method, the same for both forms: as `torch.utils.flop_counter` counts convolutions and matrix
products of the naive form (graph convolutions with the weights first), forward and backward of the whole autoencoder
for a training step, forward of encoder and clustering layer for five transforms for a score. Their share of the rate of
a float32 product of two 2048 x 2048 matrices, measured in the same run with the same threads, is the gemm share. The
quick form has smaller batches. On a GPU (or with --alone) the product is timed by itself, in
float32 and in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from anomaly.runtime.memory import keep_memory
from benchmarks.helpers.command import option_parser, range_of_pairs, ratio_of_pairs
from benchmarks.helpers.model_forms import CHECKED, Fast, Form, Naive, make_settings


def work(arguments: argparse.Namespace) -> None:
    """A worker: reads commands (JSON lines) and answers them."""
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(arguments.threads)
    if arguments.worker in ("fast", "kept"):
        keep_memory()
    kind = Naive if arguments.worker in ("naive", "kept") else Fast
    form: Form = kind(make_settings(arguments.batch, arguments.precision), arguments.device)
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

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def seconds(self, name: str) -> list[float]:
        """Of each repetition."""
        return [result["seconds"] for result in self.results[name]]

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
    for worker in (*forms.values(), scorer):
        worker.close()


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
        print(
            f"{what}: same allocator setting {kept.best(what) / fast.best(what):.2f}, ratio of the medians "
            f"{naive.median(what) / fast.median(what):.2f}, of CPU time "
            f"{naive.best(what, 'cpu') / fast.best(what, 'cpu'):.2f}, of single repetitions "
            f"{range_of_pairs(naive.seconds(what), fast.seconds(what))}"
        )
    for what, name in (("train", "train_step_ratio"), ("score", "score_ratio")):
        print(f"{name} = {ratio_of_pairs(naive.seconds(what), fast.seconds(what)):.2f}")
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
        worker.close()


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="batches of 256")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--alone", action="store_true", help="the product by itself; always so on a GPU")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--steps", type=int, help="training steps a repetition")
    parser.add_argument("--seconds", type=float, help="no further repetition after this time")
    parser.add_argument("--worker", choices=("naive", "fast", "scorer", "kept"), help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="float32", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    args.batch = args.batch or (256 if args.quick else 512)
    args.repeat = args.repeat or 5
    args.seconds = args.seconds or (75 if args.quick else 1800)
    args.steps = args.steps or (1 if args.device == "cpu" else 20)
    if args.worker:
        work(args)
    elif args.device == "cpu" and not args.alone:
        compare(args)
    else:
        alone(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
