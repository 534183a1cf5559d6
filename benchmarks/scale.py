"""Many videos on many cores: how much faster, what a clip costs, and whether a growing list of clips stays as quick.

    python -m benchmarks.scale [--part jobs|overhead|list ...] [--jobs 2] [--clips 8] [--seconds 4] [--many 2000]

jobs: extraction of short clips of the street by so many processes and by one, in turn. overhead: as many clips of one
picture each, by an estimator that sleeps 50 ms: what a clip takes beyond that. list: a workspace's list of clips that
grows to five times --many, the last tenth against the first.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.helpers.command import option_parser, range_of_pairs, ratio_of_pairs
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workspace import ClipEntry, Workspace

SLEEP_S = 0.05
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


def by_jobs(args: argparse.Namespace, scratch: Path) -> None:
    """Print how many times as fast several processes are."""
    videos = scratch / "videos"
    for number in range(args.clips):
        street = StreetSettings(seconds=args.seconds)
        write_clip(simulate_clip(f"street_{number}", 300 + number, street), videos)
    sources = find_all_sources([str(videos)])
    settings = load_settings("default", args.set)
    times: dict[int, list[float]] = {1: [], args.jobs: []}
    for run in range(args.runs):
        tracks = {}
        for jobs, spent in times.items():
            workspace = Workspace(scratch / f"by_{jobs}_{run}")
            report = extract_all(sources, workspace, settings, quiet=True, jobs=jobs)
            spent.append(report.seconds)
            paths = [workspace.tracks_path(entry.clip) for entry in report.made]
            tracks[jobs] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
            frames = sum(entry.frames for entry in report.made)
            print(
                f"jobs {jobs}: {frames} frames in {report.seconds:.1f} s, {frames / report.seconds:.1f} a second"
            )
        assert len({tuple(found) for found in tracks.values()}) == 1, "tracks depend on --jobs"
    ratio, between = (f(times[1], times[args.jobs]) for f in (ratio_of_pairs, range_of_pairs))
    print(f"scale_jobs_speedup = {ratio:.2f}   ({between}; {args.jobs} processes on {os.cpu_count()} cores)")


def overhead(args: argparse.Namespace, scratch: Path) -> None:
    """Print what a clip takes beyond what its estimator takes."""
    site = scratch / "site"
    info = site / "sleeper_poses-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper-poses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gepc.estimators]\nsleeper = sleeper_poses:Sleeper\n")
    (site / "sleeper_poses.py").write_text(SLEEPER)
    sys.path.insert(0, str(site))
    os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    rng = np.random.default_rng(0)
    for number in range(args.many):
        folder = scratch / "pictures" / f"clip_{number:05d}"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "0.png"), rng.integers(0, 255, (32, 32, 3), np.uint8))
    folders = sorted((scratch / "pictures").iterdir())
    sources = find_all_sources([str(folder) for folder in folders])
    settings = load_settings("default", ["pose.estimator=sleeper", "video.fps=25"])
    workspace, when = Workspace(scratch / "many"), [time.perf_counter()]
    report = extract_all(
        sources, workspace, settings, quiet=True, jobs=args.jobs, ended=lambda *_: when.append(time.perf_counter())
    )  # fmt: skip
    assert len(report.made) == len(workspace.entries()) == args.many
    each = np.diff(when) * args.jobs
    tenth = max(1, args.many // 10)
    print(f"{args.many} clips by {args.jobs} processes in {report.seconds:.1f} s")
    print(
        f"scale_overhead_ms = {1e3 * (np.mean(each[1:]) - SLEEP_S):.1f}   (a clip, beyond {1e3 * SLEEP_S:g} ms)"
    )
    print(f"scale_last_tenth_ratio = {np.mean(each[-tenth:]) / np.mean(each[1 : tenth + 1]):.2f}")


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


PARTS = {"jobs": by_jobs, "overhead": overhead, "list": growing_list}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each clip")
    parser.add_argument("--runs", type=int, default=3, help="pairs of them")
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--set", nargs="*", default=[], metavar="A.B=C", help="of the extraction")
    args = parser.parse_args(arguments)
    for part in args.part:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](args, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
