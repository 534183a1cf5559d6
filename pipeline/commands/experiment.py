"""`gepc-pipeline experiment`: the paper's tables and figures, measured anew."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pipeline.commands.options import (
    add_device,
    add_ray,
    add_set,
    add_workspace,
    cluster_from,
    whole_number,
)

HELP = "measure the paper's tables anew: table1, table2, figure5 or ablation, on your data or synthetic data"
EXAMPLE = """\
example:
  gepc-pipeline experiment table2 --out table2/ --processes 2
  gepc-pipeline experiment table2 --config ntu --set dataset.root=NTU/ --out ntu/ --device cuda
  gepc-pipeline experiment figure5 --out figure5/ --splits meaningful
  gepc-pipeline experiment table1 --config shanghaitech --set dataset.root=ShanghaiTech/ --out table1/
  gepc-pipeline experiment ablation --out ablation/ --seeds 0 1
  gepc-pipeline experiment table2 --out table2/ --ray auto

table1 is the fine-grained setting (frame AUC), table2 the coarse-grained one (AUC of clips of actions), figure5 puts
abnormal clips among the training clips, ablation leaves parts of the model out. Without a data set's --config, clips
are synthetic: nothing is downloaded. Interrupted, the same command goes on where it was; several at a time may work on
the same --out."""

NAMES = ("table1", "table2", "figure5", "ablation")
_WITHOUT = {
    "table1": ("splits",),
    "ablation": ("methods", "splits"),
}  # options that mean nothing to an experiment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("experiment", choices=NAMES, help="which")
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="a shipped config or a YAML file (default: actions for table2 and figure5, table1 for the others)",
    )
    add_set(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the tables and cells"
    )
    parser.add_argument(
        "--seeds", type=whole_number(0), nargs="+", metavar="N", help="seeds (default: the config's)"
    )
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="methods (default: all that can be measured)"
    )
    parser.add_argument(
        "--splits", nargs="+", metavar="NAME", help="splits by name, or random, meaningful (default: all)"
    )
    parser.add_argument(
        "--processes",
        type=whole_number(1, 256),
        metavar="N",
        help="processes, of one thread each (default: 1)",
    )
    add_ray(parser)
    add_workspace(parser)
    add_device(parser, "cpu", "where networks are trained and run")


def run(args: argparse.Namespace) -> int:
    """Measure, tabulate; exit code 8 if something failed."""
    from pipeline.experiments.plans import DEFAULT_CONFIG, PLANS, Request, facts_of
    from pipeline.experiments.running import tables
    from pipeline.experiments.running.cells import Store
    from pipeline.experiments.running.processes import run as measure
    from pipeline.experiments.settings import load_experiment
    from pipeline.settings import load_config
    from pipeline.workspace import Workspace
    from pose_extract.devices import pick_device
    from pose_extract.errors import TrainingError, UsageError

    for name in _WITHOUT.get(args.experiment, ()):
        if getattr(args, name):
            raise UsageError(f"--{name}: {args.experiment} has no {name} to choose from")
    config, overrides = args.config or DEFAULT_CONFIG[args.experiment], list(args.set)
    for name in ("seeds", "methods", "splits"):
        if getattr(args, name):
            overrides.append(f"experiment.{name}={json.dumps(getattr(args, name))}")
    settings = load_experiment(config, overrides)
    nested = load_config(config, overrides)
    workspace, device = Workspace(args.workspace, not args.no_wait), pick_device(args.device)
    plan = PLANS[args.experiment](Request(nested, settings, args.out, workspace, device, args.quiet))
    facts = facts_of(args.experiment, settings, config, overrides)

    def write(store: Store) -> None:
        plan.write(args.out, facts, store)

    workers = args.processes or 1 if args.ray is None else cluster_from(args, args.processes)
    store = measure(plan.experiment, args.out, workers, args.quiet, write)
    tables.show(plan.write(args.out, facts, store))
    print(
        f"tables are in {args.out}: {args.experiment}.md, .csv, .json; every cell in {args.experiment}-cells.csv"
    )
    results = store.results()
    failed = [result for result in results if result.failed]
    args.result.update(
        tables=args.out, results=len(results), failed=[str(result.failed) for result in failed]
    )
    for result in failed:
        print(f"failed: {result.cell.name}, {result.method}: {result.failed}")
    unmeasured = len(plan.experiment.cells()) * len(plan.experiment.methods) - len(results)
    if unmeasured:
        print(f"failed: {unmeasured} results are not there; start the same command again")
    return TrainingError.exit_code if failed or unmeasured else 0
