"""The normality mixture by variational inference and by sampling: held-out log likelihood, and time.

    python -m benchmarks.inference --out DIR [--data synthetic utd_mhad nw_ucla] [--seeds 0 1] [--sweeps 40]

A model is trained on some normal actions of each data set, both ways round (a few, many); its mixture is fitted to the
training clips' soft assignments by each inference and scores those of normal test clips, of other people. Mean log
likelihood of a vector, in nats: comparable within a form, not between forms. utd_mhad and nw_ucla need
GEPC_SAMPLE_DATA.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.action_data import SOURCES, RealActions, overrides
from benchmarks.helpers.command import option_parser
from pipeline.experiments import table2
from pipeline.experiments.data.splits import pick_splits
from pipeline.experiments.data.synthetic_actions import SyntheticActions
from pipeline.experiments.methods.coarse import Actions, Coarse
from pipeline.experiments.running.processes import quiet_training
from pipeline.experiments.settings import load_experiment

SPLITS = {"synthetic": "gestures", "utd_mhad": "hands", "nw_ucla": "picking"}
FORMS = ("gaussian", "logratio", "dirichlet")
INFERENCES = ("variational", "gibbs")


def measure(data: str, changes: list[str], seeds: list[int], sweeps: int, folder: Path) -> None:
    """Print a line for each direction, form and seed."""
    from anomaly.normality.mixture import fit_normality

    actions: Actions
    if data == "synthetic":
        settings = load_experiment("actions", changes)
        actions = SyntheticActions(settings)
    else:
        settings = load_experiment("actions", [*overrides(data), *changes])
        actions = RealActions(data, Path(os.environ["GEPC_SAMPLE_DATA"]))
    tasks = table2.tasks(pick_splits(actions.splits, [SPLITS[data]]), settings.experiment.directions, seeds)
    experiment = Coarse(settings, actions, tasks, ["ours-clustering"], folder / data)
    for cell in experiment.cells():
        shared = experiment.begin(cell)
        model = shared.methods.trained()
        normal = shared.test.windows.pick(np.flatnonzero(~shared.abnormal[shared.test.clip]))
        learned, tested = (
            model.assign(windows.x).reshape(-1, model.settings.clustering.clusters)
            for windows in (shared.methods.windows, normal)
        )
        for form in FORMS:
            found = []
            for inference in INFERENCES:
                own = replace(settings.normality, form=form, inference=inference)
                own = replace(own, max_iterations=sweeps) if inference == "gibbs" else own
                start = time.process_time()
                mixture = fit_normality(learned, own, cell.seed)
                seconds = time.process_time() - start
                each = mixture.log_likelihood(tested)
                found.append((each, mixture.components_used, seconds))
            (a, a_used, a_s), (b, b_used, b_s) = found
            of_people = (b - a).reshape(len(normal), -1).mean(axis=1)  # a person's transforms go together
            apart, error = of_people.mean(), of_people.std(ddof=1) / np.sqrt(len(of_people))
            print(
                f"| {data} | {cell.facts['direction']} | {cell.seed} | {form} | {len(learned)} | {a.mean():.2f} | "
                f"{b.mean():.2f} | {apart:+.2f} ± {1.96 * error:.2f} | {a_used} | {b_used} | {a_s:.1f} | {b_s:.1f} |",
                flush=True,
            )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table in Markdown."""
    from anomaly.runtime.processors import on_processors

    parser = option_parser(__doc__)
    parser.add_argument("--data", nargs="+", choices=tuple(SPLITS), default=list(SPLITS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--sweeps", type=int, default=40)
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="A.B=C")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    there = "GEPC_SAMPLE_DATA" in os.environ
    heads = (
        "data",
        "normal",
        "seed",
        "form",
        "vectors",
        *INFERENCES,
        "gibbs better by (95 %)",
        "components",
        "",
        "s",
        "",
    )
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    with on_processors(1), quiet_training():
        for data in args.data:
            if data in SOURCES and not there:
                print(f"{data}: skipped, GEPC_SAMPLE_DATA is not set")
            else:
                measure(data, args.set, args.seeds, args.sweeps, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
