"""Extraction with `openmmlab`: milliseconds a frame of each stage, and what is not the networks' time.

    python -m benchmarks.extract [--pose NAME ...] [--video FILE] [--quick] [--device cpu|cuda|...] [--precision bf16]
        [--processor-time]

Runs the real thing, `extract_all`, on a clip of the synthetic street (or on --video) with the presets named
(lightweight and balanced), or with pose models and RTMDet-nano (RTMPose-t). Weights that are in the cache are used;
else they are random, see `benchmarks.helpers.random_weights`: then five boxes a frame are taken for people, wherever
people are. Then:

- `openmmlab.detect_every` 5 against 1;
- decoding while the networks work against decoding when they wait, on the same clip scaled up to 1920x1080;
- the pose networks with 1 and 8 people in a call, on 1 and 2 threads: `benchmarks.pose_batches`.

The two of a pair run in turn, twice (once with --quick), and the best run counts.

Loading networks and opening the video are left out of the times a frame; they are printed by themselves.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import pose_batches
from benchmarks.helpers.command import lacks_extra, option_parser, ratio_of_pairs
from benchmarks.helpers.random_weights import save_random
from pipeline.extraction import people as extraction
from pipeline.extraction.run import ExtractReport, extract_all, find_all_sources
from pipeline.settings import Settings, load_settings
from pipeline.synthetic.clips import render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workspace import Workspace
from pose_extract.estimators.downloads import cached, is_whole
from pose_extract.estimators.openmmlab.compat import import_openmmlab
from pose_extract.estimators.openmmlab.names import PRESETS, detector_source, pose_source
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.video import VideoWriter

NETWORKS = ("openmmlab.detector", "openmmlab.pose")
STAGES = ("decoding", "openmmlab.prepare", *NETWORKS, "openmmlab.decode", "estimating", "tracking", "writing")
LARGE = (1920, 1080)


class Bench:
    """A clip, and extraction from it.

    Args:
        args: of the command line.
        scratch: an empty folder.
    """

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.args, self.scratch, self.runs = args, scratch, 0
        self.images = list(render_clip(simulate_clip("street", 1, StreetSettings(seconds=args.seconds))))
        self.video = args.video or self.write("street", self.images)

    def write(self, name: str, images: Iterable[np.ndarray]) -> Path:
        """A video of these pictures."""
        images = list(images)
        height, width = images[0].shape[:2]
        with VideoWriter(self.scratch / f"{name}.mp4", 24, (width, height)) as video:
            for image in images:
                video.write(image)
        return self.scratch / f"{name}.mp4"

    def settings(self, pose: str, **others: Any) -> Settings:
        """Settings with this pose model and its preset's detector or RTMDet-nano, with published weights if here."""
        chosen = OpenMMLabSettings(
            model=pose,
            detector="" if pose in PRESETS else "rtmdet-nano-person",
            device=self.args.device,
            precision=self.args.precision,
        )
        sources = {"checkpoint": pose_source(chosen), "detector_checkpoint": detector_source(chosen)}
        for key, source in sources.items():
            if "://" in source.weights and is_whole(cached(source.weights), source.weights):
                continue
            path = self.scratch / f"{source.name}.pth"
            if not path.exists():
                print(f"{source.name}: no weights in the cache, random ones are used")
                save_random(source.config, "mmpose" if key == "checkpoint" else "mmdet", path, self.images[0])
            weights: dict[str, Any] = {key: str(path)}
            chosen = replace(chosen, **weights)
        if chosen.detector_checkpoint:
            chosen = replace(chosen, max_people=5)
        settings = load_settings()
        return replace(
            settings,
            pose=replace(settings.pose, estimator="openmmlab"),
            openmmlab=replace(chosen, **others),
        )

    def run(self, settings: Settings, video: Path) -> ExtractReport:
        """Extract a video anew."""
        self.runs += 1
        workspace = Workspace(self.scratch / f"workspace{self.runs}")
        report = extract_all(find_all_sources([str(video)]), workspace, settings, quiet=True)
        for _, error in report.failed:
            raise error
        return report

    def speedup(self, *forms: tuple[str, Settings, Path, bool]) -> float:
        """How many times as fast the second form is: the median of pairs that run in turn.

        Args:
            forms: two of: name, settings, video, whether to decode ahead.
        """
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(1 if self.args.quick else 3):
            for own, (name, settings, video, ahead) in zip(times, forms, strict=True):
                with nullcontext() if ahead else not_ahead():
                    own.append(show(name, self.run(settings, video))[0])
        return ratio_of_pairs(*times)


def per_frame(report: ExtractReport) -> dict[str, float]:
    """Milliseconds a frame of each stage."""
    return {stage: 1e3 * report.timings.get(stage, 0.0) / report.made[0].frames for stage in STAGES}


def show(name: str, report: ExtractReport) -> tuple[float, float]:
    """Print the stages; returns milliseconds a frame, and the share that is not the networks'."""
    made, times = report.made[0], per_frame(report)
    total = sum(times.values())
    share = 1 - sum(times[network] for network in NETWORKS) / total
    stages = ", ".join(f"{stage.removeprefix('openmmlab.')} {ms:.2f}" for stage, ms in times.items())
    print(
        f"{name}: {made.frames} frames, {made.rows / made.frames:.1f} people a frame, {total:.1f} ms a frame: "
        f"{stages}; {share:.1%} is not the networks'. Loading {report.timings['loading']:.1f} s, "
        f"opening {report.timings['opening']:.2f} s",
        flush=True,
    )
    return total, share


@contextmanager
def not_ahead() -> Generator[None, None, None]:
    """Extraction that decodes a batch when it needs it."""
    ahead = extraction.prefetch
    extraction.prefetch = lambda items, size: (item for item in items)
    try:
        yield
    finally:
        extraction.prefetch = ahead


def measure(args: argparse.Namespace, scratch: Path) -> None:
    import_openmmlab()
    bench = Bench(args, scratch)
    values: dict[str, float] = {}
    for pose in args.pose:
        settings = bench.settings(pose)
        key = pose.replace("-", "_")
        total, share = show(pose, bench.run(settings, bench.video))
        values[f"openmmlab_{key}_ms_a_frame"] = total
        values[f"openmmlab_{key}_overhead_share"] = share
    settings = bench.settings(args.pose[0])
    every = bench.settings(args.pose[0], detect_every=5, frames_per_batch=20)
    values["openmmlab_detect_every_5_speedup"] = bench.speedup(
        ("detector at every frame", settings, bench.video, True), ("at every 5th", every, bench.video, True)
    )
    large = bench.write("large", (cv2.resize(image, LARGE) for image in bench.images))
    values["openmmlab_overlap_speedup"] = bench.speedup(
        ("1080p, decoded when needed", every, large, False), ("1080p, decoded meanwhile", every, large, True)
    )
    if not args.quick:
        values |= pose_batches.compare(scratch, bench.images[0], quick=False, device=args.device)
    for name, value in values.items():
        print(f"{name} = {value:.3f}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--pose", nargs="+", default=["lightweight", "balanced", "rtmpose-t"])
    parser.add_argument("--video", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="time the process's use of processors instead of the clock: for a machine that is shared",
    )
    parser.add_argument(
        "--quick", action="store_true", help="2 s of video instead of 6, and no networks alone"
    )
    parser.add_argument("--seconds", type=float, help="length of the street's clip")
    args = parser.parse_args(arguments)
    args.seconds = args.seconds or (2 if args.quick else 6)
    if lacks_extra("extract", "openmmlab", "mmpose"):
        return 0
    if args.processor_time:
        time.perf_counter = time.process_time
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
