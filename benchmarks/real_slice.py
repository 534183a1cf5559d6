"""A slice of real surveillance poses, learned from and scored in two minutes: what an accuracy loss shows in.

    GEPC_SAMPLE_DATA=... python -m benchmarks.real_slice [--data avenue cameras] [--seeds 0 1] [--holes]

avenue: of HR-Avenue every fifth training clip and every fourth test clip. cameras: of six cameras of HR-ShanghaiTech
every 25th training clip and every eighth test clip. configs/default.yaml, trained shortly (`SHORT`). Prints the frame
AUC (micro and macro) of the score and of each of its parts alone; the parts' weights, and their levels: the mean of
minus log tail probability over the test clips' windows, 1 where all is as in the held-out clips. These do not say how
good the default is: `tests/benchmarks/test_real_slice.py` holds them, so that a part that has been broken fails the
build, also where the others make up for it.

--holes: the test clips as a motion sensor would have recorded them, seconds to days missing at four places of each.
Prints how many people in single frames are scored in each, and the micro AUC, of the clips as they are recorded and of
every stretch between two holes as a clip of its own, through cleaning and all.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from anomaly.scoring.calibration import TailProbabilities
from anomaly.scoring.frame_scores import frame_scores, row_scores
from anomaly.scoring.model import Model
from anomaly.scoring.scores import score_clip
from anomaly.scoring.smoothing import smooth
from anomaly.training.train import train_model
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.real import Task, avenue, cameras, figures
from pipeline.scoring import Scorer, score_chunks
from pipeline.settings import load_settings
from pose_extract.tracks.records import cut_frames

SHORT = (
    "training.pretrain_epochs=2", "training.finetune_epochs=1", "training.most_windows=4000", "windows.train_stride=12",
    "windows.score_stride=6", "densities.predictor_epochs=5", "densities.pretext_epochs=3", "densities.folds=2",
    "clustering.kmeans_starts=1",
)  # fmt: skip
DATA = ("avenue", "cameras")
_HOLES = 4  # in each test clip


def slice_of(data: Path, name: str) -> Task:
    """A few clips of a data set, evenly out of all."""
    if name == "avenue":
        task, learn, test = avenue(data), 5, 4
    else:
        task, learn, test = cameras(data), 25, 8
        seen = {clip.clip[:2] for clip in task.test}  # of the cameras that are tested
        task = Task([c for c in task.normal if c.clip[:2] in seen], task.test, task.labels, task.kept)
    return Task(task.normal[::learn], task.test[::test], task.labels[::test], task.kept[::test])


def trained(task: Task, seed: int) -> Model:
    """The default, trained shortly on the slice's normal clips."""
    return train_model(list(task.normal), load_settings("default", list(SHORT)), seed=seed)


def measured(model: Model, task: Task) -> dict[str, float]:
    """Micro and macro AUC of the score and of each part alone, the parts' levels and weights."""
    names, stride = model.settings.scoring.parts, model.settings.windows.score_stride
    by_name: dict[str, list[np.ndarray]] = {"score": [], **{name: [] for name in names}}
    assert model.calibration is not None
    tails = [TailProbabilities(part[None], np.ones(1)) for part in model.calibration.parts]
    levels: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for clip in task.test:
        scores = score_clip(model, clip)
        by_name["score"].append(scores.frames.score)
        for name, tail, values in zip(names, tails, scores.windows.parts, strict=True):
            logs = tail.sum(values[None])
            levels[name].append(logs[np.isfinite(values)])
            rows = row_scores(scores.windows.windows, logs, clip, "backtracked", stride)
            raw = np.nan_to_num(frame_scores(rows, clip)[0], nan=0.0)
            by_name[name].append(smooth(raw, clip.time_s, model.settings.scoring.smoothing_s))
    found: dict[str, float] = {}
    for name, frames in by_name.items():
        made = figures(task, frames)
        found |= {f"{name}, {kind}": made[kind] for kind in ("micro", "macro")}
    for name, weight in zip(names, model.calibration.weights, strict=True):
        found |= {
            f"{name}, level": float(np.concatenate(levels[name]).mean()),
            f"{name}, weight": float(weight),
        }
    return found


def measured_with_holes(model: Model, task: Task) -> dict[str, float]:
    """People in single frames that are scored, and micro AUC, of clips with holes and of their stretches alone."""
    scorer, rng = Scorer(model, load_settings("default", list(SHORT))), np.random.default_rng(0)
    scored = {"holes": 0, "stretches": 0}
    frames: dict[str, list[np.ndarray]] = {name: [] for name in scored}
    for clip in task.test:
        begins = np.sort(rng.choice(np.arange(1, clip.frame_count), _HOLES, replace=False))
        missing_s = np.zeros(clip.frame_count)
        missing_s[begins] = 10 ** rng.uniform(0.3, 5.5, _HOLES)
        with_holes = replace(clip, time_s=clip.time_s + missing_s.cumsum())
        pieces = [cut_frames(with_holes, a, b) for a, b in pairwise([0, *begins.tolist(), clip.frame_count])]
        for name, parts in (("holes", [with_holes]), ("stretches", pieces)):
            found = [scores for part in parts for _, _, scores in score_chunks(scorer, part)]
            scored[name] += sum(int(np.isfinite(scores.row_score).sum()) for scores in found)
            frames[name].append(np.concatenate([scores.frames.score for scores in found]))
    return {
        **{f"{name}, people scored": count for name, count in scored.items()},
        **{f"{name}, micro": figures(task, values)["micro"] for name, values in frames.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--holes", action="store_true", help="clips with holes in their time instead")
    args = parser.parse_args(arguments)
    data = data_or_skip("real_slice")
    if data is None:
        return 0
    for name in args.data:
        task = slice_of(data, name)
        for seed in args.seeds:
            measure = measured_with_holes if args.holes else measured
            for key, value in measure(trained(task, seed), task).items():
                print(
                    f"{name}, seed {seed}, {key} = {value:.{0 if isinstance(value, int) else 3}f}", flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
