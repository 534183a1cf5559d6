"""Pose against patch features on the synthetic street: what only pictures show, and what only movement shows.

python -m benchmarks.patches [--seeds 4] [--out DIR] [--set a.b=c]

For each street: normal clips to learn from, test clips with each behaviour and normal ones (config `ablation-patches`).
Joints and tracks have a pose estimator's errors; crops are cut out of rendered frames around those joints, and the
encoder is trained on the normal clips' crops. Prints a Markdown table, frame AUC of each behaviour's clips with the
normal ones, mean and deviation over streets, and the share of training's time that waited for features. With --out,
what was measured is kept, and a run that was cut off goes on.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from anomaly.bundle.card import read_card
from anomaly.evaluation.metrics import concatenated, frame_auc
from benchmarks.helpers.command import option_parser
from benchmarks.helpers.spread import spread
from pipeline.evaluation.ablate import trained
from pipeline.evaluation.evaluate import EvaluationSettings, score_labelled
from pipeline.experiments.data.street_clips import StreetClips
from pipeline.experiments.settings import load_experiment
from pipeline.scoring import load_scorer

FEATURES = ("pose", "patch", "pose+patch")


def measure(out: Path, seed: int, features: str, overrides: list[str]) -> dict[str, float]:
    """Figures of one street and kind of features: behaviour -> frame AUC, and what training found."""
    settings = load_experiment("ablation-patches", [*overrides, f"windows.features={features}"])
    street = StreetClips(settings.experiment, out / "street", settings.patches)
    path = out / "cells" / f"{features}-{seed}.json"
    key = json.dumps([street.identity(seed), overrides, repr(settings)], sort_keys=True, default=str)
    if path.is_file() and (known := json.loads(path.read_text()))["key"] == key:
        return known["figures"]
    begin = time.perf_counter()
    workspace, clips = street.clips(seed)
    own = trained(workspace, settings, seed, out, "cpu", quiet=True)
    scorer = load_scorer(own / "model")
    curves, _ = score_labelled(scorer, clips, EvaluationSettings(), features, quiet=True)
    by_clip = {scored.clip: scored for scored in curves["backtracked"]}
    figures = {}
    for act in settings.experiment.street_acts:
        chosen = [by_clip[f"clip{number}"] for number, acts in street.acts.items() if acts in ((act,), ())]
        figures[act] = frame_auc(*concatenated([c.score for c in chosen], [c.abnormal for c in chosen]))
    facts = read_card(own / "model")["facts"]
    figures |= {
        "waiting": facts["waiting"],
        "windows": facts["windows"],
        "seconds": time.perf_counter() - begin,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "figures": figures}))
    print(f"street {seed}, {features}: {figures}", file=sys.stderr, flush=True)
    return figures


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, help="keep clips, models and figures here")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="A.B=C")
    args = parser.parse_args(arguments)
    seeds = range(args.seeds)
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or Path(scratch)
        found = {
            features: [measure(out, seed, features, args.set) for seed in seeds] for features in FEATURES
        }
    acts = load_experiment("ablation-patches", args.set).experiment.street_acts
    print(f"| behaviour | {' | '.join(FEATURES)} |\n|---|{'---|' * len(FEATURES)}")
    for act in acts:
        print(f"| {act} | {' | '.join(spread([f[act] for f in found[name]]) for name in FEATURES)} |")
    waits = [f["waiting"] for name in FEATURES[1:] for f in found[name]]
    print(
        f"\nTraining on patch features waited for windows {max(waits):.1%} of its time at most "
        f"({np.mean(waits):.1%} on the whole)."
    )
    for name in FEATURES:
        for act in acts:
            print(
                f"patches_{name.replace('+', '_')}_{act}_auc = {np.mean([f[act] for f in found[name]]):.3f}"
            )
    print(f"patches_waiting = {max(waits):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
