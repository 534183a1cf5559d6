"""The demo over several seeds: frame AUC from video, and how good the extracted joints and tracks are.

python -m benchmarks.demo [--seeds 3] [--out DIR] [--pose NAME]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import option_parser
from benchmarks.helpers.spread import spread
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.demo import DemoSettings, run_demo
from pipeline.settings import Settings, load_settings
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.metrics import id_switches, idf1, pck


def measure(folder: Path, seeds: list[int], demo: DemoSettings, settings: Settings) -> None:
    rows = []
    for seed in seeds:
        out = folder / f"seed_{seed}"
        result = run_demo(out, settings, demo, seed, quiet=True)
        workspace = Workspace(out / "workspace")
        quality = []
        for truth_path in sorted((out / "videos").glob("*/*.truth.npz")):
            truth = load_tracks(truth_path)
            found = load_tracks(workspace.tracks_path(truth.clip))
            joints = pck(found, truth)
            quality.append((joints.all, joints.matched, idf1(found, truth), id_switches(found, truth)))
        means = np.mean(quality, axis=0)
        minutes = sum(result.seconds.values()) / 60
        print(
            f"seed {seed}: frame_auc {result.auc:.3f}, PCK@0.1 {means[0]:.3f} (of people found {means[1]:.3f}), "
            f"IDF1 {means[2]:.3f}, id switches a clip {means[3]:.1f}, {minutes:.1f} min",
            flush=True,
        )
        rows.append((result.auc, means[0], means[2]))
    for name, values in zip(
        ("demo_frame_auc", "demo_pck", "demo_idf1"), zip(*rows, strict=True), strict=True
    ):
        print(f"{name} = {spread(values)} ({len(rows)} seeds)")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each clip")
    parser.add_argument("--clips", type=int, default=5, help="clips to learn from")
    add_pose(parser)
    add_set(parser)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    demo = DemoSettings(args.clips, args.seconds, args.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        settings = load_settings("default", [*args.set, *pose_overrides(args.pose)])
        measure(args.out or Path(scratch), list(range(args.seeds)), demo, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
