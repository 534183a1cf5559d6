"""`gepc-pipeline ablate`: what each setting is worth, in one table."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.labelled_options import add_labelled, inputs, labelled_clips
from pipeline.commands.options import add_config, add_device, add_workspace, whole_number

HELP = "train and evaluate with settings varied one by one, and put it into a table"
EXAMPLE = """\
example:
  gepc-pipeline ablate --masks masks/ --out ablation/ --vary clustering.clusters=8,16,32 --seeds 0 1 2
  gepc-pipeline ablate --masks masks/ --out ablation/ \\
      --vary model.adjacencies=[static],[static,global],[static,global,inferred] \\
      --vary clustering.assignment=softmax,student --vary clustering.target=whole,batch \\
      --vary normality.form=gaussian,logratio,dirichlet --vary windows.frames=12,18,24

Trains on the workspace's training clips. Each value is tried with everything else as in --config, which comes first,
as "base"; with --grid, every value with every other. Interrupted, the same command goes on where it was.
Settings that are chosen by this table should be chosen on other clips than those that are reported in the end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE,VALUE,...",
        help="a setting and the values to try, in YAML; may be repeated (default: only the base, for its deviation "
        "over seeds)",
    )
    parser.add_argument(
        "--grid", action="store_true", help="all combinations, not one setting at a time (default)"
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(0),
        nargs="+",
        default=[0],
        metavar="N",
        help="seeds of training (default: 0)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the tables and the models"
    )
    add_labelled(parser)
    add_workspace(parser)
    add_config(parser)
    add_device(parser, "auto", "where models are trained and run")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate, tabulate; exit code 8 if a cell failed."""
    from pipeline.evaluation.ablate import make_cells, parse_factor, run_cells
    from pipeline.evaluation.ablation_report import print_table, write_tables
    from pipeline.evaluation.evaluate import EvaluationSettings
    from pipeline.settings import load_config, load_settings
    from pipeline.workspace import Workspace
    from pose_extract.errors import TrainingError, UsageError

    if len(set(args.seeds)) < len(args.seeds):
        raise UsageError(f"--seeds: expected different numbers, got {' '.join(map(str, args.seeds))}")
    evaluation = EvaluationSettings(args.protocol, args.normalise)
    factors = [parse_factor(text) for text in args.vary]
    settings = load_settings(args.config, args.set)
    cells = make_cells(load_config(args.config, args.set), factors, args.grid)
    workspace = Workspace(args.workspace, not args.no_wait)
    clips = labelled_clips(args, workspace, None if args.masks else settings.dataset, train=True)
    how = "all combinations" if args.grid else "one setting at a time, the others as in base"
    heading = (
        f"Ablation: {how}; {len(cells)} cells, seeds {', '.join(map(str, args.seeds))}; mean ± standard deviation. "
        + evaluation.describe()
    )
    facts = {
        "how": "grid" if args.grid else "one factor at a time",
        "factors": {f.key: list(f.values) for f in factors},
        "seeds": args.seeds,
        "protocol": evaluation.protocol,
        "protocol_text": evaluation.describe(),
        "inputs": inputs(args, workspace),
    }
    results = run_cells(
        workspace,
        clips,
        cells,
        args.seeds,
        args.out,
        evaluation,
        args.device,
        args.quiet,
        lambda done: write_tables(args.out, done, heading, facts),
    )
    print_table(results, heading)
    print(f"tables are in {args.out}: ablation.md, ablation.csv, ablation.json")
    failed = [f"{r.cell.name}, seed {seed}: {why}" for r in results for seed, why in r.failed.items()]
    args.result.update(tables=args.out, cells=len(results), failed=failed)
    for line in failed:
        print(f"failed: {line}")
    return TrainingError.exit_code if failed else 0
