"""Frame scores on real surveillance poses: HR-Avenue, as released with MPED-RNN, from GEPC_SAMPLE_DATA.

    GEPC_SAMPLE_DATA=... python -m benchmarks.real [--data avenue|cameras] [--seeds 0 1 2 3] [--out DIR] [--select]
        [--final] [--quick] [--set A.B=C]

Trains on the training clips, a fifth of which is held out to calibrate, and scores the test clips: the frames of
HR-Avenue, micro AUC (all frames together), macro AUC (mean over clips), AP, EER, mean and deviation over the seeds. A
seed is another start of training and other held-out clips; seeds are measured side by side, one on each core. Ends
with the figures of configs/default.yaml.

--data cameras trains on all of HR-ShanghaiTech's training clips and scores the test clips of six of its twelve cameras,
which are there to see what transfers; the other six are kept apart.

--select looks at no test clip: it trains on some of the training clips and finds abnormal motions put into the others
(`anomaly.training.injected`). Settings are chosen by that.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.figures import LabelledScores, evaluate
from anomaly.scoring.calibration import TailProbabilities
from anomaly.scoring.frame_scores import frame_scores, row_scores
from anomaly.scoring.model import Model
from anomaly.scoring.scores import score_clip
from anomaly.scoring.smoothing import smooth
from anomaly.training.held_out import split_held_out
from anomaly.training.injected import CHANGES, frames_of, inject
from anomaly.training.train import FittedNetwork, fit_network, fit_normality_and_calibrate
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.helpers.real_data import AVENUE, SHANGHAITECH, read, sample_data
from benchmarks.helpers.spread import spread
from benchmarks.mixtures import baselines
from pipeline.settings import Settings, load_settings
from pose_extract.tracks.records import ClipTracks

FINAL = "configs/default.yaml"
TITLES = {  # what was chosen on is told apart from what was not
    "avenue": "HR-Avenue, test clips; for the final figure",
    "cameras": "HR-ShanghaiTech, test clips of six cameras; used to choose",
    "select": "Motions injected into training clips; used to choose",
}
ALL = (
    "clustering", "reconstruction", "posture+swing", "motion", "motion+size", "motion+size+place", "posture+motion",
    "posture+motion+size", "posture+motion+size+place", "prediction", "pretext",
)  # fmt: skip
_MOVEMENT = ("motion+size", "posture+motion")
SUMS = {  # with equal weights
    "motion+size, posture+motion": _MOVEMENT,
    "those and prediction": (*_MOVEMENT, "prediction"),
    "those and clustering": ("clustering", *_MOVEMENT, "prediction"),
    "those and pretext: the default's": ("clustering", *_MOVEMENT, "prediction", "pretext"),
    "the same without clustering": (*_MOVEMENT, "prediction", "pretext"),
    "all of them": ALL,
}
PAPER = (  # the paper's form of every step, on the product's small network
    "windows.scale=none", "clustering.clusters=10", "clustering.bias=false", "clustering.temperature=1",
    "clustering.weight=0.6", "normality.form=gaussian", "scoring.tail=linear", "scoring.smoothing_s=1.6666667",
    "windows.min_certainty=0", "windows.min_joints=1",
)  # fmt: skip
SHORT = ("training.pretrain_epochs=1", "training.finetune_epochs=1", "windows.score_stride=4")
SMOOTHING_S = 0.8  # 20 frames, of the plain mixtures
Row = tuple[str, list[NDArray[np.float64]]]  # frame scores of each clip


@dataclasses.dataclass(frozen=True)
class Task:
    """Clips to learn from, and clips with labels: 0 normal, above 0 abnormal; kept: what counts.

    Attributes:
        overrides: of every config: the poses' frame rate, and whether there are several cameras.
    """

    normal: list[ClipTracks]
    test: list[ClipTracks]
    labels: list[NDArray[np.int64]]
    kept: list[NDArray[np.bool_]]
    overrides: tuple[str, ...] = ("windows.fps=25",)


def avenue(data: Path) -> Task:
    """HR-Avenue, with its test labels."""
    with np.load(data / "hr-avenue/masks.npz") as masks, np.load(data / "hr-avenue/hr_keep_mask.npz") as keep:
        labels = {name: masks[name].astype(np.int64) for name in masks.files}
        kept = {name: keep[name].astype(bool) for name in keep.files}
    test = read(data, AVENUE, "test", {name: len(label) for name, label in labels.items()})
    return Task(
        read(data, AVENUE, "train"), test, [labels[c.clip] for c in test], [kept[c.clip] for c in test]
    )


def cameras(data: Path) -> Task:
    """HR-ShanghaiTech: all training clips, and the test clips of six cameras with their labels."""
    with np.load(data / "hr-shanghaitech/dev_masks.npz") as masks:
        labels = {name: masks[name].astype(np.int64) for name in masks.files}
    test = read(data, SHANGHAITECH, "dev", {name: len(label) for name, label in labels.items()})
    kept = [np.ones(len(labels[clip.clip]), bool) for clip in test]
    train = read(data, SHANGHAITECH, "train")
    return Task(train, test, [labels[clip.clip] for clip in test], kept, ("windows.fps=24.97",))


def selection(data: Path) -> Task:
    """Training clips alone: two thirds to learn from, abnormal motions in the others, twice."""
    clips = read(data, AVENUE, "train")
    order = np.random.default_rng(1).permutation(len(clips))
    test, labels = [], []
    for seed in (0, 1):
        made, rows = inject([clips[i] for i in order[:5]], seed)
        test += made
        labels += [frames_of(clip, done) for clip, done in zip(made, rows, strict=True)]
    return Task([clips[i] for i in order[5:]], test, labels, [np.ones(len(m), bool) for m in labels])


def rows_of(task: Task, seed: int, args: argparse.Namespace) -> Iterator[Row]:
    """Every row's frame scores."""
    short = (*args.set, *(SHORT if args.quick else ()))
    wanted = load_settings("default", [*task.overrides, *short])
    if args.final:
        yield from _final(task, _rest(_network(task, wanted, seed)))
        return
    yield from _others(task, seed, short)
    every = load_settings("default", [*task.overrides, *short, f"scoring.parts=[{','.join(ALL)}]"])
    learned = _network(task, every, seed)
    yield from _steps(task, _rest(learned), ALL, SUMS)
    yield from _final(task, _rest(dataclasses.replace(learned, settings=wanted)))


def _final(task: Task, final: Model) -> Iterator[Row]:
    yield from _steps(task, final, final.settings.scoring.parts, {})
    name = ", ".join((FINAL, *task.overrides))  # a row names what differs from the file
    yield name, _by_product(final, task.test)
    online = dataclasses.replace(final.settings.scoring, frames="online")
    yield f"{name}, online", [score_clip(final, clip, online).frames.score for clip in task.test]


def _others(task: Task, seed: int, short: tuple[str, ...]) -> Iterator[Row]:
    fit, held_out = split_held_out(task.normal, 0.2, np.random.default_rng(seed))
    for name, frames in baselines(fit, held_out, task.test, seed):
        for sigma in (0.32, SMOOTHING_S) if len(name) > 17 else (0.32,):
            smoothed = [smooth(f, c.time_s, sigma) for f, c in zip(frames, task.test, strict=True)]
            yield f"{name}, sigma {sigma * 25:.0f} frames", smoothed
    for name, config, extra in (
        ("paper's form, small network", "clustering", PAPER),
        (", ".join(("configs/clustering.yaml", *task.overrides)), "clustering", ()),
    ):
        model = _rest(_network(task, load_settings(config, [*task.overrides, *extra, *short]), seed))
        yield name, _by_product(model, task.test)


def _steps(
    task: Task, model: Model, alone: tuple[str, ...], sums: dict[str, tuple[str, ...]]
) -> Iterator[Row]:
    """Parts each alone, and sums of some with equal weights."""
    scored = []
    for clip in task.test:
        windows = model.windows_of(clip)
        scored.append((clip, windows, model.parts(windows)))
    for name, parts in [*((f"{part} alone", (part,)) for part in alone), *sums.items()]:
        yield name, _sum(model, scored, parts)


def _network(task: Task, settings: Settings, seed: int) -> FittedNetwork:
    begun = time.perf_counter()
    learned = fit_network(list(task.normal), settings, seed)
    print(f"   network trained in {time.perf_counter() - begun:.0f} s", flush=True)
    return learned


def _rest(learned: FittedNetwork) -> Model:
    begun = time.perf_counter()
    model = fit_normality_and_calibrate(learned)
    took = time.perf_counter() - begun
    print(
        f"   fitted in {took:.0f} s on {model.facts['windows']} windows: {model.facts['parts']}", flush=True
    )
    return model


def _by_product(model: Model, clips: list[ClipTracks]) -> list[NDArray[np.float64]]:
    return [score_clip(model, clip).frames.score for clip in clips]


def _sum(model: Model, scored: list[Any], parts: tuple[str, ...]) -> list[NDArray[np.float64]]:
    assert model.calibration is not None
    picked = [model.settings.scoring.parts.index(part) for part in parts]
    weights = np.ones(len(picked))
    tails, out = TailProbabilities(model.calibration.parts[picked], weights), []
    for clip, windows, values in scored:
        stride = model.settings.windows.score_stride
        raw = frame_scores(row_scores(windows, tails.sum(values[picked]), clip, "backtracked", stride), clip)[
            0
        ]
        out.append(smooth(np.nan_to_num(raw, nan=0.0), clip.time_s, model.settings.scoring.smoothing_s))
    return out


def figures(task: Task, scores: list[NDArray[np.float64]]) -> dict[str, float]:
    """Micro and macro AUC, AP and EER; of injected motions, each one's AUC too."""
    made = [
        LabelledScores(c.clip, c.time_s, s, y > 0, k)
        for c, s, y, k in zip(task.test, scores, task.labels, task.kept, strict=True)
    ]
    found = evaluate(made)
    out = {"micro": found.auc_micro, "macro": found.auc_macro, "ap": found.ap, "eer": found.eer}
    if max(map(np.max, task.labels)) > 1:
        for i, name in enumerate(CHANGES):
            only = [
                dataclasses.replace(one, kept=(y == 0) | (y == 1 + i))
                for one, y in zip(made, task.labels, strict=True)
            ]
            out[name] = evaluate(only).auc_micro
    return out


def measure(seed: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Figures of every row for one seed, which are printed as they come."""
    data = sample_data()
    assert data is not None
    task = selection(data) if args.select else cameras(data) if args.data == "cameras" else avenue(data)
    if args.clips:
        few = slice(args.clips)
        task = Task(task.normal[few], task.test[few], task.labels[few], task.kept[few], task.overrides)
    out = {}
    for name, scores in rows_of(task, seed, args):
        out[name] = figures(task, scores)
        print(f"seed {seed}: {name:48s}" + "".join(f" {k} {v:.3f}" for k, v in out[name].items()), flush=True)
    return out


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--data", choices=("avenue", "cameras"), default="avenue")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--select", action="store_true")
    parser.add_argument("--quick", action="store_true", help="hardly trained, to try whether it runs")
    parser.add_argument("--clips", type=int, help="learn from and score only so many")
    parser.add_argument("--final", action="store_true", help="nothing but configs/default.yaml and its parts")
    parser.add_argument("--set", nargs="+", default=[], metavar="A.B=C", help="of the models")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    if data_or_skip("real") is None:
        return 0
    begun = time.perf_counter()
    found: dict[str, list[dict[str, float]]] = {}
    for rows in _each_seed(args):
        for name, row in rows.items():
            found.setdefault(name, []).append(row)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "real.json").write_text(json.dumps(found, indent=1))
    print(f"measured in {(time.perf_counter() - begun) / 60:.0f} min")
    print(f"### {TITLES['select' if args.select else args.data]}")
    print(table(found))
    prefix = "injected" if args.select else "hr_avenue" if args.data == "avenue" else "shanghaitech_dev"
    for key in ("micro", "macro"):
        final = next(rows for name, rows in found.items() if name.startswith(FINAL))
        print(f"{prefix}_{key}_auc = {spread([one[key] for one in final])}")
    return 0


def _each_seed(args: argparse.Namespace) -> Iterator[dict[str, dict[str, float]]]:
    """What `measure` gives for each seed; several seeds side by side, a process each."""
    if len(args.seeds) == 1:
        yield measure(args.seeds[0], args)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork of a process whose torch has run may wait for ever
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(args.seeds)), fresh) as pool:
        yield from pool.map(measure, args.seeds, [args] * len(args.seeds))


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Mean and deviation over seeds, as Markdown."""
    keys = list(next(iter(found.values()))[0])
    lines = [f"| | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name, seeds in found.items():
        values = [[one[key] for one in seeds] for key in keys]
        cells = [spread(one) for one in values]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
