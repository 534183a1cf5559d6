"""Many videos on many cores: how much faster, what a clip costs, and whether a growing list of clips stays as quick.

    python -m benchmarks.scale [--part jobs|overhead|list|training|scoring ...] [--jobs 2] [--clips 8] [--seconds 10]
        [--many 2000] [--epochs 3] [--ray]

jobs: extraction of short clips of the street by so many processes, by one, and by one that has a single core, in turn
(one alone uses several cores too: it decodes beside the estimator, whose networks have two threads); before it, what
so many processes gain that do nothing but multiply matrices: no more can be had on this machine. overhead: as many
clips of one picture each, by an estimator that sleeps 50 ms: what a clip takes beyond that. list: a workspace's list of
clips that grows to five times --many, the last tenth against the first. training: an epoch of the network by one
thread, by so many threads, and by so many processes of one thread that torchrun starts; all of training, of four
times as many clips, by one processor and by so many. scoring: frames and poses of tracks that are there that one core
scores in a second, and how many times as fast that is as to ask every part of the score about every window. --ray: as
many workers of a Ray cluster on this machine, which runs already, as well.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.helpers.command import option_parser, range_of_pairs, ratio_of_pairs
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workers import Cluster, Jobs
from pipeline.workers.processes import share_of_processors
from pipeline.workspace import ClipEntry, Workspace

SLEEP_S = 0.05
_WHOLE = 4  # times as many clips, of which all of training is measured, once
SLEEPER = f"""
import time
import numpy as np
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import PoseDetections


class Sleeper(PoseEstimator):
    name, skeleton, network_stages = "sleeper", "coco17", ()

    def __init__(self, options=None):
        self.identity, self.timings = {{"name": self.name}}, {{}}

    def start(self, fps, frame_size):
        pass

    def estimate(self, frames):
        time.sleep({SLEEP_S})
        return [PoseDetections.empty(17) for _ in frames]
"""


def multiplied(seconds: float) -> int:
    """How many matrices one core multiplies in that time."""
    matrix, count = np.ones((600, 600), np.float32), 0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        matrix @ matrix
        count += 1
    return count


def limit(jobs: int, seconds: float) -> float:
    """How many times as fast so many processes multiply matrices, which share memory and caches, as one alone does."""
    with share_of_processors(1), ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(multiplied, [seconds / 4] * jobs))  # they have started
        alone = pool.submit(multiplied, seconds).result()
        return sum(pool.map(multiplied, [seconds] * jobs)) / alone


def by_jobs(args: argparse.Namespace, scratch: Path) -> None:
    """Print how many times as fast several processes are."""
    most = limit(args.jobs, args.seconds / 2)
    print(f"scale_limit = {most:.2f}   (of {args.jobs} processes that only multiply matrices)")
    videos = scratch / "videos"
    for number in range(args.clips):
        street = StreetSettings(seconds=args.seconds)
        write_clip(simulate_clip(f"street_{number}", 300 + number, street), videos)
    sources = find_all_sources([str(videos)])
    settings = load_settings("default", args.set)
    forms: dict[str, Jobs] = {"core": 1, "1": 1, "jobs": args.jobs}
    if args.ray:
        forms["ray"] = Cluster(workers=args.jobs)
    times: dict[str, list[float]] = {name: [] for name in forms}
    for run in range(args.runs):
        tracks = {}
        for jobs, spent in times.items():
            workspace = Workspace(scratch / f"by_{jobs}_{run}")
            with on_one_core() if jobs == "core" else nullcontext():
                report = extract_all(sources, workspace, settings, quiet=True, jobs=forms[jobs])
            spent.append(report.seconds)
            paths = [workspace.tracks_path(entry.clip) for entry in report.made]
            tracks[jobs] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
            frames = sum(entry.frames for entry in report.made)
            print(
                f"{jobs}: {frames} frames in {report.seconds:.1f} s, {frames / report.seconds:.1f} a second"
            )
        assert len({tuple(found) for found in tracks.values()}) == 1, "tracks depend on --jobs"
    for name, key in (("1", "scale_jobs_speedup"), ("core", "scale_jobs_speedup_over_one_core")):
        ratio, between = (f(times[name], times["jobs"]) for f in (ratio_of_pairs, range_of_pairs))
        print(f"{key} = {ratio:.2f}   ({between}; {args.jobs} processes on {os.cpu_count()} cores)")
    if args.ray:
        ratio, between = (f(times["ray"], times["jobs"]) for f in (ratio_of_pairs, range_of_pairs))
        print(f"scale_ray_time_ratio = {ratio:.2f}   ({between}; of Ray's time to that of as many processes)")


@contextmanager
def on_one_core() -> Iterator[None]:
    """Let this process, and what it starts, have one core within the block."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def install_sleeper(site: Path) -> None:
    """Install the estimator that sleeps where this process, and those that it starts, find it."""
    info = site / "sleeper_poses-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper-poses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gepc.estimators]\nsleeper = sleeper_poses:Sleeper\n")
    (site / "sleeper_poses.py").write_text(SLEEPER)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"


def overhead(args: argparse.Namespace, scratch: Path) -> None:
    """Print what a clip takes beyond what its estimator takes."""
    rng = np.random.default_rng(0)
    for number in range(args.many):
        folder = scratch / "pictures" / f"clip_{number:05d}"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "0.png"), rng.integers(0, 255, (32, 32, 3), np.uint8))
    folders = sorted((scratch / "pictures").iterdir())
    sources = find_all_sources([str(folder) for folder in folders])
    settings = load_settings("default", ["pose.estimator=sleeper", "video.fps=25"])
    forms: dict[str, Jobs] = {"": args.jobs} | ({"_ray": Cluster(workers=args.jobs)} if args.ray else {})
    for name, jobs in forms.items():
        workspace, when = Workspace(scratch / f"many{name}"), [time.perf_counter()]

        def ended(*_: object, when: list[float] = when) -> None:
            when.append(time.perf_counter())

        report = extract_all(sources, workspace, settings, quiet=True, jobs=jobs, ended=ended)
        assert len(report.made) == len(workspace.entries()) == args.many
        each = np.diff(when) * args.jobs
        tenth = max(1, args.many // 10)
        print(f"{args.many} clips by {args.jobs} workers in {report.seconds:.1f} s")
        print(
            f"scale{name}_overhead_ms = {1e3 * (np.mean(each[1:]) - SLEEP_S):.1f}   "
            f"(a clip, beyond {1e3 * SLEEP_S:g} ms)"
        )
        print(f"scale{name}_last_tenth_ratio = {np.mean(each[-tenth:]) / np.mean(each[1 : tenth + 1]):.2f}")


def growing_list(args: argparse.Namespace, scratch: Path) -> None:
    """Print what adding to a long list of clips takes, against a short one."""
    count, when = 5 * args.many, []
    with Workspace(scratch / "list").index() as index:
        for number in range(count):
            begun = time.perf_counter()
            name, key = f"clip_{number}", hashlib.sha256(str(number).encode()).hexdigest()
            assert index.find(key, name) is None
            index.add(ClipEntry(name, f"/videos/{name}.mp4", key, True, 100, 200, 2, 4.0, "movenet", 0.9))
            when.append(time.perf_counter() - begun)
            time.sleep(0.001)
    tenth = count // 10
    first, last = (1e3 * float(np.mean(part)) for part in (when[:tenth], when[-tenth:]))
    print(f"{count} clips: {first:.2f} ms each in the first tenth, {last:.2f} ms in the last")
    print(f"scale_list_last_ms = {last:.2f}")


def learn(args: argparse.Namespace) -> None:
    """Print as JSON how many windows there are, and seconds: of all of training, or of the fastest later epoch."""
    from anomaly.runtime import distributed
    from anomaly.training.train import fit_network, fit_normality_and_calibrate

    whole = args.learn == "whole"
    count = _WHOLE * args.clips if whole else args.clips
    clips = [simulate_clip(f"c{n}", 800 + n, StreetSettings(seconds=20)).truth for n in range(count)]
    overrides = [] if whole else [f"training.pretrain_epochs={args.epochs}", "training.finetune_epochs=0"]
    ended: list[float] = []

    def progress(stage: str, done: int, total: int, facts: dict[str, Any]) -> None:
        if stage == "pretrain":
            ended.append(time.perf_counter())

    with distributed.joined("cpu") as device:
        begun = time.perf_counter()
        learned = fit_network(clips, load_settings("default", overrides).for_model(), 0, device, progress)
        if whole:
            fit_normality_and_calibrate(learned)
        seconds = time.perf_counter() - begun if whole else min(b - a for a, b in pairwise(ended))
        if distributed.is_main():
            print(json.dumps({"windows": len(learned.windows), "seconds": seconds}))


def training(args: argparse.Namespace, scratch: Path) -> None:
    """Print how many times as fast several threads, processes and processors learn."""
    work = ["-m", "benchmarks.scale", "--clips", str(args.clips), "--epochs", str(args.epochs), "--learn"]
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={args.jobs}"]
    forms = {
        "one": (1, [*work, "epoch"]),
        "threads": (args.jobs, [*work, "epoch"]),
        "processes": (1, [*together, *work, "epoch"]),
        "whole, one": (1, [*work, "whole"]),
        "whole": (args.jobs, [*work, "whole"]),
    }
    times: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(args.runs):
        for name, (processors, command) in forms.items():
            if number and "whole" in name:
                continue
            with share_of_processors(processors):
                run = [sys.executable, "-W", "ignore", *command]
                done = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.strip().splitlines()[-1])
            times[name].append(found["seconds"])
            print(f"{name}: {found['windows']} windows, {found['seconds']:.1f} s")
    for name, one in (("threads", "one"), ("processes", "one"), ("whole", "whole, one")):
        ratio, between = (f(times[one], times[name]) for f in (ratio_of_pairs, range_of_pairs))
        print(f"scale_training_{name} = {ratio:.2f}   ({between}; {args.jobs} on {os.cpu_count()} cores)")


def scoring(args: argparse.Namespace, scratch: Path) -> None:
    """Print how fast tracks that are there are scored by one core, in processor time."""
    import torch

    from anomaly.training.train import train_model
    from pipeline.scoring import Scorer, score_chunks

    torch.set_num_threads(1)
    # Crowds, so that it is people that take the time, and every one of them with an estimator's errors.
    street = StreetSettings(seconds=2 * args.seconds, people=(4, 6))
    clips = [estimated(simulate_clip(f"c{n}", 900 + n, street).truth, n) for n in range(args.clips)]
    settings = load_settings("default", args.set)
    model = train_model(clips, settings.for_model(), seed=0)
    calibration, windows = model.fitted_calibration, model.settings.windows
    everything = replace(
        model,
        settings=replace(model.settings, windows=replace(windows, score_stride=1)),
        calibration=replace(calibration, weights=np.maximum(calibration.weights, 1e-9)),
    )
    forms = {"default": Scorer(model, settings), "every window, every part": Scorer(everything, settings)}
    times: dict[str, list[float]] = {name: [] for name in forms}
    frames, poses = sum(clip.frame_count for clip in clips), sum(map(len, clips))
    for _ in range(args.runs):
        for name, scorer in forms.items():
            begun = time.process_time()
            for clip in clips:
                for _ in score_chunks(scorer, clip):
                    pass
            times[name].append(time.process_time() - begun)
            print(f"{name}: {frames} frames, {poses} poses in {times[name][-1]:.1f} s of one core")
    seconds = min(times["default"])
    print(f"scale_scoring_frames_per_second = {frames / seconds:.0f}")
    print(f"scale_scoring_poses_per_second = {poses / seconds:.0f}")
    ratio, between = (
        f(times["every window, every part"], times["default"]) for f in (ratio_of_pairs, range_of_pairs)
    )
    print(f"scale_scoring_speedup = {ratio:.2f}   ({between})")


PARTS = {
    "jobs": by_jobs,
    "overhead": overhead,
    "list": growing_list,
    "training": training,
    "scoring": scoring,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--runs", type=int, default=3, help="pairs of them")
    parser.add_argument(
        "--epochs", type=int, default=3, help="of training, of which the fastest after the first counts"
    )
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--set", nargs="*", default=[], metavar="A.B=C", help="of the extraction")
    parser.add_argument("--ray", action="store_true")
    # What `training` starts.
    parser.add_argument("--learn", choices=("epoch", "whole"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.learn:
        learn(args)
        return 0
    with tempfile.TemporaryDirectory() as site:
        install_sleeper(Path(site))
        if args.ray:
            import ray

            ray.init(address="local", num_cpus=args.jobs, include_dashboard=False, log_to_driver=False)
        for part in args.part:
            with tempfile.TemporaryDirectory() as folder:
                PARTS[part](args, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
