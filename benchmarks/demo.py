"""The demo over several seeds: frame AUC from video, and how good the extracted joints and tracks are.

"Cleaned" are tracks as scores see them: short gaps filled, who was hidden has a box.

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
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.metrics import id_switches, idf1, pck

FIGURES = (
    "frame AUC",
    "PCK@0.1",
    "PCK@0.1, cleaned",
    "PCK@0.1 of people found",
    "IDF1",
    "IDF1, cleaned",
    "identity switches a clip",
)


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
            cleaned, joints = clean_tracks(found, settings.cleaning), pck(found, truth)
            of_joints = joints.all, pck(cleaned, truth).all, joints.matched
            of_tracks = idf1(found, truth), idf1(cleaned, truth), id_switches(found, truth)
            quality.append((*of_joints, *of_tracks))
        means = np.mean(quality, axis=0)
        minutes = sum(result.seconds.values()) / 60
        rows.append((result.auc, *means))
        print(f"seed {seed}: {_cells(rows[-1:])}, {minutes:.1f} min", flush=True)
    print(f"### From video\n\n| seed | {' | '.join(FIGURES)} |\n|---{'|---' * len(FIGURES)}|")
    for seed, row in zip(seeds, rows, strict=True):
        print(f"| {seed} | {_cells([row])} |")
    print(f"| all | {_cells(rows)} |\n")
    print(f"demo_frame_auc = {spread([row[0] for row in rows])} ({len(rows)} seeds)")


def _cells(rows: list[tuple[float, ...]]) -> str:
    """Mean and deviation of each figure."""
    return " | ".join(
        spread(values, ".1f" if name == "identity switches a clip" else ".3f")
        for name, values in zip(FIGURES, zip(*rows, strict=True), strict=True)
    )


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
