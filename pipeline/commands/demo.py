"""`gepc-pipeline demo`: the whole product on a synthetic street."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.options import add_config, whole_number

HELP = "show the whole product on a synthetic street, with no data of your own"
EXAMPLE = """\
example:
  gepc-pipeline demo --out demo
  gepc-pipeline demo --out demo --clips-only      only render the videos, with joints, tracks and labels"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="folder (default: ./demo)"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="another seed, another street life (default: 0)"
    )
    parser.add_argument("--clips-only", action="store_true", help="render the clips and stop")
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Render, extract, train, score; print the AUC and where the files are."""
    from pipeline.demo import DemoSettings, make_clips, run_demo
    from pipeline.progress import format_duration
    from pipeline.settings import load_settings

    settings = load_settings(args.config, args.set)
    if args.clips_only:
        normal, test = make_clips(args.out / "videos", DemoSettings(), args.seed, args.quiet)
        print(f"{len(normal)} normal and {len(test)} test clips are in {args.out / 'videos'}")
        return 0
    result = run_demo(args.out, settings, DemoSettings(), args.seed, args.quiet)
    took = ", ".join(f"{name} {format_duration(s)}" for name, s in result.seconds.items())
    args.result.update(
        frame_auc=result.auc,
        seconds=result.seconds,
        words=result.words,
        page=result.page,
        scores=[outputs.scores for outputs in result.outputs],
    )
    print(f"time: {took}; in all {format_duration(sum(result.seconds.values()))}")
    for outputs in result.outputs:
        print(f"scores:  {outputs.scores}")
        print(f"plot:    {outputs.plot}")
        print(f"overlay: {outputs.overlay}")
    print(f"words:   {result.words}, what the model takes for normal")
    print(f"page:    {result.page}, to look through all of it in a browser")
    print(f"frame_auc = {result.auc:.3f}")
    return 0
