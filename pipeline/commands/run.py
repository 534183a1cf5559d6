"""`gepc-pipeline run`: normal videos and new ones in, scores and the review page out."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from pipeline.commands.options import add_config, add_jobs, add_workspace, whole_number

HELP = (
    "extract, train, score and report in one go: normal videos and new ones in, scores and a review page out"
)
EXAMPLE = """\
example:
  gepc-pipeline run normal/ new/ --out review/

It is the same as these, one after the other, and goes on where it was cut off; what is done is not done again:
  gepc-pipeline extract normal/
  gepc-pipeline train
  gepc-pipeline score new/ --out review/scores --events review/scores
  gepc-pipeline report new/ --out review/page"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("normal", help="videos of normal behaviour: a folder, a video or a glob")
    parser.add_argument("new", help="videos to look through: a folder, a video or a glob")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the scores and the page"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="the same seed gives the same model (default: 0)"
    )
    add_jobs(parser, "videos")
    add_workspace(parser)
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Run the four commands; exit code 4 if some videos could not be used."""
    from pipeline.settings import load_settings
    from pipeline.training import is_trained
    from pipeline.workspace import Workspace
    from pose_extract.errors import VideoError

    workspace = Workspace(args.workspace, not args.no_wait)
    shared = ["--workspace", str(args.workspace)]
    if args.no_wait:
        shared.append("--no-wait")
    if args.quiet:
        shared.append("--quiet")
    jobs = [] if args.jobs is None else ["--jobs", str(args.jobs)]
    config = ["--config", args.config, *(word for text in args.set for word in ("--set", text))]
    settings = load_settings(args.config, args.set)
    unused: list[VideoError] = []

    def step(number: int, name: str, *words: str) -> None:
        print(f"{number}/4 {name}", flush=True)
        try:
            _command(name, [*words, *shared])
        except VideoError as error:  # some videos; the others are done
            unused.append(error)

    step(1, "extract", args.normal, *jobs, *config)
    if unused and not workspace.training_clips():
        raise unused[0]
    if is_trained(workspace, settings, args.seed):
        print("2/4 train: the model is there, of these clips and settings", flush=True)
    else:
        step(2, "train", "--seed", str(args.seed), *config)
    step(3, "score", args.new, *_outputs(args.new, args.out / "scores"), *jobs)
    step(4, "report", args.new, "--out", str(args.out / "page"), *jobs)
    if unused:
        raise unused[0]
    return 0


def _outputs(new: str, folder: Path) -> list[str]:
    """The options of `score` for its tables and events, named as those of several videos are."""
    from pipeline.events.files import SUFFIXES
    from pipeline.extraction.run import find_all_sources, is_several

    sources = find_all_sources([new])
    if is_several(new, sources):
        return ["--out", str(folder), "--events", str(folder)]
    name = sources[0].name
    events = [str(folder / f"{name}.events{suffix}") for suffix in SUFFIXES]
    return ["--out", str(folder / f"{name}.csv"), "--events", *events]


def _command(name: str, words: list[str]) -> None:
    command = import_module(f"pipeline.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"gepc-pipeline {name}")
    parser.add_argument("--quiet", action="store_true")
    command.add_arguments(parser)
    command.run(parser.parse_args(words))
