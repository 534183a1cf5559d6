"""`gepc-pipeline train`: learn what is normal from the cached tracks."""

from __future__ import annotations

import argparse

from pipeline.commands.options import add_config, add_device, add_workspace, say_next, whole_number
from pipeline.defaults import workspace_option

HELP = "learn what is normal from the extracted videos"
EXAMPLE = """\
example:
  gepc-pipeline train
  gepc-pipeline train --config paper --seed 1
  torchrun --nproc-per-node 2 -m pipeline.cli train   several processes, or GPUs, together

A training that was cut off goes on after its last finished epoch when it is started again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)
    add_config(parser)
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="the same seed gives the same model (default: 0)"
    )
    add_device(parser, "auto", "where the model is trained")
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 1024),
        metavar="N",
        help="how many processors to use, as threads of the network and processes for the parts (default: all); on a "
        "CPU the same number gives the same model",
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever an earlier run left")


def run(args: argparse.Namespace) -> int:
    """Train on every clip that `extract` made."""
    from pipeline.settings import load_settings
    from pipeline.training import summary, train
    from pipeline.workspace import Workspace

    workspace = Workspace(args.workspace, not args.no_wait)
    report = train(
        workspace,
        load_settings(args.config, args.set),
        seed=args.seed,
        device=args.device,
        fresh=args.fresh,
        quiet=args.quiet,
        jobs=args.jobs,
    )
    if report is None:
        return 0  # process 0 says it
    args.result.update(
        model=workspace.model, clips=report.clips, facts=report.facts, seconds=report.seconds, seed=args.seed
    )
    for line in summary(report):
        print(line)
    print(f"model is in {workspace.model}, the curves of its training in {workspace.training}")
    option = workspace_option(args.workspace)
    if workspace.marks.is_file():
        print(f"your marks can set this model's alarm threshold: gepc-pipeline recalibrate{option}")
    say_next(args, f"score video.mp4 --out scores.csv{option}")
    return 0
