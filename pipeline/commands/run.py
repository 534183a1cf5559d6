"""`gepc-pipeline run`: normal videos and new ones in, scores and the review page out."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

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
  gepc-pipeline score new/ --out review/scores --events review/scores --report review"""


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
    """Run the three commands; exit code 4 if some videos could not be used."""
    from pipeline.extraction.run import find_all_sources
    from pipeline.progress import Steps
    from pipeline.review.files import check_folder
    from pipeline.settings import load_settings
    from pipeline.training import is_trained
    from pipeline.workspace import Workspace
    from pose_extract.errors import VideoError
    from pose_extract.files import writing

    with writing(args.out):  # before hours of training
        args.out.mkdir(parents=True, exist_ok=True)
    check_folder(args.out)
    workspace = Workspace(args.workspace, not args.no_wait)
    shared = ["--workspace", str(args.workspace)]
    if args.no_wait:
        shared.append("--no-wait")
    if args.quiet:
        shared.append("--quiet")
    jobs = [] if args.jobs is None else ["--jobs", str(args.jobs)]
    if args.ray is not None:
        jobs += [f"--ray={args.ray}", f"--ray-cpus={args.ray_cpus}", f"--ray-gpus={args.ray_gpus}"]
    config = ["--config", args.config, *(word for text in args.set for word in ("--set", text))]
    settings = load_settings(args.config, args.set)
    find_all_sources([args.new])  # before hours of training, too: there are some
    unused: list[VideoError] = []

    def step(name: str, *words: str) -> None:
        with steps.at(name):
            try:
                args.result[name] = {}
                _command(name, [*words, *shared], args.result[name])
            except VideoError as error:  # some videos; the others are done
                unused.append(error)

    with Steps(("extract", "train", "score"), args.quiet) as steps:
        step("extract", args.normal, *jobs, *config)
        if unused and not workspace.training_clips():
            raise unused[0]
        if is_trained(workspace, settings, args.seed):
            steps.pass_over("train", "the model is there, of these clips and settings")
        else:
            step("train", "--seed", str(args.seed), *config)
        step("score", args.new, *_outputs(args.new, args.out), *jobs)
    if unused:
        raise unused[0]
    return 0


def _outputs(new: str, out: Path) -> list[str]:
    """The options of `score` for its tables and events, named as those of several videos are, and for the page."""
    from pipeline.events.files import SUFFIXES
    from pipeline.extraction.run import find_all_sources, is_several

    folder, page = out / "scores", ["--report", str(out)]
    sources = find_all_sources([new])
    if is_several(new, sources):
        return ["--out", str(folder), "--events", str(folder), *page]
    name = sources[0].name
    events = [str(folder / f"{name}.events{suffix}") for suffix in SUFFIXES]
    return ["--out", str(folder / f"{name}.csv"), "--events", *events, *page]


def _command(name: str, words: list[str], result: dict[str, Any]) -> None:
    command = import_module(f"pipeline.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"gepc-pipeline {name}")
    parser.add_argument("--quiet", action="store_true")
    command.add_arguments(parser)
    args = parser.parse_args(words)
    args.result, args.says_next = result, False
    command.run(args)
