"""The model that comes with the package, `builtin:walkers`: train it anew, and see what it is worth on real poses.

    GEPC_SAMPLE_DATA=... python -m benchmarks.walkers [--make DIR]

It has seen nothing but the normal clips of five synthetic streets (configs/walkers.yaml), joints and tracks with the
errors that were measured from rendered video. Scored are the test clips of HR-Avenue and of six cameras of
HR-ShanghaiTech: their labels were not used to choose it. --make trains it and writes the bundle to DIR: the shipped one
is pipeline/builtin/walkers.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from anomaly.bundle import load_bundle
from anomaly.evaluation.figures import LabelledScores, evaluate
from anomaly.scoring.scores import score_clip
from benchmarks.forms import FULL, LITTLE, Amount, Street
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.real import Task, avenue, cameras
from pipeline.adding import add_clip
from pipeline.builtin import builtin_model
from pipeline.settings import load_settings
from pipeline.training import train
from pipeline.workspace import Workspace

STREETS = range(500, 505)  # no others are measured with them


def make(folder: Path, streets: range = STREETS, amount: Amount = FULL) -> None:
    """Train the model and write its bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Path(scratch))
        for number in streets:
            for clip in Street(number, amount).normal:
                name = f"street_{number}_{clip.clip}"
                estimator = {"name": "synthetic street"}
                add_clip(
                    workspace,
                    replace(clip, clip=name),
                    source="synthetic street",
                    key=name,
                    estimator=estimator,
                )
        train(workspace, load_settings("walkers"), quiet=True)
        shutil.copytree(workspace.model, folder, dirs_exist_ok=True)


def measure(name: str, task: Task) -> None:
    """Print what the shipped model finds in a set's test clips."""
    model = load_bundle(builtin_model("builtin:walkers"))
    scored = []
    for clip, labels, kept in zip(task.test, task.labels, task.kept, strict=True):
        frames = score_clip(model, clip).frames
        scored.append(
            LabelledScores(
                clip.clip, frames.time_s, frames.score, labels[: len(frames)] > 0, kept, frames.alarm
            )
        )
    figures = evaluate(scored)
    print(f"walkers_{name}_micro_auc = {figures.auc_micro:.3f}")
    print(f"walkers_{name}_macro_auc = {figures.auc_macro:.3f}")
    print(f"walkers_{name}_normal_alarm_share = {figures.normal_alarm_share:.3f}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Make, or measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--make", type=Path, metavar="DIR", help="train the model and write it there")
    parser.add_argument("--quick", action="store_true", help="one street, to try whether it runs")
    args = parser.parse_args(arguments)
    if args.make:
        make(args.make, *((STREETS[:1], LITTLE) if args.quick else ()))
        size = sum(path.stat().st_size for path in args.make.iterdir())
        print(f"walkers_mb = {size / 1e6:.2f}")
        return 0
    data = data_or_skip("walkers")
    if data is None:
        return 0
    measure("avenue", avenue(data))
    measure("cameras", cameras(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
